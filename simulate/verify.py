"""Theory against sampled networks: solve, sample, compare, and say how sure the verdict is.

Two real images enter random networks; a group element turns the first one after the input layer, so that there is a
phase to follow. The theory starts from the Gram matrix measured at layer 0. All comparisons are of means over
independent networks.

Finite width. Means at width N differ from the theory by b_1/N + b_2/N^2 + ...: two widths N and 2N remove b_1, and the
widths N/4 and N/2 measure what is left, which is the only allowance made (`simulate.statistics`).
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np

from meanfield import Ensemble
from meanfield.checks import real_array, whole_number

from .blocks import Progress, derived_seed
from .compare import Comparison, Theory, compare, sampled_at
from .data import Images
from .samplers import function_of
from .sampling import plane_rotation
from .statistics import deviation_limit, false_alarm_rate
from .verify_full import Identity, compare_fluctuations, compare_inexact, compare_jacobians

SIGMA_W = (0.9, 1.0, 1.1, 1.3, 1.5, 2.0, 3.0)
DEPTH = 20
ANGLE = np.pi / 3
D_0 = 0.25  # starts c below c*, so that there is a transient to compare
WIDTH_RATIOS = (0.25, 0.5, 1.0, 2.0)
PROMISED_RATE = 1e-4  # false alarms of a whole run
NOMINAL_RATE = 1e-5  # what the limit is set for; the rest is for means that are not quite normal
SMALLEST_DIFFERENCE = 1e-3  # of the inputs' directions: float32 networks still tell 1 - rho from rounding
FEWEST_NETWORKS = 64  # below, means are too far from normal for the promise


@dataclass(frozen=True)
class Case:
    """One ensemble to verify, at widths N/4, N/2, N and 2N."""

    ensemble: Ensemble
    width: int

    def __post_init__(self) -> None:
        if not isinstance(self.ensemble, Ensemble):
            raise ValueError(f"ensemble must be a meanfield.Ensemble, got {self.ensemble!r}")
        if self.ensemble.symmetry.capsule_dimension < 2:
            raise ValueError(
                "ensemble must have capsules of at least two components, which have a phase to follow, "
                f"got {self.ensemble.symmetry}"
            )
        if self.ensemble.sigma_b or self.ensemble.asymmetry:
            raise ValueError(f"ensemble must have the exact symmetry, got {self.ensemble!r}")
        real_array("sigma_w", self.ensemble.sigma_w, minimum=0.0, strict=True)
        if whole_number("width", self.width, 4) % 4:
            raise ValueError(f"width must be a multiple of 4 (N/4 is one of the widths), got {self.width}")

    @property
    def widths(self) -> tuple[int, ...]:
        return tuple(int(self.width * ratio) for ratio in WIDTH_RATIOS)


CASES = (
    Case(Ensemble("U(1)", "tanh", 1.5), 64),
    Case(Ensemble("O(4)", "tanh", 1.5), 128),
    Case(Ensemble("generic(2)", "tanh", 1.5), 64),
)


@dataclass(frozen=True, repr=False)
class Verification:
    """The outcome of a run: all comparisons, and the limit in standard errors that each must keep."""

    comparisons: list[Comparison]
    limit: float
    false_alarm_rate: float
    n_networks: int
    cases: Sequence[Case]
    images: str
    identities: Sequence[Identity] = ()

    def of(self, case: Case) -> list[Comparison]:
        return [row for row in self.comparisons if row.case == str(case.ensemble.symmetry)]

    @property
    def failures(self) -> list[Comparison]:
        return [row for row in self.comparisons if not row.agrees(self.limit)]

    @property
    def passed(self) -> bool:
        return not self.failures and all(identity.holds for identity in self.identities)

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
    theory_of: Theory = lambda ensemble: ensemble,
    sampler: Literal["networks", "collective"] = "networks",
    full: bool = False,
    device: str = "auto",
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> Verification:
    """Compare theory and sampled networks, layer by layer and across sigma_w.

    Parameters
    ----------
    images : the first image and the next of its class are the two inputs
    n_networks : independent networks at each of the four widths of a case
    seed : int >= 0
    cases : ensembles of different symmetries, and widths; c, Delta and phi are followed at the ensemble's sigma_w
    sigma_w : > 0, where c at the last layer is compared, with c* where the theory has settled by then
    depth : layers
    theory_of : the ensemble whose theory the networks of an ensemble are compared with: the same one, unless a test
        wants to see a wrong theory fail
    sampler : ``"networks"`` draws every weight; ``"collective"`` only Gram matrices
    full : also compare Jacobians (explicit networks), the theory of order 1/N, and networks with biases and with
        weights that ignore the symmetry in part (`simulate.verify_full`)
    device, executor, progress : see :func:`simulate.sample_networks`

    Raises
    ------
    ValueError
        Naming the argument that is out of range.
    RuntimeError
        When sampling was stopped before it was finished.
    """
    sample = function_of(sampler)
    whole_number("n_networks", n_networks, FEWEST_NETWORKS)
    whole_number("seed", seed, 0)
    whole_number("depth", depth, 1)
    scales = real_array("sigma_w", sigma_w, minimum=0.0, strict=True)  # at 0 there is no scatter to compare with
    _check_cases(cases)
    inputs = _pair(images)
    comparisons: list[Comparison] = []
    identities: list[Identity] = []
    run: dict[str, Any] = {"device": device, "executor": executor, "progress": progress}
    for number, case in enumerate(cases):
        k = case.ensemble.symmetry.capsule_dimension
        samples = sampled_at(
            case.widths,
            sample,
            case.ensemble,
            inputs,
            depth=depth,
            n_networks=n_networks,
            seed=(seed, number),
            sigma_w=sorted({*scales.ravel().tolist(), case.ensemble.sigma_w}),
            d_0=D_0,
            group_elements=np.stack([plane_rotation(k, ANGLE), np.eye(k)]),
            **run,
        )
        comparisons += compare(samples, case.ensemble, theory_of)
        if full:
            more = (case.ensemble, case.widths, inputs, theory_of, n_networks)
            rows, exact = compare_jacobians(*more, seed=derived_seed(seed, number, len(samples)), **run)
            comparisons += rows + compare_fluctuations(*more, seed=derived_seed(seed, number, len(samples) + 1), **run)
            comparisons += compare_inexact(*more, seed=derived_seed(seed, number, len(samples) + 2), **run)
            identities += exact
    limit = deviation_limit(NOMINAL_RATE, len(comparisons), n_networks - 1)
    rate = false_alarm_rate(limit, np.array([row.skewness for row in comparisons]), n_networks - 1)
    return Verification(comparisons, limit, rate, n_networks, cases, images.name, identities)


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


def _pair(images: Images) -> np.ndarray:
    """The two inputs, which must differ: equal ones have an overlap without scatter."""
    which = pair_of_one_class(images)
    inputs = images.features(which)
    unit = inputs / np.linalg.norm(inputs, axis=1, keepdims=True).clip(min=np.finfo(np.float32).tiny)
    if np.linalg.norm(unit[0] - unit[1]) < SMALLEST_DIFFERENCE:
        raise ValueError(f"images must hold two of one class that differ by more than their size, got {which}")
    return inputs


def _check_cases(cases: Sequence[Case]) -> None:
    if not isinstance(cases, Sequence) or not cases or not all(isinstance(case, Case) for case in cases):
        raise ValueError(f"cases must be a sequence of one or more Case, got {cases!r}")
    names = [str(case.ensemble.symmetry) for case in cases]
    if len(set(names)) < len(names):
        raise ValueError(f"cases must be of different symmetries, which name them, got {', '.join(names)}")
