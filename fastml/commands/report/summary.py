"""The top of a report: what was done, what the model is worth, and how sure that is."""

import math

from fastml.commands.figures import count, gap, gaps, many, span
from fastml.commands.report import page
from fastml.commands.worth import FEW_TESTS, against
from fastml.commands.worth import few as remarks


def head(training, title, seed):
    """What was done, and the figures that matter most."""
    score, rows = training.scores[0], training.rows
    metric = score.metric
    interval = f"95% interval: {span(metric.text, *score.interval)}" if finite(score.interval) else "no interval"
    cards = [
        page.card(f"{metric.title} of the model", metric.text(score.ours), interval),
        page.card("baseline", metric.text(score.theirs), training.baseline, plain=True),
        page.card("test rows", count(rows["test"]), f"of {count(sum(rows.values()))} that were used", plain=True),
    ]
    few = rows["test"] < FEW_TESTS
    notes = [note[:1].upper() + note[1:] for note in training.notes if not (few and note in remarks(rows)[:1])]
    notes = "".join(f"<li>{page.escape(note)}.</li>" for note in notes)
    told = [page.paragraph(" ".join([verdict(training), *beside(training, seed)]))]
    told.append(page.paragraph(warning(training), "warning") if few else "")
    return "\n".join([
        f"<header>\n<h1>{page.escape(title)}</h1>",
        page.paragraph(f"{training.task.capitalize()}, {training.why}.", "soft"),
        "</header>",
        f'<div class="cards">{"".join(cards)}</div>',
        page.side_by_side(page.block(*told), f"<ul>{notes}</ul>" if notes else ""),
    ])  # fmt: skip


def finite(interval):
    """Whether an interval is known."""
    return all(map(math.isfinite, interval))


def verdict(training):
    """Sentences on model and baseline."""
    score = training.scores[0]
    metric, gained = score.metric, score.better(score.theirs)
    if not math.isfinite(gained):
        return (
            f"These test rows cannot tell the {metric.title}: their targets are all the same. Other test rows, by "
            "another --seed or a larger --test-size, may tell more."
        )
    by = f"{gap(metric.text, score.ours - score.theirs)}, 95% interval {gaps(metric.text, *score.gain)}"
    sure, tests = score.surely(score.gain), many(training.rows["test"], "test row")
    if gained <= 0:
        what = "it is worse" if sure < 0 else "it has found nothing in the columns that can be told from chance"
        return f"The model is not better than the baseline on these rows ({by}): {what}."
    found = f"Its {metric.title} is {'higher' if metric.larger else 'lower'} than that of the baseline ({by})"
    return f"{found}, as it should be." if sure > 0 else f"{found}, but with {tests} this may be by chance."


def beside(training, seed):
    """Sentences on the model and the rivals."""
    score, found = training.scores[0], []
    for rival, theirs in zip(training.rivals, score.others, strict=True):
        better = score.better(theirs)
        if not math.isfinite(better):
            continue
        interval = against(training, rival, seed)
        sure, name = score.surely(interval), f"the {rival.name} model" if rival.name == "linear" else rival.name
        by = f"{gap(score.metric.text, score.ours - theirs)}, 95% interval {gaps(score.metric.text, *interval)}"
        if sure:
            found.append(f"It is {'better' if sure > 0 else 'worse'} than {name} ({by}).")
        else:
            found.append(f"Between it and {name} these rows cannot decide ({by}).")
    return found


def warning(training):
    """What it means to test with few rows."""
    score, tests = training.scores[0], training.rows["test"]
    text = f"Only {many(tests, 'row')} test. "
    if finite(score.interval):
        text += (
            f"With other rows from the same source, the {score.metric.title} could as well be anything from "
            f"{span(score.metric.text, *score.interval)}, and all that is said below is as unsure. "
        )
    if tests < 20:
        text += "From so few rows, even the intervals are rough. "
    return text + "More rows help; a larger --test-size tells more of a model that learned from fewer."


def worth(training):
    """All metrics, and what the model is compared with."""
    rows = []
    for score in training.scores:
        text = score.metric.text
        rows.append((
            score.metric.title,
            text(score.ours),
            span(text, *score.interval),
            *map(text, score.others),
            text(score.theirs),
            gaps(text, *score.gain),
            "more" if score.metric.larger else "less",
        ))  # fmt: skip
    names = [rival.name for rival in training.rivals]
    head = ("", "model", "95% interval", *names, "baseline", "model − baseline, 95% interval", "better is")
    caption = f"On {many(training.rows['test'], 'test row')}, {training.how}."
    others = [f"<li><b>{page.escape(r.name)}</b>: {page.escape(r.what)}.</li>" for r in training.rivals]
    others.append(f"<li><b>baseline</b>: {page.escape(training.baseline)}, whatever the columns hold.</li>")
    others += [f"<li>{page.escape(text[:1].upper() + text[1:])}.</li>" for text in training.notes_of_rivals]
    told = (
        "Intervals hold the value for all rows of the source in 95 of 100 cases, if the test rows are a fair sample of "
        "them and this is the model: Wilson's for accuracy, Newcombe's for its difference, a Bayesian bootstrap of the "
        "test rows for the others. They do not tell how another training would come out."
    )
    if any(not math.isfinite(score.ours) for score in training.scores):
        told += " A dash stands where the targets of the test rows are all the same, and a metric has no value."
    return page.section(
        "What it is worth",
        page.table(caption, head, rows, range(1, len(head) - 1)),
        page.side_by_side(page.block(f"<ul>{''.join(others)}</ul>"), page.paragraph(told, "soft")),
    )
