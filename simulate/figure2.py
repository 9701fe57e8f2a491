"""Figure 2 of the paper: the order parameter of sampled networks across the transition, beside the theory's."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Literal

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from meanfield import ConvergenceWarning, Ensemble, fluctuations
from meanfield.checks import real_array
from meanfield.plots import points

from .blocks import Progress
from .ensemble_statistics import ensemble_statistics

SIGMA_W = tuple(np.linspace(0.5, 2.5, 21).round(1).tolist())
LINE_POINTS = 401
LONG_NAMES = {
    "c_star": "fixed point $c^*$ of Eq. (8)",
    "c_width": "mean of $c$ among networks of this width, to order $1/N$",
}


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
    """c of sampled networks at their last layer against sigma_w, beside c* of Eq. (8) and its correction of order 1/N.

    Width 16 and depth 100 are the paper's; it gives neither its grid nor the number of its networks, so these are ours.

    Parameters
    ----------
    inputs : array_like (inputs, features); c is that of the first one
    sigma_w : weight scales, the points of the figure
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`
    width, depth, n_networks, seed, sampler, device, executor, progress : as in :func:`simulate.ensemble_statistics`

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w``: `c` with `c_se`, and the theory's `c_star` and `c_width`, the mean of c among networks of this
        width to order 1/N, NaN where the width is too small for that (`wide` of :func:`meanfield.fluctuations`).
        `c_star_line` and `c_width_line` have ``sigma_w_line``, a finer grid, in its place.

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
    at = sampled.sigma_w.values
    line = np.linspace(at.min(), at.max(), LINE_POINTS)
    theory = _theory(fluctuations(width, at, symmetry, activation), "")
    with warnings.catch_warnings():  # of what has no fixed point at the caller's own sigma_w, the line before tells
        warnings.simplefilter("ignore", ConvergenceWarning)
        theory |= _theory(fluctuations(width, line, symmetry, activation), "_line")
    return last.assign(theory).assign_coords(sigma_w_line=line).assign_attrs(depth=depth)


def _theory(found: xr.Dataset, ending: str) -> dict[str, tuple]:
    """c* and the mean c at the networks' width, over sigma_w or the line's."""
    values = {"c_star": found.c, "c_width": (found.c + found.mean_shift).where(found.wide)}
    return {
        f"{name}{ending}": (f"sigma_w{ending}", one.values, {"long_name": LONG_NAMES[name]})
        for name, one in values.items()
    }


def plot_figure2(result: xr.Dataset, ax: Axes) -> Axes:
    """Theory as lines, dashed for the networks' own width where order 1/N tells it; networks as points with errors."""
    ax.plot(result.sigma_w_line, result.c_star_line, label=r"theory, $N = \infty$")
    if result.c_width_line.notnull().any():
        ax.plot(result.sigma_w_line, result.c_width_line, "--", color="C2", label=f"theory, $N = {result.width}$")
    label = f"$N = {result.width}$, $L = {result.depth}$, {result.n_networks} networks"
    points(result, "c", ax, color="C1", label=label)
    ax.set_ylabel(r"order parameter $c^*$")
    ax.set_title(str(result.symmetry))
    ax.legend()
    return ax
