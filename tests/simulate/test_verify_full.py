"""The full verification passes, and a wrong theory of each of its parts fails."""

from dataclasses import replace

import numpy as np
import pytest

import simulate.jacobians
import simulate.verify_full as full
from meanfield import Ensemble
from simulate import load_images, sample_collective
from simulate.report import table
from simulate.statistics import deviation_limit
from simulate.verify import Case, pair_of_one_class, verify

NETWORKS = 64
WIDTHS = {"U(1)": (8, 16, 32, 64), "O(3)": (16, 32, 64, 128), "generic(2)": (8, 16, 32, 64)}
EVERY = pytest.mark.parametrize("symmetry", sorted(WIDTHS))


@pytest.fixture(scope="module")
def inputs():
    images = load_images()
    return images.features(pair_of_one_class(images))


def jacobians(symmetry, inputs, theory_of=lambda ensemble: ensemble, seed=0):
    return full.compare_jacobians(Ensemble(symmetry), WIDTHS[symmetry], inputs, theory_of, NETWORKS, seed, device="cpu")


def width_rows(symmetry, inputs, theory_of=lambda ensemble: ensemble, seed=0):
    return full.compare_fluctuations(
        Ensemble(symmetry), WIDTHS[symmetry], inputs, theory_of, NETWORKS, seed, device="cpu"
    )


def inexact_rows(symmetry, inputs, theory_of=lambda ensemble: ensemble, seed=0):
    return full.compare_inexact(
        Ensemble(symmetry), WIDTHS[symmetry], inputs, theory_of, 4 * NETWORKS, seed, device="cpu"
    )


def failures(rows):
    limit = deviation_limit(1e-5, 40, NETWORKS - 1)
    return {row.quantity for row in rows if not row.agrees(limit)}


@EVERY
def test_the_right_theory_agrees(symmetry, inputs):
    rows, identities = jacobians(symmetry, inputs)
    rows = rows + width_rows(symmetry, inputs) + inexact_rows(symmetry, inputs)
    assert not failures(rows)
    names = {row.quantity for row in rows}
    assert names >= {"Jacobian norm", "Jacobian protected", "N Var c", "N (E c - c*)"}
    assert ("N Var phi" in names) == (symmetry != "generic(2)")
    assert len(identities) == (symmetry != "generic(2)")
    assert all(identity.holds for identity in identities)


def test_the_scatter_is_unbiased_in_few_networks(inputs):
    samples = sample_collective(Ensemble("O(3)"), inputs, width=16, depth=2, n_networks=4, device="cpu")
    found = full._scatter(samples, Ensemble("O(3)"))
    c = np.trace(samples.gram.values[:, 0, -1, :3, :3], axis1=-2, axis2=-1)
    assert (found.theory + found.difference).mean() == pytest.approx(16 * np.var(c, ddof=1), rel=1e-9)


def test_a_wrong_weight_scale_fails(inputs):
    def stronger(ensemble):
        return Ensemble(ensemble.symmetry, ensemble.activation, np.sqrt(2) * ensemble.sigma_w)

    rows, _ = jacobians("U(1)", inputs, stronger)
    assert {"Jacobian norm", "Jacobian protected"} <= failures(rows)
    assert failures(width_rows("U(1)", inputs, stronger))


@pytest.mark.parametrize(
    ("wrong", "seen"),
    [
        ({"sigma_b": 0.0}, {"c, inexact", "Re C_12, inexact"}),
        ({"asymmetry": 0.0}, {"Im C_12, inexact"}),
    ],
)
def test_a_theory_without_what_breaks_the_symmetry_fails(inputs, wrong, seen):
    assert failures(inexact_rows("U(1)", inputs, lambda ensemble: replace(ensemble, **wrong))) >= seen


def test_a_theory_that_forgets_the_angular_part_fails(inputs, monkeypatch):
    right = full.jacobian_trajectory

    def amplitude_only(*arguments):
        out = right(*arguments)
        return out.assign(angular=0.0 * out.angular)

    monkeypatch.setattr(full, "jacobian_trajectory", amplitude_only)
    rows, _ = jacobians("O(3)", inputs)
    assert failures(rows) == {"Jacobian angular"}


def test_directions_of_the_wrong_length_break_the_identity(inputs, monkeypatch):
    right = simulate.jacobians.Jacobians._layers

    def rotated(self, blocks):
        for layer in right(self, blocks):
            yield replace(layer, tangents=1.001 * layer.tangents)

    monkeypatch.setattr(simulate.jacobians.Jacobians, "_layers", rotated)
    _, (identity,) = jacobians("U(1)", inputs)
    assert not identity.holds
    assert identity.error > 1e6


def test_a_phase_that_diffuses_twice_as_fast_fails(inputs, monkeypatch):
    right = full.phase_diffusion

    def twice(*arguments, **options):
        out = right(*arguments, **options)
        return out.assign(variance=2.0 * out.variance)

    monkeypatch.setattr(full, "phase_diffusion", twice)
    assert "N Var phi" in failures(width_rows("U(1)", inputs))


def test_scatter_of_the_wrong_size_fails(inputs, monkeypatch):
    right = full.fluctuations

    def three_times(*arguments):
        out = right(*arguments)
        return out.assign(var_c=3.0 * out.var_c)

    monkeypatch.setattr(full, "fluctuations", three_times)
    assert failures(width_rows("generic(2)", inputs)) == {"N Var c"}


@pytest.mark.parametrize("symmetry", ["U(1)", "generic(2)"])
def test_a_bias_of_the_wrong_sign_fails(symmetry, inputs, monkeypatch):
    """It is small: -0.086, of which the plain mean's standard error would be several times as large."""
    right = full.fluctuations

    def other_sign(*arguments):
        out = right(*arguments)
        return out.assign(mean_shift=-out.mean_shift)

    monkeypatch.setattr(full, "fluctuations", other_sign)
    rows = width_rows(symmetry, inputs)
    assert failures(rows) == {"N (E c - c*)"}
    (row,) = (row for row in rows if row.quantity == "N (E c - c*)")
    limit = deviation_limit(1e-5, 40, NETWORKS - 1)
    assert limit * row.standard_error + row.allowance < abs(row.theory)


def test_the_table_tells(monkeypatch):
    monkeypatch.setattr(full, "MORE_NETWORKS", 4)
    options = {"n_networks": 64, "cases": (Case(Ensemble("U(1)"), 16),), "sigma_w": (3.0,), "depth": 5, "device": "cpu"}
    result = verify(load_images(), full=True, **options)
    text = table(result)
    assert "J A z^0 = A z^l, Eq. (52)" in text
    assert "holds in every network" in text
    assert "N Var c" in text
    assert result.passed


@pytest.mark.parametrize("name", ["sample_jacobians", "sample_collective", "sample_networks"])
def test_each_width_of_each_seed_has_its_own(inputs, monkeypatch, name):
    right, seeds = getattr(full, name), []

    def recorded(*arguments, seed, **options):
        seeds.append(seed)
        return right(*arguments, seed=seed, **options | {"n_networks": 4})

    monkeypatch.setattr(full, name, recorded)
    of = {"sample_jacobians": jacobians, "sample_collective": width_rows, "sample_networks": inexact_rows}
    for seed in range(3):
        of[name]("U(1)", inputs, seed=seed)
    assert len(set(seeds)) == len(seeds) == 12
