from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import xarray as xr

from meanfield import Ensemble, as_symmetry
from meanfield.jacobian import jacobian_trajectory
from simulate import plane_rotation, sample_networks
from simulate.blocks import BLOCK, PartialResultWarning, generator
from simulate.jacobians import Jacobians, sample_jacobians
from simulate.setup import Setup
from simulate.statistics import Estimate, extrapolate, mean_and_error, remainder

INPUTS = np.array([[1.0, 0.5, 0.2], [0.1, 0.6, 0.3]])
EPS = np.finfo(float).eps


def sample(symmetry="U(1)", activation="tanh", inputs=INPUTS[:1], **options):
    options = {"width": 8, "depth": 3, "n_networks": BLOCK, "device": "cpu"} | options
    return sample_jacobians(Ensemble(symmetry, activation), inputs, **options)


# ---- one network by hand: the same draws, other arithmetic ----------------------------------------------------------

WIDTH, DEPTH, SIGMA_W, D_0 = 4, 3, 1.3, 0.5
PHI = {
    "tanh": lambda z: torch.tanh(abs(z)) * z / abs(z),
    "linear": lambda z: z,
    "saturated": lambda z: z / abs(z),
}


def drawn(*shapes):
    """The random numbers of network 1 of a block, in the order of its layers."""
    source = generator(0, 0, torch.device("cpu"))
    return [torch.randn(BLOCK, *shape, generator=source)[1].double() for shape in shapes]


def full_jacobians(maps, start):
    """dz^l/dz^0 at l = 0, 1, ..., by automatic differentiation of the whole map, and the states."""

    def layers(state):
        states = [state]
        for step in maps:
            states.append(step(states[-1]))
        return tuple(states)

    return torch.autograd.functional.jacobian(layers, start), layers(start)


@pytest.mark.parametrize("name", sorted(PHI))
def test_u1_in_complex_form(name):
    """Eq. (51)-(53) with both derivatives d/dz and d/dz^dagger, from automatic differentiation."""
    v, *weights = drawn((2 * WIDTH, 3), *[(2, WIDTH, WIDTH)] * DEPTH)
    x = torch.from_numpy(INPUTS[0] / np.linalg.norm(INPUTS[0]))
    start = (np.sqrt(D_0 / 2.0) * v @ x).reshape(WIDTH, 2)
    complex_weights = [SIGMA_W / np.sqrt(2 * WIDTH) * torch.complex(*w) for w in weights]

    def step(w):
        return lambda z: torch.view_as_real(w @ PHI[name](torch.view_as_complex(z)))

    jacobians, states = full_jacobians([step(w) for w in complex_weights], start)
    found = sample(width=WIDTH, depth=DEPTH, activation=name, sigma_w=SIGMA_W, d_0=D_0, spectrum=True)
    found = found.isel(network=1, sigma_w=0, input=0)
    for layer, (jacobian, state) in enumerate(zip(jacobians, states, strict=True)):
        by_x, by_y = jacobian[..., 0], jacobian[..., 1]  # of the real and imaginary part of z^l: (i, part, j)
        by_x, by_y = (torch.complex(d[:, 0], d[:, 1]) for d in (by_x, by_y))
        by_z, by_z_dagger = (by_x - 1j * by_y) / 2, (by_x + 1j * by_y) / 2
        z_0, z_l = (torch.view_as_complex(s) for s in (start, state))
        protected = by_z @ z_0 - by_z_dagger @ z_0.conj()
        torch.testing.assert_close(protected, z_l, rtol=1e-12, atol=1e-13)
        np.testing.assert_allclose(found.protected[layer], protected.abs().square().mean(), rtol=1e-12)
        np.testing.assert_allclose(found.d[layer], z_l.abs().square().mean(), rtol=1e-12)
        # |J|_F^2 in real components is 2 (|d/dz|^2 + |d/dz^dagger|^2)
        size = by_z.abs().square().sum() + by_z_dagger.abs().square().sum()
        np.testing.assert_allclose(found.norm[layer], size / WIDTH, rtol=1e-12)
    matrix = jacobians[-1].reshape(2 * WIDTH, 2 * WIDTH).numpy()
    np.testing.assert_allclose(found.singular_values, np.linalg.svd(matrix, compute_uv=False), rtol=1e-9, atol=1e-14)


@pytest.mark.parametrize("symmetry", ["O(1)", "O(3)", "generic(2)", "generic(3)"])
def test_real_networks_against_automatic_differentiation(symmetry):
    k = as_symmetry(symmetry).capsule_dimension
    family = as_symmetry(symmetry).family
    shape = (WIDTH, WIDTH) if family == "O" else (WIDTH * k, WIDTH * k)
    v, *weights = drawn((WIDTH * k, 3), *[shape] * DEPTH)
    x = torch.from_numpy(INPUTS[0] / np.linalg.norm(INPUTS[0]))
    start = (np.sqrt(D_0 / k) * v @ x).reshape(WIDTH, k)

    def step(w):
        def apply(z):
            r = z.square().sum(1, keepdim=True).sqrt()
            phi = torch.tanh(r) * z / r
            product = w @ phi if family == "O" else (w @ phi.reshape(-1)).reshape(WIDTH, k)
            return SIGMA_W / np.sqrt(len(w)) * product

        return apply

    jacobians, states = full_jacobians([step(w) for w in weights], start)
    found = sample(symmetry, width=WIDTH, depth=DEPTH, sigma_w=SIGMA_W, d_0=D_0, spectrum=True)
    found = found.isel(network=1, sigma_w=0, input=0)
    for layer, (jacobian, state) in enumerate(zip(jacobians, states, strict=True)):
        matrix = jacobian.reshape(WIDTH * k, WIDTH * k).numpy()
        np.testing.assert_allclose(found.norm[layer], np.sum(matrix**2) / (WIDTH * k), rtol=1e-12)
        r, factor = state.norm(dim=1).numpy(), SIGMA_W**2 / k
        np.testing.assert_allclose(found.amplitude[layer], factor * np.mean(np.cosh(r) ** -4.0), rtol=1e-12)
        np.testing.assert_allclose(found.angular[layer], factor * (k - 1) * np.mean((np.tanh(r) / r) ** 2), rtol=1e-12)
        if k == 1:
            continue
        sizes = np.zeros(3)
        for a in range(k):
            for b in range(a):
                turn = np.zeros((k, k))
                turn[a, b], turn[b, a] = 1.0, -1.0
                pushed = matrix @ (start.numpy() @ turn.T).ravel()
                expected = (state.numpy() @ turn.T).ravel()
                sizes += [pushed @ pushed, np.sum((pushed - expected) ** 2), expected @ expected]
        np.testing.assert_allclose(found.protected[layer], sizes[0] / WIDTH, rtol=1e-12)
        np.testing.assert_allclose(found.residual[layer], np.sqrt(sizes[1] / sizes[2]), rtol=1e-9, atol=1e-14)
    np.testing.assert_allclose(found.singular_values, np.linalg.svd(matrix, compute_uv=False), rtol=1e-9, atol=1e-14)


# ---- the identity of Eq. (52), network by network -------------------------------------------------------------------


@pytest.mark.parametrize(("symmetry", "activation"), [("U(1)", "tanh"), ("O(3)", "erf"), ("O(4)", "saturated")])
def test_every_equivariant_network_turns_with_its_input(symmetry, activation):
    """J A z^0 = A z^l up to rounding, which grows with the Jacobian."""
    sigma_w = [1.1, 1.5, 3.0]
    out = sample(symmetry, activation, INPUTS, width=16, depth=40, sigma_w=sigma_w, n_networks=32, probes=0)
    norm = jacobian_trajectory(40, sigma_w, symmetry=symmetry, activation=activation).norm.transpose("sigma_w", "layer")
    assert np.all(out.residual <= 100.0 * EPS * np.sqrt(norm))
    planes = as_symmetry(symmetry).capsule_dimension - 1
    np.testing.assert_allclose(out.protected, planes * out.d, rtol=1e-6)


def test_below_the_transition_too():
    """There z^l shrinks with the Jacobian, and relative rounding errors add up instead of growing."""
    out = sample("U(1)", width=16, depth=40, sigma_w=0.7, n_networks=32, probes=0)
    assert out.d[:, 0, -1].max() < 1e-9
    assert out.residual.max() <= 100.0 * EPS


@pytest.mark.parametrize("symmetry", ["generic(2)", "generic(3)"])
def test_no_generic_network_does(symmetry):
    out = sample(symmetry, inputs=INPUTS, width=16, depth=10, sigma_w=[0.7, 1.5], n_networks=32, probes=0)
    assert np.all(out.residual[:, :, 0] == 0.0)
    assert np.all(out.residual[:, :, 1:] > 0.3)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)"])
def test_turning_the_input_does_not_change_the_singular_values(symmetry):
    k = as_symmetry(symmetry).capsule_dimension
    plain = sample(symmetry, spectrum=True)
    turned = sample(symmetry, spectrum=True, group_elements=plane_rotation(k, 0.9)[None])
    np.testing.assert_allclose(turned.norm, plain.norm, rtol=1e-12)
    np.testing.assert_allclose(turned.singular_values, plain.singular_values, rtol=1e-9, atol=1e-12)
    generic = sample(f"generic({k})"), sample(f"generic({k})", group_elements=plane_rotation(k, 0.9)[None])
    assert np.abs(generic[1].norm / generic[0].norm - 1.0)[:, :, -1].min() > 1e-4


# ---- sampled networks and the theory --------------------------------------------------------------------------------

QUANTITIES = ("norm", "protected", "amplitude", "angular")
START, SCALE = 0.7, 1.5  # E|z^0|^2 and sigma_w
LAYERS = 6


def relative(symmetry, width, n_networks, seed, depth=LAYERS):
    """Sampled over predicted - 1 of each network, (network, quantity x layer)."""
    options = {"width": width, "depth": depth, "n_networks": n_networks, "seed": seed, "probes": 8}
    out = sample(symmetry, **options, d_0=START, sigma_w=SCALE).isel(sigma_w=0, input=0)
    told = jacobian_trajectory(depth, SCALE, START, symmetry=symmetry)
    return np.concatenate([out[name].values / told[name].values - 1.0 for name in QUANTITIES], axis=1)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(3)"])
def test_means_at_infinite_width_are_the_theorys(symmetry):
    """Two widths remove the bias of order 1/N; two smaller ones say what is left (`simulate.statistics`)."""
    widths = enumerate((8, 16, 32, 64))
    estimates = [Estimate.from_samples(relative(symmetry, width, 800, seed)) for seed, width in widths]
    shift = extrapolate(*estimates[2:])
    allowance = np.abs(remainder(extrapolate(*estimates[:2]), shift).value)
    assert np.all(np.abs(shift.value) <= 5.0 * shift.standard_error + allowance)
    assert shift.standard_error.max() < 0.04
    assert allowance.max() < 0.04


@pytest.mark.parametrize("width", [2, 16])
@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(3)"])
def test_the_first_layer_is_exact_at_every_width(symmetry, width):
    """z^0 is exactly Gaussian, and so are z^1 and the directions given z^0: no term in 1/N is left."""
    estimate = Estimate.from_samples(relative(symmetry, width, 2000, seed=9, depth=1).reshape(-1, 4, 2)[:, :2, 1])
    assert np.all(np.abs(estimate.value) <= 5.0 * estimate.standard_error)
    assert estimate.standard_error.max() < 0.03


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_linear_networks_are_exact_at_every_width(symmetry):
    """E |W v|^2 = sigma_w^2 |v|^2, whatever v: norm and protected component are powers of sigma_w^2."""
    out = sample(symmetry, "linear", width=5, depth=4, n_networks=2000, sigma_w=1.2, d_0=0.7)
    planes = as_symmetry(symmetry).capsule_dimension - 1
    growth = 1.2 ** (2.0 * np.arange(5))
    for name, start in (("norm", 1.0), ("protected", 0.7 * planes)):
        estimate = Estimate.from_samples(out[name].values[:, 0, :, 0])
        bound = 5.0 * estimate.standard_error + 1e-12
        assert np.all(np.abs(estimate.value - start * growth) <= bound)
        assert np.all(estimate.standard_error < 0.1 * estimate.value)


# ---- random directions ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetry", ["U(1)", "generic(2)"])
def test_random_directions_estimate_the_norm_of_their_network(symmetry):
    exact = sample(symmetry, width=6)
    found = sample(symmetry, width=6, probes=3000)
    np.testing.assert_allclose(found.norm[:, :, 0], 1.0, rtol=1e-12)  # signs have the length of their number
    later = found.isel(layer=slice(1, None))
    assert np.all(np.abs(later.norm - exact.norm.isel(layer=slice(1, None))) <= 5.0 * later.norm_se)
    assert np.all(later.norm_se < 0.03 * later.norm)


def test_the_standard_error_of_random_directions():
    """Signs g: Var |J g|^2 = 2 sum_{a != b} (J^T J)_ab^2; across networks, (estimate - exact)/se has variance 1."""
    options = {"width": 6, "depth": 2, "n_networks": 1600}
    exact, found = sample(**options), sample(**options, probes=40)
    scores = ((found.norm - exact.norm) / found.norm_se).values[:, 0, -1, 0]
    assert abs(scores.mean()) < 0.3
    assert 0.8 < scores.std() < 1.25


def test_the_standard_error_of_two_directions():
    """Its square is unbiased: a variance with one degree of freedom is not divided by 2."""
    options = {"width": 6, "depth": 2, "n_networks": 1600}
    exact, found = sample(**options), sample(**options, probes=2)
    square, told = ((found.norm - exact.norm).values[:, 0, 2, 0] ** 2, found.norm_se.values[:, 0, 2, 0] ** 2)
    error = np.std(square - told, ddof=1) / 40.0
    assert abs(square.mean() - told.mean()) < 4.0 * error < 0.35 * told.mean()


# ---- what a run is made of ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_the_networks_are_those_of_sample_networks(symmetry):
    options = {"width": 6, "depth": 4, "n_networks": 20, "seed": 3, "sigma_w": [0.8, 1.5], "d_0": 0.4}
    found = sample(symmetry, inputs=INPUTS, probes=2, **options)
    plain = sample_networks(Ensemble(symmetry), INPUTS, dtype="float64", device="cpu", **options)
    assert found.d.dims == plain.d.dims
    np.testing.assert_allclose(found.d, plain.d, rtol=1e-13)


def test_inputs_and_sigma_w_do_not_see_each_other():
    together = sample(inputs=INPUTS, sigma_w=[0.8, 1.5])
    for i in range(2):
        for j, sigma_w in enumerate((0.8, 1.5)):
            alone = sample(inputs=INPUTS[i : i + 1], sigma_w=sigma_w).isel(input=0, sigma_w=0)
            for name in ("norm", "protected", "amplitude", "angular"):
                np.testing.assert_allclose(together[name][:, j, :, i], alone[name], rtol=1e-11, err_msg=name)


def test_neither_the_number_of_networks_nor_the_workers_matter():
    many = sample(n_networks=2 * BLOCK + 3, probes=4)
    with ThreadPoolExecutor(2) as executor:
        threads = sample(n_networks=2 * BLOCK + 3, probes=4, executor=executor)
    xr.testing.assert_identical(many, threads)
    few = sample(n_networks=5, probes=4)
    for name in few:
        np.testing.assert_array_equal(few[name], many[name][:5], err_msg=name)


def test_blocks_computed_together_are_the_same():
    """As on a GPU; every block has random directions of its own."""
    sampler = Jacobians(Setup.create(Ensemble(), INPUTS, width=5, depth=3, dtype="float64", device="cpu"), 4, False)
    both, first, second = sampler(range(2)), sampler(range(1)), sampler(range(1, 2))
    for name, values in both.items():
        expected = np.concatenate([first[name], second[name]])
        np.testing.assert_allclose(values, expected, rtol=1e-11, atol=1e-14, err_msg=name)
    signs = sampler._probes(torch.zeros(2 * BLOCK, 5, 2, 1, 2), range(2))
    assert signs.unique().tolist() == [-1.0, 1.0]
    assert not torch.equal(*signs.split(BLOCK))


def test_a_stopped_run_keeps_what_is_finished():
    def stop(_):
        raise KeyboardInterrupt

    with pytest.warns(PartialResultWarning):
        out = sample(n_networks=3 * BLOCK, probes=0, progress=stop)
    assert out.attrs["partial"] == 1
    assert out.sizes["network"] == BLOCK


def test_the_dataset_says_what_it_is(tmp_path):
    out = sample("O(3)", depth=2, spectrum=True, sigma_w=[0.5, 1.0])
    assert out.attrs["probes"] == "all"
    assert out.attrs["symmetry"] == "O(3)"
    assert "version_torch" in out.attrs
    assert all(out[name].attrs["long_name"] for name in out)
    assert out.singular_values.shape == (BLOCK, 2, 1, 24)
    assert np.all(np.diff(out.singular_values) <= 0.0)
    out.to_netcdf(tmp_path / "jacobians.nc")
    with xr.open_dataset(tmp_path / "jacobians.nc") as read:
        xr.testing.assert_identical(read.load(), out)


def test_what_is_not_asked_for_is_absent():
    assert {"norm", "norm_se", "singular_values"}.isdisjoint(sample(probes=0).data_vars)
    assert {"protected", "residual"}.isdisjoint(sample("O(1)").data_vars)
    assert "norm_se" not in sample().data_vars


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_dead_network(dtype):
    out = sample(sigma_w=0.0, dtype=dtype)
    assert np.all(out.residual == 0.0)
    assert np.all(out.protected[:, :, 1:] == 0.0)
    assert np.all(out.norm[:, :, 1:] == 0.0)


def test_float32_keeps_fewer_digits_of_the_identity():
    out = sample(depth=10, probes=0, dtype="float32")
    assert 1e-8 < out.residual[:, :, -1].max() < 1e-4


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("power", [-100, -40, 40, 100])
def test_a_saturated_jacobian_at_any_size(power, dtype):
    """z/|z| hands on nothing of |z|, so that J^l scales like 1/|z^0|, and A z^l and d^l are what they were."""
    scale, layers = 4.0**power, slice(1, None)
    options = {"depth": 1, "dtype": dtype, "activation": "saturated"}
    one, other = sample(**options), sample(d_0=scale, **options)
    for name, factor in (("d", 1.0), ("protected", 1.0), ("residual", 1.0), ("norm", 1.0 / scale)):
        found, expected = (samples[name].isel(layer=layers) for samples in (other, one))
        np.testing.assert_array_equal(found, factor * expected)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_a_huge_state_is_handed_on_by_its_direction(dtype):
    huge = sample(activation="tanh", d_0=1e40, dtype=dtype)
    limit = sample(activation="saturated", dtype=dtype)
    np.testing.assert_allclose(huge.d[:, :, 1], limit.d[:, :, 1], rtol=1e-5)
    np.testing.assert_allclose(huge.protected, huge.d, rtol=1e-4)
    np.testing.assert_allclose(huge.norm[:, :, 1], 1e-40 * limit.norm[:, :, 1], rtol=1e-5)


@pytest.mark.parametrize("probes", [None, 0])
def test_directions_that_underflow_are_an_error(probes):
    told = "depth must be small enough for a Jacobian in float32, got 3: protected is too small"
    with pytest.raises(ValueError, match=told):
        sample(sigma_w=1e-30, dtype="float32", probes=probes)
    assert np.all(sample(sigma_w=1e-30, dtype="float64", probes=probes).protected > 0.0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"probes": 1}, "probes must be 0, or at least 2 for a standard error, got 1"),
        ({"probes": -1}, "probes must be an integer >= 0, got -1"),
        ({"probes": 2.0}, "probes must be an integer >= 0, got 2.0"),
        ({"probes": 4, "spectrum": True}, "probes must be left out for a spectrum.*got 4"),
        ({"n_networks": 0}, "n_networks must be an integer >= 1, got 0"),
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"sigma_w": -1.0}, "sigma_w must be >= 0, got -1"),
        ({"dtype": "float16"}, "dtype must be 'float32' or 'float64', got 'float16'"),
        (
            {"memory": 1e3, "n_networks": 1, "depth": 0},
            r"memory must be at least .* for a block of 16 networks \(with 17 directions",
        ),
        ({"memory": 1.0}, "memory must be at least .* the results of all 16 networks"),
        ({"activation": "linear", "sigma_w": 1e60}, "depth must be small enough for a Jacobian in float64, got 3: d "),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        sample(**options)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_singular_values_are_distributed_as_in_free_probability(symmetry):
    """Shares above some sizes, to 4 SE and C/N, with C as narrow networks show it."""
    ensemble, depth = Ensemble(symmetry, "tanh", 1.5), 6
    start = 1.5**2 * float(ensemble.fixed_point().c)
    log_value = np.array([-9.0, -5.0, -3.0, -1.5, -0.5, 0.5, 1.2])
    theory = ensemble.jacobian_spectrum(depth, log_value).share_above.values
    found = []
    for width, n_networks in ((16, 160), (64, 40)):
        run = sample_jacobians(
            ensemble, [[1.0]], width=width, depth=depth, n_networks=n_networks, spectrum=True, d_0=start, device="cpu"
        )
        values = run.singular_values.squeeze(["sigma_w", "input"]).values
        share, se = mean_and_error((values[..., None] > np.exp(log_value)).mean(1))
        found.append((share, se))
    (narrow, narrow_se), (wide, wide_se) = found
    c = 16.0 * (np.abs(narrow - theory) + 2.0 * narrow_se)
    assert c.max() < 0.6
    assert np.all(np.abs(wide - theory) < 4.0 * wide_se + c / 64.0)
    assert np.all(wide_se < 0.005)
