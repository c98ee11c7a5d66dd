"""Trainings that are interrupted and resumed from a checkpoint: the bits of one that never was."""

import os

import numpy as np
import pytest
from helpers import make_data, same_bits

import fastml
from fastml import (
    SGD,
    Adagrad,
    Adam,
    BatchNormalization,
    Callback,
    CosineDecay,
    CSVLogger,
    Dense,
    Dropout,
    EarlyStopping,
    Embedding,
    LearningRateScheduler,
    ModelCheckpoint,
    ModelFileError,
    Normalization,
    OneCycle,
    ReduceLROnPlateau,
    RMSprop,
    Rprop,
    Sequential,
)
from fastml.program.executors import EXECUTORS
from fastml.training import run as training

X, Y = make_data("mean_squared_error", rows=47)
X[:, 2] = np.arange(47) % 4  # codes, for the embedding
VALIDATION = make_data("mean_squared_error", rows=20, seed=3)
VALIDATION[0][:, 2] = 1
EPOCHS = 4


class Killed(BaseException):
    """As if the process had ended."""


class Kill(Callback):
    """Ends the training after so many steps, when all other callbacks have had their turn."""

    def __init__(self, after=-1):
        self.after, self.steps = after, 0

    def on_chunk_end(self):
        self.steps += 1
        if self.steps == self.after:
            raise Killed


@pytest.fixture
def single_steps(monkeypatch):
    """Chunks of one step, so that the training can end after any."""
    monkeypatch.setattr(training, "CHUNK_SECONDS", 0)


def layers():
    return [Normalization(), Dense(7, "tanh"), BatchNormalization(), Dropout(0.3), Dense(3)]


def made(optimizer=None, layers=layers, seed=1, dtype="float32", executor="compiled", metrics=()):
    model = Sequential(layers(), seed=seed, dtype=dtype)
    model.compile(optimizer or Adam(0.01), "mean_squared_error", metrics, executor=executor)
    return model


def fit(model, path, kill, resume=False, batch_size=12, callbacks=(), **arguments):
    checkpoint = ModelCheckpoint(path, every_seconds=0)
    options = {"epochs": EPOCHS, "verbose": 0, **arguments}
    return model.fit(X, Y, batch_size, callbacks=[*callbacks, checkpoint, kill], resume=resume, **options)


def interrupted(make, path, after, **arguments):
    """A new model that has been trained to the end from the checkpoint of one that was killed."""
    with pytest.raises(Killed):
        fit(make(), path, Kill(after), **arguments)
    return make(seed=99)


OPTIMIZERS = {
    "sgd": lambda: SGD(0.05),
    "nesterov": lambda: SGD(0.05, momentum=0.9, nesterov=True),
    "adam, cosine": lambda: Adam(CosineDecay(0.05, warmup_steps=3)),
    "rmsprop, one cycle": lambda: RMSprop(OneCycle(0.01)),
    "adagrad": lambda: Adagrad(0.1),
    "clipped and decayed": lambda: Adam(0.05, weight_decay=0.1, clipvalue=0.5, global_clipnorm=1.0),
}


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("dtype", fastml.program.compiled.DTYPES)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_training_goes_on_from_any_step(name, dtype, executor, single_steps, tmp_path):
    """Weights, statistics and history are those of a training that nobody interrupted, bit for bit."""

    def make(seed=1):
        return made(OPTIMIZERS[name](), dtype=dtype, executor=executor, metrics=["mean_absolute_error"], seed=seed)

    path, whole = tmp_path / "at.safetensors", make()
    expected = fit(whole, tmp_path / "whole.safetensors", Kill(), validation_data=VALIDATION).history
    for after in (1, 4, 6, 13, 16) if executor == "compiled" else (6,):
        model = interrupted(make, path, after, validation_data=VALIDATION)
        history = fit(model, path, Kill(), resume=path, validation_data=VALIDATION)
        assert same_bits(model.get_weights(), whole.get_weights())
        assert history.history == expected and history.epoch == list(range(EPOCHS))
        assert model._engine.updates == whole._engine.updates and model.seed == whole.seed
    for each in (whole, model):
        each.fit(X, Y, 12, 2, verbose=0)
    assert same_bits(model.get_weights(), whole.get_weights()), "and so does the next training"


@pytest.mark.parametrize("executor", EXECUTORS)
def test_full_batches_embeddings_weights_and_no_shuffling(executor, single_steps, tmp_path):
    def embedded():
        return [Embedding({2: 3}), Dense(5, "relu"), Dense(3)]

    def make(seed=1):
        return made(Rprop(), embedded, seed=seed, executor=executor)

    path, options = tmp_path / "at.safetensors", {"batch_size": 47, "sample_weight": np.linspace(0, 2, 47)}
    X[:, 2] %= 3
    for more in ({}, {"shuffle": False}):
        whole = make()
        fit(whole, tmp_path / "whole.safetensors", Kill(), **options, **more)
        for after in (1, 3, 4):
            model = interrupted(make, path, after, **options, **more)
            fit(model, path, Kill(), resume=path, **options, **more)
            assert same_bits(model.get_weights(), whole.get_weights())


def test_resumed_twice_and_once_more_at_the_end(single_steps, tmp_path):
    """A checkpoint of a resumed training is one, too; one of a training that was complete leaves nothing to do."""
    path, whole = tmp_path / "at.safetensors", made()
    expected = fit(whole, tmp_path / "whole.safetensors", Kill())
    with pytest.raises(Killed):
        fit(made(), path, Kill(5))
    with pytest.raises(Killed):
        fit(made(seed=2), path, Kill(4), resume=path)
    for _ in range(2):
        model = made(seed=3)
        history = fit(model, path, Kill(), resume=path)
        assert same_bits(model.get_weights(), whole.get_weights()) and history.history == expected.history


def test_a_second_training_of_a_model_is_resumed(single_steps, tmp_path):
    """Its random numbers and its schedule are not those of the first."""
    path = tmp_path / "at.safetensors"

    def make(seed=1):
        model = made(SGD(CosineDecay(0.1)), seed=seed)
        model.fit(X, Y, 12, 3, verbose=0)
        return model

    whole = make()
    fit(whole, tmp_path / "whole.safetensors", Kill())
    for after in (2, 8):
        model = interrupted(make, path, after)
        fit(model, path, Kill(), resume=path)
        assert same_bits(model.get_weights(), whole.get_weights())


class Values(Callback):
    """Logs these values as `watched`."""

    def __init__(self, values):
        self.values = values

    def on_epoch_end(self, epoch, logs):
        logs["watched"] = self.values[epoch]


def watching(tmp_path, name):
    values = [5, 4, 6, 6, 3, 6, 6, 6, 6, 6]
    log = tmp_path / f"{name}.csv"
    return [
        Values(values),
        ReduceLROnPlateau("watched", factor=0.5, patience=2),
        CSVLogger(log),
        EarlyStopping("watched", patience=4),
    ]


@pytest.mark.parametrize("after", [1, 5, 6, 7, 10, 13, 17, 18])
def test_callbacks_remember(after, single_steps, tmp_path):
    """The best value and its weights, how long there was no better one, the rate, the lines that are written."""
    whole, path, sets = made(SGD(0.1)), tmp_path / "at.safetensors", {}
    sets["whole"] = watching(tmp_path, "whole")
    expected = fit(whole, tmp_path / "a.safetensors", Kill(), callbacks=sets["whole"], epochs=10, batch_size=24)
    assert len(expected.epoch) == 9 and whole.optimizer.learning_rate == 0.0125

    def make(seed=1):
        return made(SGD(0.1), seed=seed)

    sets["cut"] = watching(tmp_path, "at")
    model = interrupted(make, path, after, callbacks=sets["cut"], epochs=10, batch_size=24)
    with open(tmp_path / "at.csv", "a") as log:
        log.write("a line of an epoch that the checkpoint does not know\n")
    sets["cut"] = watching(tmp_path, "at")
    history = fit(model, path, Kill(), resume=path, callbacks=sets["cut"], epochs=10, batch_size=24)
    assert history.history == expected.history
    assert same_bits(model.get_weights(), whole.get_weights())
    assert model.optimizer.learning_rate == whole.optimizer.learning_rate
    for got, wanted in zip(sets["cut"], sets["whole"], strict=True):
        assert getattr(got, "best", None) == getattr(wanted, "best", None)
        assert getattr(got, "best_epoch", None) == getattr(wanted, "best_epoch", None)
        assert getattr(got, "stopped_epoch", None) == getattr(wanted, "stopped_epoch", None)
    assert (tmp_path / "at.csv").read_text() == (tmp_path / "whole.csv").read_text()


def test_a_scheduler_by_epoch_goes_on(single_steps, tmp_path):
    whole, path = made(SGD(0.1)), tmp_path / "at.safetensors"

    def halve():
        return [LearningRateScheduler(lambda epoch, rate: rate / 2)]

    fit(whole, tmp_path / "whole.safetensors", Kill(), callbacks=halve())
    model = interrupted(lambda seed=1: made(SGD(0.1), seed=seed), path, 7, callbacks=halve())
    fit(model, path, Kill(), resume=path, callbacks=halve())
    assert same_bits(model.get_weights(), whole.get_weights())
    assert model.optimizer.learning_rate == whole.optimizer.learning_rate


class Counter(Callback):
    """A callback of a user's, with all kinds of things to remember."""

    def on_train_begin(self, logs):
        self.seen, self.begun = [], True

    def on_epoch_end(self, epoch, logs):
        self.seen.append((epoch, logs["loss"]))

    def state_dict(self):
        arrays = {"a": np.arange(3, dtype="int16"), "b": [np.ones((2, 0)), np.float32(2)]}
        return {"seen": self.seen, "nan": float("nan"), "none": None, "arrays": arrays, "flag": True, 3: "text"}

    def load_state_dict(self, state):
        self.state, self.seen, self.begun = state, state["seen"], False


def test_callbacks_of_users_remember_numbers_texts_arrays_lists_and_dicts(single_steps, tmp_path):
    path = tmp_path / "at.safetensors"
    model = interrupted(made, path, 9, callbacks=[Counter()])
    counter = Counter()
    fit(model, path, Kill(), resume=path, callbacks=[counter])
    state = counter.state
    assert not counter.begun and [epoch for epoch, _ in counter.seen] == list(range(EPOCHS))
    assert np.isnan(state["nan"]) and state["none"] is None and state["flag"] is True and state[3] == "text"
    assert state["arrays"]["a"].tolist() == [0, 1, 2] and state["arrays"]["a"].dtype == "int16"
    assert state["arrays"]["b"][0].shape == (2, 0) and state["arrays"]["b"][1] == 2


def test_what_a_callback_cannot_keep_is_named(single_steps, tmp_path):
    class Odd(Callback):
        def state_dict(self):
            return {"function": print}

    with pytest.raises(TypeError, match="the state_dict of Odd cannot be saved: it holds <built-in function print>"):
        fit(made(), tmp_path / "at.safetensors", Kill(), callbacks=[Odd()])


def test_callbacks_without_a_memory_begin_anew(single_steps, tmp_path):
    begun = []

    class Plain:
        def on_train_begin(self, logs):
            begun.append(logs)

    path = tmp_path / "at.safetensors"
    model = interrupted(made, path, 5, callbacks=[Plain()])
    fit(model, path, Kill(), resume=path, callbacks=[Plain()])
    assert begun == [{}, {}]


# Which file


def test_true_begins_where_there_is_no_file_and_goes_on_where_there_is_one(single_steps, tmp_path):
    """So that a script can be started again and again."""
    path, whole, ends = tmp_path / "new folder" / "at.safetensors", made(), []
    fit(whole, tmp_path / "whole.safetensors", Kill())
    for _ in range(20):
        model = made()
        try:
            fit(model, path, Kill(2), resume=True)
            break
        except Killed:
            ends.append(fastml.load(path)._engine.updates)
    assert ends == [2, 4, 6, 8, 10, 12, 14, 16][: len(ends)] and len(ends) > 5
    assert same_bits(model.get_weights(), whole.get_weights())


@pytest.mark.parametrize("way", ["True", "folder", "pattern"])
def test_the_newest_that_can_be_read(way, single_steps, tmp_path):
    """A damaged one is skipped with a warning, and so are files that hold no training."""
    folder = tmp_path / "kept"
    pattern, whole = folder / "{epoch:02d}-{loss:.3f}.safetensors", made()
    fit(whole, tmp_path / "whole.safetensors", Kill())
    with pytest.raises(Killed):
        fit(made(), pattern, Kill(10))
    files = sorted(folder.glob("*"), key=os.path.getmtime)
    assert [file.name[:2] for file in files] == ["00", "01", "02"] and "nan" in files[0].name
    for age, file in enumerate(reversed(files)):
        os.utime(file, (10**9 - age, 10**9 - age))
    files[-1].write_bytes(files[-1].read_bytes()[:-7])
    (folder / "notes.txt").write_text("no model")
    made().build(5)
    plain = made()
    plain.build(5)
    plain.save(folder / "99-plain.safetensors")
    model = made(seed=5)
    with pytest.warns(RuntimeWarning, match="a checkpoint that cannot be read is skipped.*02-.*damaged"):
        fit(model, pattern, Kill(), resume={"True": True, "folder": folder, "pattern": pattern}[way])
    assert same_bits(model.get_weights(), whole.get_weights())


def test_a_file_that_is_not_there_or_no_checkpoint(tmp_path):
    model, path = made(), tmp_path / "m.safetensors"
    model.build(5)
    model.save(path)
    for resume, error, message in (
        (tmp_path / "missing.safetensors", FileNotFoundError, "there is no checkpoint at .*missing"),
        (tmp_path, FileNotFoundError, "there is no checkpoint at"),
        (path, ValueError, "holds a model, but no training that could be resumed"),
        (True, ValueError, "resume=True needs a ModelCheckpoint"),
    ):
        with pytest.raises(error, match=message):
            model.fit(X, Y, verbose=0, resume=resume)
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ModelFileError, match="is no model file, or is damaged"):
        model.fit(X, Y, verbose=0, resume=path)


CHANGES = {
    "batch_size=12, got 13": {"batch_size": 13},
    "shuffle=True, got False": {"shuffle": False},
    "other x, y or weights of rows": {"sample_weight": np.linspace(1, 2, 47)},
    "epochs=4, over which CosineDecay.* goes, got 5": {"epochs": 5},
    "callbacks ModelCheckpoint, Kill, got Counter, ModelCheckpoint, Kill": {"callbacks": [Counter()]},
}


@pytest.mark.parametrize("message", CHANGES)
def test_another_call_is_refused_and_changes_nothing(message, single_steps, tmp_path):
    path = tmp_path / "at.safetensors"

    def make(seed=1):
        return made(Adam(CosineDecay(0.1)), seed=seed)

    model = interrupted(make, path, 6)
    model.build(5)
    before = model.get_weights()
    with pytest.raises(ValueError, match=message):
        fit(model, path, Kill(), resume=path, **CHANGES[message])
    assert same_bits(model.get_weights(), before) and model._engine.updates == 0


MODELS = {
    "dtype='float32', got 'float64'": lambda: made(dtype="float64"),
    "other layers": lambda: made(layers=lambda: [Dense(3)]),
    "other optimizer": lambda: made(SGD(0.01)),
    "other learning_rate": lambda: made(Adam(CosineDecay(0.01))),
    "executor='compiled', got 'numpy'": lambda: made(executor="numpy"),
    "other loss": lambda: compiled_for("huber"),
    r"metrics=\[\], got": lambda: made(metrics=["mean_absolute_error"]),
}


def compiled_for(loss):
    model = made()
    model.compile(Adam(0.01), loss)
    return model


@pytest.mark.parametrize("message", MODELS)
def test_another_model_is_refused(message, single_steps, tmp_path):
    path = tmp_path / "at.safetensors"
    interrupted(made, path, 6)
    with pytest.raises(ValueError, match=f"cannot be resumed here: it is of a training with .*{message}"):
        fit(MODELS[message](), path, Kill(), resume=path)


def test_more_epochs_where_the_rate_does_not_depend_on_them(single_steps, tmp_path):
    path, whole = tmp_path / "at.safetensors", made()
    fit(whole, tmp_path / "whole.safetensors", Kill(), epochs=6)
    model = interrupted(made, path, 6)
    fit(model, path, Kill(), resume=path, epochs=6)
    assert same_bits(model.get_weights(), whole.get_weights())
    with pytest.raises(ValueError, match="6 epochs, got epochs=3"):
        fit(made(), path, Kill(), resume=path, epochs=3)


# When files are written


def test_ctrl_c_leaves_a_checkpoint_of_the_last_step(tmp_path):
    class Interrupt(Callback):
        def on_chunk_end(self):
            raise KeyboardInterrupt

    path, model = tmp_path / "at.safetensors", made()
    checkpoint = ModelCheckpoint(path, every_epochs=100)
    with pytest.raises(KeyboardInterrupt):
        model.fit(X, Y, 4, EPOCHS, callbacks=[checkpoint, Interrupt()], verbose=0)
    kept = fastml.load(path)
    assert 0 < kept._engine.updates == model._engine.updates
    assert same_bits(kept.get_weights(), model.get_weights())


def test_no_checkpoint_of_a_divergence_or_of_an_epoch_that_callbacks_have_not_seen(tmp_path):
    class Fail(Callback):
        def on_epoch_end(self, epoch, logs):
            raise OSError("no")

    for optimizer, callbacks, error in ((SGD(1e30), [], fastml.DivergenceError), (SGD(0.1), [Fail()], OSError)):
        path = tmp_path / "at.safetensors"
        with pytest.raises(error):
            made(optimizer, layers=lambda: [Dense(3)]).fit(
                X, Y, 47, 20, callbacks=[ModelCheckpoint(path, every_epochs=100), *callbacks], verbose=0
            )
        assert not path.exists()


def test_every_few_epochs(tmp_path):
    made().fit(X, Y, 12, 7, callbacks=[ModelCheckpoint(tmp_path / "{epoch}.safetensors", every_epochs=3)], verbose=0)
    assert sorted(os.listdir(tmp_path)) == ["3.safetensors", "6.safetensors"]


def test_a_folder_is_made_or_told_before_the_first_epoch(tmp_path):
    (tmp_path / "file").write_text("no folder")
    model, before = made(), []

    class Note(Callback):
        def on_epoch_end(self, epoch, logs):
            before.append(epoch)

    with pytest.raises(OSError):
        model.fit(X, Y, 12, 3, callbacks=[Note(), ModelCheckpoint(tmp_path / "file" / "m.safetensors")], verbose=0)
    assert before == []
    model.fit(X, Y, 12, 1, callbacks=[ModelCheckpoint(tmp_path / "a" / "b" / "m.safetensors")], verbose=0)
    assert (tmp_path / "a" / "b" / "m.safetensors").exists()


def test_a_full_disk_at_the_end_does_not_hide_why_the_training_ended(tmp_path, monkeypatch):
    class Interrupt(Callback):
        def on_chunk_end(self):
            monkeypatch.setattr("fastml.files.saving.write_atomically", full)
            raise KeyboardInterrupt

    def full(path, content):
        raise OSError(28, "No space left on device")

    checkpoint = ModelCheckpoint(tmp_path / "at.safetensors", every_epochs=100)
    with pytest.raises(KeyboardInterrupt), pytest.warns(RuntimeWarning, match="last steps could not be saved.*space"):
        made().fit(X, Y, 12, 3, callbacks=[checkpoint, Interrupt()], verbose=0)


def test_the_best_model_that_is_due_is_written_after_a_resume(single_steps, tmp_path):
    """Another checkpoint may be written, and the process killed, before it is."""
    last, best, best_of_whole = (tmp_path / f"{name}.safetensors" for name in ("last", "best", "whole"))

    class KillBefore(ModelCheckpoint):
        def on_chunk_end(self):
            if self.due and self.epoch == 3 and not self.resumed:
                raise Killed
            super().on_chunk_end()

    def fitted(best, resumed, resume=False):
        model = made(SGD(0.01), layers=lambda: [Dense(3)])
        second = KillBefore(best, "loss", save_best_only=True)
        second.resumed = resumed
        callbacks = [ModelCheckpoint(last, every_seconds=0), second]
        return model.fit(X, Y, 12, 6, callbacks=callbacks, verbose=0, resume=resume)

    with pytest.raises(Killed):
        fitted(best, False)
    before = fastml.load(best)._engine.updates
    fitted(best, True, resume=last)
    fitted(best_of_whole, True)
    assert before < fastml.load(best)._engine.updates == fastml.load(best_of_whole)._engine.updates
    assert same_bits(fastml.load(best).get_weights(), fastml.load(best_of_whole).get_weights())


@pytest.mark.parametrize("resume", [True, "folder"])
def test_nothing_begins_anew_over_a_checkpoint_that_cannot_be_read(resume, single_steps, tmp_path):
    path = tmp_path / "at.safetensors"
    interrupted(made, path, 6)
    path.write_bytes(damaged := path.read_bytes()[:-9])
    with pytest.warns(RuntimeWarning, match="skipped"), pytest.raises(ModelFileError, match="remove what is damaged"):
        fit(made(), path, Kill(), resume=tmp_path if resume == "folder" else resume)
    assert path.read_bytes() == damaged


def test_numbers_of_the_optimizer_that_a_callback_changes_go_on(single_steps, tmp_path):
    class Ramp(Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.optimizer.weight_decay += 0.1
            self.model.optimizer.clipvalue = 1.0 / (epoch + 1)

    whole, path = made(Adam(0.01)), tmp_path / "at.safetensors"
    fit(whole, tmp_path / "whole.safetensors", Kill(), callbacks=[Ramp()])
    model = interrupted(lambda seed=1: made(Adam(0.01), seed=seed), path, 9, callbacks=[Ramp()])
    fit(model, path, Kill(), resume=path, callbacks=[Ramp()])
    assert same_bits(model.get_weights(), whole.get_weights())
    assert model.optimizer.weight_decay == whole.optimizer.weight_decay > 0.3


def test_rows_of_another_width(single_steps, tmp_path):
    path = tmp_path / "at.safetensors"
    interrupted(made, path, 6)
    with pytest.raises(ValueError, match="x has 3 columns|x must have 5|5"):
        made().fit(X[:, :3], Y, 12, EPOCHS, verbose=0, resume=path)


def test_columns_far_from_0_are_subtracted_after_a_resume_too(single_steps, tmp_path):
    """In float64, by the statistics of the checkpoint."""
    far = X.copy()
    far[:, 1] = 1.7e9 + 60 * np.arange(len(X))

    def made_far(seed=1):
        return made(Adam(0.01), seed=seed)

    path, whole = tmp_path / "at.safetensors", made_far()
    whole.fit(far, Y, 12, EPOCHS, verbose=0)
    with pytest.raises(Killed):
        made_far().fit(far, Y, 12, EPOCHS, callbacks=[ModelCheckpoint(path, every_seconds=0), Kill(5)], verbose=0)
    model = made_far(seed=9)
    model.fit(far, Y, 12, EPOCHS, callbacks=[ModelCheckpoint(path), Kill()], verbose=0, resume=path)
    assert same_bits(model.get_weights(), whole.get_weights())
    assert model.predict(far).tobytes() == whole.predict(far).tobytes()
