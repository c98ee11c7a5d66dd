"""The epochs of a solver that goes in steps: what is noted after each, when they end, and how they may fail."""

import math
import warnings

import numpy as np
from sklearn.exceptions import ConvergenceWarning

from fastml.sklearn.stopping import Choice, Watch
from fastml.training.loop import DivergenceError

LEAST_RATE = 1e-6  # at which learning_rate="adaptive" ends the training


class Epochs:
    """One call of `fit` or `partial_fit` of an estimator; `score` gives that of the validation rows, or is None.

    Where `folds` have told how many epochs there are to be, they are all trained.
    """

    def __init__(self, estimator, score, folds=None):
        self.estimator, self.score, self.model, self.folds = estimator, score, estimator.model_, folds
        self.stops = estimator.early_stopping and folds is None
        if folds:
            estimator._patience.most = math.inf
        self.best = self.model.get_weights() if self.stops else None
        self.choice = Choice(score.margin if score else None, -estimator._patience.best)
        self.ended = self.interrupted = self.lost = False
        self.flat = 0  # epochs in a row without a better score
        estimator.n_iter_ = 0
        if score and estimator.validation_scores_ is None:
            estimator.validation_scores_ = []

    def run(self, x, targets, batch, most, **options):
        """Trains for at most so many epochs; sets the estimator's attributes. ValueError where the weights diverge.

        A generator, see `fastml.training.run.completed`; it returns whether the training has come to its end.
        """
        estimator, self.rows = self.estimator, len(x)
        callbacks = list(estimator.callbacks or ())
        watch = Watch(self.after, estimator._patience, estimator._aim.factor, looks=bool(callbacks or self.score))
        verbose, before = min(2, int(estimator.verbose)), self.model.history
        try:
            options |= {"batch_size": batch, "epochs": most, "verbose": verbose, "callbacks": [watch, *callbacks]}
            yield from self.model._fitting(x, targets, **options)
            self.ended = self.ended or self.model.stop_training
        except DivergenceError as error:
            self.diverged(error)
        except KeyboardInterrupt:
            self.ended = self.interrupted = True
        finally:
            history = {} if self.model.history is before else self.model.history.history  # where fit refused its data
            for loss in history.get("loss", ())[estimator.n_iter_ :]:  # Ctrl-C came before they were told
                self.note(loss)
            factor = estimator._aim.factor
            for name, values in history.items():
                estimator.history_.setdefault(name, []).extend(factor * value for value in values)
            if self.best is not None and not self.unseen:
                self.model.set_weights(self.best)
        if self.folds:
            estimator.best_epoch_, estimator.validation_scores_ = estimator.n_iter_, self.folds.scores
            estimator.best_validation_score_ = float(np.nanmax(self.folds.scores))
            estimator.history_["val_loss"] = self.folds.losses
            self.ended = self.folds.converged
        elif self.stops:
            self.check_scores()
            estimator.best_epoch_ = self.choice.epoch
            estimator.best_validation_score_ = None if self.unseen else -estimator._patience.best
        else:
            estimator.best_loss_ = estimator._patience.best
        return self.ended or (self.stops and self.flat > estimator._patience.most)

    @property
    def unseen(self):
        """Whether the end has come, by time or Ctrl-C, before any epoch had a score: there is no best to go back to."""
        return not self.choice.seen and math.isinf(self.estimator._patience.best) and not self.lost

    def note(self, loss):
        estimator = self.estimator
        estimator.n_iter_ += 1
        estimator.t_ += self.rows
        estimator.loss_ = estimator._aim.factor * loss
        estimator.loss_curve_.append(estimator.loss_)

    def check_scores(self):
        """ValueError where no epoch had a score, so that there is none to keep."""
        estimator = self.estimator
        if self.lost or not self.choice.seen or not math.isinf(estimator._patience.best):
            return
        why = f": {self.score.error}" if self.score.error else ", or the outputs are not finite"
        epochs, estimator.n_iter_ = self.choice.seen, 0  # no epoch counts: nothing is left of this training
        raise ValueError(
            f"scoring={estimator.scoring!r} gave no number for the validation rows in any of {epochs} epochs, so that "
            f"early stopping has nothing to go by{why}. Give validation rows that hold all classes, as X_val and y_val "
            "or by a larger validation_fraction, or another scoring"
        )

    def after(self, loss, validation_loss):
        """Takes note of an epoch; returns whether it was the last."""
        self.note(loss)
        estimator, patience = self.estimator, self.estimator._patience
        value = estimator.loss_
        if self.score:
            estimator.validation_scores_.append(self.score())
        if self.stops:
            value = -estimator.validation_scores_[-1]
        patience.see(value)
        if self.stops:
            kept, progress = self.choice.see(-value, validation_loss, patience.tol)
            if kept:
                self.best = self.model.get_weights()
            self.flat = self.flat + 1 if patience.count else 0
            if progress:
                patience.count = 0
        self.ended = patience.exhausted and not self.slower(patience)
        return self.ended

    def slower(self, patience):
        """Goes on with a fifth of the learning rate, if it adapts and is not at its end; returns whether."""
        estimator, optimizer = self.estimator, self.model.optimizer
        if estimator.solver != "sgd" or estimator.learning_rate != "adaptive":
            return False
        if optimizer.learning_rate / estimator._aim.factor <= LEAST_RATE:
            return False
        optimizer.learning_rate /= 5
        patience.count = 0
        return True

    def diverged(self, error):
        """Ends the training with the best weights so far where early stopping keeps them; else ValueError."""
        if self.best is None:
            raise ValueError(
                "Solver produced non-finite parameter weights. The input data may contain large values and need to be "
                f"preprocessed: {error}"
            ) from error
        self.estimator.validation_scores_.append(math.nan)
        self.lost = True
        warnings.warn(f"{error}. The best weights before are kept", ConvergenceWarning, stacklevel=9)
        self.ended = True
