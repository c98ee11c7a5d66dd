"""What a file may do when it is read: be refused, or give something that works. Anything else is a fault."""

import contextlib
import io
import os
import sys
import warnings

import numpy as np
import polars as pl
from seeds import resumable

import fastml
from fastml import cli
from fastml.commands import CommandError
from fastml.commands.files.typed import read_table
from fastml.layers import codes_of

# What `fit` may say of a model that Sequential itself lets one make.
ALLOWED = ("warmup_steps", "must give a finite rate", "needs an output for each class", "beyond float", "infinity")
LARGE, LARGE_EXPONENTS = 1e6, 5  # numbers of a model from which on it may overflow
MESSAGE = 1000  # characters of an error, at most


class Fault(Exception):
    """A file did what it must not do."""


class Watch:
    """An audit hook that notes what reading a file must not do: run or import code, write, start processes, connect."""

    FORBIDDEN = (
        "exec",
        "compile",
        "import",
        "marshal.",
        "pickle.",
        "subprocess.",
        "os.",
        "socket.",
        "shutil.",
        "ctypes.",
    )
    HARMLESS = ("os.listdir", "os.scandir", "os.putenv")

    def __init__(self):
        self.active, self.seen = False, []
        sys.addaudithook(self.hook)

    def hook(self, event, arguments):
        if not self.active:
            return
        if event == "open":
            path, mode, flags = arguments
            if path != os.devnull and flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT):
                self.seen.append(f"open {path!r} {mode!r}")
        elif event == "compile" and bytes(arguments[0] or b"").startswith(b"def foo("):
            return  # inspect, which parses the signatures of functions that are written in C
        elif event.startswith(self.FORBIDDEN) and event not in self.HARMLESS:
            self.seen.append(f"{event} {str(arguments)[:200]}")

    @contextlib.contextmanager
    def over(self):
        """Watches what is done inside; Fault if it was forbidden."""
        self.active, self.seen = True, []
        try:
            yield
        finally:
            self.active = False
        if self.seen:
            raise Fault(f"reading did {self.seen}")


def refused_well(error):
    """Fault unless an error is one that a user can read, and not one of memory."""
    if isinstance(error.__cause__, MemoryError):
        raise Fault("the file was refused only where memory ended")
    if len(str(error)) > MESSAGE:
        raise Fault(f"the error has {len(str(error))} characters")
    return "refused"


def try_model(path, watch):
    """Loads a model or an estimator, and where that goes, predicts and trains a step."""
    try:
        with watch.over(), warnings.catch_warnings():
            warnings.simplefilter("error")
            loaded = fastml.load(path)
    except fastml.ModelFileError as error:
        return refused_well(error)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        if isinstance(loaded, fastml.Sequential):
            use_model(loaded)
        else:
            use_estimator(loaded)
    return "right"


def try_checkpoint(path, watch):
    """Loads a model, and resumes the training of `seeds.resumable`, where it is of that."""
    told = try_model(path, watch)
    with warnings.catch_warnings(), np.errstate(all="ignore"):
        warnings.simplefilter("ignore")
        try:
            model = resumable(path, resume=path)
        except fastml.DivergenceError:
            return "right"
        except fastml.ModelFileError as error:
            return refused_well(error)
        except ValueError as error:
            if not any(text in str(error) for text in ("cannot be resumed here", "no training that could", *ALLOWED)):
                raise
            return "refused"
    if told != "right":
        raise Fault("a training was resumed from a file that is refused")
    if not all(np.isfinite(w).all() for w in model.get_weights()):
        raise Fault("weights are not finite after fit")
    return "right"


def weights_of(model):
    """All numbers that predictions of a model depend on."""
    alphas = [getattr(getattr(layer, "function", layer), "alpha", None) or 0.0 for layer in model.layers]
    return np.concatenate([np.array(alphas, float), *(w.ravel() for w in model.get_weights())])


def rows_for(model):
    """Six rows that the model takes."""
    x = np.random.default_rng(0).normal(size=(6, model.input_dim))
    for column, categories in codes_of(model.layers).items():
        x[:, column] = np.arange(6) % categories
    return x


def check_outputs(model, outputs):
    grows = any(getattr(layer, "activation", "") == "exponential" for layer in model.layers)
    if not np.isfinite(outputs).all() and np.abs(weights_of(model)).max() < (LARGE_EXPONENTS if grows else LARGE):
        raise Fault("predictions are not finite")


def use_model(model):
    x = rows_for(model)
    if model._engine.fitted:
        check_outputs(model, model.predict(x))
        check_outputs(model, model.predict_one(x[0]))
    if model.loss is None:
        return
    units = model._engine.program.d_out
    targets = {"labels": np.zeros(6, int), "distributions": np.eye(units)[np.zeros(6, int)]}
    y = targets.get(model.loss.targets, np.full((6, units), 0.5))
    try:
        model.fit(x, y, batch_size=6, epochs=1, verbose=0)
    except fastml.DivergenceError:
        pass
    except ValueError as error:
        if not any(text in str(error) for text in ALLOWED):
            raise
    if not np.isfinite(model.get_weights()[0]).all():
        raise Fault("weights are not finite after fit")
    if model._engine.fitted:  # not where fit refused its data
        check_outputs(model, model.predict(x))


def use_estimator(estimator):
    """Predicts, then trains an epoch with the parameters of the file, and with the usual ones."""
    model, encoder = estimator.model_, estimator.encoder_
    X = table_for(encoder) if encoder else rows_for(model)
    predicted = predict(estimator, X)
    if predicted is None:
        return
    y = estimator.classes_[np.arange(6) % len(estimator.classes_)] if hasattr(estimator, "classes_") else predicted
    if getattr(estimator, "_kind", "") == "multilabel":
        y = np.tile([0, 1], (6, estimator.n_outputs_))[:, : estimator.n_outputs_]
    try:
        estimator.partial_fit(X, y)
    except (TypeError, ValueError, AttributeError, fastml.DivergenceError):  # parameters are the user's to set
        pass
    estimator.set_params(**type(estimator)().get_params())
    try:
        estimator.partial_fit(X, y)
    except (ValueError, fastml.DivergenceError) as error:
        told = str(error)
        if "non-finite parameter weights" not in told and not any(text in told for text in ALLOWED):
            raise
    predict(estimator, X)
    repr(estimator), estimator._repr_html_()


def predict(estimator, X):
    """Predictions, checked, or None where numbers of the file are too large for them."""
    try:
        answer = estimator.predict(X)
        if hasattr(estimator, "predict_proba"):
            p = estimator.predict_proba(X)
            check_outputs(estimator.model_, p)
    except ValueError as error:
        if "to be standardized" in str(error):
            return None
        raise
    if len(answer) != 6:
        raise Fault(f"6 rows have {len(answer)} predictions")
    scale = estimator._target_spread if getattr(estimator, "_target_spread", None) is not None else 1.0
    if answer.dtype.kind == "f" and np.abs(scale).max() < LARGE and hasattr(estimator, "_target_mean"):
        check_outputs(estimator.model_, answer)
    return np.nan_to_num(np.abs(answer), posinf=1.0, nan=1.0) if answer.dtype.kind == "f" else answer


def table_for(encoder):
    """A table that an encoder takes: the middle of numbers, categories that it knows."""
    columns = {}
    for name, encoding in zip(encoder.feature_names_in_, encoder._encodings, strict=True):
        if hasattr(encoding, "categories"):
            values = (encoding.categories * 6 or [""] * 6)[:6]
            if encoding.kind != "text":
                values = pl.Series(values).cast(pl.String).cast(pl.Categorical)
        else:
            values = {
                "number": [encoding.mean] * 6,
                "boolean": [True, False] * 3,
                "duration": pl.Series([0] * 6).cast(pl.Duration),
                "date": pl.Series([0] * 6).cast(pl.Date),
                "date with time zone": pl.Series([0] * 6).cast(pl.Datetime("us", "UTC")),
            }[encoding.kind]
        columns[str(name)] = values
    return pl.DataFrame(columns)


def try_table(path, watch, text=("plan",)):
    """Reads a CSV or Parquet file."""
    try:
        with watch.over():
            table = read_table(path, kinds=dict.fromkeys(text, "text"))
    except CommandError as error:
        if "\n" in str(error):
            raise Fault(f"the error has several lines: {error}") from error
        return refused_well(error)
    if not table.height or not table.width:
        raise Fault("an empty table")
    for column in table.iter_columns():
        if column.dtype not in (pl.Int128, pl.UInt128):
            column.to_numpy()
    return "right"


def try_training(path, target, folder):
    """Runs `fastml train` and `fastml predict` on a file."""
    model = folder / "trained.safetensors"
    train = ["train", str(path), "--target", target, "--model", str(model), "--epochs", "2", "--hidden", "4"]
    for line in (train, ["predict", str(model), str(path)]):
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            code = cli.main(line)
        if code == cli.FAILED and err.getvalue().count("\n") == 1:
            return refused_well(CommandError(err.getvalue()))
        if code:
            raise Fault(f"fastml {line[0]} ended with {code}: {err.getvalue()}")
    return "right"
