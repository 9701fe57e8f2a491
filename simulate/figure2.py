"""Figure 2 of the paper: the order parameter of sampled networks across the transition, beside the fixed point."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from meanfield import ConvergenceWarning, Ensemble, fixed_point
from meanfield.checks import real_array
from meanfield.plots import points

from .blocks import Progress
from .ensemble_statistics import ensemble_statistics

SIGMA_W = tuple(np.linspace(0.5, 2.5, 21).round(1).tolist())
LINE_POINTS = 401


def figure2(
    inputs,
    sigma_w: Sequence[float] | np.ndarray = SIGMA_W,
    symmetry: str = "U(1)",
    activation="tanh",
    *,
    width: int = 16,
    depth: int = 100,
    n_networks: int = 256,
    seed: int = 0,
    sampler: Literal["networks", "collective"] = "networks",
    device: str = "auto",
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """c of sampled networks at their last layer, and the fixed point c* of Eq. (8), against sigma_w.

    Width 16 and depth 100 are the paper's; it gives neither its grid nor the number of its networks, so these are ours.

    Parameters
    ----------
    inputs : array_like (inputs, features); c is that of the first one
    The others are those of :func:`simulate.ensemble_statistics`.

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w``: `c` with `c_se`, and the theory's `c_star`; `c_star_line` has ``sigma_w_line``, a finer grid,
        in its place.

    Raises
    ------
    ValueError
        As :func:`simulate.ensemble_statistics` does.
    """
    inputs = real_array("inputs", inputs)
    sampled = ensemble_statistics(
        Ensemble(symmetry, activation),
        inputs[:1] if inputs.ndim == 2 else inputs,
        sigma_w=sigma_w,
        width=width,
        depth=depth,
        n_networks=n_networks,
        seed=seed,
        sampler=sampler,
        device=device,
        executor=executor,
        progress=progress,
    )
    last = sampled[["c", "c_se"]].isel(layer=-1, input=0)
    at, label = sampled.sigma_w.values, {"long_name": "fixed point $c^*$ of Eq. (8)"}
    line = np.linspace(at.min(), at.max(), LINE_POINTS)
    theory = {"c_star": ("sigma_w", fixed_point(at, symmetry, activation).c, label)}
    with warnings.catch_warnings():  # of what has no fixed point at the caller's own sigma_w, the line before tells
        warnings.simplefilter("ignore", ConvergenceWarning)
        theory["c_star_line"] = ("sigma_w_line", fixed_point(line, symmetry, activation).c, label)
    return last.assign(theory).assign_coords(sigma_w_line=line).assign_attrs(depth=depth)


def plot_figure2(result: xr.Dataset, ax: Axes) -> Axes:
    """The fixed point as a line, sampled networks as points with their standard errors."""
    ax.plot(result.sigma_w_line, result.c_star_line, label=r"theory, $N = \infty$")
    label = f"$N = {result.width}$, $L = {result.depth}$, {result.n_networks} networks"
    points(result, "c", ax, color="C1", label=label)
    ax.set_ylabel(r"order parameter $c^*$")
    ax.set_title(str(result.symmetry))
    ax.legend()
    return ax
