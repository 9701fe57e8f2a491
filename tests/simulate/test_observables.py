import numpy as np
import pytest
import xarray as xr
from scipy import stats
from scipy.linalg import expm

from meanfield import Ensemble, as_symmetry
from simulate import plane_rotation, sample_networks, summary
from simulate.observables import cross_block, group_element, in_frame, order_parameters, overlap, polar_angles, turn

INPUTS = np.array([[1.0, 0.5, 0.0, 0.2], [0.8, 0.1, 0.6, 0.0]])


def sample(symmetry, angle=0.8, n_networks=50):
    k = as_symmetry(symmetry).capsule_dimension
    elements = np.stack([plane_rotation(k, angle), np.eye(k)])
    return sample_networks(
        Ensemble(symmetry), INPUTS, width=32, depth=2, n_networks=n_networks, group_elements=elements, dtype="float64"
    )


def complex_block(c):
    """A Q whose complex number C_ab is c."""
    return 0.5 * np.array([[c.real, -c.imag], [c.imag, c.real]])


def test_the_phase_of_a_u1_block():
    q = complex_block(0.3 * np.exp(2.0j))
    frame = group_element(q, as_symmetry("U(1)"))
    np.testing.assert_allclose(frame, plane_rotation(2, 2.0), atol=1e-15)
    np.testing.assert_allclose(in_frame(q, frame), 0.15 * np.eye(2), atol=1e-16)
    assert overlap(in_frame(q, frame)) == pytest.approx(0.3)
    assert turn(q) == pytest.approx(0.3 * np.sin(2.0))


def test_the_polar_factor_of_an_orthogonal_block():
    g = plane_rotation(3, 1.1) @ np.diag([1.0, 1.0, -1.0])
    stretch = np.diag([0.3, 0.2, 0.1])
    frame = group_element(g @ stretch, as_symmetry("O(3)"))
    np.testing.assert_allclose(frame, g, atol=1e-15)
    np.testing.assert_allclose(in_frame(g @ stretch, frame), stretch, atol=1e-15)


@pytest.mark.parametrize("sign", [-1.0, 1.0])
def test_generic_networks_keep_a_sign(sign):
    q = sign * np.array([[0.3, 0.1], [0.0, 0.2]])
    np.testing.assert_array_equal(group_element(q, as_symmetry("generic(2)")), sign * np.eye(2))


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_summary_against_plain_numpy(symmetry):
    samples = sample(symmetry)
    means = summary(samples)
    assert means.attrs["n_networks"] == 50
    assert means.attrs["width"] == 32
    c = order_parameters(samples)
    np.testing.assert_allclose(means.c, c.mean(axis=0))
    np.testing.assert_allclose(means.c_se, stats.sem(c, axis=0))
    np.testing.assert_allclose(means.gram, samples.gram.mean("network"))
    np.testing.assert_allclose(means.gram_se, stats.sem(samples.gram.values, axis=0))
    np.testing.assert_allclose(means.d_se, stats.sem(samples.d.values, axis=0))
    q = cross_block(samples).mean(axis=0)
    expected = {
        "U(1)": np.hypot(q[..., 0, 0] + q[..., 1, 1], q[..., 1, 0] - q[..., 0, 1]),
        "O(3)": np.linalg.norm(q, "nuc", axis=(-2, -1)),
        "generic(2)": np.abs(q[..., 0, 0] + q[..., 1, 1]),
    }[symmetry]
    np.testing.assert_allclose(means.delta, expected, rtol=1e-12)
    assert ("phi" in means) == (symmetry == "U(1)")


def test_the_overlap_is_along_the_mean_of_layer_0():
    """Networks lose it from layer to layer; by hand in complex numbers."""
    samples = sample("U(1)", n_networks=8)
    q = samples.gram.values[..., :2, 2:].mean(axis=0)
    number = q[..., 0, 0] + q[..., 1, 1] + 1j * (q[..., 1, 0] - q[..., 0, 1])
    along = number * np.conj(number[:, :1]) / np.abs(number[:, :1])
    means = summary(samples)
    np.testing.assert_allclose(means.overlap, along.real, rtol=1e-10)
    np.testing.assert_allclose(means.turn, along.imag, atol=1e-14)


def test_phase_and_its_error_against_a_jackknife():
    samples = sample("U(1)", n_networks=400)
    means = summary(samples)
    np.testing.assert_allclose(means.phi, 0.8, atol=0.05)
    q = cross_block(samples)
    numbers = overlap(q) + 1j * turn(q)
    without = np.angle((numbers.sum(axis=0) - numbers) / 399)
    jackknife = np.sqrt(399 * np.var(without, axis=0))
    np.testing.assert_allclose(means.phi_se, jackknife, rtol=0.02)
    magnitude = np.abs((numbers.sum(axis=0) - numbers) / 399)
    np.testing.assert_allclose(means.delta_se, np.sqrt(399 * np.var(magnitude, axis=0)), rtol=0.02)


def test_one_input_and_one_network():
    single = sample_networks(Ensemble(), INPUTS[:1], width=4, depth=1, n_networks=2)
    names = {f"{name}{ending}" for name in "cd" for ending in ("", "_se", "_var", "_var_se")}
    assert set(summary(single).data_vars) == {"gram", "gram_se"} | names
    with pytest.raises(ValueError, match=r"samples must hold at least 2 independent networks, .* got 1"):
        summary(single.isel(network=[0]))


def test_joined_runs_tell_what_they_have_in_common():
    runs = [sample_networks(Ensemble(), INPUTS, width=4, depth=1, n_networks=n, seed=n) for n in (2, 3)]
    means = summary(xr.concat(runs, "network", combine_attrs="drop_conflicts"))
    assert "seed" not in means.attrs
    assert (means.attrs["n_networks"], means.attrs["width"]) == (5, 4)
    c = np.concatenate([np.trace(run.gram[..., :2, :2].values, axis1=-2, axis2=-1) for run in runs])
    np.testing.assert_allclose(means.c[..., 0], c.mean(axis=0), rtol=1e-12)


@pytest.mark.parametrize(
    ("of", "found"),
    [
        (lambda samples: summary(samples), r"gram \(sigma_w, layer, row, column\), gram_se .*"),  # means, not networks
        (lambda samples: samples.drop_vars("d"), r"gram \(network, sigma_w, layer, row, column\)"),
        (lambda samples: samples.isel(sigma_w=0), r"gram \(network, layer, row, column\), d \(network, layer, input\)"),
        (lambda samples: samples[[]], "none"),
    ],
)
def test_what_is_no_samples_has_no_summary(of, found):
    samples = sample("U(1)", n_networks=2)
    told = (
        r"samples must be of single networks, a dataset of gram \(network, sigma_w, layer, row, column\), "
        r"d \(network, sigma_w, layer, input\), as simulate.sample_networks returns it, got "
    )
    with pytest.raises(ValueError, match=f"^{told}{found}$"):
        summary(of(samples))


@pytest.mark.parametrize("other", [3, None, np.eye(2)])
def test_what_is_no_dataset_has_no_summary(other):
    with pytest.raises(ValueError, match=r"samples must be a dataset of gram \(.*\), got "):
        summary(other)


def test_runs_of_two_symmetries_have_no_summary():
    runs = [sample_networks(Ensemble(each), INPUTS, width=4, depth=1, n_networks=2) for each in ("U(1)", "generic(2)")]
    joined = xr.concat(runs, "network", combine_attrs="drop_conflicts")
    for measured in (summary, order_parameters, cross_block):
        with pytest.raises(ValueError, match="samples must be of one symmetry, which their attributes name"):
            measured(joined)


def test_polar_angles_are_those_of_a_small_rotation():
    generator = np.array([[0.0, -0.01, 0.02], [0.01, 0.0, -0.03], [-0.02, 0.03, 0.0]])
    stretch = np.array([[0.3, 0.1, 0.0], [0.1, 0.2, 0.0], [0.0, 0.0, 0.1]])
    found = polar_angles(np.stack([expm(generator) @ stretch, np.eye(3)]))
    np.testing.assert_allclose(found[0], [0.01, -0.02, 0.03], rtol=1e-3)
    np.testing.assert_array_equal(found[1], 0.0)
