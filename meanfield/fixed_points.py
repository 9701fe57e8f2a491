"""Fixed points of the length map: the order parameter c* of a deep network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from scipy.interpolate import PchipInterpolator
from scipy.optimize.elementwise import find_root

from .activations import Activation, as_activation
from .checks import shortest, sigma_w_array
from .maps import warn_if_inaccurate
from .moments import gain_error, power_gain, relaxation, saturation
from .symmetry import Symmetry, as_symmetry
from .warn import warn

_GRID = 0.25  # spacing in log s of the table that brackets the roots
_NEWTON_STEPS = 2  # the table is good to 1e-5, and each step squares the error
_LOWEST = -46.0  # log s of the table's lower end: below 1e-16, the s* of the smallest excess a float can hold
_LAST = 691.0  # log s of 1e300, where every search ends
_STRIDE = 16.0  # in log s, of a search that goes on beyond the table
_UNKNOWN = 0.08  # estimated relative error beyond which c* is not known
_FLAT = 1e-9  # change of the table from node to node below which it has no extremum that would be looked for
_ZOOMS, _PARTS = 9, 9  # each zoom divides the interval by four
_ROUNDING = 8.0 * np.finfo(float).eps  # of log <f^2>/s, a sum of positive terms

TOLERANCES = {"xatol": 4e-16, "xrtol": 4e-16, "fatol": 0.0, "frtol": 0.0}  # of roots, to the last digit

CONVERGED = "converged"
NO_FIXED_POINT = "no fixed point"
NOT_CONVERGED = "not converged"


class ConvergenceWarning(UserWarning):
    """Some points of a sweep have no result; their status says why."""


@dataclass(frozen=True)
class FixedPoint:
    """The fixed point of the length map at each sigma_w.

    Attributes
    ----------
    sigma_w : array (...)
    c : array (...), c*; where there are several stable fixed points, the largest, to which small inputs may not come
        (`elsewhere`). NaN exactly where `status` is not ``"converged"``.
    residual : array (...), F(c)/c - 1 at the returned c (0 where c = 0).
    status : array (...) of str: ``"converged"``, ``"no fixed point"`` (none is found with sigma_w^2 c* up to 1e300) or
        ``"not converged"`` (also where a user's c* is estimated to be off by more than 8 %).
    stable : array (..., branches), all stable fixed points in ascending order, padded with NaN.
    unstable : array (..., branches), all unstable ones, likewise (c = 0 in the broken phase is the usual one). Above
        the last stable one it is where inputs begin to grow without limit, as they may where f(r)/r rises.
    error : array (...), estimated relative error of c; 1e-12 is guaranteed for the named activations.
    """

    symmetry: Symmetry
    activation: Activation
    sigma_w: np.ndarray
    c: np.ndarray
    residual: np.ndarray
    status: np.ndarray
    stable: np.ndarray
    unstable: np.ndarray
    error: np.ndarray

    @property
    def converged(self) -> np.ndarray:
        return self.status == CONVERGED

    @property
    def phase(self) -> np.ndarray:
        """``"unbroken"`` (c* = 0), ``"critical"`` (at the transition), ``"broken"`` (c* > 0), or ``""`` without c*."""
        critical = self.activation.excess(self.sigma_w) == 0.0
        dead = np.where(critical, "critical", "unbroken")
        return np.where(self.converged, np.where(self.c > 0, "broken", dead), "")

    @property
    def elsewhere(self) -> str:
        """In words, for a single sigma_w, where some inputs end instead of at c*; empty where all come to c*."""
        starts = self.unstable[self.unstable > 0.0]
        others = self.stable[self.stable < self.c]
        told = f"; from c < {starts[starts < self.c].max():.6g} to c = {others.max():.6g}" if others.size else ""
        grows = starts[starts > self.c]
        return told + (f"; from c > {grows.min():.6g} without limit" if grows.size else "")

    def __repr__(self) -> str:
        head = f"FixedPoint({self.symmetry}, {self.activation.name}"
        if self.sigma_w.ndim == 0:
            at = shortest(float(self.sigma_w))
            return f"{head}, sigma_w={at}: c*={self.c:.6g}, {self.phase}, residual {self.residual:.1e}{self.elsewhere})"
        return f"{head}, {self.sigma_w.size} points: {int(self.converged.sum())} converged)"


def fixed_point(sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh") -> FixedPoint:
    """Solve c* = F(c*) for the length map F of Eq. (8)/(35).

    For sigma_w f'(0) <= 1 the named activations have only c* = 0; above it there is exactly one c* > 0, because F(c)/c
    decreases. It is found from

        <f^2>/(s - <f^2>/f'(0)^2) = f'(0)^2/(sigma_w^2 f'(0)^2 - 1),      s = sigma_w^2 c*,

    both sides without cancellation, so the relative error of c* stays below 1e-12 for every float sigma_w in
    [1e-3, 1e3], the neighbours of the transition included (at sigma_w = 1 + 1e-6, c* = 1.5e-6 for U(1) and tanh, and
    all of its digits hold; the error is relative to the float sigma_w, not to the decimal one typed).

    A user's activation may have several fixed points: all are found that a table of spacing 0.25 in log c, with the
    extrema of F(c)/c among its nodes, separates, with sigma_w^2 c* from 1e-20 to at least 7e10 max(sigma_w, 1)^2. If a
    layer there still makes c larger, the table is
    extended until it makes c smaller, by steps of 16 in log c, up to sigma_w^2 c = 1e300 or where f overflows. So an
    unbounded f has a c*, too, where f(r)/r falls below 1/sigma_w far out: log(1 + r) has one at every sigma_w, 0 up to
    its transition at 1 and positive above it. An :class:`meanfield.AccuracyWarning` says when c* is estimated to be
    known less well than to 1e-8. Write f so that it keeps its digits at small r, -expm1(-r) for 1 - exp(-r): f'(0) and
    c* next to the transition are read from there.

    Parameters
    ----------
    sigma_w : array_like, >= 0
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    FixedPoint
        Arrays of the shape of sigma_w, c* among them as `c`.

    Raises
    ------
    ValueError
        For a bad argument; for a single sigma_w also where there is no stable fixed point: the length map oscillates,
        or f(r)/r stays above 1/sigma_w (linear above its transition).
    RuntimeError
        For a single sigma_w where the root search stopped early, or c* > 0 is too small to be found or lost in rounding
        (a user's activation next to its transition).

    In a sweep such points are marked in `status`, their c is NaN, and a :class:`ConvergenceWarning` counts them.

    Examples
    --------
    >>> import meanfield
    >>> point = meanfield.fixed_point([0.9, 1.0, 1.5], "O(4)")
    >>> point.c.round(4)
    array([0.    , 0.    , 0.5887])
    >>> point.phase.tolist()
    ['unbroken', 'critical', 'broken']
    """
    point = solve(sigma_w, symmetry, activation)
    warn_if_inaccurate(point.activation, point.error)
    return point


def solve(sigma_w, symmetry: str | Symmetry, activation) -> FixedPoint:
    """Like :func:`fixed_point`, but does not warn about accuracy: callers add their own error first."""
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    sigma_w = sigma_w_array(sigma_w, activation)
    if activation.is_saturated:
        return _saturated(symmetry, activation, sigma_w)
    flat = sigma_w.ravel()
    find = _single_roots if activation.guaranteed else _every_root
    roots = find(activation, symmetry.capsule_dimension, flat)
    result = _assemble(symmetry, activation, flat, sigma_w.shape, *roots)
    failed = ~result.converged
    if failed.any():
        _report(result, failed)
    return result


def _saturated(symmetry: Symmetry, activation: Activation, sigma_w: np.ndarray) -> FixedPoint:
    """f = 1: c' = 1 whatever c > 0 and sigma_w are, also where sigma_w^2 underflows; c = 0 stays, and is unstable."""
    one, zero = np.ones(sigma_w.shape), np.zeros(sigma_w.shape)
    return FixedPoint(
        symmetry=symmetry,
        activation=activation,
        sigma_w=sigma_w,
        c=one,
        residual=zero,
        status=np.full(sigma_w.shape, CONVERGED),
        stable=one[..., None],
        unstable=zero[..., None],
        error=np.full(sigma_w.shape, 1e-12),
    )


def _report(result: FixedPoint, failed: np.ndarray) -> None:
    if result.sigma_w.ndim:
        warn(f"{int(failed.sum())} of {failed.size} sigma_w have no result: see status", ConvergenceWarning)
        return
    name, at = result.activation.name, shortest(float(result.sigma_w))
    if result.status == NO_FIXED_POINT:
        raise ValueError(f"activation {name} has no stable fixed point at sigma_w = {at}: {_why_none(result)}")
    if np.isnan(result.stable).all():
        raise RuntimeError(
            f"c* of activation {name} at sigma_w = {at} is too small to be found: "
            f"sigma_w^2 c* is below {np.exp(_LOWEST):.0e}, or rounding hides it next to the transition"
        )
    raise RuntimeError(
        f"the search for c* of activation {name} at sigma_w = {at} stopped before it converged, or averages of f do "
        "not tell c*: f must keep its digits at small r, as -expm1(-r) does and 1 - exp(-r) does not, and must not "
        "oscillate far out, where no number of nodes resolves it; meanfield.trajectory follows one start"
    )


def _why_none(result: FixedPoint) -> str:
    unstable = np.nanmax(result.unstable)
    if unstable > 0.0:
        return f"the length map oscillates about c = {unstable:.6g}, where its slope is below -1"
    end, growth = far_out(result.activation, result.symmetry.capsule_dimension, result.sigma_w.ravel())
    at = f"sigma_w^2 c = {np.exp(end[0]):.1e}"
    return f"it does not saturate, a layer still multiplies c by {growth[0]:.6g} where {at}"


# ---- positive roots: arrays (roots,) of the index into sigma_w, s, whether stable, and whether converged -------------


def _ends(activation: Activation, sigma_w: np.ndarray) -> np.ndarray:
    """log s up to which the search for each sigma_w goes at least; named activations have s* <= sigma_w^2."""
    log_square = 2.0 * np.log(np.maximum(sigma_w, 1.0))
    if activation.guaranteed:
        return np.ceil(log_square + 3.0)
    return np.minimum(np.ceil((log_square + 25.0) / _STRIDE) * _STRIDE, _LAST)


def far_out(activation: Activation, dimension: int, sigma_w: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log s where the search for each sigma_w ends, and the factor by which a layer multiplies c there.

    A user's function may saturate anywhere, so there it is the first where c shrinks, or else the last there is.
    """
    end = _ends(activation, sigma_w)
    growth = sigma_w**2 * _gains(activation, dimension, end)
    going = (growth >= 1.0) & (end < _LAST)
    while going.any() and not activation.guaranteed:
        further = np.minimum(end + _STRIDE, _LAST)
        beyond = np.full(end.shape, np.nan)
        beyond[going] = sigma_w[going] ** 2 * _gains(activation, dimension, further[going])
        going &= ~np.isnan(beyond)  # where f overflows, the search stays before that
        end, growth = np.where(going, further, end), np.where(going, beyond, growth)
        going &= (growth >= 1.0) & (end < _LAST)
    return end, growth


def _gains(activation: Activation, dimension: int, log_s: np.ndarray) -> np.ndarray:
    return np.array([_gain(activation, dimension, float(x)) for x in log_s])


@lru_cache(maxsize=1024)
def _gain(activation: Activation, dimension: int, log_s: float) -> float:
    """<f^2>/s; NaN where a user's f overflows."""
    try:
        with np.errstate(all="ignore"):
            return float(power_gain(activation, dimension, np.exp(log_s)))
    except ValueError:
        return np.nan


def _single_roots(activation, dimension, sigma_w):
    """The one positive root that a named activation has above its transition, by Newton's method from a table."""
    excess = activation.excess(sigma_w)
    index = np.flatnonzero(excess > 0.0)
    log_s, level = _table(activation, dimension, float(_ends(activation, sigma_w).max()))
    if level[-1] == -np.inf:  # linear: no s > 0 is a fixed point at any excess
        index = index[:0]
    target = np.log(excess[index])
    x = PchipInterpolator(level, log_s)(target) if index.size else target
    step = np.zeros(0)
    for _ in range(_NEWTON_STEPS):
        s = np.exp(x)
        lost, gain, down = saturation(activation, dimension, s)
        step = (np.log(lost * activation.slope**2 / gain) - target) * lost / down
        x = x - step
    return index, np.exp(x), np.ones(index.size, bool), np.abs(step) < 1e-7


def _every_root(activation, dimension, sigma_w):
    """All positive roots that the table separates, by bracketing."""
    end, growth = far_out(activation, dimension, sigma_w)
    end = np.where(growth < 1.0, end, _ends(activation, sigma_w))  # where c grows for ever, farther out is no root
    log_s, level = _table(activation, dimension, float(end.max()))
    with np.errstate(divide="ignore"):
        wanted = -2.0 * np.log(sigma_w)
    gap = level - wanted[:, None]
    below, above = gap[:, :-1], gap[:, 1:]
    # at the transition nothing but rounding tells the two apart up to some s: its changes of sign are no roots
    own = log_s[1:] <= end[:, None]
    told = np.maximum.accumulate(np.abs(below) > _ROUNDING, axis=1)
    # and the same from the other end, where f may become linear
    told &= np.maximum.accumulate((own & (np.abs(above) > _ROUNDING))[:, ::-1], axis=1)[:, ::-1]
    index, cell = np.nonzero(own & told & ((below > 0) != (above > 0)))
    if index.size == 0:
        return index, np.empty(0), np.empty(0, bool), np.empty(0, bool)
    found = find_root(
        lambda x, t: _level(activation, dimension, x) - t,
        (log_s[cell], log_s[cell + 1]),
        args=(wanted[index],),
        tolerances=TOLERANCES,
    )
    # a node that is a root up to rounding may have the other sign when it is averaged again, and then brackets nothing
    at_end = np.abs([below[index, cell], above[index, cell]])
    node = log_s[cell + at_end.argmin(axis=0)]
    s = np.exp(np.where(found.success, found.x, node))  # found.x may be NaN
    chi, _ = relaxation(activation, dimension, s)  # below -1 it makes c alternate
    success = found.success | (at_end.min(axis=0) <= _ROUNDING)
    return index, s, (below[index, cell] > 0) & (chi > -1.0), success


def _level(activation: Activation, dimension: int, log_s: np.ndarray) -> np.ndarray:
    """What the table is of: log of the excess sigma_w^2 f'(0)^2 - 1 that has its fixed point at s (increasing in s), or
    for a user's function, whose f'(0) may be inexact, log <f^2>/s = -log sigma_w^2.
    """
    s = np.exp(log_s)
    if not activation.guaranteed:
        return np.log(power_gain(activation, dimension, s))
    lost, gain, _ = saturation(activation, dimension, s)
    with np.errstate(divide="ignore"):
        return np.log(lost * activation.slope**2 / gain)


@lru_cache(maxsize=256)
def _table(activation: Activation, dimension: int, top: float) -> tuple[np.ndarray, np.ndarray]:
    log_s = np.arange(_LOWEST, top + _GRID, _GRID)
    level = _level(activation, dimension, log_s)
    if activation.guaranteed:
        return log_s, level
    extra, of_extra = _extrema(activation, dimension, log_s, level)
    order = np.argsort(np.concatenate([log_s, extra]), kind="stable")
    return np.concatenate([log_s, extra])[order], np.concatenate([level, of_extra])[order]


def _extrema(activation: Activation, dimension: int, log_s, level) -> tuple[np.ndarray, np.ndarray]:
    """Where the level has its extrema, and its values there: two roots next to one of them share a cell otherwise."""
    rise = np.diff(level)
    sign = np.where(np.abs(rise) > _FLAT, np.sign(rise), 0.0)
    node = 1 + np.flatnonzero(sign[:-1] * sign[1:] < 0.0)
    peak, low, high = sign[node - 1], log_s[node - 1], log_s[node + 1]
    for _ in range(_ZOOMS):
        x = np.linspace(low, high, _PARTS)
        values = peak * _level(activation, dimension, x.ravel()).reshape(x.shape)
        best = np.clip(values.argmax(axis=0), 1, _PARTS - 2)
        low, high = (x[best + shift, np.arange(node.size)] for shift in (-1, 1))
    middle = (low + high) / 2.0
    return middle, _level(activation, dimension, middle)


def _assemble(symmetry, activation, sigma_w, shape, index, s, is_stable, success) -> FixedPoint:
    dimension = symmetry.capsule_dimension
    with np.errstate(divide="ignore", invalid="ignore"):
        c = s / sigma_w[index] ** 2
        residual = sigma_w[index] ** 2 * power_gain(activation, dimension, s) - 1.0
    error = np.full(s.size, 1e-12)
    if not activation.guaranteed and s.size:
        error = _root_error(activation, dimension, s)
    zero_stable = _zero_stable(activation.excess(sigma_w), index, s, is_stable)
    branches: dict[bool, list[list[float]]] = {
        True: [[0.0] if yes else [] for yes in zero_stable],
        False: [[] if yes else [0.0] for yes in zero_stable],
    }
    values = {key: np.zeros(sigma_w.size) for key in ("c", "residual", "error")}
    converged = np.ones(sigma_w.size, bool)
    for order in np.lexsort((c, index)):
        i = index[order]
        branches[bool(is_stable[order])][i].append(c[order])
        converged[i] &= bool(success[order])
        if is_stable[order]:
            for key, source in (("c", c), ("residual", residual), ("error", error)):
                values[key][i] = source[order]
    converged &= values["error"] < _UNKNOWN
    exists = np.array([len(row) > 0 for row in branches[True]])
    # where c = 0 is the only one found, and is left, but large c shrink, there is another between: too small to be seen
    alone = np.array([row == [0.0] for row in branches[False]]) & ~exists
    hidden = alone & (far_out(activation, dimension, sigma_w)[1] < 1.0 - _ROUNDING) if alone.any() else alone
    status = np.where(exists & converged, CONVERGED, np.where(exists | hidden, NOT_CONVERGED, NO_FIXED_POINT))
    values["c"] = np.where(status == CONVERGED, values["c"], np.nan)
    return FixedPoint(
        symmetry=symmetry,
        activation=activation,
        sigma_w=sigma_w.reshape(shape),
        **{key: value.reshape(shape) for key, value in values.items()},
        status=status.reshape(shape),
        stable=_padded(branches[True]).reshape((*shape, -1)),
        unstable=_padded(branches[False]).reshape((*shape, -1)),
    )


def _root_error(activation: Activation, dimension: int, s: np.ndarray) -> np.ndarray:
    """Estimated relative error of s*, from that of <f^2> around it: where f lost its digits, one s may seem good."""
    around = np.array([0.98, 0.99, 1.0, 1.01, 1.02])[:, None] * s
    one_minus_chi = np.abs(relaxation(activation, dimension, s)[1])
    with np.errstate(divide="ignore"):
        return gain_error(activation, dimension, around).max(axis=0) / one_minus_chi


def _zero_stable(excess: np.ndarray, index: np.ndarray, s: np.ndarray, is_stable: np.ndarray) -> np.ndarray:
    """Whether c = 0 attracts; at the transition itself unless the lowest root above it does."""
    stable = excess <= 0.0
    for i in np.flatnonzero(excess == 0.0):
        own = np.flatnonzero(index == i)
        stable[i] = own.size == 0 or not is_stable[own[np.argmin(s[own])]]
    return stable


def _padded(rows: list[list[float]]) -> np.ndarray:
    width = max(1, max(map(len, rows)))
    return np.array([row + [np.nan] * (width - len(row)) for row in rows])
