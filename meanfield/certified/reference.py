"""The reference table of the accuracy tests: `python -m meanfield.certified.reference FILE`.

One row per value: the exact value differs from the decimal `value` by at most `radius` times its size. The columns are
explained in the file's own header, which also says what it was made with.
"""

from __future__ import annotations

import argparse
import csv
import time
from collections.abc import Iterator
from decimal import ROUND_CEILING, Context, Decimal
from fractions import Fraction
from functools import lru_cache, partial
from itertools import product
from pathlib import Path
from typing import NamedTuple

import flint
from flint import arb

from meanfield.certified.averages import length_map
from meanfield.certified.balls import DEFAULT_BITS, relative_radius, working_precision
from meanfield.certified.correlation import NARROW, correlation_gap, correlation_map
from meanfield.certified.fixed_point import Susceptibilities, susceptibilities
from meanfield.files import atomic_path, require_writable

DIGITS = 25
N_MAX = 255
MIXTURE_BITS = 64
EXACT_BITS = 256
"""Enough for 1 - rho of every rho of the table to be exact."""
TARGET = Decimal("1e-14")

DIMENSIONS = (1, 2, 3, 4, 8, 48)
SIGMAS = (1e-3, 0.5, 1 - 1e-6, 1 + 1e-6, 1.1, 1.5, 3.0, 10.0, 100.0, 1e3)
ERF_TRANSITION = 0.886226925452758  # sqrt(pi)/2
SIGMAS_OF = {
    "tanh": SIGMAS,
    "erf": tuple(sorted((*SIGMAS, ERF_TRANSITION * (1 - 1e-6), ERF_TRANSITION * (1 + 1e-6)))),
    "algebraic": SIGMAS,
    "saturated": SIGMAS,
    "linear": SIGMAS[:3],
}
CORRELATIONS = (1e-12, 0.1, 0.5, 0.9, 0.99, 1 - 1e-9)
# The maps at given c: unsaturated, saturated and linear layers. At c* they are tabulated for every sigma_w above the
# transition.
FIXED_C = (
    *product((1e-3, 0.5, 1 - 1e-6, 3.0, 100.0, 1e3), (0.3,)),
    *product((1e-3, 1.5, 1e3), (1e-6,)),
)
ONE_INPUT = Susceptibilities.__dataclass_fields__.keys()

HEADER = f"""\
Mean-field quantities of bias-free networks with equivariant layers, enclosed by ball arithmetic.
Made by `python -m meanfield.certified.reference`: python-flint {flint.__version__}, FLINT {flint.__FLINT_VERSION__}.
Precision: {DEFAULT_BITS} bits asked for ({MIXTURE_BITS} where the method is mixture), Laguerre series to n = {N_MAX}.
|exact - value| <= radius |value|, where exact is the value for exactly the binary floats in the row.
sigma_w, c, rho: float.fromhex. An empty c is the exact fixed point c*; one-input quantities have no c and no rho.
correlation_map is Delta' for Delta = rho c exactly, correlation_gap is 1 - Delta'/c'; from rho = 0.9 up the gap alone
is given.
chi_jacobian of the saturated activation is infinite for O(1) and O(2). A linear network has a fixed point for
sigma_w < 1 only. Everything depends on the symmetry through D alone (U(1) as O(2), generic(k) as O(k)), but chi_gram,
which exists for O(k) with k >= 2.
method: exact (rational in the numbers of the row); closed (a closed form in balls); sign (proven change of sign of
F(c) - c); integral (rigorous one-dimensional integrals); laguerre (series with bounded remainder); mixture (double
integral with bounded error).
reached: whether the radius is at most {TARGET:.0e}."""


class Key(NamedTuple):
    """What identifies a row. c and rho are None where they do not apply; c is None at c*, too."""

    quantity: str
    activation: str
    symmetry: str
    sigma_w: float
    c: float | None = None
    rho: float | None = None


class Row(NamedTuple):
    """One line of the table."""

    key: Key
    value: str
    radius: str
    method: str

    @property
    def reached(self) -> bool:
        return Decimal(self.radius) <= TARGET


def enclose(key: Key, bits: int = DEFAULT_BITS, mixture_bits: int = MIXTURE_BITS) -> tuple[arb, str]:
    """The ball of one row, and the method that gave it."""
    quantity, activation, symmetry, sigma_w, c, rho = key
    if quantity in ONE_INPUT:
        found = _susceptibilities(sigma_w, symmetry, activation, bits)
        return getattr(found, quantity), _one_input_method(quantity, activation, found)
    at: float | arb = _susceptibilities(sigma_w, symmetry, activation, bits).c_star if c is None else c
    if quantity == "length_map":
        method = "exact" if activation in ("saturated", "linear") else "integral"
        return length_map(at, sigma_w, symmetry, activation, bits=bits), method
    if rho is None:
        raise ValueError(f"rho must be given for {quantity}, got None")
    function = {"correlation_map": correlation_map, "correlation_gap": correlation_gap}[quantity]
    with working_precision(EXACT_BITS):
        one_minus_rho = 1 - arb(rho)
    enclosure = partial(function, None, at, sigma_w, symmetry, activation, one_minus_rho=one_minus_rho)
    if rho in (0, 1) or activation == "linear":
        return enclosure(bits=bits), "exact"
    if activation == "saturated" or (activation, symmetry) == ("erf", "O(1)"):
        return enclosure(method="closed", bits=bits), "closed"
    series = enclosure(method="laguerre", n_max=N_MAX, bits=bits)
    if relative_radius(series) < NARROW:
        return series, "laguerre"
    integral = enclosure(method="mixture", bits=mixture_bits)
    if not integral.overlaps(series):
        raise ArithmeticError(f"series {series} and mixture {integral} contradict each other for {key}")
    return integral, "mixture"


@lru_cache(maxsize=8)
def _susceptibilities(sigma_w: float, symmetry: str, activation: str, bits: int) -> Susceptibilities:
    return susceptibilities(sigma_w, symmetry, activation, bits=bits)


def _one_input_method(quantity: str, activation: str, found: Susceptibilities) -> str:
    if activation == "saturated":
        exact = quantity in ("c_star", "d_star", "chi_c", "one_minus_chi_c", "xi_c", "chi_gram", "chi_jacobian")
        return "exact" if exact else "closed"
    if found.c_star == 0:
        return "exact" if quantity in ("c_star", "d_star") else "closed"
    return "sign" if quantity in ("c_star", "d_star") else "integral"


def keys() -> Iterator[Key]:
    """Every row of the table, grouped by D (the Laguerre transform depends on it alone)."""
    for dimension in DIMENSIONS:
        symmetry = f"O({dimension})"
        for activation, sigmas in SIGMAS_OF.items():
            for sigma_w, quantity in product(sigmas, ONE_INPUT):
                if quantity != "chi_gram" or dimension > 1:
                    yield Key(quantity, activation, symmetry, sigma_w)
            yield from _map_keys(activation, symmetry)


def _map_keys(activation: str, symmetry: str) -> Iterator[Key]:
    for rho, quantity in ((0.0, "correlation_map"), (1.0, "correlation_gap")):
        yield Key(quantity, activation, symmetry, 1.5, 0.3, rho)
    if activation in ("saturated", "linear"):
        points: list[tuple[float, float | None]] = [(1e-3, 1e-6), (1e3, 0.3)]
    else:
        points = [(sigma_w, None) for sigma_w in SIGMAS if sigma_w > 1] + [*FIXED_C]
    for sigma_w, c in points:
        yield Key("length_map", activation, symmetry, sigma_w, c)
        for rho in CORRELATIONS:
            quantity = "correlation_gap" if rho >= 0.9 else "correlation_map"
            yield Key(quantity, activation, symmetry, sigma_w, c, rho)


def _fraction(exact: arb) -> Fraction:
    mantissa, exponent = exact.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def as_decimal(ball: arb) -> tuple[str, str]:
    """A decimal value of `DIGITS` digits, and a relative radius around it that covers the ball and the rounding."""
    if ball == arb.pos_inf():
        return "inf", "0"
    middle = _fraction(ball.mid())
    if middle == 0 and ball.is_exact():
        return "0", "0"
    value = Context(prec=DIGITS).divide(Decimal(middle.numerator), Decimal(middle.denominator))
    off = (_fraction(ball.rad()) + abs(Fraction(value) - middle)) / abs(Fraction(value))
    radius = Context(prec=2, rounding=ROUND_CEILING).divide(Decimal(off.numerator), Decimal(off.denominator))
    return f"{value.normalize():e}".replace("e+0", ""), f"{radius.normalize():e}"


def short_hex(value: float | None) -> str:
    """`float.hex` without trailing zeros; empty for None."""
    if value is None:
        return ""
    mantissa, exponent = value.hex().split("p")
    return f"{mantissa.rstrip('0').rstrip('.') if '.' in mantissa else mantissa}p{exponent}"


def rows() -> Iterator[Row]:
    """The whole table, computed."""
    for key in keys():
        ball, method = enclose(key)
        yield Row(key, *as_decimal(ball), method)


def write_table(path: Path) -> list[Row]:
    """Compute the table and write it."""
    table = list(rows())
    with atomic_path(path) as temporary, temporary.open("w", newline="", encoding="utf-8") as file:
        file.writelines(f"# {line}\n" for line in HEADER.splitlines())
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow([*Key._fields, "value", "radius", "method", "reached"])
        for row in table:
            quantity, activation, symmetry, *numbers = row.key
            reached = "yes" if row.reached else "no"
            identity = [quantity, activation, symmetry, *map(short_hex, numbers)]
            writer.writerow([*identity, row.value, row.radius, row.method, reached])
    return table


def read_table(path: Path) -> list[Row]:
    """Read a table that `write_table` wrote."""
    with path.open(encoding="utf-8") as file:
        lines = csv.DictReader(line for line in file if not line.startswith("#"))
        return [
            Row(
                Key(
                    line["quantity"],
                    line["activation"],
                    line["symmetry"],
                    float.fromhex(line["sigma_w"]),
                    float.fromhex(line["c"]) if line["c"] else None,
                    float.fromhex(line["rho"]) if line["rho"] else None,
                ),
                line["value"],
                line["radius"],
                line["method"],
            )
            for line in lines
        ]


def main() -> None:
    """Write the table; say how long it took and which rows miss the target."""
    parser = argparse.ArgumentParser(description="Write the certified reference table.")
    parser.add_argument("path", type=Path)
    path = parser.parse_args().path
    try:
        require_writable(path, name="path")
    except ValueError as error:
        parser.error(str(error))
    start = time.perf_counter()
    table = write_table(path)
    missed = [row.key for row in table if not row.reached]
    print(f"{len(table)} rows in {time.perf_counter() - start:.0f} s; {len(missed)} with a radius above {TARGET:.0e}")
    for key in missed:
        print("  ", key)


if __name__ == "__main__":
    main()
