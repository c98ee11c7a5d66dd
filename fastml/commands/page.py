"""The look of a report: a page without scripts that needs nothing but itself."""

from html import escape
from string import Template

STYLE = """
:root { color-scheme: light dark; --paper: #fff; --ink: #1c2430; --soft: #5a6675; --line: #dfe3e8; --card: #f5f7f9;
  --first: #0072b2; --second: #c04f00; --shade: 0, 114, 178; }
@media (prefers-color-scheme: dark) { :root { --paper: #14181d; --ink: #e4e8ed; --soft: #9aa6b4; --line: #333b45;
  --card: #1d232a; --first: #56b4e9; --second: #f0a04b; --shade: 86, 180, 233; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
main { max-width: 62rem; margin: 0 auto; padding: 2rem 1.25rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.15rem; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
p { margin: .5rem 0; max-width: 46rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(13rem, 1fr)); gap: 1rem; margin: 1.5rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: 1rem 1.25rem; }
.card b { display: block; font-size: 2.1rem; line-height: 1.2; font-weight: 600; color: var(--first); }
.card.plain b { color: var(--ink); }
.pictures { display: grid; margin-top: 1.25rem;
  grid-template-columns: repeat(auto-fit, minmax(min(22rem, 100%), 1fr)); gap: 1.5rem; }
figure { margin: 0; max-width: 32rem; break-inside: avoid; }
figcaption { margin-top: .25rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
.wide { overflow-x: auto; }
table { border-collapse: collapse; min-width: min(32rem, 100%); font-size: .92rem; font-variant-numeric: tabular-nums;
  margin: .5rem 0; }
caption { text-align: left; padding-bottom: .4rem; caption-side: top; }
th, td { text-align: left; padding: .3rem 1.25rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
tbody th { font-weight: 500; max-width: 16rem; }
.matrix { min-width: min(20rem, 100%); }
.number { text-align: right; white-space: nowrap; overflow-wrap: normal; }
.matrix td { text-align: right; padding: .45rem .8rem; min-width: 3.5rem; border: 1px solid var(--paper); }
.matrix th { border: 0; padding: .45rem .8rem .45rem 0; }
.matrix thead th + th { text-align: right; padding-right: .8rem; min-width: 3.5rem; }
.bar { width: 55%; min-width: 6rem; }
.full { width: min(46rem, 100%); }
.bar i { display: block; height: .8rem; margin-top: .3rem; background: var(--first); border-radius: 2px; }
time { white-space: nowrap; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--card);
  padding: .1rem .35rem; border-radius: .25rem; }
@media (max-width: 30rem) { main { padding: 1.25rem 1rem 2rem; } h1 { font-size: 1.45rem; }
  th, td { padding-right: .75rem; } }
@media print { :root { --paper: #fff; --ink: #000; --soft: #444; --line: #ccc; --card: #f3f3f3; --first: #0072b2;
  --second: #c04f00; --shade: 0, 114, 178; } body { font-size: 10.5pt; } main { max-width: none; padding: 0; }
  * { print-color-adjust: exact; -webkit-print-color-adjust: exact; } tr, .card { break-inside: avoid; }
  h2, h3, caption { break-after: avoid; } .wide { overflow: visible; } }
"""

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
    return f"<p{of_class(kind)}>{escape(text)}</p>"


def figure(title, svg, text):
    """A picture with a heading and an explanation, plain texts."""
    return f"<figure>\n<h3>{escape(title)}</h3>\n{svg}\n<figcaption>{escape(text)}</figcaption>\n</figure>"


def table(caption, head, rows, numbers=()):
    """A table of plain texts; the first column holds the names of the rows, `numbers` tells columns flush right."""

    def cell(tag, k, text, scope=""):
        kind = of_class("number" if k in numbers else "")
        return f"<{tag}{scope}{kind}>{escape(str(text))}</{tag}>"

    lines = ["".join(cell("th", k, text, ' scope="col"') for k, text in enumerate(head))]
    for first, *others in rows:
        lines.append(cell("th", 0, first, ' scope="row"') + "".join(cell("td", k, t) for k, t in enumerate(others, 1)))
    body = "\n".join(f"<tr>{line}</tr>" for line in lines[1:])
    return wide(caption, f"<thead><tr>{lines[0]}</tr></thead>\n<tbody>\n{body}\n</tbody>")


def wide(caption, content, kind=""):
    """A table with a caption, plain text, and its content; it scrolls where the screen is narrow."""
    region = f'<div class="wide" role="region" tabindex="0" aria-label="{escape(caption)}">'
    return f"{region}<table{of_class(kind)}><caption>{escape(caption)}</caption>\n{content}</table></div>"


def bars(caption, head, rows):
    """A table with a bar for each row (name, value, text); values below 0 have none."""
    most = max([value for _, value, _ in rows] + [1e-300])
    lines = []
    for name, value, text in rows:
        width = max(0.0, 100 * value / most)
        lines.append(
            f'<tr><th scope="row">{escape(name)}</th><td class="number">{escape(text)}</td>'
            f'<td class="bar"><i style="width:{width:.1f}%"></i></td></tr>'
        )
    first, second = map(escape, head)
    names = f'<th scope="col">{first}</th><th scope="col" class="number">{second}</th><td></td>'
    start = f"<thead><tr>{names}</tr></thead>\n<tbody>\n"
    return wide(caption, start + "\n".join(lines) + "\n</tbody>", "full")


def matrix(caption, names, counts):
    """A confusion matrix, counts : (true, predicted), shaded by the share of the true class."""
    head = "".join(f'<th scope="col">{escape(name)}</th>' for name in names)
    lines = []
    for name, row in zip(names, counts, strict=True):
        total = max(1, sum(row))
        cells = "".join(f'<td style="background:rgba(var(--shade),{0.6 * n / total:.2f})">{n}</td>' for n in row)
        lines.append(f'<tr><th scope="row">{escape(name)}</th>{cells}</tr>')
    start = f'<thead><tr><th scope="col">true \\ predicted</th>{head}</tr></thead>'
    return wide(caption, start + "\n<tbody>\n" + "\n".join(lines) + "\n</tbody>", "matrix")


def card(label, value, text, plain=False):
    """A figure to be seen first."""
    kind = "card plain" if plain else "card"
    return f'<div class="{kind}"><span class="soft">{escape(label)}</span><b>{escape(value)}</b>{escape(text)}</div>'
