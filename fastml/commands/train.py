"""``fastml train``: from a table in a file to a model in a file, with figures of what it is worth."""

import platform
import shutil
import sys
import time
import warnings
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path

import numpy as np

from fastml.commands import CommandError, check_column, counted, one_line
from fastml.commands.columns import choose, counts_rows, suspicious, tell, tells, useless
from fastml.commands.models import read_about
from fastml.commands.outputs import check_output, write
from fastml.commands.reading import files
from fastml.commands.reading.source import PACKED, STDIN
from fastml.commands.reading.typed import typed
from fastml.commands.scores import DEFAULT, METRICS, baseline, normalized, numbered, outcome, print_scores, scorer
from fastml.commands.target import read_target, share_out
from fastml.compiled import warmup
from fastml.interrupts import hold_interrupts
from fastml.sklearn import MLPClassifier, MLPRegressor
from fastml.version import __version__

PATIENCE, BATCH = 20, 32  # epochs without a better score before the end, rows of a batch
MOST_COLUMNS = 30  # that are listed on the screen


@dataclass
class Training:
    """What came of a training. Scores are (Metric, of the model, of the baseline), the one to report first."""

    source: str
    command: str
    target: str
    task: str
    why: str
    notes: list
    stop: object
    left_out: dict = field(default_factory=dict)
    columns: list = ()
    style: object = None  # of the file
    units: dict = field(default_factory=dict)
    rows: dict = ()
    estimator: object = None
    seconds: float = 0.0
    table: object = None  # the test rows, and below their targets and what the model says
    truth: np.ndarray = None
    answer: np.ndarray = None
    scores: list = ()
    baseline: str = ""


def train(options):
    """Runs the command."""
    table = files.open_table(options.data, files.form_of(options))
    check_column(table.name, table.frame, options.target)
    if options.target in table.twice:
        raise CommandError(f"{table.name} has several columns called {options.target!r}: give each a name of its own")
    model = options.model or f"{stem(options.data)}.safetensors"
    check_output(model, [".safetensors"], options.data)
    replaced = describe_replaced(model, options)
    if options.report:
        check_output(options.report, [".html", ".htm"], options.data)
    training = learn(options, table)
    print()
    print_scores(training.scores, "on the test rows", "baseline")
    print(f"baseline: {training.baseline}", flush=True)
    training.estimator.about_ = about(training)
    with hold_interrupts(every=True):
        training.estimator.save(model)
    print(f"\nModel   written to {model}{replaced}", flush=True)
    if options.report:
        from fastml.commands.report import report

        write(options.report, report(training, options.seed).encode())
        print(f"Report  written to {options.report}")


def stem(path):
    """The name of a file without its folder and what tells its kind, such as "sales" for "old/sales.csv.gz"."""
    if path == STDIN:
        return "model"
    name = Path(path)
    return Path(name.stem).stem if name.suffix.lower() in PACKED and Path(name.stem).suffix else name.stem


def describe_replaced(path, options):
    """Words on the model that will be replaced; CommandError where it is of another target, or none, unless allowed."""
    if not Path(path).exists():
        return ""
    try:
        known = read_about(path)
    except CommandError:
        known = None
    target = (known or {}).get("target")
    if options.overwrite or target == options.target:
        return ", in place of an older one"
    what = f"a model of {target!r}" if target else "a file that this command has not written"
    raise CommandError(f"{path} is {what}: give another name with --model, or allow to replace it with --overwrite")


def learn(options, table):
    """Trains with a Table; returns the Training, and prints what it does."""
    print(f"Data    {Path(table.name).name}: {counted(table.frame.height, 'row')}, {table.frame.width} columns")
    for name in options.drop:
        check_column(table.name, table.frame, name)
    table = table._replace(frame=table.frame.drop(set(options.drop) - {options.target}))
    read = typed(table, files.form_of(options).style, target=options.target)
    texts = None if table.separator is None else table.frame[options.target]
    goal = read_target(read.frame[options.target], options.task, texts)
    metric, stop = metrics_of(options.metric, goal.task)
    rest = choose(table.name, read.frame, options.target).filter(goal.kept)
    train, test, validation = share_out(goal.values, options.test_size, goal.task == "classification", options.seed)
    print(f"Task    {goal.task}, {goal.why}")
    notes = [*table.notes, *read.notes, *goal.notes]
    training = Training(Path(table.name).name, options.line, options.target, goal.task, goal.why, notes, stop)
    training.style, training.units = read.style, read.units
    rest = usable(options, rest, train, training, table.frame)
    checked = round(validation * len(train) + 0.5)
    training.rows = {"train": len(train) - checked, "validate": checked, "test": len(test)}
    for text in training.notes:
        note(text)
    counts = "{train} to learn from, {validate} to tell when to stop, {test} to test with".format(**training.rows)
    print(f"Rows    {counts}", flush=True)
    fit(options, training, (rest[train], goal.values[train]), validation)
    training.table, training.truth = rest[test], numbered(training.estimator, goal.values[test])
    training.answer = normalized(outcome(training.estimator, training.table))
    naive, training.baseline = baseline(training.estimator, goal.values[train], len(test))
    known = METRICS[goal.task]
    order = [metric, *(other for other in known.values() if other is not metric)]
    training.scores = [(m, m.of(training.truth, training.answer), m.of(training.truth, naive)) for m in order]
    return training


def metrics_of(name, task):
    """The metrics to report and to stop by."""
    known = METRICS[task]
    if name is None:
        return tuple(known[metric] for metric in DEFAULT[task])
    if name not in known:
        raise CommandError(f"--metric {name} is not for {task}, which has {', '.join(known)}")
    return known[name], known[name]


def usable(options, rest, train, training, written):
    """The columns to learn from; notes what is left out. `written` : the frame as it stands in the file."""
    training.left_out |= dict.fromkeys(options.drop, "as asked for")
    for column in rest.iter_columns():
        why = useless(column[train]) or counts_rows(column) or tells(written[column.name], written[options.target])
        if why:
            training.left_out[column.name] = why
            training.notes.append(f"column {column.name!r} is left out: {why}")
        elif hint := suspicious(column):
            training.notes.append(hint)
    rest = rest.drop(training.left_out, strict=False)
    if not rest.width:
        raise CommandError(f"{options.data} has no column to learn from: see the notes above")
    files.check_finite(options.data, rest)
    return rest


def about(training):
    """What the model file tells of the training, for `fastml predict`, `evaluate` and `info`."""
    scores = {m.title: {"model": finite(a), "baseline": finite(b)} for m, a, b in training.scores}
    libraries = ("numpy", "numba", "scikit-learn", "polars")
    return {
        "command": training.command,
        "source": training.source,
        "target": training.target,
        "task": training.task,
        "rows": training.rows,
        "scores": scores,
        "baseline": training.baseline,
        "style": training.style._asdict(),
        "units": training.units,
        "when": time.strftime("%Y-%m-%d %H:%M:%S"),
        "versions": {"fastml": __version__, "python": platform.python_version()}
        | {name: version(name) for name in libraries},
    }


def finite(value):
    """A score as a file holds it: None where it is not defined."""
    return float(value) if np.isfinite(value) else None


def fit(options, training, rows, validation):
    """Trains the estimator."""
    kind = MLPClassifier if training.task == "classification" else MLPRegressor
    training.estimator = estimator = kind(
        hidden_layer_sizes=options.hidden,
        batch_size=BATCH,
        max_iter=options.epochs,
        early_stopping=True,
        validation_fraction=validation,
        n_iter_no_change=PATIENCE,
        scoring=scorer(training.stop),
        random_state=options.seed % 2**32,
        dtype="float32",
        verbose=int(sys.stderr.isatty()),
    )
    estimator._encodes = True  # numbers without gaps, too, as later tables may have some
    warmup("float32")  # so that the seconds hold no compilation
    start = time.perf_counter()
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            estimator.fit(*rows)
        except (TypeError, ValueError) as error:
            raise CommandError(one_line(error)) from error
    training.seconds = time.perf_counter() - start
    training.columns = tell(estimator.encoder_, training.left_out)
    for text in dict.fromkeys(str(warning.message) for warning in told):
        if text.startswith("Training interrupted"):
            raise KeyboardInterrupt
        if text.startswith("the training has not converged"):
            text = f"the model was still becoming better when it ended: --epochs {2 * options.epochs} may help"
        training.notes.append(one_line(text))
        note(text)
    best = int(np.nanargmax(estimator.validation_scores_)) + 1
    print(f"Trained {estimator.n_iter_} epochs in {training.seconds:.2f} s; number {best} had the best", end=" ")
    print(f"{training.stop.title} and was kept")
    print_columns(training)
    sizes = [estimator.model_.input_dim, *np.atleast_1d(estimator.hidden_layer_sizes), estimator.n_outputs_]
    print(f"Model   {'-'.join(map(str, sizes))}, {sum(w.size for w in estimator.model_.get_weights())} weights")


def note(text):
    """Prints a remark, in one line."""
    print(f"        note: {one_line(text)}")


def shown(text, width):
    """A text in so many characters at most, without those that would harm a terminal."""
    text = "".join(c if c.isprintable() else "·" for c in text)
    return text if len(text) <= width else text[: width - 1] + "…"


def print_columns(training):
    """What becomes of the columns, in lines that fit."""
    width = shutil.get_terminal_size().columns - 1 if sys.stdout.isatty() else 120
    rows = [row for row in training.columns if row[0] not in training.left_out]
    rows, more = rows[:MOST_COLUMNS], rows[MOST_COLUMNS:]
    rows = [(shown(name, 24), kind, becomes) for name, kind, becomes in rows]
    first, second = (max(len(row[k]) for row in rows) for k in (0, 1))
    print(f"Columns {training.estimator.n_features_in_}, which become {training.estimator.model_.input_dim} features:")
    for name, kind, becomes in rows:
        print(shown(f"  {name:<{first}}  {kind:<{second}}  {becomes}", width))
    if more:
        print(f"  … and {len(more)} more")
