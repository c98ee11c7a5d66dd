"""The results as a picture: time of a step by its arithmetic, a line for each library."""

import numpy as np

from bench.peers.nets import find
from bench.peers.report import limit, measured
from bench.peers.worker import RIVALS

LOOKS = {  # colours for colour-blind eyes too (Okabe & Ito, 2008), and a marker for each
    "fastml": ("#D55E00", "o"),
    "numpy": ("#000000", "X"),
    "pytorch": ("#0072B2", "s"),
    "pytorch-compiled": ("#56B4E9", "D"),
    "jax": ("#009E73", "^"),
    "jax-0.4.31": ("#E69F00", "<"),
    "scikit-learn": ("#CC79A7", "v"),
}


def spread(values, gap):
    """The values, positive, moved apart in their logarithms as little as is simple, so that none are too close."""
    order = np.argsort(values)
    logs, gap = np.log(np.asarray(values, float)[order]), np.log(gap)
    for _ in range(200):
        for k in range(len(logs) - 1):
            lack = gap - (logs[k + 1] - logs[k])
            if lack > 1e-9:
                logs[k] -= lack / 2
                logs[k + 1] += lack / 2
    result = np.empty(len(logs))
    result[order] = np.exp(logs)
    return result


def draw(results, threads=1):
    """A Figure of the nets that are trained by Adam in float32."""
    from matplotlib.figure import Figure

    records = [(find(record["net"]), record) for record in results["nets"]]
    records = [pair for pair in records if pair[0].optimizer == "adam" and pair[0].dtype == "float32"]
    records.sort(key=lambda pair: pair[0].mflop)
    figure = Figure(figsize=(10, 6.6), dpi=120, layout="constrained")
    ax = figure.subplots()
    ax.set(xscale="log", yscale="log", axisbelow=True)
    if records:
        ends = draw_libraries(ax, records, measured(results), threads)
        draw_limit(ax, results, records, threads)
        name_libraries(ax, ends, records[0][0].mflop)
        name_nets(ax, records)
    ax.set_xlabel("arithmetic of a training step in MFLOP")
    ax.set_ylabel("time of a training step in microseconds")
    ax.grid(color="0.92", linewidth=0.7)
    ax.spines[["top", "right"]].set_visible(False)
    where = "one thread" if threads == 1 else f"{threads} threads"
    title = f"A training step with Adam, {where}, {results['cpu']}"
    ax.set_title(title, loc="left", fontsize=11, fontweight="bold", pad=92)
    return figure


def draw_libraries(ax, records, rivals, threads):
    """A line for each library through the nets with small batches, ours on top; its left ends by library.

    Steps over all rows have points alone: a small net does as much arithmetic there as a large one elsewhere.
    """
    ends = {}
    for rival in reversed(rivals):
        color, marker = LOOKS[rival]
        width = 2.4 if rival == "fastml" else 1.3
        for full, style in ((False, "-"), (True, "none")):
            points = [(n.mflop, r["medians"].get(f"{rival} {threads}")) for n, r in records if n.full_batch == full]
            points = [point for point in points if point[1]]
            if points:
                look = {"color": color, "marker": marker, "linewidth": width, "linestyle": style}
                look |= {"markersize": 6.5, "markeredgecolor": "white", "markeredgewidth": 0.6}
                ax.plot(*zip(*points, strict=True), **look)
                ends[rival] = min(points[0], ends.get(rival, points[0]))
    return ends


def draw_limit(ax, results, records, threads):
    """The line below which no time can be, and the axes' limits: room for it, and on the left for names."""
    nets = [records[0][0], records[-1][0]]
    work, times = [net.mflop for net in nets], [limit(results, net, threads) for net in nets]
    bottom, top = times[0] / 2.5, ax.get_ylim()[1]
    ax.plot(work, times, color="0.45", linestyle="--", linewidth=1.4)
    ax.fill_between(work, times, [bottom] * 2, color="0.95", linewidth=0)
    middle, height = (np.sqrt(values[0] * values[-1]) for values in (work, times))
    text = f"the machine's limit, {results['peak']['float32'][str(threads)]:.0f} GFLOP/s"
    ax.annotate(text, (middle, height), (10, -14), textcoords="offset points", color="0.3", fontsize=9)
    span = max(work[-1] / work[0], 10)
    ax.set(xlim=(work[0] / span**0.27, work[-1] * span**0.03), ylim=(bottom, top))


def name_libraries(ax, ends, left):
    """The name of each library to the left of its line."""
    bottom, top = ax.get_ylim()
    gap = (top / bottom) ** 0.043
    heights = dict(zip(ends, spread([y for _, y in ends.values()], gap), strict=True))
    start = left * (ax.get_xlim()[0] / left) ** 0.25
    for rival, (x, y) in ends.items():
        color = LOOKS[rival][0]
        line = {"arrowstyle": "-", "color": color, "linewidth": 0.8, "shrinkA": 2, "shrinkB": 4, "relpos": (1, 0.5)}
        weight = "bold" if rival == "fastml" else "normal"
        text = {"color": color, "fontweight": weight, "ha": "right", "va": "center", "arrowprops": line}
        ax.annotate(RIVALS[rival].label, (x, y), (start, heights[rival]), **text)


def name_nets(ax, records):
    """Width and batch of the nets above the picture, each over its points."""
    low, high = ax.get_xlim()
    places = spread([net.mflop for net, _ in records], (high / low) ** 0.03)
    above = {"xycoords": ("data", "axes fraction"), "textcoords": ("data", "axes fraction")}
    line = {"arrowstyle": "-", "color": "0.8", "linewidth": 0.8, "shrinkA": 0, "shrinkB": 0, "relpos": (0, 0)}
    turned = {"rotation": 40, "rotation_mode": "anchor", "fontsize": 8.5, "color": "0.3"}
    for (net, _), place in zip(records, places, strict=True):
        ax.axvline(net.mflop, color="0.85", linewidth=0.8, zorder=0)
        batch = "all rows" if net.full_batch else net.batch
        ax.annotate(f"{net.name}, {batch}", (net.mflop, 1), (place, 1.035), arrowprops=line, **above, **turned)
