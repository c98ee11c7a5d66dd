"""The command ``fastml``."""

import argparse
import os
import platform
import signal
import sys
import time
from importlib.metadata import version

import llvmlite.binding

from fastml import compiled, demo
from fastml.kernels.simd import BITS
from fastml.threads import available, get_num_threads
from fastml.version import __version__

FAILED, INTERRUPTED = 2, 130  # exit codes; 130 is what shells report after Ctrl-C


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        self.exit(FAILED, f"{self.prog}: {message}\n")


def whole_number(low, high):
    """A type for argparse: an int from low to high."""

    def parse(text):
        if text.isdecimal() and low <= int(text) <= high:
            return int(text)
        raise argparse.ArgumentTypeError(f"must be a whole number from {low} to {high}, got {text!r}")

    return parse


def make_parser():
    parser = Parser(prog="fastml", description="Trains dense neural networks on the CPU, fast.")
    parser.add_argument("--version", action="version", version=f"fastml {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    def command(name, function, text):
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(function=function)
        return added

    added = command("demo", run_demo, "train a classifier of handwritten digits, and compare with NumPy")
    added.add_argument(
        "--epochs", type=whole_number(1, 10**6), default=demo.EPOCHS, metavar="N", help="default: %(default)s"
    )
    added.add_argument(
        "--seed", type=whole_number(0, 2**64 - 1), default=demo.SEED, metavar="S", help="default: %(default)s"
    )

    added = command("warmup", run_warmup, "compile ahead, so that the first training need not wait")
    added.add_argument("--dtype", choices=compiled.DTYPES, help="default: both")

    command("info", run_info, "print versions, the CPU, and where compiled code is kept")
    return parser


def run_demo(arguments):
    demo.demo(arguments.epochs, arguments.seed)


def run_warmup(arguments):
    for dtype in [arguments.dtype] if arguments.dtype else compiled.DTYPES:
        start = time.perf_counter()
        built = compiled.warmup(dtype)[dtype]
        what = "compiled" if built else "found on disk"
        print(f"{dtype}  {what:<13}  {time.perf_counter() - start:5.2f} s", flush=True)


def run_info(arguments):
    rows = {
        "fastml": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "llvmlite")},
        "cpu": f"{llvmlite.binding.get_host_cpu_name()} ({platform.machine()})",
        "vectors": f"{BITS} bits",
        "cores": available(),
        "threads": get_num_threads(),
        "cache": compiled.executor().stats.cache_path or "none: compiled in every process",
    }
    for name, value in rows.items():
        print(f"{name:<9} {value}")


def interrupt(*_):
    """Ends the process at Ctrl-C, in one line.

    KeyboardInterrupt would wait for the end of a compilation (see `fastml.interrupts`), and no command leaves anything
    to tidy up.
    """
    os.write(2, b"\nfastml: interrupted\n")
    os._exit(INTERRUPTED)


def main(argv=None):
    """Runs the command line; returns the exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    if not arguments.command:
        parser.print_help()
        return 0
    if argv is None:  # this process is the command's own
        signal.signal(signal.SIGINT, interrupt)
    try:
        arguments.function(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except OSError as error:
        print(f"fastml: {error}", file=sys.stderr)
        return FAILED
    return 0
