"""``import fastml``: light, whatever of it is imported first."""

import importlib.util
import inspect
import subprocess
import sys

import pytest

import fastml


def printed(code):
    """What a new process prints that runs this code."""
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


@pytest.mark.parametrize("module", ["fastml", "fastml.cli"])
def test_importing_the_package_or_the_command_imports_no_library(module):
    heavy = "{'numpy', 'numba', 'llvmlite', 'polars', 'sklearn', 'matplotlib'}"
    assert printed(f"import sys, {module}; print({heavy} & sys.modules.keys() or 'none')") == "none"


# What needs more than the core, and of which libraries; the commands that need nothing more have tests of their own.
WITH_EXTRAS = {"commands", "plots", "reading", "series", "sklearn", "tables"}
EXTRAS = {"joblib", "matplotlib", "narwhals", "pandas", "polars", "scipy", "sklearn"}


def test_every_module_can_be_the_first():
    """As if in a process of its own: all that is fastml's is forgotten before each. Extras may be missing."""
    code = """
import importlib, pkgutil, sys, fastml
own = lambda: [name for name in sys.modules if name.split(".")[0] == "fastml"]
names = [m.name for m in pkgutil.walk_packages(fastml.__path__, "fastml.") if not m.name.endswith("__main__")]
for name in names:
    for known in own():
        del sys.modules[known]
    try:
        importlib.import_module(name)
    except ModuleNotFoundError as error:
        print(name, error.name)
print(len(names))
"""
    *missing, count = printed(code).splitlines()
    assert int(count) > 100
    for line in missing:
        name, library = line.split()
        assert name.split(".")[1] in WITH_EXTRAS and library.split(".")[0] in EXTRAS, line


@pytest.mark.parametrize(
    "code, name",
    [
        ("import fastml; print(fastml.Dense.__name__)", "Dense"),
        ("from fastml import Dense; print(Dense.__name__)", "Dense"),
        ("from fastml import *; print(Dense.__name__)", "Dense"),
        ("import fastml; print(fastml.losses.__name__)", "fastml.losses"),
        ("from fastml import losses; print(losses.__name__)", "fastml.losses"),
        ("import fastml; print(fastml.sklearn.__name__)", "fastml.sklearn"),
        ("import fastml.gradients; print(fastml.gradient_check.__name__)", "gradient_check"),
        ("import fastml; print({'sklearn', 'Dense'} < set(dir(fastml)), 'plan' in dir(fastml))", "True False"),
        ("import fastml; print(all(hasattr(fastml, name) for name in dir(fastml)))", "True"),
        ("import fastml; print(hasattr(fastml, 'nothing'), hasattr(fastml, '__wrapped__'))", "False False"),
    ],
)
def test_names_are_there_however_they_are_asked_for(code, name):
    assert printed(code) == name


def test_no_public_name_is_that_of_a_module():
    """Which Python would put in its place once it is imported."""
    for name in fastml.__all__:
        assert inspect.ismodule(getattr(fastml, name)) or name == "__version__" or not is_module(name), name


def is_module(name):
    return importlib.util.find_spec(f"fastml.{name}") is not None


def test_what_is_missing_is_told_at_the_first_import_too():
    code = "try:\n    from fastml import Conv2D\nexcept ImportError as error:\n    print(error)"
    assert "the nearest is Dense" in printed(code)
