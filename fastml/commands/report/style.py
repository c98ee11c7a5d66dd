"""The style sheet of a report."""

LIGHT = """--paper: #fff; --ink: #1c2430; --soft: #5a6675; --line: #dfe3e8; --card: #f5f7f9; --first: #0072b2;
  --second: #c04f00; --third: #007a5a; --fourth: #a8457f; --fifth: #8a6d00; --sixth: #5b5fc7; --shade: 0, 114, 178;"""
DARK = """--paper: #14181d; --ink: #e4e8ed; --soft: #9aa6b4; --line: #333b45; --card: #1d232a; --first: #56b4e9;
  --second: #f0a04b; --third: #3cc79f; --fourth: #e391bf; --fifth: #e6d35a; --sixth: #a5a8ff; --shade: 86, 180, 233;"""
SERIES = ("first", "second", "third", "fourth", "fifth", "sixth")  # colours of lines, as names of variables

STYLE = (
    f"""
:root {{ color-scheme: light dark; {LIGHT} }}
@media (prefers-color-scheme: dark) {{ :root {{ {DARK} }} }}
"""
    + """* { box-sizing: border-box; }
body { margin: 0; background: var(--paper); color: var(--ink);
  font: 16px/1.5 system-ui, -apple-system, "Segoe UI", Roboto, sans-serif; overflow-wrap: break-word; }
main { max-width: 80rem; margin: 0 auto; padding: 2rem 1.5rem 3rem; }
h1 { font-size: 1.75rem; line-height: 1.2; margin: 0 0 .25rem; }
h2 { font-size: 1.25rem; margin: 2.5rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--line); }
h3 { font-size: 1rem; margin: 0 0 .25rem; }
p, ul { margin: .5rem 0; max-width: 46rem; }
ul { padding-left: 1.25rem; }
.soft, figcaption, caption { color: var(--soft); font-size: .9rem; }
.warning { border-left: .25rem solid var(--second); background: var(--card); padding: .6rem 1rem; }
.cards { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(13rem, 100%), 1fr)); gap: 1rem;
  margin: 1.5rem 0; }
.card { background: var(--card); border-radius: .5rem; padding: 1rem 1.25rem; }
.card b { display: block; font-size: 2.1rem; line-height: 1.2; font-weight: 600; color: var(--first); }
.card.plain b { color: var(--ink); }
.grid { display: grid; grid-template-columns: repeat(auto-fit, minmax(min(31rem, 100%), 1fr)); gap: 1.75rem 2.5rem;
  align-items: start; margin: 1rem 0; }
.grid > * { min-width: 0; }
.pictures { display: grid; margin: 1.25rem 0; align-items: start;
  grid-template-columns: repeat(auto-fill, minmax(min(22rem, 100%), 1fr)); gap: 1.75rem 2.5rem; }
figure { margin: 0; max-width: 34rem; break-inside: avoid; min-width: 0; }
figcaption { margin-top: .25rem; }
svg { display: block; width: 100%; height: auto; font-family: inherit; }
.legend { list-style: none; padding: 0; margin: .25rem 0; display: flex; flex-wrap: wrap; gap: .1rem 1.1rem;
  font-size: .9rem; }
.legend i { display: inline-block; width: 1.1rem; height: .25rem; margin-right: .4rem; vertical-align: middle;
  border-radius: 1px; }
.wide { overflow-x: auto; container-type: inline-size; }
table { border-collapse: collapse; min-width: min(26rem, 100%); font-size: .92rem; font-variant-numeric: tabular-nums;
  margin: .25rem 0; }
caption { text-align: left; padding-bottom: .4rem; caption-side: top; }
caption span { display: inline-block; position: sticky; left: 0; max-width: min(46rem, 100vw - 2rem);
  max-width: min(46rem, 100cqw); }
th, td { text-align: left; padding: .3rem 1.1rem .3rem 0; border-bottom: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; }
tbody th { font-weight: 500; max-width: 16rem; min-width: 4rem; }
.number { text-align: right; white-space: nowrap; overflow-wrap: normal; }
th.number { white-space: normal; }
tr.marked { background: var(--card); }
.matrix { min-width: min(20rem, 100%); }
.matrix td { text-align: right; padding: .45rem .6rem; min-width: 3rem; border: 1px solid var(--paper); }
.matrix th { border: 0; padding: .45rem .6rem .45rem 0; }
.matrix thead th + th { text-align: right; padding-right: .6rem; min-width: 3rem; }
.full { width: 100%; }
.full tbody th { min-width: 8.5rem; }
td.bar { width: 45%; min-width: 6rem; padding-right: 0; }
.bar div { position: relative; height: .8rem; margin-top: .3rem; }
.bar i, .bar u { position: absolute; display: block; }
.bar i { height: 100%; background: var(--first); border-radius: 2px; opacity: .8; }
.bar u { height: .5rem; top: .15rem; border: solid var(--ink); border-width: 0 1px; text-decoration: none;
  background: linear-gradient(var(--ink), var(--ink)) center / 100% 1px no-repeat; }
time { white-space: nowrap; }
code { font: .88em ui-monospace, SFMono-Regular, Menlo, Consolas, monospace; background: var(--card);
  padding: .1rem .35rem; border-radius: .25rem; }
@container (max-width: 34rem) { th, td { padding-right: .6rem; font-size: .86rem; } }
@media (max-width: 30rem) { main { padding: 1.25rem 1rem 2rem; } h1 { font-size: 1.45rem; }
  th, td { padding-right: .75rem; } td.bar { min-width: 5rem; width: 35%; } }
"""
    + f"""@media print {{ :root {{ {LIGHT} --ink: #000; --soft: #444; }}
  body {{ font-size: 10.5pt; }} main {{ max-width: none; padding: 0; }}
  * {{ print-color-adjust: exact; -webkit-print-color-adjust: exact; }} tr, .card {{ break-inside: avoid; }}
  h2, h3, caption {{ break-after: avoid; }} .wide {{ overflow: visible; }} }}
"""
)
