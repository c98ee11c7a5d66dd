"""Frozen layers: trainable=False leaves weights and the optimizer's state as they are, bit for bit."""

import copy
import pickle

import numpy as np
import pytest
from helpers import TOLERANCE, batch_for, deviation, make_data, make_model, same_bits

import fastml
from fastml import L2, OPTIMIZERS, BatchNormalization, Callback, Dense, Dropout, Embedding, Normalization, Sequential
from fastml.files.saving import states
from fastml.program.executors import EXECUTORS

X, Y = make_data("mean_squared_error", rows=60)


def net(executor="compiled", optimizer="adam", dtype="float64", layers=None):
    layers = layers or [Dense(7, "tanh"), BatchNormalization(), Dropout(0.2), Dense(4, "gelu"), Dense(3)]
    model = Sequential(layers, seed=1, dtype=dtype)
    model.compile(optimizer, executor=executor)
    return model


def kept(model, position):
    """Copies of the weights of a layer and of the optimizer's state for them."""
    state = [a.copy() for n, a in states(model._engine).items() if n.split(".")[2] == str(position)]
    return model.layers[position].get_weights() + state


def fit(model, epochs=3, x=X, y=Y, **arguments):
    return model.fit(x, y, batch_size=batch_for_model(model), epochs=epochs, verbose=0, **arguments)


def batch_for_model(model):
    name = next(name for name, kind in OPTIMIZERS.items() if type(model.optimizer) is kind)
    return batch_for(name, len(X), 16)


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("name", OPTIMIZERS)
@pytest.mark.parametrize("frozen", [(0,), (1,), (3,), (4,), (0, 1), (0, 4), (1, 3), (0, 1, 3)])
def test_nothing_of_a_frozen_layer_changes(name, frozen, executor):
    """Also with decay of all weights, and after it has moments; the others change."""
    optimizer = OPTIMIZERS[name]()
    if hasattr(optimizer, "weight_decay"):
        optimizer = OPTIMIZERS[name](weight_decay=0.1, decay_all=True, clipnorm=1.0, global_clipnorm=1.0)
    model = net(executor, optimizer)
    fit(model)
    before = {k: kept(model, k) for k in (0, 1, 3, 4)}
    for k in frozen:
        model.layers[k].trainable = False
    fit(model)
    for k, arrays in before.items():
        assert same_bits(kept(model, k), arrays) == (k in frozen), k
    for k in frozen:
        model.layers[k].trainable = True
    fit(model)
    assert not any(same_bits(kept(model, k), before[k]) for k in before)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_the_others_train_as_if_it_were_part_of_the_data(executor):
    """A frozen bottom is a function of the data: the top alone on its outputs takes the same steps."""
    model = net(executor, layers=[Dense(7, "tanh"), Dense(4, "elu"), Dense(3)])
    model.build(5)
    bottom = Sequential([Dense(7, "tanh")], input_dim=5, dtype="float64")
    bottom.set_weights(model.get_weights()[:2])
    top = net(executor, layers=[Dense(4, "elu"), Dense(3)])
    top.build(7)
    top.set_weights(model.get_weights()[2:])
    model.layers[0].trainable = False
    for each, x in ((model, X), (top, bottom.predict(X))):
        each.fit(x, Y, epochs=3, shuffle=False, verbose=0)
    for a, b in zip(model.get_weights()[2:], top.get_weights(), strict=True):
        assert deviation(a, b) < TOLERANCE["float64"]


@pytest.mark.parametrize("executor", EXECUTORS)
def test_gradients_below_a_frozen_batch_normalization(executor):
    """It goes by its running statistics, which stay; what is below gets the right gradient through it."""
    model = net(executor, layers=[Dense(7, "tanh"), BatchNormalization(), Dense(4, "tanh"), Dense(3)])
    fit(model)
    model.layers[1].trainable = False
    check = fastml.gradient_check(model, X[:9], Y[:9], verbose=False)
    assert check.complex_error < 1e-12 and check.central_error < 1e-7
    loss, gradients = model.gradients(X, Y)
    assert loss == pytest.approx(model.evaluate(X, Y), rel=1e-12)  # the same as in an evaluation
    assert all((g == 0).all() == (2 <= k < 6) for k, g in enumerate(gradients))
    statistics = model.layers[1].get_weights()
    model.fit(X[:1], Y[:1], verbose=0)  # a single row will do, as nothing is taken from the batch
    assert same_bits(model.layers[1].get_weights(), statistics)


def test_penalties_of_frozen_weights_do_not_count():
    """As in Keras: neither in the loss nor in the gradient."""
    model = net(layers=[Dense(4, kernel_regularizer=L2(0.1), trainable=False), Dense(3)])
    plain = net(layers=[Dense(4), Dense(3)])
    for each in (model, plain):
        each.build(5)
    assert model.evaluate(X, Y) == plain.evaluate(X, Y)
    model.layers[0].trainable = True
    assert model.evaluate(X, Y) > plain.evaluate(X, Y)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_thawed_it_is_as_before(executor):
    """To freeze and thaw between two fits changes no bit, also of a model that was built and compiled in between."""
    models = [net(executor, "rmsprop") for _ in range(3)]
    for k, model in enumerate(models):
        if k:
            model.layers[0].trainable = False
            model.build(5)
            model.layers[0].trainable = True
        fit(model)
        if k == 2:
            model.trainable = False
            assert not model.trainable
            model.trainable = True
        fit(model)
    for model in models[1:]:
        assert same_bits(model.get_weights(), models[0].get_weights())


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("position", [0, 1, 2])
def test_the_same_bits_in_float32_with_threads(position, executor):
    model, twin = (net(executor, "adamw", "float32", [Dense(96, "relu"), Dense(64, "tanh"), Dense(3)]) for _ in "ab")
    before = fastml.get_num_threads()
    try:
        for each, threads in ((model, 1), (twin, 2)):
            fastml.set_num_threads(threads)
            each.layers[position].trainable = False
            each.fit(np.tile(X, (9, 1)), np.tile(Y, (9, 1)), batch_size=540, epochs=4, verbose=0)
    finally:
        fastml.set_num_threads(before)
    assert same_bits(model.get_weights(), twin.get_weights())


def test_an_embedding_can_be_frozen():
    x = np.column_stack([np.arange(60) % 3, X])
    model = net(layers=[Embedding({0: 3}), Dense(3)])
    fit(model, x=x)
    before = model.layers[0].get_weights()
    model.layers[0].trainable = False
    fit(model, x=x)
    assert same_bits(model.layers[0].get_weights(), before)


def test_statistics_of_the_data_are_no_matter_of_training():
    model = net(layers=[Normalization(trainable=False), Dense(3)])
    fit(model)
    assert not (model.layers[0].get_weights()[1] == 1).all()


def test_where_all_layers_are_frozen():
    model = net()
    fit(model)
    model.trainable = False
    before = model.get_weights()
    with pytest.raises(ValueError, match="all layers are frozen, trainable=False: there is nothing to train"):
        fit(model)
    loss, gradients = model.gradients(X, Y)
    assert not any(g.any() for g in gradients) and np.isfinite(loss)
    model.compile("sgd", metrics=["mae"])
    model.evaluate(X, Y)
    assert same_bits(model.get_weights(), before)


@pytest.mark.parametrize("again", ["file", "pickle", "copy", "config"])
def test_it_stays_frozen(again, tmp_path):
    model = net()
    fit(model)
    model.layers[0].trainable = model.layers[3].trainable = False
    model.save(tmp_path / "m.safetensors")
    make = {
        "file": lambda: fastml.load(tmp_path / "m.safetensors"),
        "pickle": lambda: pickle.loads(pickle.dumps(model)),
        "copy": lambda: copy.deepcopy(model),
        "config": lambda: Sequential.from_config(model.get_config()),
    }
    other = make[again]()
    assert [layer.trainable for layer in other.layers] == [False, True, True, False, True]
    if again != "config":
        before = other.layers[0].get_weights()
        for each in (model, other):
            fit(each)
        assert same_bits(other.get_weights(), model.get_weights())
        assert same_bits(other.layers[0].get_weights(), before)
        assert same_bits(model.layers[0].get_weights(), before)


def test_not_while_fit_runs():
    class Freeze(Callback):
        def on_epoch_end(self, epoch, logs):
            self.model.layers[0].trainable = False

    model = net()
    with pytest.raises(RuntimeError, match="setting trainable cannot be called while fit runs"):
        fit(model, callbacks=[Freeze()])
    assert model.layers[0].trainable


def test_a_checkpoint_of_other_frozen_layers_is_not_resumed(tmp_path):
    model = net()
    checkpoint = fastml.ModelCheckpoint(tmp_path / "m.safetensors")
    fit(model, 2, callbacks=[checkpoint])
    other = net()
    other.layers[0].trainable = False
    with pytest.raises(ValueError, match="other layers"):
        fit(other, 4, callbacks=[checkpoint], resume=True)


@pytest.mark.parametrize("executor", EXECUTORS)
def test_a_resumed_training_stays_frozen(executor, tmp_path):
    path = tmp_path / "m.safetensors"
    whole, broken, resumed = (net(executor) for _ in range(3))
    for model in (whole, broken, resumed):
        model.layers[0].trainable = False
    fit(whole, 5, callbacks=[fastml.ModelCheckpoint(tmp_path / "other.safetensors")])
    with pytest.raises(KeyboardInterrupt):
        fit(broken, 5, callbacks=[fastml.ModelCheckpoint(path), Stop(2)])
    fit(resumed, 5, callbacks=[fastml.ModelCheckpoint(path), Stop(99)], resume=True)
    assert same_bits(resumed.get_weights(), whole.get_weights())


class Stop(Callback):
    def __init__(self, after):
        self.after = after

    def on_chunk_end(self):
        if len(self.model.history.epoch) == self.after:
            raise KeyboardInterrupt


def test_the_summary_says_so(capsys):
    model = make_model(input_dim=5)
    model.build()
    model.layers[1].trainable = False
    model.summary()
    text = capsys.readouterr().out
    assert "trainable=False" in text and "of which 32 are frozen" in text


def test_optimizers_are_told_when_clipnorm_changes_the_program():
    model = net()
    fit(model)
    model.optimizer.clipnorm = 1.0
    with pytest.raises(RuntimeError, match="clipnorm set or unset since it was compiled: compile again"):
        fit(model)
    model.compile(model.optimizer)
    fit(model)
    model.optimizer.clipnorm = 0.1
    fit(model)
