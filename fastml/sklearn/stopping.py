"""When the training of an estimator ends, after epochs without progress, and which epoch's weights it keeps."""

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


class Choice:
    """Which epoch to keep: that of the least loss among those whose score is no worse than the best, but for chance.

    On few rows many epochs have the same accuracy, and the first of them is hardly trained; the loss tells them apart.
    `margin(score)` is the standard error of a score, of the rows that it is of. Epochs without a score do not count.
    Where an earlier training had the score `top`, only a better one takes its place.
    """

    def __init__(self, margin, top=-math.inf):
        self.margin, self.top, self.score, self.loss = margin, top, top, -math.inf
        self.seen, self.epoch, self.mark = 0, None, math.inf  # epochs, that of the choice, and the loss to be below

    def see(self, score, loss, tol):
        """Takes note of an epoch; returns whether to keep it, and whether it makes progress in its loss by `tol`."""
        self.seen += 1
        if math.isnan(score):
            return False, False
        loss = math.inf if math.isnan(loss) else loss
        self.top = max(self.top, score)
        least = self.top - self.margin(self.top)
        progress = score >= least and loss <= self.mark - tol
        if progress:
            self.mark = loss
        kept = self.score < least or (score >= least and loss < self.loss)
        if kept:
            self.score, self.loss, self.epoch = score, loss, self.seen
        return kept, progress


class Watch(Callback):
    """After each epoch: asks `after(loss, validation_loss)` whether to end the training.

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
        if not self.model.stop_training and self.after(logs["loss"], logs.get("val_loss", math.inf)):
            self.model.stop_training = True
