"""Averages <.> over the radius of one capsule, by one rule that is accurate at every scale.

An isotropic preactivation of order parameter c has radius r = a x with a^2 = 2 s/D, s = sigma_w^2 c, and x^2 ~
Gamma(D/2):

    <g(r)> = 2/Gamma(D/2) int_0^infinity x^(D-1) exp(-x^2) g(a x) dx.

In log x the integrand is analytic in a strip around the real axis *whatever a is*: the poles of tanh(a x), at i pi/2,
stay at distance pi/2 however sharply tanh(a x) turns at x ~ 1/a. The trapezoidal rule therefore converges geometrically
and uniformly in a (Gauss-Hermite and Gauss-Laguerre rules do not, because in x those poles approach the axis). All
integrands used here are positive, so relative accuracy survives however small the average is.

A user's function may break. Its averages are taken over panels that end where it does, by Gauss and Legendre's rule:
each halves x towards 0, so that it, too, serves every scale.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from .chunks import chunks

# Below the smallest scale of the integrand the nodes thin out double-exponentially: log x = tau - exp(-(tau - bend)).
_BEND = 1.5  # how far (in log x) below that scale the bending starts
_REACH = 3.7  # exp(exp(-3.7)) is 1e-17: where the rule can stop
_CHUNK = 100_000  # numbers per temporary array: fits the cache
_WIDTH = 0.9  # of a panel where the density is not small
_FIRST_PANELS = 8  # that halve x, below what the scale asks for
_ORDER = 40  # Gauss-Legendre points a panel: a user's function may bend within a few hundredths of r


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


@lru_cache(maxsize=256)
def panel_ends(dimension: int, bucket: int) -> np.ndarray:
    """Ends of the panels in x where nothing breaks, from 0 to where the density is below 1e-17."""
    peak = np.sqrt(dimension / 2.0)
    start, end = max(_WIDTH, peak - 6.3), peak + 6.3
    halved = start * 2.0 ** -np.arange(2.0 * bucket + _FIRST_PANELS, 0.0, -1.0)
    return np.concatenate([[0.0], halved, np.linspace(start, end, int(np.ceil((end - start) / _WIDTH)) + 1)])


def gauss_legendre(ends: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of panels between neighbouring ends, shape (..., n + 1); shape (..., n * order)."""
    return panels(ends[..., :-1], ends[..., 1:], order)


def panels(low: np.ndarray, high: np.ndarray, order: int) -> tuple[np.ndarray, np.ndarray]:
    """Nodes and weights of panels between their ends, shape (..., n); shape (..., n * order)."""
    node, weight = np.polynomial.legendre.leggauss(order)
    half = (high - low)[..., None] / 2.0
    shape = (*low.shape[:-1], low.shape[-1] * order)
    return (low[..., None] + half * (1.0 + node)).reshape(shape), (half * weight).reshape(shape)


def density(dimension: int, x: np.ndarray) -> np.ndarray:
    """x^(D-1) exp(-x^2), in units of its value at x^2 = D/2."""
    peak = dimension / 2.0
    return np.exp((dimension - 1) * (np.log(x) - 0.5 * np.log(peak)) - (x * x - peak))


def in_x(breaks: Sequence[float], a: np.ndarray) -> np.ndarray:
    """Breaks r = a x in x, shape (m, b), of scales a, shape (m, 1); infinite where a is 0."""
    with np.errstate(divide="ignore"):
        return np.array(breaks) / a


def panel_rule(dimension: int, bucket: int, breaks: np.ndarray, refine: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x and weights, shape (m, nodes), for integrands that break at `breaks` in x > 0, shape (m, b).

    Features between breaks are no finer than x ~ 4^-bucket. `refine` multiplies the points of a panel.
    """
    ends = panel_ends(dimension, bucket)
    inside = np.clip(breaks, np.finfo(float).tiny, ends[-1])  # one that lies beyond makes a panel of no width
    ends = np.sort(np.concatenate([np.broadcast_to(ends, (len(breaks), ends.size)), inside], axis=1), axis=1)
    x, dx = gauss_legendre(ends, _ORDER * refine)
    w = density(dimension, x) * dx
    return x, w / w.sum(axis=1, keepdims=True)


@lru_cache(maxsize=256)
def _unbroken_panels(dimension: int, bucket: int, refine: int) -> tuple[np.ndarray, np.ndarray]:
    """Shape (1, nodes)."""
    x, w = panel_rule(dimension, bucket, np.empty((1, 0)), refine)
    x.flags.writeable = w.flags.writeable = False
    return x, w


def radial_averages(
    dimension: int,
    s: np.ndarray,
    integrands: Callable[..., Sequence[np.ndarray]],
    refine: int = 1,
    rows: np.ndarray | None = None,
    breaks: Sequence[float] | None = None,
) -> list[np.ndarray]:
    """Average several functions of (r, t) over a capsule's radius.

    Parameters
    ----------
    dimension : D.
    s : array (...), sigma_w^2 c >= 0.
    integrands : called with r, shape (m, nodes), and t = D r^2/(2 s), shape (nodes,) or, with `breaks`, (m, nodes);
        returns arrays (m, nodes).
    refine : makes the rule that many times as fine, which shows its error.
    rows : array (...), a number for each s that the integrands need; passed on as a third argument, shape (m, 1).
    breaks : the radii where a user's function breaks, or () where it does not; None for the named ones. A user's
        function may leave an error: each s then has the rule it would have alone, whatever else is averaged.

    Returns
    -------
    list of arrays (...), one for each integrand.
    """
    s = np.asarray(s, float)
    a = np.sqrt(2.0 / dimension) * np.sqrt(s).reshape(-1, 1)
    extra = () if rows is None else (np.reshape(rows, (-1, 1)),)

    def averages(own: np.ndarray, bucket: int) -> list[np.ndarray]:
        x, w = _rule(dimension, bucket, refine, a[own], breaks)
        return [np.vecdot(g, w) for g in integrands(a[own] * x, x * x, *(e[own] for e in extra))]

    portions = list(_portions(a.ravel(), dimension, refine, breaks))
    parts = [averages(own, bucket) for own, bucket in portions]
    order = np.argsort(np.concatenate([own for own, _ in portions]))
    return [np.concatenate(column)[order].reshape(s.shape) for column in zip(*parts, strict=True)]


def radial_nodes(
    dimension: int, s: float, refine: int = 1, breaks: Sequence[float] | None = None
) -> tuple[np.ndarray, np.ndarray]:
    """Radii r and weights of the rule that :func:`radial_averages` has for one s."""
    a = np.full((1, 1), np.sqrt(2.0 * s / dimension))
    x, w = _rule(dimension, scale_bucket(a.item()), refine, a, breaks)
    return (a * x).ravel(), w.ravel()


def _rule(dimension: int, bucket: int, refine: int, a: np.ndarray, breaks: Sequence[float] | None):
    if breaks is None:
        return radial_rule(dimension, bucket, refine)
    if not breaks:
        return _unbroken_panels(dimension, bucket, refine)
    return panel_rule(dimension, bucket, in_x(breaks, a), refine)


def _portions(a: np.ndarray, dimension: int, refine: int, breaks: Sequence[float] | None):
    """Rows that share a bucket, a cache at a time, and their bucket."""
    shared = scale_bucket(float(a.max(initial=0.0)))
    own = np.full(a.size, shared) if breaks is None else np.array([scale_bucket(float(each)) for each in a], int)
    for bucket in np.unique(own) if a.size else [shared]:
        rows = np.flatnonzero(own == bucket)
        nodes = _rule(dimension, int(bucket), refine, np.ones((1, 1)), breaks)[0].size
        for part in chunks(max(rows.size, 1), nodes, _CHUNK):  # without rows one of none, whose averages have a shape
            yield rows[part], int(bucket)
