import re
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
import xarray as xr
from scipy import stats

import simulate.sampling
from meanfield import Ensemble, as_symmetry
from simulate import plane_rotation, sample_collective, sample_networks
from simulate.blocks import BLOCK, generator
from simulate.observables import cross_block, order_parameters

SYMMETRIES = ["U(1)", "O(1)", "O(3)", "generic(2)"]
INPUTS = np.random.default_rng(0).uniform(size=(2, 6))
MATRICES = r"group_elements must be orthogonal matrices, one for each input, of shape \(inputs, D, D\)"
ROTATION = r"simulate.plane_rotation\(2, angle\) is that of e\^\(i angle\)"


def sample(symmetry="U(1)", activation="tanh", sigma_w=1.5, inputs=INPUTS, **options):
    options = {"width": 8, "depth": 3, "n_networks": 4, "dtype": "float64", "device": "cpu"} | options
    return sample_networks(Ensemble(symmetry, activation, sigma_w), inputs, **options)


def deviation(values, expected=0.0):
    """The mean's distance from what is expected, in standard errors."""
    return np.abs(np.mean(values, axis=0) - expected) / stats.sem(values, axis=0)


def test_a_network_by_hand():
    """The same draws through complex arithmetic, written down from Eq. (4), (5), (6) and (10)."""
    width, sigma_w = 8, 1.3
    samples = sample(sigma_w=sigma_w, width=width, depth=1, n_networks=2, d_0=0.5)
    source = generator(0, 0, torch.device("cpu"))
    v = torch.randn(BLOCK, 2 * width, 6, generator=source)[1].double().numpy()
    w = torch.randn(BLOCK, 2, width, width, generator=source)[1].double().numpy()
    x = INPUTS / np.linalg.norm(INPUTS, axis=1, keepdims=True)
    z = np.sqrt(0.5 / 2) * (v[0::2] + 1j * v[1::2]) @ x.T
    for layer in range(2):
        phi = np.tanh(np.abs(z)) * z / np.abs(z)
        gram = phi.T @ phi.conj() / width  # C_ab, Eq. (10)
        np.testing.assert_allclose(order_parameters(samples)[1, 0, layer], np.diag(gram).real, rtol=1e-12)
        q = cross_block(samples)[1, 0, layer]
        np.testing.assert_allclose(q[0, 0] + q[1, 1] + 1j * (q[1, 0] - q[0, 1]), gram[0, 1], rtol=1e-12)
        np.testing.assert_allclose(samples.d[1, 0, layer], np.mean(np.abs(z) ** 2, axis=0), rtol=1e-12)
        z = sigma_w / np.sqrt(2 * width) * (w[0] + 1j * w[1]) @ phi


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_gram_matrices_are_symmetric_and_positive(symmetry):
    gram = sample(symmetry, width=3).gram.values
    np.testing.assert_allclose(gram, np.swapaxes(gram, -1, -2), rtol=1e-13)
    assert np.linalg.eigvalsh(gram).min() > -1e-14


# ---- equivariance ---------------------------------------------------------------------------------------------------


def _turned(symmetry, g):
    """Cross blocks Q_12 of the same networks, without and with g acting on the first input."""
    elements = np.stack([g, np.eye(len(g))])
    return cross_block(sample(symmetry)), cross_block(sample(symmetry, group_elements=elements))


def _orthogonal(k, determinant):
    q, _ = np.linalg.qr(np.random.default_rng(k).normal(size=(k, k)))
    q[:, 0] *= np.sign(np.linalg.det(q)) * determinant
    return q


@pytest.mark.parametrize(
    ("symmetry", "g"),
    [
        ("U(1)", plane_rotation(2, 0.7)),
        ("O(1)", -np.eye(1)),
        ("O(3)", _orthogonal(3, 1)),
        ("O(3)", _orthogonal(3, -1)),
        ("generic(2)", -np.eye(2)),
    ],
)
def test_symmetric_networks_carry_a_group_element_to_every_layer(symmetry, g):
    plain, turned = _turned(symmetry, g)
    np.testing.assert_allclose(turned, g @ plain, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("symmetry", "g"),
    [
        ("generic(2)", plane_rotation(2, 0.7)),
        ("U(1)", np.diag([1.0, -1.0])),  # complex conjugation is not in U(1)
    ],
)
def test_what_is_not_in_the_group_is_not_carried(symmetry, g):
    plain, turned = _turned(symmetry, g)
    np.testing.assert_allclose(turned[:, :, 0], (g @ plain)[:, :, 0], rtol=0, atol=1e-13)
    assert np.abs(turned - g @ plain)[:, :, 1:].max(axis=(-1, -2)).min() > 1e-3


# ---- laws that hold at every width ----------------------------------------------------------------------------------


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_linear_networks_grow_by_sigma_w_squared_at_every_width(symmetry):
    samples = sample(symmetry, "linear", 0.8, width=3, depth=2, n_networks=4000, d_0=0.7)
    c = order_parameters(samples)[:, 0]
    expected = 0.7 * 0.8 ** (2 * np.arange(3.0))
    assert deviation(c, expected[:, None]).max() < 4.5
    assert np.all(stats.sem(c, axis=0) < 0.04 * expected[:, None])  # so that a wrong variance would have shown


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_the_preactivations_after_one_layer_have_sigma_w_squared_c(symmetry):
    """E (d^{l+1} | layer l) = sigma_w^2 c^l exactly, at every width: the variance convention of each symmetry."""
    samples = sample(symmetry, sigma_w=1.5, width=2, depth=2, n_networks=4000)
    c, d = order_parameters(samples)[:, 0], samples.d.values[:, 0]
    assert deviation(d[:, 1:] - 1.5**2 * c[:, :-1]).max() < 4.5
    assert deviation(d[:, 1:] - 2 * 1.5**2 * c[:, :-1]).min() > 30  # what Section 2.2 prints for U(1)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_saturated_networks_have_c_equal_to_one(symmetry):
    np.testing.assert_allclose(order_parameters(sample(symmetry, "saturated")), 1.0, rtol=1e-13)


@pytest.mark.parametrize("k", [1, 2, 4])
def test_input_layer(k):
    """E d^0 = d_0, with independent components: E Q_12 is a multiple of the identity (linear f shows it bare)."""
    samples = sample(f"O({k})", "linear", width=5, depth=0, n_networks=4000, d_0=0.3)
    assert deviation(samples.d.values[:, 0, 0], 0.3).max() < 4.5
    x = INPUTS / np.linalg.norm(INPUTS, axis=1, keepdims=True)
    assert deviation(cross_block(samples)[:, 0, 0], 0.3 / k * (x[0] @ x[1]) * np.eye(k)).max() < 4.5


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_inputs_of_different_sizes(symmetry, dtype):
    """Each is as it would be among inputs of its own size, in the same networks."""
    sizes = (0.3, 1e-30)
    alone = [sample(symmetry, d_0=size, inputs=INPUTS[:2], dtype=dtype) for size in sizes]
    both = sample(symmetry, d_0=list(sizes), inputs=INPUTS[:2], dtype=dtype)
    for place, one in enumerate(alone):
        np.testing.assert_allclose(order_parameters(both)[..., place], order_parameters(one)[..., place], rtol=1e-6)
        np.testing.assert_allclose(both.d[..., place], one.d[..., place], rtol=1e-6)
    assert both.attrs["d_0"] == list(sizes)
    assert alone[0].attrs["d_0"] == 0.3


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("sigma_w", "d_0"), [(1.5, 1e-20), (1.5, 1e-100), (1e-12, 1.0), (1e-60, 1.0), (1e60, 1e60)])
def test_saturated_networks_have_c_equal_to_one_at_any_size(sigma_w, d_0, dtype):
    samples = sample("O(3)", "saturated", sigma_w, d_0=d_0, dtype=dtype)
    np.testing.assert_allclose(order_parameters(samples), 1.0, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("symmetry", SYMMETRIES)
@pytest.mark.parametrize("power", [-130, 130])
def test_linear_networks_are_the_same_at_any_size(symmetry, power, dtype):
    """A power of two in d_0 goes through to every layer."""
    one, other = (sample(symmetry, "linear", d_0=d_0, dtype=dtype) for d_0 in (1.0, 4.0**power))
    np.testing.assert_array_equal(other.gram, 4.0**power * one.gram)
    np.testing.assert_array_equal(other.d, 4.0**power * one.d)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_the_smallest_states_see_the_slope_only(dtype):
    options = {"sigma_w": 2.0**-150, "depth": 2, "dtype": dtype}
    tanh, linear = (sample(activation=name, d_0=1e-30, **options) for name in ("tanh", "linear"))
    np.testing.assert_allclose(tanh.gram, linear.gram, rtol=1e-5)
    ordinary = sample(activation="linear", sigma_w=1.0, depth=2, d_0=1e-30, dtype=dtype)
    np.testing.assert_array_equal(linear.d[:, 0, 2], 2.0**-600 * ordinary.d[:, 0, 2])


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
def test_the_largest_states_see_the_limit_only(name, dtype):
    """Where f = 1, a layer is that of a saturated network."""
    huge, limit = (sample(activation=f, d_0=1e60, depth=1, dtype=dtype) for f in (name, "saturated"))
    np.testing.assert_allclose(huge.gram[:, :, 0], limit.gram[:, :, 0], rtol=1e-6)
    np.testing.assert_allclose(huge.d, limit.d, rtol=1e-6)


@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_what_outgrows_floating_point_is_an_error(dtype):
    with pytest.raises(OverflowError, match=r"c outgrows float64 numbers at layer 5\d of 200 at sigma_w = 1000"):
        sample("U(1)", "linear", 1e3, depth=200, dtype=dtype)


@pytest.mark.parametrize("sampler", [sample_networks, sample_collective])
def test_the_layer_that_outgrows_floating_point_is_named(sampler):
    """One layer less is measured; so are smaller weights."""
    sizes = {"width": 8, "n_networks": 1, "sigma_w": [1.0, 1e3, 10.0], "device": "cpu"}
    with pytest.raises(OverflowError) as raised:
        sampler(Ensemble("U(1)", "linear"), INPUTS, depth=80, **sizes)
    layer = int(re.search(r"at layer (\d+) of 80 at sigma_w = 1000$", str(raised.value))[1])
    assert np.isfinite(sampler(Ensemble("U(1)", "linear"), INPUTS, depth=layer - 1, **sizes).gram).all()
    with pytest.raises(OverflowError, match=f"at layer {layer} of {layer}"):
        sampler(Ensemble("U(1)", "linear"), INPUTS, depth=layer, **sizes)


@pytest.mark.parametrize("size", [1e-300, 1e-200, 1e200])
def test_only_directions_of_inputs_enter(size):
    np.testing.assert_allclose(sample(inputs=INPUTS * size).gram, sample().gram, rtol=1e-12)


# ---- reproducibility ------------------------------------------------------------------------------------------------


def test_the_same_seed_gives_the_same_bits_and_another_does_not():
    one, again, other = sample(seed=3), sample(seed=3), sample(seed=4)
    np.testing.assert_array_equal(one.gram, again.gram)
    assert np.all(one.d.values != other.d.values)


def test_network_i_does_not_depend_on_the_number_of_networks_or_on_the_workers():
    few = sample(n_networks=BLOCK + 3)
    with ThreadPoolExecutor(3) as executor:
        many = sample(n_networks=3 * BLOCK, executor=executor)
    assert few.sizes["network"] == BLOCK + 3
    np.testing.assert_array_equal(few.gram, many.gram[: BLOCK + 3])
    np.testing.assert_array_equal(few.d, many.d[: BLOCK + 3])


def test_no_two_networks_are_the_same():
    c = order_parameters(sample(n_networks=2 * BLOCK))[:, 0, -1, 0]
    assert np.unique(c).size == 2 * BLOCK


def test_a_sweep_shares_its_draws_with_single_runs():
    options = {"width": 8, "depth": 3, "n_networks": 3, "dtype": "float64", "device": "cpu"}
    sweep = sample_networks(Ensemble("O(3)", "tanh", 9.0), INPUTS, sigma_w=[0.5, 1.0], **options)
    for sigma_w in (0.5, 1.0):
        alone = sample_networks(Ensemble("O(3)", "tanh", sigma_w), INPUTS, **options)
        one = {"sigma_w": [sigma_w]}
        xr.testing.assert_allclose(sweep.sel(one), alone, rtol=1e-12)


def test_the_sweeps_values_are_kept_to_full_precision():
    samples = sample_networks(Ensemble(), INPUTS, width=4, depth=1, n_networks=1, sigma_w=[0.9, 1.3], dtype="float32")
    np.testing.assert_array_equal(samples.sigma_w, [0.9, 1.3])


# ---- the result -----------------------------------------------------------------------------------------------------


def test_dataset_says_what_it_is_and_survives_a_file(tmp_path):
    samples = sample("O(3)", width=7, depth=2, n_networks=5, seed=8)
    assert dict(samples.sizes) == {"network": 5, "sigma_w": 1, "layer": 3, "row": 6, "column": 6, "input": 2}
    wanted = {"symmetry": "O(3)", "activation": "tanh", "width": 7, "seed": 8, "dtype": "float64", "device": "cpu"}
    assert wanted.items() <= samples.attrs.items()
    assert samples.attrs["version_torch"] == torch.__version__
    samples.to_netcdf(tmp_path / "samples.nc")
    with xr.open_dataset(tmp_path / "samples.nc") as read:
        xr.testing.assert_identical(read.load(), samples)


@pytest.mark.parametrize("tf32", [False, True])
def test_tf32_is_allowed_where_it_is_asked_for(monkeypatch, tf32):
    """During the products; what a GPU makes of it is another test's."""
    seen, linear = [], simulate.sampling.linear

    def spied(*args):
        seen.append(torch.get_float32_matmul_precision())
        return linear(*args)

    monkeypatch.setattr(simulate.sampling, "linear", spied)
    sample(tf32=tf32)
    assert seen == ["high" if tf32 else "highest"] * 3


def test_progress_counts_networks():
    counted = []
    sample(n_networks=BLOCK + 5, progress=counted.append)
    assert counted == [BLOCK, 5]


def test_a_users_activation_is_sampled():
    samples = sample(activation=lambda r: r / (1.0 + r), n_networks=2)
    assert 0.0 < order_parameters(samples).min() < order_parameters(samples).max() < 1.0


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"width": 2.5}, "width must be an integer >= 1, got 2.5"),
        ({"depth": -1}, "depth must be an integer >= 0, got -1"),
        ({"n_networks": 0}, "n_networks must be an integer >= 1, got 0"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"d_0": 0.0}, "d_0 must be > 0, got 0"),
        ({"d_0": [1.0] * 5}, r"d_0 must be a number, or one for each of the \d inputs, got shape \(5,\)"),
        ({"d_0": [1.0, 0.0]}, "d_0 must be > 0, got 0"),
        ({"dtype": "float16"}, "dtype must be"),
        ({"device": "tpu"}, "device must be"),
        ({"dtype": ["float64"]}, r"dtype must be .*, got \['float64'\]"),
        ({"memory": [1e9, 1e9]}, r"memory must be one number, got shape \(2,\)"),
        ({"executor": 5}, r"executor must be a concurrent\.futures\.Executor, got 5"),
        ({"progress": True}, "progress must be a function of the number of networks .*, or None, got True"),
        ({"inputs": np.ones(5)}, r"inputs must have shape \(inputs, features\), got \(5,\)"),
        ({"inputs": np.zeros((2, 5))}, "inputs must not contain a zero vector, got one at index 0"),
        ({"inputs": np.full((2, 5), np.nan)}, "inputs must be finite"),
        ({"group_elements": np.eye(2)}, rf"^{MATRICES} = \(2, 2, 2\); {ROTATION}; got shape \(2, 2\)$"),
        ({"group_elements": [1, np.exp(1j)]}, rf"^{MATRICES} = \(2, 2, 2\); {ROTATION}; got shape \(2,\)$"),
        ({"group_elements": [np.eye(2), np.eye(3)]}, rf"^{MATRICES} .*; {ROTATION}; got matrices of unequal shapes$"),
        (
            {"symmetry": "O(3)", "group_elements": [np.eye(2)] * 2},
            rf"^{MATRICES} = \(2, 3, 3\); got shape \(2, 2, 2\)$",
        ),
        ({"group_elements": 1j * np.stack([np.eye(2)] * 2)}, "^group_elements must be a real number or an array of"),
        ({"group_elements": np.full((2, 2, 2), np.nan)}, "^group_elements must be finite, got nan"),
        ({"group_elements": 2.0 * np.stack([np.eye(2)] * 2)}, rf"^{MATRICES} .*; got one that is not orthogonal$"),
        ({"group_elements": np.stack([plane_rotation(2, 1.0).round(9)] * 2)}, "got one that is not orthogonal"),
        ({"symmetry": "SU(2)"}, "symmetry must be"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        sample(**options)


@pytest.mark.parametrize(
    ("sigma_w", "message"),
    [([-1.0], "sigma_w must be >= 0, got -1"), ([[1.0]], r"one-dimensional, got shape \(1, 1\)"), ([], "not be empty")],
)
def test_bad_sweeps(sigma_w, message):
    with pytest.raises(ValueError, match=message):
        sample_networks(Ensemble(), INPUTS, width=4, depth=1, n_networks=1, sigma_w=sigma_w)


def test_an_ensemble_is_asked_for():
    with pytest.raises(ValueError, match=r"ensemble must be a meanfield.Ensemble, got 'U\(1\)'"):
        sample_networks("U(1)", INPUTS, width=4, depth=1, n_networks=1)


def test_plane_rotation():
    r = plane_rotation(3, 0.3)
    np.testing.assert_allclose(r @ [1.0, 0.0, 0.0], [np.cos(0.3), np.sin(0.3), 0.0])
    np.testing.assert_allclose(r[2], [0, 0, 1])
    with pytest.raises(ValueError, match="dimension must be an integer >= 2, got 1"):
        plane_rotation(as_symmetry("O(1)").capsule_dimension, 0.3)


@pytest.mark.parametrize(
    ("angle", "message"),
    [
        (float("nan"), "angle must be finite, got nan"),
        (np.inf, "angle must be finite, got inf"),
        ("0.3", "angle must be a real number.*, got '0.3'"),
        ([0.3], r"angle must be one number, got shape \(1,\)"),
    ],
)
def test_an_angle_is_a_finite_number(angle, message):
    with pytest.raises(ValueError, match=message):
        plane_rotation(2, angle)
