"""The command ``fastml``."""

import argparse
import gc
import os
import platform
import shlex
import signal
import sys

from fastml import commands
from fastml.commands.arguments import encoding, names, separator, share, sizes, split, whole_number
from fastml.process.signals import ends_process
from fastml.version import __version__

# What the commands need, Numba above all, each imports when it is called: --help need not wait for it.

TABLE = "text such as CSV, also packed, or Parquet; - is standard input"
DTYPES = ("float32", "float64")
FAILED, INTERRUPTED = 2, 130  # exit codes; 130 is what shells report after Ctrl-C


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message):
        self.exit(FAILED, f"{self.prog}: {message}\n")


def make_parser():
    parser = Parser(prog="fastml", description="Trains dense neural networks on the CPU, fast.")
    parser.add_argument("--version", action="version", version=f"fastml {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")

    def command(name, function, text):
        added = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
        added.set_defaults(function=function)
        return added

    added = command("demo", run_demo, "train a classifier of handwritten digits, and compare with NumPy")
    added.add_argument("--epochs", type=whole_number(1, 10**6), default=60, metavar="N", help="default: %(default)s")
    added.add_argument("--seed", type=whole_number(0, 2**64 - 1), default=0, metavar="S", help="default: %(default)s")

    added = command("warmup", run_warmup, "compile ahead, so that the first training need not wait")
    added.add_argument("--dtype", choices=DTYPES, help="default: both")

    add_train(command("train", run_train, "learn to predict a column of a table, CSV or Parquet"))
    add_predict(command("predict", run_predict, "predict with a model that `fastml train` has written"))
    add_evaluate(command("evaluate", run_evaluate, "tell how right a model is about a table that has the answers"))

    added = command("bench", run_bench, "measure this machine: training steps, compiled and by NumPy; about 10 s")
    added.add_argument("--dtype", choices=DTYPES, default="float32", help="default: %(default)s")

    added = command("info", run_info, "print versions, the CPU and where compiled code is kept, or what a model is")
    added.add_argument("model", nargs="?", metavar="MODEL", help="a model file")
    return parser


def add_train(parser):
    add = parser.add_argument
    add("data", metavar="DATA", help=f"the table, {TABLE}")
    add("--target", required=True, metavar="COLUMN", help="the column to predict")
    add(
        "--task",
        choices=("auto", "classification", "regression"),
        default="auto",
        help="default: auto, which is classification for text, true and false, and up to 10 different whole numbers",
    )
    add("--model", metavar="FILE", help="where to write the model; default: DATA's name with .safetensors, here")
    add("--report", metavar="FILE", help="write an HTML page about the model, too")
    add("--drop", action="append", default=[], metavar="COLUMN", help="leave a column out; may be given several times")
    add(
        "--metric",
        choices=("accuracy", "balanced_accuracy", "f1", "roc_auc", "log_loss", "r2", "rmse", "mae"),
        metavar="NAME",
        help="what to report first, and to stop by: accuracy, balanced_accuracy, f1, roc_auc or log_loss; r2, rmse or "
        "mae for regression. Default: accuracy, stopped by log_loss, and r2",
    )
    add("--hidden", type=sizes, default=(100,), metavar="N,N", help="neurons of the hidden layers; default: 100")
    add("--epochs", type=whole_number(1, 10**6), default=300, metavar="N", help="at most; default: %(default)s")
    add("--test-size", type=share, default=0.2, metavar="SHARE", help="share of the rows to test with; default: 0.2")
    add(
        "--split",
        type=split,
        default="random",
        metavar="HOW",
        help="which rows test: random, or the latest with time:COLUMN, a column of dates or numbers; time alone takes "
        "the only column of dates. Default: random",
    )
    add(
        "--seed",
        type=whole_number(0, 2**32 - 1),
        default=0,
        metavar="S",
        help="for start, order and choice of rows; default: 0",
    )
    add("--overwrite", action="store_true", help="replace a model file, even of another target")
    add_reading(parser)


def add_reading(parser):
    """Options that say how a text file is written, where that cannot be guessed."""
    add = parser.add_argument_group("text files, where their layout cannot be guessed").add_argument
    add("--sep", type=separator, metavar="SIGN", help="the sign between columns, or tab or space")
    add("--encoding", type=encoding, metavar="NAME", help="such as utf-8, cp1252 or utf-16")
    add("--decimal", choices=(".", ","), help="the decimal sign of numbers")
    add("--day-first", choices=("yes", "no"), help="whether dates such as 3/4/2020 begin with the day")
    add("--no-header", action="store_true", help="the first line is a row; columns are called 1, 2 and so on")
    add("--names", type=names, metavar="A,B,…", help="names for all columns, in place of those in the file")
    add(
        "--na",
        action="append",
        metavar="TEXT",
        help="what stands for a missing value beside nothing, in place of NA, null, ? and the like; several times",
    )


def add_evaluate(parser):
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file of `fastml train`, or of an estimator's save")
    add("data", metavar="DATA", help=f"the table, {TABLE}")
    add("--target", metavar="COLUMN", help="the column of answers; default: the one that the model has learned")
    add_reading(parser)


def add_predict(parser):
    add = parser.add_argument
    add("model", metavar="MODEL", help="a file of `fastml train`, or of an estimator's save")
    add("data", metavar="DATA", help=f"the table, {TABLE}; columns that the model does not use may be in it")
    add("-o", "--output", metavar="FILE", help="a .csv, .tsv or .parquet file; default: CSV on standard output")
    add(
        "--keep",
        action="append",
        default=[],
        metavar="COLUMN",
        help="copy a column, such as an identifier; several times",
    )
    add_reading(parser)


def sparing():
    """Has polars, which is not imported yet, give memory back as soon as it is free: a network needs it then."""
    os.environ.setdefault("_RJEM_MALLOC_CONF", "dirty_decay_ms:0,muzzy_decay_ms:0")


def run_train(arguments):
    sparing()
    commands.require("polars", "narwhals", "sklearn", *(["matplotlib"] if arguments.report else []))
    from fastml.commands.train import train

    if hasattr(sys.stdout, "reconfigure"):  # names of columns may have signs that a terminal lacks
        sys.stdout.reconfigure(errors="replace")
    train(arguments)


def hasty():
    """Keeps numba from importing scipy's BLAS, which takes 0.3 s and which no kernel of ours calls."""
    sys.modules.setdefault("scipy.linalg", None)


def run_predict(arguments):
    sparing()
    if arguments.alone:
        hasty()
    commands.require("polars", "narwhals")
    from fastml.commands.predict import predict

    predict(arguments)


def run_evaluate(arguments):
    commands.require("polars", "narwhals")
    from fastml.commands.evaluate import evaluate

    evaluate(arguments)


def run_bench(arguments):
    from fastml.commands.bench import bench

    bench(arguments.dtype)


def run_demo(arguments):
    from fastml.commands import demo

    demo.demo(arguments.epochs, arguments.seed)


def run_warmup(arguments):
    from fastml.commands.warmup import warmup

    warmup([arguments.dtype] if arguments.dtype else DTYPES)


def run_info(arguments):
    if arguments.model:
        from fastml.commands.info import info

        info(arguments.model)
        return
    from importlib.metadata import version

    import llvmlite.binding

    from fastml.kernels.cpu import BITS
    from fastml.program import compiled
    from fastml.program.threads import available, get_num_threads

    rows = {
        "fastml": __version__,
        "python": platform.python_version(),
        **{name: version(name) for name in ("numpy", "numba", "llvmlite")},
        "cpu": f"{llvmlite.binding.get_host_cpu_name()} ({platform.machine()})",
        "vectors": f"{BITS} bits",
        "cores": available(),
        "threads": get_num_threads(),
        "cache": compiled.cache_folder() or "none: compiled in every process",
    }
    for name, value in rows.items():
        print(f"{name:<9} {value}")


@ends_process
def interrupt(*_):
    """Ends the process at Ctrl-C, in one line.

    KeyboardInterrupt would wait for the end of a compilation (see `fastml.process.signals`), and no command leaves
    anything to tidy up.
    """
    os.write(2, b"\nfastml: interrupted\n")
    os._exit(INTERRUPTED)


def main(argv=None):
    """Runs the command line; returns the exit code."""
    if argv is not None:
        return run(argv)
    gc.freeze()  # what was imported lives to the end, where looking through all of it once more takes 0.15 s
    try:
        return run(None)
    finally:
        gc.freeze()


def run(argv):
    """Runs the command line, that of this process where it is None; returns the exit code."""
    parser = make_parser()
    arguments = parser.parse_args(argv)
    arguments.line = shlex.join(["fastml", *(sys.argv[1:] if argv is None else argv)])
    if not arguments.command:
        parser.print_help()
        return 0
    arguments.alone = argv is None  # this process is the command's own
    if arguments.alone:
        signal.signal(signal.SIGINT, interrupt)
    try:
        arguments.function(arguments)
        sys.stdout.flush()
    except BrokenPipeError:  # the reader, such as head, has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    except KeyboardInterrupt:
        print("\nfastml: interrupted", file=sys.stderr)
        return INTERRUPTED
    except (OSError, commands.CommandError) as error:
        sys.stdout.flush()
        print(f"fastml: {error}", file=sys.stderr)
        return FAILED
    return 0
