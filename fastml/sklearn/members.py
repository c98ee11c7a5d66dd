"""The members of an estimator that is an ensemble: copies of it, each with a network and rows of its own.

What stands before and behind the networks, such as the encoder of tables, the normalization and the scale of targets,
is of all rows, and common to all members.
"""

import copy
import time

import numpy as np
from sklearn.utils import check_random_state

from fastml.ensemble import Ensemble
from fastml.many import LARGE, copied_callback, weights_of
from fastml.process.signals import hold_interrupts
from fastml.program.threads import get_num_threads
from fastml.sklearn.folds import means
from fastml.sklearn.lone import LONE, TRAINING
from fastml.sklearn.validation import parts_of, rows_apart
from fastml.tasks import numbered
from fastml.training.progress import make_nets_progress
from fastml.training.side_by_side import SideBySide, Training


class Members:
    """The members of an `estimator` that train on these rows: X and y, weights, and rows to validate with or Folds.

    `fresh` ones start anew, others go on from where they are.
    """

    def __init__(self, estimator, X, y, weights, validation, fresh, deadline=np.inf):
        self.estimator, self.rows, self.validation = estimator, (X, y, weights), validation
        self.fresh, self.deadline = fresh, deadline
        self.parameters = estimator.get_params(deep=False) | LONE
        self.known = None if fresh else estimator.estimators_
        self.begun, self.left_out, self.told, self.notes = [], [], [], []
        draw = check_random_state(estimator.random_state)
        self.seeds = draw.randint(2**31, size=estimator._count).tolist()

    def generator(self):
        """Trains all members one after the other; see `fastml.training.run.completed`."""
        for number in range(self.estimator._count):
            if self.begun and time.perf_counter() >= self.deadline:
                break
            told = yield from self.begin(number)
            self.told.append(told)
            if told and told[1] is UserWarning:
                break
        self.conclude()

    def train(self):
        """Trains all members, as many at a time as there are threads."""
        estimator, errors, reason = self.estimator, {}, None
        progress = make_nets_progress(min(1, int(estimator.verbose)), estimator._count, "networks")
        with hold_interrupts() as hold, hold.holding_alone():

            def look():
                progress.update(len(self.told), 0)
                hold.check()
                for number, error in errors.items():
                    raise numbered(error, number, "member")
                if any(told and told[1] is UserWarning for told in self.told):  # a callback has been interrupted
                    raise KeyboardInterrupt

            try:
                with SideBySide(min(get_num_threads(), estimator._count), look) as side:
                    for number in range(estimator._count):
                        if self.begun and time.perf_counter() >= self.deadline:
                            break
                        look()
                        steps = self.begin(number)
                        member = self.begun[-1]

                        def ended(told, error, number=number):
                            self.told.append(told)
                            if error is not None and not isinstance(error, KeyboardInterrupt):
                                errors[number] = error

                        large = side.threads > 1 and weights_of(member.model_, self.rows[0]) >= LARGE
                        (side.begin_alone if large else side.begin)(Training(steps, ended))
                    side.finish()
                look()
            except KeyboardInterrupt as error:
                reason = error
            except BaseException:
                if not self.fresh and self.begun:  # their networks have changed
                    self.conclude()
                raise
            finally:
                progress.close()
        if reason and not any(member.n_iter_ for member in self.begun):
            raise reason
        if reason and not any(told and told[1] is UserWarning for told in self.told):
            self.told.append(("Training interrupted by user.", UserWarning))
        self.conclude()

    def begin(self, number):
        """The training of a member, whose network is ready: a generator."""
        member, generator = self.member(number)
        y, validation = self.rows[1], self.validation
        own = out = None  # of all rows
        if member.early_stopping and validation is None and member.solver != "lbfgs":
            seed = generator.randint(2**31)
            own, rest = rows_apart(len(y), member.validation_fraction, seed, member._strata(y))
            validation = parts_of(self.rows, rest)
        if self.estimator.bootstrap:
            pool = np.arange(len(y)) if own is None else own
            pool = pool if self.rows[2] is None else pool[self.rows[2][pool] > 0]  # others tell nothing
            own = pool[generator.randint(len(pool), size=len(pool))]
            out = np.setdiff1d(pool, own)
        self.begun.append(member)
        self.left_out.append(out)
        rows = self.rows if own is None else parts_of(self.rows, own)
        arrays = member._network(*rows, self.fresh, False)
        return member._train(*arrays, validation, deadline=self.deadline)

    def member(self, number):
        """A member before its training, and a generator of its random numbers."""
        if self.fresh:
            member = copy.copy(self.estimator)
            vars(member).pop("estimators_", None)
        else:
            member = self.known[number]
            common = {name: value for name, value in vars(self.estimator).items() if name not in TRAINING}
            common.pop("estimators_", None)
            vars(member).update(common)
        vars(member).update(self.parameters, random_state=self.seeds[number])
        member.callbacks = [copied_callback(callback) for callback in self.estimator.callbacks or ()] or None
        if self.fresh:
            member._forget()
        return member, np.random.RandomState(self.seeds[number])

    def conclude(self):
        """Makes of the members what the estimator is, and of their attributes its own: means, and the most epochs."""
        estimator = self.estimator
        if self.fresh:
            trained = [k for k, member in enumerate(self.begun) if member.n_iter_] or range(len(self.begun))
            self.begun, self.left_out = ([some[k] for k in trained] for some in (self.begun, self.left_out))
        else:  # those that have not begun stay as they were
            self.begun += self.known[len(self.begun) :]
            self.left_out += [np.zeros(0, int)] * (len(self.begun) - len(self.left_out))
        estimator.estimators_ = members = self.begun
        if len(members) < estimator._count and time.perf_counter() >= self.deadline:
            told = f"time_limit has ended the training: {len(members)} of {estimator._count} networks are there"
            self.notes.append((told, UserWarning))
        estimator.model_ = Ensemble([member.model_ for member in members])
        estimator.n_iter_, estimator.t_ = (max(vars(member)[name] for member in members) for name in ("n_iter_", "t_"))
        for name in ("loss_", "best_loss_", "best_validation_score_", "best_epoch_"):
            values = [vars(member).get(name) for member in members]
            vars(estimator)[name] = None if None in values else float(np.mean(values))
        if estimator.best_epoch_ is not None:
            estimator.best_epoch_ = round(estimator.best_epoch_)
        estimator.loss_curve_ = mean_curve([member.loss_curve_ for member in members])
        names = members[0].history_
        estimator.history_ = {name: mean_curve([member.history_[name] for member in members]) for name in names}
        if members[0].validation_scores_ is not None:
            estimator.validation_scores_ = mean_curve([member.validation_scores_ for member in members])
        if estimator.oob_score:
            self.score()

    def score(self):
        """Sets what members say about rows that are out of their bags, and how good that is."""
        estimator, (X, y, _) = self.estimator, self.rows
        total, count = np.zeros((len(y), estimator.model_.units)), np.zeros(len(y), int)
        for member, out in zip(self.begun, self.left_out, strict=True):
            if len(out):
                total[out] += member._outputs(member._dense(X[out]))
                count[out] += 1
        known = count > 0
        if not known.any():
            raise ValueError("no row is out of any bag, so that there is no out-of-bag score: raise n_ensemble")
        if not known.all():
            told = f"{(~known).sum()} rows are in the bags of all networks, and have no out-of-bag prediction: raise "
            self.notes.append((told + "n_ensemble", UserWarning))
        outputs = np.full_like(total, np.nan)
        outputs[known] = total[known] / count[known, None]
        estimator._out_of_bag(outputs)
        estimator.oob_score_ = estimator._score_of(estimator._decode(outputs[known]), y[known], None)

    def told_of_all(self):
        """What the user is to be told, a list of arguments of `warnings.warn`."""
        told = [each for each in self.told if each]
        if not told:
            return self.notes
        message, category = max(told, key=lambda each: each[1] is UserWarning)
        count = len(self.begun) if category is UserWarning else len(told)
        what = "are kept" if category is UserWarning else "have not"
        return [*self.notes, (f"{message} ({count} of {self.estimator._count} networks {what})", category)]


def mean_curve(lists):
    """The mean over members by epoch, of those that have come so far."""
    return means(lists, max(map(len, lists), default=0))
