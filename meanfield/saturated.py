"""The correlation map of the saturated activation, f = 1 (the limit sigma_w -> infinity of every bounded one).

    Delta' = rho (2/D) (Gamma((D+1)/2)/Gamma(D/2))^2 2F1(1/2, 1/2; D/2 + 1; rho^2),        c' = 1.

f(r)/r = 1/r has no smallest scale, so it is not for the rules of `meanfield.mixture`; Euler's integral of the
hypergeometric function is one-dimensional and, with q^2 = cos^2 x + (1 - rho^2) sin^2 x, gives both the map and what it
lacks to 1 as positive integrals,

    Delta'     = C rho        int_0^{pi/2} cos^D x / q dx,
    1 - Delta' = C (1-rho^2)  int_0^{pi/2} cos^(D-1) x / (q (q + rho cos x)) dx,

where C = 2/B(D/2, 1/2) makes Delta' = 1 at rho = 1. The slope is a third one,

    rho dDelta'/drho - Delta' = C rho^3    int_0^{pi/2} cos^D x sin^2 x / q^3 dx.
"""

from __future__ import annotations

import numpy as np

from .quadrature import bent_grid

_STEP = 0.12


def saturated_map(dimension: int, rho: np.ndarray, one_minus_rho: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Delta' and 1 - |Delta'| for f = 1; `rho` and `one_minus_rho` = 1 - |rho| are flat arrays (m,)."""
    spread = one_minus_rho * (2.0 - one_minus_rho)  # 1 - rho^2
    measure, log_cos, _, stretch = _rule(dimension, spread)
    value = rho * np.sum(measure * np.exp(dimension * log_cos) / stretch, axis=1)
    gap = spread * np.sum(
        measure * np.exp((dimension - 2) * log_cos) / stretch / (stretch + np.abs(rho)[:, None]), axis=1
    )
    return value, gap


def saturated_surplus(dimension: int, rho: np.ndarray, one_minus_rho: np.ndarray) -> np.ndarray:
    """(d log Delta'/d log rho - 1)/rho^2 for f = 1, rho >= 0 and 1 - rho > 0; flat arrays (m,)."""
    measure, log_cos, tangent, stretch = _rule(dimension, one_minus_rho * (2.0 - one_minus_rho))
    plain = measure * np.exp(dimension * log_cos)
    # the last factor is sin^2/q^2
    return np.sum(plain / stretch * (tangent / stretch) ** 2, axis=1) / np.sum(plain / stretch, axis=1)


def _rule(dimension: int, spread: np.ndarray) -> tuple[np.ndarray, ...]:
    """Weights, log cos x and tan x at the nodes; and q/cos x, for each spread = 1 - rho^2.

    The weight dx = tan x cos^2 x du has lent one cosine to q.
    """
    smallest = float(spread[spread > 0].min(initial=1.0))
    # In u = log tan x the integrands are analytic for |Im u| < pi/2; they turn at tan x ~ 1/sqrt(D), 1/sqrt(1 - rho^2).
    u, du = bent_grid(-0.5 * np.log(dimension), -0.5 * np.log(smallest) + 38.0 / dimension + 2.0, _STEP)
    tangent = np.exp(u)
    log_cos = -0.5 * np.logaddexp(0.0, 2.0 * u)  # -log(1 + tan^2 x)/2; no square of tan x is formed: it overflows
    measure = tangent * np.exp(log_cos) * du
    measure /= np.sum(measure * np.exp(dimension * log_cos))  # C, which costs no digits at large D
    return measure, log_cos, tangent, np.hypot(1.0, np.sqrt(spread)[:, None] * tangent)
