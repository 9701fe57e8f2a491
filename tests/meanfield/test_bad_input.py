"""Bad input is a ValueError that names the argument, says what it must be, and what it was."""

import dataclasses
import math
import re
from fractions import Fraction

import mpmath
import numpy as np
import pytest
import sympy
import xarray as xr

import meanfield as mf
from tests.meanfield.independent import own_tanh

NAN, INF = float("nan"), float("inf")
GRAM = np.array([[1.0, 0.2], [0.2, 0.5]])
BLOCK = np.eye(3)[None, None] / 3

# What takes sigma_w, with everything else in order.
OF_SIGMA_W = {
    "length_map": lambda s: mf.length_map(0.5, s),
    "correlation_map": lambda s: mf.correlation_map(0.2, 0.5, s),
    "fixed_point": lambda s: mf.fixed_point(s),
    "depth_scales": lambda s: mf.depth_scales(s),
    "phase_diagram": lambda s: mf.phase_diagram(s),
    "trajectory": lambda s: mf.trajectory(3, s, 0.5, 0.2),
    "gram_map": lambda s: mf.gram_map(GRAM, s),
    "overlap_series": lambda s: mf.overlap_series(0.5, s),
    "singular_value_map": lambda s: mf.singular_value_map([0.1, 0.1, 0.1], 0.5, s),
    "matrix_correlation_map": lambda s: mf.matrix_correlation_map(np.eye(3) / 9, 0.5, s),
    "matrix_gram_map": lambda s: mf.matrix_gram_map(BLOCK, s),
    "Ensemble": lambda s: mf.Ensemble(sigma_w=s),
}
OF_C = {
    "length_map": lambda c: mf.length_map(c, 1.5),
    "correlation_map": lambda c: mf.correlation_map(0.0, c, 1.5),
    "correlation_map, a pair": lambda c: mf.correlation_map(0.0, (0.5, c), 1.5),
    "trajectory": lambda c: mf.trajectory(3, 1.5, c),
    "trajectory, a pair": lambda c: mf.trajectory(3, 1.5, (c, 0.5), 0.0),
    "as_gram": lambda c: mf.as_gram(c, 0.0),
    "overlap_series": lambda c: mf.overlap_series(c, 1.5),
    "singular_value_map": lambda c: mf.singular_value_map([0.0, 0.0, 0.0], c, 1.5),
    "matrix_correlation_map": lambda c: mf.matrix_correlation_map(np.zeros((3, 3)), c, 1.5),
}
OF_SYMMETRY = {
    "length_map": lambda g: mf.length_map(0.5, 1.5, g),
    "correlation_map": lambda g: mf.correlation_map(0.2, 0.5, 1.5, g),
    "fixed_point": lambda g: mf.fixed_point(1.5, g),
    "depth_scales": lambda g: mf.depth_scales(1.5, g),
    "phase_diagram": lambda g: mf.phase_diagram(1.5, g),
    "phase_diagram, a list": lambda g: mf.phase_diagram(1.5, ["U(1)", g]),
    "trajectory": lambda g: mf.trajectory(3, 1.5, symmetry=g),
    "gram_map": lambda g: mf.gram_map(GRAM, 1.5, g),
    "overlap_series": lambda g: mf.overlap_series(0.5, 1.5, symmetry=g),
    "singular_value_map": lambda g: mf.singular_value_map([0.1, 0.1, 0.1], 0.5, 1.5, g),
    "matrix_gram_map": lambda g: mf.matrix_gram_map(BLOCK, 1.5, g),
    "Ensemble": lambda g: mf.Ensemble(g),
}
OF_ACTIVATION = {
    "length_map": lambda f: mf.length_map(0.5, 1.5, activation=f),
    "correlation_map": lambda f: mf.correlation_map(0.2, 0.5, 1.5, activation=f),
    "fixed_point": lambda f: mf.fixed_point(1.5, activation=f),
    "depth_scales": lambda f: mf.depth_scales(1.5, activation=f),
    "phase_diagram": lambda f: mf.phase_diagram(1.5, activation=f),
    "trajectory": lambda f: mf.trajectory(3, 1.5, activation=f),
    "gram_map": lambda f: mf.gram_map(GRAM, 1.5, activation=f),
    "overlap_series": lambda f: mf.overlap_series(0.5, 1.5, activation=f),
    "singular_value_map": lambda f: mf.singular_value_map([0.1, 0.1, 0.1], 0.5, 1.5, activation=f),
    "matrix_gram_map": lambda f: mf.matrix_gram_map(BLOCK, 1.5, activation=f),
    "Ensemble": lambda f: mf.Ensemble(activation=f),
}


def raises(message: str):
    return pytest.raises(ValueError, match=re.escape(message))


@pytest.mark.parametrize("function", OF_SIGMA_W)
def test_sigma_w(function):
    call = OF_SIGMA_W[function]
    with raises("sigma_w must be >= 0, got -1.5"):
        call(-1.5)
    with raises("sigma_w must be finite, got nan"):
        call(NAN)
    with raises("sigma_w must be finite, got inf"):
        call(INF)
    with raises("sigma_w must not be empty, got an array of shape (0,)"):
        call([])
    with raises("sigma_w must be at most 1e+150, got 1e+160"):
        call(1e160)
    with raises("sigma_w must be a real number or an array of real numbers, got '1.5'"):
        call("1.5")
    with raises("sigma_w must be a real number or an array of real numbers, got (1+1j)"):
        call(1 + 1j)


def test_sigma_w_in_arrays_and_without_a_slope():
    with raises("sigma_w must be >= 0, got -2"):
        mf.fixed_point([[0.5, -2.0], [-3.0, 1.0]])
    for call in (mf.fixed_point, mf.depth_scales, mf.phase_diagram):
        with raises("sigma_w must be > 0, got 0"):
            call(0.0, activation="saturated")
    with raises("sigma_w must be a number or one-dimensional, got shape (1, 2)"):
        mf.phase_diagram([[0.5, 2.0]])
    for call in (
        lambda s: mf.Ensemble(sigma_w=s),
        lambda s: mf.matrix_gram_map(BLOCK, s),
    ):
        with raises("sigma_w must be one number, got shape (2,)"):
            call([0.5, 1.5])


@pytest.mark.parametrize("function", OF_C)
def test_c(function):
    call = OF_C[function]
    with pytest.raises(ValueError, match=r"^c must be (>=|>) 0, got -0\.5"):
        call(-0.5)
    with raises("c must be finite, got nan"):
        call(NAN)
    with raises("c must be finite, got inf"):
        call(INF)
    with raises("c must not be empty, got an array of shape (0,)"):
        call([])


@pytest.mark.parametrize("function", sorted(set(OF_C) - {"as_gram"}))
def test_c_where_averages_end(function):
    """sigma_w^2 c > 1e300 has no average in floats, whether it is itself a float or not."""
    for c in (1e305, 1e308):
        with raises("sigma_w^2 c must be at most 1e+300, got "):
            OF_C[function](c)


def test_starts_where_averages_end():
    for call in (
        lambda c: mf.fluctuation_trajectory(2, 8, 1.5, c=c),
        lambda d: mf.fluctuation_trajectory(2, 8, 1.5, d=d),
        lambda d: mf.jacobian_trajectory(2, 1.5, d),
        lambda c: mf.overlap_fluctuations(2, 8, 1.5, c=c, delta=1.0),
        lambda c: mf.phase_diffusion(2, 8, 1.5, c=c, delta=1.0),
    ):
        with raises("sigma_w^2 c must be at most 1e+300, got "):
            call(1e305)


@pytest.mark.parametrize(
    "value",
    [
        None,
        [0.5, None],
        np.array(["0.5", "0.6"], object),
        np.datetime64("2020-01-01"),
        np.array([b"1"], object),
        np.ma.masked_array([0.5, 0.6], [False, True]),
    ],
)
def test_what_is_no_real_number(value):
    with raises("c must be a real number or an array of real numbers, got "):
        mf.length_map(value, 1.5)


def test_what_is_larger_than_every_float():
    for value in (10**400, 10**5000, [0.5, -(10**400)], Fraction(10**400, 3)):
        with raises("c must be finite, got a number beyond the largest float"):
            mf.length_map(value, 1.5)


def test_what_is_a_real_number():
    """Exact numbers, and a masked array that hides nothing."""
    for half in (Fraction(1, 2), mpmath.mpf(0.5), sympy.Rational(1, 2), np.float32(0.5), [Fraction(1, 2)]):
        np.testing.assert_array_equal(mf.length_map(half, 1.5), mf.length_map(0.5, 1.5))
    assert mf.length_map(np.ma.masked_array([0.5], [False]), 1.5) == mf.length_map(0.5, 1.5)


def test_c_where_it_must_be_positive():
    with raises("c must be > 0, got 0"):
        mf.trajectory(3, 1.5, 0.0)
    with raises("c must be > 0, got 0"):
        mf.overlap_series(0.0, 1.5)


@pytest.mark.parametrize("call", [lambda c: mf.correlation_map(0.1, c, 1.5), lambda c: mf.trajectory(1, 1.5, c, 0.1)])
def test_a_pair_has_two_members(call):
    for c in ((0.5,), (0.5, 0.5, 0.5)):
        with raises(f"c must be an array for both inputs or a tuple (c_1, c_2), got a tuple of {len(c)}"):
            call(c)


@pytest.mark.parametrize(
    "symmetry", ["U(2)", "O(0)", "O(-3)", "generic(0)", "SO(3)", "O(2.5)", "O", "Z(2)", "", None, 3]
)
@pytest.mark.parametrize("function", OF_SYMMETRY)
def test_symmetry(function, symmetry):
    with raises(
        f"symmetry must be 'U(1)', 'O(k)' or 'generic(k)' with an integer k >= 1, for example 'O(4)', got {symmetry!r}"
    ):
        OF_SYMMETRY[function](symmetry)


def test_symmetry_objects():
    with raises("symmetry must name at least one symmetry, got an empty sequence"):
        mf.phase_diagram(1.5, [])
    with raises("family must be 'U(1)', 'O' or 'generic', got 'SU'"):
        mf.Symmetry("SU", 2)
    with raises("family must be 'U(1)', 'O' or 'generic', got array([1., 1.])"):
        mf.Symmetry(np.ones(2), 3)
    for bad in (0, 2.0, True):
        with raises(f"capsule_dimension must be an integer >= 1, got {bad!r}"):
            mf.Symmetry("O", bad)
    with raises("capsule_dimension must be at most 1000000000, got 1000000000000000000000000000000"):
        mf.as_symmetry("O(1" + 30 * "0" + ")")
    with raises("symmetry must be 'U(1)', 'O(k)' or 'generic(k)'"):
        mf.as_symmetry("O(1" + 9999 * "0" + ")")
    integer = mf.Symmetry("O", np.int64(3))
    assert integer == mf.as_symmetry("O(3)")
    assert type(integer.capsule_dimension) is int
    with raises("capsule_dimension must be 2 for 'U(1)', got 3"):
        mf.Symmetry("U(1)", 3)


@pytest.mark.parametrize("function", OF_ACTIVATION)
def test_activation(function):
    call = OF_ACTIVATION[function]
    known = "'tanh', 'erf', 'algebraic', 'saturated', 'linear'"
    with raises(f"activation must be one of {known}, or a callable f(r); got 'relu'"):
        call("relu")
    for bad in (None, 3.0, (np.tanh,), (np.tanh, 1.0)):
        with raises("activation must be a name, a callable f(r) or a pair of callables (f, f'); got"):
            call(bad)
    with pytest.raises(ValueError, match=r"activation <lambda> must be finite for every r >= 0; got inf at r = \d+"):
        call(lambda r: np.sinh(r))
    with raises("activation <lambda> must be finite for every r >= 0; got nan at r = 0"):
        call(lambda r: r / r)
    with raises("activation <lambda> must have f(0) = 0, got f(0) = 1"):
        call(lambda r: np.cos(r))
    with raises("or a callable f(r); got 'ReLU' (on radii r >= 0 it is 'linear')"):
        call("ReLU")
    flats = (lambda r: np.tanh(r) ** 2, lambda r: r**3 / (1 + r**2), lambda r: np.tanh(r) * r / (r + 1e-8))
    for flat in (*flats, (np.tanh, np.zeros_like)):
        with raises("must have f'(0) != 0 (it sets the transition sigma_w = 1/f'(0)), got f'(0) = 0"):
            call(flat)
    for steep in (np.sign, np.sqrt):
        with raises(f"activation {steep.__name__} must have a finite derivative at r = 0, got f'(0) = "):
            call(steep)
    with raises("activation <lambda> must return an array of the shape of r, (98,); got ()"):
        call(lambda r: 0.0)
    with raises("the derivative of activation tanh must return an array of the shape of r, (98,); got ()"):
        call((np.tanh, lambda r: 1.0))
    with raises("the derivative of activation tanh must be finite for every r >= 0; got nan at r = 0"):
        call((np.tanh, lambda r: r / r))


class Tensor(list):
    """An array of another library, such as torch's: it has a shape, and numpy reads it."""

    shape = (98,)


@dataclasses.dataclass
class Mutable:
    scale: float = 1.0

    def __call__(self, r):
        return np.tanh(self.scale * r)


def test_callables_that_are_no_activations():
    with raises("activation tanh must take an array of radii r, got TypeError: "):
        mf.length_map(0.5, 1.5, activation=math.tanh)
    with raises("activation <lambda> must be real, got complex numbers"):
        mf.length_map(0.5, 1.5, activation=lambda r: np.tanh(r) + 0j)
    for array in (list, Tensor):
        with raises(f"activation <lambda> must return a numpy array, got a {array.__module__}.{array.__name__}"):
            mf.length_map(0.5, 1.5, activation=lambda r, array=array: array(np.tanh(r)))
    for activation in (Mutable(), (np.tanh, Mutable())):
        with raises("activation Mutable must be hashable, as a dataclass is with frozen=True"):
            mf.length_map(0.5, 1.5, activation=activation)


def test_an_activation_that_works_in_place():
    """Its averages would be those of radii that it has changed: of min(r, 1), 1.69 in place of 0.75."""

    def clip(r):
        r[r > 1.0] = 1.0
        return r

    for activation in (clip, (lambda r: np.minimum(r, 1.0), lambda r: np.less(r, 1.0, out=r))):
        with pytest.raises(ValueError, match=r"must leave r as it is and return a new array, got r = .* changed"):
            mf.length_map(1.0, 1.3, activation=activation)


@pytest.mark.parametrize(
    ("f", "derivative", "r"),
    [
        (np.sin, lambda r: np.cos(2 * r), 10000),
        (np.tanh, lambda r: 1 - np.tanh(r), 4.21697),
        (np.arcsinh, lambda r: 1 / (1 + r * r), 7498.94),
    ],
)
def test_a_derivative_of_another_function(f, derivative, r):
    with raises(f"the derivative of activation {f.__name__} must be that of f, got "):
        mf.depth_scales(1.5, activation=(f, derivative))


def test_a_function_that_overflows_far_out():
    """Beyond the radii at which a function is looked at on construction, the first average finds it out."""

    def far(r):
        with np.errstate(all="ignore"):
            return 100 * np.sinh(r / 100) / np.cosh(r / 100)

    for call in (lambda: mf.length_map(1e12, 1.5, activation=far), lambda: mf.trajectory(3, 1.5, 1e12, activation=far)):
        with raises("activation far must be finite for every r >= 0; got "):
            call()


@pytest.mark.parametrize("function", [mf.correlation_map, lambda d, c, s: mf.trajectory(1, s, c, d)])
def test_delta(function):
    with raises("delta must satisfy |delta| <= sqrt(c_1 c_2), got delta = 0.6 with c_1 = 0.5, c_2 = 0.5"):
        function(0.6, 0.5, 1.5)
    for delta in (0.5 * (1 + 1e-12), -0.6, [0.1, 0.7]):
        with raises("delta must satisfy |delta| <= sqrt(c_1 c_2)"):
            function(delta, 0.5, 1.5)
    with raises("delta must satisfy |delta| <= sqrt(c_1 c_2)"):
        function(0.5, (1.0, 0.2), 1.5)
    with raises("delta must be finite, got nan"):
        function(NAN, 0.5, 1.5)
    with raises("delta must not be empty, got an array of shape (0,)"):
        function([], 0.5, 1.5)
    with raises("these arguments must broadcast against each other: "):
        function([0.1, 0.2], [0.5, 0.5, 0.5], 1.5)


def test_delta_of_a_zero_input():
    with raises("delta must satisfy |delta| <= sqrt(c_1 c_2)"):
        mf.correlation_map(0.1, 0.0, 1.5)
    with raises("delta must satisfy |delta| <= sqrt(c_1 c_2), got delta = 2.0 with c_1 = 1.0, c_2 = 1.0"):
        mf.as_gram(1.0, 2.0)


def test_trajectory():
    for depth in (-1, 2.0, "3", True, None):
        with raises(f"depth must be an integer >= 0, got {depth!r}"):
            mf.trajectory(depth, 1.5)
    with raises("give delta or one_minus_rho, not both"):
        mf.trajectory(3, 1.5, 1.0, 0.5, one_minus_rho=0.5)
    with raises("give c (layer 0 is known exactly) or d (layer 0 is random), not both"):
        mf.trajectory(3, 1.5, 1.0, d=1.0)
    with raises("d must be > 0, got 0"):
        mf.trajectory(3, 1.5, d=0.0)
    with raises("d must be an array for both inputs or a tuple (d_1, d_2), got a tuple of 3"):
        mf.trajectory(3, 1.5, d=(1.0, 1.0, 1.0))
    with raises("delta must satisfy |delta| <= sqrt(d_1 d_2), got delta = 2.0 with d_1 = 1.0, d_2 = 1.0"):
        mf.trajectory(3, 1.5, d=1.0, delta=2.0)
    with raises("sigma_w^2 c must be at most 1e+300, got 1e+301"):
        mf.trajectory(3, 1e-9, d=1e301, activation="linear")
    with raises("sigma_w^2 c must be at most 1e+300, got 2.25e+300"):
        mf.trajectory(3, 1.5, d=1e300, activation="linear")
    for missing in (-1e-9, 2.5):
        with raises(f"one_minus_rho must be {'>= 0' if missing < 0 else 'in [0, 2]'}, got {missing:g}"):
            mf.trajectory(3, 1.5, one_minus_rho=missing)
    with raises("phi is a phase between two inputs: give delta or one_minus_rho with it"):
        mf.trajectory(3, 1.5, phi=0.1)
    with raises("phi must be finite, got inf"):
        mf.trajectory(3, 1.5, 1.0, 0.5, phi=INF)
    for symmetry in ("O(1)", "O(2)", "O(7)", "generic(1)"):
        with raises(f"phi must be 0 for {symmetry}, which has no phase, got 0.3"):
            mf.trajectory(3, 1.5, 1.0, 0.5, phi=[0.0, 0.3], symmetry=symmetry)


@pytest.mark.parametrize(
    ("name", "arguments"),
    [
        ("sigma_w", {"sigma_w": None}),
        ("d", {"d": (0.5, None)}),
        ("c", {"c": (0.5, None)}),
        ("c", {"c": (None, 0.5)}),
        ("phi", {"phi": None}),
        ("phi", {"phi": None, "sigma_w": xr.DataArray([1.5, 2.0], dims="sigma_w")}),
    ],
)
def test_what_a_trajectory_cannot_do_without(name, arguments):
    """None leaves out delta and one_minus_rho, and of c and d one; without both c is 1."""
    with raises(f"{name} must be a real number or an array of real numbers, got None"):
        mf.trajectory(3, **{"sigma_w": 1.5, "delta": 0.2} | arguments)
    assert "rho" not in mf.trajectory(3, 1.5, delta=None, one_minus_rho=None)
    assert mf.trajectory(3, 1.5, None, d=None).c[0] == 1.0


@pytest.mark.parametrize("call", [lambda c: mf.correlation_map(0.1, c, 10.0), lambda c: mf.trajectory(1, 10.0, c, 0.1)])
@pytest.mark.parametrize("pair", [(1.0, 1e300), (1e300, 1.0)])
def test_either_input_may_be_too_large(call, pair):
    with raises("sigma_w^2 c must be at most 1e+300, got 1e+302"):
        call(pair)


def test_labelled_arrays():
    labelled = xr.DataArray([1.5, 2.0], dims="sigma_w")
    with raises("delta must be a number or an xarray.DataArray, since sigma_w is one"):
        mf.trajectory(3, labelled, 1.0, [0.5, 0.2])
    other = xr.DataArray([0.5, 0.2], dims="pair", coords={"pair": ["a", "b"]})
    with raises("c, delta must have the same labels along the same dimension"):
        mf.trajectory(3, 1.5, other, other.assign_coords(pair=["a", "c"]) / 2)
    for dim in ("layer", "c", "rho", "delta"):
        with raises(f"an array's dimension must not be called {dim!r}, as a variable of the result is"):
            mf.trajectory(3, labelled, 1.0, xr.DataArray([0.5, 0.2], dims=dim))


@pytest.mark.parametrize(
    ("gram", "symmetry", "message"),
    [
        (1.0, "U(1)", "gram must have shape (..., B, B), got ()"),
        (np.ones((2, 3)), "U(1)", "gram must have shape (..., B, B), got (2, 3)"),
        (np.zeros((0, 0)), "U(1)", "gram must not be empty"),
        ([[1.0, NAN], [NAN, 1.0]], "U(1)", "gram must be finite, got nan"),
        ([[1.0, 1j * INF], [-1j * INF, 1.0]], "U(1)", "gram must be finite"),
        ([[1.0, 0.2], [0.3, 1.0]], "U(1)", "gram must be symmetric (Hermitian if complex)"),
        ([[1.0, 0.2j], [0.2j, 1.0]], "U(1)", "gram must be symmetric (Hermitian if complex)"),
        ([[1.0j, 0.2], [0.2, 1.0]], "U(1)", "gram must be symmetric (Hermitian if complex)"),
        ([[1.0, 0.0], [0.0, -1.0]], "U(1)", "gram must have a diagonal >= 0, got -1"),
        ([[1.0, 1.1], [1.1, 1.0]], "O(3)", "gram must be positive semi-definite, got an eigenvalue -0.1 of"),
        ([[1.0, 2e-9], [2e-9, 0.0]], "O(3)", "gram must be positive semi-definite, got C_aa = 0 with"),
        ([[1.0, 0.2j], [-0.2j, 1.0]], "O(2)", "gram must be real for O(2), got an imaginary part"),
        ("ab", "U(1)", "gram must be a real number or an array of real numbers"),
        ([[1, 2], [3]], "U(1)", "gram must have shape (..., B, B), got [[1, 2], [3]]"),
        ([[1.0, 2e-12j], [-2e-12j, 1.0]], "O(2)", "gram must be real for O(2), got an imaginary part"),
    ],
)
def test_gram_map(gram, symmetry, message):
    with raises(message):
        mf.gram_map(gram, 1.5, symmetry)


def test_every_gram_matrix_is_judged_by_its_own_size():
    with raises("gram must be symmetric (Hermitian if complex)"):
        mf.gram_map(np.stack([1e10 * np.eye(2), [[1e-3, 5e-4], [-5e-4, 1e-3]]]), 1.5)


@pytest.mark.parametrize("size", [1e-200, 1.0, 1e200])
def test_three_inputs_cannot_all_be_opposite(size):
    """Each pair is possible; all three at rho = -0.9 have the eigenvalue 1 - 2 0.9. Whole batches, of any norms."""
    opposite = np.full((3, 3), -0.9) + 1.9 * np.eye(3)
    norms = np.array([1e-3, 1.0, 1e5])
    unequal = np.sqrt(np.multiply.outer(norms, norms)) * opposite
    for gram in (opposite, unequal, opposite + 0j, np.stack([np.eye(3), opposite])):
        with raises("gram must be positive semi-definite, got an eigenvalue -0.8 of C_ab/sqrt(C_aa C_bb)"):
            mf.gram_map(size * gram, 1.5)


def test_gram_map_shapes():
    with raises("sigma_w, of shape (3,), must broadcast against gram's leading axes (2,)"):
        mf.gram_map(np.stack([GRAM, GRAM]), [0.5, 1.0, 1.5])


def test_overlap_series():
    for terms in (0, -1, 2.0):
        with raises(f"terms must be an integer >= 1, got {terms}"):
            mf.overlap_series(0.5, 1.5, terms=terms)
    with raises("terms must be at most 384 for tanh, got 385"):
        mf.overlap_series(0.5, 1.5, terms=385)
    with raises("terms must be at most 256 for own_tanh, got 257"):
        mf.overlap_series(0.5, 1.5, activation=own_tanh, terms=257)
    with raises("activation must have coefficients that fall off geometrically, got 'saturated'"):
        mf.overlap_series(0.5, 1.5, activation="saturated")
    with raises("c must be one number, got shape (2,)"):
        mf.overlap_series([0.5, 0.6], 1.5)
    with raises("sigma_w must be one number, got shape (3,)"):
        mf.overlap_series(0.5, [1.5, 1.6, 1.7])


def test_matrix_order():
    for symmetry in ("U(1)", "generic(3)"):
        with raises(f"symmetry must be 'O(k)' here, got '{symmetry}'"):
            mf.singular_value_map([0.1, 0.1, 0.1], 0.5, 1.5, symmetry)
        with raises(f"symmetry must be 'O(k)' here, got '{symmetry}'"):
            mf.matrix_correlation_map(np.eye(3) / 9, 0.5, 1.5, symmetry)
    with raises("symmetry must be 'O(k)' or 'generic(k)' here; for 'U(1)' use gram_map with a complex matrix"):
        mf.matrix_gram_map(BLOCK, 1.5, "U(1)")
    with raises("activation must be one of the named ones for a matrix order parameter"):
        mf.singular_value_map([0.1, 0.1, 0.1], 0.5, 1.5, activation=own_tanh)
    for singular in ([0.1, 0.2], 0.1, [[0.1], [0.2]]):
        with raises(f"singular must have a last axis of length k = 3, got shape {np.shape(singular)}"):
            mf.singular_value_map(singular, 1.0, 1.5)
    with raises("singular, or the singular values of q, must be at most c/k in size, got 0.4 with c = 1, k = 3"):
        mf.singular_value_map([0.1, -0.4, 0.1], 1.0, 1.5)
    with raises("singular, or the singular values of q, must be at most c/k in size"):
        mf.singular_value_map([0.1, 0.1, 0.1], 0.0, 1.5)
    with raises("these arguments must broadcast against each other: singular (2,), c (3,), sigma_w ()"):
        mf.singular_value_map([[0.1, 0.1, 0.1]] * 2, [1.0, 1.0, 1.0], 1.5)
    for q in (np.eye(2), np.ones(3), np.ones((3, 2))):
        with raises(f"q must have shape (..., 3, 3), got {q.shape}"):
            mf.matrix_correlation_map(q, 1.0, 1.5)
    with raises("singular, or the singular values of q, must be at most c/k in size"):
        mf.matrix_correlation_map(np.eye(3), 1.0, 1.5)
    with raises("q must be finite, got nan"):
        mf.matrix_correlation_map(np.full((3, 3), NAN), 1.0, 1.5)


def test_polar_factor():
    with raises("q must have shape (..., k, k), got (3, 2)"):
        mf.polar_factor(np.ones((3, 2)))
    for q in (np.zeros((2, 2)), np.ones((2, 2))):
        with raises("q must have full rank for its polar factor to be unique, got a singular matrix"):
            mf.polar_factor(q)


def test_matrix_gram_map():
    for gram in (np.eye(3), np.ones((1, 1, 2, 2)), np.ones((1, 2, 3, 3))):
        with raises(f"gram must have shape (B, B, 3, 3), got {gram.shape}"):
            mf.matrix_gram_map(gram, 1.5)
    skew = np.zeros((2, 2, 3, 3))
    skew[0, 0] = skew[1, 1] = np.eye(3)
    skew[0, 1] = 0.1 * np.eye(3)
    with raises("gram must be symmetric (Hermitian if complex), got one that is not"):
        mf.matrix_gram_map(skew, 1.5)
    skew[1, 0], skew[0, 1] = 2 * np.eye(3), 2 * np.eye(3)
    with raises("gram must be positive semi-definite, got an eigenvalue -1"):
        mf.matrix_gram_map(skew, 1.5)


def test_small_inputs_are_checked_beside_large_ones():
    """An overlap rho = 5 of inputs of norms 1 and 1e-12; C_12 without C_21; a small negative variance."""
    small = np.zeros((2, 2, 3, 3))
    small[0, 0], small[1, 1], small[0, 1] = np.eye(3), 1e-12 * np.eye(3), 5e-6 * np.eye(3)
    with raises("gram must be symmetric (Hermitian if complex), got one that is not"):
        mf.matrix_gram_map(small, 1.5)
    small[1, 0] = small[0, 1]
    with raises("gram must be positive semi-definite, got an eigenvalue -4 of C_ab/sqrt(C_aa C_bb)"):
        mf.matrix_gram_map(small, 1.5)
    with raises("gram must have a diagonal >= 0, got -1e-10"):
        mf.anisotropy_trajectory(1, np.diag([1.0, 1.0, -1e-10]), 1.5)


def test_no_fixed_point():
    """Linear above its transition: it is said, not iterated to infinity."""
    for call in (mf.fixed_point, mf.depth_scales, lambda s, **names: mf.Ensemble(sigma_w=s, **names).depth_scales()):
        with raises(
            "activation linear has no stable fixed point at sigma_w = 1.5: "
            "it does not saturate, a layer still multiplies c by 2.25 where sigma_w^2 c = "
        ):
            call(1.5, activation="linear")


@pytest.mark.parametrize("name", OF_SIGMA_W)
def test_truth_is_no_number(name):
    with raises("sigma_w must be a real number or an array of real numbers, got True"):
        OF_SIGMA_W[name](True)


def test_a_symmetry_is_listed_once():
    with raises("symmetry must name each symmetry once, got U(1), O(4), U(1)"):
        mf.phase_diagram(1.5, ["U(1)", "O(4)", "SO(2)"])
    with raises("symmetry must be 'U(1)', 'O(k)' or 'generic(k)' with an integer k >= 1"):
        mf.as_symmetry("O(\N{ARABIC-INDIC DIGIT THREE})")
