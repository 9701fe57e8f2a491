"""What only a machine with a GPU can show; elsewhere these are skipped."""

import numpy as np
import pytest
import torch
from scipy import stats

from meanfield import Ensemble
from simulate import ensemble_statistics, load_images, sample_collective, sample_jacobians, sample_networks
from simulate.blocks import BLOCK
from simulate.memory import blocks_at_once
from simulate.observables import order_parameters
from simulate.sampling import Networks
from simulate.setup import Setup
from simulate.verify import Case, verify

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
INPUTS = np.array([[1.0, 0.5, 0.0, 0.2], [0.8, 0.1, 0.6, 0.0]])
SIZES = {"width": 32, "depth": 6, "device": "cuda"}


def test_a_verification_passes():
    cases = (Case(Ensemble("U(1)"), 32), Case(Ensemble("O(4)"), 64))
    for sampler in ("networks", "collective"):
        assert verify(load_images(), n_networks=256, cases=cases, sampler=sampler, device="cuda").passed


@pytest.mark.parametrize("sampler", [sample_networks, sample_collective])
@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_the_law_is_that_of_the_cpu(sampler, symmetry):
    here, there = (
        order_parameters(sampler(Ensemble(symmetry), INPUTS, **(SIZES | {"device": device}), n_networks=512))[
            :, 0, -1, 0
        ]
        for device in ("cpu", "cuda")
    )
    assert stats.ks_2samp(here, there).pvalue > 1e-6
    assert not np.array_equal(here, there)  # the generators are others


def test_blocks_computed_together_agree():
    """In float64 to rounding: a GPU may choose another kernel for another batch."""
    setup = Setup.create(Ensemble("O(3)"), INPUTS, dtype="float64", **SIZES)
    together, _ = Networks(setup)(range(4))
    alone = np.concatenate([Networks(setup)(range(block, block + 1))[0] for block in range(4)])
    np.testing.assert_allclose(together, alone, rtol=1e-11, atol=1e-14)


def test_many_blocks_fit_at_once():
    assert blocks_at_once(Networks(Setup.create(Ensemble(), INPUTS, **SIZES)).block_bytes, None, "cuda", "") > 1


def test_statistics_do_not_depend_on_the_budget():
    options = SIZES | {"n_networks": 8 * BLOCK, "dtype": "float64"}
    generous = ensemble_statistics(Ensemble(), INPUTS, **options)
    tight = ensemble_statistics(Ensemble(), INPUTS, memory=3e7, **options)
    np.testing.assert_allclose(tight.c, generous.c, rtol=1e-10)


def test_products_are_exact_unless_tf32_is_asked_for():
    options = SIZES | {"width": 256, "n_networks": 4}
    exact = sample_networks(Ensemble(), INPUTS, **options, dtype="float64").d.values
    error = {
        tf32: np.abs(sample_networks(Ensemble(), INPUTS, **options, tf32=tf32).d.values / exact - 1.0).max()
        for tf32 in (False, True)
    }
    assert error[False] < 1e-4 < 10 * error[True]
    assert error[True] > 5 * error[False]


def test_the_identity_of_the_jacobian():
    out = sample_jacobians(Ensemble(), INPUTS, **SIZES, n_networks=16, probes=4)
    assert float(out.residual.max()) < 1e-12
