"""The report of a training: one HTML page that explains what the model is worth, and what it goes by."""

from fastml.commands.report import classes, influence, mistakes, numbers, page, summary, training_run


def report(training, seed):
    """The page, a text, about a Training."""
    title = f"{training.target}, predicted from {training.source}"
    order, bars = influence.importance(training, seed)
    kinds = classes if training.task == "classification" else numbers
    parts = [
        summary.head(training, title, seed),
        summary.worth(training),
        kinds.section(training),
        mistakes.section(training, order),
        influence.section(training, order, bars, seed),
        training_run.section(training),
        page.side_by_side(training_run.columns(training), training_run.details(training)),
    ]
    return page.page(title, parts)
