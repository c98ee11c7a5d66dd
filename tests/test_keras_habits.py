"""What a Keras user tries: each call works, or is refused in a sentence that says what to use instead."""

import json

import numpy as np
import pytest
from helpers import make_data, make_model, same_bits
from keras_calls import CALLS, outcome, told

import fastml
from fastml import Activation, Dense, Dropout, Embedding, Input, Sequential
from fastml.keras_names import ALIASES, LAYER, MISSING, MODEL, canonical
from fastml.losses import LOSSES
from fastml.metrics import NAMES, more_is_better
from fastml.program.executors import EXECUTORS

X, Y = make_data("mean_squared_error")
PUBLIC = {name: getattr(fastml, name) for name in fastml.__all__}


@pytest.mark.parametrize("code, sentence", [call[1:] for call in CALLS], ids=[call[0] for call in CALLS])
def test_calls_of_the_first_hour(code, sentence):
    if "import pandas" in code:
        pytest.importorskip("pandas")
    error = outcome(code)
    if not sentence:
        assert error is None, repr(error)
    else:
        assert told(error) and sentence in str(error), repr(error)


MORE = [  # of the same kinds
    ("fastml.metrics.Precision()", ""),
    ("fastml.metrics.R2Score(name='r2')", ""),
    ("fastml.metrics.F1Score(name='mine')", "in the logs it is called 'f1'"),
    ("fastml.metrics.Recall(thresholds=0.3)", "compute yours from predict in a Callback"),
    ("fastml.metrics.AUC(curve='PR')", "area under the ROC curve"),
    ("fastml.metrics.nonsense", "has no attribute 'nonsense'"),
    ("fastml.layers.MaxPooling2D()", "the nearest is Dense"),
    ("fastml.layers.GRU(3)", "the nearest is Dense"),
    ("fastml.layers.Multiply()", "one chain of layers"),
    ("fastml.layers.ELU(alpha=0.5)", ""),
    ("fastml.layers.LeakyReLU(alpha=0.2)", ""),
    ("fastml.layers.ReLU(max_value=6)", "the nearest is ReLU()"),
    ("layers.Dense(3, activity_regularizer='l2')", "kernel_regularizer"),
    ("layers.Dense(3, batch_input_shape=(None, 3))", "input_shape=(features,)"),
    ("layers.Dense(3, kernel_initialiser='zeros')", "did you mean 'kernel_initializer'"),
    ("layers.Dense(3, use_bias='no')", "use_bias must be True or False"),
    ("layers.Dense(3, input_shape=(28, 28))", "x.reshape(len(x), -1)"),
    ("layers.Dense(3, input_shape=(None, 28))", "pass (28,)"),
    ("layers.Dense(3, input_shape=(4,), input_dim=4)", "not both"),
    ("layers.Dense(3, name=5)", "name must be a text"),
    ("layers.Dense(3, trainable=1)", "trainable must be True or False"),
    ("layers.BatchNormalization(center=False)", "both gamma and beta are trained"),
    ("layers.Dropout(0.1, noise_shape=(1,))", "each element is dropped by itself"),
    ("layers.Dense(3).nonsense", "no attribute 'nonsense'"),
    ("layers.Dense(3).get_weights()", "it is in no model yet"),
    ("layers.Dense(3).input_spec", "input_dim"),
    ("fastml.Input(shape=(3,), dtype='int32')", "Sequential(…, dtype='float64')"),
    ("fastml.Input(shape=(None, 3))", "pass (3,)"),
    ("fastml.Sequential([layers.Dense(2), fastml.Input((3,))])", "must be the first"),
    ("fastml.Sequential([fastml.Input((3,)), layers.Dense(2, input_dim=4)])", "input_dim is 3 already, got 4"),
    ("fastml.Sequential([layers.Dense(2), layers.Dense(2, input_dim=4)]).build(3)", "it gets 2 columns"),
    ("fastml.Sequential([layers.Dense(2, name='a'), layers.Dense(2, name='a')])", "name 'a' is taken"),
    ("fastml.Sequential(layers=[], trainable=False)", "Sequential has no argument 'trainable'"),
    ("fastml.Adam(0.1, amsgrad=True)", "the nearest is Adam without it"),
    ("fastml.SGD(0.1, decay=1e-6)", "ExponentialDecay"),
    ("fastml.RMSprop(centered=True)", "the nearest is RMSprop without it"),
    ("fastml.optimizers.Ftrl", "Adam"),
    ("fastml.Adam(lerning_rate=0.1)", "did you mean 'learning_rate'"),
    ("c.optimizer.lr = 0.1", "it is called learning_rate"),
    ("c.optimizer.lr", "it is called learning_rate"),
    ("c.optimizer.learning_rat = 0.1", "did you mean 'learning_rate'"),
    ("c.optimizer.note = 0.1", ""),
    ("c.optimizer.clipvalue = 0.5", ""),
    ("c.optimizer.iterations", "Adam has no iterations"),
    ("fastml.losses.Huber(reduction='sum')", "mean over the rows"),
    ("fastml.losses.LogCosh()", ""),
    ("fastml.losses.BinaryCrossentropy(from_logits=1)", "from_logits must be True, False or None"),
    ("fastml.losses.MeanSquaredError(delta=2)", "takes no arguments"),
    ("fastml.CosineDecay(0.1, decay_steps=10, warmup_target=0.2)", "give the peak as learning_rate"),
    ("fastml.CosineDecay(0.1, steps=10, alpha=0.1)", "alpha needs initial_learning_rate by name"),
    ("fastml.CosineDecay(learning_rate=0.1, initial_learning_rate=0.1)", "got learning_rate twice"),
    ("fastml.schedules.PolynomialDecay", "ExponentialDecay and CosineDecay"),
    ("fastml.schedules.PiecewiseConstantDecay([3, 2], [1, 2, 3])", "boundaries must rise"),
    ("fastml.schedules.PiecewiseConstantDecay([3], [1])", "one more than boundaries"),
    ("fastml.schedules.PiecewiseConstantDecay('3', [1])", "boundaries must be a list of numbers"),
    ("fastml.schedules.PiecewiseConstantDecay([0.5], [1, 2])", "each of boundaries must be an integer"),
    ("fastml.schedules.PiecewiseConstantDecay([1], [1, -2])", "each of values must be in"),
    ("fastml.callbacks.BackupAndRestore('x')", "fit(…, resume=True)"),
    ("fastml.callbacks.CSVLogger", ""),
    ("fastml.callbacks.LambdaCallback(on_batch=len)", "LambdaCallback has no argument 'on_batch'"),
    ("fastml.callbacks.LambdaCallback(on_epoch_end=3)", "on_epoch_end must be a function"),
    ("fastml.ModelCheckpoint('m.safetensors', save_freq=100)", "use every_epochs or every_seconds"),
    ("fastml.ModelCheckpoint('m.HDF5')", "use 'm.safetensors'"),
    ("fastml.EarlyStopping(baseline=float('nan'))", "baseline must be finite"),
    ("fastml.EarlyStopping(baseline='low')", "baseline must be a number or None"),
    ("fastml.EarlyStopping(verbose=2)", "verbose of a callback must be 0 or 1"),
    ("c.fit(X, y, validation_steps=3)", "all rows given are taken"),
    ("c.fit(X, y, nb_epoch=3)", "it is called epochs"),
    ("c.fit(X, y, workers=3)", "batches are drawn in this thread"),
    ("c.evaluate(X, y, steps=3)", "all rows given are taken"),
    ("c.evaluate(X, y, 0)", "batch_size must be from 1"),
    ("c.evaluate(X, y, True)", "batch_size must be an integer"),
    ("c.predict(X, batch_size=0)", "batch_size must be from 1"),
    ("c.predict(X, verbose=5)", "verbose must be 0, 1, 2 or 'auto'"),
    ("c.evaluate(X)", "y is None"),
    ("c.fit(X)", "y is None"),
    ("m(X, training=True)", "only fit and train_on_batch train"),
    ("m.compile(jit_compile=True)", "models always run as compiled code"),
    ("m.fit_generator(batches())", "pass the generator to fit itself"),
    ("m.train_step", "train_on_batch"),
    ("m.nonsense", "no attribute 'nonsense'"),
    ("m.pop()", "copy the weights that are to stay"),
    ("fastml.Sequential().pop()", ""),
    ("m.get_layer('nonsense')", "there are: dense, dense_1"),
    ("m.get_layer(index=2)", "the model has 2 layers"),
    ("m.get_layer()", "give name or index"),
    ("m.summary(line_length=80)", "TypeError"),
    ("m.layers[0].set_weights([1])", "weights must be 2 arrays"),
    ("m.layers[0].weights[0][0] = 1", "read-only"),
    ("m.weights[0][:] = 1", "read-only"),
    ("m.layers[0].kernel = np.zeros((10, 16))", "use set_weights"),
    ("m.layers[0].activity_regularizer = 'l2'", "kernel_regularizer"),
    ("m.layers[0].kernel_constraint = 'l2'", "kernel_regularizer"),
    ("m.layers[0].trainable_ = False", "it has no effect"),
    ("m.layers[0].units = 3", "make a new model"),
    ("m.layers[0].build = 3", ""),
    ("m.load_weights('nothing.safetensors')", "No such file"),
    ("fastml.Sequential.from_config([1])", "what get_config gives"),
    ("fastml.models.model_from_json('{}')", "what to_json of a Sequential gives"),
    ("fastml.models.clone_model(layers.Dense(3))", "model must be a Sequential"),
    ("fastml.models.load_model('x', custom_objects=[])", "custom_objects must be a dict"),
    ("fastml.utils.to_categorical([[1, 2]])", "x must be class numbers"),
    ("fastml.utils.to_categorical([1, 5], 3)", "holds the label 5"),
    ("fastml.utils.to_categorical([0.5])", "class labels are whole numbers"),
    ("fastml.set_random_seed(-1)", "seed must be from 0"),
    ("fastml.utils.normalize", "the layer Normalization"),
    ("fastml.backend", "arrays are NumPy's"),
    ("fastml.initializers.RandomNormal(stddev=0.1)", "has no attribute 'RandomNormal'"),
    ("fastml.initializers.GlorotUniform(seed=3)", "has no argument 'seed'"),
    ("fastml.initializers.Zeros()", ""),
]
FREE = {"fastml.Sequential().pop()", "m.layers[0].build = 3", "m.summary(line_length=80)"}  # errors of other kinds


@pytest.mark.parametrize(
    "code, sentence", [m for m in MORE if m[0] not in FREE], ids=[m[0] for m in MORE if m[0] not in FREE]
)
def test_more_calls(code, sentence):
    error = outcome(code)
    assert (error is None) == (not sentence), repr(error)
    assert sentence in str(error or "")


def test_errors_of_other_kinds():
    assert isinstance(outcome("fastml.Sequential().pop()"), IndexError)
    assert isinstance(outcome("m.layers[0].build = 3"), AttributeError)
    assert isinstance(outcome("m.summary(line_length=80)"), TypeError)


@pytest.mark.parametrize("name", MISSING)
def test_what_is_missing_says_what_is_nearest(name):
    """In one sentence, from every module; `hasattr` and `dir` go on as usual."""
    for module in (fastml, fastml.layers, fastml.losses, fastml.optimizers, fastml.callbacks, fastml.utils):
        assert not hasattr(module, name)
        with pytest.raises(AttributeError, match=f"^{module.__name__} has no {name}: ") as caught:
            getattr(module, name)
        assert "\n" not in str(caught.value)
    assert name not in dir(fastml)


@pytest.mark.parametrize("name", ["Conv2D", "LSTM", "Model"])
@pytest.mark.parametrize(
    "module", ["fastml", "fastml.layers", "fastml.optimizers", "fastml.metrics", "fastml.initializers"]
)
def test_an_import_of_what_is_missing_says_so_too(module, name):
    """Where Python's own error would say no more than that the name is not there."""
    with pytest.raises(ImportError, match=f"^{module} has no {name}: "):
        exec(f"from {module} import Dense, {name}")
    with pytest.raises(ImportError, match="cannot import name 'nonsense'"):
        exec(f"from {module} import nonsense")


def test_attributes_that_models_and_layers_lack():
    model = make_model()
    for name in MODEL:
        with pytest.raises(AttributeError, match=f"^Sequential has no {name}: "):
            getattr(model, name)
    for name in LAYER:
        with pytest.raises(AttributeError, match=f"^Dense has no {name}: "):
            setattr(model.layers[0], name, None)
        with pytest.raises(AttributeError, match=f"^Dense has no {name}: "):
            getattr(model.layers[0], name)


def test_aliases_mean_entries_that_there_are():
    registries = (fastml.ACTIVATIONS, LOSSES, NAMES, fastml.INITIALIZERS, fastml.OPTIMIZERS)
    for alias, name in ALIASES.items():
        meant = [registry for registry in registries if name in registry]
        assert meant and all(canonical(alias, registry) == name for registry in meant), alias
        assert all(alias not in registry for registry in registries)


@pytest.mark.parametrize("alias", ["mse", "MSE", "MeanSquaredError", "mae", "bce", "BinaryCrossentropy"])
def test_a_loss_by_another_name_is_the_same(alias):
    name = canonical(alias, LOSSES)
    x, y = make_data(name)
    models = [make_model(name), make_model(name)]
    models[1].compile("SGD", alias, metrics=["mae"])
    for model in models:
        model.fit(x, y, verbose=0)
    assert same_bits(*(model.get_weights() for model in models))


@pytest.mark.parametrize("name, more", [("val_AUC", True), ("roc_auc", True), ("val_mae", False), ("acc", True)])
def test_callbacks_know_which_way_is_better_by_other_names(name, more):
    assert more_is_better(name) is more


@pytest.mark.parametrize("executor", EXECUTORS)
@pytest.mark.parametrize("hidden", [Dense(4, "tanh", use_bias=False), Dense(4, "gelu", use_bias=False)])
def test_without_a_bias(executor, hidden, tmp_path):
    """The same as with one that is always 0, and nothing of it shows."""
    model = Sequential([hidden, Dense(3)], dtype="float64", seed=1)
    model.compile("sgd", executor=executor)
    model.fit(X, Y, epochs=3, verbose=0)
    W, V, c = model.get_weights()
    assert W.shape == (5, 4) and model.count_params() == 5 * 4 + 4 * 3 + 3 and hidden.bias is None
    assert fastml.gradient_check(model, X[:9], Y[:9], verbose=False).central_error < 1e-7
    assert "use_bias=False" in repr(hidden)
    a = Sequential([Activation(hidden.function.activation)], dtype="float64").predict(X @ W)
    np.testing.assert_allclose(model.predict(X), a @ V + c, rtol=1e-12, atol=1e-14)
    model.save(tmp_path / "m.safetensors")
    other = fastml.load(tmp_path / "m.safetensors")
    for each in (model, other):
        each.fit(X, Y, verbose=0)
    assert same_bits(model.get_weights(), other.get_weights())


def test_names_of_layers(tmp_path):
    model = Sequential([Dense(4), Dropout(0.1, name="drop"), Dense(4), Dense(3)], input_dim=5, name="net")
    names = ["dense", "drop", "dense_1", "dense_2"]
    assert [layer.name for layer in model.layers] == names and model.name == "net" and "name='net'" in repr(model)
    model.layers[0].name = "first"
    model.save(tmp_path / "m.safetensors")
    other = fastml.load(tmp_path / "m.safetensors")
    assert other.get_layer("drop") is other.layers[1] and "name='drop'" in repr(other.layers[1])
    again = Sequential.from_config(json.loads(json.dumps(model.get_config())))
    assert [layer.name for layer in again.layers] == ["first", *names[1:]] and again.name == "net"
    assert same_bits(again.get_weights(), model.get_weights())  # the seed is in it


def test_a_clone_starts_anew():
    model = make_model(input_dim=5)
    clone = fastml.models.clone_model(model)
    assert repr(clone) == repr(model) and clone.seed != model.seed and clone.loss is None
    assert not same_bits(clone.get_weights()[:1], model.get_weights()[:1])


def test_a_layer_in_two_models_is_told():
    """Weights are not shared, as they would be in Keras."""
    model = make_model(input_dim=5)
    model.build()
    with pytest.warns(UserWarning, match="^Dense.*has weights in another model, which are not shared") as caught:
        Sequential(model.layers[:1], input_dim=5)
    assert len(caught) == 1
    shared = Dense(3)
    models = [Sequential([shared], input_dim=2), Sequential([shared], input_dim=2)]
    with pytest.raises(RuntimeError, match="it is in several models"):
        shared.get_weights()
    del models[0]
    assert len(shared.get_weights()) == 2


def test_pop_before_the_build():
    model = Sequential([Dense(4), Dense(3)])
    layer = model.pop()
    model.add(Dense(2))
    model.add(layer)
    assert [entry.units for entry in model.layers] == [4, 2, 3] and layer.name == "dense_2"


def test_layers_tell_their_weights():
    model = Sequential([Input((3,)), Dense(4, name="a"), fastml.BatchNormalization(), Dense(2)], seed=1)
    a, batch_norm, last = model.layers
    assert a.weights == [] and a.count_params() == 16 and [w.shape for w in a.weights] == [(3, 4), (4,)]
    assert len(batch_norm.get_weights()) == 4 and batch_norm.count_params() == 16
    a.set_weights([np.ones((3, 4)), np.arange(4)])
    assert (model.get_weights()[0] == 1).all() and a.bias.tolist() == [0, 1, 2, 3] and (a.kernel == 1).all()
    with pytest.raises(ValueError, match=r"weights\[1\] has shape \(5,\)"):
        a.set_weights([np.zeros((3, 4)), np.zeros(5)])
    assert (a.kernel == 1).all() and last.kernel.shape == (4, 2)
    assert model.input_shape == (None, 3) and model.output_shape == (None, 2)
    assert len(model.trainable_weights) == 6 and len(model.non_trainable_variables) == 2 and len(model.weights) == 8


@pytest.mark.parametrize(
    "loss, target", [("sparse_categorical_crossentropy", "rows"), ("categorical_crossentropy", "n")]
)
def test_one_hot_rows_and_class_numbers_stand_for_each_other(loss, target):
    x, labels = make_data("sparse_categorical_crossentropy")
    both = [labels, labels[:, None], labels.astype(float), np.eye(3)[labels], np.eye(3)[labels].astype(bool)]
    found = []
    for y in both:
        model = make_model(loss, metrics=["accuracy", "auc"])
        model.fit(x, y, validation_data=(x, y), class_weight="balanced", verbose=0)
        found.append((model.get_weights(), model.evaluate(x, y)))
    for weights, values in found[1:]:
        assert same_bits(weights, found[0][0]) and values == found[0][1]


def test_targets_that_could_mean_something_else_are_refused():
    x, labels = make_data("sparse_categorical_crossentropy")
    soft = np.full((50, 3), 1 / 3)
    with pytest.raises(ValueError, match="categorical_crossentropy"):
        make_model("sparse_categorical_crossentropy").fit(x, soft)
    with pytest.raises(ValueError, match="categorical_crossentropy"):
        make_model("sparse_categorical_crossentropy").fit(x, np.eye(3)[labels] * 2)
    for y in (labels + 0.5, labels + 1, labels - 1):
        with pytest.raises(ValueError, match="sparse_categorical_crossentropy"):
            make_model("categorical_crossentropy").fit(x, y)


@pytest.mark.parametrize("loss", ["binary_crossentropy", "categorical_crossentropy", "sparse_categorical_crossentropy"])
def test_from_logits(loss, tmp_path):
    """It says what the last layer gives, and refuses another; the loss is the same."""
    x, y = make_data(loss)
    link = LOSSES[loss].link
    models = {}
    for logits, output in ((True, "linear"), (False, link), (None, "linear"), (None, link)):
        models[logits, output] = model = make_model(loss, output=output)
        model.compile("sgd", LOSSES[loss](from_logits=logits))
        model.fit(x, y, verbose=0)
        model.save(tmp_path / "m.safetensors")
        assert fastml.load(tmp_path / "m.safetensors").loss.from_logits is logits
    assert same_bits(*(model.get_weights() for model in list(models.values())[:2]))
    for logits, output, wanted in ((True, link, "linear"), (False, "linear", link)):
        with pytest.raises(ValueError, match=f"from_logits={logits}: the last layer's activation must be '{wanted}'"):
            make_model(loss, output=output).compile("sgd", LOSSES[loss](from_logits=logits))


def test_single_batches():
    """A step of fit on all rows, with the loss from before; what fit returned stays."""
    model, twin = (make_model(optimizer="adam", metrics=["mae"]) for _ in range(2))
    history = model.fit(X, Y, verbose=0)
    twin.fit(X, Y, verbose=0)
    loss, mae = twin.evaluate(X, Y)
    np.testing.assert_allclose(model.train_on_batch(X, Y), [loss, mae], rtol=1e-12)
    twin.fit(X, Y, batch_size=50, shuffle=False, verbose=0)
    assert same_bits(model.get_weights(), twin.get_weights()) and model.history is history
    assert model.test_on_batch(X, Y, return_dict=True) == twin.evaluate(X, Y, return_dict=True)
    assert model.train_on_batch(X, Y, return_dict=True).keys() == {"loss", "mae"}
    assert np.array_equal(model(X), model.predict(X)) and np.array_equal(model.predict_on_batch(X), model.predict(X))


def test_single_batches_that_would_mislead_are_refused():
    model = make_model(optimizer=fastml.SGD(fastml.CosineDecay(0.1)))
    with pytest.raises(ValueError, match="give it steps for train_on_batch"):
        model.train_on_batch(X, Y)
    model = Sequential([fastml.Normalization(), Dense(3)])
    model.compile()
    with pytest.raises(ValueError, match="Normalization takes its statistics from all rows"):
        model.train_on_batch(X, Y)


def test_weights_in_files(tmp_path):
    model, other = make_model(optimizer="adam", seed=1), make_model(optimizer="adam", seed=2)
    model.fit(X, Y, verbose=0)
    model.save_weights(tmp_path / "w.safetensors")
    other.load_weights(tmp_path / "w.safetensors")
    assert same_bits(model.get_weights(), other.get_weights()) and other._engine.updates == 0
    with pytest.raises(ValueError, match=r"weights\[0\] has shape"):
        Sequential([Dense(2), Dense(4), Dense(3)], input_dim=5).load_weights(tmp_path / "w.safetensors")


def test_models_without_a_seed_follow_the_global_one():
    import random

    state, drawn = random.getstate(), np.random.get_state()  # noqa: NPY002
    try:
        seeds = []
        for _ in range(2):
            fastml.set_random_seed(7)
            seeds.append(([Sequential().seed for _ in range(3)], random.random(), np.random.rand()))  # noqa: NPY002
        assert seeds[0] == seeds[1] and len(set(seeds[0][0])) == 3
    finally:
        fastml.program.random.seeds = None
        random.setstate(state)
        np.random.set_state(drawn)  # noqa: NPY002
    assert Sequential().seed != Sequential().seed


def test_representations_and_help():
    assert repr(fastml.MeanSquaredError()) == "MeanSquaredError()" and repr(fastml.Poisson()) == "Poisson()"
    import pydoc

    for method in (Sequential.predict, Sequential.gradients, Sequential.set_weights):
        text = pydoc.plain(pydoc.render_doc(method)).splitlines()
        assert len(text[2]) <= 130 and "Sequence" not in text[2] and text[3].startswith("    ")


@pytest.mark.parametrize("registry", [LOSSES, fastml.OPTIMIZERS], ids=["losses", "optimizers"])
def test_representations_are_their_calls(registry):
    """Which Python makes the same of."""
    for kind in registry.values():
        made = kind()
        assert repr(eval(repr(made), PUBLIC)) == repr(made) and repr(made).startswith(kind.__name__ + "(")


def test_representations_of_other_arguments():
    layers = [Dense(4, "relu", use_bias=False), Dropout(0.25), fastml.BatchNormalization(0.9), Activation("elu", 0.5)]
    others = [fastml.Huber(2.0), fastml.Adam(0.1, clipnorm=1.0), fastml.CosineDecay(0.1), fastml.L1L2(0.1, 0.2)]
    for made in [*layers, *others, fastml.BinaryCrossentropy(from_logits=True)]:
        assert " at 0x" not in repr(made) and repr(eval(repr(made), PUBLIC)) == repr(made)


@pytest.mark.parametrize("name", ["predict", "get_weights", "save", "load_weights", "summary", "build", "add"])
def test_help_opens_with_a_line_that_can_be_read(name):
    import pydoc

    text = pydoc.plain(pydoc.render_doc(getattr(Sequential, name))).splitlines()
    assert len(text[2]) <= 130 and "Union" not in text[2] and "numpy." not in text[2] and text[3].startswith("    ")


def test_embeddings_keep_their_common_arguments(tmp_path):
    model = Sequential([Embedding({0: 3}, name="cities", trainable=False), Dense(1)], input_dim=2)
    model.save(tmp_path / "m.safetensors")
    layer = fastml.load(tmp_path / "m.safetensors").get_layer("cities")
    assert layer.trainable is False and "trainable=False" in repr(layer)
