"""Short bursts of each rival in turns, so that whatever else the machine does meets all of them alike."""

import math
import statistics
import sys
import time
from pathlib import Path

import numpy as np

from bench.peers.nets import loss_of, make_data
from bench.peers.ours import make_model
from bench.peers.session import Skip
from bench.peers.worker import Failed

PAUSE = 0.05  # seconds before a burst: threads of the one before spin for a while before they sleep
LONG_STEP = 5000  # MFLOP, from which on there are fewer repetitions
FEW = 3


def say(text):
    print(text, file=sys.stderr, flush=True)


def write_data(net, folder):
    """Data and fastml's start weights in a file that all rivals load; the path, x, y and the weights."""
    x, y = make_data(net)
    start = make_model(net).get_weights()
    path = Path(folder) / f"{net.key}.npz"
    np.savez(path, x=x, y=y, **{f"start_{k}": values for k, values in enumerate(start)})
    return path, x, y, start


def length(worker, net, stride, seconds):
    """How many epochs a burst of so many seconds has: at least one, a multiple of the stride."""
    epochs, took = stride, worker.ask("burst", net=net.key, epochs=stride)["seconds"]
    while took < seconds / 4:
        epochs *= max(2, min(16, int(seconds / 3 / took)))
        took = worker.ask("burst", net=net.key, epochs=epochs)["seconds"]
    return max(1, round(seconds / took * epochs / stride)) * stride


def measure_loss(worker, net, check, folder, x, y, start):
    """The loss after a check's epochs from the start, or where there is no update, after one step of plain descent."""
    result = Path(folder) / "result.npz"
    epochs, shuffle, _ = net.checks[check]
    worker.ask("check", net=net.key, epochs=epochs, shuffle=shuffle, result=str(result))
    with np.load(result) as arrays:
        weights = [arrays[name] for name in arrays.files]
    if net.optimizer == "gradient":
        weights = [W - dW for W, dW in zip(start, weights, strict=True)]
    return loss_of(net, weights, x, y)


def in_turns(entries, repetitions):
    """Microseconds a step, by entry: a list of the repetitions. An entry is (worker, net, epochs)."""
    times = [[] for _ in entries]
    for _ in range(repetitions):
        for found, (worker, net, epochs) in zip(times, entries, strict=True):
            time.sleep(PAUSE)
            seconds = worker.ask("burst", net=net.key, epochs=epochs)["seconds"]
            found.append(1e6 * seconds / (epochs * net.steps))
    return times


def repetitions_of(net, repetitions):
    return min(repetitions, FEW) if net.mflop > LONG_STEP else repetitions


def measure_net(net, workers, folder, repetitions, seconds):
    """A record of the net: losses, times and what was left out, each by "rival threads"."""
    path, x, y, start = write_data(net, folder)
    record = {
        "net": net.key,
        "losses": {check: {} for check in net.checks},
        "times": {},
        "medians": {},
        "skipped": {},
        "failed": {},
    }
    record["start_loss"] = loss_of(net, start, x, y)
    entries, names = [], []
    for name, worker in workers.items():
        say(f"{net.key}: {name}")
        try:
            stride = worker.ask("prepare", net=net.key, data=str(path))["stride"]
            for check, losses in record["losses"].items():
                losses[name] = measure_loss(worker, net, check, folder, x, y, start)
            entries.append((worker, net, length(worker, net, stride, seconds)))
            names.append(name)
        except Skip as reason:
            record["skipped"][name] = str(reason)
        except Failed as error:
            record["failed"][name] = str(error)
    for name, times in zip(names, in_turns(entries, repetitions_of(net, repetitions)), strict=True):
        record["times"][name], record["medians"][name] = times, statistics.median(times)
    for worker in workers.values():
        forget(worker)
    path.unlink()
    return record | {"disagree": disagreements(net, record)}


def forget(worker):
    """Frees the memory; a process that failed has none left."""
    try:
        worker.ask("forget")
    except Failed:
        pass


def disagreements(net, record):
    """The rivals whose loss is not the others', within the tolerance of a check, or did not fall; what they have.

    It may rise in the few steps that are made in order.
    """
    found, start = {}, record["start_loss"]
    for check, losses in record["losses"].items():
        middle = statistics.median(losses.values()) if losses else math.nan
        for name, loss in losses.items():
            falls = loss < start or check == "in order"
            if not (falls and abs(loss - middle) <= net.checks[check][2] * middle):  # a NaN is not
                found[name] = f"{check}: loss {loss:.6g}, the median is {middle:.6g}, before training {start:.6g}"
    return found


def measure_remedies(pairs, workers, folder, repetitions, seconds):
    """What dropout and the like cost fastml: a list of records of a net with it and the plain one, in turns."""
    records = []
    for (net, plain), (name, worker) in ((pair, item) for pair in pairs for item in workers.items()):
        say(f"{net.key}: {name}")
        entries = []
        for one in (plain, net):
            path, *_ = write_data(one, folder)
            stride = worker.ask("prepare", net=one.key, data=str(path))["stride"]
            entries.append((worker, one, length(worker, one, stride, seconds)))
            path.unlink()
        before, after = in_turns(entries, repetitions)
        ratio = statistics.median(b / a for a, b in zip(before, after, strict=True))
        record = {"net": net.key, "plain": plain.key, "threads": worker.threads, "times": [before, after]}
        records.append(record | {"medians": [*map(statistics.median, (before, after))], "ratio": ratio})
        forget(worker)
    return records
