"""Two-input averages through the Gaussian mixture of a named activation.

With f(r)/r = int p(v) exp(-v^2 r^2) dv (see `meanfield.activations`) the average over two correlated Gaussian capsules
is elementary for every capsule dimension D. With kappa^2 = 2 s/D, s = sigma_w^2 c, and for each v

    alpha = kappa^2 v^2/(1 + kappa^2 v^2),   beta = 1 - alpha,

the paper's double Bessel integral, Eq. (12)/(49) (D = 2) and its analogues, is

    Delta' = sqrt(s_1 s_2) rho int int p(v_1) p(v_2) (beta_1 beta_2)^(D/2+1) (1 - rho^2 alpha_1 alpha_2)^(-D/2-1) dv_1
    dv_2,

a smooth positive integrand without Bessel functions. Expanding in rho^2 gives the series
Delta' = sum_n a_n^2 rho^(2n+1) (a_n(c_1) a_n(c_2) for unequal norms) with moments instead of oscillating integrals,

    a_n = sqrt(s (D/2+1)_n / n!) int p(v) beta^(D/2+1) alpha^n dv >= 0,

and c' - Delta' is a sum of positive terms with a common factor 1 - rho, so it keeps its relative accuracy down to
1 - rho = 1e-300. The integrals over v are trapezoidal sums in log v, uniform in kappa for the same reason as in
`meanfield.quadrature`.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from .activations import Activation
from .chunks import chunks
from .quadrature import bent_grid, scale_bucket

STEP = 0.085  # of log v; proven against mpmath in the tests; 0.1 leaves 3e-14 at D = 48
_CHUNK = 2_000_000
_BLOCK = 16
_STATES = 32  # states whose powers fit the cache


@lru_cache(maxsize=256)
def _rule(activation: Activation, bucket: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes v and weights p(v) dv, fine enough for functions that turn at v = 4^-bucket."""
    mixture = activation.mixture
    assert mixture is not None
    if mixture.upper_end == "origin":  # f(r) = r
        return np.zeros(1), np.ones(1)
    log_scale = -bucket * np.log(4.0)
    if mixture.upper_end == "gaussian":
        u, du = bent_grid(log_scale, np.log(6.3), STEP)
        v = np.exp(u)
        w = v * du * mixture.density(v)
    elif mixture.upper_end == "unit":
        u, du = bent_grid(log_scale, 0.0, STEP, unit_interval=True)
        v = 1.0 / (1.0 + np.exp(-u))
        w = v / (1.0 + np.exp(u)) * du * mixture.density(v)
    else:
        raise ValueError(
            f"activation must have a mixture that ends, got {activation.name!r} with upper_end = {mixture.upper_end!r}"
        )
    keep = w > 0.0
    return v[keep], w[keep]


@lru_cache(maxsize=32)
def _endless_rule(activation: Activation, dimension: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes kappa v and weights p d(kappa v) for a density that never falls off: beta ends the sums."""
    u, du = bent_grid(-np.log(turning(dimension, 1.0)), 38.0 / dimension + 3.0, STEP)
    v = np.exp(u)
    assert activation.mixture is not None
    return v, v * du * activation.mixture.density(v)


def turning(dimension: int, kappa: float) -> float:
    """1/v where beta^(D/2+1) turns: (1 + kappa^2 v^2)^(-D/2) is a Gaussian in v at large D."""
    return kappa * float(np.sqrt(max(dimension / 2.0, 1.0)))


@dataclass(frozen=True)
class MixtureState:
    """The mixture seen by a capsule of order parameter s = sigma_w^2 c, for a flat array s of m states.

    `density` = p(v) dv, shape (m or 1, nodes); `log_beta` and `alpha`, shape (m, nodes); `weight` = p dv beta^(D/2+1).
    """

    dimension: int
    s: np.ndarray
    density: np.ndarray
    log_beta: np.ndarray

    @property
    def power(self) -> float:
        return self.dimension / 2.0 + 1.0

    @property
    def alpha(self) -> np.ndarray:
        return -np.expm1(self.log_beta)

    @property
    def weight(self) -> np.ndarray:
        return self.density * np.exp(self.power * self.log_beta)

    def density_of(self, part: slice) -> np.ndarray:
        """`density` of some of the states: one row if all share it."""
        return self.density if self.density.shape[0] == 1 else self.density[part]


def mixture_state(activation: Activation, dimension: int, s: np.ndarray) -> MixtureState:
    """The mixture for a flat array s, shape (m,)."""
    kappa = np.sqrt(2.0 / dimension) * np.sqrt(s)[:, None]
    if activation.mixture is not None and activation.mixture.upper_end == "flat":
        scaled, density = _endless_rule(activation, dimension)
        return MixtureState(
            dimension, s, density / kappa, -np.log1p(np.broadcast_to(scaled, (s.size, scaled.size)) ** 2)
        )
    v, density = _rule(activation, scale_bucket(turning(dimension, float(kappa.max(initial=0.0)))))
    return MixtureState(dimension, s, density[None, :], -np.log1p((kappa * v) ** 2))


def coefficients(state: MixtureState, terms: int) -> np.ndarray:
    """a_n / sqrt(s) for n < terms; shape (m, terms). They stay finite where s underflows."""
    blocks = -(-terms // _BLOCK)
    # sqrt((D/2+1)_n/n!) grows without limit in D: step by step, so that it meets alpha^n before it overflows
    n = np.arange(1.0, blocks * _BLOCK + 1.0)
    growth = np.sqrt((state.power + n - 1.0) / n).reshape(blocks, _BLOCK)
    within = np.cumprod(np.concatenate([np.ones((blocks, 1)), growth[:, :-1]], axis=1), axis=1)
    leap = np.prod(growth, axis=1)
    alpha, weight = state.alpha, state.weight
    moments = np.empty((state.s.size, blocks, _BLOCK))
    # alpha^n = alpha^(n mod 16) (alpha^16)^(n div 16): two lists of powers and a matrix product, a cache at a time
    for part in chunks(state.s.size, 1, _STATES):
        low = _powers(np.ones_like(alpha[part]), alpha[part], np.ones(_BLOCK))
        high = _powers(weight[part], low[-1] * alpha[part], leap)
        np.matmul(high.transpose(1, 0, 2), low.transpose(1, 2, 0), out=moments[part])
    moments *= within
    return moments.reshape(state.s.size, blocks * _BLOCK)[:, :terms]


def remainder(state: MixtureState, terms: int, slope: bool = False) -> np.ndarray:
    """An upper bound of sum_{n>=N} a_n^2/s, or with (2n+1) a_n^2 of their slope at rho = 1, N = `terms`; shape (m,).

    With a_n/sqrt(s) = sqrt(g_n) int p beta^(D/2+1) alpha^n dv, g_n = (D/2+1)_n/n!, Cauchy and Schwarz give

        sum_{n>=N} a_n^2/s <= g_N (int p beta^(D/2+1) alpha^N sqrt(F(alpha^2)) dv)^2,   F(x) = sum_k (g_{N+k}/g_N) x^k.

    F <= 1/(1 - q x) with q = g_{N+1}/g_N, since these ratios fall, and F <= (1 - x)^(-D/2-1). All terms are positive,
    so the bound has digits where c' less its first terms has none. The factors 2n+1 go into q, and k+1 into the other.
    """
    power = state.power
    ratio = (power + terms) / (terms + 1.0) * ((2.0 * terms + 3.0) / (2.0 * terms + 1.0) if slope else 1.0)
    n = np.arange(1.0, terms + 1.0)
    log_factor = np.sum(np.log((power + n - 1.0) / n)) / 2.0
    total = np.empty(state.s.size)
    for part in chunks(state.s.size, 1, _STATES):
        log_beta, density = state.log_beta[part], state.density_of(part)
        alpha = -np.expm1(log_beta)
        x = alpha * alpha
        log_rest = log_beta + np.log1p(alpha)  # of 1 - x
        other = np.log1p((power - 1.0) * x) - (power + 1.0) * log_rest if slope else -power * log_rest
        with np.errstate(divide="ignore", invalid="ignore"):  # alpha = 0; beyond q x = 1 only the other bound holds
            log_f = np.fmin(-np.log(1.0 - ratio * x), other)
            log_term = power * log_beta + terms * np.log(alpha) + log_factor + log_f / 2.0
        total[part] = np.sum(density * np.exp(log_term), axis=1)
    return total**2 * (2.0 * terms + 1.0 if slope else 1.0)


def _powers(start: np.ndarray, factor: np.ndarray, growth: np.ndarray) -> np.ndarray:
    """start factor^k growth_0 ... growth_{k-1} for k < len(growth); shape (k, m, nodes)."""
    out = np.empty((growth.size, *start.shape))
    out[0] = start
    for k in range(1, growth.size):
        np.multiply(out[k - 1], factor if growth[k - 1] == 1.0 else factor * growth[k - 1], out=out[k])
    return out


def pair_sums(
    first: MixtureState, second: MixtureState, rho: np.ndarray, one_minus_rho: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Delta'/sqrt(s_1 s_2) and (Delta'(rho = 1) - Delta'(rho))/sqrt(s_1 s_2), each to full relative accuracy.

    `rho` in [-1, 1] (Delta' is odd in it) and `one_minus_rho` are given separately, since either can be known to more
    digits than the other; for rho < 0 the second result is that of |rho|. All arguments are flat, shape (m,).
    """
    value, gap = np.empty(rho.size), np.empty(rho.size)
    nodes = first.log_beta.shape[1] * second.log_beta.shape[1]
    for part in chunks(rho.size, nodes, _CHUNK):
        value[part], gap[part] = _pair_sums(
            first.power,
            (first.density_of(part), first.log_beta[part]),
            (second.density_of(part), second.log_beta[part]),
            rho[part],
            one_minus_rho[part],
        )
    return value, gap


def _pair_sums(power, first, second, rho, one_minus_rho):
    (density_1, log_beta_1), (density_2, log_beta_2) = first, second
    alpha_1, alpha_2 = -np.expm1(log_beta_1), -np.expm1(log_beta_2)
    z = alpha_1[:, :, None] * alpha_2[:, None, :]
    # 1 - alpha_1 alpha_2 = beta_1 + beta_2 - beta_1 beta_2, as a sum of positive terms
    one_minus_z = np.exp(log_beta_1)[:, :, None] + alpha_1[:, :, None] * np.exp(log_beta_2)[:, None, :]
    # beta_1 beta_2/(1 - z) = 1/(1 + y_1 + y_2), beta = 1/(1 + y): no logarithms near 0 are multiplied by D/2
    y_1, y_2 = np.expm1(-log_beta_1), np.expm1(-log_beta_2)
    at_one = np.exp(-power * np.log1p(y_1[:, :, None] + y_2[:, None, :]))
    at_one *= density_1[:, :, None] * density_2[:, None, :]
    # (1 - rho^2) z/(1 - z), from 1 - rho; then rho^2-dependence relative to rho = 1
    spread = (one_minus_rho * (2.0 - one_minus_rho))[:, None, None] * (z / one_minus_z)
    log_kernel = -power * np.log1p(spread)
    value = rho * np.sum(at_one * np.exp(log_kernel), axis=(1, 2))
    with np.errstate(divide="ignore"):
        log_rho = np.where(one_minus_rho < 0.5, np.log1p(-one_minus_rho), np.log(np.abs(rho)))
    gap = -np.sum(at_one * np.expm1(log_rho[:, None, None] + log_kernel), axis=(1, 2))
    return value, gap
