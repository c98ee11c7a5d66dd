"""What the source files promise each other."""

import ast
import inspect
from pathlib import Path

import pytest

import fastml
from fastml import kernels

KERNELS = sorted(Path(kernels.__file__).parent.glob("*.py"))
PACKAGE = sorted(Path(fastml.__file__).parent.rglob("*.py"))
MOST_LINES = 300  # of a file
MOST_OF_A_FUNCTION = {"fastml": 60, "kernels": 40}  # its docstring not counted


def tree(path):
    return ast.parse(path.read_text(encoding="utf-8"))


def name_of(path):
    return f"{path.parent.name}/{path.name}"


def compiled_functions():
    """Each function below @njit in the kernels, also nested ones, with the decorator's keywords."""
    for path in KERNELS:
        for node in ast.walk(tree(path)):
            for decorator in getattr(node, "decorator_list", ()):
                function = decorator.func if isinstance(decorator, ast.Call) else decorator
                if ast.unparse(function).split(".")[-1] in ("njit", "jit"):
                    keywords = decorator.keywords if isinstance(decorator, ast.Call) else []
                    yield pytest.param(node, keywords, id=f"{path.stem}.{node.name}")


@pytest.mark.parametrize("path", KERNELS, ids=name_of)
def test_kernels_import_nothing_of_ours_above_them(path):
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: relative import"
            modules = [f"{node.module}.{alias.name}" for alias in node.names]
        else:
            continue
        for module in modules:
            ours = module.split(".")[0] in ("fastml", "kernels", "tests", "bench")
            assert not ours or module.startswith("fastml.kernels"), f"line {node.lineno} imports {module}"


@pytest.mark.parametrize("node, keywords", list(compiled_functions()))
def test_compiled_functions_divide_like_numpy_and_keep_nan(node, keywords):
    """Without error_model="numpy" each division is a branch; fastmath=True folds isnan away."""
    values = {keyword.arg: keyword.value for keyword in keywords}
    assert "error_model" in values and ast.literal_eval(values["error_model"]) == "numpy"
    if "fastmath" in values:
        flags = ast.literal_eval(values["fastmath"])
        assert flags is False or (flags is not True and not {"nnan", "ninf", "fast"} & set(flags))


@pytest.mark.parametrize("node, keywords", list(compiled_functions()))
def test_kernels_say_what_they_do(node, keywords):
    assert ast.get_docstring(node)


@pytest.mark.parametrize("path", KERNELS + PACKAGE, ids=name_of)
def test_files_are_short_and_say_what_they_hold(path):
    assert len(path.read_text(encoding="utf-8").splitlines()) <= MOST_LINES
    assert ast.get_docstring(tree(path))


@pytest.mark.parametrize("name", [name for name in fastml.__all__ if name != "__version__"])
def test_public_names_exist_and_say_what_they_do(name):
    thing = getattr(fastml, name)
    if inspect.isclass(thing) or inspect.isfunction(thing):
        assert (thing.__doc__ or "").strip()
        for method, function in vars(thing).items() if inspect.isclass(thing) else ():
            inherited = any(getattr(getattr(base, method, None), "__doc__", None) for base in thing.__mro__[1:])
            simple = method in ("set_model", "constants")
            if inspect.isfunction(function) and not method.startswith("_") and not inherited and not simple:
                assert (function.__doc__ or "").strip(), f"{name}.{method} has no docstring"
    elif inspect.ismodule(thing):
        assert thing.__doc__
        for function in vars(thing).values():
            if inspect.isfunction(function) and function.__module__.startswith(thing.__name__):
                assert function.__name__.startswith("_") or (function.__doc__ or "").strip()
    else:
        assert isinstance(thing, dict) and thing


@pytest.mark.parametrize("registry", [name for name in fastml.__all__ if name.isupper() and name.endswith("S")])
def test_registries_are_plain_dicts_of_lower_case_names(registry):
    entries = getattr(fastml, registry)
    assert type(entries) is dict
    assert all(name == name.lower() and name.isidentifier() for name in entries)


def test_public_names_are_listed_once():
    assert len(set(fastml.__all__)) == len(fastml.__all__)


def test_initializers_say_what_they_do():
    for initializer in fastml.INITIALIZERS.values():
        assert initializer.__doc__


def functions(path):
    """The functions of a file, with the number of lines of each, its docstring not counted."""
    for node in ast.walk(tree(path)):
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)):
            first = node.body[0]
            docstring = first.end_lineno - first.lineno + 1 if ast.get_docstring(node) is not None else 0
            yield node.name, node.end_lineno - node.lineno + 1 - docstring


@pytest.mark.parametrize("path", [*PACKAGE, *KERNELS], ids=name_of)
def test_functions_fit_on_a_screen(path):
    most = MOST_OF_A_FUNCTION["kernels" if path in KERNELS else "fastml"]
    assert not {name: lines for name, lines in functions(path) if lines > most}


def module_of(path):
    root = Path(fastml.__file__).parent
    parts = path.relative_to(root).with_suffix("").parts if root in path.parents else ("kernels", path.stem)
    return ".".join(("fastml", *parts)).removesuffix(".__init__")


def imports():
    """A dict from each module of fastml to those that it imports, also late, within its functions."""
    paths = {module_of(path): path for path in {*PACKAGE, *KERNELS}}
    found = {}
    for name, path in paths.items():
        wanted = set()
        for node in ast.walk(tree(path)):
            if isinstance(node, ast.ImportFrom):
                inside = [f"{node.module}.{alias.name}" for alias in node.names]  # modules, or what the module has
                wanted |= {one if one in paths else node.module for one in inside}
            elif isinstance(node, ast.Import):
                wanted |= {alias.name for alias in node.names}
        found[name] = wanted & paths.keys() - {name, "fastml"}
    return found


def test_imports_make_no_circle():
    """Not even late ones. What is left once modules that import nothing that is left are gone is a circle."""
    left = imports()
    assert len(left) > 150 and "fastml.kernels.simd" in left["fastml.kernels.sweeps"]
    while free := [name for name, wanted in left.items() if not wanted & left.keys()]:
        for name in free:
            del left[name]
    assert not left, f"a circle among {sorted(left)}"
