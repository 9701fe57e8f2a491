"""Whole trajectories to 20 digits, against which the errors in the table are measured.

They are computed by `meanfield.precise`, which shares no integral with the float64 path, and kept in reference.csv,
since a hundred layers take minutes. ``python -m benchmarks.reference`` writes the file anew (half an hour).
"""

from __future__ import annotations

import csv
from functools import lru_cache
from pathlib import Path

import numpy as np
import tyro
from mpmath import mp

from meanfield import precise
from meanfield.files import atomic_path

FILE = Path(__file__).with_name("reference.csv")
DEPTH = 100
_DIGITS = 20
# symmetry, sigma_w, delta at layer 0; c = 1 there
CASES = (
    ("U(1)", 0.5, 0.01),
    ("U(1)", 1.5, 0.9),
    ("U(1)", 3.0, 0.99),
    ("O(1)", 0.5, 0.01),
    ("O(1)", 1.5, 0.9),
    ("O(1)", 3.0, 0.99),
)


def reference(symmetry: str, sigma_w: float, delta: float, depth: int) -> tuple[np.ndarray, np.ndarray]:
    """c and Delta of layers 0..depth, rounded to floats."""
    c, cross = _read()[symmetry, sigma_w, delta]
    return c[: depth + 1], cross[: depth + 1]


@lru_cache(maxsize=1)
def _read() -> dict[tuple[str, float, float], tuple[np.ndarray, np.ndarray]]:
    found: dict[tuple[str, float, float], list[tuple[float, float]]] = {}
    with FILE.open(newline="") as file:
        for row in csv.DictReader(file):
            case = row["symmetry"], float(row["sigma_w"]), float(row["delta_0"])
            found.setdefault(case, []).append((float(row["c"]), float(row["delta"])))
    return {case: tuple(np.array(layers).T) for case, layers in found.items()}


def main() -> None:
    """Compute reference.csv."""
    with atomic_path(FILE) as path, path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("symmetry", "sigma_w", "delta_0", "layer", "c", "delta"))
        for symmetry, sigma_w, delta in CASES:
            # two digits more than are written, so that what is rounded twice ends in the right one
            c, cross, _ = precise.trajectory(DEPTH, sigma_w, 1, delta, symmetry, digits=_DIGITS + 2)
            for layer, state in enumerate(zip(c, cross, strict=True)):
                writer.writerow((symmetry, sigma_w, delta, layer, *(mp.nstr(number, _DIGITS) for number in state)))
            print(symmetry, sigma_w, delta, flush=True)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m benchmarks.reference")  # anything more on the line is no reason to begin
