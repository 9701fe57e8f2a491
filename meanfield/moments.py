"""The one-input averages of a capsule: everything in the theory that involves a single radius.

All functions take an :class:`~meanfield.activations.Activation`, D, and an array s = sigma_w^2 c, and return arrays of
its shape. Quantities are divided by the power of s that keeps them finite as s -> 0, and differences that almost
cancel are averages of the differences. f = 1 has f/r without a second moment at D <= 2: there the averages concerned
are infinite.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .activations import Activation
from .quadrature import radial_averages, radial_rule, scale_bucket

_USER_REFINE = 8  # a user's function may bend or jump anywhere: there the rule's error falls as step^2 or step only


def refinement(activation: Activation, refine: int = 1) -> int:
    """How much finer than the named activations' the radial rule must be."""
    return refine if activation.guaranteed else refine * _USER_REFINE


def power_gain(activation: Activation, dimension: int, s, refine: int = 1) -> np.ndarray:
    """<f(r)^2>/s, the factor by which Eq. (8)/(35) multiplies s; f'(0)^2 at s = 0."""
    if np.isinf(activation.slope):
        with np.errstate(divide="ignore"):
            return 1.0 / np.asarray(s, float)
    steps = refinement(activation, refine)
    (gain,) = radial_averages(dimension, s, lambda r, t: [activation.ratio(r) ** 2 * t], steps)
    return 2.0 / dimension * gain


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


def gain_and_jacobian(activation: Activation, dimension: int, s) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(<f^2>/s, <f'^2>, <(f/r)^2>): the gains of a layer's power, and of a small change of its input along a capsule's
    radius (the amplitude direction) and at right angles to it (the D - 1 angular, Goldstone-like directions).
    """

    def integrands(r, t):
        square = activation.ratio(r) ** 2
        return [square * t, activation.derivative(r) ** 2, square]

    gain, amplitude, angular = radial_averages(dimension, s, integrands, refinement(activation))
    if np.isinf(activation.slope) and dimension <= 2:
        angular = np.full(np.shape(s), np.inf)
    return 2.0 / dimension * gain, amplitude, angular


class LayerMoments(NamedTuple):
    """What the susceptibilities of a layer are made of."""

    gain: np.ndarray  # <f^2>/s
    chi: np.ndarray  # d log <f^2> / d log s = <f f' r>/<f^2>
    one_minus_chi: np.ndarray
    linear: np.ndarray  # <r f>^2/(s <f^2>): the share of the linear part, a_0^2 / sum_n a_n^2
    one_minus_linear: np.ndarray
    amplitude: np.ndarray  # <f'^2>
    angular: np.ndarray  # <(f/r)^2>
    fourth: np.ndarray  # <f^2 r^2>/s^2


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
            square * t,
        ]

    square, up, down, ratio_mean, missing_mean, amplitude, angular, fourth = radial_averages(
        dimension, s, integrands, refinement(activation, refine)
    )
    if np.isinf(activation.slope) and dimension <= 2:
        angular = np.full(np.shape(s), np.inf)
    distance = _distance_from_linear(activation, dimension, s, scale * ratio_mean, scale * missing_mean)
    return LayerMoments(
        gain=scale * square,
        chi=up / square,
        one_minus_chi=down / square,
        linear=scale * ratio_mean**2 / square,
        one_minus_linear=distance / square,
        amplitude=amplitude,
        angular=angular,
        fourth=scale**2 * fourth,
    )


def _distance_from_linear(activation, dimension, s, ratio_mean, missing_mean) -> np.ndarray:
    """Mean squared distance of f from its best linear approximation (in units of s D/2): a sum that cancels nowhere.

    Where f is nearly linear it is taken from what f lacks to f'(0) r, elsewhere from f itself.
    """
    flat_ratio, flat_missing = ratio_mean.ravel(), missing_mean.ravel()
    flat_s = np.asarray(s, float).ravel()
    out = np.empty(flat_s.shape)
    nearly = flat_missing < 0.5
    if nearly.any():
        lack = _variance(activation, dimension, flat_s[nearly], activation.one_minus_ratio, flat_missing[nearly])
        out[nearly] = activation.slope**2 * lack
    if not nearly.all():
        out[~nearly] = _variance(activation, dimension, flat_s[~nearly], activation.ratio, flat_ratio[~nearly])
    return out.reshape(np.shape(s))


def _variance(activation, dimension, s, function, mean) -> np.ndarray:
    """<(function(r) - mean)^2 t>, one mean for each s."""
    steps = refinement(activation)
    return radial_averages(dimension, s, lambda r, t, m: [(function(r) - m) ** 2 * t], steps, rows=mean)[0]


def norm_mismatch(activation: Activation, dimension: int, s_1: np.ndarray, s_2: np.ndarray) -> np.ndarray:
    """1 - <f_1 f_2>/sqrt(<f_1^2><f_2^2>) for two radii in proportion, r_i = a_i x: what aligned inputs of unequal norm
    lose of their overlap in one layer. Half the mean squared distance of the normalised functions; flat arrays (m,).
    """
    if np.isinf(activation.slope):
        return np.zeros(s_1.shape)
    a_1, a_2 = (np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None] for s in (s_1, s_2))
    x, w = radial_rule(dimension, scale_bucket(float(max(a_1.max(), a_2.max()))), refinement(activation))
    f_1, f_2 = activation.ratio(a_1 * x) * x, activation.ratio(a_2 * x) * x
    f_1, f_2 = (f / np.sqrt(f**2 @ w)[:, None] for f in (f_1, f_2))
    return 0.5 * ((f_1 - f_2) ** 2 @ w)
