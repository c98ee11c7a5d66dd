"""The results as tables in Markdown."""

import math

import numpy as np

from bench.peers.nets import REMEDY_AIM, find
from bench.peers.worker import RIVALS

NOTHING = "–"


def number(value):
    """Three digits that count, without an exponent."""
    digits = math.floor(math.log10(value)) + 1
    return f"{round(value, 3 - digits):,.{max(0, 3 - digits)}f}".replace(",", " ")


def measured(results):
    """The libraries that were asked, in their order."""
    return [rival for rival in RIVALS if rival in results["versions"]]


def limit(results, net, threads):
    """Microseconds that the multiply-adds of a step take at the machine's peak."""
    return 1e3 * net.mflop / results["peak"][net.dtype][str(threads)]


def noisy(times):
    """Whether the quartiles are more than a fifth of the median apart."""
    low, middle, high = np.percentile(times, [25, 50, 75])
    return high - low > 0.2 * middle


def cell(record, name):
    """The time of a rival, with marks where it is noisy, and where its loss is not that of the others."""
    if name in record["medians"]:
        marks = " ~" * bool(noisy(record["times"][name])) + " (!)" * (name in record["disagree"])
        return number(record["medians"][name]) + marks
    return "failed" if name in record["failed"] else NOTHING


def reached(holds):
    return "reached" if holds else "missed"


def aim(record, net, threads):
    """The aim, and whether it is reached."""
    medians = record["medians"]
    ours, pytorch = medians.get(f"fastml {threads}"), medians.get(f"pytorch {threads}")
    if threads == 1 and net.aim and ours:
        return f"{net.aim:g}: {reached(ours <= net.aim)}"
    if threads > 1 and net.aim_ratio and ours and pytorch:
        ratio = pytorch / ours
        return f"{net.aim_ratio:g}× PyTorch eager: {reached(ratio >= net.aim_ratio)}, {number(ratio)}×"
    return NOTHING


def net_row(results, record, threads):
    """A line of the table: net, batch, MFLOP, limit, each library, best other, ratio, share of the peak, aim."""
    net, medians = find(record["net"]), record["medians"]
    least = limit(results, net, threads)
    row = [f"{net.name}{net.remark and f' ({net.remark})'}", f"{net.batch}", number(net.mflop), number(least)]
    row += [cell(record, f"{rival} {threads}") for rival in measured(results)]
    others = {r: medians[f"{r} {threads}"] for r in RIVALS if r != "fastml" and f"{r} {threads}" in medians}
    ours = medians.get(f"fastml {threads}")
    best = min(others, key=others.get) if others else None
    row += [RIVALS[best].label if best else NOTHING]
    row += [f"{number(others[best] / ours)}×" if best and ours else NOTHING]
    row += [f"{number(1e3 * net.mflop / ours)}, {least / ours:.0%}" if ours else NOTHING]
    return [*row, aim(record, net, threads)]


def table(head, rows, left=1):
    """Markdown; the first `left` columns are text, the others stand to the right."""
    rule = ["---"] * left + ["--:"] * (len(head) - left)
    return "".join(f"| {' | '.join(row)} |\n" for row in [head, rule, *rows])


def nets_table(results, threads):
    labels = [RIVALS[rival].label for rival in measured(results)]
    head = ["net", "batch", "MFLOP", "at the peak", *labels, "best other", "÷ fastml", "fastml GFLOP/s", "aim"]
    return table(head, [net_row(results, record, threads) for record in results["nets"]])


def remedies_table(results):
    head = ["net", "with", "threads", "plain", "with it", "ratio", f"aim {REMEDY_AIM:g}"]
    rows = []
    for record in results["remedies"]:
        net, plain, ratio = find(record["net"]), find(record["plain"]).remedy, record["ratio"]
        what = f"{net.remedy}, beside {plain}" if plain else net.remedy
        row = [f"{net.name}, batch {net.batch}", what, f"{record['threads']}", *map(number, record["medians"])]
        rows.append([*row, f"{ratio:.2f}", reached(ratio <= REMEDY_AIM)])
    return table(head, rows, left=2)


def head_lines(results):
    """Machine, versions and peak."""
    peak = [
        f"{number(rate)} GFLOP/s in {dtype} on {cores} core{'s' * (cores != '1')}"
        for dtype, rates in results["peak"].items()
        for cores, rate in rates.items()
    ]
    versions = dict.fromkeys(results["versions"][rival] for rival in measured(results))
    return [
        f"- {results['cpu']}, {results['cores']} cores, vectors of {results['vector_bits']} bits, {results['system']}",
        f"- Python {results['python']}, {', '.join(versions)}",
        f"- measured peak: {', '.join(peak)}",
        f"- medians of {results['repetitions']} repetitions, in turns; microseconds per training step",
        "- ~ noisy, the quartiles are more than a fifth of the median apart; (!) another loss than that of the others",
    ]


def reasons(results):
    """Why cells are empty, each reason once for a library."""
    found = {}
    for record in results["nets"]:
        for name, text in (record["skipped"] | record["failed"]).items():
            found.setdefault((RIVALS[name.split()[0]].label, text), []).append(record["net"])
    return [
        f"- {label} has no time for {', '.join(dict.fromkeys(keys))}: {text}." for (label, text), keys in found.items()
    ]


def problems(results):
    """What makes the run fail: losses that differ, and libraries that broke down; lines of text."""
    lines = [f"{name} could not start: {text}" for name, text in results["failed"].items()]
    for record in results["nets"]:
        lines += [f"{record['net']}, {name} disagrees: {text}" for name, text in record["disagree"].items()]
        lines += [f"{record['net']}, {name} failed: {text}" for name, text in record["failed"].items()]
    return lines


def write_report(results):
    """All as one text."""
    lines = ["# Results", "", *head_lines(results), ""]
    for threads in sorted({1, results["cores"]}) if results["nets"] else []:
        title = "One thread" if threads == 1 else f"All cores: {threads} threads"
        lines += [f"## {title}", "", nets_table(results, threads)]
    if results["remedies"]:
        lines += ["## What remedies cost fastml", "", remedies_table(results)]
    notes = reasons(results) + [f"- (!) {line}." for line in problems(results)]
    return "\n".join(lines + ([*notes, ""] if notes else []))
