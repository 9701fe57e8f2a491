"""Write precise.csv: values of `meanfield.precise`, with which test_accuracy.py compares the float64 path.

Run from the repository's root (an hour on one core); a row depends on nothing but its own columns, so the test computes
a random sample of rows anew every time it runs:

    python tests/meanfield/reference/make_precise.py tests/meanfield/reference/precise.csv

Columns: `quantity`, then its arguments `symmetry, activation, sigma_w, c_1, c_2, delta, one_minus_rho` (empty where it
has none; floats in their shortest decimal form that reads back to the same float, and meant as that exact binary
number), then `value`, with 25 significant digits.
"""

from __future__ import annotations

import csv
import itertools
import sys
from collections.abc import Iterator

import mpmath

from meanfield import precise

DIGITS = 25
COLUMNS = ("quantity", "symmetry", "activation", "sigma_w", "c_1", "c_2", "delta", "one_minus_rho", "value")

DIMENSIONS = (1, 2, 3, 4, 8, 48)
ERF_CRITICAL = 0.8862269254527580  # the float at the transition of erf, sqrt(pi)/2
SIGMA_W = {
    "tanh": (1e-3, 0.3, 1.0 - 1e-6, 1.0, 1.0 + 2.0**-52, 1.0 + 1e-6, 1.001, 1.1, 1.5, 3.0, 10.0, 100.0, 1e3),
    "erf": (1e-3, ERF_CRITICAL * (1.0 - 1e-6), ERF_CRITICAL, ERF_CRITICAL * (1.0 + 1e-6), 1.5, 10.0, 1e3),
    "algebraic": (1e-3, 1.0 - 1e-6, 1.0 + 1e-6, 1.5, 10.0, 1e3),
    "saturated": (1e-3, 1.5, 1e3),
    "linear": (1e-3, 1.0 - 1e-6, 1.0),
}

PAIR_SIGMA_W = (1e-3, 0.5, 1.0 - 1e-6, 1.0 + 1e-6, 1.5, 4.0, 30.0, 1e3)
MISSING = (1.0 - 1e-12, 0.7, 0.1, 1e-3, 1e-9)  # 1 - rho
ORDER_PARAMETERS = (0.7, 0.45, 1e-6, 3.0)


def cases() -> Iterator[dict]:
    """The arguments of every row."""
    for dimension in DIMENSIONS:
        symmetry = f"O({dimension})"
        for activation in SIGMA_W:
            yield from single_input(symmetry, activation)
    # Two inputs: every sigma_w, D and rho meet, and the activations and order parameters take turns.
    turn = itertools.count()
    for sigma_w, dimension, missing in itertools.product(PAIR_SIGMA_W, DIMENSIONS, MISSING):
        number = next(turn)
        c = ORDER_PARAMETERS[number % len(ORDER_PARAMETERS)]
        names = {"symmetry": f"O({dimension})", "activation": (*SIGMA_W,)[number % 4], "sigma_w": sigma_w, "c_1": c}
        delta = 1e-12 * c if missing > 0.9 else c - missing * c
        yield {"quantity": "correlation_map", **names, "delta": delta}
        if missing < 0.5:
            yield {"quantity": "correlation_gap", **names, "one_minus_rho": missing}
        if number % 4 == 0:
            yield {"quantity": "correlation_map", **names, "c_2": 0.2 * c, "delta": 0.4 * delta}


def single_input(symmetry: str, activation: str) -> Iterator[dict]:
    names = {"symmetry": symmetry, "activation": activation}
    for sigma_w in SIGMA_W[activation]:
        for quantity in precise.Susceptibilities._fields:
            yield {"quantity": quantity, **names, "sigma_w": sigma_w}
    if activation not in ("linear", "saturated"):
        for sigma_w, c in itertools.product((1e-3, 1.5, 1e3), (1e-300, 1e-9, 0.3, 20.0)):
            yield {"quantity": "length_map", **names, "sigma_w": sigma_w, "c_1": c}


_FIXED_POINTS: dict[tuple, precise.Susceptibilities] = {}


def value(case: dict, digits: int = DIGITS):
    """What `meanfield.precise` says of one row, as an mpf (None where the quantity has no meaning)."""
    arguments = (case["sigma_w"], case["symmetry"], case["activation"], digits)
    if case["quantity"] in precise.Susceptibilities._fields:
        if arguments not in _FIXED_POINTS:
            _FIXED_POINTS[arguments] = precise.susceptibilities(*arguments)
        return getattr(_FIXED_POINTS[arguments], case["quantity"])
    if case["quantity"] == "length_map":
        return precise.length_map(case["c_1"], *arguments)
    c = (case["c_1"], case["c_2"]) if case.get("c_2") else case["c_1"]
    function = getattr(precise, case["quantity"])
    return function(case.get("delta"), c, *arguments, one_minus_rho=case.get("one_minus_rho"))


def text(number) -> str:
    if isinstance(number, mpmath.mpf):
        return mpmath.nstr(number, DIGITS)
    return repr(number) if isinstance(number, float) else number


def main(path: str) -> None:
    with open(path, "w", newline="", encoding="utf-8") as file:
        rows = csv.DictWriter(file, COLUMNS, restval="", lineterminator="\n")
        rows.writeheader()
        for case in cases():
            result = value(case)
            if result is not None:
                rows.writerow({name: text(entry) for name, entry in case.items()} | {"value": text(result)})
                file.flush()


if __name__ == "__main__":
    main(sys.argv[1])
