"""What the N capsules of one layer add to the scatter of the overlap of two inputs, at equal norms.

Given the Gram matrix of one layer, the entries of the next are means of N independent numbers: c_1' of f_1^2, c_2' of
f_2^2, and C_12' of f_1 f_2 exp(i theta), whose parts along and across the frame of C_12 are f_1 f_2 cos theta and f_1
f_2 sin theta. So N times the covariances of the layer's own noise are, with c' = <f^2>, Delta' = rho' c',

    Var c_1'            = <f^4> - c'^2,                      Cov(c_1', c_2')  = K_0 - c'^2,
    Cov(c_1', Delta')   = E[f_1^3 f_2 cos theta] - c' Delta',
    Var Delta'          = K_0 - (1 - 1/D) (K_0 - K_2) - Delta'^2,

K_m = E[f_1^2 f_2^2 P_m(cos theta)] (`meanfield.transverse`, which has K_0 - K_2).

With (f/r)^2 = int q(v) exp(-v^2 r^2) dv, h = D/2 and the alpha, beta, z of `meanfield.mixture`, z = rho^2 alpha_1
alpha_2,

    K_0 = (2s/D)^2 h int int q q (beta_1 beta_2)^(h+1) (1 - z)^(-h-2) B dv_1 dv_2,
    B   = (h + 1) (1 - rho^2 alpha_1) (1 - rho^2 alpha_2) - (1 - rho^2) (1 - z).

The third has three factors f of one capsule. There the other capsule is averaged first: given x_1 with t = D r_1^2/(2
s), the mean of f_2 cos theta is rho r_1 int p(v) b^(-h-1) exp(-y rho^2 t/b) dv, y = 2 s v^2/D, b = 1 + (1 - rho^2) y.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from . import laguerre
from .activations import Activation
from .chunks import chunks
from .mixture import MixtureState, mixture_state
from .moments import power_gain
from .overlap_response import pairs, relative_change
from .quadrature import radial_rule, scale_bucket
from .squared import squared_state
from .transverse import transverse_noise

_CHUNK = 300_000  # numbers per temporary array


class OverlapNoise(NamedTuple):
    """N times the covariances of one layer's own noise, each an array like rho; Var c_1' is in `layer_noise`."""

    powers: np.ndarray  # Cov(c_1', c_2')/c'^2
    power_overlap: np.ndarray  # Cov(c_1', Delta')/(c' Delta')
    overlap: np.ndarray  # Var Delta'/c'^2
    transverse: np.ndarray  # (K_0 - K_2)/c'^2


def overlap_noise(
    activation: Activation,
    dimension: int,
    s: np.ndarray,
    rho: np.ndarray,
    one_minus_rho: np.ndarray,
    next_one_minus_rho: np.ndarray,
) -> tuple[OverlapNoise, np.ndarray]:
    """See :class:`OverlapNoise`; flat arrays, s > 0, and an estimate of their error, relative where they exceed 1.

    Errors of the named activations are below 1e-12 of the larger of 1 and the number itself.
    """
    powers, power_overlap, error = _products(activation, dimension, s, rho, one_minus_rho)
    transverse, transverse_error = transverse_noise(activation, dimension, s, rho, one_minus_rho)
    distinct = next_one_minus_rho * (2.0 - next_one_minus_rho)  # 1 - (Delta'/c')^2
    found = OverlapNoise(
        powers=powers,
        power_overlap=power_overlap,
        overlap=np.maximum(powers + distinct - (1.0 - 1.0 / dimension) * transverse, 0.0),
        transverse=transverse,
    )
    return found, error + transverse_error


def _products(activation: Activation, dimension: int, s, rho, one_minus_rho):
    """Cov(c_1', c_2')/c'^2 and Cov(c_1', Delta')/(c' Delta'), with an estimate of their error."""
    if activation.is_saturated:  # f^2 is 1
        return np.zeros((3, s.size))
    if activation.guaranteed:
        powers = _powers(squared_state(activation, dimension, s), dimension / 2.0, one_minus_rho)
        return powers, _power_overlap(activation, dimension, s, one_minus_rho), np.zeros(s.shape)
    sums = [_by_series(activation, dimension, s, rho, rule) for rule in (laguerre.PANELS, laguerre.OTHER_PANELS)]
    return *sums[0], relative_change(*sums)


def _powers(state: MixtureState, half: float, one_minus_rho: np.ndarray) -> np.ndarray:
    """K_0/c'^2 - 1. B is taken apart into terms that are all positive where rho is near 1."""
    out = np.empty(one_minus_rho.size)
    for pair in pairs(state, one_minus_rho):
        missing = one_minus_rho[pair.part][:, None, None]
        rho_squared, spread = (1.0 - missing) ** 2, missing * (2.0 - missing)
        beta = np.exp(state.log_beta[pair.part])
        beta_1, beta_2 = beta[:, :, None], beta[:, None, :]
        sum_, product = beta_1 + beta_2, beta_1 * beta_2
        b = (
            spread**2 * (half + sum_ - product)
            + spread * (sum_ * ((half + 1.0) * rho_squared - 1.0) + product)
            + (half + 1.0) * rho_squared**2 * product
        )
        squares = np.sum(pair.density * np.exp(-(half + 1.0) * pair.log_e) * pair.whole * b, axis=(1, 2))
        out[pair.part] = squares / (half * np.sum(pair.density * product ** (half + 1.0), axis=(1, 2))) - 1.0
    return out


def _power_overlap(activation: Activation, dimension: int, s: np.ndarray, one_minus_rho: np.ndarray) -> np.ndarray:
    """E[f_1^3 f_2 cos theta]/(c' Delta') - 1, as the average of f_1 f_2 cos theta (f_1^2/c' - 1)."""
    half = dimension / 2.0
    state = mixture_state(activation, dimension, s)
    x, weight = radial_rule(dimension, scale_bucket(float(np.sqrt(s.max(initial=0.0) / half))))
    t = x * x
    surplus = 1.0 / power_gain(activation, dimension, s)
    out = np.empty(s.size)
    for part in chunks(s.size, x.size * state.log_beta.shape[1], _CHUNK):
        missing = one_minus_rho[part][:, None]
        density = state.density_of(part)
        alpha, beta = -np.expm1(state.log_beta[part]), np.exp(state.log_beta[part])
        # b = 1 + (1 - rho^2) y, and rho^2 y/b
        b = 1.0 + missing * (2.0 - missing) * np.expm1(-state.log_beta[part])
        rate = (1.0 - missing) ** 2 * alpha / (beta + missing * (2.0 - missing) * alpha)
        other = np.einsum("mv,mvt->mt", density * b ** (-half - 1.0), np.exp(-rate[:, :, None] * t))
        ratio = activation.ratio(np.sqrt(s[part] / half)[:, None] * x)
        both = ratio * other * t
        relative = ratio**2 * t / half * surplus[part][:, None] - 1.0
        out[part] = (both * relative) @ weight / (both @ weight)
    return out


def _by_series(activation: Activation, dimension: int, s: np.ndarray, rho: np.ndarray, rule: tuple[int, int]):
    """Both from the expansions of f and f^3 in vector, and of f^2 in scalar Laguerre functions.

    They leave out less than those of `overlap_response`, whose terms have the same factors times powers of n.
    """
    once, thrice, squares = laguerre.power_expansions(activation, dimension, s, rule)
    powers = rho[:, None] ** (2.0 * np.arange(laguerre.TERMS))
    gain = squares[:, 0]
    crossed = np.sum(thrice * once * powers, axis=1) / (gain * np.sum(once**2 * powers, axis=1)) - 1.0
    return np.sum((squares**2 * powers)[:, 1:], axis=1) / gain**2, crossed
