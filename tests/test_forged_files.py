"""Model files that somebody forged, with a checksum that fits, and tables that are meant to do harm, are refused."""

import contextlib
import json
import math
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from helpers import make_data, same_bits
from safetensors import safe_open
from safetensors.numpy import save as pack

import fastml
from fastml import (
    OPTIMIZERS,
    Adam,
    BatchNormalization,
    Dense,
    Embedding,
    ModelFileError,
    Normalization,
    Rprop,
    Sequential,
)
from fastml.files.checks import MOST_LAYERS
from fastml.files.saving import digest

resource = pytest.importorskip("resource", reason="needs a system that tells how much memory a process took")
FUZZER = Path(__file__).parent / "faults" / "fuzz_files.py"
LAYERS = [BatchNormalization(), Dense(4, "tanh"), Dense(3)]


def peak():
    """Most bytes of memory that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * (1024 if sys.platform == "linux" else 1)


def make_file(path, optimizer="adam"):
    """A file of a small trained model."""
    x, y = make_data("mean_squared_error")
    model = Sequential(LAYERS, seed=1)
    model.compile(OPTIMIZERS[optimizer]() if isinstance(optimizer, str) else optimizer)
    model.fit(x, y, batch_size=len(x), epochs=2, verbose=0)
    model.save(path)
    return model


def read(path):
    """Tensors and description of a file."""
    with safe_open(path, "np") as file:
        return {name: file.get_tensor(name) for name in file.keys()}, json.loads(file.metadata()["description"])


def write(path, tensors, text):
    """A file with the checksum of what is in it."""
    tensors = {name: np.ascontiguousarray(array) for name, array in tensors.items()}
    path.write_bytes(pack(tensors, {"format": "fastml", "description": text, "sha256": digest(text, tensors)}))


def refused(path):
    """The error of a file that is refused at once, without much memory."""
    start, before = time.perf_counter(), peak()
    with pytest.raises(ModelFileError, match=path.name) as caught:
        fastml.load(path)
    assert time.perf_counter() - start < 20 and len(str(caught.value)) < 1000
    assert peak() - before < 5e8
    assert not isinstance(caught.value.__cause__, MemoryError)
    return str(caught.value)


def set_to(value):
    def change(array):
        array.flat[-1] = value
        return array

    return change


TENSORS = {
    "NaN in a weight": ("adam", "weights.1.W", set_to(np.nan)),
    "an infinite bias": ("adam", "weights.2.b", set_to(-np.inf)),
    "a negative variance": ("adam", "weights.0.variance", set_to(-1e-3)),
    "NaN in a moment": ("adam", "optimizer.0.1.W", set_to(np.nan)),
    "an infinite second moment": ("adam", "optimizer.1.2.b", set_to(np.inf)),
    "a negative second moment": ("adam", "optimizer.1.1.W", set_to(-1e-9)),
    "a negative mean square": ("rmsprop", "optimizer.0.1.W", set_to(-1)),
    "a negative sum of squares": ("adagrad", "optimizer.0.1.W", set_to(-1)),
    "a step of 0": ("rprop", "optimizer.1.1.W", set_to(0)),
    "a step that is too long": ("rprop", "optimizer.1.1.W", set_to(51)),
    "another dtype": ("adam", "weights.1.W", lambda array: array.astype(np.float64)),
    "whole numbers": ("adam", "weights.1.W", lambda array: array.astype(np.int32)),
    "complex numbers": ("adam", "optimizer.0.1.W", lambda array: array.astype(np.complex64)),
    "a transposed state": ("adam", "optimizer.0.1.W", np.transpose),
    "a state that broadcasts": ("adam", "optimizer.0.1.W", lambda array: array[:1]),
    "an empty weight": ("adam", "weights.1.W", lambda array: array[:0]),
}


@pytest.mark.parametrize("case", TENSORS)
def test_a_forged_tensor_is_named(case, tmp_path):
    optimizer, name, change = TENSORS[case]
    path = tmp_path / "m.safetensors"
    make_file(path, optimizer)
    tensors, description = read(path)
    tensors[name] = change(tensors[name].copy())
    write(path, tensors, json.dumps(description))
    assert name in refused(path)


def test_tensors_that_are_missing_or_too_many(tmp_path, monkeypatch):
    path = tmp_path / "m.safetensors"
    make_file(path)
    tensors, description = read(path)
    for change, name in (
        ({"weights.9.W": np.zeros(3, np.float32)}, "weights.9.W"),
        ({"../../escape": np.zeros(3, np.float32)}, "../../escape"),
        ({"weights.1.W": None}, "weights.1.W"),
        ({"optimizer.1.2.b": None}, "optimizer.1.2.b"),
    ):
        changed = {name: array for name, array in (tensors | change).items() if array is not None}
        write(path, changed, json.dumps(description))
        assert f"tensor {name} is " in refused(path)
    monkeypatch.setattr("fastml.files.saving.MOST_TENSORS", 20)  # of 2**17, which would take some seconds
    write(path, {f"w{k}": np.zeros(0) for k in range(21)}, json.dumps(description))
    assert "tensors, which are more" in refused(path)


def entry(path, value):
    """A change of a description that sets the entry at a path."""

    def change(description):
        for key in path[:-1]:
            description = description[key]
        description[path[-1]] = value

    return change


def embed(description):
    """An embedding of one column, and data of a billion others that no weights are for."""
    description.update(input_dim=2**30, compiled=None, training=None)
    description["layers"] = [fastml.files.description.describe(Embedding({0: 2}, 1))]


ADAM, LAYER = ("compiled", "optimizer", "arguments"), ("layers", 1, "arguments")
DESCRIPTIONS = {
    "a version that is true": entry(["version"], True),
    "version 0": entry(["version"], 0),
    "negative epochs": entry(["epochs"], -1),
    "epochs that are true": entry(["epochs"], True),
    "epochs beyond int64": entry(["epochs"], 2**63),
    "epochs in text": entry(["epochs"], "3"),
    "negative updates": entry(["training", "updates"], -5),
    "updates beyond int64": entry(["training", "updates"], 2**64),
    "a loss in text": entry(["training", "loss"], "nan"),
    "a loss that is true": entry(["training", "loss"], True),
    "a negative seed": entry(["seed"], -1),
    "a seed that is true": entry(["seed"], True),
    "a huge seed": entry(["seed"], 2**64),
    "no seed": entry(["seed"], 1.5),
    "fitted in text": entry(["fitted"], "yes"),
    "never fitted": entry(["fitted"], False),
    "another input_dim": entry(["input_dim"], 4),
    "no input_dim": entry(["input_dim"], None),
    "an input_dim that no weights are for": embed,
    "units that no weights are for": entry([*LAYER, "units"], 2**30),
    "units that are true": entry([*LAYER, "units"], True),
    "units in text": entry([*LAYER, "units"], "4"),
    "an initializer of another shape": entry([*LAYER, "kernel_initializer"], [[1.0, 2.0]]),
    "an initializer of text": entry([*LAYER, "kernel_initializer"], ["a"]),
    "a rate in text": entry([*ADAM, "learning_rate"], "0.1"),
    "a rate that is a layer": entry([*ADAM, "learning_rate"], {"class": "Dense", "arguments": {"units": 1}}),
    "steps beyond int64": entry(
        [*ADAM, "learning_rate"], {"class": "StepDecay", "arguments": {"learning_rate": 1, "decay_steps": 10**30}}
    ),
    "an optimizer that is a layer": entry(["compiled", "optimizer"], {"class": "Dense", "arguments": {"units": 1}}),
    "another optimizer": entry(["compiled", "optimizer"], {"class": "SGD", "arguments": {}}),
    "a function of Python": entry(["compiled", "optimizer"], {"class": "eval", "arguments": {"source": "1"}}),
    "a path as a class": entry(["layers", 1, "class"], "../../../bin/sh"),
    "a name of a method": entry(["layers", 1, "class"], "__init__"),
    "a compilation that is a list": entry(["compiled"], [1]),
    "a compilation that is empty": entry(["compiled"], {}),
    "training without an aim": entry(["compiled"], None),
    "training that is empty": entry(["training"], {}),
    "a metric twice": entry(["compiled", "metrics"], ["accuracy", "accuracy"]),
    "metrics that are no names": entry(["compiled", "metrics"], [["accuracy"]]),
    "half a character": entry([*LAYER, "activation"], "\ud800"),
    "very many layers": entry(
        ["layers"], [{"class": "Activation", "arguments": {"activation": "relu"}}] * (MOST_LAYERS + 1)
    ),
    "very many brackets": entry(["more"], [[]] * 2_000_000),
    "columns that are the same": entry(
        ["layers", 0],
        {"class": "Embedding", "arguments": {"columns": {"class": "dict", "arguments": {"0": 2, "00": 3}}}},
    ),
}


@pytest.mark.parametrize("case", DESCRIPTIONS)
def test_a_forged_description_is_refused(case, tmp_path):
    path = tmp_path / "m.safetensors"
    make_file(path)
    tensors, description = read(path)
    DESCRIPTIONS[case](description)
    write(path, tensors, json.dumps(description))
    refused(path)


TEXTS = {
    "NaN": lambda text: text.replace('"epochs": 2', '"epochs": 2, "x": NaN'),
    "infinity": lambda text: text.replace('"epochs": 2', '"epochs": 2, "x": -Infinity'),
    "a number beyond float64": lambda text: text.replace('"learning_rate": 0.001', '"learning_rate": 1e999'),
    "very many digits": lambda text: text.replace('"epochs": 2', '"epochs": ' + "2" * 10**6),
    "a key twice": lambda text: text.replace('"epochs": 2', '"epochs": 2, "epochs": 2'),
    "depth": lambda text: text.replace('"epochs": 2', '"epochs": ' + "[" * 40_000 + "]" * 40_000),
    "a list": lambda text: f"[{text}]",
    "nothing": lambda text: "",
}


@pytest.mark.parametrize("case", TEXTS)
def test_a_text_that_is_no_description_is_refused(case, tmp_path):
    path = tmp_path / "m.safetensors"
    make_file(path)
    tensors, description = read(path)
    text = json.dumps(description)
    assert TEXTS[case](text) != text
    write(path, tensors, TEXTS[case](text))
    refused(path)


def test_a_file_is_loaded_without_drawing_start_values(tmp_path, monkeypatch):
    """They took most of the time, and would let a file ask for more than its size: orthogonal ones are cubic."""
    path = tmp_path / "m.safetensors"
    model = make_file(path)
    monkeypatch.setattr("fastml.program.program.Streams", None)
    assert same_bits(fastml.load(path).get_weights(), model.get_weights())


@pytest.mark.parametrize("backtrack", [False, True])
def test_steps_beyond_bounds_that_were_narrowed_are_saved_within(backtrack, tmp_path):
    path = tmp_path / "m.safetensors"
    optimizer = Rprop(0.1, backtrack=backtrack)
    model = make_file(path, optimizer)
    optimizer.step_max, optimizer.step_min = 0.11, 0.09
    model.save(path)
    steps = np.concatenate([array.ravel() for name, array in read(path)[0].items() if name.startswith("optimizer.1.")])
    assert steps.min() == np.float32(0.09) or steps.max() == np.float32(0.11)
    x, y = make_data("mean_squared_error")
    fastml.load(path).fit(x, y, batch_size=len(x), verbose=0)


def test_states_at_their_bounds_come_back(tmp_path):
    """Second moments of 0, and steps as long as they may be."""
    path = tmp_path / "m.safetensors"
    for optimizer in (Adam(), Rprop(50.0), Rprop(1e-6)):
        model = Sequential([Normalization(), Dense(2)], input_dim=3, seed=1)
        model.compile(optimizer)
        model.save(path)
        assert same_bits([fastml.load(path)._engine.buffers.state], [model._engine.buffers.state])


# Tables


def test_parquet_that_unpacks_to_a_multiple(tmp_path, monkeypatch):
    """A few kilobytes for equal rows, or for a text of equal letters, or for a text that stands in many rows."""
    pl = pytest.importorskip("polars", reason="needs polars, the extra train")
    from fastml.commands import CommandError
    from fastml.commands.files import table as reader
    from fastml.commands.files.typed import read_table

    path = tmp_path / "t.parquet"
    monkeypatch.setattr(reader, "LEAST_LIMIT", 2**24)  # bytes, so that the test is fast
    for table in (
        pl.select(pl.repeat(0, 4_000_000, dtype=pl.Int32).alias("a")),
        pl.DataFrame({"a": ["x" * 50_000_000]}),
        pl.DataFrame({"a": ["x" * 30_000]}).select(pl.col("a").repeat_by(3_000).explode()),
    ):
        table.write_parquet(path, compression="zstd")
        before = peak()
        with pytest.raises(CommandError, match=r"t.parquet would take .* GB of memory"):
            read_table(path)
        assert path.stat().st_size < 100_000
        assert peak() - before < 1e8


def test_the_size_of_a_parquet_file_is_told_beforehand(tmp_path):
    pl = pytest.importorskip("polars", reason="needs polars, the extra train")
    from fastml.commands.files.parquet import unpacked_size

    rng, path = np.random.default_rng(0), tmp_path / "t.parquet"
    table = pl.DataFrame({"a": rng.normal(size=50_000), "b": [f"text {k}" for k in range(50_000)]})
    for compression in ("uncompressed", "snappy", "gzip", "zstd", "lz4"):
        table.write_parquet(path, compression=compression, row_group_size=20_000)
        assert 1 <= unpacked_size(path.read_bytes()) / table.estimated_size() <= 3
    content = path.read_bytes()
    endless = b"PAR1" + b"\x19\xf7" + b"\xff" * 8 + b"\x7f" + bytes(20)  # a list of 2**63 numbers of 8 bytes
    endless += (len(endless) - 4).to_bytes(4, "little") + b"PAR1"
    for damaged in (
        endless,
        b"",
        b"PAR1",
        content[:-9],
        content[:-8] + b"\xff\xff\xff\x7fPAR1",
        content[:40] + bytes(200),
    ):
        path.write_bytes(damaged or b"\0")
        with pytest.raises(ValueError):
            unpacked_size(path.read_bytes())


def test_a_text_file_that_is_packed_or_very_wide(tmp_path):
    pytest.importorskip("polars", reason="needs polars, the extra train")
    from fastml.commands import CommandError
    from fastml.commands.files.typed import read_table

    path = tmp_path / "t.csv"
    for content, message in (
        (b"\x1f\x8b\x08\x01\x01\x01\x01\x01", "cannot be unpacked"),
        (b"x\x9c\x01\x01", "is not a text file"),
        (b'"a\n",' + b"," * 200_000 + b"\n1\n", "has more than 100000 columns"),
    ):
        path.write_bytes(content)
        with pytest.raises(CommandError, match=message):
            read_table(path)


@pytest.mark.skipif(sys.platform != "linux", reason="limits memory in Linux's way")
def test_damaged_and_forged_files_of_a_fresh_seed(capsys):
    """What `tests/faults/fuzz_files.py` finds is wrong; it prints its seed, with which it finds it again."""
    pytest.importorskip("polars", reason="needs polars, the extra train")
    pytest.importorskip("sklearn", reason="needs scikit-learn, the extra train")
    command = [sys.executable, str(FUZZER), "--files", "100"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=600)
    with capsys.disabled() if done.returncode else contextlib.nullcontext():
        print(done.stdout, done.stderr)
    assert done.returncode == 0 and done.stdout.startswith("seed ")
    assert math.isclose(sum(int(line.split()[1]) for line in done.stdout.splitlines()[-4:]), 400)
