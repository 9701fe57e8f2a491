"""The part of one input's capsules at right angles to another's: what turns their relative phase at finite width.

For two inputs of equal norm, overlap rho, and angle theta between their capsules, with U(1)'s charge kernels K_m(rho)
= E[f(r_1)^2 f(r_2)^2 cos(m theta)] and in D dimensions Gegenbauer's P_2 = (D cos^2 - 1)/(D - 1) in place of cos(2
theta),

    E[f_1^2 f_2^2 sin^2 theta] = (1 - 1/D) (K_0 - K_2).

Take Gaussians h_a = exp(-v_a^2 r_a^2) for (f/r)^2. Then the weight is Gaussian again, with covariance M (x) 1_D, M =
(S^-1 + 2 diag(v_1^2, v_2^2))^-1, S = (s/D) ((1, rho), (rho, 1)), and Wick's theorem gives

    E[h_1 h_2 (r_1^2 r_2^2 - (x_1.x_2)^2)] = D (D-1) det S  det(1 + 2 S diag(v_1^2, v_2^2))^(-D/2-1).

The last factor is what two inputs' overlap is made of (`meanfield.mixture`), so with the overlap of the radial function
g = f^2/r in place of f, E[g_1 g_2 cos theta] = Delta_g(rho),

    K_0 - K_2 = s (1 - rho^2) Delta_g(rho)/rho = s (1 - rho^2) sum_n b_n^2 rho^(2n),

and by linearity for every f. Nothing cancels: neither at rho = 0, where it is c'^2, nor at rho = 1, where it vanishes.
For f = 1 the two integrals over v are elementary,

    K_0 - K_2 = (1 - rho^2) 2F1(1, 1; D/2 + 1; rho^2) = (D/2) (1 - rho^2) int_0^1 x^(D/2-1)/(1 - rho^2 + rho^2 x) dx.
"""

from __future__ import annotations

import numpy as np

from .activations import Activation
from .mixture import STEP
from .moments import power_gain
from .quadrature import bent_grid
from .squared import SquaredOverlaps

_SMALLEST_RHO = 1e-100


def transverse_noise(
    activation: Activation, dimension: int, s: np.ndarray, rho: np.ndarray, one_minus_rho: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(K_0 - K_2)/c'^2 for flat arrays, rho in [0, 1], and an estimate of its relative error.

    Relative error below 1e-12 for the named activations, every rho, s from 1e-6 to 1e6.
    """
    spread = one_minus_rho * (2.0 - one_minus_rho)  # 1 - rho^2
    if activation.is_saturated:
        return _saturated(dimension, rho, spread), np.zeros(rho.size)
    states, index = np.unique(s, return_inverse=True)
    overlaps = SquaredOverlaps(activation, dimension, states)
    value, error = overlaps.value(index, index, rho, one_minus_rho)
    gain = power_gain(activation, dimension, states)[index] ** 2
    # b_0^2/s = gain at rho = 0, and to every digit long before rho^2 underflows
    ratio = np.divide(value, rho, out=gain.copy(), where=rho > _SMALLEST_RHO)
    return spread * ratio / gain, error


def _saturated(dimension: int, rho: np.ndarray, spread: np.ndarray) -> np.ndarray:
    smallest = max(float(spread[spread > 0.0].min(initial=1.0)), 1e-300)
    u, du = bent_grid(np.log(smallest), 0.0, STEP, unit_interval=True)
    x = 1.0 / (1.0 + np.exp(-u))
    weight = dimension / 2.0 * x ** (dimension / 2.0) / (1.0 + np.exp(u)) * du
    safe = np.where(spread > 0.0, spread, 1.0)[:, None]
    return spread * np.sum(weight / (safe + (rho**2)[:, None] * x), axis=1)
