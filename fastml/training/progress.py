"""What `fit` shows while it runs: nothing, a bar, or a line an epoch."""

import sys
import time

SHORT = {
    "accuracy": "acc",
    "root_mean_squared_error": "rmse",
    "mean_squared_error": "mse",
    "mean_absolute_error": "mae",
}
WIDTH = 120  # of a bar that is on no terminal
SPARE = 2  # columns at the end of a terminal's line, so that the ^C of an interruption does not wrap it
LONGEST, SHORTEST = 16, 3  # bars


def value_text(value, digits=4):
    return f"{value:.{digits}f}" if value == 0 or 1e-3 <= abs(value) < 1e5 else f"{value:.{digits - 2}e}"


def format_logs(logs):
    return "  ".join(f"{name} {value_text(value)}" for name, value in logs.items())


def short_logs(logs):
    """The logs as a list of short texts, a value and that of the validation rows in one: "loss 0.123/0.145"."""
    texts = []
    for name, value in logs.items():
        if name.startswith("val_") and name.removeprefix("val_") in logs:
            continue
        both = [value, logs[f"val_{name}"]] if f"val_{name}" in logs else [value]
        for long, short in SHORT.items():
            name = name.replace(long, short)
        texts.append(f"{name} {'/'.join(value_text(v, 3) for v in both)}")
    return texts


def fit_logs(logs, width):
    """The logs as a text of at most `width` columns: whole, or short, or the first of them."""
    if len(format_logs(logs)) <= width:
        return format_logs(logs)
    texts, rest = short_logs(logs), []
    while texts and len("  ".join(texts + rest)) > width:
        texts, rest = texts[:-1], ["..."]
    return "  ".join(texts + rest) if texts else ""


def rate_text(rows, seconds):
    """Rows a second in 4 columns: 0.4, 12, 120k, 1.2M."""
    rate, units = rows / max(seconds, 1e-9), iter(("", "k", "M", "G", "T"))
    unit = next(units)
    while rate >= 999.5:
        rate, unit = rate / 1000, next(units)
    return f"{rate:.{int(rate < 9.95)}f}{unit}".rjust(4)


def seconds_text(seconds):
    return f"{seconds:.2f} s" if seconds >= 0.1 else f"{1e3 * seconds:.1f} ms"


def clock_text(seconds):
    minutes, seconds = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{seconds:02}" if hours else f"{minutes}:{seconds:02}"


class Progress:
    """Shows nothing: the base of the other two."""

    by_epoch = False  # whether each epoch is to be shown at its end, even where many are done at once

    def __init__(self, rows, epochs, initial=0):
        self.rows, self.epochs, self.initial = rows, epochs, initial  # the number of the first epoch, from 0

    def head(self, done):
        last = self.initial + self.epochs
        return f"epoch {self.initial + done:{len(str(last))}}/{last}"

    def epoch(self, done, logs):
        """After each epoch: how many are done, and its logs."""

    def update(self, rows):
        """After each chunk: how many rows are done, those of earlier epochs too."""

    def finish(self):
        """After the last epoch, also where a callback made it the last."""

    def close(self):
        """At the end, however it came."""


class Lines(Progress):
    """One line an epoch, with the time since the last one and the training rows in it."""

    by_epoch = True

    def __init__(self, rows, epochs, initial=0):
        super().__init__(rows, epochs, initial)
        self.time = time.perf_counter()

    def epoch(self, done, logs):
        before, self.time = self.time, time.perf_counter()
        seconds = self.time - before
        pace = f"{seconds_text(seconds):>7}  {rate_text(self.rows, seconds)} rows/s"
        print(f"{self.head(done)}  {pace}  {format_logs(logs)}", flush=True)


class Bar(Progress):
    """A bar over all rows of all epochs (tqdm), in one line of the terminal however narrow that is."""

    def __init__(self, rows, epochs, initial=0):
        super().__init__(rows, epochs, initial)
        self.done, self.logs = 0, {}
        self.started = self.first = time.perf_counter(), 0  # times, and the rows that were done
        tqdm, file = bar_for(in_notebook())
        options = {"bar_format": self.head(0), "dynamic_ncols": True, "miniters": 1, "file": file}
        self.bar = tqdm(total=rows * epochs, **options)
        self.notebook = hasattr(self.bar, "container")
        self.finished, self.length = False, 0  # characters of the last line

    def epoch(self, done, logs):
        self.done, self.logs = done, dict(logs)

    def update(self, rows):
        if self.first is self.started:
            self.first = time.perf_counter(), rows
        self.bar.bar_format = self.line(rows)
        self.bar.update(rows - self.bar.n)

    def finish(self):
        self.finished = True
        if self.notebook:
            self.bar.total = self.bar.n  # or an early end would be red there, as a failure is

    def close(self):
        before, line = self.length, self.line(self.bar.n, closing=True)
        shown = max(before, self.length) + SPARE  # with what the terminal shows of a Ctrl-C behind the line
        self.bar.bar_format = line + ("" if self.finished else " " * (shown - self.length))
        self.bar.close()

    def line(self, rows, closing=False):
        """The format for tqdm. What is left for the bar is computed here, as tqdm would cut off the logs instead."""
        now, (then, before) = time.perf_counter(), self.first
        if closing and rows == before:
            then, before = self.started
        pace, clock = "", clock_text(now - self.started[0])
        if rows > before:  # the first chunk is the slow one: the executor is loaded, or compiled
            rate = (rows - before) / max(now - then, 1e-9)
            pace = f" {rate_text(rate, 1)} rows/s"
            clock += "" if closing else f"<{clock_text((self.bar.total - rows) / rate)}"
        head, tail = f"{self.head(self.done)} |", f"| {clock}{pace}  "
        columns = self.bar.format_dict["ncols"]
        room = (columns - SPARE if isinstance(columns, int) else WIDTH) - len(head) - len(tail)
        logs = fit_logs(self.logs, room - SHORTEST)
        size, text = max(1, min(LONGEST, room - len(logs))), (tail + logs).rstrip()
        self.length = len(head) + size + len(text)
        size = "" if self.notebook else f":{size}"
        return f"{head}{{bar{size}}}" + text.replace("{", "{{").replace("}", "}}")


def bar_for(notebook):
    """tqdm's class of bars, and the file that they are written to, or None for standard error.

    In a notebook it is a widget, or where ipywidgets is missing text, on standard output: what is on standard error is
    red there, and tqdm.auto would warn besides.
    """
    if notebook:
        from tqdm.notebook import IProgress, tqdm_notebook

        if IProgress is not None:
            return tqdm_notebook, None
    from tqdm.std import tqdm

    return tqdm, sys.stdout if notebook else None


def in_notebook():
    """Whether this is a notebook's kernel; Colab and others have a shell derived from Jupyter's."""
    shell = sys.modules.get("IPython")
    instance = shell and shell.get_ipython()
    return instance is not None and any(kind.__name__ == "ZMQInteractiveShell" for kind in type(instance).__mro__)


def check_verbose(verbose):
    """The value as it is; ValueError for what `make_progress` does not know."""
    if not isinstance(verbose, (int, str)) or verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto', got {verbose!r}")
    return verbose


def make_progress(verbose, rows, epochs, initial=0):
    """The Progress that `verbose` asks for: 0 nothing, 1 a bar, 2 a line an epoch, "auto" a bar where one looks.

    `rows` are those of an epoch, `initial` is the number of the first, from 0.
    """
    if verbose == "auto":
        verbose = int(sys.stderr.isatty() or in_notebook())
    return (Progress, Bar, Lines)[verbose](rows, epochs, initial)


class Nets:
    """Shows nothing: how many models are done, beside how many there are, or None."""

    def __init__(self, known=None, what="models"):
        self.known, self.what = known, what

    def update(self, done, rows):
        """So many models are done, and so many rows were trained on."""

    def close(self):
        """At the end, however it came."""


class NetsBar(Nets):
    """A bar over all models (tqdm), in one line of the terminal."""

    def __init__(self, known=None, what="models"):
        super().__init__(known, what)
        self.start = time.perf_counter()
        tqdm, file = bar_for(in_notebook())
        self.bar = tqdm(total=known, bar_format="{desc}", dynamic_ncols=True, file=file)

    def update(self, done, rows):
        seconds = time.perf_counter() - self.start
        clock, last = clock_text(seconds), f"{done}/{self.known}" if self.known else f"{done}"
        if done and self.known:
            clock += f"<{clock_text(seconds / done * (self.known - done))}"
        pace = f" {rate_text(rows, seconds)} rows/s" if rows else ""
        bar = f" |{{bar:{LONGEST}}}|" if self.known else ""
        self.bar.bar_format = f"{last} {self.what}{bar} {clock}{pace}"
        self.bar.update(done - self.bar.n)
        self.bar.refresh()

    def close(self):
        self.bar.close()


def make_nets_progress(verbose, known, what="models"):
    """What `verbose` asks for: 0 nothing, 1 a bar, "auto" a bar where one looks."""
    if verbose == "auto":
        verbose = int(sys.stderr.isatty() or in_notebook())
    return (Nets, NetsBar)[verbose](known, what)
