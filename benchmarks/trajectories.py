"""Trajectories of (c, Delta) through many layers: one pair of inputs, and a grid of (sigma_w, rho)."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from pathlib import Path

import numpy as np

import meanfield

from . import classical_peers, scipy_peers
from .neural_tangents import Found, neural_tangents
from .record import Entry, Job, Scale, Target
from .reference import CASES, reference
from .timing import measure

LEAST_C = 1e-30  # below it neural-tangents returns zeros and then NaN: no peer's error is counted there
PEERS: dict[str, dict[str, scipy_peers.Layer]] = {
    "U(1)": {"quad and dblquad, ive": scipy_peers.layer},
    "O(1)": {
        "even grid (method of deepchaos, written here)": classical_peers.even_grid,
        "nested quad (method of ghliu, written here)": classical_peers.nested_quadrature,
    },
}


def jobs(scale: Scale, environment: Path) -> Iterator[Job]:
    """One trajectory and a grid of them, for U(1) and for the classical network O(1)."""
    installed = neural_tangents(environment, scale)
    for symmetry in PEERS:
        slow = _slow_peers(symmetry, scale)
        for case in CASES:
            if case[0] == symmetry:
                yield _one(case, scale, slow if case == _compared(symmetry) else (), installed)
        yield _grid(symmetry, scale, slow, installed)


def error(c: np.ndarray, delta: np.ndarray, exact: tuple[np.ndarray, np.ndarray], least_c: float = 0.0) -> float:
    """Largest error of c and of Delta where c is at least `least_c`, both relative to c."""
    errors = (np.abs(found - right) / exact[0] for found, right in zip((c, delta), exact, strict=True))
    return float(max(np.max(np.where(exact[0] >= least_c, each, 0.0)) for each in errors))


def _compared(symmetry: str) -> tuple[str, float, float]:
    return symmetry, 1.5, 0.9


def _slow_peers(symmetry: str, scale: Scale) -> tuple[Entry, ...]:
    case = _compared(symmetry)
    exact = reference(*case, scale.depth)
    entries = []
    for who, layer in PEERS[symmetry].items():
        (c, delta), timing = measure(partial(scipy_peers.trajectory, layer, scale.depth, *case[1:]), scale.budget)
        entries.append(Entry(who, timing, error(c, delta, exact, LEAST_C)))
    return tuple(entries)


def _one(case: tuple[str, float, float], scale: Scale, slow: tuple[Entry, ...], installed: list[Found]) -> Job:
    symmetry, sigma_w, delta = case
    exact = reference(*case, scale.depth)
    found, timing = measure(
        lambda: meanfield.trajectory(scale.depth, sigma_w, delta=delta, symmetry=symmetry), scale.budget
    )
    ours = Entry("meanfield", timing, error(found.c.values, found.delta.values, exact))
    after = exact[0][1:], exact[1][1:]
    fast = (
        Entry(other.who, other.timing, error(other.c[:, 0], other.delta[:, 0], after, LEAST_C))
        for other in installed
        if symmetry == "O(1)" and other.sigma_w == sigma_w
    )
    name = f"{scale.depth}-layer trajectory, {symmetry}, sigma_w = {sigma_w:g}, rho = {delta:g}"
    return Job(name, "trajectory", ours, (*slow, *fast), Target(seconds=0.01) if scale.full else None)


def _grid(symmetry: str, scale: Scale, slow: tuple[Entry, ...], installed: list[Found]) -> Job:
    """All pairs of sigma_w in [0.5, 3] and rho in [0.01, 0.99]; slow peers would do one trajectory after the other."""
    sigma_w, rho = np.linspace(0.5, 3.0, scale.side), np.linspace(0.01, 0.99, scale.side)
    found, timing = measure(
        lambda: meanfield.trajectory(scale.depth, sigma_w[:, None], delta=rho, symmetry=symmetry), scale.budget
    )
    # two corners of the grid have a reference
    worst = max(
        error(found.c.values[:, i, i], found.delta.values[:, i, i], reference(symmetry, s, r, scale.depth))
        for i, s, r in ((0, 0.5, 0.01), (-1, 3.0, 0.99))
    )
    ours = Entry("meanfield", timing, worst, units=scale.side**2)
    # (sigma_w, layer, rho) as neural-tangents has it; right to the error above
    after = found.c.values[1:].swapaxes(0, 1), found.delta.values[1:].swapaxes(0, 1)
    fast = (
        Entry(other.who, other.timing, error(other.c, other.delta, after, LEAST_C), units=scale.side**2)
        for other in installed
        if symmetry == "O(1)" and other.job == "grid"
    )
    name = f"{scale.side} x {scale.side} grid of {scale.depth}-layer trajectories, {symmetry}"
    return Job(name, "trajectory", ours, (*slow, *fast), Target(seconds=0.2) if scale.full else None)
