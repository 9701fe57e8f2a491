"""One layer: length map, correlation map and its gap at rho = 1, Laguerre coefficients; and many: the trajectory."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

from mpmath import mp

from meanfield.precise.inputs import (
    MpFunction,
    Number,
    Radial,
    as_radial,
    bits_below_one,
    exact,
    positive,
    real,
    whole,
)
from meanfield.precise.pairs import Pair, aligned, misaligned
from meanfield.precise.quadrature import GUARD, radial_average, rounded
from meanfield.symmetry import Symmetry, as_symmetry

ActivationName = str | tuple[MpFunction, MpFunction]
Lengths = Number | tuple[Number, Number]


def length_map(
    c: Number,
    sigma_w: Number,
    symmetry: str | Symmetry = "U(1)",
    activation: ActivationName = "tanh",
    digits: int = 30,
) -> Any:
    """Order parameter c of the next layer, paper Eq. (8), (35), for capsules of D real components.

    c' = 2/Gamma(D/2) int_0^infinity dx x^(D-1) e^(-x^2) f(x sqrt(2 s/D))^2,   s = sigma_w^2 c

    Parameters
    ----------
    c : order parameter, c >= 0 (at c = 0 the result is f(0)^2)
    sigma_w : weight scale, > 0
    symmetry : "U(1)", "O(k)" or "generic(k)"
    activation : name, or a pair (f, f') of mpmath functions
    digits : significant digits of the result

    Returns
    -------
    mpmath.mpf

    Raises
    ------
    ValueError
        For an argument outside its range.
    ArithmeticError
        If the digits were not reached.
    """
    digits = whole(digits, "digits", 1)
    dimension, radial = as_symmetry(symmetry).capsule_dimension, as_radial(activation)
    scale = preactivation_scale(_nonnegative(c, "c"), positive(sigma_w, "sigma_w"), dimension)
    return rounded(length(scale, dimension, radial, digits), digits)


def correlation_map(
    delta: Number | None,
    c: Lengths,
    sigma_w: Number,
    symmetry: str | Symmetry = "U(1)",
    activation: ActivationName = "tanh",
    digits: int = 30,
    *,
    one_minus_rho: Number | None = None,
) -> Any:
    """Cross order parameter Delta of the next layer: the double Bessel integral, paper Eq. (12), (49).

    Delta' = E[phi(x_1).phi(x_2)] for two Gaussian capsules of variance sigma_w^2 c_a/D per component and correlation
    rho = Delta/sqrt(c_1 c_2); in D = 2

    Delta' = 4 (1-rho^2) int du_1 du_2 u_1 u_2 exp(-u_1^2 - u_2^2) I_1(2 rho u_1 u_2) f(u_1/alpha_1) f(u_2/alpha_2),
    1/alpha_a = sigma_w sqrt(c_a (1-rho^2)), and for other D as in :mod:`meanfield.precise.pairs`.

    Parameters
    ----------
    delta : cross order parameter, -sqrt(c_1 c_2) <= delta <= sqrt(c_1 c_2); None if `one_minus_rho` is given
    c : order parameter of the two inputs, > 0, or a pair (c_1, c_2)
    sigma_w, symmetry, activation, digits : as for :func:`length_map`
    one_minus_rho : 1 - rho, between 0 and 2, in place of `delta`

    Returns
    -------
    mpmath.mpf

    Raises
    ------
    ValueError, ArithmeticError
        As for :func:`length_map`.
    """
    digits = whole(digits, "digits", 1)
    radial, (pair, sign) = as_radial(activation), _read_pair(delta, c, one_minus_rho, sigma_w, symmetry)
    with mp.workdps(digits + GUARD):
        return rounded(sign * correlation(pair, radial, digits), digits)


def correlation_gap(
    delta: Number | None,
    c: Lengths,
    sigma_w: Number,
    symmetry: str | Symmetry = "U(1)",
    activation: ActivationName = "tanh",
    digits: int = 30,
    *,
    one_minus_rho: Number | None = None,
) -> Any:
    """1 - rho' after one layer, rho' = Delta'/sqrt(c_1' c_2'), with all its digits however small it is.

    Half the mean of |phi(x_1)/sqrt(c_1') - phi(x_2)/sqrt(c_2')|^2, the squared distance of the two normalised outputs,
    over the same two Gaussian capsules as in :func:`correlation_map`, whose parameters, returns and errors it shares.
    """
    digits = whole(digits, "digits", 1)
    radial, (pair, sign) = as_radial(activation), _read_pair(delta, c, one_minus_rho, sigma_w, symmetry)
    with mp.workdps(digits + GUARD):
        found = gap(pair, radial, digits)
        return rounded(found if sign > 0 else 2 - found, digits)


def laguerre_coefficient(
    n: int,
    c: Number,
    sigma_w: Number,
    symmetry: str | Symmetry = "U(1)",
    activation: ActivationName = "tanh",
    digits: int = 30,
) -> Any:
    """Coefficient a_n of f in generalised Laguerre functions: c' = sum_n a_n^2, Delta' = sum_n a_n^2 rho^(2n+1).

    a_n = < f(r) sqrt(t) L_n^{(D/2)}(t) > sqrt(n! Gamma(D/2)/Gamma(n + D/2 + 1)),   t ~ Gamma(D/2), r^2 = 2 s t/D

    Parameters
    ----------
    n : degree, >= 0
    c : order parameter, > 0
    sigma_w, symmetry, activation, digits, returns and errors : as for :func:`length_map`
    """
    digits, n = whole(digits, "digits", 1), whole(n, "n", 0)
    dimension, radial = as_symmetry(symmetry).capsule_dimension, as_radial(activation)
    scale = preactivation_scale(positive(c, "c"), positive(sigma_w, "sigma_w"), dimension)
    if radial.name == "linear" and n > 0:
        return mp.mpf(0)
    alpha = Fraction(dimension, 2)

    def integrand(r: Any, t: Any) -> Any:
        return radial.value(r) * mp.sqrt(t) * mp.laguerre(n, real(alpha), t)

    with mp.workdps(digits + GUARD):
        mean = radial_average(integrand, dimension, scale, digits, f"Laguerre coefficient {n}", degree=2 * n + 1)
        norm = mp.factorial(n) * mp.gamma(real(alpha)) / mp.gamma(n + real(alpha) + 1)
        return rounded(mean * mp.sqrt(norm), digits)


def trajectory(
    depth: int,
    sigma_w: Number,
    c: Number,
    delta: Number | None = None,
    symmetry: str | Symmetry = "U(1)",
    activation: ActivationName = "tanh",
    digits: int = 30,
    *,
    one_minus_rho: Number | None = None,
) -> tuple[list, list, list]:
    """Order parameters of two inputs of equal length through `depth` layers: iterated Eq. (8) and (12).

    Above rho = 1/2 the gap 1 - rho is iterated, below it Delta, so that both keep all their digits at any depth.

    Parameters
    ----------
    depth : number of layers, >= 0
    sigma_w, c, delta, symmetry, activation, digits, one_minus_rho : as for :func:`correlation_map`, with one c

    Returns
    -------
    c, delta, one_minus_rho : lists of depth + 1 mpf, the input first

    Raises
    ------
    ValueError, ArithmeticError
        As for :func:`length_map`.
    """
    digits, depth = whole(digits, "digits", 1), whole(depth, "depth", 0)
    dimension, radial = as_symmetry(symmetry).capsule_dimension, as_radial(activation)
    sigma, (at, _) = positive(sigma_w, "sigma_w"), _pair_of_lengths(c, several=False)
    _, sign, rho_squared = _correlation(delta, c, one_minus_rho)
    # A layer passes relative errors of c and of the smaller of rho and 1 - rho on, at most a little enlarged.
    kept = digits + 4 + len(str(depth))
    with mp.workdps(2 * kept):
        rho = mp.sqrt(real(rho_squared))
        states = [(real(at), rho, real(1 - rho_squared) / (1 + rho))]
        for _ in range(depth):
            states.append(_next_layer(states[-1], sigma, dimension, radial, kept))
        columns = [
            (length, sign * rho * length, one_minus if sign > 0 else 1 + rho) for length, rho, one_minus in states
        ]
        lengths, deltas, gaps = ([rounded(x, digits) for x in column] for column in zip(*columns, strict=True))
    return lengths, deltas, gaps


def _next_layer(state: tuple[Any, Any, Any], sigma: Fraction, dimension: int, radial: Radial, digits: int) -> tuple:
    c, rho, one_minus = state
    scale = preactivation_scale(exact(c, "c"), sigma, dimension)
    after = length(scale, dimension, radial, digits)
    if rho > 0.5:
        missing = exact(one_minus, "one_minus_rho")
        found = gap(Pair(dimension, (scale, scale), (1 - missing) ** 2), radial, digits)
        return after, 1 - found, found
    found = correlation(Pair(dimension, (scale, scale), exact(rho, "rho") ** 2), radial, digits) / after
    return after, found, 1 - found


# ---- the same for arguments already read, unrounded; 0 <= rho <= 1 ---------------------------------------------------


def length(scale: Fraction, dimension: int, radial: Radial, digits: int) -> Any:
    if scale == 0:
        return radial.value(mp.mpf(0)) ** 2
    return radial_average(lambda r, t: radial.value(r) ** 2, dimension, scale, digits, "length map")


def correlation(pair: Pair, radial: Radial, digits: int) -> Any:
    if pair.rho_squared == 0:
        return mp.mpf(0)
    if pair.rho_squared < 1:
        return aligned(pair, radial, digits)
    return radial_average(
        lambda r, t: radial.value(r) * radial.value(r * mp.sqrt(real(pair.scales[1] / pair.scales[0]))),
        pair.dimension,
        pair.scales[0],
        digits,
        "correlation map",
    )


def gap(pair: Pair, radial: Radial, digits: int) -> Any:
    if pair.rho_squared == 0:
        return mp.mpf(1)
    equal = pair.scales[0] == pair.scales[1]
    if pair.rho_squared == 1 and equal:
        return mp.mpf(0)
    # How small the gap can be. The norms matter to second order only, but must be right to better than its root.
    narrow = 1 - pair.rho_squared if pair.rho_squared < 1 else (1 - pair.scales[1] / pair.scales[0]) ** 2
    close = bits_below_one(narrow)
    enough = max(digits + 2, (digits + close // 3) // 2 + 4)
    with mp.workdps(enough + GUARD):
        first = mp.sqrt(length(pair.scales[0], pair.dimension, radial, enough))
        second = first if equal else mp.sqrt(length(pair.scales[1], pair.dimension, radial, enough))
    if pair.rho_squared < 1:
        return misaligned(pair, radial, (first, second), digits)

    def half_distance(r: Any, t: Any) -> Any:
        other = r * mp.sqrt(real(pair.scales[1] / pair.scales[0]))
        return (radial.value(r) / first - radial.value(other) / second) ** 2 / 2

    return radial_average(half_distance, pair.dimension, pair.scales[0], digits, "correlation gap", lost_bits=close + 8)


def preactivation_scale(c: Fraction, sigma_w: Fraction, dimension: int) -> Fraction:
    return 2 * sigma_w**2 * c / dimension


def _read_pair(
    delta: Number | None, c: Lengths, one_minus_rho: Number | None, sigma_w: Number, symmetry: str | Symmetry
) -> tuple[Pair, int]:
    """The pair with |rho|, and the sign of rho: the map is odd in rho."""
    dimension, sigma = as_symmetry(symmetry).capsule_dimension, positive(sigma_w, "sigma_w")
    lengths, sign, rho_squared = _correlation(delta, c, one_minus_rho)
    first, second = (preactivation_scale(one, sigma, dimension) for one in lengths)
    return Pair(dimension, (first, second), rho_squared), sign


def _nonnegative(value: Number, name: str) -> Fraction:
    number = exact(value, name)
    if number < 0:
        raise ValueError(f"{name} must be at least 0, got {value!r}")
    return number


def _pair_of_lengths(c: Lengths, several: bool = True) -> tuple[Fraction, Fraction]:
    if not isinstance(c, tuple):
        return (positive(c, "c"),) * 2
    if not several or len(c) != 2:
        raise ValueError(f"c must be one number{' or a pair of numbers' if several else ''}, got {c!r}")
    return positive(c[0], "c[0]"), positive(c[1], "c[1]")


def _correlation(
    delta: Number | None, c: Lengths, one_minus_rho: Number | None
) -> tuple[tuple[Fraction, Fraction], int, Fraction]:
    """The two c, the sign of rho, and rho^2, which is a fraction also where rho is not."""
    lengths = _pair_of_lengths(c)
    if (delta is None) == (one_minus_rho is None):
        raise ValueError(f"give either delta or one_minus_rho, got {delta!r} and {one_minus_rho!r}")
    if one_minus_rho is not None:
        rho = 1 - exact(one_minus_rho, "one_minus_rho")
        if abs(rho) > 1:
            raise ValueError(f"one_minus_rho must be between 0 and 2, got {one_minus_rho!r}")
        return lengths, -1 if rho < 0 else 1, rho**2
    cross = exact(delta, "delta")
    rho_squared = cross**2 / (lengths[0] * lengths[1])
    if rho_squared > 1:
        raise ValueError(f"delta must be at most sqrt(c_1 c_2) in size, for c = {c!r}, got {delta!r}")
    return lengths, -1 if cross < 0 else 1, rho_squared
