"""All operations of fastml's: to import this is to know them, as each file of this folder is imported."""

from importlib import import_module
from pkgutil import iter_modules

from fastml import kernels
from fastml.kernels.operation import OPERATIONS as OPERATIONS

for module in iter_modules(kernels.__path__):
    if module.name != __name__.rpartition(".")[2]:
        import_module(f"fastml.kernels.{module.name}")
