"""Networks with biases, and with weights that ignore the symmetry in part: both samplers, and layers written out by
hand, against theory. At N and 2 N, so that order 1/N drops out; five standard errors are allowed."""

from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr

from meanfield import Ensemble, explicit_breaking, trajectory
from simulate import ensemble_statistics, measure, plane_rotation, sample_collective, sample_networks
from simulate.jacobians import sample_jacobians
from simulate.observables import cross_block, order_parameters, overlap, turn
from simulate.statistics import Estimate, extrapolate
from simulate.verify import Case

SAMPLERS = {"networks": sample_networks, "collective": sample_collective}
OPTIONS = {"dtype": "float64", "device": "cpu"}
INPUTS = np.array([[1.0, 0.0], [0.8, 0.6]])
CASES = [
    ("U(1)", 0.3, 0.0),
    ("U(1)", 0.0, 0.1),
    ("U(1)", 0.4, 0.2),
    ("O(2)", 0.3, 0.2),
    ("O(3)", 0.3, 0.2),
    ("generic(2)", 0.5, 0.0),
]
TURNED = ("U(1)", "O(2)")  # which have one and the same theory of an angle
DEPTH, WIDTHS = 4, (64, 128)


def theory(ensemble: Ensemble, angle: float) -> xr.Dataset:
    """Behind a random input layer: capsules of E |z|^2 = 1 with the covariance 0.8, turned against each other."""
    names = {"symmetry": ensemble.symmetry, "activation": ensemble.activation}
    first = trajectory(1, 1.0, c=1.0, delta=0.8, **names).isel(layer=1)
    return ensemble.trajectory(DEPTH, c=float(first.c), delta=float(first.delta), phi=angle)


def components(samples: xr.Dataset) -> tuple[np.ndarray, np.ndarray]:
    """Real and imaginary part of C_12 of every network and layer."""
    block = cross_block(samples)[:, 0]
    return overlap(block), turn(block)


def deviations(narrow: np.ndarray, wide: np.ndarray, expected: np.ndarray) -> np.ndarray:
    found = extrapolate(Estimate.from_samples(narrow), Estimate.from_samples(wide))
    return np.abs(found.value - expected) / found.standard_error


@pytest.mark.parametrize("sampler", SAMPLERS)
@pytest.mark.parametrize(("symmetry", "sigma_b", "asymmetry"), CASES)
def test_layer_by_layer(sampler, symmetry, sigma_b, asymmetry):
    """c, and both parts of the covariance of two inputs that are a radian apart, or not turned."""
    ensemble = Ensemble(symmetry, "tanh", 1.5, sigma_b, asymmetry)
    k, angle = ensemble.symmetry.capsule_dimension, 1.0 if symmetry in TURNED else 0.0
    turns = [np.eye(k), plane_rotation(k, angle)]
    told = theory(replace(ensemble, symmetry="U(1)") if symmetry in TURNED else ensemble, -angle)
    runs = [
        SAMPLERS[sampler](
            ensemble, INPUTS, width=n, depth=DEPTH, n_networks=600, seed=n, group_elements=turns, **OPTIONS
        )
        for n in WIDTHS
    ]
    c = [order_parameters(run)[:, 0, :, 0] for run in runs]
    assert (deviations(*c, told.c.values) < 5).all()
    along, across = zip(*map(components, runs), strict=True)
    assert (deviations(*along, (told.delta * np.cos(told.phi)).values) < 5).all()
    if symmetry in TURNED:
        assert (deviations(*across, (told.delta * np.sin(told.phi)).values) < 5).all()
        last = Estimate.from_samples(across[1][:, -1])
        assert abs(last.value) > 10 * last.standard_error


def by_hand(rng, k: int, n: int, sigma_w: float, sigma_b: float, share: float):
    """A layer of O(k) with biases and generic weights, every number drawn and multiplied in numpy."""
    equivariant = np.kron(rng.normal(0.0, sigma_w * np.sqrt((1.0 - share) / n), (n, n)), np.eye(k))
    generic = rng.normal(0.0, sigma_w * np.sqrt(share / (n * k)), (n * k, n * k))
    bias = rng.normal(0.0, sigma_b / np.sqrt(k), n * k)

    def layer(z: torch.Tensor) -> torch.Tensor:
        z = z.numpy()
        r = np.linalg.norm(z, axis=2, keepdims=True)
        phi = (np.tanh(r) * z / r).reshape(len(z), n * k)
        return torch.from_numpy((phi @ (equivariant + generic).T + bias).reshape(z.shape))

    return layer


def test_layers_written_out_by_hand():
    """No code of the samplers: O(2), turned by a radian, which is U(1) in the mean."""
    told = theory(Ensemble("U(1)", "tanh", 1.5, 0.3, 0.2), 1.0)
    rng, runs = np.random.default_rng(11), []
    turn = plane_rotation(2, 1.0)
    for n in (32, 64):
        each = []
        for _ in range(300):
            shared = rng.standard_normal((n, 2, 2)) / np.sqrt(2.0)
            start = np.stack([shared[..., 0] @ turn.T, 0.8 * shared[..., 0] + 0.6 * shared[..., 1]])
            layers = [by_hand(rng, 2, n, 1.5, 0.3, 0.2) for _ in range(DEPTH)]
            each.append(measure(layers, torch.from_numpy(start), "O(2)"))
        runs.append(xr.concat(each, "network", combine_attrs="drop_conflicts"))
    assert (deviations(*(order_parameters(run)[:, 0, :, 0] for run in runs), told.c.values) < 5).all()
    along, across = zip(*map(components, runs), strict=True)
    assert (deviations(*along, (told.delta * np.cos(told.phi)).values) < 5).all()
    assert (deviations(*across, (told.delta * np.sin(told.phi)).values) < 5).all()


@pytest.mark.parametrize("sampler", SAMPLERS)
def test_opposite_inputs_do_not_stay_opposite(sampler):
    """Equal ones stay equal, as biases are the same for both."""
    ensemble = Ensemble("U(1)", "tanh", 1.5, sigma_b=0.5)
    inputs = np.array([[1.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    run = SAMPLERS[sampler](ensemble, inputs, width=512, depth=3, n_networks=100, **OPTIONS)
    gram = run.gram.values[:, 0]
    np.testing.assert_array_equal(gram[..., :2, :], gram[..., 2:4, :])
    rho = (gram[..., 0, 4] + gram[..., 1, 5]) / np.trace(gram[..., :2, :2], axis1=-2, axis2=-1)
    np.testing.assert_allclose(rho[:, 0], -1.0, rtol=1e-12)
    start = trajectory(1, 1.0, c=1.0).c[1].item()
    told = ensemble.trajectory(3, c=start, one_minus_rho=2.0)
    expected = (told.rho * np.cos(told.phi)).values
    found = Estimate.from_samples(rho)
    # order 1/N is below the deviation of the narrowest: C/N with C = 1
    assert (np.abs(found.value - expected)[1:] < 5 * found.standard_error[1:] + 1.0 / 512).all()
    assert expected[3] > expected[1] > -0.9


def test_an_exact_ensemble_draws_what_it_always_drew():
    """Extra numbers come after those that a layer has anyway: with next to no breaking, next to the same networks."""
    sizes = {"width": 8, "depth": 3, "n_networks": 5, **OPTIONS}
    exact = sample_networks(Ensemble("O(3)", "tanh", 1.5), INPUTS, **sizes)
    for broken in (Ensemble("O(3)", "tanh", 1.5, sigma_b=1e-9), Ensemble("O(3)", "tanh", 1.5, asymmetry=1e-16)):
        run = sample_networks(broken, INPUTS, **sizes)
        np.testing.assert_allclose(run.gram[:, :, 1], exact.gram[:, :, 1], atol=1e-7)
        assert not np.array_equal(run.gram[:, :, 1], exact.gram[:, :, 1])


@pytest.mark.parametrize(("sigma_w", "sigma_b"), [(1e-20, 1e-20), (1e20, 1e20), (1e-30, 1.0), (1.0, 1e-30)])
def test_biases_of_every_size(sigma_w, sigma_b):
    """States are kept as multiples of a scale, which a bias far above or below them must move with."""
    run = sample_networks(
        Ensemble("U(1)", "linear", sigma_w, sigma_b=sigma_b),
        INPUTS[:1],
        width=64,
        depth=1,
        n_networks=200,
        dtype="float32",
        device="cpu",
    )
    found = Estimate.from_samples(run.d.values[:, 0, 1, 0] / (sigma_w**2 + sigma_b**2))
    assert abs(found.value - 1.0) < 5 * found.standard_error


def test_jacobians_know_of_biases():
    """In the ordered region they shrink as chi_jacobian says, and nothing of them is protected."""
    told = explicit_breaking(1.5, 0.8)
    run = sample_jacobians(
        Ensemble("U(1)", "tanh", 1.5, sigma_b=0.8),
        INPUTS[:1],
        width=128,
        depth=8,
        n_networks=64,
        probes=4,
        d_0=float(told.d_star),
        device="cpu",
    )
    found = Estimate.from_samples(run.norm.values[:, 0, -1, 0])
    expected = told.chi_jacobian.item() ** 8
    assert abs(found.value - expected) < 5 * found.standard_error + expected / 128
    assert run.protected.isel(layer=-1).mean() < 0.3 * told.d_star


def test_a_result_says_how_its_symmetry_was_broken():
    ensemble = Ensemble("U(1)", "tanh", 1.5, sigma_b=0.25, asymmetry=0.5)
    run = ensemble_statistics(ensemble, INPUTS, width=4, depth=1, n_networks=4, device="cpu")
    assert (run.attrs["sigma_b"], run.attrs["asymmetry"]) == (0.25, 0.5)
    with pytest.raises(ValueError, match="ensemble must have the exact symmetry, got Ensemble"):
        Case(ensemble, 64)
