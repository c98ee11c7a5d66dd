"""fastml: trains dense neural networks on the CPU, fast.

A `Sequential` model is a description; it is lowered to a program, a table of instructions, and one compiled executor
runs the programs of all models. Start with `Sequential`, or with ``fastml demo`` on the command line.

`fastml.api` lists the public names. It imports Numba, so it waits until the first of them is asked for.
"""

from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING

from fastml.program import sources  # noqa: F401

if TYPE_CHECKING:
    from fastml.api import *  # noqa: F403
else:

    def __getattr__(name):
        """A module of fastml or a public name; of others `fastml.telling` has what there is to say."""
        if name.startswith("__") and name not in ("__all__", "__version__"):  # which Python itself asks for
            raise AttributeError(f"module 'fastml' has no attribute '{name}'")
        if find_spec(f"fastml.{name}"):
            return import_module(f"fastml.{name}")
        api = import_module("fastml.api")
        if name in api.__all__ or name == "__all__":
            return globals().setdefault(name, getattr(api, name))
        return api.missing(name)

    def __dir__():
        api = import_module("fastml.api")
        return [*api.__all__, *api.MODULES]
