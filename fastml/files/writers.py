"""Callbacks that write files while `fit` runs: models, tables and what TensorBoard shows."""

import csv
import math
import operator
import os
import tempfile
import time
import warnings
from collections import defaultdict

from fastml.attributes import Constant, Flag, Whole
from fastml.callback import Callback
from fastml.files.saving import check_suffix
from fastml.monitors import Monitor


class ModelCheckpoint(Monitor):
    """Saves the model while it trains, with all that the training needs to go on from the file: ``fit(…, resume=…)``.

    Parameters
    ----------
    filepath : str or path
        Where to: ``"best.safetensors"``, which is replaced each time, or with names of the logs in braces,
        ``"{epoch:03d}-{val_loss:.4f}.safetensors"``; epoch counts from 1 here, as in Keras. Its folder is made.
    monitor, min_delta, mode
        As in `EarlyStopping`; they matter for `save_best_only` alone.
    save_best_only : bool
        Whether to save only where the monitored value is the best so far.
    every_epochs : int
        Saves after each so many epochs.
    save_weights_only : bool
        Whether to leave the optimizer's state out, for `Sequential.load_weights`; no training can go on from there.
    verbose : 0 or 1
        Whether to print a line for each file.
    every_seconds : float or None
        Saves between two steps as well, once so many seconds have passed. With names of the logs in `filepath`, those
        of the last epoch, or nan before its end.

    Unless only the best is wanted, the model is also saved where Ctrl-C or another exception ends the training between
    two steps: neither in a divergence nor while an epoch is validated and told to callbacks. A file is complete or not
    there: it is written beside its place and then renamed.
    """

    save_best_only = Flag()
    save_weights_only = Flag()
    every_epochs = Whole(1)
    every_seconds = Constant(0, optional=True)
    remembered = Monitor.remembered | {"epoch": int, "logs": dict, "due": bool}

    def __init__(
        self,
        filepath: str | os.PathLike,
        monitor: str = "val_loss",
        save_best_only: bool = False,
        min_delta: float = 0.0,
        mode: str = "auto",
        every_epochs: int = 1,
        every_seconds: float | None = None,
        save_weights_only: bool = False,
        verbose: int = 0,
    ) -> None:
        super().__init__(monitor, min_delta, 0, mode, verbose)
        self.filepath = os.fsdecode(filepath)
        check_suffix(self.filepath, "filepath")
        self.save_weights_only = save_weights_only
        self.save_best_only = save_best_only
        self.every_epochs = every_epochs
        self.every_seconds = every_seconds
        if self.save_best_only and self.every_seconds is not None:
            raise ValueError("every_seconds saves whatever there is, and save_best_only only the best epoch: give one")

    @property
    def resumable(self):
        """Whether a training can go on from its files."""
        return not (self.save_best_only or self.save_weights_only)

    def on_train_begin(self, logs):
        super().on_train_begin(logs)
        self.epoch, self.logs, self.due, self.time = 0, {}, False, time.monotonic()
        folder = os.path.dirname(self.filepath) or "."
        if "{" not in folder:
            os.makedirs(folder, exist_ok=True)
            with tempfile.TemporaryFile(dir=folder):
                pass  # so that a place that cannot be written to fails now

    def on_epoch_end(self, epoch, logs):
        self.epoch, self.logs = epoch + 1, dict(logs)
        if self.save_best_only and self.unseen(logs):
            return
        self._path()  # so that names that there are not fail now
        self.due = self.improved(logs) if self.save_best_only else self.epoch % self.every_epochs == 0

    def _path(self):
        unseen = dict.fromkeys(self.params.get("metrics", ()), math.nan)  # of an epoch that is not validated
        names = {"epoch": self.epoch, **unseen, **self.logs} if self.logs else {"epoch": self.epoch}
        try:
            return self.filepath.format_map(names if self.logs else defaultdict(lambda: math.nan, names))
        except (KeyError, IndexError, ValueError) as error:
            raise ValueError(
                f"filepath {self.filepath!r} cannot be filled in with {', '.join(names)}: {error!r}"
            ) from None

    def on_chunk_end(self):
        passed = self.every_seconds is not None and time.monotonic() - self.time >= self.every_seconds
        if self.due or passed:
            self._save()

    def on_exception(self, exception):
        if not self.save_best_only:
            try:
                self._save()
            except OSError as error:
                warnings.warn(f"the last steps could not be saved: {error}", RuntimeWarning, stacklevel=2)

    def _save(self):
        path = self._path()
        os.makedirs(os.path.dirname(path) or ".", exist_ok=True)
        self.model.save(path, include_optimizer=not self.save_weights_only)
        self.say(f"epoch {self.epoch}: saved as {path}")
        self.due, self.time = False, time.monotonic()


class CSVLogger(Callback):
    """Writes the logs of each epoch as a line of a CSV file, under a line of names; epochs count from 0.

    `append` adds to a file of an earlier training, which must have the same columns, and its epochs count on from 0
    again. Each line is on its way to the disk when the epoch ends.
    """

    append = Flag()

    def __init__(self, filename: str | os.PathLike, separator: str = ",", append: bool = False) -> None:
        if not isinstance(separator, str) or len(separator) != 1:
            raise ValueError(f"separator must be a single character, got {separator!r}")
        self.filename, self.separator = os.fsdecode(filename), separator
        self.append = append

    def on_train_begin(self, logs):
        self.columns = None
        if self.append and os.path.exists(self.filename):
            with open(self.filename, newline="", encoding="utf-8") as file:
                self.columns = next(csv.reader(file, delimiter=self.separator), None)
        else:
            with open(self.filename, "w", encoding="utf-8"):
                pass  # so that a place that cannot be written to fails now

    def state_dict(self):
        size = os.path.getsize(self.filename) if os.path.exists(self.filename) else 0
        return {"columns": self.columns, "size": size}

    def load_state_dict(self, state):
        """Cuts off the lines of epochs that the training will go through again."""
        self.columns, size = state["columns"], operator.index(state["size"])
        with open(self.filename, "ab") as file:
            if file.tell() < size:
                self.columns = None
                warnings.warn(f"{self.filename} lacks lines of epochs before", RuntimeWarning, stacklevel=2)
            else:
                file.truncate(max(0, size))

    def on_epoch_end(self, epoch, logs):
        unseen = [name for name in self.params.get("metrics", ()) if name not in logs]  # as it was not validated
        names, rows = ["epoch", *logs, *unseen], [[epoch, *logs.values(), *[""] * len(unseen)]]
        if self.columns is None:
            rows.insert(0, names)
            self.columns = names
        if len(names) == len(self.columns) and set(names) == set(self.columns):
            values = dict(zip(names, rows[-1], strict=True))
            rows[-1] = [values[name] for name in self.columns]
        elif names != self.columns:
            raise ValueError(f"{self.filename} has the columns {', '.join(self.columns)}, not {', '.join(names)}")
        with open(self.filename, "a", newline="", encoding="utf-8") as file:
            csv.writer(file, delimiter=self.separator, lineterminator="\n").writerows(rows)


class TensorBoard(Callback):
    """Writes the logs of each epoch, and the learning rate, for TensorBoard; needs the extra ``tensorboard``.

    `log_dir` is a folder, for each training one of its own. Curves of training and validation stand in the runs
    ``train`` and ``validation``, as those of Keras do, so that they share a picture.
    """

    def __init__(self, log_dir: str | os.PathLike = "logs") -> None:
        self.log_dir = os.fsdecode(log_dir)
        self.writers = {}

    def on_train_begin(self, logs):
        try:
            from tensorboardX import SummaryWriter
        except ImportError:
            raise ImportError("TensorBoard needs tensorboardX: pip install 'fastml-cpu[tensorboard]'") from None
        self.close()
        self.make = SummaryWriter

    def _writer(self, run):
        if run not in self.writers:
            self.writers[run] = self.make(os.path.join(self.log_dir, run))
        return self.writers[run]

    def on_epoch_end(self, epoch, logs):
        for name, value in logs.items():
            run = "validation" if name.startswith("val_") else "train"
            self._writer(run).add_scalar(f"epoch_{name.removeprefix('val_')}", value, epoch)
        rate = getattr(self.model.optimizer, "learning_rate", None)
        if isinstance(rate, float):
            self._writer("train").add_scalar("epoch_learning_rate", rate, epoch)
        for writer in self.writers.values():
            writer.flush()

    def on_train_end(self, logs):
        self.close()

    def close(self):
        """Closes the files; called at the end of a training, also by the next one where the last was interrupted."""
        while self.writers:
            self.writers.popitem()[1].close()
