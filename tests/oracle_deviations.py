"""Prints the largest deviation from PyTorch of each oracle: python tests/oracle_deviations.py runs their tests."""

import sys
from pathlib import Path

import pytest


def main():
    here = Path(__file__).parent
    code = pytest.main(
        ["-q", "-p", "no:cacheprovider", *map(str, sorted(here.glob("test_oracle_*.py"))), *sys.argv[1:]]
    )
    from torch_oracle import LARGEST, TOLERANCE

    names = sorted({oracle for oracle, _ in LARGEST}, key=str.lower)
    width = max(map(len, names))
    print(f"\n{'oracle':{width}}  {'float64':>8}  {'float32':>8}")
    print(f"{'(tolerance)':{width}}  {TOLERANCE['float64']:8.0e}  {TOLERANCE['float32']:8.0e}")
    for name in names:
        values = (LARGEST.get((name, dtype)) for dtype in ("float64", "float32"))
        print(f"{name:{width}}  " + "  ".join("       -" if v is None else f"{v:8.1e}" for v in values))
    return code


if __name__ == "__main__":
    sys.exit(main())
