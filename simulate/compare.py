"""Sampled networks held against the theory, quantity by quantity."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from meanfield import Ensemble

from .blocks import derived_seed
from .observables import cross_block, group_element, in_frame, order_parameters, overlap, turn
from .statistics import Estimate, extrapolate, remainder

Theory = Callable[[Ensemble], Ensemble]
SETTLED = 1e-4  # chi_c^L below which layer L stands for the fixed point


@dataclass(frozen=True)
class Comparison:
    """One line of the table. `measured` is extrapolated to infinite width; `allowance` is what that may have left."""

    case: str
    quantity: str
    sigma_w: float
    layer: int
    theory: float
    measured: float
    standard_error: float
    allowance: float
    skewness: float

    @property
    def deviation(self) -> float:
        """measured - theory, in standard errors."""
        return (self.measured - self.theory) / self.standard_error

    def agrees(self, limit: float) -> bool:
        return abs(self.measured - self.theory) <= limit * self.standard_error + self.allowance


@dataclass(frozen=True)
class Quantity:
    """One quantity at one width: theory (points,) and measured - theory of each network, (network, points)."""

    name: str
    sigma_w: float
    layers: Sequence[int]
    theory: np.ndarray
    difference: np.ndarray


def compare(samples: Sequence[xr.Dataset], ensemble: Ensemble, theory_of: Theory) -> list[Comparison]:
    """All comparisons of networks sampled at widths N/4, N/2, N and 2N with the theory.

    Parameters
    ----------
    samples : as :func:`simulate.sample_networks` returns them, for two inputs of which a group element turned the first
    ensemble : what was sampled; c, Delta and phi are followed layer by layer at its sigma_w
    theory_of : the ensemble whose theory the networks of an ensemble are compared with
    """
    by_width = [[*_layer_by_layer(one, ensemble, theory_of), *_last_layer(one, ensemble, theory_of)] for one in samples]
    return [
        row for quantities in zip(*by_width, strict=True) for row in extrapolated(str(ensemble.symmetry), quantities)
    ]


def sampled_at(
    widths: Sequence[int], sample: Callable[..., xr.Dataset], *args, seed: Sequence[int], **options
) -> list[xr.Dataset]:
    """Networks of each width, all that were asked for.

    Parameters
    ----------
    sample : one of the samplers, which `args` and `options` are handed to
    seed : of the run, then the numbers that name these networks in it; each width gets its own

    Raises
    ------
    RuntimeError
        When sampling was stopped before it was finished.
    """
    found = []
    for step, width in enumerate(widths):
        found.append(sample(*args, width=width, seed=derived_seed(*seed, step), **options))
        if found[-1].partial:
            raise RuntimeError("a verification needs all of its networks, and sampling was stopped")
    return found


def extrapolated(case: str, quantities: Sequence[Quantity]) -> Iterator[Comparison]:
    """One quantity at widths N/4, N/2, N and 2N, extrapolated to infinite width."""
    estimates = [Estimate.from_samples(quantity.difference) for quantity in quantities]
    shift = extrapolate(*estimates[2:])
    allowance = np.abs(remainder(extrapolate(*estimates[:2]), shift).value)
    widest = quantities[-1]
    for i, layer in enumerate(widest.layers):
        yield Comparison(
            case=case,
            quantity=widest.name,
            sigma_w=widest.sigma_w,
            layer=layer,
            theory=float(widest.theory[i]),
            measured=float(widest.theory[i] + shift.value[i]),
            standard_error=float(shift.standard_error[i]),
            allowance=float(allowance[i]),
            skewness=float(shift.skewness[i]),
        )


def _layer_by_layer(samples: xr.Dataset, ensemble: Ensemble, theory_of: Theory) -> Iterator[Quantity]:
    """c, d, Delta and what a group element leaves behind, at every layer from 1 on."""
    samples = samples.sel(sigma_w=[ensemble.sigma_w])
    told, symmetry = theory_of(ensemble), ensemble.symmetry
    depth = samples.sizes["layer"] - 1
    c = _mean_c(samples)[:, 0]
    q = cross_block(samples)[:, 0]
    # every network is seen in the frame of its own layer 0; a generic one has no group element to keep
    frame = np.eye(symmetry.capsule_dimension) if symmetry.family == "generic" else group_element(q[:, :1], symmetry)
    aligned = in_frame(q, frame)
    delta = overlap(aligned)
    theory, response = _theory(told, depth, c[:, 0], delta[:, 0])

    def quantity(name: str, theory: np.ndarray, difference: np.ndarray) -> Quantity:
        return Quantity(name, ensemble.sigma_w, range(1, depth + 1), theory, difference)

    yield quantity("c", theory[0, 1:], (c - theory[0] - response[0])[:, 1:])
    expected_d = told.sigma_w**2 * c[:, :-1]
    yield quantity("d", expected_d.mean(axis=0), samples.d.values[:, 0, 1:].mean(axis=-1) - expected_d)
    name = "Delta cos phi" if symmetry.family == "generic" else "Delta"
    yield quantity(name, theory[1, 1:], (delta - theory[1] - response[1])[:, 1:])
    nothing = np.zeros(depth)
    if symmetry.family == "generic":
        yield quantity("Delta sin phi", nothing, turn(aligned)[:, 1:])
        return
    plane = np.trace(aligned[..., :2, :2], axis1=-2, axis2=-1)
    phi = np.arctan2(turn(frame), np.trace(frame[..., :2, :2], axis1=-2, axis2=-1)).mean()
    yield quantity("phi", np.full(depth, phi), (turn(aligned) / plane.mean(axis=0))[:, 1:])
    if symmetry.family == "O":
        yield quantity("Q beside phi", nothing, np.triu(aligned, k=1).sum(axis=(-2, -1))[:, 1:])


def _last_layer(samples: xr.Dataset, ensemble: Ensemble, theory_of: Theory) -> Iterator[Quantity]:
    """c at the last layer for each sigma_w: the fixed point where the theory has reached it, else the trajectory."""
    depth = samples.sizes["layer"] - 1
    for i, sigma_w in enumerate(samples.sigma_w.values):
        told = theory_of(replace(ensemble, sigma_w=sigma_w))
        c = _mean_c(samples)[:, i]
        scales = told.depth_scales()
        if scales.chi_c**depth < SETTLED and scales.fixed_point.c > 0:
            theory = scales.fixed_point.c
            yield Quantity("c*", sigma_w, [depth], np.array([theory]), c[:, -1:] - theory)
        else:
            values, response = _theory(told, depth, c[:, 0])
            yield Quantity("c at depth", sigma_w, [depth], values[0, -1:], (c - values[0] - response[0])[:, -1:])


def _mean_c(samples: xr.Dataset) -> np.ndarray:
    """c averaged over the two inputs, whose law is the same; (network, sigma_w, layer)."""
    return order_parameters(samples).mean(axis=-1)


def _theory(told: Ensemble, depth: int, *start: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """c and Delta along the layers from the measured layer 0, and how they respond to its scatter between networks.

    Parameters
    ----------
    start : c, or c and Delta, of each network at layer 0

    Returns
    -------
    theory : (quantity, layer), started from the mean over networks
    response : (quantity, network, layer), the change of each to first order in a network's own start. It averages to
        zero: taken off, it leaves means as they are and removes from their standard error what is not the theory's to
        predict. (What is left is the curvature of the theory in the start, a correction of order 1/N like the others.)
    """
    means = np.array([values.mean() for values in start])
    step = 1e-4 * (means[0] - np.abs(means[1:]).sum())  # small enough for Delta to stay below c
    # the start itself, and steps up and down in each of its numbers
    steps = np.concatenate([np.zeros((1, means.size)), step * np.eye(means.size), -step * np.eye(means.size)])
    run = told.trajectory(depth, *(means + steps).T)
    values = np.stack([run[name].values for name in ("c", "delta")[: means.size]])
    up, down = np.split(values[..., 1:], 2, axis=-1)
    scatter = np.stack(start, axis=-1) - means
    return values[..., 0], np.einsum("qls,ns->qnl", (up - down) / (2.0 * step), scatter)
