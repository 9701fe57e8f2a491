"""Vortices of a phase on a grid, Appendix D.3: where they are, how they pair, how long they last.

Around a plaquette, the square between four neighbouring sites, the phase returns to itself up to a multiple of 2 pi:
its winding number. A difference between neighbours is taken the short way, in [-pi, pi], and the way back is minus the
way there, so that inner edges cancel in a sum: the windings inside any loop add up to that of the phase along the loop,
and on a periodic grid to zero. Vortices then come in pairs of opposite sign, and only pairs can appear or vanish. On an
open grid a single vortex may enter or leave over the edge.

Windings are positive where the phase grows from the first axis of the grid towards the second, so that
e^{i theta} with theta = atan2(second, first) has a vortex +1. The phase of h = 0 counts as 0.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import xarray as xr
from scipy.optimize import linear_sum_assignment

STEP = 1.5  # plaquettes that a vortex may move in a step: to the eight around its own
MEETING = 2.0 * STEP  # between two that are about to meet


def winding_numbers(phase, *, periodic: bool) -> np.ndarray:
    """Winding number of every plaquette.

    Parameters
    ----------
    phase : real array (..., rows, columns), radians
    periodic : whether the last row (column) neighbours the first one

    Returns
    -------
    int64 array (..., rows, columns) if periodic, else (..., rows - 1, columns - 1)
        Plaquette (i, j) has the sites (i, j), (i + 1, j), (i + 1, j + 1), (i, j + 1).

    Raises
    ------
    ValueError
        For fewer than two rows or columns, or phases that are not finite real numbers.
    """
    phase = np.asarray(phase)
    if phase.ndim < 2 or min(phase.shape[-2:]) < 2:
        raise ValueError(f"phase must have at least 2 rows and 2 columns in its last two axes, got shape {phase.shape}")
    if phase.dtype.kind not in "fiu" or not np.isfinite(phase).all():
        raise ValueError(f"phase must be finite real numbers, got {phase.dtype} with NaN, infinities or complex values")
    phase = phase.astype(np.promote_types(phase.dtype, np.float32))  # differences of whole numbers may be negative
    if periodic:
        phase = np.concatenate([phase, phase[..., :1, :]], axis=-2)
        phase = np.concatenate([phase, phase[..., :1]], axis=-1)
    down, across = _short_way(np.diff(phase, axis=-2)), _short_way(np.diff(phase, axis=-1))
    around = down[..., :-1] + across[..., 1:, :] - down[..., 1:] - across[..., :-1, :]
    return np.rint(around / (2.0 * np.pi)).astype(np.int64)


def census(states, *, periodic: bool) -> xr.Dataset:
    """Vortices of complex states from step to step.

    Parameters
    ----------
    states : complex array (steps, rows, columns)

    Returns
    -------
    xarray.Dataset
        By `step`: `positive` and `negative`, vortices of each sign (a winding of 2 counts twice); `distance`, the mean
        distance in plaquettes between the partners when positive and negative ones are paired so that the sum of
        distances is least (NaN without pairs); `kept`, the share of vortices that have one of their sign within one
        plaquette at the next step, and `chance`, what that share would be with the next step's vortices shifted by a
        random vector, on an open grid with this step's at random places (both NaN without vortices, and at the last
        step); `annihilated` and `created`, pairs of opposite vortices, at most 3 plaquettes apart, that are gone at the
        next step, and that are new there (NaN at the last step). Vortices of one sign at two steps are taken for the
        same where they are within one plaquette of each other, as many of them as can be, one for one. `winding` (step,
        row, column) is what they are counted from.

    Raises
    ------
    ValueError
        When states are not complex, or as :func:`winding_numbers`.
    """
    states = np.asarray(states)
    if states.dtype.kind != "c" or states.ndim != 3 or not len(states):
        raise ValueError(
            f"states must be complex, (steps, rows, columns) of at least one step, got {states.dtype} of shape "
            f"{states.shape}"
        )
    winding = winding_numbers(np.angle(states), periodic=periodic)
    distance = [np.mean(pair_distances(each, periodic=periodic) or [np.nan]) for each in winding]
    shares = [_kept(now, after, periodic) for now, after in pairwise(winding)]
    kept, chance = np.array([*shares, (np.nan, np.nan)]).T
    gone = [(_lost_pairs(a, b, periodic), _lost_pairs(b, a, periodic)) for a, b in pairwise(winding)]
    annihilated, created = np.array([*gone, (np.nan, np.nan)]).T
    return xr.Dataset(
        {
            "winding": (("step", "row", "column"), winding, {"long_name": "winding number"}),
            "positive": ("step", winding.clip(min=0).sum((1, 2)), {"long_name": "vortices of winding +1"}),
            "negative": ("step", -winding.clip(max=0).sum((1, 2)), {"long_name": "vortices of winding -1"}),
            "distance": ("step", distance, {"long_name": "mean distance of paired vortices [plaquettes]"}),
            "kept": ("step", kept, {"long_name": "share of vortices still there one step later"}),
            "chance": ("step", chance, {"long_name": "the same of vortices that have nothing to do with each other"}),
            "annihilated": ("step", annihilated, {"long_name": "pairs gone one step later"}),
            "created": ("step", created, {"long_name": "pairs new one step later"}),
        },
        attrs={"grid": "periodic" if periodic else "open"},
    )


def pair_distances(winding: np.ndarray, *, periodic: bool) -> list[float]:
    """Distances between positive and negative vortices, paired so that their sum is least.

    Vortices beyond the number of the other sign stay alone.
    """
    positive, negative = _places(winding), _places(-winding)
    if not len(positive) or not len(negative):
        return []
    distances = _distances(positive, negative, winding.shape, periodic)
    return [float(each) for each in distances[linear_sum_assignment(distances)]]


def _distances(first: np.ndarray, second: np.ndarray, shape: tuple[int, ...], periodic: bool) -> np.ndarray:
    """Between each of the first places and each of the second ones."""
    apart = np.abs(first[:, None] - second[None]).astype(float)
    if periodic:
        apart = np.minimum(apart, np.array(shape) - apart)
    return np.hypot(apart[..., 0], apart[..., 1])


def _matched(distances: np.ndarray, reach: float) -> np.ndarray:
    """Rows that get a column within reach, one for one: as many as can be."""
    rows, columns = linear_sum_assignment(distances > reach)
    return rows[distances[rows, columns] <= reach]


def _lost_pairs(now: np.ndarray, after: np.ndarray, periodic: bool) -> int:
    """Pairs of opposite vortices of `now`, near each other, of which `after` has neither."""
    lost = []
    for sign in (1, -1):
        places, later = _places(sign * now), _places(sign * after)
        lost.append(np.delete(places, _matched(_distances(places, later, now.shape, periodic), STEP), axis=0))
    positive, negative = lost
    return len(_matched(_distances(positive, negative, now.shape, periodic), MEETING))


def _short_way(difference: np.ndarray) -> np.ndarray:
    """A phase difference in [-pi, pi], odd in its argument."""
    return difference - 2.0 * np.pi * np.rint(difference / (2.0 * np.pi))


def _places(windings: np.ndarray) -> np.ndarray:
    """(row, column) of each positive vortex, twice of one that winds twice."""
    return np.repeat(np.argwhere(windings > 0), windings[windings > 0], axis=0)


def _kept(now: np.ndarray, after: np.ndarray, periodic: bool) -> tuple[float, float]:
    """The share of vortices that find one of their sign beside them, and what it would be at random places."""
    there, found, expected = 0, 0, 0.0
    for sign in (1, -1):
        later = np.pad(sign * after > 0, 1, mode="wrap" if periodic else "constant")
        near = np.lib.stride_tricks.sliding_window_view(later, (3, 3)).any((-2, -1))
        vortices = sign * now > 0
        there, found = there + int(vortices.sum()), found + int((vortices & near).sum())
        expected += vortices.sum() * near.mean()
    return (found / there, expected / there) if there else (np.nan, np.nan)
