"""Measures fastml beside NumPy, PyTorch, JAX and scikit-learn: ``python -m bench.peers --help``."""

import argparse
import json
import sys
import tempfile
from pathlib import Path

from bench.peers import machine, nets
from bench.peers.measure import measure_net, measure_remedies, say
from bench.peers.plot import draw
from bench.peers.report import problems, write_report
from bench.peers.worker import RIVALS, Failed, Worker, usable_cores

SECONDS, QUICK_SECONDS, QUICK_REPETITIONS = 0.3, 0.05, 2


def parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m bench.peers", description=__doc__.split(":")[0] + ".")
    parser.add_argument("--nets", nargs="+", default=[], metavar="PART", help="only nets with one of these in the name")
    parser.add_argument("--rivals", nargs="+", choices=RIVALS, default=list(RIVALS), help="only these libraries")
    parser.add_argument("--repetitions", type=int, default=7, metavar="N", help="default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="short bursts, few of them: a trial, no measurement")
    parser.add_argument("--output", type=Path, metavar="FOLDER", help="default: this one, for a complete run")
    options = parser.parse_args(arguments)
    if options.repetitions < 1:
        parser.error("--repetitions must be 1 or more")
    options.seconds = QUICK_SECONDS if options.quick else SECONDS
    options.repetitions = min(options.repetitions, QUICK_REPETITIONS) if options.quick else options.repetitions
    complete = not options.nets and not options.quick and set(options.rivals) == set(RIVALS)
    options.output = options.output or (Path(__file__).parent if complete else None)
    return options


def start_workers(rivals):
    """A process for each library on one thread and on all cores, by "rival threads"; versions by library, problems."""
    workers, versions, failed = {}, {}, {}
    for threads in sorted({1, len(usable_cores())}):
        for rival in rivals:
            say(f"starting {rival} on {threads}")
            worker = None
            try:
                worker = Worker(rival, threads)
                versions[rival] = worker.ask("info")["version"]  # at last that on all cores
                workers[f"{rival} {threads}"] = worker
            except Failed as error:
                failed[f"{rival} {threads}"] = str(error)
                if worker:
                    worker.close()
    return workers, versions, failed


def run(options):
    """All measurements, as the dict that results.json holds."""
    results = machine.describe() | {"repetitions": options.repetitions, "nets": [], "remedies": []}
    say("measuring the peak")
    peak = machine.measure_peak()
    workers, results["versions"], results["failed"] = start_workers(options.rivals)
    arguments = options.repetitions, options.seconds
    try:
        with tempfile.TemporaryDirectory() as folder:
            for net in nets.chosen(nets.NETS, options.nets):
                results["nets"].append(measure_net(net, workers, folder, *arguments))
            pairs = [pair for pair in nets.REMEDIES if nets.chosen(pair[:1], options.nets)]
            ours = {name: worker for name, worker in workers.items() if worker.rival == "fastml"}
            results["remedies"] = measure_remedies(pairs, ours, folder, *arguments)
    finally:
        for worker in workers.values():
            worker.close()
    results["peak"] = machine.better(peak, machine.measure_peak())
    return results


def main(arguments=None):
    options = parse(arguments)
    results = json.loads(json.dumps(run(options)))  # as a reader of the file has them
    report = write_report(results)
    print(report)
    if options.output:
        options.output.mkdir(parents=True, exist_ok=True)
        (options.output / "results.json").write_text(json.dumps(results, indent=1) + "\n")
        (options.output / "results.md").write_text(report)
        draw(results).savefig(options.output / "results.png")
    found = problems(results)
    for line in found:
        say(line)
    sys.exit(1 if found else 0)


if __name__ == "__main__":
    main()
