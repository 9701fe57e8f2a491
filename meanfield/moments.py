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

from .activations import Activation
from .quadrature import radial_averages, radial_rule, scale_bucket

_CLOSE = 0.25  # log of a ratio of radii up to which eight Gauss-Legendre points leave 1e-17
_USER_REFINE = 8  # a user's function may bend or jump anywhere: there the rule's error falls as step^2 or step only


def refinement(activation: Activation, refine: int = 1) -> int:
    """How much finer than the named activations' the radial rule must be."""
    return refine if activation.guaranteed else refine * _USER_REFINE


def power_gain(activation: Activation, dimension: int, s, refine: int = 1) -> np.ndarray:
    """<f(r)^2>/s, the factor by which Eq. (8)/(35) multiplies s; f'(0)^2 at s = 0."""
    if activation.is_saturated:
        with np.errstate(divide="ignore"):
            return 1.0 / np.asarray(s, float)
    steps = refinement(activation, refine)
    (gain,) = radial_averages(dimension, s, lambda r, t: [activation.ratio(r) ** 2 * t], steps)
    return 2.0 / dimension * gain


def refinement_error(averages: Callable[[int], Sequence[np.ndarray]]) -> np.ndarray:
    """Estimated relative error of averages, given as a function of `refine`: the largest change that two finer rules
    make to any of them (a kink can sit where one rule changes nothing).
    """
    coarse, *finer = (np.array(averages(refine)) for refine in (1, 2, 3))
    change = np.max([np.abs(coarse - better) for better in finer], axis=0)
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

    power, up, down = radial_averages(dimension, s, integrands, refinement(activation, refine))
    return up / power, down / power


def derivative_error(activation: Activation, dimension: int, s) -> np.ndarray:
    """How far <f f' r>/<f^2> is from chi: what a user's f' has missed, as every f' misses where f jumps."""

    def integrands(r, t):
        ratio = activation.ratio(r)
        return [ratio**2 * t, ratio * activation.derivative(r) * t]

    power, up = radial_averages(dimension, s, integrands, refinement(activation))
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

    lost, gain, down = radial_averages(dimension, s, integrands, refinement(activation))
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

    gain, amplitude, angular = radial_averages(dimension, s, integrands, refinement(activation, refine))
    return 2.0 / dimension * gain, amplitude, _over_square(activation, dimension, angular)


def _over_square(activation: Activation, dimension: int, average: np.ndarray) -> np.ndarray:
    """An average of f^2/r^2: infinite for f = 1 at D <= 2, where the radial rule finds some number."""
    return np.full(average.shape, np.inf) if activation.is_saturated and dimension <= 2 else average


def bending(activation: Activation, dimension: int, s) -> np.ndarray:
    """<(f/r - f')^2>, which a small change at right angles and one along the radius differ by."""
    (square,) = radial_averages(
        dimension, s, lambda r, t: [over_r(activation.deficit(r), r) ** 2], refinement(activation)
    )
    return _over_square(activation, dimension, square)


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

    square, up, down, ratio_mean, missing_mean, amplitude, angular = radial_averages(
        dimension, s, integrands, refinement(activation, refine)
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
        amplitude=amplitude,
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
    steps = refinement(activation, refine)
    if nearly.any():
        lack = _variance(dimension, flat_s[nearly], activation.one_minus_ratio, flat_missing[nearly], steps)
        out[nearly] = activation.slope**2 * lack
    if not nearly.all():
        out[~nearly] = _variance(dimension, flat_s[~nearly], activation.ratio, flat_ratio[~nearly], steps)
    return out.reshape(np.shape(s))


def _variance(dimension, s, function, mean, steps) -> np.ndarray:
    """<(function(r) - mean)^2 t>, one mean for each s."""
    return radial_averages(dimension, s, lambda r, t, m: [(function(r) - m) ** 2 * t], steps, rows=mean)[0]


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
        which = np.flatnonzero((linear == nearly) & (close == near))
        if which.size:
            out[which] = _sine_loss(
                activation, dimension, s_1[which], s_2[which], nearly, stretch[which] if near else None
            )
    return out


def _sine_loss(activation, dimension, s_1, s_2, nearly, stretch) -> np.ndarray:
    """Where all of f is nearly linear, or none; `stretch` where the radii are nearly equal, or None."""
    a_1, a_2 = (np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None] for s in (s_1, s_2))
    x, w = radial_rule(dimension, scale_bucket(float(a_2.max())), refinement(activation))
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
    square, power = first**2 @ w, second**2 @ w
    share = (first * change) @ w / square
    sine = (change - share[:, None] * first) ** 2 @ w / power
    cosine = (first * second) @ w / (np.sqrt(square) * np.sqrt(power))
    return sine / (1.0 + cosine)


def _integral(activation, r, stretch, nearly) -> np.ndarray:
    """f(r_2) - f(r_1), or if nearly linear that of f(r)/r, as integrals over log r of r f'(r) and of -deficit/r."""
    total = np.zeros(r.shape)
    for node, weight in zip(*np.polynomial.legendre.leggauss(8), strict=True):
        at = np.exp(stretch * (1.0 + node) / 2.0) * r
        slope = -over_r(activation.deficit(at), at) if nearly else at * activation.derivative(at)
        total += weight / 2.0 * slope
    return stretch * total
