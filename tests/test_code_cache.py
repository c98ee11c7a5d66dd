"""Compiled code on disk: whatever happens to the disk, a call works, and only what is whole is used.

With a function of one line, which compiles in a moment, through the cache that keeps the executor.
"""

import contextlib
import ctypes
import errno
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import numpy as np
import pytest
from numba import njit, types

from fastml.process import turns
from fastml.program import code_cache
from fastml.program.code_cache import SUFFIX, CodeCache

LOCKS = pytest.mark.skipif(turns.fcntl is None, reason="this system has no locks on files")


def plus(number=1.0):
    """A function to compile, anew at each call of this."""

    @njit
    def add(a):
        return a + number

    return add


class Kept:
    """A function of a number whose code is kept on disk."""

    def __init__(self, function, version):
        self.function, self.cache = function, CodeCache(function.py_func, lambda: version)

    def compiled(self, kind):
        """The library with the function for a type of Numba's, and its symbol there."""
        self.function.compile(types.float64(kind))
        (result,) = self.function.overloads.values()
        return result.library, result.fndesc.llvm_func_name

    def call(self, argument):
        """The result, and whether it had to be compiled."""
        kind, c_type = (types.float32, ctypes.c_float) if isinstance(argument, np.float32) else NUMBER
        library, symbol, compiled = self.cache.library(str(kind), lambda: self.compiled(kind))
        pointer = ctypes.c_void_p
        call = ctypes.CFUNCTYPE(ctypes.c_int32, pointer, pointer, c_type)(library.get_pointer_to_function(symbol))
        result, error = ctypes.c_double(), pointer()
        assert call(ctypes.addressof(result), ctypes.addressof(error), argument) == 0
        return result.value, compiled


NUMBER = types.float64, ctypes.c_double


def kept(function=None, version="1"):
    """The function with its code on disk."""
    return Kept(function or plus(), version)


def compiles(function, argument=2.0):
    """Whether a call had to compile; it must be right in any case."""
    result, compiled = function.call(argument)
    assert result == argument + 1
    return compiled


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where code is kept: NUMBA_CACHE_DIR/<package>, not made yet."""
    monkeypatch.setattr(code_cache.config, "CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setattr(code_cache, "_told", False)
    return code_cache.folders(__file__)[0]


@pytest.fixture
def no_room(monkeypatch):
    """An error that comes when a file is almost written, as from a disk that is full."""

    def fail(number):
        def fsync(file):
            raise OSError(number, os.strerror(number))

        monkeypatch.setattr(os, "fsync", fsync)

    yield fail
    monkeypatch.undo()


def files(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.is_dir() else []


def entry(folder):
    """The one file, which must be the only one."""
    (path,) = folder.iterdir()
    assert path.name.endswith(SUFFIX)
    return path


def test_code_is_found_again(folder):
    assert compiles(kept())
    content = entry(folder).read_bytes()
    again = kept()
    assert not compiles(again)
    assert entry(folder).read_bytes() == content


@pytest.mark.parametrize("other", ["version", "signature", "processor", "numba", "setting"])
def test_what_the_code_depends_on_is_told_apart(folder, monkeypatch, other):
    compiles(kept())
    function, argument = kept(version="2" if other == "version" else "1"), 2.0
    if other == "signature":
        argument = np.float32(2)
    elif other == "processor":
        name = code_cache.codegen().magic_tuple()
        monkeypatch.setattr(type(code_cache.codegen()), "magic_tuple", lambda self: (*name, "another"))
    elif other == "numba":
        monkeypatch.setattr(code_cache.numba, "__version__", "0.0")
    elif other == "setting":
        monkeypatch.setattr(code_cache.config, "BOUNDSCHECK", 1)
    assert compiles(function, argument)
    assert len(files(folder)) == 2


def test_nothing_is_kept_where_it_is_not_sure_what_was_compiled(folder):
    with pytest.warns(RuntimeWarning, match="sources changed .*; restart Python"):
        assert compiles(kept(version=None))
    assert files(folder) == [] and kept(version=None).cache.home() is None


def test_code_with_addresses_is_not_kept(folder):
    """They are others in the next process."""
    absolute = ctypes.CFUNCTYPE(ctypes.c_double, ctypes.c_double)(abs)

    @njit
    def add(a):
        return absolute(a) + 1

    with pytest.warns(RuntimeWarning, match="addresses of this process"):
        assert compiles(kept(add))
    assert files(folder) == []


# Damaged files


def shorter(content):
    return content[: len(content) // 2]


def without_end(content):
    return content[:-1]


def longer(content):
    return content + b"\0"


def flipped(at):
    def damage(content):
        place = int(at * (len(content) - 1))
        return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]

    return damage


def empty(content):
    return b""


def zeros(content):
    return bytes(len(content))


def of_another_function(content):
    return code_cache.checksum("another.nbc", content[46:]) + content[46:]


def a_pickle_that_runs_code(content):
    return b"cbuiltins\nprint\n(S'unpickled'\ntR."


DAMAGES = [shorter, without_end, longer, empty, zeros, of_another_function, a_pickle_that_runs_code]
DAMAGES += [flipped(at) for at in (0, 0.001, 0.01, 0.3, 0.7, 1)]


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_neither_unpickled_nor_executed_but_replaced(folder, damage, monkeypatch):
    compiles(kept())
    path = entry(folder)
    good = path.read_bytes()
    path.write_bytes(damage(good))

    def forbidden(*arguments):
        raise AssertionError("unpickled")

    with monkeypatch.context() as patch:
        patch.setattr(code_cache.pickle, "loads", forbidden)
        assert code_cache.read(path) is None
        assert compiles(kept())
    assert entry(folder) == path and code_cache.read(path) is not None
    assert not compiles(kept())


def test_whole_files_that_cannot_be_loaded_are_replaced(folder):
    """As one of a Numba that was changed but not its version."""
    compiles(kept())
    path = entry(folder)
    path.write_bytes(code_cache.checksum(path.name, b"no pickle") + b"no pickle")
    assert compiles(kept()) and not compiles(kept())


@pytest.mark.parametrize("thing", ["folder", "pipe", "link to nowhere", "no permission"])
def test_what_cannot_be_read_counts_as_missing(folder, thing):
    compiles(kept())
    path = entry(folder)
    if thing == "no permission":
        path.chmod(0)
    else:
        path.unlink()
    if thing == "folder":
        path.mkdir()
    elif thing == "pipe":
        os.mkfifo(path)
    elif thing == "link to nowhere":
        path.symlink_to(folder / "nowhere" / "file")
    replaceable = thing in ("pipe", "no permission")
    with contextlib.nullcontext() if replaceable else pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        compiles(kept())
    if replaceable:
        assert not compiles(kept())


# Disks that take nothing


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS], ids=errno.errorcode.get)
def test_a_failed_write_is_one_warning_and_leaves_nothing(folder, no_room, number):
    no_room(number)
    with pytest.warns(RuntimeWarning) as warned:
        assert compiles(kept()) and compiles(kept())
    (warning,) = warned
    for part in (os.strerror(number), str(folder), "set NUMBA_CACHE_DIR"):
        assert part in str(warning.message)
    assert files(folder) == []


def test_once_there_is_room_code_is_kept(folder, no_room, monkeypatch):
    no_room(errno.ENOSPC)
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        compiles(kept())
    monkeypatch.undo()
    monkeypatch.setattr(code_cache.config, "CACHE_DIR", str(folder.parent))
    assert compiles(kept()) and not compiles(kept())


def test_files_may_not_become_so_large(folder):
    """A limit of the process, for which the system sends a signal."""
    resource = pytest.importorskip("resource", reason="limits the size of files, as POSIX systems do")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    with pytest.warns(RuntimeWarning, match=os.strerror(errno.EFBIG)):
        resource.setrlimit(resource.RLIMIT_FSIZE, (1000, limits[1]))
        try:
            assert compiles(kept())
            assert kept().cache.home() is None
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert files(folder) == []


@pytest.mark.parametrize("when", ["before", "between"])
def test_a_folder_that_vanishes_and_cannot_be_made(folder, when, monkeypatch):
    """Before the first call, or while the function is compiled."""

    def vanish():
        shutil.rmtree(folder.parent, ignore_errors=True)
        folder.parent.write_text("a file, so that no folder can be made here")

    function = kept()
    if when == "before":
        vanish()
    else:
        save = CodeCache.save
        monkeypatch.setattr(CodeCache, "save", lambda *arguments: (vanish(), save(*arguments)))
    with pytest.warns(RuntimeWarning, match="NUMBA_CACHE_DIR"):
        assert compiles(function)
    assert function.cache.home() is None


def test_a_folder_that_is_removed_is_made_again(folder):
    compiles(kept())
    shutil.rmtree(folder.parent)
    assert compiles(kept()) and not compiles(kept())


def test_another_process_may_have_kept_it(folder, no_room):
    """Then there is nothing to warn of."""
    compiles(kept())
    no_room(errno.ENOSPC)
    function = kept()
    name = entry(folder).name
    function.cache.save(name, code_cache.read(folder / name))


# Where code is kept


@pytest.fixture
def places(tmp_path, monkeypatch):
    """The two folders without NUMBA_CACHE_DIR: beside the source, and the user's."""
    found = [tmp_path / "package" / "__pycache__", tmp_path / "home" / "package"]
    monkeypatch.setattr(code_cache, "folders", lambda file: found)
    monkeypatch.setattr(code_cache, "_told", False)
    return found


def test_the_best_folder_that_takes_it(places):
    function = kept()
    assert function.cache.home() == places[0]
    places[0].parent.mkdir(exist_ok=True)
    shutil.rmtree(places[0])
    places[0].write_text("a file, so that no folder can be made here")
    assert function.cache.home() == places[1]
    assert compiles(function) and not compiles(kept())
    assert entry(places[1])


@pytest.mark.parametrize("first", [0, 1])
def test_code_is_found_in_any_folder_also_where_nothing_can_be_written(places, first, no_room):
    """As in an image of a container that was warmed up by another user."""
    compiles(kept())
    places[1].parent.mkdir(parents=True)
    if first:
        shutil.move(places[0], places[1])
    no_room(errno.EROFS)
    assert not compiles(kept())
    assert kept().cache.home() == places[first]


def test_a_damaged_file_does_not_hide_a_good_one(places):
    compiles(kept())
    shutil.copytree(places[0], places[1])
    entry(places[0]).write_bytes(b"")
    assert not compiles(kept())


def test_folders_are_those_of_numba(tmp_path, monkeypatch):
    file = str(tmp_path / "package" / "module.py")
    monkeypatch.setattr(code_cache.config, "CACHE_DIR", "")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "user"))
    beside, *users = code_cache.folders(file)
    assert beside == tmp_path / "package" / "__pycache__"
    if sys.platform.startswith("linux"):
        assert users[0].parent == tmp_path / "user" / "numba"
        monkeypatch.setenv("XDG_CACHE_HOME", "~/none")  # as where there is no home
        assert code_cache.folders(file) == [beside]
    monkeypatch.setattr(code_cache.config, "CACHE_DIR", str(tmp_path / "named"))
    (named,) = code_cache.folders(file)
    assert named.parent == tmp_path / "named"


def test_old_files_and_leftovers_are_removed(folder, monkeypatch):
    monkeypatch.setattr(code_cache, "KEPT", 3)
    for version in range(5):
        compiles(kept(version=str(version)))
        for path in folder.iterdir():
            os.utime(path, (path.stat().st_mtime - 10,) * 2)
    newest = files(folder)
    assert len(newest) == 3
    stem = kept().cache.stem
    new = [f".{stem}-1-2{SUFFIX}.3", f"{stem}-1-2{SUFFIX}.lock"]
    for name in new:
        (folder / name).write_bytes(b"")
    old = [folder / f".{stem}-1-3{SUFFIX}.3", folder / f"{stem}-1-3{SUFFIX}.lock"]
    for path in old:
        path.write_bytes(b"")
        os.utime(path, (time.time() - 2 * code_cache.ABANDONED,) * 2)
    others = folder / "another.function-1-2.nbc"
    others.write_bytes(b"")
    compiles(kept(version="6"))
    assert set(new) < set(files(folder)) and others.exists() and not any(path.exists() for path in old)


# Several processes

PROCESS = """
    import json, sys, time, warnings
    sys.path.insert(0, sys.argv[1])
    from test_code_cache import compiles, kept, plus, code_cache
    code_cache.config.CACHE_DIR = sys.argv[2]
    function = kept()
    save = function.cache.save
    function.cache.save = lambda *arguments: (time.sleep(float(sys.argv[3])), save(*arguments))
    print("ready", flush=True)
    sys.stdin.readline()
    with warnings.catch_warnings(record=True) as warned:
        print(json.dumps([compiles(function), len(warned)]), flush=True)
"""


def start(folder, seconds=1.0):
    """A process that will compile, for at least so long, when it reads a line."""
    command = [sys.executable, "-c", textwrap.dedent(PROCESS), str(Path(__file__).parent), str(folder.parent)]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    return subprocess.Popen([*command, str(seconds)], **pipes)


def go(*processes):
    for process in processes:
        assert process.stdout.readline() == "ready\n"
    for process in processes:
        process.stdin.write("\n")
        process.stdin.flush()


def result(process):
    """Whether it compiled, and how many warnings there were."""
    with process:
        return json.loads(process.communicate(timeout=60)[0])


@LOCKS
def test_one_process_compiles_and_the_others_wait(folder):
    processes = [start(folder) for _ in range(3)]
    go(*processes)
    assert sorted(map(result, processes)) == [[False, 0], [False, 0], [True, 0]]
    assert entry(folder)


@LOCKS
def test_nobody_waits_for_a_process_that_was_killed(folder):
    victim, other = start(folder, 60), start(folder, 0)
    go(victim)
    while not any(name.endswith(".lock") for name in files(folder)):
        time.sleep(0.01)
    go(other)
    victim.send_signal(signal.SIGKILL)
    victim.communicate()
    assert result(other) == [True, 0]
    assert not compiles(kept())


@LOCKS
def test_nobody_waits_for_ever(folder, monkeypatch):
    """As for a process that has been stopped."""
    compiles(kept())
    path = entry(folder)
    path.rename(folder / "away")
    holder = turns.Turn(folder / f"{path.name}.lock")
    assert not holder.wait()
    monkeypatch.setattr(turns, "PATIENCE", 0.2)
    assert compiles(kept())
    assert holder.path.exists()  # it is still the other's
    holder.end()
    assert not holder.path.exists()


@LOCKS
def test_ctrl_c_ends_the_waiting(folder):
    folder.mkdir(parents=True)
    holder, other = turns.Turn(folder / "lock"), turns.Turn(folder / "lock")
    assert not holder.wait()
    signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    signal.setitimer(signal.ITIMER_REAL, 0.2)
    with pytest.raises(KeyboardInterrupt):
        other.wait()
    assert other.file is None
    holder.end()
    assert not other.wait()
    other.end()


def test_a_failed_compilation_lets_others_go_on(folder):
    @njit
    def wrong(a):
        return a.no_such_attribute

    function = kept(wrong)
    with pytest.raises(Exception, match="no_such_attribute"):
        function.call(1.0)
    assert files(folder) == []


@LOCKS
def test_a_disk_without_locks(folder, monkeypatch):
    def flock(*arguments):
        raise OSError(errno.ENOLCK, "no locks")

    monkeypatch.setattr(turns.fcntl, "flock", flock)
    assert compiles(kept())
    assert not compiles(kept())
