"""When the training of an estimator ends: after epochs without progress, of the loss or of a score."""

import math

from fastml.callbacks import Callback


class Patience:
    """Counts the epochs whose loss, or negative score, is not below the best by `tol` or more, as scikit-learn does."""

    def __init__(self, tol, most):
        self.tol, self.most = tol, most
        self.best, self.count = math.inf, 0

    @property
    def exhausted(self):
        return self.count > self.most

    @property
    def horizon(self):
        """Epochs that will certainly pass before the count can be too high."""
        return self.most + 1 - self.count

    def see(self, value):
        """Takes note of an epoch's value; returns whether it is the best so far. A NaN never is."""
        self.count = 0 if value <= self.best - self.tol else self.count + 1
        if not value < self.best:
            return False
        self.best = value
        return True


class Watch(Callback):
    """After each epoch: asks `after(loss)` whether to end the training.

    Unless `after` looks at the model (`looks`), as many epochs as cannot exhaust the patience pass at a time.
    """

    def __init__(self, after, patience, looks):
        self.after, self.patience, self.looks = after, patience, looks

    @property
    def horizon(self):
        return 1 if self.looks else max(1, self.patience.horizon)

    def on_epoch_end(self, epoch, logs):
        if not self.model.stop_training and self.after(logs["loss"]):
            self.model.stop_training = True
