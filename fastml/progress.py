"""What `fit` shows while it runs."""

import sys


def format_logs(logs):
    return "  ".join(
        f"{name} {value:.4f}" if abs(value) >= 1e-3 else f"{name} {value:.2e}" for name, value in logs.items()
    )


class Progress:
    """Shows nothing: the base of the other two."""

    def __init__(self, steps, epochs):
        self.epochs = epochs

    def epoch(self, done, logs):
        """After each epoch: how many are done, and its logs."""

    def update(self, step):
        """After each chunk: how many steps are done."""

    def close(self):
        """At the end, however it came."""


class Lines(Progress):
    """One line an epoch."""

    def epoch(self, done, logs):
        print(f"epoch {done}/{self.epochs}  {format_logs(logs)}", flush=True)


FORMAT = "{desc}|{bar:16}| {percentage:3.0f}% {elapsed}<{remaining}{postfix}"


class Bar(Progress):
    """A bar over all steps (tqdm)."""

    def __init__(self, steps, epochs):
        from tqdm.auto import tqdm

        super().__init__(steps, epochs)
        self.bar = tqdm(total=steps, desc=f"epoch 0/{epochs} ", bar_format=FORMAT, dynamic_ncols=True)

    def epoch(self, done, logs):
        self.bar.desc = f"epoch {done}/{self.epochs} "
        self.bar.postfix = format_logs(logs)

    def update(self, step):
        self.bar.update(step - self.bar.n)

    def close(self):
        self.bar.close()


def in_notebook():
    shell = sys.modules.get("IPython")
    instance = shell and shell.get_ipython()
    return instance is not None and type(instance).__name__ == "ZMQInteractiveShell"


def check_verbose(verbose):
    """The value as it is; ValueError for what `make_progress` does not know."""
    if not isinstance(verbose, (int, str)) or verbose not in (0, 1, 2, "auto"):
        raise ValueError(f"verbose must be 0, 1, 2 or 'auto', got {verbose!r}")
    return verbose


def make_progress(verbose, steps, epochs):
    """The Progress that `verbose` asks for: 0 nothing, 1 a bar, 2 a line an epoch, "auto" a bar where one looks."""
    if verbose == "auto":
        verbose = int(sys.stderr.isatty() or in_notebook())
    return (Progress, Bar, Lines)[verbose](steps, epochs)
