"""Depth scales and phase diagrams of U(1), against Eq. (8) iterated until it stands still."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

import meanfield
from meanfield import precise

from . import scipy_peers
from .record import Entry, Job, Scale, Target
from .timing import measure

_NEAR = 1.01


def jobs(scale: Scale) -> Iterator[Job]:
    """xi_c and xi_Delta at one sigma_w near the transition, and at many."""
    scales, timing = measure(lambda: meanfield.depth_scales(_NEAR), scale.budget)
    found = np.array([[scales.xi_c, scales.xi_delta]])
    exact = _exact([_NEAR])
    yield Job(
        f"depth scales at sigma_w = {_NEAR:g}",
        "sigma_w",
        Entry("meanfield", timing, _error(found, exact)),
        (_peer([_NEAR], exact, scale),),
    )
    sigma_w = np.linspace(0.5, 3.0, scale.points)
    table, timing = measure(lambda: meanfield.phase_diagram(sigma_w), scale.budget)
    sample = ((np.arange(scale.samples) + 0.5) * sigma_w.size / scale.samples).astype(int)
    chosen = sigma_w[sample].tolist()
    found = np.stack([table.xi_c.values[sample], table.xi_delta.values[sample]], axis=1)
    exact = _exact(chosen)
    yield Job(
        f"phase diagram of {scale.points} sigma_w",
        "sigma_w",
        Entry("meanfield", timing, _error(found, exact), units=scale.points),
        (_peer(chosen, exact, scale),),
        Target(seconds=1.0) if scale.full else None,
    )


def _exact(sigma_w: list[float]) -> np.ndarray:
    found = [precise.susceptibilities(s, digits=18) for s in sigma_w]
    return np.array([[float(point.xi_c), float(point.xi_delta)] for point in found])


def _peer(sigma_w: list[float], exact: np.ndarray, scale: Scale) -> Entry:
    found, timing = measure(lambda: np.array([scipy_peers.depth_scales(s) for s in sigma_w]), scale.budget)
    return Entry("iteration with quad", timing, _error(found, exact), units=len(sigma_w))


def _error(found: np.ndarray, exact: np.ndarray) -> float:
    """Largest relative error of the depth scales."""
    return float(np.max(np.abs(found / exact - 1.0)))
