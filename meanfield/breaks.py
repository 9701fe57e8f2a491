"""Where a function of the radius breaks: its jumps, and the kinks where a low derivative of it jumps.

Averages over panels that end there have all digits (`meanfield.quadrature.panel_rule`); a rule that does not know of
them has two or four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_GRID = np.geomspace(1e-8, 1e4, 12 * 32 + 1)
_DEPTH = 47  # halvings that take a window to neighbouring floats
_STEPS = np.arange(9) / 8.0
_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
_NOISE = 32.0  # rounding errors: what they leave of a fourth difference
_FLOATS = 42  # halvings after which differences feel that r is a float
_SPAN = 6  # halvings over which the fourth difference is seen to fall: by 2^(6 k) if the k-th derivative jumps
_JUMP = 1e-5  # of what f has reached
_SAME = 1e-6  # where a second derivative jumps is known to that
_APART = 1e-4  # how far from one break another is looked for
_ROUNDS = 6


class Breaks(NamedTuple):
    """Radii, rising: `jumps` of the function, and `all` of its breaks."""

    jumps: np.ndarray
    all: np.ndarray


def find_breaks(function: Callable[[np.ndarray], np.ndarray]) -> Breaks:
    """Follow the largest fourth difference into ever smaller windows, from each pair of neighbouring intervals of a
    grid (32 a decade, 1e-8 to 1e4), then from what lies on either side of the breaks found so.

    Halving the window divides that difference by 2^k where the k-th derivative jumps, and by 16 where the function is
    smooth. Breaks closer than 1e-4 of the radius may be taken for one.
    """
    jumps, found = np.empty((2, 0))
    low, high = _GRID[:-2], _GRID[2:]
    for _ in range(_ROUNDS):
        more = _search(function, low, high)
        before = found.size
        jumps, found = merged(jumps, more.jumps), merged(found, more.all)
        if found.size == before:
            break
        low, high = _between(found)
    return Breaks(jumps, found)


def merged(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """All radii, rising; one of each that are the same, from `first` where it is there."""
    for radius in np.sort(second):
        if not np.any(np.abs(first - radius) <= _SAME * radius):
            first = np.append(first, radius)
    return np.sort(first)


def _between(found: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower and upper ends of windows on either side of each break, up to the next one."""
    reach = _GRID[2] / _GRID[0]
    last, following = np.append(0.0, found[:-1]), np.append(found[1:], np.inf)
    below = np.maximum(last * (1.0 + _APART), found / reach), found * (1.0 - _APART)
    above = found * (1.0 + _APART), np.minimum(following * (1.0 - _APART), found * reach)
    windows = np.unique(np.concatenate([np.transpose(below), np.transpose(above)]), axis=0)
    low, high = windows[windows[:, 1] > (1.0 + _APART) * windows[:, 0]].T
    return low, high


def _search(function, low: np.ndarray, high: np.ndarray) -> Breaks:
    """One break in each window, if there is any."""
    with np.errstate(all="ignore"):
        coarse = np.asarray(function(_GRID.copy()))
    rounding = np.finfo(coarse.dtype if coarse.dtype.kind == "f" else float).eps
    middle, difference, size = _zoom(function, low, high)
    seen = np.logical_and.accumulate(difference > _NOISE * rounding * size, axis=0)
    last = seen.sum(axis=0) - 1
    rows = np.flatnonzero(last >= 2 * _SPAN)
    last = last[rows]
    at = middle[last, rows]
    reached = np.maximum.accumulate(np.abs(coarse.astype(float)))[np.searchsorted(_GRID[:-1], high[rows])]
    jumps = (last == _DEPTH - 1) & (difference[-1, rows] > max(_JUMP, _NOISE * rounding) * reached)
    steady = np.ones(rows.size, bool)
    for step in (0, _SPAN):  # a smooth function ends in rounding errors: it falls fast, then not at all
        end = np.minimum(last, _FLOATS) - step
        fall = np.log2(difference[end - _SPAN, rows] / difference[end, rows]) / _SPAN
        steady &= (fall > 0.25) & (fall < 2.75)
    return Breaks(at[jumps], at[jumps | steady])


def _zoom(function, low: np.ndarray, high: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles of the windows and largest fourth differences in them, shape (_DEPTH, windows), and |f| at the start."""
    rows = np.arange(low.size)
    middles, differences, sizes = [], [], []
    for _ in range(_DEPTH):
        r = low[:, None] + (high - low)[:, None] * _STEPS
        with np.errstate(all="ignore"):
            values = np.asarray(function(r.ravel()), float).reshape(r.shape)
            fourth = np.abs(np.stack([values[:, i : i + 5] @ _FOURTH for i in (0, 2, 4)], axis=1))
        chosen = fourth.argmax(axis=1)
        middles.append((low + high) / 2.0)
        differences.append(fourth[rows, chosen])
        sizes.append(np.abs(values).max(axis=1))
        low, high = r[rows, 2 * chosen], r[rows, 2 * chosen + 4]
    return np.array(middles), np.array(differences), sizes[0]
