"""Callbacks that write files: checkpoints, tables, and what TensorBoard reads."""

import csv
import importlib.util
import sys

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits

import fastml
from fastml import SGD, CSVLogger, LearningRateScheduler, ModelCheckpoint, StepDecay, TensorBoard

TENSORBOARD = pytest.mark.skipif(not importlib.util.find_spec("tensorboardX"), reason="tensorboardX is not installed")


def trained(callback, epochs=4, metrics=("mean_absolute_error",), optimizer="adam"):
    """A model after a training with the callback, its data and history."""
    x, y = make_data("mean_squared_error")
    model = make_model(optimizer=optimizer, metrics=metrics)
    history = model.fit(x, y, batch_size=16, epochs=epochs, verbose=0, callbacks=[callback], validation_split=0.3)
    return model, x, y, history.history


# ModelCheckpoint


def test_a_checkpoint_of_every_epoch(tmp_path):
    model, x, y, history = trained(ModelCheckpoint(tmp_path / "{epoch:02d}-{val_loss:.3f}.safetensors"))
    expected = [f"{k + 1:02d}-{loss:.3f}.safetensors" for k, loss in enumerate(history["val_loss"])]
    assert sorted(path.name for path in tmp_path.iterdir()) == expected
    assert same_bits(fastml.load(tmp_path / expected[-1]).get_weights(), model.get_weights())
    middle = fastml.load(tmp_path / expected[1])
    middle.fit(x, y, batch_size=16, epochs=2, verbose=0, validation_split=0.3)
    assert same_bits(middle.get_weights(), model.get_weights())


class Fixed(fastml.Callback):
    """Logs values that were chosen."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, epoch, logs):
        logs["score"] = self.values[epoch]


def test_only_the_best_epoch_is_kept(tmp_path):
    path = tmp_path / "best.safetensors"
    x, y = make_data("mean_squared_error")
    model, weights = make_model(), []

    class Weights(fastml.Callback):
        def on_epoch_end(self, epoch, logs):
            weights.append(model.get_weights())

    best = ModelCheckpoint(path, "score", save_best_only=True, mode="max")
    callbacks = [Fixed([0.1, 0.7, 0.3, 0.7]), Weights(), best]
    model.fit(x, y, epochs=4, verbose=0, callbacks=callbacks)
    assert same_bits(fastml.load(path).get_weights(), weights[1]) and best.best == 0.7


def test_a_name_that_nobody_logs(tmp_path):
    with pytest.raises(ValueError, match="filepath.*val_loss"):
        trained(ModelCheckpoint(tmp_path / "{nothing}"))
    assert not list(tmp_path.iterdir())


# CSVLogger


def read(path, separator=","):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.reader(file, delimiter=separator))


@pytest.mark.parametrize("separator", [",", ";"])
def test_a_line_for_every_epoch(separator, tmp_path):
    path = tmp_path / "log.csv"
    *_, history = trained(CSVLogger(path, separator))
    names, *rows = read(path, separator)
    assert names == ["epoch", *history]
    assert [row[0] for row in rows] == ["0", "1", "2", "3"]
    assert [[float(v) for v in row[1:]] for row in rows] == [list(v) for v in zip(*history.values(), strict=True)]


def test_lines_are_added_or_replaced(tmp_path):
    path = tmp_path / "log.csv"
    trained(CSVLogger(path), epochs=2)
    trained(CSVLogger(path, append=True), epochs=3)
    assert [row[0] for row in read(path)] == ["epoch", "0", "1", "0", "1", "2"]
    trained(CSVLogger(path), epochs=1)
    assert [row[0] for row in read(path)] == ["epoch", "0"]


def test_other_columns_are_refused(tmp_path):
    path = tmp_path / "log.csv"
    trained(CSVLogger(path), epochs=1)
    before = path.read_bytes()
    with pytest.raises(ValueError, match="has the columns epoch, loss, mean_absolute_error"):
        trained(CSVLogger(path, append=True), metrics=())
    assert path.read_bytes() == before


def test_a_bad_separator_or_place(tmp_path):
    with pytest.raises(ValueError, match="separator"):
        CSVLogger(tmp_path / "log.csv", separator=", ")
    with pytest.raises(FileNotFoundError):
        trained(CSVLogger(tmp_path / "no" / "log.csv"))


# TensorBoard


@TENSORBOARD
def test_tensorboard_gets_every_value(tmp_path):
    from tensorboardX.proto.event_pb2 import Event

    *_, history = trained(TensorBoard(tmp_path), optimizer=SGD(0.125))
    found = {}
    for run in ("train", "validation"):
        (path,) = (tmp_path / run).iterdir()
        for record in records(path.read_bytes()):
            event = Event.FromString(record)
            for value in event.summary.value:
                found.setdefault((run, value.tag), []).append((event.step, value.simple_value))
    for name, values in history.items():
        run = "validation" if name.startswith("val_") else "train"
        got = found.pop((run, f"epoch_{name.removeprefix('val_')}"))
        assert [step for step, _ in got] == [0, 1, 2, 3]
        np.testing.assert_allclose([value for _, value in got], values, rtol=1e-6)
    assert found == {("train", "epoch_learning_rate"): [(k, 0.125) for k in range(4)]}


def records(data):
    """The records of an event file: length (8 bytes), its checksum (4), the record, its checksum (4)."""
    while data:
        length = int.from_bytes(data[:8], "little")
        yield data[12 : 12 + length]
        data = data[16 + length :]


def test_without_the_extra_it_is_named(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorboardX", None)
    with pytest.raises(ImportError, match=r"fastml-cpu\[tensorboard\]"):
        trained(TensorBoard(tmp_path))


# LearningRateScheduler


def test_the_rate_of_each_epoch_is_asked_for():
    asked = []

    def schedule(epoch, rate):
        asked.append((epoch, rate))
        return 0.5 / 2**epoch

    x, y = make_data("mean_squared_error")
    model, other = make_model(optimizer=SGD(0.3)), make_model(optimizer=SGD(StepDecay(0.5, 4, 0.5)))
    model.fit(x, y, batch_size=16, epochs=3, verbose=0, callbacks=[LearningRateScheduler(schedule)])
    other.fit(x, y, batch_size=16, epochs=3, verbose=0)
    assert asked == [(0, 0.3), (1, 0.5), (2, 0.25), (3, 0.125)]
    assert same_bits(model.get_weights(), other.get_weights())


@pytest.mark.parametrize("optimizer", ["rprop", SGD(StepDecay(0.5, 4))])
def test_a_rate_that_cannot_be_set(optimizer):
    x, y = make_data("mean_squared_error")
    with pytest.raises(ValueError, match="LearningRateScheduler cannot change"):
        callbacks = [LearningRateScheduler(lambda epoch, rate: rate)]
        make_model(optimizer=optimizer).fit(x, y, batch_size=len(x), verbose=0, callbacks=callbacks)


def test_a_schedule_that_is_no_function_or_gives_no_rate():
    with pytest.raises(TypeError, match="schedule must be a function"):
        LearningRateScheduler(0.1)
    with pytest.raises(ValueError, match="learning_rate must be in"):
        trained(LearningRateScheduler(lambda epoch, rate: -1.0))
