"""When the training of an estimator ends: after epochs without progress, of the loss or of a score."""

import math

from fastml.callbacks import Callback, Limit


class Patience:
    """Counts the epochs whose loss, or negative score, is not below the best by `tol` or more, as scikit-learn does."""

    def __init__(self, tol, most):
        self.tol, self.most = tol, most
        self.best, self.count = math.inf, 0

    @property
    def exhausted(self):
        return self.count > self.most

    def see(self, value):
        """Takes note of an epoch's value; returns whether it is the best so far. A NaN never is."""
        self.count = 0 if value <= self.best - self.tol else self.count + 1
        if not value < self.best:
            return False
        self.best = value
        return True


class Watch(Callback):
    """After each epoch: asks `after(loss)` whether to end the training.

    Unless `after` looks at the model (`looks`), epochs pass until the loss, times `scale`, has exhausted the patience.
    """

    def __init__(self, after, patience, scale, looks):
        self.after, self.patience, self.scale, self.looks = after, patience, scale, looks

    @property
    def limit(self):
        if self.looks:
            return None
        patience, most = self.patience, self.patience.most
        return Limit(0 if math.isinf(most) else most + 1, patience.count, patience.best, patience.tol, self.scale)

    def on_epoch_end(self, epoch, logs):
        if not self.model.stop_training and self.after(logs["loss"]):
            self.model.stop_training = True
