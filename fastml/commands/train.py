"""``fastml train``: from a table in a file to a model in a file, with figures of what it is worth."""

import sys
import time
import warnings
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from fastml.commands import CommandError, check_column, one_line
from fastml.commands.columns import choose, counts_rows, suspicious, tell, tells, useless
from fastml.commands.figures import count, many
from fastml.commands.files.table import check_finite, check_single, form_of, open_table
from fastml.commands.files.typed import typed
from fastml.commands.models import about, describe_replaced, stem
from fastml.commands.outputs import check_output, write
from fastml.commands.rivals import rivals
from fastml.commands.scores import DEFAULT, METRICS, baseline, normalized, numbered, outcome, scorer
from fastml.commands.sharing import hints, share
from fastml.commands.target import read_target
from fastml.commands.terminal import note, print_columns, print_scores
from fastml.commands.worth import few, measure
from fastml.process.signals import hold_interrupts
from fastml.program.compiled import warmup
from fastml.sklearn import MLPClassifier, MLPRegressor
from fastml.sklearn.folds import FEW

PATIENCE, BATCH = 20, 32  # epochs without a better score before the end, rows of a batch


@dataclass
class Training:
    """What came of a training. `scores` are Scores, the one to report first at the front."""

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
    headerless: list = None  # names of all columns of a file without a header
    rows: dict = ()
    estimator: object = None
    seconds: float = 0.0
    table: object = None  # the test rows, and below their targets and what the model says
    truth: np.ndarray = None
    answer: np.ndarray = None
    scores: list = ()
    baseline: str = ""
    how: str = ""  # the test rows were chosen
    ended: str = ""  # the training, why
    numbers: np.ndarray = None  # of the test rows in the file, from 1 on
    known: tuple = ()  # the rows to learn from and to tell when to stop, and their targets
    rivals: list = ()
    notes_of_rivals: list = ()


def train(options):
    """Runs the command."""
    form = form_of(options)
    table = open_table(options.data, form)
    check_column(table.name, table.frame, options.target)
    check_single(table, options.target)
    model = options.model or f"{stem(options.data)}.safetensors"
    check_output(model, [".safetensors"], options.data)
    replaced = describe_replaced(model, options)
    if options.report:
        check_output(options.report, [".html", ".htm"], options.data)
    print(f"Data    {Path(table.name).name}: {many(table.frame.height, 'row')}, {many(table.frame.width, 'column')}")
    for name in options.drop:
        check_column(table.name, table.frame, name)
    names = table.frame.columns
    needed = {options.target, options.split.partition(":")[2]}  # the time tells rows apart, even if it is dropped
    table = typed(table.without(set(options.drop) - needed), form.style, target=options.target)
    names = None if form.header else names
    held = [table]
    del table  # whose memory the training needs: nobody else is to hold it
    training = learn(options, held)
    training.headerless = names
    print_scores(training)
    training.estimator.about_ = about(training)
    with hold_interrupts(every=True):
        training.estimator.save(model)
    print(f"\nModel   written to {model}{replaced}", flush=True)
    if options.report:
        from fastml.commands.report import report

        write(options.report, report(training, options.seed).encode())
        print(f"Report  written to {options.report}")


def learn(options, held):
    """Trains with the Typed columns of a table, taken from a list; returns the Training, and prints what it does."""
    read = held.pop()
    goal = read_target(read.frame[options.target], options.task, read.texts)
    metric, stop = metrics_of(options.metric, goal.task)
    rest = choose(read.name, read.frame, options.target).filter(goal.kept)
    shares = share(options, read.frame, goal)
    train, test, validation = shares[:3]
    print(f"Task    {goal.task}, {goal.why}")
    notes = [*read.notes, *goal.notes]
    training = Training(Path(read.name).name, options.line, options.target, goal.task, goal.why, notes, stop)
    training.style, training.units = read.style, read.units
    rest = usable(options, rest, train, training, read.frame[options.target].filter(goal.kept))
    training.notes += [*shares.notes, *hints(options, rest, goal.values, shares)]
    training.how, training.numbers = shares.how, np.flatnonzero(goal.kept)[test] + 1
    checked = round(validation * len(train) + 0.5)
    checked = 0 if checked < FEW else checked  # for so few, the estimator asks folds
    training.rows = {"train": len(train) - checked, "validate": checked, "test": len(test)}
    training.notes += few(training.rows)
    for text in training.notes:
        note(text)
    told = f"{count(checked)} to tell when to stop" if checked else "folds of which tell when to stop"
    counts = f"{count(training.rows['train'])} to learn from, {told}, {count(len(test))} to test with"
    counts += f", {training.how}" if options.split != "random" else ""
    print(f"Rows    {counts}", flush=True)
    known, training.table = rest[train], rest[test]
    del rest, read
    fit(options, training, (known, goal.values[train]), validation)
    training.truth = numbered(training.estimator, goal.values[test])
    training.answer = normalized(outcome(training.estimator, training.table))
    training.known = known, numbered(training.estimator, goal.values[train])
    naive, training.baseline = baseline(training.estimator, goal.values[train], len(test))
    order = [metric, *(other for other in METRICS[goal.task].values() if other is not metric)]
    if options.report:
        training.rivals, training.notes_of_rivals = rivals(training, options.seed)
    training.scores = measure(training, naive, order, options.seed)
    return training


def metrics_of(name, task):
    """The metrics to report and to stop by."""
    known = METRICS[task]
    if name is None:
        return tuple(known[metric] for metric in DEFAULT[task])
    if name not in known:
        raise CommandError(f"--metric {name} is not for {task}, which has {', '.join(known)}")
    return known[name], known[name]


def usable(options, rest, train, training, target):
    """The columns to learn from; notes what is left out. `target` : the column to predict, in the same rows."""
    training.left_out |= dict.fromkeys(options.drop, "as asked for")
    for column in rest.iter_columns():
        why = useless(column[train]) or counts_rows(column) or tells(column, target)
        if why:
            training.left_out[column.name] = why
            training.notes.append(f"column {column.name!r} is left out: {why}")
        elif hint := suspicious(column):
            training.notes.append(hint)
    rest = rest.drop(training.left_out, strict=False)
    if not rest.width:
        raise CommandError(f"{options.data} has no column to learn from: see the notes above")
    check_finite(options.data, rest)
    return rest


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
    kept = f"number {estimator.best_epoch_} had the best {training.stop.title} and was kept"
    kept = kept if training.rows["validate"] else f"so many had the best {training.stop.title} in folds of the rows"
    print(f"Trained {many(estimator.n_iter_, 'epoch')} in {training.seconds:.2f} s; {kept}")
    training.ended = ending(estimator, training)
    if training.rows["validate"]:
        print(f"        it ended as {training.ended}")
    print_columns(training)
    sizes = [estimator.model_.input_dim, *np.atleast_1d(estimator.hidden_layer_sizes), estimator.n_outputs_]
    weights = sum(w.size for w in estimator.model_.get_weights())
    print(f"Model   {'-'.join(map(str, sizes))}, {many(weights, 'weight')}")


def ending(estimator, training):
    """Why a training ended, in words."""
    metric = training.stop
    if not training.rows["validate"]:
        return f"folds of the rows had the best {metric.title} after so many epochs"
    if not np.isfinite(estimator.validation_scores_[-1]):
        return "its weights diverged: the last ones that did not were kept"
    if estimator._patience.exhausted:
        return f"{count(PATIENCE + 1)} epochs in a row did not better the {metric.title} by {estimator.tol:g}"
    return f"all {many(estimator.max_iter, 'epoch')} were done" if estimator.max_iter > 1 else "there was to be 1 epoch"
