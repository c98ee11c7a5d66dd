"""The digest under which compiled code is kept is that of the sources which were imported, or there is none."""

import importlib
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from fastml import kernels
from fastml.program import sources
from fastml.program.sources import Sources

PACKAGE = "package_that_changes"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A package of two files that can be imported, and is forgotten at the end."""
    folder = tmp_path / PACKAGE
    folder.mkdir()
    (folder / "__init__.py").write_text("from package_that_changes import part\n")
    (folder / "part.py").write_text("number = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    importlib.invalidate_caches()
    yield folder
    for name in [name for name in sys.modules if name.startswith(PACKAGE)]:
        del sys.modules[name]


def edit(folder):
    (folder / "part.py").write_text("number = 2\n")  # as long as before


def edit_with_the_time_of_before(folder):
    path = folder / "part.py"
    times = path.stat()
    edit(folder)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def replace(folder):
    (folder.parent / "new.py").write_text("number = 3\n")
    os.replace(folder.parent / "new.py", folder / "part.py")


def remove(folder):
    (folder / "part.py").unlink()


def add(folder):
    (folder / "more.py").write_text("")


def rename(folder):
    (folder / "part.py").rename(folder / "other.py")


def vanish(folder):
    shutil.rmtree(folder)


CHANGES = [edit, edit_with_the_time_of_before, replace, remove, add, rename, vanish]


def confirmed(folder, import_it=True):
    found = Sources(PACKAGE, folder)
    if import_it:
        importlib.import_module(PACKAGE)
    found.confirm()
    return found


def test_the_same_files_have_the_same_digest(folder):
    first = confirmed(folder, import_it=False).digest()
    assert first == confirmed(folder).digest()
    assert len(first) == 64


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_files_that_change_while_they_are_imported_have_no_digest(folder, change):
    """Nobody knows whether the module is of the old or of the new file."""
    found = Sources(PACKAGE, folder)
    importlib.import_module(PACKAGE)
    change(folder)
    found.confirm()
    assert found.digest() is None


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_files_that_change_later_keep_the_digest_of_what_was_imported(folder, change):
    found = confirmed(folder)
    before = found.digest()
    change(folder)
    found.confirm()  # `fastml` may be reloaded
    assert found.digest() == before is not None


@pytest.mark.parametrize("change", CHANGES[:-1], ids=lambda change: change.__name__)
def test_the_digest_of_changed_files_is_another(folder, change):
    before = Sources(PACKAGE, folder).content
    change(folder)
    assert Sources(PACKAGE, folder).content != before is not None


def test_a_module_that_is_loaded_again_leaves_no_digest(folder):
    """As notebooks do after an edit."""
    found = confirmed(folder)
    importlib.reload(sys.modules[f"{PACKAGE}.part"])
    assert found.digest() is None


def test_a_package_that_is_imported_already_has_no_digest(folder):
    importlib.import_module(PACKAGE)
    assert confirmed(folder).digest() is None


def test_no_digest_before_the_import_is_over(folder):
    assert Sources(PACKAGE, folder).digest() is None


def test_a_package_without_sources_has_no_digest(folder, tmp_path):
    """In a zip file, or compiled files alone."""
    for path in folder.glob("*.py"):
        path.unlink()
    for place in (folder, tmp_path / "nowhere", None):
        assert confirmed(place, import_it=False).digest() is None


def test_a_source_that_cannot_be_read_leaves_no_digest(folder):
    (folder / "folder.py").mkdir()
    assert confirmed(folder).digest() is None


def test_the_digest_follows_every_kernel_file(tmp_path):
    copy = tmp_path / "kernels"
    shutil.copytree(Path(kernels.__file__).parent, copy, ignore=shutil.ignore_patterns("__pycache__"))
    digests = [sources.digest_of(copy)]
    assert digests[0] == sources.digest_of(Path(kernels.__file__).parent)
    for path in sorted(copy.glob("*.py")):
        path.write_text(path.read_text() + "\n# changed\n")
        digests.append(sources.digest_of(copy))
    assert len(set(digests)) == len(digests) > 30


def test_the_kernels_have_a_digest():
    """They are read before they are imported, whatever is imported first."""
    code = "import fastml.kernels.simd, fastml.program.compiled\n"
    code += "s = fastml.program.sources.KERNELS; print(s.digest(), s.folder)"
    digest, folder = subprocess.check_output([sys.executable, "-c", code], text=True).split()
    assert digest == sources.digest_of(Path(folder)) and Path(folder) == Path(kernels.__file__).parent
