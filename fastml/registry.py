"""Names. A registry is a plain dict from the name that users write to what it means."""

import difflib

OTHER_NAMES = {
    "uniform": "random_uniform",
    "xavier": "glorot_uniform",
    "xavier_uniform": "glorot_uniform",
    "xavier_normal": "glorot_normal",
    "kaiming_uniform": "he_uniform",
    "kaiming_normal": "he_normal",
    "swish": "silu",
    "logistic": "sigmoid",
    "identity": "linear",
    "exp": "exponential",
    "mse": "mean_squared_error",
    "mae": "mean_absolute_error",
    "bce": "binary_crossentropy",
    "rmse": "root_mean_squared_error",
    "roc_auc": "auc",
    "roc_auc_score": "auc",
    "f1_score": "f1",
    "r2_score": "r2",
    "momentum": "sgd",
    "nesterov": "sgd",
}


def lookup(registry, name, kind):
    """``registry[name]``, or an error that says which names there are.

    Raises TypeError if the name is no string, ValueError if the registry lacks it; `kind` says what is named.
    """
    if not isinstance(name, str):
        raise TypeError(f"{kind} must be a name, one of {', '.join(registry)}; got {type(name).__name__}")
    if name not in registry:
        other = OTHER_NAMES.get(name.lower())
        close = [other] if other in registry else difflib.get_close_matches(name, registry, n=1)
        hint = f" Did you mean '{close[0]}'?" if close else ""
        raise ValueError(f"unknown {kind} '{name}'.{hint} There are: {', '.join(sorted(registry))}")
    return registry[name]
