"""A right theory passes and wrong ones fail, on small networks; what is compared is spelled out here."""

import numpy as np
import pytest
from scipy import linalg, stats

from meanfield import Ensemble, correlation_map, length_map
from simulate import plane_rotation, sample_networks
from simulate.compare import Comparison, _theory, compare
from simulate.observables import order_parameters
from simulate.statistics import deviation_limit

DEPTH, NETWORKS, ANGLE = 8, 96, 1.0
INPUTS = np.array([[1.0, 0.5, 0.2, 0.3], [0.8, 0.4, 0.6, 0.1]])
WIDTHS = {"U(1)": 32, "O(4)": 64, "generic(2)": 32}
EVERY_CASE = pytest.mark.parametrize("symmetry", sorted(WIDTHS))


@pytest.fixture(scope="module")
def sampled():
    """For each symmetry, networks of widths N/4, N/2, N and 2N, the first input turned by one radian."""
    out = {}
    for number, (symmetry, width) in enumerate(WIDTHS.items()):
        k = 4 if symmetry == "O(4)" else 2
        out[symmetry] = [
            sample_networks(
                Ensemble(symmetry),
                INPUTS,
                width=int(width * ratio),
                depth=DEPTH,
                n_networks=NETWORKS,
                seed=10 * number + step,
                sigma_w=[0.9, 1.5, 3.0],
                d_0=0.25,
                group_elements=np.stack([plane_rotation(k, ANGLE), np.eye(k)]),
                device="cpu",
            )
            for step, ratio in enumerate((0.25, 0.5, 1, 2))
        ]
    return out


def rows_of(sampled, symmetry, theory_of=lambda ensemble: ensemble):
    return compare(sampled[symmetry], Ensemble(symmetry), theory_of)


def failures(rows):
    limit = deviation_limit(1e-5, 3 * len(rows), NETWORKS - 1)
    return {(row.quantity, row.layer) for row in rows if not row.agrees(limit)}


@EVERY_CASE
def test_the_right_theory_agrees(sampled, symmetry):
    rows = rows_of(sampled, symmetry)
    assert not failures(rows)
    deviations = np.array([row.deviation for row in rows])
    assert 0.5 < np.sqrt(np.mean(deviations**2)) < 1.6  # standard errors are neither too large nor too small
    assert max(row.allowance / row.standard_error for row in rows) < 1.5


@EVERY_CASE
def test_what_is_compared(sampled, symmetry):
    rows = rows_of(sampled, symmetry)
    names = {"c", "d", "c*", "c at depth"} | {
        "U(1)": {"Delta", "phi"},
        "O(4)": {"Delta", "phi", "Q beside phi"},
        "generic(2)": {"Delta cos phi", "Delta sin phi"},
    }[symmetry]
    assert {row.quantity for row in rows} == names
    for name in names - {"c*", "c at depth"}:
        assert [row.layer for row in rows if row.quantity == name] == list(range(1, DEPTH + 1))
    # the fixed point only where c has settled after 8 layers
    assert {row.sigma_w for row in rows if row.quantity == "c*"} == {3.0}
    assert {row.sigma_w for row in rows if row.quantity == "c at depth"} == {0.9, 1.5}
    c_star = next(row.theory for row in rows if row.quantity == "c*")
    assert c_star == pytest.approx({"O(4)": 0.93601}.get(symmetry, 0.85422), abs=1e-5)
    phi = [row for row in rows if row.quantity == "phi"]
    assert all(row.theory == pytest.approx(ANGLE, abs=0.05) for row in phi)
    assert all(row.allowance >= 0.0 for row in rows)


def misprint(e):
    """Real and imaginary part of variance sigma_w^2/N each."""
    return Ensemble(e.symmetry, e.activation, e.sigma_w * np.sqrt(2))


def other_dimension(step):
    def theory_of(e):
        family = "generic" if e.symmetry.family == "generic" else "O"
        return Ensemble(f"{family}({e.symmetry.capsule_dimension + step})", e.activation, e.sigma_w)

    return theory_of


def other_activation(name):
    return lambda e: Ensemble(e.symmetry, name, e.sigma_w)


@EVERY_CASE
@pytest.mark.parametrize(
    ("theory_of", "worst"),
    [
        pytest.param(misprint, 25, id="variance of Section 2.2"),
        pytest.param(other_activation("erf"), 15, id="erf"),
        pytest.param(other_activation("algebraic"), 12, id="algebraic"),
        pytest.param(other_dimension(-1), 10, id="D - 1"),
        pytest.param(other_dimension(2), 8, id="D + 2"),
    ],
)
def test_wrong_theories_fail_by_a_wide_margin(sampled, symmetry, theory_of, worst):
    rows = rows_of(sampled, symmetry, theory_of)
    assert len(failures(rows)) >= 5
    assert max(abs(row.deviation) for row in rows) > worst


def test_the_misprinted_variance_shows_in_d_at_every_layer(sampled):
    assert {("d", layer) for layer in range(1, DEPTH + 1)} <= failures(rows_of(sampled, "U(1)", misprint))


def test_generic_networks_do_not_keep_the_phase(sampled):
    """Read as if they were U(1) networks, in the frame of their own phase, they fail in Delta and phi."""
    as_u1 = [one.assign_attrs(symmetry="U(1)") for one in sampled["generic(2)"]]
    failed = {name for name, _ in failures(compare(as_u1, Ensemble("U(1)"), lambda e: e))}
    assert {"Delta", "phi"} <= failed
    assert "c" not in failed


def test_response_to_the_start_is_the_slope_of_the_length_map():
    c = np.array([0.20, 0.21, 0.25])
    told = Ensemble("O(3)", "tanh", 1.4)
    theory, response = _theory(told, 2, c)
    assert theory[0, 0] == pytest.approx(c.mean())
    assert theory[0, 1] == pytest.approx(length_map(c.mean(), 1.4, "O(3)"))
    h = 1e-3
    slope = (length_map(c.mean() + h, 1.4, "O(3)") - length_map(c.mean() - h, 1.4, "O(3)")) / (2 * h)
    np.testing.assert_allclose(response[0, :, 1], slope * (c - c.mean()), rtol=1e-5)


def test_the_scatter_is_that_about_the_theory_of_each_network(sampled):
    """Starting each network's theory from its own layer 0 gives the same mean up to 1/N and the same error."""
    row = next(row for row in rows_of(sampled, "U(1)") if row.quantity == "c")
    c = [order_parameters(one.sel(sigma_w=[1.5]))[:, 0].mean(axis=-1) for one in sampled["U(1)"][2:]]
    narrow, wide = (one[:, 1] - length_map(one[:, 0], 1.5) for one in c)
    error = np.hypot(stats.sem(narrow), 2 * stats.sem(wide))
    assert row.standard_error == pytest.approx(error, rel=0.02)
    assert row.measured - row.theory == pytest.approx(2 * wide.mean() - narrow.mean(), abs=0.3 * error)
    assert error < 0.95 * np.hypot(stats.sem(c[0][:, 1]), 2 * stats.sem(c[1][:, 1]))


def test_the_scatter_of_the_overlap_is_without_that_of_both_starts(sampled):
    """Delta at layer 1 follows c and Delta at layer 0, with the slopes of the correlation map."""
    row = next(row for row in rows_of(sampled, "U(1)") if (row.quantity, row.layer) == ("Delta", 1))
    errors, h = [], 1e-4
    for one in (one.sel(sigma_w=[1.5]) for one in sampled["U(1)"][2:]):
        c, q = order_parameters(one)[:, 0, 0].mean(axis=-1), one.gram.values[:, 0, :2, :2, 2:]
        number = q[..., 0, 0] + q[..., 1, 1] + 1j * (q[..., 1, 0] - q[..., 0, 1])
        delta = np.abs(number[:, 0])
        at, start = (number[:, 1] * number[:, 0].conj()).real / delta, (delta.mean(), c.mean())
        by_delta, by_c = (
            (correlation_map(*np.add(start, step), 1.5) - correlation_map(*np.subtract(start, step), 1.5)) / (2 * h)
            for step in ((h, 0.0), (0.0, h))
        )
        errors.append(stats.sem(at - by_delta * delta - by_c * c))
    assert row.standard_error == pytest.approx(np.hypot(errors[0], 2 * errors[1]), rel=1e-5)


def test_the_scatter_at_depth_is_without_that_of_the_start(sampled):
    """Below the transition c at layer 8 follows c at layer 0, with the slope of eight length maps."""
    row = next(row for row in rows_of(sampled, "U(1)") if row.quantity == "c at depth" and row.sigma_w == 0.9)
    plain, errors = [], []
    for one in sampled["U(1)"][2:]:
        c = order_parameters(one.sel(sigma_w=[0.9]))[:, 0].mean(axis=-1)
        up, down = c[:, 0].mean() + 1e-4, c[:, 0].mean() - 1e-4
        for _ in range(DEPTH):
            up, down = length_map(up, 0.9), length_map(down, 0.9)
        plain.append(stats.sem(c[:, -1]))
        errors.append(stats.sem(c[:, -1] - (up - down) / 2e-4 * c[:, 0]))
    assert row.standard_error == pytest.approx(np.hypot(errors[0], 2 * errors[1]), rel=1e-3)
    assert row.standard_error < 0.995 * np.hypot(plain[0], 2 * plain[1])


def test_a_row_by_hand(sampled):
    """d at layer 3 of both inputs, less sigma_w^2 c before it: mean, error, allowance and skewness from four widths."""
    row = next(row for row in rows_of(sampled, "U(1)") if (row.quantity, row.layer) == ("d", 3))
    values = []
    for one in (one.sel(sigma_w=1.5) for one in sampled["U(1)"]):
        c = np.trace(one.gram.values, axis1=-2, axis2=-1)[:, 2] / 2.0
        values.append(one.d.values[:, 3].mean(axis=-1) - 2.25 * c)
    *narrower, narrow, wide = values
    shift, before = 2 * wide.mean() - narrow.mean(), 2 * narrower[1].mean() - narrower[0].mean()
    error = np.hypot(stats.sem(narrow), 2 * stats.sem(wide))
    third = (8 * stats.moment(wide, 3) - stats.moment(narrow, 3)) / NETWORKS**2
    assert row.measured - row.theory == pytest.approx(shift, rel=1e-9)
    assert row.standard_error == pytest.approx(error, rel=1e-9)
    assert row.allowance == pytest.approx(abs(before - shift) / 15, rel=1e-9)
    assert row.skewness == pytest.approx(third / error**3, rel=1e-9)


def test_what_lies_beside_the_angle_by_hand(sampled):
    """O(4): all six numbers above the diagonal of Q, seen in the frame of each network's own layer 0."""
    row = next(row for row in rows_of(sampled, "O(4)") if (row.quantity, row.layer) == ("Q beside phi", 2))
    means = []
    for one in (one.sel(sigma_w=1.5) for one in sampled["O(4)"][2:]):
        q = one.gram.values[..., :4, 4:]
        aligned = np.stack([linalg.polar(each)[0].T for each in q[:, 0]]) @ q[:, 2]
        rows, columns = np.triu_indices(4, 1)
        means.append(aligned[:, rows, columns].sum(axis=1).mean())
    assert row.measured == pytest.approx(2 * means[1] - means[0], rel=1e-9)


@pytest.mark.parametrize(("measured", "agrees"), [(1.55, True), (1.65, False), (0.45, True), (0.35, False)])
def test_the_allowance_adds_to_the_limit(measured, agrees):
    row = Comparison("U(1)", "c", 1.5, 1, 1.0, measured, standard_error=0.1, allowance=0.1, skewness=0.0)
    assert row.agrees(5.0) is agrees
    assert row.deviation == pytest.approx((measured - 1.0) / 0.1)
