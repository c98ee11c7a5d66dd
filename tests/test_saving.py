"""Models in files: they come back as they were, go on as if they had never stopped, and damage is told."""

import copy
import json
import os
import pickle
import re
import struct
from pathlib import Path

import numpy as np
import pytest
from helpers import batch_for, make_data, make_model, same_bits
from safetensors import safe_open
from safetensors.numpy import save as pack

import fastml
from fastml import (
    ACTIVATIONS,
    L1L2,
    LOSSES,
    OPTIMIZERS,
    SCHEDULES,
    SGD,
    Activation,
    Adam,
    AdamW,
    BatchNormalization,
    CosineDecay,
    CosineLog,
    Dense,
    Dropout,
    ExponentialDecay,
    Huber,
    ModelFileError,
    Normalization,
    OneCycle,
    PiecewiseConstantDecay,
    Schedule,
    Sequential,
    StepDecay,
)
from fastml.files.saving import VERSION, digest, write_atomically
from fastml.program.compiled import DTYPES

GOLDEN = sorted((Path(__file__).parent / "models").glob("*.safetensors"))


def again(model, tmp_path, **arguments):
    """The model after its way through a file."""
    model.save(tmp_path / "m.safetensors", **arguments)
    return fastml.load(tmp_path / "m.safetensors")


def rich_model(dtype="float32", **arguments):
    """A trained model with all kinds of layers and arguments, and its data."""
    x, y = make_data("sparse_categorical_crossentropy")
    penalty = L1L2(0.001, 0.002)
    layers = [
        Normalization("robust"),
        Dense(7, Activation("elu", 0.5), kernel_initializer="he_normal", bias_initializer=0.25),
        BatchNormalization(0.8, 1e-4),
        Dropout(0.25),
        Dense(4, "gelu", kernel_initializer=np.linspace(-0.1, 1 / 3, 28).reshape(7, 4), kernel_regularizer=penalty),
        Dense(3, "softmax"),
    ]
    model = Sequential(layers, dtype=dtype, seed=2**64 - 1)
    optimizer = AdamW(CosineDecay(0.01, steps=100, warmup_steps=3), global_clipnorm=1.0)
    model.compile(optimizer, fastml.SparseCategoricalCrossentropy(label_smoothing=0.1), ["accuracy"], **arguments)
    model.fit(x, y, batch_size=16, epochs=3, verbose=0)
    return model, x, y


@pytest.mark.parametrize("dtype", DTYPES)
def test_a_model_comes_back_as_it_was(dtype, tmp_path):
    model, x, y = rich_model(dtype)
    other = again(model, tmp_path)
    assert repr(other) == repr(model) and repr(other.optimizer) == repr(model.optimizer)
    assert (other.dtype, other.seed, other.input_dim) == (model.dtype, model.seed, model.input_dim)
    assert (other.metrics, other.executor, repr(other.loss)) == (model.metrics, model.executor, repr(model.loss))
    assert same_bits(other.get_weights(), model.get_weights())
    assert same_bits([other.predict(x)], [model.predict(x)])
    assert other.evaluate(x, y) == model.evaluate(x, y)


def test_what_a_layer_was_made_with_comes_back(tmp_path):
    model, *_ = rich_model()
    first, batch_norm, drop, second = again(model, tmp_path).layers[1:5]
    assert first.function.alpha == 0.5 and (batch_norm.momentum, batch_norm.epsilon, drop.rate) == (0.8, 1e-4, 0.25)
    assert (second.kernel_regularizer.l1, second.kernel_regularizer.l2) == (0.001, 0.002)
    fresh = [Sequential(copy.deepcopy(m.layers), input_dim=5, seed=3) for m in (model, again(model, tmp_path))]
    assert same_bits(*(m.get_weights() for m in fresh))  # the same start, by initializers, numbers and arrays


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("executor", ["compiled", "numpy"])
def test_training_goes_on_with_the_same_bits(executor, dtype, tmp_path):
    model, x, y = rich_model(dtype, executor=executor)
    other = again(model, tmp_path)
    logs = [m.fit(x, y, batch_size=16, epochs=2, verbose=0).history for m in (model, other)]
    assert logs[0] == logs[1] and same_bits(model.get_weights(), other.get_weights())


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_goes_on(name, tmp_path):
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer=name)
    batch = batch_for(name, len(x), 20)
    model.fit(x, y, batch_size=batch, epochs=3, verbose=0)
    other = again(model, tmp_path)
    for m in (model, other):
        m.fit(x, y, batch_size=batch, epochs=3, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_comes_back(loss, tmp_path):
    x, y = make_data(loss)
    model = make_model(loss)
    model.fit(x, y, verbose=0)
    assert again(model, tmp_path).evaluate(x, y) == model.evaluate(x, y)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_every_activation_comes_back(name, tmp_path):
    x, _ = make_data("mean_squared_error")
    model = Sequential([Dense(4, name), Dense(2)], input_dim=5, seed=1)
    assert same_bits([again(model, tmp_path).predict(x)], [model.predict(x)])


RATES = {
    "step": StepDecay(0.1, 7),
    "exponential": ExponentialDecay(0.1, 10, 0.9, staircase=True),
    "cosine": CosineDecay(0.1, final=0.001),
    "one_cycle": OneCycle(0.1, 50),
    "cosine_log": CosineLog(0.1, 30, 3, 0.01),
    "piecewise_constant": PiecewiseConstantDecay([10, 20], [0.1, 0.05, 0.01]),
}


@pytest.mark.parametrize("name", SCHEDULES)
def test_every_schedule_comes_back(name, tmp_path):
    model = Sequential([Dense(1)], input_dim=2)
    model.compile(SGD(RATES[name], momentum=0.9, nesterov=True, clipvalue=0.5), Huber(2.0))
    other = again(model, tmp_path)
    assert repr(other.optimizer) == repr(model.optimizer) and other.optimizer.nesterov and other.loss.delta == 2.0


def test_without_the_optimizer_its_state_is_new(tmp_path):
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer="adam")
    model.fit(x, y, verbose=0)
    other = again(model, tmp_path, include_optimizer=False)
    assert same_bits(other.get_weights(), model.get_weights())
    assert not other._engine.buffers.state.any() and other._engine.updates == 0
    with safe_open(tmp_path / "m.safetensors", "np") as file:
        assert not any(name.startswith("optimizer") for name in file.keys())


def test_a_model_that_was_not_compiled(tmp_path):
    model = Sequential([Dense(2)], input_dim=3, seed=1)
    other = again(model, tmp_path)
    assert other.loss is None and same_bits(other.get_weights(), model.get_weights())


def test_a_model_without_weights_has_nothing_to_save(tmp_path):
    with pytest.raises(RuntimeError, match="save needs weights"):
        Sequential([Dense(2)]).save(tmp_path / "m")
    assert not list(tmp_path.iterdir())


def test_statistics_that_are_not_known_yet_stay_unknown(tmp_path):
    other = again(Sequential([Normalization(), Dense(2)], input_dim=3), tmp_path)
    with pytest.raises(RuntimeError, match="statistics"):
        other.predict(np.ones((2, 3)))


def test_a_callback_can_save(tmp_path):
    """What it saves goes on like the training itself."""
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer="adam")

    class Save(fastml.Callback):
        def on_epoch_end(self, epoch, logs):
            if epoch == 2:
                self.model.save(tmp_path / "m.safetensors")

    model.fit(x, y, batch_size=16, epochs=5, verbose=0, callbacks=[Save()])
    other = fastml.load(tmp_path / "m.safetensors")
    other.fit(x, y, batch_size=16, epochs=2, verbose=0)
    assert same_bits(other.get_weights(), model.get_weights())


# What cannot be saved


class Mine(Schedule):
    def __init__(self, rate=0.1):
        self.hidden = rate

    def at(self, step, steps):
        return 0.1 + 0.0 * step


def test_objects_that_hide_their_arguments_are_refused_and_the_old_file_stays(tmp_path):
    path = tmp_path / "m.safetensors"
    model = Sequential([Dense(1)], input_dim=2)
    model.save(path)
    before = path.read_bytes()
    model.compile(Adam(Mine()))
    with pytest.raises(TypeError, match="Mine cannot be described: its argument 'rate' is no attribute"):
        model.save(path)
    assert path.read_bytes() == before and os.listdir(tmp_path) == ["m.safetensors"]


def test_a_write_that_fails_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "m"
    write_atomically(path, b"old")

    def full(descriptor):
        raise OSError("no space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(OSError, match="no space"):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old" and os.listdir(tmp_path) == ["m"]


FOREIGN_NAMES = ["m.h5", "m.keras", "m.hdf5", "M.H5", "m.weights.h5", "m.pt", "m.pth", "m.onnx", "m.tflite", "m.pb"]
FOREIGN_NAMES += ["m.ckpt", "m.bin", "m.json", "m.yaml", "m.pkl", "m.pickle", "m.joblib", "m.npz", "m.zip"]


@pytest.mark.parametrize("name", FOREIGN_NAMES)
def test_names_of_other_formats_are_refused(name, tmp_path):
    """By every way into a file, with the name to use; nothing is written."""
    model = Sequential([Dense(1)], input_dim=2)
    proposed = name[: name.rindex(".")] + ".safetensors"
    for way in (model.save, model.save_weights, fastml.ModelCheckpoint):
        with pytest.raises(ValueError, match=re.escape(f"use '{tmp_path / proposed}'")):
            way(tmp_path / name)
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["m.h5", "m.pkl", "m.joblib", "m.onnx"])
def test_names_of_other_formats_are_refused_for_estimators(name, tmp_path):
    pytest.importorskip("sklearn", reason="needs scikit-learn, the extra sklearn")
    from fastml.sklearn import MLPRegressor

    model = MLPRegressor(hidden_layer_sizes=(2,), max_iter=500, tol=0.5).fit(np.eye(20), np.arange(20.0))
    with pytest.raises(ValueError, match=re.escape("m.safetensors")):
        model.save(tmp_path / name)
    assert not list(tmp_path.iterdir())


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    target, link = tmp_path / "folder" / "m", tmp_path / "link"
    target.write_bytes(b"old")
    link.symlink_to(target)
    write_atomically(link, b"new")
    assert link.is_symlink() and target.read_bytes() == b"new"


def test_a_folder_that_is_not_there(tmp_path):
    with pytest.raises(FileNotFoundError):
        Sequential([Dense(1)], input_dim=2).save(tmp_path / "no" / "m.safetensors")
    with pytest.raises(FileNotFoundError):
        fastml.load(tmp_path / "m.safetensors")


# Files that are not what they should be


@pytest.fixture(scope="module")
def content(tmp_path_factory):
    """The bytes of a small file."""
    path = tmp_path_factory.mktemp("saving") / "m.safetensors"
    model = Sequential([Dense(2, "tanh"), Dense(1)], input_dim=3, seed=1)
    model.compile("adam")
    model.save(path)
    return path.read_bytes()


def load_bytes(content, folder):
    path = folder / "m.safetensors"
    path.write_bytes(content)
    return fastml.load(path)


def test_a_file_cut_anywhere(content, tmp_path):
    for length in range(0, len(content), 7):
        with pytest.raises(ModelFileError, match="m.safetensors"):
            load_bytes(content[:length], tmp_path)
    with pytest.raises(ModelFileError):
        load_bytes(content + b"\0", tmp_path)


def test_a_bit_flipped_anywhere(content, tmp_path):
    """In the header, the description or the numbers."""
    random = np.random.default_rng(0)
    for place in range(0, len(content), 3):
        changed = bytearray(content)
        changed[place] ^= 1 << int(random.integers(8))
        with pytest.raises(ModelFileError, match="m.safetensors"):
            load_bytes(bytes(changed), tmp_path)


FOREIGN = {
    "text": b"Once upon a time",
    "empty": b"",
    "pickle": pickle.dumps({"weights": [1, 2, 3]}),
    "zip": b"PK\x03\x04" + bytes(100),
    "safetensors of another": pack({"W": np.ones(3)}),
    "safetensors with metadata": pack({"W": np.ones(3)}, {"format": "pt"}),
    "huge header": struct.pack("<Q", 2**63) + b"{}",
}


@pytest.mark.parametrize("name", FOREIGN)
def test_a_foreign_file(name, tmp_path):
    with pytest.raises(ModelFileError, match="m.safetensors"):
        load_bytes(FOREIGN[name], tmp_path)


def forged(content, folder, change):
    """The file with another description, and a checksum that fits it."""
    path = folder / "whole.safetensors"
    path.write_bytes(content)
    with safe_open(path, "np") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}
        description = json.loads(file.metadata()["description"])
    change(description)
    text = json.dumps(description)
    return pack(tensors, {"format": "fastml", "description": text, "sha256": digest(text, tensors)})


def test_a_newer_file(content, tmp_path):
    newer = forged(content, tmp_path, lambda d: d.update(version=VERSION + 1, fastml="9.9"))
    with pytest.raises(ModelFileError, match=f"fastml 9.9, in version {VERSION + 1}"):
        load_bytes(newer, tmp_path)


FORGERIES = {
    "a class of another package": lambda d: d["layers"][0].update({"class": "os.system"}),
    "a class that is no layer": lambda d: d["layers"].insert(0, {"class": "Adam", "arguments": {}}),
    "a layer too many": lambda d: d["layers"].append(d["layers"][0]),
    "another width": lambda d: d.update(input_dim=4),
    "a width beyond all memory": lambda d: d["layers"][0]["arguments"].update(units=2**31 - 1),
    "an argument too many": lambda d: d["layers"][0]["arguments"].update(command="rm"),
    "a missing entry": lambda d: d.pop("layers"),
    "a negative rate": lambda d: d["compiled"]["optimizer"]["arguments"].update(learning_rate=-1),
    "no dtype": lambda d: d.update(dtype="object"),
    "no version": lambda d: d.pop("version"),
    "a version that is no number": lambda d: d.update(version="1"),
    "epochs that are no number": lambda d: d.update(epochs="many"),
    "updates that are no number": lambda d: d["training"].update(updates=[1]),
    "no description": lambda d: d["layers"].__setitem__(0, {"class": "Dense"}),
}


@pytest.mark.parametrize("name", FORGERIES)
def test_a_forged_description(name, content, tmp_path):
    with pytest.raises(ModelFileError, match="m.safetensors"):
        load_bytes(forged(content, tmp_path, FORGERIES[name]), tmp_path)


@pytest.mark.parametrize("path", GOLDEN, ids=lambda path: path.stem)
def test_files_of_older_versions_are_read(path):
    """Each holds the outputs that its model had for rows of equal steps; see `make_golden_model.py`."""
    model = fastml.load(path)
    x = np.linspace(-2, 2, 4 * model.input_dim).reshape(4, model.input_dim)
    with safe_open(path.with_suffix(".outputs"), "np") as file:
        expected = file.get_tensor("outputs")
    np.testing.assert_allclose(model.predict(x), expected, rtol=1e-5)


def test_there_is_a_file_of_every_version():
    assert {path.stem for path in GOLDEN} >= {f"version_{k}" for k in range(1, VERSION + 1)}
