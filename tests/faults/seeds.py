"""Valid files of all kinds, small ones, for the fuzzer to damage."""

import sys
import warnings
from pathlib import Path

import numpy as np
import polars as pl

sys.path.insert(0, str(Path(__file__).parents[1]))
from table_files import flats, people, write_csv

import fastml
from fastml import Activation, BatchNormalization, Dense, Dropout, Embedding, Normalization, Sequential
from fastml.sklearn import MLPClassifier, MLPRegressor
from fastml.training import run as training

SUFFIX = dict.fromkeys(("model", "checkpoint", "estimator"), ".safetensors") | {"csv": ".csv", "parquet": ".parquet"}


def write_seeds(kind, folder):
    """Writes the files of a kind into a folder, which it makes; returns their paths."""
    folder.mkdir()
    WRITERS[kind](folder)
    return sorted(folder.iterdir())


def write_models(folder):
    """Networks with every layer and optimizer, trained, or not, or with no aim at all."""
    rng = np.random.default_rng(0)
    x, labels = rng.normal(size=(40, 3)), rng.integers(3, size=40)
    codes = np.column_stack([rng.integers(4, size=40), x[:, 0], rng.integers(3, size=40)])
    penalty = fastml.L1L2(1e-4, 1e-3)
    rich = [
        Normalization("robust"),
        Dense(5, Activation("elu", 0.5), bias_initializer=0.25, kernel_regularizer=penalty),
        BatchNormalization(),
        Dropout(0.2),
        Dense(4, "gelu", kernel_initializer=np.linspace(-1, 1, 20).reshape(5, 4)),
        Dense(3, "softmax"),
    ]
    adam = fastml.AdamW(fastml.CosineDecay(0.01, steps=100, warmup_steps=3), global_clipnorm=1.0)
    rprop = fastml.Rprop(backtrack=True)
    frozen = [
        Dense(4, "tanh", use_bias=False, name="bottom", trainable=False),
        BatchNormalization(trainable=False),
        Dense(3, name="top"),
    ]
    pieces = fastml.Adam(fastml.PiecewiseConstantDecay([2, 4], [0.1, 0.01, 0.001]), clipnorm=1.0)
    logits = fastml.SparseCategoricalCrossentropy(from_logits=True)
    for name, layers, data, target, loss, optimizer in (
        ("rich", rich, x, labels, "sparse_categorical_crossentropy", adam),
        ("codes", [Embedding({0: 4, 2: 3}, 2), Dense(1)], codes, x[:, 1], fastml.Huber(2.0), "rmsprop"),
        ("momentum", [Dense(2, "tanh"), Dense(1, "sigmoid")], x, labels > 1, "binary_crossentropy",
         fastml.SGD(fastml.OneCycle(0.01, 50), 0.9, nesterov=True)),
        ("adagrad", [Dense(1, "exponential")], x, labels, "poisson", fastml.Adagrad(fastml.StepDecay(0.1, 7))),
        ("frozen", frozen, x, labels, logits, pieces),
        ("rprop", [BatchNormalization(0.8), Dense(2, "softplus")], x, x[:, :2], "mean_absolute_error", rprop),
    ):  # fmt: skip
        model = Sequential(layers, seed=1, dtype="float64" if name in ("codes", "rprop") else "float32")
        model.compile(optimizer, loss, ["mean_squared_error"] if name == "codes" else [])
        model.fit(data, target, 40 if name == "rprop" else 16, 2, verbose=0)
        model.save(folder / f"{name}.safetensors")
    model = Sequential([Normalization(), Dense(2), Activation("leaky_relu")], input_dim=3, seed=2)
    model.save(folder / "bare.safetensors")
    model.compile("adam", metrics=["r2"], executor="numpy")
    model.save(folder / "untrained.safetensors", include_optimizer=False)


def resumable(path, resume=False, end=None):
    """A training with checkpoints at this path, which goes on from one if it is to, and ends after so many steps."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(40, 3)), rng.normal(size=(40, 2))
    model = Sequential([Normalization(), Dense(4, "tanh"), BatchNormalization(), Dropout(0.2), Dense(2)], seed=1)
    model.compile(fastml.Adam(fastml.OneCycle(0.01)), metrics=["mean_absolute_error"])

    class End(fastml.Callback):
        def on_chunk_end(self):
            if model._engine.progress()[1] == end:
                raise StopIteration

    checkpoint = fastml.ModelCheckpoint(path if end else path.with_suffix(".new"), every_epochs=10**6)
    watching = [fastml.EarlyStopping("loss"), fastml.EarlyStopping("mean_absolute_error", restore_best_weights=False)]
    callbacks = [*watching, checkpoint, End()]
    model.fit(x, y, 8, 3, callbacks=callbacks, verbose=0, resume=resume)
    return model


def write_checkpoints(folder):
    """Trainings that ended after one step, in the middle, and at the end of an epoch."""
    chunk, training.CHUNK_SECONDS = training.CHUNK_SECONDS, 0  # single steps
    for end in (1, 7, 10):
        try:
            resumable(folder / f"{end}.safetensors", end=end)
        except StopIteration:
            pass
    training.CHUNK_SECONDS = chunk


def write_estimators(folder):
    """Estimators of both kinds, of arrays and of tables, with all solvers' ways to end."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(60, 3)), rng.integers(3, size=60)
    table = pl.DataFrame(
        {
            "age": [None if k % 7 == 0 else float(k % 40) for k in range(60)],
            "city": [["Rome", "Oslo", None, "Lima"][k % 4] for k in range(60)],
            "street": [f"street {k % 20}" for k in range(60)],
            "member": [k % 3 == 0 for k in range(60)],
        }
    )
    small = {"hidden_layer_sizes": (4,), "max_iter": 3, "random_state": 0}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name, kind, data, target, parameters in (
            ("binary", MLPClassifier, table, np.array(["no", "yes"])[y % 2], {"class_weight": "balanced"}),
            ("classes", MLPClassifier, x, y, {"solver": "sgd", "learning_rate": "invscaling", "dtype": "float32"}),
            ("labels", MLPClassifier, x, np.column_stack([y > 0, y > 1]).astype(int), {"dropout": [0.1]}),
            ("objects", MLPClassifier, x, np.array(["a", "b", "c"], object)[y], {"batch_normalization": True}),
            ("numbers", MLPRegressor, table, x[:, 0], {"early_stopping": True, "validation_fraction": 0.3}),
            ("outputs", MLPRegressor, x, x[:, :2], {"solver": fastml.Adam(0.01), "n_iter_no_change": np.inf}),
            ("lbfgs", MLPRegressor, x, x[:, 1], {"solver": "lbfgs", "activation": ["tanh"]}),
            ("counts", MLPRegressor, x, y, {"loss": "poisson"}),
        ):
            kind(**small, **parameters).fit(data, target).save(folder / f"{name}.safetensors")
        chunks = MLPRegressor(**small, normalization="robust")
        chunks.partial_fit(x, y).partial_fit(x + 1, y).save(folder / "chunks.safetensors")


def write_csvs(folder):
    write_csv(folder / "people.csv", people(60))
    write_csv(folder / "flats.csv", flats(60))
    write_csv(folder / "semicolons.csv", ({**row, "name": "Ö\n; x"} for row in flats(30)), ";")
    write_csv(folder / "wide.csv", [{f"c{k}": (k * r) % 7 for k in range(50)} for r in range(60)])


def write_parquets(folder):
    """Tables of many dtypes, in all compressions."""
    frame = pl.DataFrame(list(people(60))).with_columns(
        pl.col("since").str.to_date(),
        pl.col("plan").cast(pl.Categorical),
        pl.lit(None).alias("nothing"),
        pl.Series("time", range(60)).cast(pl.Duration("ms")),
    )
    frame = frame.with_columns(pl.col("score").cast(pl.Float32), pl.Series("nested", [[k, k] for k in range(60)]))
    for compression in ("uncompressed", "snappy", "gzip", "zstd", "lz4"):
        frame.write_parquet(folder / f"{compression}.parquet", compression=compression, row_group_size=25)
    pl.DataFrame(list(flats(60))).cast({"price": pl.Float64, "area": pl.Float32}).write_parquet(
        folder / "flats.parquet"
    )


WRITERS = {
    "model": write_models,
    "checkpoint": write_checkpoints,
    "estimator": write_estimators,
    "csv": write_csvs,
    "parquet": write_parquets,
}
