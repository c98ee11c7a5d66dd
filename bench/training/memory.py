"""Whether memory stays flat: what the process holds over 200 calls of `fit_many` and 10 000 of `fit` and `predict`.

Run from the root of the repository, on Linux: .venv/bin/python -m bench.training.memory

Each line has the resident memory in MB, after a tenth of the calls. What grows is a fault, but for the first lines, in
which code is loaded.
"""

import gc
import os

import fastml
from bench.training.many import data, net

PAGE = os.sysconf("SC_PAGE_SIZE")


def resident():
    """Resident memory of this process, in MB."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * PAGE / 2**20


def curve(name, calls, call):
    """Prints the memory after each tenth of so many calls."""
    found = []
    for number in range(calls):
        call(number)
        if (number + 1) % (calls // 10) == 0:
            found.append(resident())
    print(f"{name:<44}", *(f"{megabytes:7.1f}" for megabytes in found), flush=True)


def main():
    x, y = data()
    model = net(0)

    def diverges(number):
        wrong = fastml.Sequential([fastml.Dense(1)], seed=number)
        wrong.compile(fastml.SGD(1e30), "mean_squared_error")
        return wrong

    def many(number):
        models = [net(50 * number + k) for k in range(50)] + [diverges(number)]
        results = fastml.fit_many(models, x, y, epochs=2, validation_rows=range(100), n_threads=2)
        assert len(results.finished) == 50 and results.failed == [50]

    def one(number):
        some = slice(number % 900, number % 900 + 32)
        model.fit(x[some], y[some], verbose=0)
        model.predict(x[some])

    print(f"before{resident():>46.1f} MB")
    curve("200 calls of fit_many, 50 models each", 200, many)
    curve("10 000 calls of fit and predict", 10_000, one)
    curve("2000 models, each with a fit and a prediction", 2000, lambda number: fresh(number, x, y))


def fresh(number, x, y):
    model = net(number)
    model.fit(x[:64], y[:64], verbose=0)
    model.predict(x[:64])


if __name__ == "__main__":
    main()
