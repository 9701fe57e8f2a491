"""Where a function of the radius breaks: its jumps, and the kinks where a low derivative of it jumps.

Averages over panels that end there have all digits (`meanfield.quadrature.panels`); a rule that does not know of them
has two or four.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

_GRID = np.geomspace(1e-8, 1e4, 12 * 32 + 1)
_DEPTH = 47  # halvings that take a window to neighbouring floats
_STEPS = np.arange(9) / 8.0
_FOURTH = np.array([1.0, -4.0, 6.0, -4.0, 1.0])
_NOISE = 32 * np.finfo(float).eps  # of the function's size: what rounding leaves of a fourth difference
_SPAN = 4  # halvings over which the fourth difference is seen to fall: by 16^k if the k-th derivative jumps, k < 4
_JUMP = 1e-5  # of what f has reached: float32 has steps of 1e-7, and f does not rise by that in the last digits of r
_SAME = 1e-6  # where a second derivative jumps is known to that


class Breaks(NamedTuple):
    """Radii, rising: `jumps` of the function, and `all` of its breaks."""

    jumps: np.ndarray
    all: np.ndarray


def find_breaks(function: Callable[[np.ndarray], np.ndarray]) -> Breaks:
    """Follow the largest fourth difference into ever smaller windows, from each pair of neighbouring intervals of a
    grid (32 a decade, 1e-8 to 1e4).

    Halving the window divides that difference by 2^k where the k-th derivative jumps, and by 16 where the function is
    smooth. Of several breaks in one window (15 % of the radius) one is found.
    """
    middle, difference, size = _zoom(function)
    seen = np.logical_and.accumulate(difference > _NOISE * size, axis=0)
    last = seen.sum(axis=0) - 1
    rows = np.flatnonzero(last >= _SPAN)
    last = last[rows]
    fall = difference[last - _SPAN, rows] / difference[last, rows]
    jumps = (last == _DEPTH - 1) & (difference[-1, rows] > _JUMP * np.maximum.accumulate(size)[rows])
    broken = jumps | ((fall > 2.0 ** (0.5 * _SPAN)) & (fall < 2.0 ** (2.5 * _SPAN)))
    at = middle[last, rows]
    return Breaks(_distinct(at[jumps]), _distinct(at[broken]))


def _zoom(function) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Middles of the windows and largest fourth differences in them, shape (_DEPTH, windows), and |f| at the start."""
    low, high = _GRID[:-2], _GRID[2:]
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


def _distinct(radii: np.ndarray) -> np.ndarray:
    radii = np.sort(radii)
    return radii[np.diff(radii, prepend=0.0) > _SAME * radii]
