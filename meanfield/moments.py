"""The one-input averages of a capsule: everything in the theory that involves a single radius.

All functions take an :class:`~meanfield.activations.Activation`, D, and an array s = sigma_w^2 c, and return arrays of
its shape. Quantities are divided by the power of s that keeps them finite as s -> 0, and differences that almost
cancel are averages of the differences. f = 1 has f/r without a second moment at D <= 2: there the averages concerned
are infinite.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import product
from typing import NamedTuple

import numpy as np
from scipy import special

from .activations import Activation
from .quadrature import in_x, panel_rule, radial_averages, radial_rule, scale_bucket

_PORTION = 256  # pairs at a time
_CLOSE = 0.25  # log of a ratio of radii up to which eight Gauss-Legendre points leave 1e-17


def averages(
    activation: Activation, dimension: int, s, integrands: Callable[..., Sequence[np.ndarray]], refine=1, rows=None
) -> list[np.ndarray]:
    """:func:`meanfield.quadrature.radial_averages` of what is made of an activation."""
    breaks = None if activation.guaranteed else activation.breaks
    return radial_averages(dimension, s, integrands, refine, rows, breaks)


def power_gain(activation: Activation, dimension: int, s, refine: int = 1) -> np.ndarray:
    """<f(r)^2>/s, the factor by which Eq. (8)/(35) multiplies s; f'(0)^2 at s = 0."""
    if activation.is_saturated:
        with np.errstate(divide="ignore"):
            return 1.0 / np.asarray(s, float)
    (gain,) = averages(activation, dimension, s, lambda r, t: [activation.ratio(r) ** 2 * t], refine)
    return 2.0 / dimension * gain


def refinement_error(found: Callable[[int], Sequence[np.ndarray]]) -> np.ndarray:
    """Estimated relative error of averages, given as a function of `refine`: all that two finer rules change of any of
    them (what one rule misses can sit where another changes nothing).
    """
    coarse, *finer = (np.array(found(refine)) for refine in (1, 2, 3))
    with np.errstate(invalid="ignore"):  # infinity less infinity, where the two are the same
        change = np.sum([np.where(coarse == better, 0.0, np.abs(coarse - better)) for better in finer], axis=0)
        return np.max(change / np.where(coarse == 0.0, 1.0, np.abs(coarse)), axis=0)


def gain_error(activation: Activation, dimension: int, s) -> np.ndarray:
    """Estimated relative error of <f^2>."""
    return refinement_error(lambda refine: [power_gain(activation, dimension, s, refine)])


def relaxation(activation: Activation, dimension: int, s, refine: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """chi = d log <f^2>/d log s and 1 - chi from f alone: integrating <f f' r> by parts over t = D r^2/(2 s),

        chi = <(t - D/2) f^2>/<f^2>,

    which also counts the jumps of f. What it loses to cancellation near chi = 1 a user's f has lost before.
    """
    half = dimension / 2.0

    def integrands(r, t):
        power = activation.ratio(r) ** 2 * t
        return [power, (t - half) * power, (half + 1.0 - t) * power]

    power, up, down = averages(activation, dimension, s, integrands, refine)
    return up / power, down / power


def derivative_error(activation: Activation, dimension: int, s) -> np.ndarray:
    """How far <f f' r>/<f^2> is from chi: what a user's f' has missed. Where f jumps it misses that, and averages of
    f'^2 are infinite whatever it is.
    """
    if activation.jump is not None:
        return np.zeros(np.shape(s))

    def integrands(r, t):
        ratio = activation.ratio(r)
        return [ratio**2 * t, ratio * activation.derivative(r) * t]

    power, up = averages(activation, dimension, s, integrands)
    return np.abs(up / power - relaxation(activation, dimension, s)[0])


class Saturation(NamedTuple):
    """How far <f^2> is from linear growth."""

    lost: np.ndarray  # 1 - <f^2>/(f'(0)^2 s), without cancellation at small s
    gain: np.ndarray  # <f^2>/s
    one_minus_chi: np.ndarray  # 1 - d log <f^2> / d log s, without cancellation


def saturation(activation: Activation, dimension: int, s) -> Saturation:
    """See :class:`Saturation`."""

    def integrands(r, t):
        missing, ratio = activation.one_minus_ratio(r), activation.ratio(r)
        return [missing * (2.0 - missing) * t, ratio**2 * t, ratio * over_r(activation.deficit(r), r) * t]

    lost, gain, down = averages(activation, dimension, s, integrands)
    return Saturation(2.0 / dimension * lost, 2.0 / dimension * gain, down / gain)


def over_r(numerator: np.ndarray, r: np.ndarray) -> np.ndarray:
    """numerator/r, 0 where r = 0 (for numerators that vanish faster than r)."""
    return np.divide(numerator, r, out=np.zeros(r.shape), where=r > 0)


def gain_and_jacobian(
    activation: Activation, dimension: int, s, refine: int = 1
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(<f^2>/s, <f'^2>, <(f/r)^2>): the gains of a layer's power, and of a small change of its input along a capsule's
    radius (the amplitude direction) and at right angles to it (the D - 1 angular, Goldstone-like directions).
    """

    def integrands(r, t):
        square = activation.ratio(r) ** 2
        return [square * t, activation.derivative(r) ** 2, square]

    gain, amplitude, angular = averages(activation, dimension, s, integrands, refine)
    return (
        2.0 / dimension * gain,
        _over_jump(activation, dimension, s, amplitude),
        _over_square(activation, dimension, angular),
    )


def _over_jump(activation: Activation, dimension: int, s, average: np.ndarray) -> np.ndarray:
    """An average of f'^2: infinite where f jumps, unless no capsule in 1e300 is that long."""
    if activation.jump is None:
        return average
    half = dimension / 2.0
    with np.errstate(divide="ignore"):
        reached = special.gammaincc(half, half * activation.jump**2 / np.asarray(s, float)) > 0.0
    return np.where(reached, np.inf, average)


def _over_square(activation: Activation, dimension: int, average: np.ndarray) -> np.ndarray:
    """An average of f^2/r^2: infinite for f = 1 at D <= 2, where the radial rule finds some number."""
    return np.full(average.shape, np.inf) if activation.is_saturated and dimension <= 2 else average


def bending(activation: Activation, dimension: int, s) -> np.ndarray:
    """<(f/r - f')^2>, which a small change at right angles and one along the radius differ by."""
    (square,) = averages(activation, dimension, s, lambda r, t: [over_r(activation.deficit(r), r) ** 2])
    return _over_jump(activation, dimension, s, _over_square(activation, dimension, square))


class LayerMoments(NamedTuple):
    """What the susceptibilities of a layer are made of."""

    gain: np.ndarray  # <f^2>/s
    chi: np.ndarray  # d log <f^2> / d log s = <f f' r>/<f^2>; of a user's function by `relaxation`
    one_minus_chi: np.ndarray
    linear: np.ndarray  # <r f>^2/(s <f^2>): the share of the linear part, a_0^2 / sum_n a_n^2
    one_minus_linear: np.ndarray
    amplitude: np.ndarray  # <f'^2>
    angular: np.ndarray  # <(f/r)^2>


def layer_moments(activation: Activation, dimension: int, s, refine: int = 1) -> LayerMoments:
    """All of :class:`LayerMoments`, for an array s > 0."""
    scale = 2.0 / dimension

    def integrands(r, t):
        ratio, derivative = activation.ratio(r), activation.derivative(r)
        square = ratio**2 * t
        return [
            square,
            ratio * derivative * t,
            ratio * over_r(activation.deficit(r), r) * t,
            ratio * t,
            activation.one_minus_ratio(r) * t,
            derivative**2,
            ratio**2,
        ]

    square, up, down, ratio_mean, missing_mean, amplitude, angular = averages(
        activation, dimension, s, integrands, refine
    )
    distance = _distance_from_linear(activation, dimension, s, scale * ratio_mean, scale * missing_mean, refine)
    chi, one_minus_chi = up / square, down / square
    if not activation.guaranteed:
        chi, one_minus_chi = relaxation(activation, dimension, s, refine)
    return LayerMoments(
        gain=scale * square,
        chi=chi,
        one_minus_chi=one_minus_chi,
        linear=scale * ratio_mean**2 / square,
        one_minus_linear=distance / square,
        amplitude=_over_jump(activation, dimension, s, amplitude),
        angular=_over_square(activation, dimension, angular),
    )


def _distance_from_linear(activation, dimension, s, ratio_mean, missing_mean, refine) -> np.ndarray:
    """Mean squared distance of f from its best linear approximation (in units of s D/2): a sum that cancels nowhere.

    Where f is nearly linear it is taken from what f lacks to f'(0) r, elsewhere from f itself.
    """
    flat_ratio, flat_missing = ratio_mean.ravel(), missing_mean.ravel()
    flat_s = np.asarray(s, float).ravel()
    out = np.empty(flat_s.shape)
    nearly = flat_missing < 0.5

    def variance(which, function, mean) -> np.ndarray:
        """<(function(r) - mean)^2 t>, one mean for each s."""

        def integrands(r, t, mean):
            return [(function(r) - mean) ** 2 * t]

        return averages(activation, dimension, flat_s[which], integrands, refine, rows=mean[which])[0]

    if nearly.any():
        out[nearly] = activation.slope**2 * variance(nearly, activation.one_minus_ratio, flat_missing)
    if not nearly.all():
        out[~nearly] = variance(~nearly, activation.ratio, flat_ratio)
    return out.reshape(np.shape(s))


def aligned(activation: Activation, dimension: int, s_1, s_2, refine: int = 1) -> np.ndarray:
    """<f_1 f_2>/sqrt(s_1 s_2) for two radii in proportion, Delta' of aligned inputs; flat arrays (m,)."""
    out = np.empty(s_1.shape)
    for part in _portions(np.arange(s_1.size)):
        a_1, a_2, x, w = _both_radii(activation, dimension, s_1[part], s_2[part], refine)
        out[part] = np.vecdot(activation.ratio(a_1 * x) * activation.ratio(a_2 * x) * x**2, w)
    return 2.0 / dimension * out


def _portions(which: np.ndarray) -> list[np.ndarray]:
    """Indices, a cache of nodes at a time."""
    return np.array_split(which, -(-which.size // _PORTION)) if which.size else []


def _both_radii(activation: Activation, dimension: int, s_1, s_2, refine: int = 1) -> tuple[np.ndarray, ...]:
    """Scales a_1 and a_2 of the radii, shape (m, 1), and nodes x and weights of a rule for functions of both."""
    a_1, a_2 = (np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None] for s in (s_1, s_2))
    bucket = scale_bucket(float(np.maximum(a_1, a_2).max()))
    if activation.guaranteed:
        return a_1, a_2, *radial_rule(dimension, bucket)
    breaks = np.concatenate([in_x(activation.breaks, a) for a in (a_1, a_2)], axis=1)
    return a_1, a_2, *panel_rule(dimension, bucket, breaks, refine)


def norm_mismatch(activation: Activation, dimension: int, s_1, s_2, stretch: np.ndarray) -> np.ndarray:
    """1 - <f_1 f_2>/sqrt(<f_1^2><f_2^2>) for two radii in proportion, r_2 = exp(stretch) r_1: what aligned inputs of
    unequal norm lose of their overlap in one layer; flat arrays (m,), s_1 <= s_2.

    It is sin^2/(1 + cos) of the angle between f_1 and f_2, and the sine is what is left of f_2 - f_1 at right angles to
    f_1. The difference is formed without cancellation; where f is nearly linear, that of f(r)/r in its place.
    """
    if activation.is_saturated:
        return np.zeros(s_1.shape)
    out = np.empty(s_1.shape)
    linear = relaxation(activation, dimension, s_2)[0] > 0.5
    close = (stretch < _CLOSE) & activation.guaranteed  # a user's f' may miss jumps
    for nearly, near in product((True, False), repeat=2):
        for which in _portions(np.flatnonzero((linear == nearly) & (close == near))):
            out[which] = _sine_loss(
                activation, dimension, s_1[which], s_2[which], nearly, stretch[which] if near else None
            )
    return out


def _sine_loss(activation, dimension, s_1, s_2, nearly, stretch) -> np.ndarray:
    """Where all of f is nearly linear, or none; `stretch` where the radii are nearly equal, or None."""
    a_1, a_2, x, w = _both_radii(activation, dimension, s_1, s_2)
    r_1, r_2 = a_1 * x, a_2 * x
    if stretch is not None:
        change = _integral(activation, r_1, stretch[:, None], nearly)
    elif nearly:
        change = activation.slope * (activation.one_minus_ratio(r_1) - activation.one_minus_ratio(r_2))
    else:
        change = activation.value(r_2) - activation.value(r_1)
    # f/a up to a = 1 and f itself beyond, so that no square underflows
    unit_1, unit_2 = np.maximum(a_1, 1.0), np.maximum(a_2, 1.0)
    change = change * unit_2 * (x if nearly else 1.0 / a_2)
    first, second = activation.ratio(r_1) * x * unit_1, activation.ratio(r_2) * x * unit_2
    square, power = np.vecdot(first**2, w), np.vecdot(second**2, w)
    share = np.vecdot(first * change, w) / square
    sine = np.vecdot((change - share[:, None] * first) ** 2, w) / power
    cosine = np.vecdot(first * second, w) / (np.sqrt(square) * np.sqrt(power))
    return sine / (1.0 + cosine)


def _integral(activation, r, stretch, nearly) -> np.ndarray:
    """f(r_2) - f(r_1), or if nearly linear that of f(r)/r, as integrals over log r of r f'(r) and of -deficit/r."""
    total = np.zeros(r.shape)
    for node, weight in zip(*np.polynomial.legendre.leggauss(8), strict=True):
        at = np.exp(stretch * (1.0 + node) / 2.0) * r
        slope = -over_r(activation.deficit(at), at) if nearly else at * activation.derivative(at)
        total += weight / 2.0 * slope
    return stretch * total
