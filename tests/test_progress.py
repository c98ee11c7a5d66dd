"""What `fit` shows while it runs, also on a terminal, where a bar must stay within its line."""

import contextlib
import os
import re
import struct
import subprocess
import sys
import textwrap
import threading
import time

import pytest
from helpers import make_data, make_model

from fastml import Callback, DivergenceError
from fastml.training import progress
from fastml.training.progress import Bar, fit_logs, format_logs, rate_text, seconds_text

LOGS = {"loss": 0.5, "accuracy": 0.25, "val_loss": 0.75, "val_accuracy": 0.125}


@pytest.mark.parametrize("verbose", [0, "auto"])
def test_silence(verbose, capfd):
    """Nothing where verbose is 0, or where nobody looks at a terminal."""
    x, y = make_data("mean_squared_error")
    make_model().fit(x, y, epochs=3, verbose=verbose)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("verbose", [3, -1, "loud", None])
def test_verbose_that_is_refused(verbose):
    x, y = make_data("mean_squared_error")
    with pytest.raises(ValueError, match="verbose must be 0, 1, 2 or 'auto'"):
        make_model().fit(x, y, verbose=verbose)


# Words

NUMBERS = {0.0: "0.0000", 0.5: "0.5000", 1e-4: "1.00e-04", 1234.5: "1234.5000", 1e6: "1.00e+06", -2.0: "-2.0000"}


@pytest.mark.parametrize("value", [*NUMBERS, float("nan"), float("inf")])
def test_values(value):
    assert format_logs({"loss": value}) == f"loss {NUMBERS.get(value, value)}"


@pytest.mark.parametrize(
    "rows, seconds, text",
    [
        (2, 4, " 0.5"),
        (99, 10, " 9.9"),
        (994, 100, " 9.9"),
        (1e4, 1000, "  10"),
        (999, 1, " 999"),
        (9995, 10, "1.0k"),
        (12345, 1, " 12k"),
        (1.2e6, 1, "1.2M"),
        (5, 0, "5.0G"),
    ],
)
def test_rows_a_second(rows, seconds, text):
    assert rate_text(rows, seconds) == text


@pytest.mark.parametrize("seconds, text", [(0.0123, "12.3 ms"), (0.123, "0.12 s"), (75, "75.00 s")])
def test_seconds(seconds, text):
    assert seconds_text(seconds) == text


FITTED = [
    (80, "loss 0.5000  accuracy 0.2500  val_loss 0.7500  val_accuracy 0.1250"),
    (65, "loss 0.500/0.750  acc 0.250/0.125"),
    (33, "loss 0.500/0.750  acc 0.250/0.125"),
    (32, "loss 0.500/0.750  ..."),
    (20, ""),
    (-5, ""),
]


@pytest.mark.parametrize("width, text", FITTED)
def test_logs_in_little_room(width, text):
    assert fit_logs(LOGS, width) == text


def test_validation_values_without_a_twin_stand_alone():
    logs = {"loss": 0.5, "mean_squared_error": 0.5, "val_auc": 1e-5}
    assert fit_logs(logs, 40) == "loss 0.500  mse 0.500  val_auc 1.0e-05"


# Lines


def test_a_line_an_epoch(capsys):
    x, y = make_data("mean_squared_error")
    history = make_model().fit(x, y, epochs=10, validation_split=0.2, verbose=2).history
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 10
    for epoch, line in enumerate(lines):
        values = f"loss {history['loss'][epoch]:.4f}  val_loss {history['val_loss'][epoch]:.4f}"
        assert re.fullmatch(rf"epoch {epoch + 1:2}/10  +[\d.]+ m?s  [ \d.]+[kMG]? rows/s  {values}", line)
    assert len({line.index("loss") for line in lines[1:]}) == 1


def test_the_time_of_an_epoch_is_its_own(capsys, monkeypatch):
    """Many short epochs do not end at once, as they would without lines to write."""
    monkeypatch.setattr(progress, "time", clock := Clock())
    clock.now = 3.0
    lines = progress.Lines(rows=6000, epochs=2)
    clock.now = 3.5
    lines.epoch(1, {"loss": 1.0})
    clock.now = 3.52
    lines.epoch(2, {"loss": 1.0})
    first, second = capsys.readouterr().out.splitlines()
    assert first == "epoch 1/2   0.50 s   12k rows/s  loss 1.0000"
    assert second == "epoch 2/2  20.0 ms  300k rows/s  loss 1.0000"
    times = []
    monkeypatch.setattr(progress.Lines, "epoch", lambda self, done, logs: times.append(time.perf_counter()))
    x, y = make_data("mean_squared_error")
    make_model().fit(x, y, epochs=20, verbose=2)
    model = make_model()
    model.fit(x, y, epochs=20, verbose=2)
    assert len(set(times)) == 40


class Clock:
    now = 0.0

    def perf_counter(self):
        return self.now


# Bars


def test_a_bar(capsys):
    x, y = make_data("mean_squared_error")
    history = make_model().fit(x, y, batch_size=10, epochs=3, verbose=1).history
    shown = capsys.readouterr()
    assert shown.out == ""
    last = shown.err.split("\r")[-1]
    assert "epoch 3/3 |████████████████| 0:0" in last and last.endswith(f"rows/s  loss {history['loss'][2]:.4f}\n")


def test_what_a_bar_tells(monkeypatch):
    """Time left by the rows since the first chunk, which is slow; at the end by all that followed it."""
    monkeypatch.setattr(progress, "time", clock := Clock())
    bar = Bar(rows=1000, epochs=10)
    clock.now = 5.0
    assert bar.line(0) == "epoch  0/10 |{bar:16}| 0:05"
    bar.update(1000)
    assert bar.bar.bar_format == "epoch  0/10 |{bar:16}| 0:05"
    clock.now = 7.0
    bar.epoch(2, {"loss": 0.25, "{odd}": 1.0})
    bar.update(5000)
    logs = "loss 0.2500  {{odd}} 1.0000"
    assert bar.bar.bar_format == f"epoch  2/10 |{{bar:16}}| 0:07<0:02 2.0k rows/s  {logs}"
    clock.now = 3725.0
    assert bar.line(5000, closing=True) == f"epoch  2/10 |{{bar:16}}| 1:02:05  1.1 rows/s  {logs}"
    bar.finish()
    bar.close()


def test_a_notebook_shows_an_early_end_as_a_success(monkeypatch):
    """tqdm's widget, which a terminal does not have, is red where something is missing."""
    bar = Bar(rows=1000, epochs=10)
    bar.notebook = True
    bar.update(3000)
    assert "{bar}" in bar.bar.bar_format
    bar.finish()
    assert bar.bar.total == bar.bar.n == 3000
    bar.close()


# On a terminal


class Terminal:
    """A pseudo-terminal of so many columns as standard error; the text that was written to it, and what it shows."""

    def __init__(self, columns):
        fcntl, termios = pytest.importorskip("fcntl"), pytest.importorskip("termios")
        self.columns, self.text = columns, ""
        self.main, self.side = pytest.importorskip("pty").openpty()
        fcntl.ioctl(self.side, termios.TIOCSWINSZ, struct.pack("HHHH", 24, columns, 0, 0))

    def __enter__(self):
        self.reader = threading.Thread(target=self.read)
        self.reader.start()
        return self

    def read(self):
        content = b""
        try:
            while part := os.read(self.main, 4096):
                content += part
                self.text = content.decode(errors="ignore")
        except OSError:  # Linux: all have closed the other side
            pass

    def __exit__(self, *error):
        os.close(self.side)
        self.reader.join()
        os.close(self.main)

    def wait_for(self, pattern):
        for _ in range(400):
            if re.search(pattern, self.text):
                return
            time.sleep(0.05)
        raise AssertionError(f"no {pattern} in {self.text!r}")

    def lines(self):
        """What stands on the screen; a text that is too long goes on in the next line."""
        lines, column = [""], 0
        for character in self.text:
            if character == "\r":
                column = 0
            elif character == "\n":
                lines.append("")
                column = 0
            else:
                if column == self.columns:
                    lines.append("")
                    column = 0
                line = lines[-1].ljust(column)
                lines[-1] = line[:column] + character + line[column + 1 :]
                column += 1
        return [line.rstrip() for line in lines]


def shown(columns, train, *arguments, **options):
    """The only line that the screen shows after a training, and the texts that have stood there."""
    with Terminal(columns) as terminal, open(os.dup(terminal.side), "w", encoding="utf-8") as stream:
        with contextlib.redirect_stderr(stream):
            train(*arguments, **options)
        stream.write("END")
        stream.flush()
        terminal.wait_for("END")
    frames = re.split(r"[\r\n]+", terminal.text)
    assert max(map(len, frames)) <= columns - 1
    assert "\x1b" not in terminal.text, "a bar that moves the cursor or clears lines flickers"
    line, end = terminal.lines()
    assert end == "END", "the bar has ended its line"
    return line, frames


class Slow(Callback):
    """Epochs that take long enough for a bar to be drawn anew."""

    def __init__(self, failing=None, stopping=None):
        self.failing, self.stopping = failing, stopping

    def on_epoch_end(self, epoch, logs):
        time.sleep(0.06)
        self.model.stop_training = epoch == self.stopping
        if epoch == self.failing:
            raise LookupError("the callback's own")


PACE = r"\d:\d\d [ \d.]+[kM]? rows/s"
METRICS = {
    "none": [],
    "accuracy": ["accuracy"],
    "several": ["accuracy", "auc", "precision", "recall", "f1", "root_mean_squared_error"],
}
PAIR, VALUE = r"0\.\d{3}/0\.\d{3}", r"0\.\d{4}"
ENDS = {  # of the final line, by columns
    ("none", 80): rf"loss {VALUE}  val_loss {VALUE}",
    ("none", 120): rf"loss {VALUE}  val_loss {VALUE}",
    ("accuracy", 80): rf"loss {PAIR}  acc {PAIR}",
    ("accuracy", 120): rf"loss {VALUE}  accuracy {VALUE}  val_loss {VALUE}  val_accuracy {VALUE}",
    ("several", 80): rf"loss {PAIR}(  acc {PAIR})?  \.\.\.",
    ("several", 120): rf"loss {PAIR}  acc {PAIR}  rmse {PAIR}  val_auc 0\.\d{{3}}  \.\.\.",
}


def fit(metrics="accuracy", epochs=12, **arguments):
    x, y = make_data("binary_crossentropy", units=1, rows=200)
    model = make_model("binary_crossentropy", units=1, metrics=METRICS[metrics])
    arguments = {"callbacks": [Slow()], "validation_split": 0.5, **arguments}
    return model.fit(x, (y > 0.5).astype(float), epochs=epochs, **arguments)


@pytest.mark.parametrize("columns", [80, 120])
@pytest.mark.parametrize("metrics", METRICS)
def test_a_bar_stays_in_its_line(metrics, columns):
    line, frames = shown(columns, fit, metrics)
    assert re.fullmatch(rf"epoch 12/12 \|█+\| {PACE}  {ENDS[metrics, columns]}", line)
    middle = [frame for frame in frames if "<" in frame]
    assert len(middle) > 3
    for frame in middle:
        assert re.match(rf"epoch [ \d]{{2}}/12 \|.+\| \d:\d\d<{PACE}(  loss|$)", frame)


def test_an_early_stop():
    """The bar is as long as the epochs that were done, and nothing is left to wait for."""
    line, _ = shown(80, fit, "none", epochs=8, callbacks=[Slow(stopping=3)])
    assert re.match(rf"epoch 4/8 \|█{{8}} {{8}}\| {PACE}  loss", line)


def test_an_error_in_a_callback():
    def train():
        with pytest.raises(LookupError):
            fit("none", epochs=8, callbacks=[Slow(failing=3)])

    line, _ = shown(80, train)
    assert re.match(rf"epoch 4/8 \|[^|]+\| {PACE}  loss", line)


def test_a_loss_that_is_not_finite():
    def train():
        x, y = make_data("mean_squared_error")
        with pytest.raises(DivergenceError):
            make_model().fit(x, 1e200 * y, epochs=5)

    line, _ = shown(80, train)
    assert re.match(r"epoch 0/5 \| {16}\| \d:\d\d", line)


def test_many_short_epochs():
    x, y = make_data("mean_squared_error")
    line, _ = shown(80, make_model().fit, x, y, epochs=3000)
    assert re.fullmatch(rf"epoch 3000/3000 \|█{{16}}\| {PACE}  loss \d\.\d{{4}}", line)


@pytest.mark.parametrize("columns", [20, 40])
def test_a_narrow_terminal(columns):
    line, _ = shown(columns, fit, "several")
    assert line.startswith("epoch 12/12 |█")


INTERRUPTED = """
    import fcntl, sys, termios
    fcntl.ioctl(sys.stderr, termios.TIOCSCTTY, 0)  # so that ^C of this terminal comes here
    sys.path.insert(0, {folder!r})
    from helpers import make_data, make_model

    x, y = make_data("mean_squared_error", rows=10000)
    model = make_model(metrics=["mean_absolute_error"])
    try:
        model.fit(x, y, epochs=10**6, validation_split=0.5)
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
"""


@pytest.mark.parametrize("columns", [80, 120])
def test_ctrl_c(columns):
    """The ^C that the terminal shows neither stays there nor makes a line too long."""
    program = textwrap.dedent(INTERRUPTED).format(folder=os.path.dirname(__file__))
    environment = {name: value for name, value in os.environ.items() if name != "COLUMNS"}
    with Terminal(columns) as terminal:
        streams = {"stdin": terminal.side, "stdout": terminal.side, "stderr": terminal.side}
        process = subprocess.Popen([sys.executable, "-c", program], start_new_session=True, env=environment, **streams)
        terminal.wait_for("val_loss|loss .*/")
        os.write(terminal.main, b"\x03")
        assert process.wait(timeout=30) == 0
        terminal.wait_for("interrupted")
    assert "^C" in terminal.text
    *_, line, end, empty = terminal.lines()
    assert (end, empty) == ("interrupted", "")
    assert re.match(r"epoch +\d+/1000000 \|.{3,16}\| \d:\d\d [ \d.]+[kM]? rows/s  loss", line) and "^C" not in line
