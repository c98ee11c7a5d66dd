"""Fingerprints of the weights after ten trainings, to compare before and after a change that must not touch a bit.

``python bench/bits.py > before.txt``, then the change, then again: the two files must be equal on the same machine.
Vectors of another width add in another order, so that machines differ; ``FASTML_SIMD_BITS=256`` tells the other width.
"""

import hashlib

import numpy as np

import fastml
from fastml import L1L2, Activation, BatchNormalization, Dense, Dropout, Embedding, Normalization, Sequential

CLASSES, SPARSE = "categorical_crossentropy", "sparse_categorical_crossentropy"
TRAININGS = {  # layers, loss, optimizer, batch size
    "plain": (lambda: [Dense(64, "relu"), Dense(48, "relu")], SPARSE, lambda: "adam", 32),
    "smooth": (lambda: [Dense(33, "tanh"), Dense(17, "sigmoid")], CLASSES, lambda: fastml.SGD(0.05, 0.9), 64),
    "normalized": (
        lambda: [Normalization(), Dense(64), BatchNormalization(), Activation("relu"), Dropout(0.2)],
        SPARSE,
        lambda: fastml.AdamW(global_clipnorm=1.0, clipvalue=0.5),
        48,
    ),
    "curved": (
        lambda: [Dense(40, "gelu"), Dense(24, "mish"), Dense(24, "silu"), Dense(16, "softplus")],
        "mean_squared_error",
        lambda: fastml.RMSprop(weight_decay=0.01),
        64,
    ),
    "exponential": (
        lambda: [Dense(24, "elu"), Dense(24, "selu"), Dense(24, "leaky_relu"), Dense(8, "softmax")],
        "huber",
        lambda: fastml.SGD(0.01, 0.9, nesterov=True, weight_decay=0.1, decay_all=True),
        50,
    ),
    "penalties": (
        lambda: [Dense(64, "relu", kernel_regularizer=L1L2(0.001, 0.002)), Dense(1, "tanh")],
        "binary_crossentropy",
        lambda: fastml.Adagrad(clipnorm=0.5),
        64,
    ),
    "full batch": (lambda: [Dense(37, "tanh")], "mean_absolute_error", lambda: fastml.Rprop(backtrack=True), 2000),
    "full batch of counts": (lambda: [Dense(37, "relu")], "poisson", lambda: fastml.Rprop(), 2000),
    "codes": (lambda: [Embedding({0: 20, 3: 7}), Dense(32, "relu"), Dropout(0.1)], SPARSE, lambda: "adam", 64),
    "wide": (lambda: [Dense(512, "relu"), Dense(300, "tanh"), Dense(200, "relu")], SPARSE, lambda: "sgd", 500),
}
LINKS = {"poisson": "exponential", "binary_crossentropy": "sigmoid", CLASSES: "softmax", SPARSE: "softmax"}


def targets(loss, chance, rows):
    """Targets that the loss takes."""
    if loss == SPARSE:
        return chance.integers(5, size=rows)
    if loss == CLASSES:
        return np.eye(5)[chance.integers(5, size=rows)]
    if loss == "poisson":
        return chance.poisson(3, size=(rows, 3))
    return chance.random((rows, 3))


def fingerprint(name, dtype, rows=2000):
    """A digest of all weights, logs and predictions."""
    layers, loss, optimizer, batch = TRAININGS[name]
    chance = np.random.default_rng(0)
    x = chance.normal(size=(rows, 20))
    x[:, [0, 3]] = chance.integers(7, size=(rows, 2))
    y, weights = targets(loss, chance, rows), chance.random(rows)
    width = 5 if "categorical" in loss else 3
    model = Sequential([*layers(), Dense(width, LINKS.get(loss, "linear"))], seed=3, dtype=dtype)
    model.compile(optimizer(), loss, ["accuracy"] if loss != "poisson" else ["mean_absolute_error"])
    history = model.fit(x, y, batch, epochs=4, verbose=0, sample_weight=weights if name == "smooth" else None)
    digest = hashlib.sha256(repr(history.history).encode())
    for array in (*model.get_weights(), model.predict(x)):
        digest.update(array.tobytes())
    return digest.hexdigest()[:16]


if __name__ == "__main__":
    from fastml.kernels.cpu import BITS
    from fastml.program import plan, threads

    threads.available, plan.SHARED = lambda: 3, 1.0  # so that three threads run on fewer CPUs and small nets, too
    for name in TRAININGS:
        for dtype in ("float32", "float64"):
            for count in (1, 3):
                fastml.set_num_threads(count)
                print(f"{name:22} {dtype} {count} threads, vectors of {BITS} bits: {fingerprint(name, dtype)}")
