import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import special, stats
from torch.utils._python_dispatch import TorchDispatchMode

from meanfield import Ensemble, as_gram, as_symmetry, correlation_map, length_map, trajectory
from simulate import collective, plane_rotation, sample_networks
from simulate.blocks import BLOCK
from simulate.collective import Collective, sample_collective
from simulate.gaussian import cholesky_rows, triangular_factor
from simulate.observables import cross_block, group_element, order_parameters, overlap, turn
from simulate.setup import Setup

SYMMETRIES = ["U(1)", "O(1)", "O(3)", "generic(2)"]
INPUTS = np.random.default_rng(0).uniform(size=(3, 6))
# KS tests: fewer than 500 in this file, so that all false alarms together have a probability below 1e-6
ALARM = 2e-9


def sample(symmetry="U(1)", activation="tanh", sigma_w=1.5, inputs=INPUTS, **options):
    options = {"width": 8, "depth": 3, "n_networks": 4, "dtype": "float64", "device": "cpu"} | options
    return sample_collective(Ensemble(symmetry, activation, sigma_w), inputs, **options)


def setup(symmetry="U(1)", inputs=INPUTS, **options):
    return Setup.create(Ensemble(symmetry), inputs, **({"width": 8, "depth": 3, "device": "cpu"} | options))


def one_minus_rho(samples):
    """|phi_1 - phi_2|^2 / (c_1 + c_2) of the first two inputs, (network, layer)."""
    c, delta = order_parameters(samples)[:, 0], overlap(cross_block(samples))[:, 0]
    return 1.0 - 2.0 * delta / (c[..., 0] + c[..., 1])


# ---- the same law as that of explicit networks ----------------------------------------------------------------------


def _numbers(samples):
    """Real numbers of each network whose laws the two samplers must share."""
    symmetry = as_symmetry(samples.symmetry)
    c, d = order_parameters(samples)[:, 0], samples.d.values[:, 0]
    out = {}
    for layer in samples.layer.values:
        first, second = cross_block(samples)[:, 0, layer], cross_block(samples, 1, 2)[:, 0, layer]
        out |= {
            f"c_0 of layer {layer}": c[:, layer, 0],
            f"d_2 of layer {layer}": d[:, layer, 2],
            f"tr Q_01 of layer {layer}": overlap(first),
            f"last entry of Q_12 of layer {layer}": second[:, 0, -1],
            f"|C_12| of layer {layer}": np.abs(overlap(np.swapaxes(group_element(second, symmetry), 1, 2) @ second)),
            f"distance of inputs 0 and 2 at layer {layer}": c[:, layer, 0]
            + c[:, layer, 2]
            - 2 * overlap(cross_block(samples, 0, 2)[:, 0, layer]),
        }
        if symmetry.family == "U(1)":
            out[f"phi of layer {layer}"] = np.arctan2(turn(first), overlap(first))
        if layer:
            out[f"step to layer {layer}"] = d[:, layer, 0] / c[:, layer - 1, 0]
    return out


def least_p(symmetry, width, depth=2, n_networks=2000):
    """The smallest p-value of Kolmogorov-Smirnov tests between the two samplers."""
    k = as_symmetry(symmetry).capsule_dimension
    turned = plane_rotation(k, 0.7) if k > 1 else -np.eye(1)
    options = {"width": width, "depth": depth, "n_networks": n_networks, "dtype": "float64", "device": "cpu"}
    options["group_elements"] = np.stack([turned, np.eye(k), np.eye(k)])
    explicit = _numbers(sample_networks(Ensemble(symmetry), INPUTS, seed=1, **options))
    chain = _numbers(sample_collective(Ensemble(symmetry), INPUTS, seed=2, **options))
    return min(stats.ks_2samp(explicit[name], chain[name], method="asymp").pvalue for name in explicit)


@pytest.mark.parametrize(
    ("symmetry", "width", "depth"),
    [
        ("U(1)", 1, 2),
        ("U(1)", 2, 2),
        ("U(1)", 16, 4),
        ("O(1)", 1, 2),
        ("O(1)", 3, 2),
        ("O(3)", 2, 2),
        ("O(3)", 3, 2),
        ("O(3)", 16, 4),
        ("generic(2)", 1, 2),
        ("generic(2)", 3, 2),
        ("generic(2)", 16, 2),
    ],
)
def test_the_chain_has_the_law_of_explicit_networks(symmetry, width, depth):
    assert least_p(symmetry, width, depth) > ALARM


def _wrong_variance(root, k):
    return np.sqrt(1.3) * root


def _inputs_apart(root, k):
    """Each input's own covariance without the cross blocks."""
    covariance = (root @ root.mT).unflatten(-1, (-1, k)).unflatten(-3, (-1, k))
    inputs = torch.eye(covariance.shape[-2], dtype=root.dtype)
    own = covariance * inputs[:, None, :, None]
    return torch.linalg.cholesky(own.flatten(-4, -3).flatten(-2, -1))


@pytest.mark.parametrize("fault", [_wrong_variance, _inputs_apart])
@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)"])
def test_the_comparison_sees_a_wrong_covariance(symmetry, fault, monkeypatch):
    right, k = Collective._next_root, as_symmetry(symmetry).capsule_dimension
    monkeypatch.setattr(Collective, "_next_root", lambda self, *arguments: fault(right(self, *arguments), k))
    assert least_p(symmetry, 16, n_networks=1000) < ALARM


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize(("sigma_b", "asymmetry"), [(0.0, 0.0), (0.25, 0.0), (0.0, 0.5), (0.25, 0.5)])
def test_the_covariance_of_the_next_layer(symmetry, sigma_b, asymmetry, monkeypatch):
    """From the law of the weights, for one layer's Gram matrix, whose capsules come in many chunks."""
    monkeypatch.setitem(collective.CHUNK, "cpu", 128)
    monkeypatch.setattr(collective, "PENDING", 3)
    exact = setup(symmetry, width=200, dtype="float64")
    asymmetry = asymmetry if exact.symmetry.conserves_angles else 0.0
    sampler = Collective(replace(exact, ensemble=replace(exact.ensemble, sigma_b=sigma_b, asymmetry=asymmetry)))
    k, inputs = sampler.setup.symmetry.capsule_dimension, len(INPUTS)
    start = torch.from_numpy(sampler._start[0])[None, None]
    gram, _, factor = sampler._layer(torch.tanh, start, [torch.Generator()], 1)
    root = sampler._next_root(factor, torch.tensor(1.5).double())[0, 0].numpy()
    q = gram[0, 0].numpy().reshape(inputs, k, inputs, k)
    generic = np.einsum("ambm,cd->acbd", q, np.eye(k)) / k
    if symmetry == "generic(2)":
        expected = generic
    elif symmetry == "U(1)":
        c = q[:, 0, :, 0] + q[:, 1, :, 1] + 1j * (q[:, 1, :, 0] - q[:, 0, :, 1])
        expected = 0.5 * np.array([[c.real, -c.imag], [c.imag, c.real]]).transpose(2, 0, 3, 1)
    else:
        expected = q
    expected = 1.5**2 * ((1.0 - asymmetry) * expected + asymmetry * generic) + sigma_b**2 / k * np.eye(k)[:, None]
    np.testing.assert_allclose(root @ root.T, expected.reshape(root.shape), rtol=0, atol=1e-14)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_wide_layer_follows_the_infinite_theory(dtype):
    """Layer 0 is N independent capsules: no bias, and standard errors that f <= 1 bounds."""
    c, delta, sigma_w, width = 0.5, 0.2, 1.5, 300_000
    start = sigma_w**2 / 2 * np.kron([[c, delta], [delta, c]], np.eye(2))
    samples = sample(inputs=None, gram=start, width=width, depth=0, n_networks=1, dtype=dtype)
    expected = length_map(c, sigma_w)
    error = np.sqrt(expected * (1 - expected) / width)
    assert np.all(np.abs(order_parameters(samples)[0, 0, 0] - expected) < 5 * error)
    q = cross_block(samples)[0, 0, 0]
    assert np.abs(overlap(q) - correlation_map(delta, c, sigma_w)) < 5 * np.sqrt(expected / width)
    assert np.abs(turn(q)) < 5 * np.sqrt(expected / width)


# ---- closed forms at small width ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("symmetry", "width", "freedom"),
    [("U(1)", 1, 2), ("U(1)", 3, 6), ("O(1)", 1, 1), ("O(3)", 1, 1), ("generic(2)", 1, 2), ("generic(2)", 3, 6)],
)
def test_linear_networks_multiply_c_by_chi_squared_numbers(symmetry, width, freedom):
    """c^{l+1} / (sigma_w^2 c^l) is a mean of squared Gaussians, independent from layer to layer."""
    samples = sample(symmetry, "linear", 0.8, INPUTS[:1], width=width, depth=2, n_networks=1600)
    c = order_parameters(samples)[:, 0, :, 0]
    steps = c[:, 1:] / (0.64 * c[:, :-1])
    assert stats.kstest(steps.ravel(), stats.chi2(freedom, scale=1 / freedom).cdf).pvalue > ALARM
    assert stats.pearsonr(np.log(steps[:, 0]), np.log(steps[:, 1])).pvalue > ALARM


@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize("sigma_w", [1e-30, 1.5])
def test_saturated_networks_have_c_equal_to_one(symmetry, sigma_w):
    samples = sample(symmetry, "saturated", sigma_w, depth=10, width=2, dtype="float32")
    np.testing.assert_allclose(order_parameters(samples), 1.0, rtol=1e-6)


def test_a_single_complex_capsule_keeps_the_phase_and_loses_no_overlap():
    """N = 1: z^l = w z^0 with one complex number w, so that phi is conserved and |C_12|^2 = c_1 c_2."""
    samples = sample(width=1, depth=200)
    q, c = cross_block(samples)[:, 0], order_parameters(samples)[:, 0]
    number = overlap(q) + 1j * turn(q)
    np.testing.assert_allclose(number / np.abs(number), (number / np.abs(number))[:, :1] + 0 * number, atol=1e-12)
    np.testing.assert_allclose(np.abs(number), np.sqrt(c[..., 0] * c[..., 1]), rtol=1e-12)


# ---- what is conserved exactly --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_equal_and_opposite_inputs_stay_so_to_the_last_bit(symmetry, dtype):
    x, y = INPUTS[:2]
    samples = sample(symmetry, sigma_w=4.0, inputs=np.stack([x, y, x, -x]), depth=60, width=5, dtype=dtype)
    for sign, copy in ((1.0, 2), (-1.0, 3)):
        np.testing.assert_array_equal(cross_block(samples, 0, copy), sign * cross_block(samples, 0, 0))
        np.testing.assert_array_equal(cross_block(samples, copy, 1), sign * cross_block(samples, 0, 1))
    np.testing.assert_array_equal(samples.d[..., 0], samples.d[..., 3])


@pytest.mark.parametrize(
    ("symmetry", "g"), [("U(1)", plane_rotation(2, 0.7)), ("O(3)", np.diag([1.0, 1.0, -1.0]) @ plane_rotation(3, 0.7))]
)
def test_an_input_and_its_copy_turned_by_the_group_keep_their_relation(symmetry, g):
    """At sigma_w = 4 differences grow: rounding errors of 1e-16 would become of order one within this depth."""
    elements = np.stack([g, np.eye(len(g))])
    samples = sample(symmetry, sigma_w=4.0, inputs=INPUTS[[0, 0]], group_elements=elements, depth=200, width=20)
    np.testing.assert_allclose(cross_block(samples), g @ cross_block(samples, 1, 1), rtol=0, atol=1e-12)


@pytest.mark.parametrize(
    ("dtype", "near", "far", "tolerance"), [("float64", 1e-10, 1e-9, 1e-3), ("float32", 1e-5, 3e-5, 0.02)]
)
def test_nearly_equal_inputs_are_told_apart(dtype, near, far, tolerance):
    """Small differences grow in proportion: with the same draws, 1 - rho goes as the square of the input's difference.

    At layer 0 the near pair has 1 - rho = 5e-21 in float64, far below what a Gram matrix can hold.
    """
    depth = 60 if dtype == "float64" else 32
    grown = [
        one_minus_rho(sample(sigma_w=3.0, inputs=[[1.0, 0.0], [1.0, e]], width=2000, depth=depth, dtype=dtype))[:, -1]
        for e in (near, far)
    ]
    np.testing.assert_allclose(grown[1] / grown[0], (far / near) ** 2, rtol=tolerance)
    assert np.all(grown[0] > (1e-11 if dtype == "float64" else 1e-6))


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_fewer_capsules_than_inputs(symmetry):
    inputs = np.random.default_rng(1).normal(size=(7, 9))
    gram = sample(symmetry, inputs=inputs, width=1, depth=30).gram.values
    k = as_symmetry(symmetry).capsule_dimension
    assert np.isfinite(gram).all()
    values = np.linalg.eigvalsh(gram)
    assert values.min() > -1e-14
    assert values[..., :-1].max() < 1e-13 * k  # one capsule: one outer product


# ---- extremes -------------------------------------------------------------------------------------------------------


def test_zero_weights_leave_nothing_behind():
    samples = sample(sigma_w=0.0, depth=3)
    assert np.all(samples.gram[:, :, 0].values[..., 0, 0] > 0)
    np.testing.assert_array_equal(samples.gram[:, :, 1:], 0.0)
    np.testing.assert_array_equal(samples.d[:, :, 1:], 0.0)


def test_c_shrinks_far_below_float32_and_then_to_zero():
    """c^40 / c^1 = sigma_w^78 times 39 means of 400 |z|^2 of unit mean. Each is Gamma(400)/400, whose logarithm has the
    mean psi(400) - log 400 and the variance psi'(400).
    """
    single, double = (
        order_parameters(sample(sigma_w=1e-3, depth=200, width=400, dtype=dtype))[:, 0]
        for dtype in ("float32", "float64")
    )
    growth = np.log(single[:, 40] / single[:, 1]) - 39 * (2 * np.log(1e-3) + special.digamma(400) - np.log(400))
    assert np.all(np.abs(growth) < 5 * np.sqrt(39 * special.polygamma(1, 400)))
    np.testing.assert_allclose(single[:, :50], double[:, :50], rtol=1e-4)
    np.testing.assert_array_equal(single[:, 60:], 0.0)


def test_what_outgrows_floating_point_is_an_error():
    with pytest.raises(OverflowError, match=r"at layer 5\d of 200 at sigma_w = 1000"):
        sample(activation="linear", sigma_w=1e3, depth=200)


def test_one_input_without_a_signal():
    start = np.kron(np.diag([1.0, 0.0]), np.eye(2))
    samples = sample(inputs=None, gram=start, depth=5)
    assert np.all(order_parameters(samples)[..., 0] > 0)
    np.testing.assert_array_equal(order_parameters(samples)[..., 1], 0.0)
    np.testing.assert_array_equal(cross_block(samples), 0.0)


# ---- a given Gram matrix --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_the_input_layer_is_a_case_of_a_given_gram_matrix(symmetry):
    k = as_symmetry(symmetry).capsule_dimension
    x = INPUTS / np.linalg.norm(INPUTS, axis=1, keepdims=True)
    given = sample(symmetry, inputs=None, gram=0.7 / k * np.kron(x @ x.T, np.eye(k)), depth=2)
    xr.testing.assert_allclose(sample(symmetry, d_0=0.7, depth=2), given, rtol=1e-9)
    np.testing.assert_allclose(given.attrs["start"].reshape(3 * k, 3 * k)[0, 0], 0.7 / k)
    assert "d_0" not in given.attrs


def test_inputs_of_different_sizes_are_a_case_too():
    x, sizes = INPUTS / np.linalg.norm(INPUTS, axis=1, keepdims=True), np.array([0.7, 0.2, 1.5])
    lengths = np.sqrt(sizes)[:, None] * x
    given = sample("O(3)", inputs=None, gram=np.kron(lengths @ lengths.T, np.eye(3)) / 3.0, depth=2)
    xr.testing.assert_allclose(sample("O(3)", d_0=sizes, depth=2), given, rtol=1e-9)


def test_one_input_at_two_sizes():
    """Which are apart in every layer, and point the same way only after the input layer."""
    found = sample("U(1)", inputs=INPUTS[[0, 0]], d_0=[1.0, 4.0], width=2000, n_networks=40)
    c = order_parameters(found)[:, 0].mean(axis=0)
    first = trajectory(1, 1.0, c=(1.0, 4.0), delta=2.0).isel(layer=1)
    theory = trajectory(3, 1.5, c=(float(first.c_1), float(first.c_2)), delta=float(first.delta))
    np.testing.assert_allclose(c[:, 0], theory.c_1, rtol=0.02)
    np.testing.assert_allclose(c[:, 1], theory.c_2, rtol=0.02)
    np.testing.assert_allclose(overlap(cross_block(found)[:, 0]).mean(axis=0), theory.delta, rtol=0.02)
    assert theory.c_1[0] < 0.7 * theory.c_2[0]


def test_a_given_gram_matrix_is_the_covariance_of_layer_zero():
    """Linear f shows it bare: E gram^0 = start, for a start that no input layer makes."""
    rows = np.random.default_rng(2).normal(size=(6, 6))
    start = rows @ rows.T
    samples = sample("O(3)", "linear", inputs=None, gram=start, width=20, depth=0, n_networks=800)
    gram = samples.gram.values[:, 0, 0]
    assert np.max(np.abs(gram.mean(axis=0) - start) / stats.sem(gram, axis=0)) < 5
    assert np.all(stats.sem(gram, axis=0) < 0.02 * np.sqrt(np.outer(np.diag(start), np.diag(start))))


def test_a_complex_gram_matrix_of_unequal_norms():
    """E z_a conj(z_b) of linear f by its own definition; of tanh the trajectory that starts one layer earlier."""
    sizes, delta, phi = (1.5, 0.6), 0.7, 0.8
    start = np.array([[sizes[0], delta * np.exp(1j * phi)], [delta * np.exp(-1j * phi), sizes[1]]])
    np.testing.assert_allclose(as_gram(sizes, delta, phi), start, rtol=1e-15)
    bare = sample("U(1)", "linear", inputs=None, gram=start, width=50, depth=0, n_networks=800).gram.values[:, 0, 0]
    z = bare[:, ::2] + 1j * bare[:, 1::2]  # of Re and Im of a against those of b
    covariance = z[:, :, ::2] - 1j * z[:, :, 1::2]
    error = stats.sem(covariance.real, axis=0) + 1j * stats.sem(covariance.imag, axis=0)
    difference = covariance.mean(axis=0) - start
    assert np.all(np.abs(difference.real) < 5 * error.real + 1e-12)
    assert np.all(np.abs(difference.imag) < 5 * error.imag + 1e-12)
    assert np.all(error.real < 0.05)
    samples = sample(inputs=None, gram=start, width=4000, depth=2, n_networks=40)
    first = trajectory(1, 1.0, c=sizes, delta=delta).isel(layer=1)
    theory = trajectory(2, 1.5, c=(float(first.c_1), float(first.c_2)), delta=float(first.delta), phi=phi)
    q = cross_block(samples)[:, 0]
    for found, expected in (
        (order_parameters(samples)[:, 0, :, 1], theory.c_2),
        (overlap(q), theory.delta * np.cos(phi)),
        (turn(q), theory.delta * np.sin(phi)),
    ):
        # what is of order 1/N is far below these errors, which are of order 1/sqrt(N)
        assert np.all(np.abs(found.mean(axis=0) - expected.values) < 5 * stats.sem(found, axis=0))
    other = sample(inputs=None, gram=np.array(start.conj()), width=4000, depth=2, n_networks=40)
    assert turn(cross_block(other)).mean() < -0.1 < 0.1 < turn(q).mean()


def test_equal_inputs_in_a_given_gram_matrix_stay_equal():
    samples = sample("O(3)", inputs=None, gram=np.kron(np.ones((2, 2)), np.diag([1.0, 0.3, 0.0])), depth=50)
    np.testing.assert_array_equal(cross_block(samples), cross_block(samples, 0, 0))


# ---- reproducibility and resources ----------------------------------------------------------------------------------


@pytest.mark.parametrize("chunk", [2**17, 100])
def test_network_i_does_not_depend_on_the_number_of_networks_or_on_the_workers(chunk, monkeypatch):
    """Networks of a block side by side, and, where they are wide in comparison with a chunk, one by one."""
    monkeypatch.setitem(collective.CHUNK, "cpu", chunk)
    few = sample(n_networks=BLOCK + 3, seed=3)
    with ThreadPoolExecutor(3) as executor:
        many = sample(n_networks=2 * BLOCK + 1, seed=3, executor=executor)
    assert few.sizes["network"] == BLOCK + 3
    np.testing.assert_array_equal(few.gram, many.gram[: BLOCK + 3])
    np.testing.assert_array_equal(few.d, many.d[: BLOCK + 3])
    assert np.unique(order_parameters(many)[:, 0, -1, 0]).size == 2 * BLOCK + 1
    assert np.all(sample(n_networks=2, seed=4).d.values != few.d.values[:2])


def test_a_sampler_can_be_sent_to_another_process():
    sampler = Collective(setup("O(3)"))
    expected = sampler(range(1, 2))
    for one, other in zip(pickle.loads(pickle.dumps(sampler))(range(1, 2)), expected, strict=True):
        np.testing.assert_array_equal(one, other)


@pytest.mark.parametrize("chunk", [2**17, BLOCK * 8 * 6, 100])
def test_blocks_together_are_the_blocks_alone(chunk, monkeypatch):
    monkeypatch.setitem(collective.CHUNK, "cpu", chunk)
    sampler = Collective(setup(dtype="float64"))
    together = sampler(range(1, 3))[0]
    np.testing.assert_allclose(together, np.concatenate([sampler(range(b, b + 1))[0] for b in (1, 2)]), rtol=1e-12)


@pytest.mark.parametrize("chunk", [2**17, BLOCK * 8 * 6])
def test_a_sweep_shares_its_draws_with_single_runs(chunk, monkeypatch):
    """All sigma_w at once, and one after another."""
    points = [0.5, 1.0, 1.5]
    alone = [sample(sigma_w=value).gram.values for value in points]
    monkeypatch.setitem(collective.CHUNK, "cpu", chunk)
    options = {"width": 8, "depth": 3, "n_networks": 4, "dtype": "float64", "device": "cpu"}
    sweep = sample_collective(Ensemble("U(1)", "tanh", 9.0), INPUTS, sigma_w=points, **options)
    np.testing.assert_allclose(sweep.gram, np.concatenate(alone, axis=1), rtol=1e-10, atol=1e-15)


@pytest.mark.parametrize("sampler", [sample_networks, sample_collective])
def test_float32_rounding_is_far_below_the_standard_error(sampler):
    ensemble, options = Ensemble("U(1)", "tanh", 1.5), {"width": 64, "depth": 12, "n_networks": 32, "device": "cpu"}
    single, double = (sampler(ensemble, INPUTS, dtype=dtype, **options) for dtype in ("float32", "float64"))
    error = stats.sem(order_parameters(double), axis=0)
    shift = np.mean(order_parameters(single) - order_parameters(double), axis=0)
    assert np.max(np.abs(shift) / error) < 1e-3
    assert np.any(single.gram.values != double.gram.values)


class _Largest(TorchDispatchMode):
    """Notes how many numbers the largest tensor has that anything computes."""

    numbers = 0

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        out = func(*args, **(kwargs or {}))
        if isinstance(out, torch.Tensor):
            self.numbers = max(self.numbers, out.numel())
        return out


def test_memory_does_not_grow_with_the_width():
    sampler = Collective(setup("O(3)", width=10**6, depth=0), n_networks=1)
    with _Largest() as largest:
        gram, _ = sampler(range(1))
    assert gram.shape == (1, 1, 1, 9, 9)  # the other networks of the block are left out
    assert 2**16 < largest.numbers <= 2**17
    assert Collective(setup("O(3)", width=10**9)).block_bytes == Collective(setup("O(3)", width=10**6)).block_bytes


# ---- square roots ---------------------------------------------------------------------------------------------------


def test_triangular_factor_against_lapack():
    rows = np.random.default_rng(3).normal(size=(4, 30))
    factor = triangular_factor(torch.from_numpy(rows.copy()), 1e-16).numpy()
    np.testing.assert_allclose(factor, np.linalg.cholesky(rows @ rows.T), rtol=1e-12, atol=1e-13)


def test_complex_triangular_factor_against_lapack():
    rows = np.random.default_rng(3).normal(size=(3, 2, 30))
    number = rows[:, 0] + 1j * rows[:, 1]
    factor = triangular_factor(torch.from_numpy(rows.reshape(6, 30)), 1e-16, circular=True).numpy()
    expected = np.linalg.cholesky(number @ number.conj().T)
    np.testing.assert_allclose(factor[0::2] + 1j * factor[1::2], expected, rtol=1e-12, atol=1e-13)


def test_triangular_factor_keeps_what_a_gram_matrix_loses():
    """Rows e and e + 1e-12 e': the distance on the diagonal, known to a rounding error of its row."""
    rows = torch.zeros(2, 3, dtype=torch.float64)
    rows[:, 0], rows[1, 1] = 1.0, 1e-12
    np.testing.assert_allclose(triangular_factor(rows, 1e-16)[1], [1.0, 1e-12], rtol=1e-3)


def test_dependent_rows_end_on_zero():
    row = np.random.default_rng(4).normal(size=50)
    factor = triangular_factor(torch.from_numpy(np.stack([row, 0.3 * row, np.zeros(50)])), 2e-16).numpy()
    np.testing.assert_allclose(factor[:, 0], np.linalg.norm(row) * np.array([1.0, 0.3, 0.0]), rtol=1e-14)
    np.testing.assert_array_equal(factor[:, 1:], 0.0)


def test_cholesky_rows_of_a_singular_matrix():
    rows = np.random.default_rng(5).normal(size=(5, 2))
    gram = rows @ rows.T
    gram[:, 3] = gram[3] = 0.0
    root = cholesky_rows(gram)
    np.testing.assert_allclose(root @ root.T, gram, atol=1e-13)
    np.testing.assert_array_equal(root, np.tril(root))


# ---- the result -----------------------------------------------------------------------------------------------------


def test_dataset_says_what_it_is_and_survives_a_file(tmp_path):
    samples = sample("O(3)", inputs=None, gram=np.eye(6), width=7, depth=2, n_networks=5, seed=8)
    assert dict(samples.sizes) == {"network": 5, "sigma_w": 1, "layer": 3, "row": 6, "column": 6, "input": 2}
    wanted = {"symmetry": "O(3)", "activation": "tanh", "width": 7, "seed": 8, "sampler": "collective", "partial": 0}
    assert wanted.items() <= samples.attrs.items()
    samples.to_netcdf(tmp_path / "samples.nc")
    with xr.open_dataset(tmp_path / "samples.nc") as read:
        xr.testing.assert_identical(read.load(), samples)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_where_an_activation_vanishes(dtype):
    """f = sin, and d_0 so that capsules are of a size near pi, where it crosses zero: c is the mean of sin^2."""
    samples = sample(
        activation=lambda r: (torch if isinstance(r, torch.Tensor) else np).sin(r),
        d_0=2.0 * np.pi**2,
        width=4000,
        depth=0,
        n_networks=64,
        dtype=dtype,
    )
    c = order_parameters(samples)[:, 0, 0, 0]
    # |z|^2 has the exponential law of mean d_0, and E sin^2(r) = (1 - E cos(2r))/2 by quadrature
    r = np.linspace(0.0, 60.0, 200_001)
    expected = np.trapezoid(np.sin(r) ** 2 * 2.0 * r / (2.0 * np.pi**2) * np.exp(-(r**2) / (2.0 * np.pi**2)), r)
    assert abs(c.mean() - expected) < 5.0 * c.std(ddof=1) / 8.0


@pytest.mark.parametrize("sampler", [sample_collective, sample_networks])
def test_the_users_default_precision_does_not_choose_the_networks(sampler):
    sizes = {"width": 8, "depth": 3, "n_networks": 4, "dtype": "float64", "device": "cpu"}
    expected = sampler(Ensemble(), INPUTS, **sizes)
    torch.set_default_dtype(torch.float64)
    try:
        np.testing.assert_array_equal(sampler(Ensemble(), INPUTS, **sizes).gram, expected.gram)
    finally:
        torch.set_default_dtype(torch.float32)


def test_a_users_activation_is_sampled():
    samples = sample(activation=lambda r: r / (1.0 + r), n_networks=2)
    assert 0.0 < order_parameters(samples).min() < order_parameters(samples).max() < 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"depth": -1}, "depth must be an integer >= 0, got -1"),
        ({"n_networks": 0}, "n_networks must be an integer >= 1, got 0"),
        ({"n_networks": 1.5}, "n_networks must be an integer >= 1, got 1.5"),
        ({"d_0": 0.0}, "d_0 must be > 0, got 0"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"device": "tpu"}, "device must be"),
        ({"inputs": np.zeros((2, 5))}, "inputs must not contain a zero vector, got one at index 0"),
        ({"inputs": None}, "inputs or gram must be given, and not both, got neither"),
        ({"gram": np.eye(4)}, "inputs or gram must be given, and not both, got both"),
        ({"inputs": None, "gram": np.eye(3)}, r"gram must have shape \(inputs D, inputs D\) with D = 2, got \(3, 3\)"),
        ({"inputs": None, "gram": np.ones(4)}, r"gram must have shape \(inputs D, inputs D\) with D = 2, got \(4,\)"),
        ({"inputs": None, "gram": np.full((2, 2), np.nan)}, "gram must be finite, got nan"),
        (
            {"inputs": None, "gram": np.ones((2, 3)) + 0j},
            r"gram must have shape \(inputs, inputs\) where it is complex, got \(2, 3\)",
        ),
        ({"inputs": None, "gram": np.array([[1.0, 0.5j], [0.5j, 1.0]])}, "gram must be symmetric"),
        ({"inputs": None, "gram": [[1.0, 0.5], [0.0, 1.0]]}, "gram must be symmetric"),
        (
            {"inputs": None, "gram": [[1.0, 2.0], [2.0, 1.0]]},
            "gram must be positive semi-definite, got an eigenvalue -1 of",
        ),
        ({"inputs": None, "gram": np.diag([1.0, -1.0])}, "gram must have a diagonal >= 0, got -1"),
        ({"inputs": None, "gram": np.diag([1e-30, -1e-30])}, "gram must have a diagonal >= 0, got -1e-30"),
        ({"inputs": None, "gram": np.eye(2), "d_0": 2.0}, "d_0 must be left out where gram is given, got 2"),
        ({"inputs": None, "gram": np.eye(2), "d_0": [1.0, 1.0]}, "d_0 must be left out where gram is given, got"),
        ({"inputs": None, "gram": np.eye(2), "group_elements": np.eye(2)}, r"group_elements must be .*; got shape"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        sample(**options)


@pytest.mark.parametrize("start", [{"inputs": INPUTS}, {"gram": np.eye(2)}])
def test_an_ensemble_is_asked_for(start):
    with pytest.raises(ValueError, match=r"ensemble must be a meanfield.Ensemble, got 'U\(1\)'"):
        sample_collective("U(1)", **start, width=4, depth=1, n_networks=1)
