"""Whole trajectories to 20 digits, against which the errors in the table are measured.

They are computed by `meanfield.precise`, which shares no integral with the float64 path, and kept in reference.csv,
since a hundred layers take minutes. ``python -m benchmarks.reference`` writes the file anew (half an hour).
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

import numpy as np
import tyro
from mpmath import mp, mpf

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


def iterate(depth: int, symmetry: str, sigma_w: float, delta: float) -> Iterator[tuple[mpf, mpf]]:
    """c and Delta of layers 0..depth from c = 1, the gap 1 - rho carried on where rho is large.

    Each layer is right to 22 digits; what errors grow by from layer to layer costs two of them at most.
    """
    c, rho, gap = mpf(1), mpf(delta), 1 - mpf(delta)
    cross = rho
    for layer in range(depth + 1):
        yield c, cross
        if layer == depth:
            return
        names = {"c": c, "sigma_w": sigma_w, "symmetry": symmetry, "digits": _DIGITS + 2}
        after = precise.length_map(**names)
        with mp.workdps(_DIGITS + 10):
            if rho > 0.5:
                gap = precise.correlation_gap(None, one_minus_rho=gap, **names)
                rho = 1 - gap
            else:
                rho = precise.correlation_map(rho * c, **names) / after
            c, cross = after, rho * after


def main() -> None:
    """Compute reference.csv."""
    with atomic_path(FILE) as path, path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(("symmetry", "sigma_w", "delta_0", "layer", "c", "delta"))
        for case in CASES:
            for layer, state in enumerate(iterate(DEPTH, *case)):
                writer.writerow((*case, layer, *(mp.nstr(number, _DIGITS) for number in state)))
            print(*case, flush=True)


if __name__ == "__main__":
    tyro.cli(main, prog="python -m benchmarks.reference")  # anything more on the line is no reason to begin
