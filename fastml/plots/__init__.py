"""Pictures of training: loss curves, activation functions, paths of optimizers, signals and weights by layer.

Needs matplotlib, which the extra ``plots`` installs. Every function draws into the `ax` or `figure` that it is given,
or into a new figure, and returns it; ``savefig(path)`` of a Figure, or of the ``figure`` of Axes, writes a file. In a
notebook a new figure is shown below its cell; where matplotlib.pyplot has been imported ``plt.show()`` shows it, and
``plt.close`` forgets it. pyplot's settings are left alone. Things to compare come as a list, or a dict from label to
thing; each has a colour, from a palette for colour-blind eyes too (Okabe & Ito, 2008), and a marker.

Functions that build classifiers take x : (rows, features) and y : (rows,), class numbers from 0 on; `depth` and `units`
are number and width of the hidden layers. They raise what `Sequential` raises: TypeError or ValueError for data that
cannot be used, DivergenceError where a training diverges. ImportError says how to install matplotlib.

Decision boundaries, confusion matrices, ROC and calibration curves are left to scikit-learn, whose displays take the
estimators of `fastml.sklearn`, and predictions of any model; examples/README.md shows how.
"""

from fastml.plots.curves import loss_curves
from fastml.plots.experiments import batchnorm_effect, dropout_effect, vanishing_gradient
from fastml.plots.functions import activation_functions
from fastml.plots.histograms import activation_histograms, weight_histograms
from fastml.plots.paths import optimizer_paths
from fastml.plots.signals import gradient_norms, output_spread
from fastml.plots.style import COLORS, MARKERS

__all__ = [
    "COLORS",
    "MARKERS",
    "activation_functions",
    "activation_histograms",
    "batchnorm_effect",
    "dropout_effect",
    "gradient_norms",
    "loss_curves",
    "optimizer_paths",
    "output_spread",
    "vanishing_gradient",
    "weight_histograms",
]
