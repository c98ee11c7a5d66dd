"""Compiled code on disk: a file for each function, dtype and CPU, with a checksum, in the folders that Numba uses.

Numba's own cache lets out of the first call whatever the disk says when it is full, unpickles and executes damaged
files, and may lose an entry when two processes write its index at once. Here there is no index, nothing is used that
has not the right checksum, and a call never fails because of the disk.
"""

import hashlib
import inspect
import os
import pickle
import sys
import tempfile
import time
import warnings
from contextlib import suppress
from glob import escape
from pathlib import Path

import llvmlite
import numba
from numba.core import config
from numba.core.registry import cpu_target
from numba.core.runtime import rtsys
from numba.misc.appdirs import AppDirs

from fastml.process.atomic import write_atomically
from fastml.process.turns import Turn

MAGIC = b"fastml code 1\n"
SUFFIX, LOCK = ".nbc", ".lock"
KEPT = 16  # files of a function: of a few versions, dtypes, widths of vectors, kinds of CPU
ABANDONED = 3600  # seconds, after which a part of a file, or a lock, has lost its process
PROBE = 2**21  # bytes, as large as a file may become
REMEDY = "set NUMBA_CACHE_DIR to a folder that can be written to and has some megabytes left"

_told = False  # whether there was a warning in this process


class CodeCache:
    """Keeps the compiled code of a function. `version` is called before each use and gives a text that changes with all
    that the function is made of, or None where nothing may be kept; `name` is what files are called by, the function's
    own name if not given, and `kept` how many there are at most if not KEPT.
    """

    def __init__(self, function, version, name=None, kept=None):
        self.file, self.version, self.kept, self.turn = inspect.getfile(function), version, kept, None
        name = name or function.__qualname__.replace("<", "").replace(">", "")
        self.stem = f"{Path(self.file).stem}.{name}"

    def library(self, key, compile_here):
        """The library of the code under a key, the symbol of the function in it, and whether it had to be compiled.

        That is what `compile_here` does: it returns the first two. Its library must have object caching enabled. Where
        it cannot be kept, a RuntimeWarning says why.
        """
        try:
            found = self.find(key)
            if found:
                return *found, False
            library, symbol = compile_here()
            self.keep(key, library, symbol)
            return library, symbol, True
        finally:
            self.release()

    def find(self, key):
        """The library and the symbol that are kept under a key, or None, where this process must compile them."""
        name = self.name(key)
        if name is None:
            return None
        found = self.load(name)
        folder = None if found else next(filter(takes_files, folders(self.file)), None)
        if folder:
            self.turn = Turn(folder / f"{name}{LOCK}")
            if self.turn.wait():
                self.release()
                found = self.load(name)
        return found

    def keep(self, key, library, symbol):
        """Keeps a library, or says in a RuntimeWarning why it cannot be kept."""
        name = self.name(key)
        if name is None:
            tell("its sources changed while or after they were imported, or cannot be read", "restart Python")
        elif library.has_dynamic_globals:
            tell("it holds addresses of this process", "let Numba optimize: unset NUMBA_OPT")
        else:
            self.save(name, pickle.dumps((symbol, library.serialize_using_object_code())))

    def has(self, key):
        """Whether there is a whole file under a key."""
        name = self.name(key)
        return name is not None and any(read(folder / name) for folder in folders(self.file))

    def release(self):
        """Lets other processes go on that wait for this one."""
        if self.turn:
            self.turn.end()
            self.turn = None

    def name(self, key):
        """The name of the file, which holds a digest of all that the code depends on; None where none may be kept."""
        version = self.version()
        if version is None:
            return None
        settings = config.OPT, config.BOUNDSCHECK, config.DEBUGINFO_DEFAULT
        python = sys.implementation.cache_tag, getattr(sys, "abiflags", "")
        key = key, codegen().magic_tuple(), settings, python, numba.__version__, llvmlite.__version__
        return f"{self.stem}-{short(version)}-{short(repr(key))}{SUFFIX}"

    def load(self, name):
        """The library and the symbol in the first of the folders that has them whole, or None."""
        for folder in folders(self.file):
            content = read(folder / name)
            if content is not None:
                try:
                    symbol, library = pickle.loads(content)
                    return codegen().unserialize_library(library), symbol
                except Exception:  # written whole, but by a Numba that was not quite this one
                    continue
        return None

    def save(self, name, content):
        """Writes the file into the first of the folders that takes it."""
        reasons = []
        for folder in folders(self.file):
            try:
                folder.mkdir(parents=True, exist_ok=True)
                write_atomically(folder / name, checksum(name, content) + content)
            except OSError as error:
                reasons.append(f"{folder}: {error.strerror or error}")
            else:
                tidy(folder, self.stem, self.kept)
                return
        if not any(read(folder / name) for folder in folders(self.file)):  # nor has another process kept it
            tell("; ".join(reasons), REMEDY)

    def home(self):
        """The folder that has code of this version, or has room for it, or None."""
        version = self.version()
        if version is None:
            return None
        pattern = f"{escape(self.stem)}-{short(version)}-*{SUFFIX}"
        for folder in folders(self.file):
            if any(read(path) for path in folder.glob(pattern)):
                return folder
        return next((folder for folder in folders(self.file) if takes_files(folder, PROBE)), None)


def codegen():
    """Numba's generator of machine code, without its library of functions, which only a compilation needs.

    With the names of Numba's runtime, which machine code may refer to, though ours never calls it.
    """
    rtsys.initialize(cpu_target.target_context)
    return cpu_target.target_context.codegen()


def folders(file):
    """Where compiled code of a source file may be kept, the best place first. What the user names is the only one."""
    package = Path(os.path.abspath(file)).parent
    name = f"{package.name}_{short(str(package))}"
    if config.CACHE_DIR:
        return [Path(config.CACHE_DIR, name)]
    user = Path(AppDirs("numba", appauthor=False).user_cache_dir, name)
    return [package / "__pycache__", *([user] if user.is_absolute() else [])]  # it is not where there is no home


def takes_files(folder, size=0):
    """Whether so many bytes can be written to a file in a folder, which is made where there is none."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
            return file.write(bytes(size)) == size
    except OSError:
        return False


def read(path):
    """What a file of the cache holds, or None where it is missing, cannot be read, is damaged or another's."""
    try:
        if not path.is_file():  # a pipe would keep its reader waiting
            return None
        content = path.read_bytes()
    except OSError:
        return None
    head = len(checksum("", b""))
    return content[head:] if content[:head] == checksum(path.name, content[head:]) else None


def checksum(name, content):
    """The start of a file: a sign of its format, and a digest of its name and the rest."""
    return MAGIC + hashlib.sha256(name.encode() + b"\0" + content).digest()


def short(text):
    """A digest of a text, 16 hexadecimal digits."""
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def tidy(folder, stem, kept=None):
    """Removes all but the newest files of a function, and what processes left that were ended while they wrote."""
    stem = escape(stem)
    with suppress(OSError):  # another process may be at it
        newest = sorted(folder.glob(f"{stem}-*{SUFFIX}"), key=lambda path: path.stat().st_mtime, reverse=True)
        left = [*folder.glob(f".{stem}-*{SUFFIX}.*"), *folder.glob(f"{stem}-*{LOCK}")]
        for path in newest[kept or KEPT :] + [path for path in left if time.time() - path.stat().st_mtime > ABANDONED]:
            path.unlink()


def tell(reason, remedy):
    """A RuntimeWarning, one in a process, that compiled code is not kept."""
    global _told
    if not _told:
        _told = True
        warnings.warn(
            f"compiled code cannot be kept on disk, and is compiled again in every process ({reason}); {remedy}",
            RuntimeWarning,
            stacklevel=2,
        )
