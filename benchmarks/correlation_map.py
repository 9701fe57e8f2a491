"""The correlation map of U(1), Eq. (12), against scipy's adaptive integrals and a fixed Gauss-Laguerre rule."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from functools import partial

import numpy as np

import meanfield
from meanfield import precise

from . import scipy_peers
from .record import Entry, Job, Scale, Target
from .timing import measure

Map = Callable[[float, float, float], float]  # of delta, c and sigma_w
PEERS: dict[str, Map] = {
    "dblquad, ive": scipy_peers.correlation_map,
    "dblquad, ive, epsabs 0": partial(scipy_peers.correlation_map, epsabs=0.0),
    "Gauss-Laguerre 60 x 60": scipy_peers.laguerre_map,
}


def jobs(scale: Scale) -> Iterator[Job]:
    """Many pairs at one sigma_w, of one c and of different c; and one pair where the integrals are sharp."""
    rho = np.linspace(0.01, 0.99, scale.pairs)
    target = Target(ratio=1e4, than="dblquad") if scale.full else None
    for sigma_w in scale.sigma_w:
        for what, c in (("one c", np.full(rho.size, 0.7)), ("different c", np.linspace(0.1, 1.0, rho.size))):
            yield _job(f"{rho.size} pairs, {what}, sigma_w = {sigma_w:g}", rho * c, c, sigma_w, scale, target)
    yield _job("one pair, rho = 0.99, sigma_w = 1.5", np.array([0.99 * 0.7]), np.array([0.7]), 1.5, scale, None)


def _each(peer: Map, pairs: list[tuple[float, float]], sigma_w: float) -> np.ndarray:
    return np.array([peer(delta, c, sigma_w) for delta, c in pairs])


def _job(name: str, delta: np.ndarray, c: np.ndarray, sigma_w: float, scale: Scale, target: Target | None) -> Job:
    # the middles of even strata stand for all pairs
    strata = min(scale.samples, delta.size)
    sample = ((np.arange(strata) + 0.5) * delta.size / strata).astype(int)
    pairs = [(float(delta[i]), float(c[i])) for i in sample]
    exact = np.array([float(precise.correlation_map(d, length, sigma_w, digits=18)) for d, length in pairs])

    def error(found) -> float:
        return float(np.max(np.abs(found / exact - 1.0)))

    # a single number where c is one number for all
    shared = c[0] if np.all(c == c[0]) else c
    ours, timing = measure(lambda: meanfield.correlation_map(delta, shared, sigma_w), scale.budget)
    entries = []
    for who, peer in PEERS.items():
        found, taken = measure(partial(_each, peer, pairs, sigma_w), scale.budget)
        entries.append(Entry(who, taken, error(found), units=strata))
    return Job(name, "pair", Entry("meanfield", timing, error(ours[sample]), units=delta.size), tuple(entries), target)
