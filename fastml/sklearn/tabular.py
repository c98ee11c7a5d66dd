"""Estimators for tables that need no tuning: recipes of preprocessing, network and training, chosen by a preset.

Numbers become normal scores, and each has waves of its own; categories become one-hot or have vectors; several networks
train side by side, each on most of the rows, with the rest to tell which epoch is best; their mean predicts. From
Gorishniy, Rubachev & Babenko, "On Embeddings for Numerical Features", 2022.
"""

import math
from numbers import Integral, Real

from sklearn.utils._param_validation import Interval, StrOptions

from fastml.data.quantiles import Quantiles
from fastml.data.tables import TableEncoder
from fastml.optimizers import AdamW
from fastml.periodic_embedding import PeriodicEmbedding
from fastml.schedules import OneCycle
from fastml.sklearn.classifier import MLPClassifier
from fastml.sklearn.regressor import MLPRegressor

MOST_COLUMNS = 128  # of numbers, from which on they have no waves: there would be more inputs than a table has rows
BATCHES = {512: 16, 1024: 64, 8192: 128, 30_000: 256, 100_000: 512, math.inf: 1024}  # rows, and those of a batch
MOST_EPOCHS = 100
RECIPES = {  # networks, epochs of a classifier and of a regressor, and steps that they are to be at least
    "fast": {"networks": 1, "epochs": (5, 12), "steps": 400, "hidden_layer_sizes": (128, 128)},
    "default": {"networks": 5, "epochs": (10, 30), "steps": 1200, "hidden_layer_sizes": (256, 256)},
    "best": {"networks": 16, "epochs": (10, 60), "steps": 2400, "hidden_layer_sizes": (256, 256)},
}
COMMON = {  # parameters of the estimators that these are
    "activation": "relu", "solver": "adamw", "alpha": 0.0, "batch_size": "auto", "learning_rate": "constant",
    "power_t": 0.5, "shuffle": True, "tol": 0.0, "warm_start": False, "momentum": 0.9, "nesterovs_momentum": True,
    "early_stopping": True, "validation_fraction": 0.15, "beta_1": 0.9, "beta_2": 0.999, "epsilon": 1e-8,
    "max_fun": 15000, "dropout": 0.15, "batch_normalization": False, "normalization": "standard", "bootstrap": False,
    "oob_score": False, "dtype": "float32",
}  # fmt: skip
MISSING = {  # methods that there are not, or not always
    "partial_fit": "recipes are for all rows at once, see MLPClassifier and MLPRegressor",
    "spread": "it needs several networks",
    "coefs_": "its network is none of plain layers, see model_.get_weights()",
    "intercepts_": "its network is none of plain layers, see model_.get_weights()",
}
CONSTRAINTS = {
    "preset": [StrOptions(set(RECIPES))],
    "n_ensemble": [Interval(Integral, 1, None, closed="left"), None],
    "time_limit": [Interval(Real, 0, None, closed="neither"), None],
    "scoring": [str, callable, None],
    "callbacks": [list, tuple, None],
    "random_state": ["random_state"],
    "verbose": ["verbose"],
    "n_threads": [Interval(Integral, 1, 2**31 - 1, closed="both"), None],
}


class Recipe:
    """What a preset means, in the place of an MLP's parameters."""

    _encodes = _encodes_arrays = _all_epochs = True
    _kind_of_epochs = 0  # of the pairs in RECIPES
    _most_epochs = MOST_EPOCHS  # until `_compile` knows better, with which the schedule ends
    _most_patience = math.inf

    def __getattr__(self, name):
        """A parameter by the recipe, as users have set none."""
        if name in COMMON:
            return COMMON[name]
        if name in ("hidden_layer_sizes", "networks", "epochs", "steps"):
            return RECIPES[self.preset][name]
        told = MISSING.get(name, "")
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'{told and f': {told}'}")

    @property
    def _count(self):
        return self.networks if self.n_ensemble is None else self.n_ensemble

    def _encoder(self, dtype):
        return TableEncoder(dtype=dtype, numbers="quantile")

    def _rows_of_batch(self, rows):
        return min(rows, next(batch for most, batch in BATCHES.items() if rows <= most))

    def _embedding_layers(self):
        """Waves for the columns that hold normal scores, where there are not too many of them."""
        if self.encoder_ is None:
            return []
        pairs = zip(self.encoder_._encodings, self.encoder_._places, strict=True)
        columns = sorted(place.start for encoding, place in pairs if isinstance(encoding, Quantiles))
        if not 0 < len(columns) <= MOST_COLUMNS:
            return []
        return [PeriodicEmbedding(columns, frequencies=32, width=8, sigma=self._sigma, relu=True)]

    def _compile(self, rows, batch):
        steps = -(-rows // batch)
        epochs = max(self.epochs[self._kind_of_epochs], -(-self.steps // steps))
        self._most_epochs = min(MOST_EPOCHS, epochs)
        self.model_.compile(AdamW(OneCycle(self._rate), weight_decay=0.01), self._aim.loss)

    def _check_solver(self):
        raise AttributeError(MISSING["partial_fit"])


class TabularClassifier(Recipe, MLPClassifier):
    """Predicts classes from a table, with defaults that need no tuning: two classes, several, or several labels.

    Tables may be of pandas, polars or pyarrow, lists of dicts or arrays, with text, dates and gaps. Attributes and
    methods are those of `MLPClassifier`, but for `partial_fit`.

    Parameters
    ----------
    preset : "fast", "default" or "best"
        "fast" trains one network of two layers of 128, "default" five of two layers of 256, "best" sixteen. They take
        about a second, a quarter of a minute and a minute and a half for 30 000 rows on two cores.
    n_ensemble : int or None
        Networks; None is for as many as the preset says.
    class_weight : dict, "balanced" or None
        Weights of the rows by class; "balanced" makes all classes weigh the same.
    time_limit : float or None
        Seconds after which `fit` ends with what it has; networks that have not begun are left out.
    scoring : str, callable or None
        What tells which epoch is best: any scorer, larger is better; None is accuracy, and the loss among equals.
    callbacks : list
        Callbacks of fastml, copied for each network.
    random_state : int, RandomState or None
    verbose : bool
        Whether to show a progress bar.
    n_threads : int or None
        Threads to use; None is for as many as `fastml.set_num_threads` allows.

    Examples
    --------
    >>> from sklearn.datasets import load_iris
    >>> from fastml.sklearn import TabularClassifier
    >>> X, y = load_iris(return_X_y=True)
    >>> float(TabularClassifier(random_state=0).fit(X, y).score(X, y)) > 0.95
    True
    """

    _parameter_constraints = {**CONSTRAINTS, "class_weight": MLPClassifier._parameter_constraints["class_weight"]}
    _rate, _sigma, loss = 3e-3, 8.0, "log_loss"

    def __init__(
        self,
        preset="default",
        *,
        n_ensemble=None,
        class_weight=None,
        time_limit=None,
        scoring=None,
        callbacks=None,
        random_state=None,
        verbose=False,
        n_threads=None,
    ):
        self._set(locals())


class TabularRegressor(Recipe, MLPRegressor):
    """Predicts numbers from a table, with defaults that need no tuning: one for each row, or several.

    Tables and parameters are those of `TabularClassifier`, but for `class_weight`; scoring None is R². Attributes and
    methods are those of `MLPRegressor`, but for `partial_fit`.

    Examples
    --------
    >>> import numpy as np
    >>> from fastml.sklearn import TabularRegressor
    >>> X = np.linspace(-1, 1, 500).reshape(-1, 1)
    >>> model = TabularRegressor("fast", random_state=0).fit(X, np.sin(9 * X[:, 0]))
    >>> float(model.score(X, np.sin(9 * X[:, 0]))) > 0.95
    True
    """

    _parameter_constraints = CONSTRAINTS
    _kind_of_epochs = 1
    _rate, _sigma, loss, normalize_y = 8e-3, 2.0, "squared_error", True

    def __init__(
        self,
        preset="default",
        *,
        n_ensemble=None,
        time_limit=None,
        scoring=None,
        callbacks=None,
        random_state=None,
        verbose=False,
        n_threads=None,
    ):
        self._set(locals())
