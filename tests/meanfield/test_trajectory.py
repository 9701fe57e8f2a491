"""Trajectories: iterated maps, nearly identical inputs, what underflows, phases, labels."""

import numpy as np
import pytest
import xarray as xr
from mpmath import mp, mpf

from meanfield import AccuracyWarning, correlation_map, depth_scales, fixed_point, length_map, precise, trajectory
from tests.meanfield.independent import (
    DIMENSIONS,
    clipped_correlation,
    clipped_length,
    hyperbolic_ratio,
    own_tanh,
    relative,
    toothed,
    toothed_length,
)

NAMED = ("tanh", "erf", "algebraic", "saturated", "linear")


@pytest.mark.parametrize("name", NAMED)
@pytest.mark.parametrize("dimension", [1, 2, 8])
def test_it_is_the_iterated_maps(dimension, name):
    """c, Delta and rho, for equal and unequal norms, for either sign of Delta."""
    symmetry, sigma_w = f"O({dimension})", 1.4
    for c_1, c_2, delta in ((1.0, 1.0, 0.9), (1.0, 1.0, -0.3), (0.7, 2.0, 1.1), (3.0, 0.2, -0.5)):
        path = trajectory(12, sigma_w, (c_1, c_2), delta, symmetry=symmetry, activation=name)
        for layer in range(13):
            at = path.sel(layer=layer)
            assert at.c_1.item() == pytest.approx(c_1, rel=1e-13)
            assert at.c_2.item() == pytest.approx(c_2, rel=1e-13)
            assert at.log_c_1.item() == pytest.approx(np.log(c_1), rel=1e-12, abs=1e-13)
            assert at.delta.item() == pytest.approx(delta, rel=1e-12)
            assert at.rho.item() == pytest.approx(delta / np.sqrt(c_1 * c_2), rel=1e-12)
            assert at.one_minus_rho.item() == pytest.approx(1 - delta / np.sqrt(c_1 * c_2), rel=1e-11)
            delta = correlation_map(delta, (c_1, c_2), sigma_w, symmetry, name)
            c_1, c_2 = (length_map(c, sigma_w, symmetry, name) for c in (c_1, c_2))


def test_one_input():
    path = trajectory(5, 1.5, 0.8)
    assert set(path.data_vars) == {"c", "log_c"}
    c = [0.8]
    for _ in range(5):
        c.append(length_map(c[-1], 1.5))
    np.testing.assert_allclose(path.c, c, rtol=1e-14)


@pytest.mark.parametrize("symmetry", ["U(1)", "generic(2)", "O(3)"])
def test_a_random_layer_is_one_layer_of_sigma_w_1(symmetry):
    """By the maps: at equal norms, at unequal ones with a negative overlap, and for one input."""
    alike = trajectory(2, 1.5, d=0.8, delta=0.5, symmetry=symmetry)
    c, delta = length_map(0.8, 1.0, symmetry), correlation_map(0.5, 0.8, 1.0, symmetry)
    np.testing.assert_allclose([alike.c[0], alike.delta[0]], [c, delta], rtol=1e-14)
    np.testing.assert_allclose(alike.delta[1], correlation_map(delta, c, 1.5, symmetry), rtol=1e-13)
    unequal = trajectory(2, 1.5, d=(0.8, 2.0), delta=-0.5, symmetry=symmetry)
    norms = c, length_map(2.0, 1.0, symmetry)
    np.testing.assert_allclose([unequal.c_1[0], unequal.c_2[0]], norms, rtol=1e-14)
    delta = correlation_map(-0.5, (0.8, 2.0), 1.0, symmetry)
    np.testing.assert_allclose(unequal.delta[0], delta, rtol=1e-13)
    np.testing.assert_allclose(unequal.delta[1], correlation_map(delta, norms, 1.5, symmetry), rtol=1e-13)
    alone = trajectory(2, [1.2, 1.5], d=0.8, symmetry=symmetry)
    assert alone.c.dims == ("layer", "sigma_w")
    np.testing.assert_allclose(alone.c[0], c, rtol=1e-14)


def test_a_random_layer_knows_nothing_of_the_networks():
    """Biases and weights without the symmetry begin after it, and a generic network drops the phase there, too."""
    start = {"d": 0.8, "delta": 0.5, "phi": 1.0}
    first = trajectory(0, 1.5, **start)
    broken = trajectory(1, 0.7, **start, sigma_b=0.3, asymmetry=0.2)
    generic = trajectory(1, 1.5, **start, symmetry="generic(2)")
    for run in (broken, generic):
        for name in ("c", "delta", "phi"):
            assert run[name][0] == first[name][0]
    assert first.phi[0] == 1.0
    expected = correlation_map(first.delta.item() * np.cos(1.0), first.c.item(), 1.5)
    assert generic.delta[1] == pytest.approx(expected, rel=1e-13)


def test_a_random_layer_keeps_the_digits_of_both_ends():
    """erf and O(1), the arcsine law c' = (2/pi) asin(2 d/(1 + 2 d)): its slopes at overlaps 0 and 1."""
    rho, missing = (
        trajectory(0, 1.5, d=0.5, symmetry="O(1)", activation="erf", **start)
        for start in (
            {"delta": 0.5e-200},
            {"one_minus_rho": 1e-18},
        )
    )
    c = np.arcsin(0.5) * 2.0 / np.pi
    assert rho.c[0] == pytest.approx(c, rel=1e-14)
    assert rho.delta[0] == pytest.approx(2.0 / np.pi * 0.5e-200, rel=1e-12)  # asin of delta/(d + 1/2)
    slope = 2.0 / np.pi * 0.5 / np.sqrt(1.0 - 0.25)
    assert missing.one_minus_rho[0] == pytest.approx(slope * 1e-18 / c, rel=1e-12)


def test_a_random_layer_has_an_axis_and_an_error():
    starts = trajectory(1, 1.5, d=[0.5, 1.0])
    np.testing.assert_array_equal(starts.d_0, [0.5, 1.0])
    assert starts.c.dims == ("layer", "d_0")
    clipped = trajectory(1, 1.5, d=1.0, delta=0.5, activation=lambda r: r.clip(max=1.0))
    assert 0.0 < clipped.error_estimate[0] < 1e-6
    with np.errstate(divide="raise", invalid="raise"):
        small = trajectory(2, 1.5, d=5e-324, one_minus_rho=0.5, activation=lambda r: 0.1 * np.tanh(r))
    assert small.c[0] == 0.0
    assert not np.isnan(small.to_dataarray()).any()


def test_depth_zero():
    """No layer at all is the input itself."""
    assert trajectory(0, 1.5, 0.8).c.values.tolist() == [0.8]
    path = trajectory(0, 1.5, (0.8, 0.2), 0.1, phi=0.4)
    assert path.delta.item() == pytest.approx(0.1, rel=1e-15)
    assert path.phi.values.tolist() == [0.4]
    assert path.rho.item() == pytest.approx(0.25, rel=1e-15)


# ---- nearly identical inputs -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic", "saturated"])
@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_identical_inputs_stay_identical(dimension, name):
    """Exactly, at any depth and in the chaotic phase: round-off must not grow as chi_J^L."""
    path = trajectory(300, [0.7, 1.0, 1.5, 30.0], 0.6, one_minus_rho=0.0, symmetry=f"O({dimension})", activation=name)
    np.testing.assert_array_equal(path.rho, 1.0)
    np.testing.assert_array_equal(path.one_minus_rho, 0.0)
    np.testing.assert_array_equal(path.delta, np.sqrt(path.c) ** 2)
    from_delta = trajectory(100, 2.0, 0.6, 0.6, symmetry=f"O({dimension})", activation=name)
    np.testing.assert_array_equal(from_delta.rho, 1.0)


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("dimension", [1, 2, 4, 48])
@pytest.mark.parametrize("start", [1e-15, 1e-100, 1e-300])
def test_one_minus_rho_grows_by_chi_jacobian(start, dimension, name):
    """From 1e-15, or 1e-300, by exactly chi_J in each layer, to 1e-12 over ten layers together."""
    symmetry = f"O({dimension})"
    for sigma_w in (1.01, 1.5, 8.0):
        scales = depth_scales(sigma_w, symmetry, name)
        path = trajectory(10, sigma_w, scales.fixed_point.c, one_minus_rho=start, symmetry=symmetry, activation=name)
        growth = path.one_minus_rho.values / start
        curvature = 10 * growth[-1] * start * sigma_w**4  # of second order in 1 - rho
        np.testing.assert_allclose(growth, float(scales.chi_jacobian) ** np.arange(11), rtol=1e-12 + curvature)
        np.testing.assert_array_equal(path.one_minus_rho[0], start)


SATURATED = {  # Delta' of f = 1, of capsules of D components, in terms of rho
    1: lambda rho: 2 / mp.pi * mp.asin(rho),
    2: lambda rho: (mp.ellipe(rho**2) - (1 - rho**2) * mp.ellipk(rho**2)) / rho,
    3: lambda rho: hyperbolic_ratio(3, rho),
    5: lambda rho: hyperbolic_ratio(5, rho),
}


@pytest.mark.parametrize("dimension", SATURATED)
def test_nearly_identical_inputs_of_a_saturated_network(dimension):
    """1 - rho' keeps its digits from the smallest floats on, whatever else is in the array."""
    missing = np.array([0.0, 3e-308, 1e-300, 1e-280, 1e-100, 1e-16, 1e-3, 0.5, 1.0])
    path = trajectory(1, 0.5, one_minus_rho=missing, symmetry=f"O({dimension})", activation="saturated")
    with mp.workdps(700):
        exact = [1 - SATURATED[dimension](1 - mpf(m)) for m in missing[1:-1]]
        assert relative(path.one_minus_rho[1, 1:-1], exact) < 3e-15
    assert path.one_minus_rho[1, 0] == 0.0
    assert path.one_minus_rho[1, -1] == 1.0
    for i in (1, 2, 5):
        one = trajectory(1, 0.5, one_minus_rho=missing[i], symmetry=f"O({dimension})", activation="saturated")
        assert one.one_minus_rho[1].item() == pytest.approx(path.one_minus_rho[1, i].item(), rel=3e-15)


def test_growth_ends_at_decorrelation():
    """In the chaotic phase 1e-60 grows to order one and rho then decays: no jump where the formulas change."""
    path = trajectory(400, 3.0, 0.7, one_minus_rho=1e-60, symmetry="O(1)")
    missing, rho = path.one_minus_rho.values, path.rho.values
    assert np.all(np.diff(missing) >= 0)
    assert missing[-1] == 1.0
    assert np.all(np.diff(rho) <= 0)
    assert np.all(rho >= 0)
    ratio = (rho[1:] / rho[:-1])[rho[:-1] < 1e-3]
    np.testing.assert_allclose(ratio, depth_scales(3.0, "O(1)").chi_delta, rtol=1e-5)
    np.testing.assert_allclose(ratio[-5:], depth_scales(3.0, "O(1)").chi_delta, rtol=1e-13)
    # across one_minus_rho = 1/2 the two ways of taking a step agree
    low, high = (trajectory(1, 1.5, 0.7, one_minus_rho=m).rho[1].item() for m in (0.5 * (1 - 1e-12), 0.5))
    assert low == pytest.approx(high, rel=3e-12)
    assert low > high


def test_aligned_inputs_of_unequal_norm():
    """They lose overlap by the mismatch of their radii: 1 - <f_1 f_2>/sqrt(<f_1^2><f_2^2>), small as it may be."""
    path = trajectory(1, 1.5, (1.0, 1.0 + 2.0**-30), one_minus_rho=0.0, symmetry="O(3)")
    assert path.one_minus_rho[0] == 0.0
    # to leading order (1/8) (d log c)^2 (<f'^2 r^2>/c' - (<f f' r>/c')^2), from integrals over the radius in mpmath
    with mp.workdps(40):
        moment = lambda g: mp.quad(  # noqa: E731
            lambda y: mp.sqrt(2 / mp.pi) * y * y * mp.exp(-y * y / 2) * g(y * mp.sqrt(mpf(2.25) / 3)), [0, 1, 2, 4, 14]
        )
        norm = moment(lambda r: mp.tanh(r) ** 2)
        square = moment(lambda r: (r * mp.sech(r) ** 2) ** 2) / norm
        mean = moment(lambda r: r * mp.sech(r) ** 2 * mp.tanh(r)) / norm
        expected = (square - mean**2) / 8 * mpf(2) ** -60
    assert path.one_minus_rho[1].item() == pytest.approx(float(expected), rel=1e-7)


@pytest.mark.parametrize("missing", [0.0, 1e-15, 0.3, 1.0, 1.2, 1.859138903031249, 1.9, 2.0 - 2.0**-40, 2.0])
def test_negative_overlaps(missing):
    """1 - rho up to 2, as a trajectory has them itself: against precise, and as mirror images."""
    path = trajectory(2, 1.5, 0.7, one_minus_rho=missing, symmetry="O(3)")
    assert path.one_minus_rho[0] == missing
    assert path.rho[0] == 1.0 - missing
    if missing not in (0.0, 2.0):  # there 1 - rho stays what it is
        exact = precise.correlation_gap(None, 0.7, 1.5, "O(3)", "tanh", 20, one_minus_rho=missing)
        assert relative(path.one_minus_rho[1], exact) < 1e-14
        overlap = precise.correlation_map(None, 0.7, 1.5, "O(3)", "tanh", 20, one_minus_rho=missing)
        assert relative(path.delta[1], overlap) < 1e-14 if missing != 1.0 else path.delta[1] == 0.0
    else:
        np.testing.assert_array_equal(path.one_minus_rho, missing)
    mirrored = trajectory(2, 1.5, 0.7, one_minus_rho=2.0 - missing, symmetry="O(3)")
    np.testing.assert_allclose(path.rho, -mirrored.rho, rtol=1e-14)
    np.testing.assert_allclose(path.one_minus_rho, 2.0 - mirrored.one_minus_rho, rtol=1e-14, atol=1e-15)


def test_a_trajectory_goes_on_from_its_own_end():
    whole = trajectory(6, 1.5, 1.0, -0.9)
    end = whole.isel(layer=3, drop=True)
    rest = trajectory(3, 1.5, end.c, one_minus_rho=end.one_minus_rho)
    np.testing.assert_allclose(rest.rho, whole.rho[3:], rtol=1e-14)


# ---- what underflows, and what explodes ------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["tanh", "erf", "algebraic"])
@pytest.mark.parametrize("sigma_w", [1e-3, 0.3])
def test_below_the_transition(sigma_w, name):
    """c and Delta underflow together; log c goes on falling by log chi a layer, and rho has a limit, never NaN."""
    path = trajectory(700, sigma_w, 0.9, one_minus_rho=0.2, symmetry="O(3)", activation=name)
    assert path.c[-1] == path.delta[-1] == 0.0
    assert np.isfinite(path.log_c).all()
    slope = {"erf": 4 / np.pi}.get(name, 1.0)
    step = np.diff(path.log_c.values)[-1]
    assert step == pytest.approx(np.log(slope * sigma_w**2), rel=1e-11)
    assert not path.rho.isnull().any()
    assert path.rho[-1] == pytest.approx(path.rho[50].item(), rel=1e-11)
    assert 0.5 < path.rho[-1] <= 0.8
    # a limit that depends on where the inputs start is not universal
    other = trajectory(60, sigma_w, 900.0, one_minus_rho=0.2, symmetry="O(3)", activation=name)
    assert other.rho[-1] < path.rho[-1]


def test_no_weights():
    path = trajectory(5, 0.0, 1.0, 0.5)
    np.testing.assert_array_equal(path.c, [1.0, 0, 0, 0, 0, 0])
    np.testing.assert_array_equal(path.log_c[1:], -np.inf)
    np.testing.assert_allclose(path.rho, 0.5, rtol=1e-14)


def test_linear_network_explodes_quietly():
    """c overflows to infinity, log c and rho go on, an overlap of 0 stays 0."""
    path = trajectory(1000, 2.0, 1.0, xr.DataArray([0.0, 0.3], dims="pair"), activation="linear")
    assert np.isinf(path.c[-1]).all()
    np.testing.assert_allclose(path.log_c[-1], 2000 * np.log(2), rtol=1e-13)
    np.testing.assert_allclose(path.rho[-1], [0.0, 0.3], rtol=1e-11)
    np.testing.assert_array_equal(path.delta[-1], [0.0, np.inf])


def test_c_settles_at_the_fixed_point_and_delta_decays():
    for symmetry, sigma_w in (("U(1)", 1.5), ("O(8)", 2.0), ("O(1)", 1.2)):
        path, scales = trajectory(400, sigma_w, 2.0, 1.0, symmetry=symmetry), depth_scales(sigma_w, symmetry)
        assert path.c[-1] == pytest.approx(float(scales.fixed_point.c), rel=1e-13)
        assert (path.delta[-1] / path.delta[-2]).item() == pytest.approx(float(scales.chi_delta), rel=1e-5)
        early = trajectory(30, sigma_w, scales.fixed_point.c * np.exp([1e-4, -1e-4]), symmetry=symmetry).log_c.values
        gap = early[:, 0] - early[:, 1]
        np.testing.assert_allclose(gap[1:4] / gap[:3], scales.chi_c, rtol=1e-6)


# ---- the phase -------------------------------------------------------------------------------------------------------


def test_u1_conserves_the_phase():
    """Eq. (11); the size of the overlap does not depend on it."""
    path = trajectory(50, 1.5, 1.0, 0.8, phi=[0.0, 0.7, 3.0, -2.0])
    assert path.sizes == {"layer": 51, "phi_0": 4}
    np.testing.assert_array_equal(path.phi, np.broadcast_to([0.0, 0.7, 3.0, -2.0], (51, 4)))
    np.testing.assert_array_equal(path.delta, np.broadcast_to(path.delta[:, :1], (51, 4)))


def test_a_result_can_be_changed():
    """Every variable is an array of its own, also where one number stands for many."""
    path = trajectory(3, 1.5, [1.0, 0.8], 0.5, phi=0.3)
    for name in ("c", "log_c", "delta", "rho", "one_minus_rho", "phi", "sigma_w"):
        path[name] += 1.0
    np.testing.assert_array_equal(path.phi, np.full((4, 2), 1.3))


def test_generic_keeps_the_cosine():
    """From layer 1 on the overlap is Delta cos phi, with phase 0 or pi."""
    phi = np.array([0.0, 0.7, np.pi / 2, 2.5, np.pi])
    path = trajectory(20, 1.5, 1.0, 0.8, phi=phi, symmetry="generic(2)")
    np.testing.assert_array_equal(path.phi[0], phi)
    np.testing.assert_array_equal(path.delta[0], 0.8)
    np.testing.assert_array_equal(path.phi[1:], np.broadcast_to([0, 0, 0, np.pi, np.pi], (20, 5)))
    real = trajectory(20, 1.5, 1.0, 0.8 * np.cos(phi))
    signed = path.delta * np.cos(path.phi)
    np.testing.assert_allclose(signed[1:], real.delta.values[1:], rtol=1e-11, atol=1e-16)
    np.testing.assert_allclose(path.one_minus_rho[1:], 1 - np.abs(real.rho.values[1:]), rtol=1e-11)
    # a negative overlap without a phase stays what it is
    assert trajectory(3, 1.5, 1.0, -0.5, symmetry="generic(2)").rho.values.tolist() == pytest.approx(
        trajectory(3, 1.5, 1.0, -0.5, symmetry="U(1)").rho.values.tolist(), rel=1e-14
    )


def test_generic_and_a_tiny_phase():
    """1 - cos phi enters 1 - rho without cancellation: identical inputs turned by 1e-8 are at 5e-17."""
    path = trajectory(1, 1.5, fixed_point(1.5).c, one_minus_rho=0.0, phi=1e-8, symmetry="generic(2)")
    assert path.one_minus_rho[1].item() == pytest.approx(5e-17 * float(depth_scales(1.5).chi_jacobian), rel=1e-12)


# ---- shapes and labels -----------------------------------------------------------------------------------------------


def test_broadcasting_equals_single_calls():
    sigma_w, c, missing = np.array([[0.7], [1.5]]), 0.8, np.array([1e-9, 0.3, 1.0])
    path = trajectory(6, sigma_w, c, one_minus_rho=missing, symmetry="O(3)")
    assert path.rho.dims == ("layer", "input_0", "input_1")
    assert path.sizes == {"layer": 7, "input_0": 2, "input_1": 3}
    np.testing.assert_array_equal(path.sigma_w, np.broadcast_to(sigma_w, (2, 3)))
    for i, j in np.ndindex(2, 3):
        one = trajectory(6, sigma_w[i, 0], c, one_minus_rho=missing[j], symmetry="O(3)")
        for name in ("c", "rho", "one_minus_rho", "delta"):
            np.testing.assert_allclose(path[name][:, i, j], one[name], rtol=1e-13)


@pytest.mark.parametrize(
    ("arguments", "dim"),
    [
        ({"sigma_w": [0.5, 1.5]}, "sigma_w"),
        ({"sigma_w": 1.5, "c": [0.5, 1.5]}, "c_0"),
        ({"sigma_w": 1.5, "delta": [0.5, 0.1]}, "delta_0"),
        ({"sigma_w": 1.5, "one_minus_rho": [0.5, 0.1]}, "one_minus_rho_0"),
        ({"sigma_w": 1.5, "delta": 0.1, "phi": [0.5, 0.1]}, "phi_0"),
    ],
)
def test_a_single_array_names_its_dimension(arguments, dim):
    path = trajectory(2, **arguments)
    assert path.sizes == {"layer": 3, dim: 2}
    (values,) = (value for value in arguments.values() if np.ndim(value))
    np.testing.assert_array_equal(path[dim], values)


def test_labelled_arrays_keep_their_labels():
    sigma_w = xr.DataArray([0.5, 1.5], dims="sigma_w", coords={"sigma_w": [0.5, 1.5]})
    missing = xr.DataArray([1e-9, 0.1, 0.5], dims="pair", coords={"pair": ["a", "b", "c"]})
    path = trajectory(4, sigma_w, 0.7, one_minus_rho=missing)
    assert path.rho.dims == ("layer", "sigma_w", "pair")
    one = trajectory(4, 1.5, 0.7, one_minus_rho=0.1)
    np.testing.assert_allclose(path.rho.sel(sigma_w=1.5, pair="b"), one.rho, rtol=1e-13)
    assert path.attrs == {"symmetry": "U(1)", "activation": "tanh"}
    np.testing.assert_array_equal(path.layer, np.arange(5))


@pytest.mark.parametrize(
    ("c", "sigma_w", "missing", "symmetry", "name"),
    [
        ((0.5, 0.5 * (1 + 1e-9)), 1.5, 0.0, "U(1)", "tanh"),
        ((0.5, 0.5 * (1 + 1e-9)), 1.5, 1e-18, "U(1)", "tanh"),
        ((0.5, 0.75), 1e-3, 0.0, "U(1)", "erf"),
        ((0.5, 3.0), 100.0, 0.0, "O(3)", "tanh"),
        ((0.5, 0.5 * (1 + 1e-6)), 30.0, 0.0, "U(1)", "erf"),
        ((0.6, 0.5), 1.5, 0.0, "O(1)", "erf"),
        ((0.5, 0.6), 30.0, 0.0, "O(8)", "algebraic"),
        ((1e6, 1e-20), 1.5, 0.0, "U(1)", "tanh"),
        ((1e-20, 1e6), 1.5, 1e-3, "O(3)", "erf"),
    ],
)
def test_what_unequal_norms_lose(c, sigma_w, missing, symmetry, name):
    """Aligned inputs keep all digits of 1 - rho', nearly linear or saturated, nearly equal or not."""
    path = trajectory(1, sigma_w, c, one_minus_rho=missing, symmetry=symmetry, activation=name)
    exact = precise.correlation_gap(None, c, sigma_w, symmetry, name, 20, one_minus_rho=missing)
    assert relative(path.one_minus_rho[1], exact) < 1e-13


@pytest.mark.parametrize("missing", [0.0, 1e-10, 0.1, 0.7])
@pytest.mark.parametrize(
    "c",
    [
        (1e160, 1e170),
        (1e290, 1e300),
        (1e300, 1e-300),
        (1e290, 1e290 * (1 + 1e-9)),
        (1e-100, 1e-100 * (1 + 1e-9)),
        (1e-160, 1e-150),
    ],
)
def test_unequal_norms_over_all_floats(c, missing):
    """D = 1 with erf against its arcsine. Squares and products of what s = sigma_w^2 c makes small do not underflow."""
    path = trajectory(1, 1.0, c, one_minus_rho=missing, symmetry="O(1)", activation="erf")
    with mp.workdps(1000):
        c_1, c_2 = map(mpf, c)
        overlap = 2 * (1 - mpf(missing)) * mp.sqrt(c_1 * c_2) / mp.sqrt((1 + 2 * c_1) * (1 + 2 * c_2))
        lengths = [mp.asin(2 * a / (1 + 2 * a)) for a in (c_1, c_2)]
        exact = mp.asin(overlap) / mp.sqrt(lengths[0] * lengths[1])
        assert relative(path.rho[1], exact) < 1e-14
        if exact < 1 - mpf(10) ** -290:
            assert relative(path.one_minus_rho[1], 1 - exact) < 1e-13


def test_linear_networks_of_unequal_norms_over_all_floats():
    path = trajectory(3, 1.0, ([1e160, 1e299, 1e-300], [1e170, 1e300, 1e300]), one_minus_rho=0.3, activation="linear")
    np.testing.assert_allclose(path.rho, 0.7, rtol=1e-13)


@pytest.mark.parametrize("c", [5e-324, 1e-300, 1e-160, 1.0, (1e-300, 1e90), (5e-324, 2.0)])
@pytest.mark.parametrize("sigma_w", [5e-324, 1e-200, 1e-100, 1.0, 1e100])
def test_saturated_networks_know_no_scale(sigma_w, c):
    """f = 1 does not see sigma_w^2 c, not even where it underflows."""
    for dimension in (1, 3):
        path = trajectory(3, sigma_w, c, one_minus_rho=0.5, symmetry=f"O({dimension})", activation="saturated")
        exact = [mpf(0.5)]
        for _ in range(3):
            exact.append(hyperbolic_ratio(dimension, exact[-1]))
        assert relative(path.rho, exact) < 1e-14
        assert relative(path.delta[1:], exact[1:]) < 1e-14
        for name in ("c_1", "c_2") if isinstance(c, tuple) else ("c",):
            np.testing.assert_array_equal(path[name][1:], 1.0)
            np.testing.assert_array_equal(path[f"log_{name}"][1:], 0.0)


def test_sigma_w_of_the_result_is_that_of_the_networks():
    """A coordinate sigma_w that came with an argument may belong to other networks, as that of their c* does."""
    other = xr.DataArray([0.3, 0.5], dims="sigma_w", coords={"sigma_w": [1.2, 2.0]})
    with pytest.raises(ValueError, match="a dimension sigma_w must be the sigma_w of the networks"):
        trajectory(2, 1.5, other)
    ragged = xr.DataArray([[1.2, 1.3], [2.0, 2.0]], dims=("sigma_w", "x"), coords={"sigma_w": [1.2, 2.0]})
    with pytest.raises(ValueError, match="a dimension sigma_w must be the sigma_w of the networks"):
        trajectory(2, ragged, 0.3)
    doubled = trajectory(2, 2 * other.sigma_w, 0.3)
    np.testing.assert_array_equal(doubled.sigma_w, [2.4, 4.0])
    np.testing.assert_array_equal(doubled.c, trajectory(2, [2.4, 4.0], 0.3).c)
    assert trajectory(2, 1.5, other[0]).sigma_w == 1.5
    np.testing.assert_array_equal(trajectory(2, other.sigma_w, other).sigma_w, [1.2, 2.0])
    unlabelled = xr.DataArray([1.5, 2.0], dims="sigma_w")
    assert trajectory(2, unlabelled, xr.DataArray([0.5, 0.2, 0.1], dims="x")).sigma_w.dims == ("sigma_w",)


def test_a_tuple_is_a_pair_of_norms():
    path = trajectory(3, 1.5, (0.5, [0.5, 2.0]), 0.1)
    assert {"c_1", "c_2", "log_c_1", "log_c_2"} < set(path.data_vars)
    np.testing.assert_allclose(path.rho[:, 0], trajectory(3, 1.5, 0.5, 0.1).rho, rtol=1e-13)
    np.testing.assert_allclose(path.c_2[:, 1], trajectory(3, 1.5, 2.0).c, rtol=1e-14)


# ---- a user's activation ---------------------------------------------------------------------------------------------


def test_users_function_gives_what_its_named_twin_gives():
    user, named = (trajectory(20, 1.5, 0.9, 0.7, symmetry="O(3)", activation=f) for f in (own_tanh, "tanh"))
    for name in ("c", "rho", "one_minus_rho"):
        np.testing.assert_allclose(user[name], named[name], rtol=1e-11)
    assert (user.error_estimate < 1e-12).all()
    assert "error_estimate" not in named


def test_a_clipped_activation():
    """Layer by layer against closed forms, D = 1; one input alone has an error estimate, too."""

    def clipped(r):
        return np.minimum(r, 1.0)

    path = trajectory(1, 1.5, 1.0, [0.2, 0.7, 0.99], symmetry="O(1)", activation=clipped)
    alone = trajectory(1, 1.5, 1.0, symmetry="O(1)", activation=clipped)
    exact = clipped_length(1, 2.25)
    np.testing.assert_array_equal(alone.c, path.c[:, 0])
    assert alone.c[1] == pytest.approx(exact, rel=1e-13)
    for i, rho in enumerate((0.2, 0.7, 0.99)):
        assert path.rho[1, i] == pytest.approx(clipped_correlation(rho, 2.25) / exact, rel=1e-10)
    assert np.all((path.error_estimate[1] > 0.0) & (path.error_estimate < 1e-12))
    np.testing.assert_array_equal(path.error_estimate[0], 0.0)


@pytest.mark.parametrize("delta", [None, 0.0])
@pytest.mark.parametrize("pair", [(1e-3, 1.0), (1.0, 1e-3)])
def test_error_estimate_is_of_both_inputs_and_of_c(pair, delta):
    """Teeth beyond r = 1/2: exact for the small input and for an overlap of zero, but not for the large input."""
    with pytest.warns(AccuracyWarning, match="toothed"):
        path = trajectory(1, 1.5, pair, delta, symmetry="O(1)", activation=toothed)
    large = path.c_1 if pair[0] == 1.0 else path.c_2
    assert 0.0 < abs(large[1] / toothed_length(1, 2.25) - 1) <= 4 * path.error_estimate[1]


def test_relative_accuracy_of_c_and_rho_at_depth():
    """Every layer adds round-off only: D = 1 with erf against its arcsine, iterated with 40 digits."""
    c, delta, sigma_w = mpf(0.5), mpf(0.25), mpf(1.5)
    path = trajectory(40, 1.5, 0.5, 0.25, symmetry="O(1)", activation="erf")
    with mp.workdps(40):
        for layer in range(41):
            assert relative(path.c[layer].item(), c) < 1e-13
            assert relative(path.delta[layer].item(), delta) < 1e-12
            power = 1 + 2 * sigma_w**2 * c
            delta = 2 / mp.pi * mp.asin(2 * sigma_w**2 * delta / power)
            c = 2 / mp.pi * mp.asin(1 - 1 / power)
