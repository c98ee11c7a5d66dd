"""Whether what a file says about an estimator fits together, and fits its network. ValueError where it does not."""

import math
from numbers import Integral, Real

import numpy as np

from fastml.data.encodings import check
from fastml.data.running import SAMPLE, Running
from fastml.data.tables import TableEncoder
from fastml.ensemble import Ensemble
from fastml.files.checks import LARGEST
from fastml.layers import Activation, codes_of, method_of
from fastml.loss import CustomLoss
from fastml.losses import BinaryCrossentropy, Loss, SparseCategoricalCrossentropy
from fastml.program.lowering import elementary
from fastml.sklearn.chunks import spread_of
from fastml.sklearn.growth import standardizes
from fastml.sklearn.network import Aim, activation_of
from fastml.sklearn.stopping import Patience

NEEDED = (
    "n_features_in_", "encoder_", "n_outputs_", "out_activation_", "n_layers_", "n_iter_", "t_", "loss_curve_",
    "history_", "best_loss_", "validation_scores_", "best_validation_score_", "_aim", "_patience",
)  # fmt: skip
LOSS_OF = {
    "binary": BinaryCrossentropy,
    "multilabel": BinaryCrossentropy,
    "multiclass": SparseCategoricalCrossentropy,
}


def check_state(state, classifies, model):
    """Checks the attributes that an estimator, which classifies or not, has got from a file, and its network."""
    for name in (*NEEDED, *(("classes_", "_kind") if classifies else ("_target_mean", "_target_spread"))):
        check(name in state, f"the estimator has no {name}")
    for name in ("n_features_in_", "n_outputs_", "n_layers_"):
        check(is_count(state[name]), f"{name} is {state[name]!r}")
    for network in networks_of(model):
        check(network._engine.fitted, "the network has no statistics of the data")
        check_columns(state, network)
        check_aim(state, network)
    check(state.get("oob_score_") is None or is_number(state["oob_score_"]), "oob_score_ is no number")
    check_classes(state) if classifies else check_targets(state)
    right = state["out_activation_"] == activation_of(state["_aim"].link)
    check(right, f"out_activation_ is {state['out_activation_']!r}")
    check_progress(state)


def networks_of(model):
    """The networks of an Ensemble, or the only one."""
    return model.models if isinstance(model, Ensemble) else [model]


def is_count(value):
    """Whether a value is a whole number that counts something."""
    return isinstance(value, Integral) and not isinstance(value, bool) and 0 <= value <= LARGEST


def is_number(value):
    """Whether a value is a number, which may be infinite or NaN."""
    return isinstance(value, Real) and not isinstance(value, bool)


def check_columns(state, model):
    """The columns of tables, what the encoder makes of them, and what the network takes."""
    encoder, columns, names = state["encoder_"], state["n_features_in_"], state.get("feature_names_in_")
    check(encoder is None or isinstance(encoder, TableEncoder), f"encoder_ is {encoder!r}")
    if names is not None:
        check(isinstance(names, np.ndarray) and names.shape == (columns,), f"feature_names_in_ is {names!r}")
        different = all(isinstance(name, str) for name in names) and len(set(names.tolist())) == columns
        check(different, f"feature_names_in_ is {names!r}")
    features, codes, medians = columns, {}, state.get("_medians")
    check(medians is None or encoder is None, "there are medians beside an encoder, which has its own")
    if medians is not None:
        check_array(medians, (columns,), -math.inf, "medians of the columns")
    if encoder:
        features, codes = encoder._width, encoder.embeddings
        known = encoder._given_names()
        same = names is None if known is None else names is not None and names.tolist() == known
        check(same and columns == encoder.n_features_in_, "columns of the estimator and of its encoder differ")
    check(features == model.input_dim, f"the network takes {model.input_dim} features, the estimator has {features}")
    check(codes == codes_of(model.layers), "the network's embeddings are not for the encoder's columns")


def check_aim(state, model):
    """The loss, and the network's outputs."""
    aim, units = state["_aim"], model.input_dim
    for layer in model.layers:
        units = layer.units_out(units)
    check(isinstance(aim, Aim) and isinstance(aim.loss, Loss), f"_aim is {aim!r}")
    check(units == state["n_outputs_"] == aim.units, f"the network has {units} outputs, which is not what it is for")
    check(is_number(aim.factor) and 0 < aim.factor < math.inf, f"the factor of the loss is {aim.factor!r}")
    loss = model.loss.source if isinstance(model.loss, CustomLoss) else model.loss
    check(type(loss) is type(aim.loss), f"the network is for {loss!r}, the estimator for {aim.loss!r}")
    last = elementary(model.layers)[-1][1]
    activation = last.activation if isinstance(last, Activation) else "linear"
    check(aim.link == aim.loss.link, f"{aim.link!r} is not the activation for {aim.loss!r}")
    check(aim.link in (activation, "linear"), f"the network ends in {activation}, but {aim.loss!r} takes {aim.link}")


def check_classes(state):
    """The classes of a classifier: different, sorted, of one type, and as many as the network has outputs for."""
    classes, kind, outputs, announced = (state.get(k) for k in ("classes_", "_kind", "n_outputs_", "_announced"))
    check(kind in LOSS_OF and type(state["_aim"].loss) is LOSS_OF[kind], f"{state['_aim'].loss!r} is not for {kind!r}")
    check(isinstance(classes, np.ndarray) and classes.ndim == 1, f"classes_ is {classes!r}")
    values = classes.tolist()
    types = set(map(type, values))
    check(len(types) == 1 and types <= {bool, int, float, str}, "classes_ are of several types, or none")
    check(types != {float} or np.isfinite(classes.astype(float)).all(), "classes_ hold NaN or infinity")
    check(all(a < b for a, b in zip(values, values[1:], strict=False)), "classes_ are not different and sorted")
    fits = {"binary": len(values) <= 2 and outputs == 1, "multiclass": len(values) == outputs}
    check(fits.get(kind, values == list(range(outputs))), f"there are {len(values)} classes for {outputs} outputs")
    check(announced is None or isinstance(announced, np.ndarray), f"_announced is {announced!r}")


def check_targets(state):
    """How targets of a regressor are scaled."""
    mean, spread, outputs = state["_target_mean"], state["_target_spread"], state["n_outputs_"]
    check(state["_aim"].loss.targets in ("numbers", "counts"), f"{state['_aim'].loss!r} is for classes")
    check((mean is None) == (spread is None), "targets have a mean or a spread, but not both")
    for value in () if mean is None else (mean, spread):
        right = is_number(value) or (isinstance(value, np.ndarray) and value.shape in ((), (outputs,)))
        check(right and np.asarray(value).dtype.kind == "f", f"targets are scaled by {value!r}")
        check(np.isfinite(value).all(), f"targets are scaled by {value!r}")
    check(spread is None or np.all(np.asarray(spread) > 0), f"targets have the spread {spread!r}")


def check_progress(state):
    """What is known of the training: losses, scores, and how long to wait for better ones."""
    for name in ("n_iter_", "t_"):
        check(is_count(state[name]), f"{name} is {state[name]!r}")
    patience = state["_patience"]
    check(isinstance(patience, Patience), f"_patience is {patience!r}")
    check(is_number(patience.tol) and patience.tol >= 0, f"tol is {patience.tol!r}")
    check(is_number(patience.best) and not math.isnan(patience.best), f"the best loss is {patience.best!r}")
    check(is_count(patience.count), f"epochs without progress are {patience.count!r}")
    check(is_count(patience.most) or patience.most == math.inf, f"n_iter_no_change is {patience.most!r}")
    epoch = state.get("best_epoch_")
    check(epoch is None or is_count(epoch), f"best_epoch_ is {epoch!r}")
    for name in ("loss_", "best_loss_", "best_validation_score_"):
        check(state.get(name) is None or is_number(state[name]), f"{name} is {state.get(name)!r}")
    lists = {"loss_curve_": state["loss_curve_"], "validation_scores_": state["validation_scores_"] or []}
    check(isinstance(state["history_"], dict), f"history_ is {state['history_']!r}")
    for name, values in (*lists.items(), *state["history_"].items()):
        right = isinstance(name, str) and isinstance(values, list) and all(map(is_number, values))
        check(right, f"{name} is no list of numbers")


def check_statistics(state, model):
    """The statistics of the rows so far, from which `partial_fit` goes on: of the inputs and of the targets."""
    for network in networks_of(model):
        check_statistics_of(state, network)


def check_statistics_of(state, model):
    """The same, of one network."""
    encoder, inputs, targets = state["encoder_"], state["_inputs"], state["_targets"]
    method, mean, spread = method_of(model.layers), state.get("_target_mean"), state.get("_target_spread")
    if encoder:
        check(method is None, "the network normalizes columns that the encoder has standardized")
        columns = encoder._encodings
        right = isinstance(inputs, list) and len(inputs) == len(columns)
        check(right, f"there must be statistics of {len(columns)} columns of a table")
        for running, encoding in zip(inputs, columns, strict=True):
            check_running(running, "standard" if standardizes(encoding) else None, 1, True)
    else:
        check_running(inputs, method, model.input_dim, method == "robust")
    middle = state.get("_middle")
    if middle is not None:
        check(encoder is None, "there are statistics of medians beside an encoder")
        check_running(middle, "minmax", model.input_dim, True)
    check_running(targets, None if mean is None else "standard", state["n_outputs_"], False)
    if targets is not None:
        same = np.array_equal(targets.mean, np.ravel(mean)) and np.array_equal(spread_of(targets), np.ravel(spread))
        check(same, "the targets are not scaled by their statistics")


def check_running(running, method, columns, quantiles):
    """A Running of so many columns by a method, or where that is None, none at all; with or without quantiles."""
    if method is None:
        check(running is None, "there are statistics of what is not normalized")
        return
    check(isinstance(running, Running), f"statistics of {columns} columns are missing")
    check(running.method == method and running.quantiles is quantiles, f"there are no statistics for {method!r}")
    known = vars(running)
    rows, weight = known.get("rows"), known.get("weight")
    check(is_count(rows) and rows > 0, f"there are statistics of {rows!r} rows")
    check(is_number(weight) and 0 < weight < math.inf, f"there are statistics of rows that weigh {weight!r}")
    for name in ("low", "high", "centre", "spread"):
        check_array(known.get(name), (columns,), 0 if name == "spread" else -math.inf, name)
    check((running.low <= running.high).all(), "a column's least value is above its largest")
    check_array(known.get("varied"), (columns,), 0, "varied", "i")
    check((running.varied <= LARGEST).all(), "varied counts too many rows")
    drawn = [known.get(name) for name in ("sample", "weights", "keys")]
    if not quantiles or running.points is not None:
        check(all(part is None for part in drawn), "there is a sample where none is needed")
        check(quantiles or running.points is None, "there are points for quantiles where none are needed")
        if quantiles:
            check_array(running.points, (3, columns), -math.inf, "points")
        return
    sample, weights, keys = drawn
    kept = np.shape(keys)[0] if np.ndim(keys) else 0
    check(0 < kept <= SAMPLE, f"there is a sample of {kept} rows")
    check_array(sample, (kept, columns), -math.inf, "sample")
    check_array(weights, (kept,), 0, "weights")
    check_array(keys, (kept,), 0, "keys")
    check((weights > 0).all() and (keys < 1).all(), "rows of a sample have no weight or no key")


def check_array(array, shape, least, name, kind="f"):
    """An array of this shape of finite float64, or of whole numbers where its kind is "i"; none is below the least."""
    right = isinstance(array, np.ndarray) and array.shape == shape and array.dtype.kind == kind
    check(right and (kind == "i" or array.dtype.itemsize == 8), f"{name} is no array of shape {shape}")
    check(np.isfinite(array).all() and (array >= least).all(), f"{name} holds numbers that cannot be")
