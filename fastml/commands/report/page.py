"""The look of a report: a page without scripts that needs nothing but itself."""

from html import escape
from string import Template

from fastml.commands.figures import typeset
from fastml.commands.report.style import SERIES, STYLE

PAGE = Template("""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">
<title>$title</title>
<style>$style</style>
</head>
<body>
<main>
$body
</main>
</body>
</html>
""")


def page(title, parts):
    """The page of a title, as plain text, and pieces of HTML."""
    return PAGE.substitute(title=escape(title), style=STYLE, body="\n".join(parts))


def section(title, *parts):
    """A section with a heading, plain text, and pieces of HTML."""
    return f"<section>\n<h2>{escape(title)}</h2>\n" + "\n".join(parts) + "\n</section>"


def of_class(kind):
    """The attribute of an element that has a style of its own."""
    return f' class="{kind}"' if kind else ""


def paragraph(text, kind=""):
    """Plain text as a paragraph."""
    return f"<p{of_class(kind)}>{escape(typeset(text))}</p>"


def side_by_side(*parts, kind="grid"):
    """Pieces of HTML beside each other, where the screen is wide enough; empty ones are left out."""
    parts = list(filter(None, parts))
    return f'<div class="{kind}">' + "\n".join(parts) + "</div>" if parts else ""


def block(*parts):
    """Pieces of HTML as one."""
    return "<div>" + "\n".join(parts) + "</div>"


def figure(title, svg, text, names=()):
    """A picture with a heading and an explanation, plain texts; `names` are those of its lines."""
    shown = legend(names) if names else ""
    return (
        f"<figure>\n<h3>{escape(title)}</h3>\n{svg}\n{shown}<figcaption>{escape(typeset(text))}</figcaption>\n</figure>"
    )


def legend(names):
    """Names of lines, plain texts, beside their colours."""
    pairs = zip(SERIES, names, strict=False)
    lines = "".join(f'<li><i style="background:var(--{c})"></i>{escape(name)}</li>' for c, name in pairs)
    return f'<ul class="legend">{lines}</ul>\n'


def table(caption, head, rows, numbers=(), marked=()):
    """A table of plain texts; the first column holds the names of the rows, `numbers` tells columns flush right.

    `marked` holds numbers of rows that stand out.
    """

    def cell(tag, k, text, scope=""):
        kind = of_class("number" if k in numbers else "")
        return f"<{tag}{scope}{kind}>{escape(typeset(str(text)) if k in numbers else str(text))}</{tag}>"

    first = "".join(cell("th", k, text, ' scope="col"') for k, text in enumerate(head))
    lines = []
    for number, (name, *others) in enumerate(rows):
        cells = cell("th", 0, name, ' scope="row"') + "".join(cell("td", k, t) for k, t in enumerate(others, 1))
        lines.append(f"<tr{of_class('marked' if number in marked else '')}>{cells}</tr>")
    body = "\n".join(lines)
    return wide(caption, f"<thead><tr>{first}</tr></thead>\n<tbody>\n{body}\n</tbody>")


def wide(caption, content, kind=""):
    """A table with a caption, plain text, and its content; it scrolls where the screen is narrow."""
    region = f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}">'
    return f"{region}<table{of_class(kind)}><caption><span>{escape(caption)}</span></caption>\n{content}</table></div>"


def bars(caption, head, rows, start=0.0, end=0.0):
    """A table with a bar for rows (name, value, low, high, *texts), from `start` on, and a line from low to high."""
    reached = [place for _, value, low, high, *_ in rows for place in (value, low, high)]
    least, most = min(start, *reached), max(start, end, *reached)

    def place(value):
        return 100 * (value - least) / ((most - least) or 1)

    lines = []
    for name, value, low, high, *texts in rows:
        left, right = sorted((place(start), place(value)))
        cells = "".join(f'<td class="number">{escape(typeset(text))}</td>' for text in texts)
        drawn = f'<i style="left:{left:.1f}%;width:{right - left:.1f}%"></i>'
        if high > low:
            drawn += f'<u style="left:{place(low):.1f}%;width:{place(high) - place(low):.1f}%"></u>'
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}<td class="bar"><div>{drawn}</div></td></tr>')
    first, *others = map(escape, head)
    names = f'<th scope="col">{first}</th>' + "".join(f'<th scope="col" class="number">{text}</th>' for text in others)
    top = f"<thead><tr>{names}<td></td></tr></thead>\n<tbody>\n"
    return wide(caption, top + "\n".join(lines) + "\n</tbody>", "full")


def matrix(caption, names, counts):
    """A confusion matrix, counts : (true, predicted), shaded by the share of the true class."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = []
    for name, row in zip(names, counts, strict=True):
        total = max(1, sum(row))
        cells = "".join(f'<td style="background:rgba(var(--shade),{0.6 * n / total:.2f})">{n:,}</td>' for n in row)
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    start = f'<thead><tr><th scope="col">true \\ predicted</th>{head}</tr></thead>'
    return wide(caption, start + "\n<tbody>\n" + "\n".join(lines) + "\n</tbody>", "matrix")


def card(label, value, text, plain=False):
    """A figure to be seen first."""
    label, value, text = (escape(typeset(part)) for part in (label, value, text))
    return (
        f'<div class="{"card plain" if plain else "card"}"><span class="soft">{label}</span><b>{value}</b>{text}</div>'
    )
