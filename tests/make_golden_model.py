"""Writes the model file of this version of the format, once, when the version is new: tests read it for ever after.

.venv/bin/python tests/make_golden_model.py
"""

from pathlib import Path

import numpy as np
from safetensors.numpy import save_file

from fastml import (
    L2,
    Activation,
    AdamW,
    BatchNormalization,
    CosineDecay,
    Dense,
    Dropout,
    Ensemble,
    Normalization,
    Sequential,
)
from fastml.files.saving import VERSION

random = np.random.default_rng(0)
x, y = random.normal(size=(60, 5)), random.integers(3, size=60)


def trained(seed):
    layers = [
        Normalization("minmax"),
        Dense(6, Activation("leaky_relu", 0.1), kernel_regularizer=L2(1e-3)),
        BatchNormalization(),
        Dropout(0.1),
        Dense(4, "tanh", bias_initializer=0.5),
        Dense(3, "softmax"),
    ]
    model = Sequential(layers, seed=seed)
    model.compile(AdamW(CosineDecay(0.01)), "sparse_categorical_crossentropy", ["accuracy"])
    model.fit(x, y, batch_size=20, epochs=5, verbose=0)
    return model


model = Ensemble([trained(7), trained(8)])  # of version 1, there was one alone
path = Path(__file__).parent / "models" / f"version_{VERSION}.safetensors"
if path.exists():
    raise SystemExit(f"{path} is there already, and must stay as it is")
path.parent.mkdir(exist_ok=True)
model.save(path)
x = np.linspace(-2, 2, 20).reshape(4, 5)
save_file({"outputs": model.predict(x)}, path.with_suffix(".outputs"))
