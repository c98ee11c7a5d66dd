"""The kernels' source files as they were imported. Compiled code is kept on disk under a digest of these.

The files may change at any moment: by an upgrade beside an open notebook, by an editor. So they are read when this
module is imported, which `fastml` does before all else, and once the kernels are imported it is checked that they
still are the same. What happens to them later does not matter to this process.
"""

import hashlib
import sys
from importlib.util import find_spec
from pathlib import Path


class Sources:
    """The source files of a package: to be made before it is imported, and confirmed after that.

    folder : a Path, or None where the package is in none, as in a zip file.
    """

    def __init__(self, package, folder):
        self.package, self.folder = package, folder
        self.content = self.stamps = self.specs = None
        if folder and not self._modules():  # else they were imported from whatever the files were then
            try:
                self.stamps = stamps(folder)
                self.content = digest_of(folder)
            except OSError:  # unreadable, or changing right now
                pass

    def confirm(self):
        """Compares with the files as they are now that the package has been imported. Only the first call counts."""
        if self.specs is not None:
            return
        self.specs = {name: module.__spec__ for name, module in self._modules().items()}
        try:
            unchanged = bool(self.stamps) and stamps(self.folder) == self.stamps
        except OSError:
            unchanged = False
        if not unchanged:
            self.content = None

    def digest(self):
        """A text that changes with any of the files, or None where it is not sure what has been imported."""
        if self.specs is None:
            return None
        modules = self._modules()
        reloaded = any(name in modules and modules[name].__spec__ is not spec for name, spec in self.specs.items())
        return None if reloaded else self.content

    def _modules(self):
        """The modules of the package that are imported, by name."""
        return {name: sys.modules[name] for name in list(sys.modules) if f"{name}.".startswith(f"{self.package}.")}


def stamps(folder):
    """What tells states of the source files in a folder apart without reading them, by name of the file."""
    found = {}
    for path in folder.glob("*.py"):
        stat = path.stat()
        found[path.name] = stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino
    return found


def digest_of(folder):
    """The digest of all source files in a folder, with their names: 64 hexadecimal digits."""
    digest = hashlib.sha256()
    for path in sorted(folder.glob("*.py")):
        content = path.read_bytes()
        digest.update(f"{path.name} {len(content)} ".encode() + content)
    return digest.hexdigest()


def folder_of(package):
    """The folder that a package will be imported from, or None."""
    places = getattr(find_spec(package), "submodule_search_locations", None)
    return Path(places[0]) if places else None


KERNELS = Sources("fastml.kernels", folder_of("fastml.kernels"))
