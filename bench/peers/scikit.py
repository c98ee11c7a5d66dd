"""scikit-learn's multi-layer perceptron: one call of `fit` for all epochs of a burst."""

import warnings

import sklearn
import threadpoolctl
from sklearn.exceptions import ConvergenceWarning
from sklearn.neural_network import MLPClassifier, MLPRegressor

from bench.peers.nets import NUMBERS
from bench.peers.session import Session, Skip

ACTIVATIONS = {"relu": "relu", "tanh": "tanh", "sigmoid": "logistic"}


class MLP(Session):
    @staticmethod
    def library(threads):
        threadpoolctl.threadpool_limits(threads)
        warnings.simplefilter("ignore", ConvergenceWarning)  # the number of epochs is given
        return f"scikit-learn {sklearn.__version__}"

    def __init__(self, net, x, y, start):
        if net.optimizer != "adam":
            raise Skip("only Adam and SGD")
        super().__init__(net, x, y.ravel() if net.widths[-1] == 1 else y, start)
        self.restart()

    def restart(self):
        net = self.net
        kind = MLPRegressor if net.loss == NUMBERS else MLPClassifier
        self.model = kind(
            hidden_layer_sizes=net.widths[1:-1],
            activation=ACTIVATIONS[net.hidden],
            alpha=0,
            batch_size=net.batch,
            learning_rate_init=0.001,
            max_iter=1,
            tol=0,
            n_iter_no_change=10**9,  # no early end
            warm_start=True,
            random_state=1,
        )
        self.model.fit(self.x, self.y)  # to have weights that can be overwritten; the next fit makes a new Adam
        self.model.coefs_ = [W.copy() for W in self.start[::2]]
        self.model.intercepts_ = [b.copy() for b in self.start[1::2]]

    def train(self, epochs, shuffle=True):
        self.model.set_params(max_iter=epochs, shuffle=shuffle and not self.net.full_batch)
        self.model.fit(self.x, self.y)

    def weights(self):
        pairs = zip(self.model.coefs_, self.model.intercepts_, strict=True)
        return [values for pair in pairs for values in pair]
