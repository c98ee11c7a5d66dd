"""``fastml evaluate``: how right a model is about a table that has the answers."""

from fastml.commands import CommandError, alike
from fastml.commands.asking import answer_of, ask, compared
from fastml.commands.figures import UNKNOWN, many, span
from fastml.commands.scores import METRICS
from fastml.commands.terminal import print_table
from fastml.commands.uncertainty import NOTHING, intervals


def evaluate(options):
    """Runs the command `evaluate`."""
    asked = ask(options, options.target)
    if options.target in asked.rows.columns:
        raise CommandError(f"{options.target!r} is a column that the model goes by, not what it predicts")
    if asked.target is None:
        name = options.target or asked.about.get("target")
        if name is None:
            raise CommandError(f"{options.model} does not say what it predicts: give the column with --target")
        hint = f": did you mean {close[0]!r}?" if (close := alike(name, asked.columns)) else ""
        raise CommandError(f"{asked.name} has no column {name!r}, which would hold the answers{hint}")
    known = METRICS["classification" if hasattr(asked.estimator, "classes_") else "regression"]
    y, answer = compared(asked, answer_of(asked))
    print(f"Model   {options.model}, of {asked.about.get('when', 'an unknown day')}")
    print(f"Data    {asked.name}: {many(len(y), 'row')} with {asked.target.name!r}")
    earlier = asked.about.get("scores") or {}
    told = {name: value.get("model") for name, value in earlier.items()}
    scores = [(metric, metric.of(y, answer), 0.0) for metric in known.values()]
    ranges = intervals(scores, y, answer, answer) if len(y) > 1 else {m.title: (NOTHING,) for m in known.values()}
    rows = [(f"on {many(len(y), 'row')}", "model", "95% interval", "after training")]
    for metric, value, _ in scores:
        before = told.get(metric.title)
        interval = span(metric.text, *ranges[metric.title][0])
        rows.append((metric.title, metric.text(value), interval, UNKNOWN if before is None else metric.text(before)))
    print_table(rows)
