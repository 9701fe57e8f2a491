"""How the correlation map answers to small changes of what enters it: its derivatives to second order.

Let G(c_1, c_2, Delta) be Delta of the next layer, Eq. (12). The series of `meanfield.laguerre`, with the covariance in
place of the overlap, is G = sum_n A_n(c_1) A_n(c_2) Delta^(2n+1), A_n = a_n/c^(n+1/2). Gaussian averages obey the heat
equation (twice the derivative by a variance is the average of a Laplacian), and for the coefficients that says

    dA_n/dc = -k_n A_{n+1},        k_n = sqrt((n+1) (n+1+D/2)),

so that every derivative is such a series again, without a derivative of f and, as a_n >= 0 for the named activations,
without cancellation: at equal norms and with the overlap rho

    c dG/dc_1            = -sum_n k_n a_{n+1} a_n rho^(2n+1)         Delta dG/dDelta - G = sum_n 2n a_n^2 rho^(2n+1)
    c^2 d2G/dc_1^2       = sum_n k_n k_{n+1} a_{n+2} a_n rho^(2n+1)
    c^2 d2G/dc_1 dc_2    = sum_n k_n^2 a_{n+1}^2 rho^(2n+1)
    c Delta d2G/dc_1 dDelta = -sum_n (2n+1) k_n a_{n+1} a_n rho^(2n+1)
    Delta^2 d2G/dDelta^2 = sum_n (2n+1) 2n a_n^2 rho^(2n+1).

With a_n as moments of a Gaussian mixture (`meanfield.mixture`) the sums over n are binomial series. With y = kappa^2
v^2, mu = D/2 + 1 and E = 1 + y_1 + y_2 + (1 - rho^2) y_1 y_2,

    G = sqrt(s_1 s_2) rho int int p(v_1) p(v_2) E^(-mu) dv_1 dv_2,

and a derivative multiplies the integrand by a polynomial with positive coefficients in y_1 y_2/E, y_1 (1 + y_2)/E and
their like. That serves the named activations at every s and rho; a user's function has the series.

**O(k), k >= 2.** The Gram matrix can be anisotropic, Q_ab = (c/k)(t_ab + isotropic part) with traceless symmetric t_11,
t_12, t_22 in the frame of the polar factor, and G answers to second order. For a Gaussian exp(-v_1^2 r_1^2 - v_2^2
r_2^2) the average of x_1.x_2 with covariance Sigma is the trace of the block M_12 of M = (Sigma^-1 + 2V)^-1 times det(1
+ 2 Sigma V)^(-1/2). With R = (1 + 2 Sigma V)^-1 and W = 2 V R at the isotropic Sigma, 2 x 2 matrices, and eps the
traceless change,

    M -> M + R (eps - eps W eps) R^T,        log det(1 + 2 Sigma V) -> ... - tr(W eps W eps)/2,

so the second order is [-(R eps W eps R^T)_12 + M_12 tr(W eps W eps)/4] det^(-1/2), and the first order of M_12 says
what t_12 becomes.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np

from . import laguerre
from .activations import Activation
from .chunks import chunks
from .mixture import MixtureState, mixture_state
from .moments import gain_and_jacobian, power_gain
from .nearby import nearby_gap, nearby_slope
from .saturated import saturated_surplus

_CHUNK = 300_000  # numbers per temporary array
_LAST = 64  # terms of a series by which what is left out is judged
_GOOD = 1e-12  # digits enough of a user's function


class OverlapResponse(NamedTuple):
    """G at equal norms, and its derivatives relative to it; each an array like rho."""

    decay: np.ndarray  # G/(rho c'), the factor by which the overlap falls
    own: np.ndarray  # c dG/dc_1, the same for c_2
    surplus: np.ndarray  # (Delta dG/dDelta - 1)/rho^2
    own_own: np.ndarray  # c^2 d2G/dc_1^2
    both: np.ndarray  # c^2 d2G/dc_1 dc_2
    own_overlap: np.ndarray  # c Delta d2G/dc_1 dDelta
    overlap_overlap: np.ndarray  # Delta^2 d2G/dDelta^2/rho^2


class AnisotropyResponse(NamedTuple):
    """What anisotropy does in a layer of O(k); each an array like rho.

    The first four are what E tr t_ab t_cd, of (11, 11) and (22, 22), (11, 22), (11, 12) and (12, 22) over rho, and (12,
    12), adds to G, relative to it. The others say what t_12 becomes: kept t_12 + rho mixed (t_11 + t_22).
    """

    alone: np.ndarray
    apart: np.ndarray
    crossed: np.ndarray
    between: np.ndarray
    kept: np.ndarray
    mixed: np.ndarray


def overlap_response(
    activation: Activation, dimension: int, s: np.ndarray, one_minus_rho: np.ndarray
) -> tuple[OverlapResponse, np.ndarray]:
    """See :class:`OverlapResponse`; flat arrays, s > 0 and 0 < 1 - rho <= 1, and an estimate of the relative error.

    Relative error below 1e-12 for the named activations (for f = 1, whose derivatives at D <= 2 have no limit as rho ->
    1, of the first three for every rho, of the others for 1 - rho > 1e-12).
    """
    if activation.is_saturated:
        surplus = saturated_surplus(dimension, 1.0 - one_minus_rho, one_minus_rho)
        own = -(1.0 + (1.0 - one_minus_rho) ** 2 * surplus) / 2.0  # G is a function of rho alone
        found = _by_mixture(activation, dimension, s, one_minus_rho)
        return found._replace(own=own, surplus=surplus), np.zeros(s.shape)
    if activation.guaranteed:
        return _by_mixture(activation, dimension, s, one_minus_rho), np.zeros(s.shape)
    (found, rest), (other, _) = (
        _by_series(activation, dimension, s, one_minus_rho, rule) for rule in (laguerre.PANELS, laguerre.OTHER_PANELS)
    )
    return found, rest + relative_change(found, other)


def decay_and_surplus(
    activation: Activation, dimension: int, s: np.ndarray, one_minus_rho: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Two of :class:`OverlapResponse`, and an estimate of their relative error, also at a user's sharp f.

    There, with g and g' what Delta' and its derivative by rho lack of their values G and G' at rho = 1, over s,

        rho d(Delta')/d(rho) - Delta' = (G' - G) - (1 - rho) G' - rho g' + g.
    """
    response, error = overlap_response(activation, dimension, s, one_minus_rho)
    decay, surplus = response.decay, response.surplus
    for i in np.flatnonzero((error > _GOOD) & (one_minus_rho < 0.5)):
        missing, at = float(one_minus_rho[i]), float(s[i])
        gap, gap_error = nearby_gap(activation, dimension, at, at, missing)
        slope, slope_error = nearby_slope(activation, dimension, at, missing)
        gain, amplitude, angular = gain_and_jacobian(activation, dimension, at)
        whole = (amplitude + (dimension - 1) * angular) / dimension
        rho, value = 1.0 - missing, float(gain) - gap
        over = float(whole - gain) - missing * whole - rho * slope + gap
        lost = gap_error * gap + slope_error * slope + 4.0 * np.finfo(float).eps * float(whole)
        if over != 0.0 and lost / abs(over) < error[i]:
            decay[i], surplus[i], error[i] = value / (rho * gain), over / value / rho**2, lost / abs(over)
    return decay, surplus, error


def relative_change(first: tuple[np.ndarray, ...], second: tuple[np.ndarray, ...]) -> np.ndarray:
    """The largest difference of two tuples of arrays, relative where a number exceeds 1."""
    pairs = zip(first, second, strict=True)
    return np.max([np.abs(a - b) / np.maximum(np.abs(a), 1.0) for a, b in pairs], axis=0)


class Pairs(NamedTuple):
    """Pairs of components of the mixture for some of the states, arrays (m, nodes, nodes)."""

    part: slice  # which states
    density: np.ndarray  # p(v_1) p(v_2) dv_1 dv_2
    log_e: np.ndarray
    own: np.ndarray  # y_1 (1 + y_2)/E
    other: np.ndarray  # y_2 (1 + y_1)/E
    product: np.ndarray  # y_1 y_2/E
    whole: np.ndarray  # (1 + y_1)(1 + y_2)/E
    square: np.ndarray  # rho^2 y_1 y_2/E


def pairs(state: MixtureState, one_minus_rho: np.ndarray) -> Iterator[Pairs]:
    """All pairs of components, some states at a time; flat arrays of the same states."""
    for part in chunks(one_minus_rho.size, state.log_beta.shape[1] ** 2, _CHUNK):
        log_beta, missing = state.log_beta[part], one_minus_rho[part][:, None, None]
        density = state.density_of(part)
        y, alpha, beta = np.expm1(-log_beta), -np.expm1(log_beta), np.exp(log_beta)
        alpha_1, alpha_2 = alpha[:, :, None], alpha[:, None, :]
        spread = missing * (2.0 - missing)  # 1 - rho^2
        z = alpha_1 * alpha_2
        # 1/(1 + y) = beta = 1 - alpha. Sums of positive terms, none of which overflows
        at_one = beta[:, :, None] + alpha_1 * beta[:, None, :]
        whole = 1.0 / (at_one + spread * z)
        product = z * whole
        yield Pairs(
            part=part,
            density=density[:, :, None] * density[:, None, :],
            log_e=np.log1p(y[:, :, None] + y[:, None, :]) + np.log1p(spread * z / at_one),
            own=alpha_1 * whole,
            other=alpha_2 * whole,
            product=product,
            whole=whole,
            square=(1.0 - missing) ** 2 * product,
        )


def _by_mixture(activation: Activation, dimension: int, s: np.ndarray, one_minus_rho: np.ndarray) -> OverlapResponse:
    state = mixture_state(activation, dimension, s)
    mu = state.power
    out = np.empty((7, one_minus_rho.size))
    for pair in pairs(state, one_minus_rho):
        integrands = (
            -mu * pair.own,
            2.0 * mu * pair.product,
            mu * (mu + 1.0) * pair.own**2,
            mu * pair.product * (mu * pair.whole + pair.square),
            -mu * pair.own * (1.0 + 2.0 * (mu + 1.0) * pair.square),
            2.0 * mu * pair.product * (3.0 + 2.0 * (mu + 1.0) * pair.square),
        )
        out[0, pair.part], out[1:, pair.part] = _means(pair, mu, integrands)
    out[0] /= power_gain(activation, dimension, s)
    return OverlapResponse(*out)


def anisotropy_response(
    activation: Activation, dimension: int, s: np.ndarray, one_minus_rho: np.ndarray
) -> AnisotropyResponse:
    """See :class:`AnisotropyResponse`; flat arrays, for a named activation. Relative error below 1e-12.

    With r = E R the integrands need only R_11 R_22 E = whole, R_12 R_21 E = square, R_11 R_21 E = -rho own, and W =
    ((own, -rho product), (-rho product, other)) in the units of y.
    """
    state = mixture_state(activation, dimension, s)
    out = np.empty((6, one_minus_rho.size))
    for pair in pairs(state, one_minus_rho):
        straight, both = pair.whole + pair.square, pair.own * pair.other
        integrands = (
            pair.own**2 * (2.0 / dimension + 0.5),
            pair.product * (straight / dimension + pair.square / 2.0),
            -2.0 * pair.own * ((straight + 2.0 * pair.square) / dimension + pair.square),
            pair.product * (straight / dimension + pair.square / 2.0) + both * (2.0 / dimension + 0.5),
            straight,
            -pair.own,
        )
        total, means = _means(pair, state.power, integrands)
        out[:, pair.part] = means
        out[4:, pair.part] *= total
    out[4:] /= power_gain(activation, dimension, s)
    return AnisotropyResponse(*out)


def _means(pair: Pairs, mu: float, integrands: Sequence[np.ndarray]) -> tuple[np.ndarray, list[np.ndarray]]:
    """The sum of the weights p p E^(-mu), and what they average integrands to."""
    weight = pair.density * np.exp(-mu * pair.log_e)
    total = weight.sum(axis=(1, 2))
    return total, [np.sum(weight * integrand, axis=(1, 2)) / total for integrand in integrands]


def _by_series(
    activation: Activation, dimension: int, s: np.ndarray, one_minus_rho: np.ndarray, rule: tuple[int, int]
) -> tuple[OverlapResponse, np.ndarray]:
    """By the first 254 terms, and about what the later ones of the series that converges last leave out."""
    a, gain, _ = laguerre.expansion(activation, dimension, s, rule)
    n = np.arange(laguerre.TERMS - 2.0)
    up = np.sqrt((n + 1.0) * (n + 1.0 + dimension / 2.0))
    up_again = np.sqrt((n + 2.0) * (n + 2.0 + dimension / 2.0))
    here, next_, second = a[:, :-2], a[:, 1:-1], a[:, 2:]
    odd, even = 2.0 * n + 1.0, 2.0 * n
    rho = 1.0 - one_minus_rho
    powers = rho[:, None] ** even

    def total(terms: np.ndarray, lower: int = 0) -> np.ndarray:
        """sum_n terms_n rho^(2n - 2 lower)."""
        return np.sum(terms[:, lower:] * powers[:, : powers.shape[1] - lower], axis=1)

    value = total(here**2)
    derivatives = (
        total(-up * next_ * here),
        total(even * here**2, 1),
        total(up * up_again * second * here),
        total((up * next_) ** 2),
        total(-odd * up * next_ * here),
        total(odd * even * here**2, 1),
    )
    # of many terms the largest: coefficients change their sign, and single ones vanish
    last = np.max(np.abs([up * up_again * second * here, odd * even * here**2])[..., -_LAST:], axis=(0, 2))
    rest = last * powers[:, -1] / value / np.maximum(1.0 - rho**2, 1.0 / laguerre.TERMS)
    return OverlapResponse(value / gain, *(each / value for each in derivatives)), rest
