"""Networks whose activation has a kink or jumps, against theory: c, and how fast nearly identical inputs part. At N and
2 N, so that order 1/N drops out; five standard errors are allowed."""

import numpy as np
import pytest

from meanfield import Ensemble, trajectory
from simulate import sample_networks
from simulate.observables import cross_block, order_parameters, overlap
from simulate.statistics import Estimate, extrapolate

DEPTH, WIDTHS = 4, (64, 128)


def clipped(r):
    return r.clip(max=1.0)


def dropping(r):
    return r * (r < 1.0) + 0.5 * (r >= 1.0)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
@pytest.mark.parametrize("activation", [clipped, dropping])
@pytest.mark.parametrize("missing", [0.3, 1e-4])
def test_networks_agree_with_theory(symmetry, activation, missing):
    inputs = np.array([[1.0, 0.0], [1.0 - missing, np.sqrt(missing * (2.0 - missing))]])
    names = {"symmetry": symmetry, "activation": activation}
    first = trajectory(1, 1.0, c=1.0, one_minus_rho=missing, **names).isel(layer=1)  # after the input layer
    told = trajectory(DEPTH, 1.5, c=float(first.c), one_minus_rho=float(first.one_minus_rho), **names)
    c, gap = [], []
    for n in WIDTHS:
        samples = sample_networks(
            Ensemble(symmetry, activation, 1.5),
            inputs,
            width=n,
            depth=DEPTH,
            n_networks=600,
            seed=n,
            dtype="float64",
            device="cpu",
        )
        c.append(order_parameters(samples)[:, 0].mean(axis=-1))
        gap.append(c[-1] - overlap(cross_block(samples)[:, 0]))  # E |phi_1 - phi_2|^2/2
    for measured, expected in ((c, told.c), (gap, told.c * told.one_minus_rho)):
        found = extrapolate(*(Estimate.from_samples(each) for each in measured))
        assert np.all(np.abs(found.value - expected.values) < 5.0 * found.standard_error)
        assert np.all(5.0 * found.standard_error < 0.7 * expected.values)  # a factor of two would be seen
