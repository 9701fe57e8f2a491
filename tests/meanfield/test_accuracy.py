"""The float64 path against two references that share nothing with it, over the whole range it is meant for.

`reference/certified.csv` has values enclosed by ball arithmetic (see `meanfield.certified.reference`), `reference/
precise.csv` values of `meanfield.precise`, made by `reference/make_precise.py`. They cover sigma_w in [1e-3, 1e3], the
neighbours of the transition, D in {1, 2, 3, 4, 8, 48} and 1 - rho from 1e-9 to 1 - 1e-12. Errors are relative, and
inputs are the exact floats. What is promised is 1e-12; what is found, and held here, is 1e-13.
"""

import csv
from functools import lru_cache
from pathlib import Path

import mpmath
import numpy as np
import pytest
from mpmath import mp, mpf

from meanfield import correlation_map, depth_scales, length_map, precise, trajectory
from tests.meanfield.reference import make_precise

BOUND = 1e-13
FOLDER = Path(__file__).parent / "reference"
AT_FIXED_POINT = (
    "c_star",
    "d_star",
    "chi_c",
    "chi_delta",
    "chi_jacobian",
    "chi_gram",
    "one_minus_chi_c",
    "one_minus_chi_delta",
    "xi_c",
    "xi_delta",
)
MAPS = ("length_map", "correlation_map", "correlation_gap")


@pytest.fixture(autouse=True)
def _digits():
    with mp.workdps(40):
        yield


@lru_cache
def read(name: str) -> list[dict]:
    with open(FOLDER / name, encoding="utf-8", newline="") as file:
        return list(csv.DictReader(line for line in file if not line.startswith("#")))


def rows(name: str, quantity: str) -> list[dict]:
    found = [row for row in read(name) if row["quantity"] == quantity]
    assert len(found) > 100, f"{name} has only {len(found)} rows of {quantity}"
    return found


@lru_cache(maxsize=4096)
def scales(sigma_w: float, symmetry: str, activation: str):
    return depth_scales(sigma_w, symmetry, activation)


def at_fixed_point(quantity: str, *where) -> float:
    found = scales(*where)
    return float(found.fixed_point.c if quantity == "c_star" else getattr(found, quantity))


def error(found: float, exact: mpf) -> float:
    if exact == 0 or mpmath.isinf(exact):
        return 0.0 if mpf(found) == exact else np.inf
    return float(abs(mpf(found) - exact) / abs(exact))


def check(found: list[tuple[float, str, dict]]) -> None:
    """Compare the values of all rows; the message is the worst of them."""
    worst = max(found, key=lambda entry: error(entry[0], mpf(entry[1])))
    assert error(worst[0], mpf(worst[1])) < BOUND, worst


# ---- the certified table ---------------------------------------------------------------------------------------------


def certified_value(row: dict) -> float:
    where = float.fromhex(row["sigma_w"]), row["symmetry"], row["activation"]
    quantity, c = row["quantity"], float.fromhex(row["c"]) if row["c"] else None
    if quantity in AT_FIXED_POINT:
        return at_fixed_point(quantity, *where)
    if c is None:  # at the exact fixed point: the float nearest to it moves the maps by rounding only
        c = at_fixed_point("c_star", *where)
    if quantity == "length_map":
        return float(length_map(c, *where))
    rho = float.fromhex(row["rho"])
    if quantity == "correlation_map":
        return float(correlation_map(rho * c, c, *where))
    start = {"one_minus_rho": 1.0 - rho} if rho >= 0.5 else {"delta": rho * c}  # 1 - rho is exact from 1/2 up
    path = trajectory(1, where[0], c, symmetry=where[1], activation=where[2], **start)
    return float(path.one_minus_rho[1])


@pytest.mark.parametrize("quantity", [*AT_FIXED_POINT, *MAPS])
def test_certified_table(quantity):
    """Against proven enclosures, whose own radius is far below what is compared."""
    table = rows("certified.csv", quantity)
    for row in table:
        assert float(row["radius"]) < 1e-14
    values = [(certified_value(row), row["value"].replace("oo", "inf"), row) for row in table]
    check(values)


# ---- the table of meanfield.precise ----------------------------------------------------------------------------------


def arguments(row: dict) -> dict:
    """A row as `make_precise` has it: names as text, numbers as floats, nothing where it is empty."""
    names = ("quantity", "symmetry", "activation")
    return {key: value if key in names else float(value) for key, value in row.items() if value and key != "value"}


def precise_value(row: dict) -> float:
    case = arguments(row)
    where = case["sigma_w"], case["symmetry"], case["activation"]
    if case["quantity"] in AT_FIXED_POINT:
        return at_fixed_point(case["quantity"], *where)
    if case["quantity"] == "length_map":
        return float(length_map(case["c_1"], *where))
    if case["quantity"] == "correlation_map":
        c = (case["c_1"], case["c_2"]) if "c_2" in case else case["c_1"]
        return float(correlation_map(case["delta"], c, *where))
    start = {"c": case["c_1"], "one_minus_rho": case["one_minus_rho"]}
    return float(trajectory(1, where[0], symmetry=where[1], activation=where[2], **start).one_minus_rho[1])


@pytest.mark.parametrize("quantity", [*AT_FIXED_POINT, *MAPS])
def test_precise_table(quantity):
    """Against the defining integrals, the double Bessel integral of Eq. (12) among them, done with mpmath."""
    check([(precise_value(row), row["value"], row) for row in rows("precise.csv", quantity)])


@pytest.mark.parametrize("quantity", ["c_star", "length_map", "correlation_map", "correlation_gap"])
def test_rows_of_the_precise_table_are_what_precise_says(quantity):
    """Other rows in every run: the stored values are not out of date."""
    table = rows("precise.csv", quantity)
    rng = np.random.default_rng()
    for row in rng.choice(table, 2, replace=False):
        found = make_precise.value(arguments(row), digits=15)
        assert found is not None
        exact = mpf(row["value"])
        assert abs(found - exact) <= mpf(10) ** -14 * abs(exact), row


def test_the_tables_reach_where_they_should():
    """All D, both ends of sigma_w, sigma_w = 1 +- 1e-6, rho = 1e-12 and 1 - 1e-9."""
    for name in ("precise.csv", "certified.csv"):
        table = read(name)
        assert {row["symmetry"] for row in table} == {f"O({d})" for d in (1, 2, 3, 4, 8, 48)}
        number = float.fromhex if name == "certified.csv" else float
        sigma_w = {number(row["sigma_w"]) for row in table}
        assert {1e-3, 1 - 1e-6, 1 + 1e-6, 1.5, 1e3} < sigma_w
        if name == "certified.csv":
            assert {float.fromhex(row["rho"]) for row in table if row["rho"]} > {1e-12, 0.5, 1 - 1e-9}
        else:
            assert {row["one_minus_rho"] for row in table} > {"1e-09", "0.001"}
            assert min(float(row["delta"]) / float(row["c_1"]) for row in table if row["delta"]) < 2e-12


# ---- deep ------------------------------------------------------------------------------------------------------------


def test_nearly_identical_inputs_through_layers():
    """c and 1 - rho, from 1e-15 on, against the exact integrals iterated with mpmath."""
    c, _, missing = precise.trajectory(2, 1.5, 0.75, symmetry="U(1)", digits=15, one_minus_rho=1e-15)
    path = trajectory(2, 1.5, 0.75, one_minus_rho=1e-15)
    for layer in range(3):
        assert error(float(path.c[layer]), c[layer]) < BOUND
        assert error(float(path.one_minus_rho[layer]), missing[layer]) < BOUND
