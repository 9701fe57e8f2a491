"""Two inputs near rho = 1 by direct quadrature, for a user's function.

There the Laguerre series converges slowly at large s, and at any s where f breaks: a jump of f' leaves (1 -
rho)^(3/2) of c' - Delta', one of f (1 - rho)^(1/2). By the symmetry between the two capsules u, v with radii x, q (r =
a x, as in `meanfield.quadrature`)

    c' - Delta' = E |phi(u) - phi(v)|^2 / 2
                = int dx int_{q > x} dq p(x, q) { (f(x) - f(q))^2 + 2 <1 - cos theta> f(x) f(q) },

    p(x, q) = 4 (x q)^(D/2) I_(D/2-1)(k) exp(-(x^2 + q^2)/w^2) / (Gamma(D/2) rho^(D/2-1) w^2),
    <cos theta> = I_(D/2)(k)/I_(D/2-1)(k),        k = 2 rho x q/w^2,        w^2 = 1 - rho^2,

the kernel of Eq. (12) for any D; both terms are positive. At unequal norms the square is (f_1(x) - f_1(q)) (f_2(x) -
f_2(q)), and so on. All panels end where f breaks, and those of x are as fine as w where q can pass a break.

The differences of f lose digits where w is small, about 1e-16/w. Below 1 - rho = 1e-12 the integral is not done:
(c' - Delta')/(1 - rho), or where f jumps (c' - Delta')/(1 - rho)^(1/2), is followed from there as a linear function of
(1 - rho)^(1/2).
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from scipy import special

from .activations import Activation
from .quadrature import gauss_legendre, in_x, panel_ends, scale_bucket

_REACH = 6.7  # exp(-6.7^2) is 1e-20
_LAYERS = np.linspace(0.0, _REACH, 5)
_TURNS = 2.0 ** np.arange(-4.0, 5.0)  # radii r between which a user's function is taken to be smooth
_SHARP = 0.05  # from here on the width of the kernel can hold a turn of f
_ORDERS = (12, 16)  # Gauss-Legendre points a panel; what they differ by is the error
_TERMS = 16  # of the asymptotic series of Bessel functions
_NEAR, _NEARER = 1e-10, 1e-12  # values of 1 - rho that smaller ones are extrapolated from


def nearby_gap(
    activation: Activation, dimension: int, s_1: float, s_2: float, one_minus_rho: float
) -> tuple[float, float]:
    """(Delta'(1) - Delta'(rho))/sqrt(s_1 s_2) for 0 < rho < 1, and an estimate of its relative error.

    That is infinite where norms differ by so little that both radii pass a break together down to the smallest 1 - rho
    that can be done: nothing is known of smaller ones.
    """
    if one_minus_rho >= _NEARER:
        return _measured(_gap, activation, dimension, [s_1, s_2], one_minus_rho)
    between = abs(np.log(s_1 / s_2))
    if 0.0 < between < 100.0 * np.sqrt(_NEAR):
        return 0.0, np.inf
    power = 0.5 if activation.jump is not None and between == 0.0 else 1.0
    (far, _), (near, error) = _nearest(activation, dimension, s_1, s_2)
    far, near = far / _NEAR**power, near / _NEARER**power
    slope = (far - near) / (np.sqrt(_NEAR) - np.sqrt(_NEARER))
    scaled = near + slope * (np.sqrt(one_minus_rho) - np.sqrt(_NEARER))
    return float(scaled * one_minus_rho**power), float(2.0 * error + _NEAR)


@lru_cache(maxsize=1024)  # layers in which c has settled share it
def _nearest(activation, dimension, s_1, s_2) -> list[tuple[float, float]]:
    return [_measured(_gap, activation, dimension, [s_1, s_2], missing) for missing in (_NEAR, _NEARER)]


def _measured(integral, activation, dimension, norms, one_minus_rho) -> tuple[float, float]:
    """An integral, and an estimate of its relative error, which is infinite where there is none."""
    scales = np.sqrt(2.0 / dimension) * np.sqrt(np.unique(norms))
    with np.errstate(over="ignore", invalid="ignore"):  # at enormous D, where Bessel functions underflow
        results = [integral(activation, dimension, scales, one_minus_rho, order) for order in _ORDERS]
    (rough, _), (value, mass) = results
    if value == 0.0 or not np.isfinite(value):
        return 0.0, np.inf
    rounding = np.finfo(float).eps / np.sqrt(one_minus_rho)
    return value, rounding + abs(rough - value) / abs(value) + abs(2.0 * mass - 1.0)


def nearby_slope(activation: Activation, dimension: int, s: float, one_minus_rho: float) -> tuple[float, float]:
    """(d Delta'/d rho (1) - d Delta'/d rho)/s at equal norms, 0 < rho < 1, and an estimate of its relative error.

    With the Jacobian J = A + B r r^T/r^2, A = f/r and B = f' - f/r, the derivative is s/D E tr J(u) J(v)^T, so that
    what it lacks is s/(2 D) E |J(u) - J(v)|^2. That is infinite where f jumps.
    """
    if activation.jump is not None:
        return 0.0, np.inf
    return _measured(_slope, activation, dimension, [s], one_minus_rho)


def _slope(activation, dimension, scales, one_minus_rho, order) -> tuple[float, float]:
    """As :func:`_gap`."""
    x, q, measure, missing, k = _pairs(activation, dimension, scales, one_minus_rho, order)
    across, along = ([part(scales[0] * each) for each in (x, q)] for part in (activation.ratio, activation.derivative))
    bend = [slope - ratio for slope, ratio in zip(along, across, strict=True)]
    change = (dimension - 1) * (across[1] - across[0]) ** 2 + (along[1] - along[0]) ** 2
    turn = 2.0 * (dimension - 1) * (1.0 - missing) / k * bend[0] * bend[1]  # <sin^2 theta>
    gap, mass = (float(np.sum(measure * part)) for part in (change + turn, 1.0))
    return gap / dimension, mass


def _gap(activation, dimension, scales, one_minus_rho, order) -> tuple[float, float]:
    """The integral, and what it makes of p alone: 1/2, as q > x is one half of all."""
    x, q, measure, missing, _ = _pairs(activation, dimension, scales, one_minus_rho, order)
    # f(r)/sqrt(s), which stays finite where s underflows
    near = [activation.ratio(scale * x) * x for scale in scales]
    far = [activation.ratio(scale * q) * q for scale in scales]
    change = (far[0] - near[0]) * (far[-1] - near[-1])
    turn = missing * (near[0] * far[-1] + far[0] * near[-1])
    gap, mass = (float(np.sum(measure * part)) for part in (change + turn, 1.0))
    return 2.0 / dimension * gap, mass


def _pairs(activation, dimension, scales, one_minus_rho, order) -> tuple[np.ndarray, ...]:
    """Nodes x (m, 1) and q > x (m, n), p dx dq, <1 - cos theta> and k there."""
    rho = 1.0 - one_minus_rho
    width = np.sqrt(one_minus_rho * (1.0 + rho))
    breaks = np.sort(in_x(activation.breaks, scales[:, None]).ravel())
    x, dx = _outer(dimension, scales, breaks, width, order)
    # f turns about where r is 1, which q must see as well as x does
    turns = (_TURNS / scales[:, None]).ravel() if width * scales.max() > _SHARP else np.empty(0)
    q, dq = _inner(x, np.sort(np.concatenate([breaks, turns])), width, order)
    x = x[:, None]
    k = 2.0 * rho * x * q / width**2
    kernel, missing = _kernel(dimension, x, q, k, rho, width)
    return x, q, dx[:, None] * kernel * dq, missing, k


def _outer(dimension, scales, breaks, width, order) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x and dx: panels that end at breaks, and layers of the width below them."""
    ends = panel_ends(dimension, scale_bucket(float(max(scales.max(), 1.0 / width))))
    layers = (breaks[:, None] - width * _LAYERS).ravel()
    return gauss_legendre(np.sort(np.concatenate([ends, layers[(layers > 0.0) & (layers < ends[-1])]])), order)


def _inner(x, breaks, width, order) -> tuple[np.ndarray, np.ndarray]:
    """Nodes q > x and dq, shape (x.size, nodes)."""
    ends = x[:, None] + width * _LAYERS
    first, last = (np.searchsorted(breaks, end) for end in (x, ends[:, -1]))
    if breaks.size == 0:
        return gauss_legendre(ends, order)
    reached = first[:, None] + np.arange((last - first).max(initial=0))  # the others make panels of no width
    inside = np.clip(breaks[np.minimum(reached, breaks.size - 1)], ends[:, :1], ends[:, -1:])
    return gauss_legendre(np.sort(np.concatenate([ends, inside], axis=1), axis=1), order)


def _kernel(dimension, x, q, k, rho, width) -> tuple[np.ndarray, np.ndarray]:
    """p(x, q) and <1 - cos theta>."""
    half = dimension / 2.0
    first, missing = _bessel(half, k)
    # (x q)^(D/2) near its peak, and k's exponential completed to a square
    log = half * np.log(x * q / half) - ((q - x) / width) ** 2 - 2.0 * x * q / (1.0 + rho) + half
    constant = np.log(4.0) + half * np.log(half) - half - special.gammaln(half) - (half - 1.0) * np.log(rho)
    return np.exp(log + constant) * first / width**2, missing


def _bessel(half: float, k: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """I_(half-1)(k) exp(-k), and 1 - I_half(k)/I_(half-1)(k), which is about (half - 1/2)/k at large k: there by the
    asymptotic series of both and by their difference.
    """
    if half == 0.5:  # cosh and sinh
        opposite = np.exp(-2.0 * k)
        return (1.0 + opposite) / np.sqrt(2.0 * np.pi * k), 2.0 * opposite / (1.0 + opposite)
    below, above = _asymptotic(half - 1.0), _asymptotic(half)
    far = k > max(30.0, half**2)
    inverse = 1.0 / np.where(far, k, np.inf)
    series, difference = (np.polynomial.polynomial.polyval(inverse, c) for c in (below, below - above))
    first, missing = series * np.sqrt(inverse / (2.0 * np.pi)), difference / series
    near = k[~far]
    # those of integer order are ten times as fast
    lower, upper = (special.i0e(near), special.i1e(near)) if half == 1.0 else special.ive([[half - 1.0], [half]], near)
    first[~far] = lower
    missing[~far] = 1.0 - np.divide(upper, lower, out=np.zeros(near.shape), where=lower > 0.0)
    return first, missing


def _asymptotic(order: float) -> np.ndarray:
    """Coefficients in 1/k of I_order(k) exp(-k) sqrt(2 pi k)."""
    n = np.arange(1.0, _TERMS)
    return np.cumprod(np.concatenate([[1.0], -(4.0 * order**2 - (2.0 * n - 1.0) ** 2) / (8.0 * n)]))
