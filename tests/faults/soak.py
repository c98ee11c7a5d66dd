"""Four threads that train and predict, beside forks, alarms and Ctrl-C. Run from the root of the repository:

    .venv/bin/python -m tests.faults.soak --seconds 60

Three threads train models of their own and predict with one that the others train in turn; the main thread trains, too,
is stopped by alarms, Ctrl-C and SIGTERM at random moments, and forks processes that train and predict. What is complete
must have the bits that it has alone. In the end no thread may be left but workers that sleep. Needs os.fork.
"""

import argparse
import faulthandler
import os
import signal
import sys
import threading
import time
import warnings
from collections import Counter

import numpy as np

from fastml import Adam, Dense, Dropout, Sequential
from fastml.program import plan, threads, workers

RNG = np.random.default_rng(0)
X, Y = RNG.normal(size=(400, 12)), RNG.normal(size=(400, 3))


class Alarm(Exception):
    """What the handler of SIGALRM raises, as those of time limits do."""


def made():
    model = Sequential([Dense(48, "tanh"), Dropout(0.1), Dense(48, "relu"), Dense(3)], seed=1)
    model.compile(Adam(0.003), "mean_squared_error")
    return model


def bits(model):
    return b"".join(w.tobytes() for w in model.get_weights()) + model.predict(X).tobytes()


def trained():
    model = made()
    model.fit(X, Y, 64, 20, verbose=0)
    return bits(model)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--threads", type=int, default=4, help="that there are CPUs for, or are said to be")
    options = parser.parse_args()
    faulthandler.dump_traceback_later(options.seconds + 60, exit=True)  # a hang
    warnings.simplefilter("ignore", DeprecationWarning)  # of forks beside threads
    threads.available, plan.SHARED = (lambda: options.threads), 1e-9
    expected, count, stop = trained(), Counter(), threading.Event()
    shared = made()
    shared.fit(X, Y, 64, 20, verbose=0)
    known = {shared.predict(X).tobytes()}

    def alarm(*_):
        raise Alarm

    def end(*_):
        raise SystemExit(3)

    signal.signal(signal.SIGALRM, alarm)
    signal.signal(signal.SIGTERM, end)
    signal.signal(signal.SIGINT, signal.default_int_handler)

    def work(number):
        while not stop.is_set():
            count["trainings"] += 1
            count["other bits"] += trained() != expected
            for _ in range(20):
                count["predictions"] += 1
                count["other bits"] += shared.predict(X).tobytes() not in known
                shared.predict_one(X[0])

    def fork():
        child = os.fork()
        if not child:
            signal.alarm(0)
            status = 1
            try:
                status = 0 if trained() == expected and shared.predict(X).tobytes() in known else 2
            finally:
                os._exit(status)
        return child

    helpers = [threading.Thread(target=work, args=(number,)) for number in range(3)]
    for helper in helpers:
        helper.start()
    random, deadline, children = np.random.default_rng(), time.monotonic() + options.seconds, []
    while time.monotonic() < deadline:
        kind = random.choice(["alarm", "Ctrl-C", "SIGTERM", "fork"])
        if kind == "fork":
            count["forks"] += 1
            children.append(fork())
        else:
            number = {"alarm": signal.SIGALRM, "Ctrl-C": signal.SIGINT, "SIGTERM": signal.SIGTERM}[kind]
            timer = threading.Timer(random.uniform(0, 0.1), os.kill, [os.getpid(), number])
            try:
                timer.start()
                made().fit(X, Y, 64, 10**6, verbose=0)
                count["went on"] += 1
            except (Alarm, KeyboardInterrupt, SystemExit):
                count[kind] += 1
            timer.join()
        while len(children) > 3 or (children and time.monotonic() > deadline):
            status = os.waitpid(children.pop(0), 0)[1]
            count["bad children"] += status != 0
    for child in children:
        count["bad children"] += os.waitpid(child, 0)[1] != 0
    stop.set()
    for helper in helpers:
        helper.join()
    count["other bits"] += trained() != expected
    pool = workers._pool
    idle = sum(map(len, pool.idle.values()))
    count["threads left"] = threading.active_count() - 1
    count["workers not asleep"] = len(pool.born) - idle + pool.busy
    for name, number in count.items():
        print(f"{name:<20}{number:>8}")
    if os.path.exists("/proc/self/task"):
        tasks = len(os.listdir("/proc/self/task"))
        print(f"{'tasks':<20}{tasks:>8}, of which {len(pool.born)} workers")
    wrong = ("other bits", "bad children", "went on", "threads left", "workers not asleep")
    faulthandler.cancel_dump_traceback_later()
    sys.exit(any(count[name] for name in wrong))


if __name__ == "__main__":
    main()
