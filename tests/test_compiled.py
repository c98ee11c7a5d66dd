"""The compiled executor: when it is compiled, where it is kept, and that it is never stale.

The first compilation takes about ten seconds, so the tests that need one share it: a copy of the package is installed
where it cannot be written to, compiles into the user's cache folder, is found there again, and is compiled anew once a
kernel has changed. Folders are closed to writing by permissions and, since those do not stop root, by a file that
stands where a folder would have to be made.
"""

import json
import os
import pty
import select
import shutil
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from helpers import make_data, make_model, metric_for
from numba.core import event

import fastml
from fastml import kernels
from fastml.program import code_cache, compiled

REPORT = """
    import json, os, warnings
    from numba.core import event
    compilations = []
    class Count(event.Listener):
        def on_start(self, started): compilations.append(str(started.data["dispatcher"]))
        def on_end(self, ended): pass
    event.register("numba:compile", Count())
    import fastml
    fastml.Sequential  # by which the kernels are imported
    at_import = len(compilations)
    BEFORE
    def train(layers, dtype="float32", optimizer="sgd", loss="mean_squared_error", width=2):
        model = fastml.Sequential(layers, seed=1, dtype=dtype, input_dim=width)
        model.compile(optimizer, loss)
        before = model.get_weights()
        x = [[(i * j) % 5 for j in range(width)] for i in range(9)]
        y = [i % 2 for i in range(9)] if "sparse" in loss else [[i % 2] * layers[-1].units for i in range(9)]
        model.fit(x, y, epochs=3, verbose=0)
        return any((a != b).any() for a, b in zip(before, model.get_weights()))
    with warnings.catch_warnings(record=True) as warned:
        warnings.simplefilter("always")
        learned = train([fastml.Dense(2, "tanh"), fastml.Dense(1)])
    report = {
        "file": fastml.__file__, "at_import": at_import, "compilations": len(compilations), "learned": learned,
        "warnings": [f"{w.category.__name__}: {w.message}" for w in warned],
    }
"""


def report(code="", before="", **arguments):
    """What a new process says that imports fastml, runs `before`, trains a small net, and runs `code`."""
    script = textwrap.dedent(REPORT.replace("BEFORE", before)) + textwrap.dedent(code) + "\nprint(json.dumps(report))"
    result = subprocess.run(
        [sys.executable, "-c", script], stdout=subprocess.PIPE, text=True, timeout=600, check=True, **arguments
    )
    return json.loads(result.stdout)


class Terminal:
    """A pseudo-terminal to give to a process as its standard error."""

    def __enter__(self):
        self.master, self.slave = pty.openpty()
        return self

    def text(self):
        shown = b""
        while select.select([self.master], [], [], 0)[0]:
            shown += os.read(self.master, 65536)
        return shown.decode()

    def __exit__(self, *error):
        os.close(self.master)
        os.close(self.slave)


class Install:
    """A copy of the package that is read-only, and a home for the user who runs it."""

    def __init__(self, root):
        self.site, self.home = root / "site", root / "home"
        ignore = shutil.ignore_patterns("__pycache__")
        shutil.copytree(Path(fastml.__file__).parent, self.site / "fastml", ignore=ignore)
        self.kernels = self.site / "fastml" / "kernels"
        shutil.copytree(Path(kernels.__file__).parent, self.kernels, ignore=ignore, dirs_exist_ok=True)
        (self.kernels / "__pycache__").write_text("a file, so that no folder can be made here")
        self.home.mkdir()
        self.permit(0o555, 0o444)

    def permit(self, folders, files):
        for path in (self.site, *self.site.rglob("*")):
            path.chmod(folders if path.is_dir() else files)

    @property
    def change_kernel(self):
        """Code that gives a kernel another body, and its file the same time as before."""
        source = "\n\nsgd_step = elementwise(lambda W, dW, keep, minus_rate: W)\n"
        path = str(self.kernels / "sgd.py")
        return (
            f"path, times = {path!r}, os.stat({path!r}); os.chmod(path, 0o644); open(path, 'a').write({source!r}); "
            "os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns)); os.chmod(path, 0o444)"
        )

    def report(self, code="", **arguments):
        keep = {k: v for k, v in os.environ.items() if k not in ("NUMBA_CACHE_DIR", "XDG_CACHE_HOME")}
        paths = {"HOME": str(self.home), "PYTHONPATH": str(self.site), "PYTHONDONTWRITEBYTECODE": "1"}
        result = report(code, cwd=self.home, env={**keep, **paths}, **arguments)
        assert Path(result["file"]).is_relative_to(self.site)
        return result


@pytest.fixture
def install(tmp_path):
    install = Install(tmp_path)
    yield install
    install.permit(0o755, 0o644)
    install.home.chmod(0o755)


def test_read_only_install(install):
    """It compiles once, into the user's cache folder, says what in one line, and follows a changed kernel."""
    with Terminal() as terminal:
        first = install.report(stderr=terminal.slave)
        shown = terminal.text()
    assert first["learned"] and first["at_import"] == 0 and first["compilations"] > 0 and first["warnings"] == []
    assert "\n" not in shown and shown.endswith("\r\x1b[K"), "the line is empty again"
    assert "fastml: compiling dense_forward, once on this machine …" in shown
    kept = [path for path in (install.home / ".cache").rglob("*") if path.is_file()]
    assert len(kept) > 5 and {path.suffix for path in kept} == {".nbc"}
    assert not list(install.site.rglob("*.nbc"))

    with Terminal() as terminal:
        second = install.report(stderr=terminal.slave)
        assert terminal.text() == ""
    assert second["learned"] and second["compilations"] == 0

    # A process that has imported the old kernels runs these, and keeps them for nobody else.
    third = install.report(before=install.change_kernel, stderr=subprocess.PIPE)
    assert third["learned"] and third["compilations"] == 0 and third["warnings"] == []

    changed = install.report(stderr=subprocess.PIPE)
    assert not changed["learned"], "the changed kernel does nothing, so machine code of the old one ran"
    assert changed["compilations"] > 0


def test_no_folder_to_write_to(install):
    """A warning, and the training goes on with what this process compiled. No terminal, no line."""
    (install.home / ".cache").write_text("a file, so that no folder can be made here")
    install.home.chmod(0o555)
    result = install.report(stderr=subprocess.PIPE)
    assert result["learned"] and result["compilations"] > 0
    assert len(result["warnings"]) == 1
    assert result["warnings"][0].startswith("RuntimeWarning:") and "NUMBA_CACHE_DIR" in result["warnings"][0]


def test_a_new_process_with_a_warm_cache_compiles_nothing():
    """Whatever the model. Importing fastml loads nothing from the cache either."""
    for dtype in compiled.DTYPES:
        compiled.warmup(dtype)
    result = report("""
        assert not fastml.program.linking.compiled
        for layers, arguments in (
            ([fastml.Dense(3, "relu"), fastml.Dense(2, "softmax")], {"loss": "sparse_categorical_crossentropy"}),
            ([fastml.Dense(65, "sigmoid"), fastml.Dense(9, "tanh"), fastml.Dense(1, "sigmoid")],
             {"loss": "binary_crossentropy", "optimizer": "adam", "width": 33}),
            ([fastml.Dense(3, "softmax"), fastml.Activation("relu"), fastml.Dense(4)], {"dtype": "float64"}),
        ):
            assert train(layers, **arguments)
        report["compilations"] = len(compilations)
    """)
    assert result["learned"] and result["compilations"] == 0


def test_a_warm_cache_that_nothing_can_be_written_to(tmp_path, monkeypatch):
    """As in an image of a container: compiled code is used, and nobody is warned."""
    pytest.importorskip("resource", reason="limits the size of files, as POSIX systems do")
    compiled.warmup("float32")
    warm = compiled.cache_folder()
    monkeypatch.setattr(code_cache.config, "CACHE_DIR", str(tmp_path))
    shutil.copytree(warm, code_cache.folders(fastml.kernels.executor.__file__)[0])
    result = report(
        before="import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))",
        code="report['folder'] = str(fastml.program.compiled.cache_folder())",
        env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)},
    )
    assert result["learned"] and result["compilations"] == 0 and result["warnings"] == []
    assert Path(result["folder"]).parent == tmp_path


def test_importing_compiles_and_loads_nothing():
    result = subprocess.run(
        [sys.executable, "-c", "import fastml.program.linking; print(fastml.program.linking._addresses)"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert result.stdout == "{}\n", "kernels were asked for at import"


def test_another_architecture_compiles_nothing():
    """Depth and widths are data to the kernels; once all of these are compiled, nothing is for any model."""
    compiled.warmup()
    compilations = []

    class Count(event.Listener):
        def on_start(self, started):
            compilations.append(started.data["dispatcher"])

        def on_end(self, ended):
            pass

    with event.install_listener("numba:compile", Count()):
        for activation in fastml.ACTIVATIONS:
            for loss in fastml.LOSSES:
                for optimizer in fastml.OPTIMIZERS:
                    x, y = make_data(loss, d_in=17, units=6)
                    x *= 0.01  # an exponential of exponentials overflows soon
                    model = make_model(loss, optimizer, activation, units=6, metrics=[metric_for(loss)])
                    model.fit(x, y, verbose=0, validation_split=0.5)
                    model.predict(x)
                    model.gradients(x, y)
        layers = [fastml.Dense(width) for width in (1, 2, 100, 3)]
        deep = fastml.Sequential(layers, dtype="float64")
        deep.compile()
        deep.fit(x, x[:, :3], verbose=0)
    assert compilations == []


def test_only_what_a_model_needs_is_compiled(tmp_path):
    """And it is kept, operation by operation: another activation compiles its own two functions alone."""
    code = """
        found = fastml.program.linking.compiled
        before = len(found)
        train([fastml.Dense(2, "gelu"), fastml.Dense(1)])
        report["first"], report["second"] = found[:before], found[before:]
    """
    result = report(code, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)})
    names = [name for name, _ in result["first"]]
    assert {"executor", "dense_forward", "tanh", "tanh_slope", "sgd_update"} <= set(names)
    assert not {"adam_update", "dropout_forward", "relu", "gelu"} & set(names) and len(names) < 20
    assert result["second"] == [["gelu", "float32"], ["gelu_slope", "float32"]]
    again = report(code, env={**os.environ, "NUMBA_CACHE_DIR": str(tmp_path)})
    assert again["first"] == again["second"] == []


def test_warmup_says_what_it_compiled():
    """After a first call nothing is left to do."""
    compiled.warmup()
    assert compiled.warmup() == {"float32": False, "float64": False}
    assert compiled.warmup("float64") == {"float64": False}
