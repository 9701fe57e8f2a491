"""Averages <.> over the radius of one capsule, by one rule that is accurate at every scale.

An isotropic preactivation of order parameter c has radius r = a x with a^2 = 2 s/D, s = sigma_w^2 c, and x^2 ~
Gamma(D/2):

    <g(r)> = 2/Gamma(D/2) int_0^infinity x^(D-1) exp(-x^2) g(a x) dx.

In log x the integrand is analytic in a strip around the real axis *whatever a is*: the poles of tanh(a x), at i pi/2,
stay at distance pi/2 however sharply tanh(a x) turns at x ~ 1/a. The trapezoidal rule therefore converges geometrically
and uniformly in a (Gauss-Hermite and Gauss-Laguerre rules do not, because in x those poles approach the axis). All
integrands used here are positive, so relative accuracy survives however small the average is.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

# Below the smallest scale of the integrand the nodes thin out double-exponentially: log x = tau - exp(-(tau - bend)).
_BEND = 1.5  # how far (in log x) below that scale the bending starts
_REACH = 3.7  # exp(exp(-3.7)) is 1e-17: where the rule can stop
_CHUNK = 100_000  # numbers per temporary array: fits the cache


def bent_grid(
    log_scale: float, log_upper: float, step: float, unit_interval: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Trapezoidal nodes u = log x and weights du, evenly spaced from exp(log_upper) down to exp(log_scale).

    Below that scale they thin out double-exponentially, down to 0. With `unit_interval` x runs over (0, 1) instead,
    u = log(x/(1-x)), and the nodes thin out towards x = 1 in the same way.
    """
    bend = log_scale - _BEND
    low = bend - _REACH
    high = 1.0 + _REACH if unit_interval else log_upper
    tau = low + step * np.arange(int(np.ceil((high - low) / step)) + 1)
    falling = np.exp(bend - tau)
    rising = np.exp(tau - 1.0) if unit_interval else 0.0
    return tau - falling + rising, step * (1.0 + falling + rising)


def scale_bucket(scale: float) -> int:
    """Round a scale up to a power of four (at least 1), so that few rules serve all calls."""
    return max(0, int(np.ceil(np.log2(max(scale, 1.0)) / 2.0)))


@lru_cache(maxsize=256)
def radial_rule(dimension: int, bucket: int, refine: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x and weights for <g> with features no finer than x ~ 4^-bucket. `refine` divides the step."""
    # The trapezoidal error of <t^p> is 2 |Gamma(D/2 + p + i pi/step)|/Gamma(D/2 + p): below 4e-17 up to p = 2.
    step = 0.11 / np.sqrt(1.0 + dimension / 16.0) / refine
    upper = np.log(np.sqrt(dimension / 2.0) + 6.3)
    u, du = bent_grid(-bucket * np.log(4.0), upper, step)
    # The exponent is taken relative to its peak at x^2 = D/2 and the sum normalised, which costs no digits at large D.
    peak = dimension / 2.0
    w = np.exp(dimension * (u - 0.5 * np.log(peak)) - (np.exp(2.0 * u) - peak)) * du
    x, w = np.exp(u), w / w.sum()
    x.flags.writeable = w.flags.writeable = False
    return x, w


def radial_averages(
    dimension: int,
    s: np.ndarray,
    integrands: Callable[..., Sequence[np.ndarray]],
    refine: int = 1,
    rows: np.ndarray | None = None,
) -> list[np.ndarray]:
    """Average several functions of (r, t) over a capsule's radius.

    Parameters
    ----------
    dimension : D.
    s : array (...), sigma_w^2 c >= 0.
    integrands : called with r, shape (m, nodes), and t = D r^2/(2 s), shape (nodes,); returns arrays (m, nodes).
    refine : divides the step of the rule. A refined rule is for functions with kinks, whose error it shows: each s then
        has the rule it would have alone, and its average does not depend on what else is averaged.
    rows : array (...), a number for each s that the integrands need; passed on as a third argument, shape (m, 1).

    Returns
    -------
    list of arrays (...), one for each integrand.
    """
    s = np.asarray(s, float)
    a = np.sqrt(2.0 / dimension) * np.sqrt(s).ravel()[:, None]
    extra = () if rows is None else (np.ravel(rows)[:, None],)
    buckets = np.array([scale_bucket(float(scale)) for scale in a.flat], int) if refine > 1 else np.zeros(1, int)
    if np.all(buckets == buckets[:1]):
        rule = radial_rule(dimension, scale_bucket(float(a.max(initial=0.0))), refine)
        return [average.reshape(s.shape) for average in _averages(*rule, a, integrands, extra)]
    out: list[np.ndarray] = []
    for bucket in np.unique(buckets):
        own = buckets == bucket
        rule = radial_rule(dimension, int(bucket), refine)
        averages = _averages(*rule, a[own], integrands, tuple(e[own] for e in extra))
        out = out or [np.empty(a.size) for _ in averages]
        for whole, part in zip(out, averages, strict=True):
            whole[own] = part
    return [whole.reshape(s.shape) for whole in out]


def _averages(x: np.ndarray, w: np.ndarray, a: np.ndarray, integrands: Callable, extra: tuple) -> list[np.ndarray]:
    """By one rule for all scales a, shape (m, 1), a cache at a time; arrays (m,)."""
    t = x * x
    size = max(1, _CHUNK // x.size)
    if a.size <= size:
        return [g @ w for g in integrands(a * x, t, *extra)]
    parts = [
        [g @ w for g in integrands(a[i : i + size] * x, t, *(e[i : i + size] for e in extra))]
        for i in range(0, a.size, size)
    ]
    return [np.concatenate(column) for column in zip(*parts, strict=True)]
