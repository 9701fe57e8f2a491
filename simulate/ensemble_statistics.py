"""Means and variances over an ensemble of any size, in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Literal

import numpy as np
import xarray as xr

from meanfield import Ensemble
from meanfield.checks import whole_number

from .blocks import BLOCK, Progress, run_blocks
from .memory import blocks_at_once
from .observables import averages, group_element, measurements
from .samplers import sampler_of
from .samples import Sampler
from .setup import Setup
from .streaming import Moments, merge

MOMENTS = 5 * BLOCK  # copies of a network's results that the moments of a block take


def ensemble_statistics(
    ensemble: Ensemble,
    inputs,
    *,
    width: int,
    depth: int,
    n_networks: int,
    sampler: Literal["networks", "collective"] = "networks",
    seed: int = 0,
    sigma_w=None,
    d_0=1.0,
    group_elements=None,
    dtype: str = "float32",
    device: str = "auto",
    tf32: bool = False,
    memory: float | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """c, d, Delta, phi and Gram matrices layer by layer: mean, variance and standard errors across networks.

    Networks are drawn in blocks and forgotten; 100,000 of them take no more memory than a hundred. On a CPU the
    result does not depend on how many blocks are computed at a time, or on the executor. A GPU may round another number
    of blocks differently, and above the transition rounding grows from layer to layer by a factor sqrt(chi_jacobian):
    deep networks are then others, of the same law.

    Parameters
    ----------
    ensemble : meanfield.Ensemble
    inputs : array_like (inputs, features); only their directions enter
    width : N, capsules in a layer
    depth : L, layers after the input layer
    n_networks : int >= 2
    sampler : ``"networks"`` or ``"collective"``
        Draw every weight, or only Gram matrices (:func:`simulate.sample_collective`, which also says from what width on
        that is faster), never with tf32.
    seed, sigma_w, d_0, group_elements, dtype, device, tf32, memory, executor, progress
        As for :func:`simulate.sample_networks`.

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w`` and ``layer``. Each quantity X comes with `X_se`, the standard error of its mean; and, the Gram
        matrix excepted, with `X_var`, its variance between networks, and `X_var_se`:

        - `gram` (..., row, column), `c` and `d` (..., input), Eq. (6) and (50);
        - between the first two inputs `overlap`, the component of C_12 (Eq. (10)) along its layer-0 direction, and
          `magnitude`, |C_12| of single networks; for U(1) also `turn`, the component across, and `drift`, the angle
          from a network's own C_12^0 to its C_12^l in radians, -pi to pi; for U(1) and O(k), k >= 2, `coherence`,
          tr(P_0^T P_l)/k of a network's own polar factors (for U(1) the cosine of `drift`), 1 where nothing is
          forgotten of the group element between the inputs, and to leading order in 1/N the exp(-(k-1) V/2) of a random
          walk whose angles have the variance V of :func:`meanfield.phase_diffusion`. The last two are NaN where C_12
          vanishes in any network.

        And of the mean C_12: `delta`, its size |E C_12| (O(k): the sum of the singular values of E Q; generic:
        |E tr Q|) with `delta_se`, and for U(1) `phi` with `phi_se`, NaN where C_12 vanishes. A size is positive even
        where the mean is lost in noise: trust `delta` where it is several times `delta_se`, and `overlap`, which has no
        such bias, everywhere. What they and `magnitude` differ by from Delta of infinite width, to order 1/N, is in
        :func:`meanfield.overlap_fluctuations`.

        Means and their standard errors are right for c as large and as small as float64 numbers can be; variances are
        inf, or 0, where they leave that range, as they do for c beyond about 1e154 and below 1e-162. Far below the
        transition c underflows in deep networks: below about 1e-308 it loses digits, and below 5e-324 it is 0, as C_12
        is then, so that `phi`, `drift` and `coherence` end in NaN.

    Raises
    ------
    ValueError
        Naming the argument that is out of range; for fewer than two networks.
    OverflowError
        As the samplers raise it, when c grows larger than float64 numbers can be.
    """
    whole_number("n_networks", n_networks, 2)
    setup = Setup.create(
        ensemble,
        inputs,
        width=width,
        depth=depth,
        seed=seed,
        sigma_w=sigma_w,
        d_0=d_0,
        group_elements=group_elements,
        dtype=dtype,
        device=device,
        tf32=tf32,
    )
    drawn = sampler_of(sampler, setup, n_networks)
    total = _Total()
    taken = run_blocks(
        _Reduction(drawn, n_networks),
        n_networks,
        total.add,
        at_once=blocks_at_once(
            drawn.block_bytes + MOMENTS * setup.result_bytes,
            memory,
            setup.device,
            drawn.advice,
            executor,
            n_networks,
        ),
        executor=executor,
        progress=progress,
    )
    attributes = {**setup.attributes, "sampler": sampler, "partial": int(taken < n_networks)}
    return averages(total.moments, ensemble.symmetry, _frame(setup), setup.coordinates, attributes)


@dataclass(frozen=True)
class _Reduction:
    """Blocks of a sampler, each reduced to the moments of its networks where it was computed."""

    sampler: Sampler
    n_networks: int

    def __call__(self, blocks: range) -> list[dict[str, Moments]]:
        gram, d = self.sampler(blocks)
        setup = self.sampler.setup
        reduced = []
        for position, block in enumerate(blocks):
            first = position * BLOCK
            wanted = slice(first, first + min(BLOCK, self.n_networks - block * BLOCK))
            values = measurements(gram[wanted], d[wanted], setup.symmetry, _frame(setup))
            reduced.append({name: Moments.of(value) for name, value in values.items()})
        return reduced


@dataclass
class _Total:
    """Block after block in order, so that rounding does not depend on how they were computed."""

    moments: Mapping[str, Moments] = field(default_factory=dict)

    def add(self, blocks: list[dict[str, Moments]]) -> None:
        total = self.moments
        for one in blocks:
            total = merge(total, one) if total else one
        self.moments = total


def _frame(setup: Setup) -> np.ndarray | None:
    """The group element that the first two inputs differ by at layer 0, in the mean over input layers."""
    if len(setup.directions) < 2:
        return None
    first, second = setup.directions[:2]
    identity = np.eye(setup.symmetry.capsule_dimension)
    g, h = (identity, identity) if setup.group_elements is None else setup.group_elements[:2]
    sign = -1.0 if first @ second < 0 else 1.0
    return group_element(sign * g @ h.T, setup.symmetry)
