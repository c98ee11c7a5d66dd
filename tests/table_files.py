"""Tables in files, for the tests of the commands."""

import csv

import numpy as np


def people(rows=200, seed=0):
    """Mixed columns with gaps, and a target of text that depends on them; the last columns are to be left out."""
    rng = np.random.default_rng(seed)
    for k in range(rows):
        age, plan, paid = rng.integers(18, 80), rng.choice(["basic", "plus", "pro"]), rng.random() < 0.5
        leaves = (age < 40) ^ (plan == "pro") if rng.random() < 0.95 else rng.random() < 0.5
        yield {
            "age": age if k % 13 else "",
            "plan": plan,
            "since": f"20{rng.integers(10, 25)}-0{rng.integers(1, 10)}-1{rng.integers(10)}",
            "paid": str(bool(paid)).lower(),
            "score": f"{rng.normal():.4f}",
            "leaves": "yes" if leaves else "no",
            "id": f"P{k:05d}",
            "same": 7,
            "empty": "",
        }


def flats(rows=200, seed=0):
    """Columns of numbers and text of many categories, and a target that is a number."""
    rng = np.random.default_rng(seed)
    for _ in range(rows):
        area, street = rng.uniform(30, 150), rng.integers(20)
        price = 1000 * area + 2000 * street + rng.normal(0, 2000)
        yield {"area": f"{area:.1f}", "street": f"street {street}", "rooms": int(area // 30), "price": f"{price:.2f}"}


def write_csv(path, rows, separator=","):
    """Writes dicts as a CSV file; returns its path as text."""
    rows = list(rows)
    with open(path, "w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), delimiter=separator)
        writer.writeheader()
        writer.writerows(rows)
    return str(path)
