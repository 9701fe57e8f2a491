"""Theory against sampled networks: solve, sample, compare, and say how sure the verdict is.

Two real images enter random networks; a group element turns the first one after the input layer, so that there is a
phase to follow. The theory starts from the Gram matrix measured at layer 0. All comparisons are of means over
independent networks.

Finite width. Means at width N differ from the theory by b_1/N + b_2/N^2 + ...: two widths N and 2N remove b_1, and the
widths N/4 and N/2 measure what is left; that is the only allowance made (`simulate.statistics`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from meanfield import Ensemble, depth_scales, trajectory
from meanfield.checks import whole_number

from .data import Images
from .observables import cross_block, in_frame, order_parameters, overlap, polar_factor, turn
from .sampling import plane_rotation, sample_networks
from .statistics import Estimate, deviation_limit, extrapolate, false_alarm_rate, remainder

SIGMA_W = (0.9, 1.0, 1.1, 1.3, 1.5, 2.0, 3.0)
DEPTH = 20
ANGLE = np.pi / 3
D_0 = 0.25  # starts c below c*, so that there is a transient to compare
WIDTH_RATIOS = (0.25, 0.5, 1.0, 2.0)
NOMINAL_RATE = 1e-5  # false alarms of a whole run; the rest of the promised 1e-4 is for means that are not quite normal
SETTLED = 1e-4  # chi_c^L below which layer L stands for the fixed point


@dataclass(frozen=True)
class Case:
    """One ensemble to verify, at widths N/4, N/2, N and 2N."""

    ensemble: Ensemble
    width: int


CASES = (
    Case(Ensemble("U(1)", "tanh", 1.5), 64),
    Case(Ensemble("O(4)", "tanh", 1.5), 128),
    Case(Ensemble("generic(2)", "tanh", 1.5), 64),
)


@dataclass(frozen=True)
class Comparison:
    """One line of the table. `measured` is extrapolated to infinite width, `allowance` is what that may have left."""

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


@dataclass(frozen=True, repr=False)
class Verification:
    """The outcome of a run: all comparisons, and the limit in standard errors that each must keep."""

    comparisons: list[Comparison]
    limit: float
    false_alarm_rate: float
    n_networks: int
    cases: Sequence[Case]
    images: str

    @property
    def failures(self) -> list[Comparison]:
        return [row for row in self.comparisons if not row.agrees(self.limit)]

    @property
    def passed(self) -> bool:
        return not self.failures

    def __repr__(self) -> str:
        verdict = "passed" if self.passed else f"{len(self.failures)} failed"
        return f"Verification({len(self.comparisons)} comparisons, limit {self.limit:.2f} standard errors: {verdict})"


def verify(
    images: Images,
    *,
    n_networks: int = 768,
    seed: int = 0,
    cases: Sequence[Case] = CASES,
    sigma_w: Sequence[float] = SIGMA_W,
    depth: int = DEPTH,
    theory_of: Callable[[Ensemble], Ensemble] = lambda ensemble: ensemble,
    device: str = "auto",
    executor: Executor | None = None,
    progress: Callable[[int], object] | None = None,
) -> Verification:
    """Compare theory and sampled networks, layer by layer and across sigma_w.

    Parameters
    ----------
    images : the first image and the next of its class are the two inputs
    n_networks : independent networks at each of the four widths of a case
    seed : int >= 0
    cases : ensembles and widths; c, Delta and phi are followed at the ensemble's sigma_w
    sigma_w : where c at the last layer is compared, with c* where the theory has settled by then
    depth : layers
    theory_of : the ensemble whose theory the networks of an ensemble are compared with: the same one, unless a test
        wants to see a wrong theory fail
    device, executor, progress : see :func:`simulate.sample_networks`

    Raises
    ------
    ValueError
        Naming the argument that is out of range: fewer than 2 networks; a width that is not a multiple of 4.
    """
    whole_number("n_networks", n_networks, 2)
    inputs = images.features(pair_of_one_class(images))
    comparisons: list[Comparison] = []
    for number, case in enumerate(cases):
        if case.width % 4:
            raise ValueError(f"width must be a multiple of 4 (N/4 is one of the widths), got {case.width}")
        samples = [
            sample_networks(
                case.ensemble,
                inputs,
                width=int(case.width * ratio),
                depth=depth,
                n_networks=n_networks,
                seed=seed + 1000 * number + step,
                sigma_w=sorted({*sigma_w, case.ensemble.sigma_w}),
                d_0=D_0,
                group_elements=_turn_first(case.ensemble.symmetry.capsule_dimension),
                device=device,
                executor=executor,
                progress=progress,
            )
            for step, ratio in enumerate(WIDTH_RATIOS)
        ]
        comparisons += compare(samples, theory_of(case.ensemble), sigma_w)
    limit = deviation_limit(NOMINAL_RATE, len(comparisons), n_networks - 1)
    rate = false_alarm_rate(limit, np.array([row.skewness for row in comparisons]), n_networks - 1)
    return Verification(comparisons, limit, rate, n_networks, cases, images.name)


def pair_of_one_class(images: Images) -> list[int]:
    """Indices of the first image and the next one with its label.

    Raises
    ------
    ValueError
        When there is no such image.
    """
    same = np.flatnonzero(images.labels == images.labels[0])
    if same.size < 2:
        raise ValueError(f"images must hold two of the class of the first one, got one of class {images.labels[0]}")
    return [int(same[0]), int(same[1])]


def _turn_first(dimension: int) -> np.ndarray:
    return np.stack([plane_rotation(dimension, ANGLE), np.eye(dimension)])


# ---- comparisons ----------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Quantity:
    """Theory (points,) started from the measured layer 0, and measured - theory for each network, (network, points).

    Where the start scatters between networks, its effect to first order is taken off each network's value; it averages
    to zero, so the mean is exactly that of measured - theory, and its scatter the one that counts.
    """

    name: str
    sigma_w: np.ndarray
    layer: np.ndarray
    theory: np.ndarray
    difference: np.ndarray


def compare(samples: Sequence[xr.Dataset], told: Ensemble, sigma_w: Sequence[float]) -> list[Comparison]:
    """Comparisons of networks sampled at widths N/4, N/2, N and 2N with the theory of an ensemble."""
    by_width = [[*_layer_by_layer(one, told), _last_layer(one, told, sigma_w)] for one in samples]
    rows: list[Comparison] = []
    for quantities in zip(*by_width, strict=True):
        estimates = [Estimate.from_samples(quantity.difference) for quantity in quantities]
        shift = extrapolate(*estimates[2:])
        allowance = np.abs(remainder(extrapolate(*estimates[:2]), shift).value)
        last = quantities[-1]
        rows += [
            Comparison(
                case=samples[0].symmetry,
                quantity=last.name,
                sigma_w=float(last.sigma_w[i]),
                layer=int(last.layer[i]),
                theory=float(last.theory[i]),
                measured=float(last.theory[i] + shift.value[i]),
                standard_error=float(shift.standard_error[i]),
                allowance=float(allowance[i]),
                skewness=float(shift.skewness[i]),
            )
            for i in range(last.theory.size)
        ]
    return rows


def _layer_by_layer(samples: xr.Dataset, told: Ensemble) -> Iterator[_Quantity]:
    """c, d, Delta and the phase (the polar factor for O(k)) at every layer from 1 on, at the ensemble's sigma_w."""
    own = samples.sel(sigma_w=[samples.ensemble_sigma_w])
    depth = own.sizes["layer"] - 1
    layers = np.arange(1, depth + 1)
    at = np.full(depth, samples.ensemble_sigma_w)

    def quantity(name, theory, difference):
        return _Quantity(name, at, layers, theory[1:], difference[:, 1:])

    symmetry = told.symmetry
    c = order_parameters(own)[:, 0].mean(axis=-1)
    q = cross_block(own)[:, 0]
    sampled = Ensemble(samples.symmetry).symmetry
    # generic networks have no group element to keep
    frame = np.eye(sampled.capsule_dimension) if sampled.family == "generic" else polar_factor(q[:, :1], sampled)
    aligned = in_frame(q, frame)
    delta = overlap(aligned)
    theory, slope = _theory_with_slopes(told, depth, c[:, 0].mean(), delta[:, 0].mean())
    start = np.stack([c[:, 0], delta[:, 0]], axis=1)
    response = np.einsum("ns,qsl->qnl", start - start.mean(axis=0), slope)
    yield quantity("c", theory[0], c - theory[0] - response[0])
    yield quantity("Delta", theory[1], delta - theory[1] - response[1])

    d = own.d.values[:, 0].mean(axis=-1)
    following = told.sigma_w**2 * np.concatenate([np.full((len(c), 1), np.nan), c[:, :-1]], axis=1)
    yield quantity("d", following.mean(axis=0), d - following)
    del symmetry


def _theory_with_slopes(told: Ensemble, depth: int, c: float, delta: float) -> tuple[np.ndarray, np.ndarray]:
    """c and Delta at layers 0..L, (2, L+1), and their derivatives with respect to the start (c, Delta), (2, 2, L+1)."""
    step = 1e-4 * c
    run = told.trajectory(depth, c=c + step * np.array([0, 1, -1, 0, 0]), delta=delta + step * np.array([0, 0, 0, 1, -1]))
    values = np.stack([run.c.values, run.delta.values])  # (2, layer, start)
    slopes = np.stack([values[..., 1] - values[..., 2], values[..., 3] - values[..., 4]], axis=1) / (2.0 * step)
    return values[..., 0], slopes
