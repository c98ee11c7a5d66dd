"""The calls of a Keras user's first hour: what each does here. As a program, prints a list of them in Markdown.

Each entry is what the call is called, its code, and "" where it works, or a part of the sentence that refuses it. The
code finds what `world` gives: arrays X, y, Y1, one_hot; the model m, built, of 10 columns; `binary()`, a new one.
"""

import os
import tempfile
import warnings

import numpy as np

import fastml
from fastml import layers

CALLS = [
    # namespaces
    ("from fastml import layers", "from fastml import layers", ""),
    ("fastml.layers.Dense", "fastml.layers.Dense", ""),
    ("fastml.optimizers.Adam(1e-3)", "fastml.optimizers.Adam(1e-3)", ""),
    ("fastml.losses.MeanSquaredError()", "assert repr(fastml.losses.MeanSquaredError()) == 'MeanSquaredError()'", ""),
    ("fastml.callbacks.EarlyStopping()", "fastml.callbacks.EarlyStopping()", ""),
    ("fastml.metrics.AUC()", "compiled(metrics=[fastml.metrics.AUC()]).evaluate(X, y)", ""),
    ("fastml.AUC", "fastml.AUC", "metrics=['auc']"),
    ("fastml.models.load_model", "m.save('m.safetensors'); fastml.models.load_model('m.safetensors')", ""),
    ("fastml.load_model", "m.save('m.safetensors'); fastml.load_model('m.safetensors')", ""),
    ("fastml.Input(shape=(10,))", "fastml.Sequential([fastml.Input(shape=(10,)), layers.Dense(1)]).count_params()", ""),
    ("fastml.Model", "fastml.Model", "one chain of layers"),
    (
        "fastml.utils.to_categorical",
        "assert fastml.utils.to_categorical([0, 2]).tolist() == [[1, 0, 0], [0, 0, 1]]",
        "",
    ),
    ("fastml.set_random_seed(1)", "fastml.set_random_seed(1)", ""),
    ("fastml.utils.set_random_seed(1)", "fastml.utils.set_random_seed(1)", ""),
    # 1 binary
    (
        "Dense(16, activation='relu', input_shape=(10,))",
        "net(layers.Dense(16, activation='relu', input_shape=(10,)))",
        "",
    ),
    ("Dense(16, input_dim=10)", "net(layers.Dense(16, input_dim=10))", ""),
    ("Dense(units=16,name='h1')", "net(layers.Dense(units=16, name='h1'), input_dim=10).get_layer('h1')", ""),
    ("Dense use_bias=False", "net(layers.Dense(16, use_bias=False), input_dim=10).fit(X, y, verbose=0)", ""),
    ("Sequential(); add; pop", "s = fastml.Sequential(); s.add(layers.Dense(2)); s.pop()", ""),
    ("Sequential(name='net')", "assert fastml.Sequential(name='net').name == 'net'", ""),
    (
        "compile(optimizer='adam',loss='binary_crossentropy',metrics=['accuracy','AUC'])",
        "b = binary(); b.compile(optimizer='adam', loss='binary_crossentropy', metrics=['accuracy', 'AUC'])\n"
        "b.fit(X, y, validation_split=0.2, verbose=0).history['val_AUC']",
        "",
    ),
    ("compile loss='bce'", "binary().compile(loss='bce')", ""),
    ("compile loss='mse'", "binary().compile(loss='mse')", ""),
    (
        "Dense(1) activation None + mse metrics mae",
        "s = fastml.Sequential([layers.Dense(1, activation=None)]); s.compile('adam', 'mse', metrics=['mae'])\n"
        "s.fit(X, y, verbose=0).history['mae']",
        "",
    ),
    ("fit verbose=0 validation_data", "c.fit(X, y, verbose=0, validation_data=(X, y))", ""),
    ("fit verbose=2", "c.fit(X, y, verbose=2)", ""),
    ("fit verbose='auto'", "c.fit(X, y, verbose='auto')", ""),
    ("fit initial_epoch", "assert c.fit(X, y, epochs=5, initial_epoch=3, verbose=0).epoch == [3, 4]", ""),
    ("fit(steps_per_epoch=5) arrays", "c.fit(X, y, batch_size=8, steps_per_epoch=5, epochs=3, verbose=0)", ""),
    ("fit(generator, steps_per_epoch=5)", "c.fit(batches(), steps_per_epoch=5, epochs=2, verbose=0)", ""),
    ("fit(list of batches)", "c.fit([(X[:20], y[:20]), (X[20:40], y[20:40])], epochs=2, verbose=0)", ""),
    ("fit validation_freq", "c.fit(X, y, epochs=4, validation_split=0.2, validation_freq=2, verbose=0)", ""),
    ("fit sample_weight", "c.fit(X, y, sample_weight=np.ones(len(X)), verbose=0)", ""),
    ("fit validation_batch_size", "c.fit(X, y, validation_split=0.2, validation_batch_size=8, verbose=0)", ""),
    ("fit pandas DataFrame", "import pandas; c.fit(pandas.DataFrame(X), pandas.Series(y), verbose=0)", ""),
    ("fit list of lists", "c.fit(X.tolist(), y.tolist(), verbose=0)", ""),
    ("evaluate verbose=0", "c.evaluate(X, y, verbose=0)", ""),
    ("evaluate return_dict", "c.evaluate(X, y, return_dict=True)['loss']", ""),
    ("evaluate batch_size", "c.evaluate(X, y, batch_size=16)", ""),
    ("predict batch_size", "c.predict(X, batch_size=16)", ""),
    ("predict verbose=0", "c.predict(X, verbose=0)", ""),
    ("predict 1-D row", "c.predict(X[0])", "for one row x.reshape(1, -1)"),
    ("m(X)", "m(X)", ""),
    ("predict_on_batch", "m.predict_on_batch(X)", ""),
    ("train_on_batch", "c.train_on_batch(X, y)", ""),
    ("test_on_batch", "c.test_on_batch(X, y)", ""),
    (
        "EarlyStopping(monitor=,patience=,restore_best_weights=True)",
        "c.fit(X, y, epochs=3, validation_split=0.2, verbose=0, callbacks=[\n"
        "    fastml.EarlyStopping(monitor='val_loss', patience=1, restore_best_weights=True)])",
        "",
    ),
    (
        "EarlyStopping start_from_epoch, baseline",
        "c.fit(X, y, epochs=3, verbose=0, callbacks=[\n"
        "    fastml.EarlyStopping('loss', start_from_epoch=1, baseline=0.1, patience=1)])",
        "",
    ),
    (
        "ModelCheckpoint('best.keras', save_best_only=True, monitor='val_loss')",
        "fastml.ModelCheckpoint('best.keras', save_best_only=True, monitor='val_loss')",
        "use 'best.safetensors'",
    ),
    (
        "ModelCheckpoint('w-{epoch:02d}-{val_loss:.2f}.safetensors')",
        "c.fit(X, y, validation_split=0.2, verbose=0, callbacks=[\n"
        "    fastml.ModelCheckpoint('w-{epoch:02d}-{val_loss:.2f}.safetensors')])",
        "",
    ),
    (
        "ModelCheckpoint save_weights_only",
        "c.fit(X, y, verbose=0, callbacks=[fastml.ModelCheckpoint('w.safetensors', save_weights_only=True)])\n"
        "c.load_weights('w.safetensors')",
        "",
    ),
    ("ReduceLROnPlateau callback fit", "c.fit(X, y, verbose=0, callbacks=[fastml.ReduceLROnPlateau('loss')])", ""),
    ("LearningRateScheduler(lambda e", "run(fastml.LearningRateScheduler(lambda e: 0.1 / (e + 1)))", ""),
    ("LearningRateScheduler(lambda e,lr", "run(fastml.LearningRateScheduler(lambda e, lr: lr * 0.9))", ""),
    ("TensorBoard(log_dir=)", "fastml.TensorBoard(log_dir='logs')", ""),
    ("TensorBoard(histogram_freq=1)", "fastml.TensorBoard(histogram_freq=1)", "fastml.plots.weight_histograms"),
    ("CSVLogger", "run(fastml.CSVLogger('log.csv'))", ""),
    ("TerminateOnNaN", "run(fastml.callbacks.TerminateOnNaN())", ""),
    ("LambdaCallback", "run(fastml.callbacks.LambdaCallback(on_epoch_end=lambda epoch, logs: logs['loss']))", ""),
    (
        "subclass Callback",
        "class C(fastml.Callback):\n    def on_epoch_end(self, epoch, logs): logs['loss']\nrun(C())",
        "",
    ),
    # 2 regression
    ("metrics=[fn]", "compiled(metrics=[lambda y_true, y_pred: 0]).evaluate(X, y)", ""),
    ("loss=fn(y_true,y_pred)", "compiled(lambda y_true, y_pred: (y_true - y_pred) ** 2).fit(X, y, verbose=0)", ""),
    ("loss_weights", "binary().compile(loss_weights=[1])", "weigh rows by sample_weight"),
    ("weighted_metrics", "binary().compile(weighted_metrics=['accuracy'])", "metrics are not weighted"),
    (
        "metrics RootMeanSquaredError()",
        "compiled('mse', metrics=[fastml.metrics.RootMeanSquaredError()]).fit(X, y)",
        "",
    ),
    ("Huber(delta=2)", "fastml.losses.Huber(delta=2)", ""),
    ("loss log_cosh", "binary().compile(loss='log_cosh')", ""),
    ("loss mape", "binary().compile(loss='mape')", "The nearest is 'mean_absolute_error'"),
    ("loss kl_divergence", "binary().compile(loss='kl_divergence')", "The nearest is 'categorical_crossentropy'"),
    ("loss hinge", "binary().compile(loss='hinge')", "The nearest is 'binary_crossentropy'"),
    (
        "BinaryCrossentropy(from_logits=True)",
        "s = fastml.Sequential([layers.Dense(1)])\n"
        "s.compile('adam', fastml.losses.BinaryCrossentropy(from_logits=True))\n"
        "s.fit(X, y, verbose=0)",
        "",
    ),
    (
        "SparseCategoricalCrossentropy(from_logits=True)",
        "s = fastml.Sequential([layers.Dense(3)])\n"
        "s.compile('adam', fastml.SparseCategoricalCrossentropy(from_logits=True))\n"
        "s.fit(X, Y1, verbose=0)",
        "",
    ),
    ("CategoricalFocalCrossentropy", "fastml.losses.CategoricalFocalCrossentropy()", "class_weight"),
    # 3 multi
    ("class_weight dict", "c.fit(X, y, class_weight={0: 1.0, 1: 2.0}, verbose=0)", ""),
    ("one-hot y categorical", "three('categorical_crossentropy').fit(X, one_hot, verbose=0)", ""),
    ("one-hot y to sparse", "three('sparse_categorical_crossentropy').fit(X, one_hot, verbose=0)", ""),
    ("string labels", "three('sparse_categorical_crossentropy').fit(X, np.array(['a', 'b'] * 32))", "numpy.unique"),
    ("sparse y to categorical", "three('categorical_crossentropy').fit(X, Y1, verbose=0)", ""),
    ("class_weight missing key", "c.fit(X, y, class_weight={1: 2.0}, verbose=0)", ""),
    # 4 functional
    ("functional two inputs", "fastml.Model(inputs=[fastml.Input(shape=(3,)), fastml.Input(shape=(2,))])", "one chain"),
    ("Dense(8)(x)", "layers.Dense(8)(fastml.Input(shape=(3,)))", "a model is one chain"),
    ("Concatenate", "layers.Concatenate()", "numpy.hstack"),
    ("Add", "layers.Add()", "one chain of layers"),
    ("fastml.Flatten", "fastml.Flatten()", "x.reshape(len(x), -1)"),
    ("fastml.Reshape", "fastml.Reshape((5,))", "x.reshape(len(x), -1)"),
    ("fastml.LayerNormalization", "fastml.LayerNormalization()", ""),
    ("fastml.GaussianNoise", "fastml.GaussianNoise(0.1)", "the nearest is Dropout"),
    ("fastml.Conv1D", "fastml.Conv1D(8, 3)", "the nearest is Dense"),
    ("fastml.Conv2D", "fastml.Conv2D(8, 3)", "the nearest is Dense"),
    ("fastml.LSTM", "fastml.LSTM(8)", "the nearest is Dense"),
    ("fastml.Lambda", "fastml.Lambda(lambda x: x)", "a Layer of your own"),
    ("fastml.ReLU", "net(fastml.ReLU(), input_dim=10).predict(X)", ""),
    ("fastml.LeakyReLU", "net(fastml.LeakyReLU(), input_dim=10).predict(X)", ""),
    ("fastml.Softmax", "net(fastml.Softmax(), input_dim=10).predict(X)", ""),
    ("fastml.Embedding", "fastml.Embedding({0: 3})", ""),
    ("fastml.CategoryEncoding", "fastml.CategoryEncoding(3)", "TableEncoder"),
    ("fastml.StringLookup", "fastml.StringLookup()", "TableEncoder"),
    ("fastml.Discretization", "fastml.Discretization(3)", "TableEncoder"),
    ("fastml.ActivityRegularization", "fastml.ActivityRegularization(0.1)", "kernel_regularizer"),
    ("fastml.AlphaDropout", "fastml.AlphaDropout(0.1)", "the nearest is Dropout"),
    ("fastml.Rescaling", "fastml.Rescaling(1 / 255)", "Normalization"),
    ("fastml.Normalization", "fastml.Normalization()", ""),
    ("fastml.PReLU", "fastml.PReLU()", "leaky_relu"),
    (
        "subclass Layer",
        "class L(fastml.Layer):\n    def call(self, x): return x\nnet(L(), input_dim=10).predict(X)",
        "",
    ),
    ("subclass Model", "class M(fastml.Model): pass", "one chain of layers"),
    # 5 weights, config, save
    ("m.layers[0].get_weights()", "m.layers[0].get_weights()", ""),
    ("m.layers[0].set_weights", "m.layers[0].set_weights(m.layers[0].get_weights())", ""),
    ("m.get_weights()", "m.get_weights()", ""),
    (
        "m2.set_weights before build",
        "fastml.Sequential([layers.Dense(1)]).set_weights([1, 2])",
        "call build(input_dim)",
    ),
    ("m2.build((None,10))", "fastml.Sequential([layers.Dense(1)]).build((None, 10))", ""),
    ("m2.build(10)", "fastml.Sequential([layers.Dense(1)]).build(10)", ""),
    ("m2.set_weights", "m.set_weights(m.get_weights())", ""),
    ("layer.kernel / bias", "assert m.layers[0].kernel.shape == (10, 16) and m.layers[0].bias.shape == (16,)", ""),
    ("layer.weights", "assert [w.shape for w in m.layers[0].weights] == [(10, 16), (16,)]", ""),
    (
        "layer.trainable=False; fit",
        "m.layers[0].trainable = False; c.layers[0].trainable = False; w = c.layers[0].get_weights()\n"
        "c.fit(X, y, verbose=0); assert all(np.array_equal(a, b) for a, b in zip(w, c.layers[0].get_weights()))",
        "",
    ),
    ("layer.name", "assert [layer.name for layer in m.layers] == ['dense', 'dense_1']", ""),
    ("m.get_layer(index=0)", "assert m.get_layer(index=0) is m.layers[0]", ""),
    ("m.get_layer('dense')", "assert m.get_layer('dense') is m.layers[0]", ""),
    ("m.get_config()", "m.get_config()", ""),
    ("Sequential.from_config", "fastml.Sequential.from_config(m.get_config())", ""),
    ("layer.get_config", "layers.Dense.from_config(m.layers[0].get_config())", ""),
    ("m.to_json()", "fastml.models.model_from_json(m.to_json())", ""),
    ("m.count_params()", "assert m.count_params() == 193", ""),
    ("m.trainable_variables", "assert len(m.trainable_variables) == 4", ""),
    ("m.input_shape/output_shape", "assert (m.input_shape, m.output_shape) == ((None, 10), (None, 1))", ""),
    ("m.inputs", "m.inputs", "input_shape"),
    ("m.optimizer.learning_rate = 1e-4", "c.optimizer.learning_rate = 1e-4", ""),
    ("m.optimizer.learning_rate.assign", "c.optimizer.learning_rate.assign(1e-4)", "set optimizer.learning_rate = "),
    ("m.save('m.keras')", "m.save('m.keras')", "use 'm.safetensors'"),
    ("m.save('m.h5')", "m.save('m.h5')", "use 'm.safetensors'"),
    ("m.save('m')", "m.save('m')", ""),
    ("m.save_weights('w.weights.h5')", "m.save_weights('w.weights.h5')", "use 'w.weights.safetensors'"),
    ("m.load_weights", "m.save_weights('w.weights.safetensors'); m.load_weights('w.weights.safetensors')", ""),
    ("clone_model", "fastml.models.clone_model(m)", ""),
    ("copy.deepcopy(m)", "import copy; copy.deepcopy(m).predict(X)", ""),
    ("pickle(m)", "import pickle; pickle.loads(pickle.dumps(m)).predict(X)", ""),
    ("m.export('x.onnx')", "m.export('x.onnx')", "model.save('model.safetensors')"),
    ("plot_model", "fastml.utils.plot_model(m)", "model.summary()"),
    (
        "history.history / params / epoch",
        "h = c.fit(X, y, verbose=0); h.history, h.epoch; assert h.params['epochs'] == 1",
        "",
    ),
    ("pd.DataFrame(history.history)", "import pandas; pandas.DataFrame(c.fit(X, y, verbose=0).history)", ""),
    ("m.summary(expand_nested=True)", "m.summary(expand_nested=True)", ""),
    ("jit_compile / run_eagerly", "m.compile(run_eagerly=True)", "executor='numpy'"),
    ("Adam(lr=)", "fastml.Adam(lr=0.1)", "it is called learning_rate"),
    (
        "Adam(learning_rate=.., clipnorm=1.0)",
        "compiled(optimizer=fastml.Adam(0.01, clipnorm=1.0)).fit(X, y, verbose=0)",
        "",
    ),
    ("Nadam", "fastml.optimizers.Nadam()", "Adam"),
    ("Adadelta", "fastml.optimizers.Adadelta()", "the nearest is RMSprop"),
    ("Lion", "fastml.optimizers.Lion()", "Adam"),
    (
        "ExponentialDecay keras args",
        "fastml.optimizers.schedules.ExponentialDecay(initial_learning_rate=0.1, decay_steps=10, decay_rate=0.9)",
        "",
    ),
    (
        "CosineDecay keras args",
        "assert fastml.CosineDecay(initial_learning_rate=0.1, decay_steps=10, alpha=0.5).final == 0.05",
        "",
    ),
    ("PiecewiseConstantDecay", "fastml.optimizers.schedules.PiecewiseConstantDecay([5, 9], [1.0, 0.5, 0.1])", ""),
    ("kernel_regularizer='l2'", "layers.Dense(1, kernel_regularizer='l2')", ""),
    ("kernel_initializer=HeNormal()", "layers.Dense(1, kernel_initializer=fastml.initializers.HeNormal())", ""),
    ("kernel_initializer='he_normal'", "layers.Dense(1, kernel_initializer='he_normal')", ""),
    ("kernel_constraint", "layers.Dense(1, kernel_constraint='non_neg')", "kernel_regularizer"),
    ("activation=callable", "net(layers.Dense(1, activation=np.tanh), input_dim=10).predict(X)", ""),
    (
        "activation='swish','hard_sigmoid'",
        "assert layers.Dense(1, activation='swish').activation == 'silu'; layers.Dense(1, activation='hard_sigmoid')",
        "",
    ),
    ("dir(fastml)", "assert 'Dense' in dir(fastml)", ""),
]


def world():
    """What the calls find by name."""
    rng = np.random.default_rng(0)
    X, Y1 = rng.normal(size=(64, 10)).astype("float32"), rng.integers(3, size=64)
    y = (X[:, 0] > 0).astype("float32")

    def net(*chain, input_dim=None):
        model = fastml.Sequential([*chain, layers.Dense(1, "sigmoid")], seed=1)
        model.build(input_dim)
        model.compile()
        return model

    def binary():
        dims = layers.Dense(16, "relu"), layers.Dense(1, "sigmoid")
        return fastml.Sequential(dims, input_dim=10, seed=1)

    def compiled(loss="binary_crossentropy", optimizer="adam", metrics=()):
        model = binary()
        model.compile(optimizer, loss, metrics)
        return model

    def three(loss):
        model = fastml.Sequential([layers.Dense(3, "softmax")], seed=1)
        model.compile("adam", loss, ["accuracy"])
        return model

    def batches():
        while True:
            rows = rng.integers(64, size=8)
            yield X[rows], y[rows]

    c, m = compiled(), binary()
    m.build()
    found = {"one_hot": np.eye(3)[Y1], "run": lambda callback: c.fit(X, y, epochs=2, verbose=0, callbacks=[callback])}
    return found | {name: value for name, value in locals().items() if name not in ("rng", "found")}


def outcome(code):
    """None where the code of a call works, else the error that it raises; in a folder of its own."""
    before = os.getcwd()
    with tempfile.TemporaryDirectory() as folder, warnings.catch_warnings():
        warnings.simplefilter("error")
        os.chdir(folder)
        try:
            exec(code, {"fastml": fastml, "layers": layers, "np": np, **world()})
        except Exception as error:
            return error
        finally:
            os.chdir(before)
    return None


def told(error):
    """Whether an error says what to use instead, in a sentence of fastml's own."""
    return isinstance(error, (AttributeError, RuntimeError, TypeError, ValueError)) and len(str(error).split()) > 6


def main():
    """Prints a line for each call."""
    counts = {"works": 0, "refused": 0, "other": 0}
    lines = []
    for name, code, _ in CALLS:
        error = outcome(code)
        kind = "works" if error is None else "refused" if told(error) else "other"
        counts[kind] += 1
        lines.append(f"- `{name}` — {kind}" + (f": {type(error).__name__}: {error}" if error else ""))
    total = ", ".join(f"{number} {kind}" for kind, number in counts.items())
    print(f"# Calls of a Keras user's first hour: {total}\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
