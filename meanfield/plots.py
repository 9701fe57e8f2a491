"""Figures of the theory. Every function but `overview` draws on the `ax` that it is given, and returns it."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from cycler import cycler
from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator, NullFormatter

from .checks import one_dimensional, real_number, shortest
from .fixed_points import fixed_point
from .maps import length_map
from .phase_diagram import LONG_NAMES
from .symmetry import Symmetry
from .trajectory import trajectory

SIGMA_LABEL = r"weight scale $\sigma_w$"
LAYER_LABEL = r"layer $l$"

# one look for all figures: ``plt.style.use(meanfield.plots.STYLE)``. The colours are Okabe and Ito's, told apart by
# colour-blind readers too.
STYLE = {
    "axes.prop_cycle": cycler(color=["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]),
    "axes.spines.right": False,
    "axes.spines.top": False,
    "axes.titlesize": "medium",
    "figure.constrained_layout.use": True,
    "figure.dpi": 90,
    "figure.figsize": (5.2, 3.6),
    "legend.fontsize": "small",
    "legend.frameon": False,
    "lines.linewidth": 1.5,
    "lines.markersize": 4.5,
}


def phase_curve(diagram: xr.Dataset, quantity: str, ax: Axes, log: bool = False) -> Axes:
    """One quantity of a phase diagram against sigma_w, a line for each symmetry. Infinite and missing points are gaps.

    Parameters
    ----------
    diagram : as :func:`meanfield.phase_diagram` returns it, of at least two sigma_w
    quantity : name of one of its variables but `phase`, `status` and `converged`, such as ``"c_star"``
    ax : to draw on
    log : whether the y axis is logarithmic

    Raises
    ------
    ValueError
        If the diagram has no such quantity, or a single sigma_w.
    """
    if diagram.sizes.get("sigma_w", 1) < 2:
        raise ValueError("diagram must have a dimension sigma_w of at least two, got a single one")
    if quantity not in LONG_NAMES or quantity not in diagram:
        raise ValueError(f"quantity must be one of {', '.join(map(repr, LONG_NAMES))}, got {quantity!r}")
    if "symmetry" not in diagram.coords:
        diagram = diagram.assign_coords(symmetry=diagram.attrs["symmetry"])
    values = diagram[quantity]
    rows = values if "symmetry" in values.dims else values.expand_dims("symmetry")
    for row in rows.transpose("symmetry", "sigma_w"):
        y = np.where(np.isfinite(row), row, np.nan)
        ax.plot(row.sigma_w, y, label=str(row.symmetry.item()))
    if log:
        plain_log_axis(ax)
    ax.set_xlabel(SIGMA_LABEL)
    ax.set_ylabel(LONG_NAMES[quantity])
    ax.legend(frameon=False)
    return ax


def points(means: xr.Dataset, quantity: str, ax: Axes, label: str | None = None, **marker) -> Axes:
    """Measured values with error bars: means[quantity] and its standard error means[quantity + "_se"], over the one
    dimension they have (others must have length one). Theory goes beside them as lines.

    Parameters
    ----------
    means : as :func:`simulate.ensemble_statistics` or :func:`simulate.summary` returns it, along one dimension
    quantity : name of the mean
    ax : to draw on
    label : for the legend, which is left to the caller
    marker : handed to `Axes.errorbar`

    Raises
    ------
    ValueError
        If the dataset has no such quantity, or no standard error of it, or it varies over more than one dimension.
    """
    for name in (quantity, f"{quantity}_se"):
        if name not in means:
            raise ValueError(f"means must have {quantity!r} and '{quantity}_se', got {', '.join(map(str, means))}")
    values = means[quantity].squeeze()
    if values.ndim != 1:
        raise ValueError(f"quantity must vary over one dimension here, {quantity!r} does over {values.dims}")
    (dim,) = values.dims
    style: dict[str, Any] = {"fmt": "o", "mfc": "white", "lw": 1.0, "zorder": 3} | marker
    ax.errorbar(values[dim], values, means[f"{quantity}_se"].squeeze(), label=label, **style)
    ax.set_xlabel({"sigma_w": SIGMA_LABEL, "layer": LAYER_LABEL}.get(str(dim), str(dim)))
    return ax


def plain_log_axis(ax: Axes) -> Axes:
    """A logarithmic y axis with numbers such as 0.2 in place of 2 x 10^-1; within two decades at 2 and 5 as well,
    within one also at 3 and 7.

    To be called once all is drawn and the limits are set.

    Parameters
    ----------
    ax : whose y axis is changed
    """
    ax.set_yscale("log")
    low, high = ax.get_ylim()
    ranges = ((10.0, (1.0, 2.0, 3.0, 5.0, 7.0)), (100.0, (1.0, 2.0, 5.0)), (np.inf, (1.0,)))
    ax.yaxis.set_major_locator(LogLocator(subs=next(subs for ratio, subs in ranges if high < ratio * low)))
    ax.yaxis.set_major_formatter(lambda value, _: f"{value:g}")
    ax.yaxis.set_minor_formatter(NullFormatter())
    return ax


def length_curve(
    sigma_w: float,
    ax: Axes,
    c=(0.05, 1.0),
    layers: int = 12,
    symmetry: str | Symmetry = "U(1)",
    activation="tanh",
) -> Axes:
    """The length map c -> c', the diagonal, and the staircases of inputs that start at each `c` through the layers.

    The map crosses the diagonal at the fixed points; below the transition at c = 0 only.

    Parameters
    ----------
    sigma_w : weight scale, >= 0
    ax : to draw on
    c : order parameter at layer 0, > 0, or a sequence of them
    layers : steps of each staircase, >= 0
    symmetry, activation : as in :func:`meanfield.trajectory`

    Raises
    ------
    ValueError
        For a bad argument.
    """
    start = one_dimensional("c", c, minimum=0.0, strict=True)
    sigma_w = real_number("sigma_w", sigma_w, minimum=0.0)
    paths = trajectory(layers, sigma_w, c=start, symmetry=symmetry, activation=activation).c.values
    end = max(1.0, paths.max())
    grid = np.linspace(0.0, end, 201)
    ax.plot(grid, grid, color="0.7", lw=1)
    ax.plot(
        grid, length_map(grid, sigma_w, symmetry, activation), label=rf"$c \to c'$, $\sigma_w = {shortest(sigma_w)}$"
    )
    for path in paths.T:
        _staircase(path, ax)
    ax.set_xlabel(r"order parameter $c^l$")
    ax.set_ylabel(r"$c^{l+1}$")
    ax.set_xlim(0, end)
    ax.set_ylim(0, end)
    ax.set_aspect("equal")
    ax.legend(frameon=False)
    return ax


def _staircase(path: np.ndarray, ax: Axes) -> None:
    """Up to the map and across to the diagonal, layer by layer."""
    ax.plot(np.repeat(path, 2)[:-1], np.concatenate([[0.0], np.repeat(path[1:], 2)]), lw=0.8, color="C1")


def cobweb(
    sigma_w: float,
    ax: Axes,
    rho: float = 0.9,
    layers: int = 12,
    symmetry: str | Symmetry = "U(1)",
    activation="tanh",
) -> Axes:
    """The correlation map rho -> rho' at c = c*, the diagonal, and the staircase of a pair of inputs through the
    layers.

    The map lies below the diagonal everywhere in (0, 1): there is no fixed point but rho = 0 and rho = 1. It is odd:
    for rho < 0 the axes begin at -1.

    Parameters
    ----------
    sigma_w : weight scale above the transition
    ax : to draw on
    rho : overlap Delta/c* of the pair at layer 0, in [-1, 1]
    layers : steps of the staircase, >= 0
    symmetry, activation : as in :func:`meanfield.trajectory`

    Raises
    ------
    ValueError
        For a bad argument; where c* = 0.
    """
    sigma_w, rho = real_number("sigma_w", sigma_w, minimum=0.0), real_number("rho", rho)
    if abs(rho) > 1.0:
        raise ValueError(f"rho must be in [-1, 1], got {rho:.6g}")
    c = float(fixed_point(sigma_w, symmetry, activation).c)
    if c <= 0.0:
        raise ValueError(f"sigma_w must be above the transition for a cobweb at c* > 0, got {shortest(sigma_w)}")
    start = -1.0 if rho < 0.0 else 0.0
    grid = np.linspace(start, 1.0, 201)
    one_layer = trajectory(1, sigma_w, c=c, delta=c * grid, symmetry=symmetry, activation=activation)
    path = trajectory(layers, sigma_w, c=c, delta=c * rho, symmetry=symmetry, activation=activation).rho.values
    ax.plot(grid, grid, color="0.7", lw=1)
    ax.plot(grid, one_layer.rho.values[1], label=rf"$\rho \to \rho'$, $\sigma_w = {shortest(sigma_w)}$")
    _staircase(path, ax)
    ax.set_xlabel(r"overlap $\rho^l = \Delta^l/c^*$")
    ax.set_ylabel(r"$\rho^{l+1}$")
    ax.set_xlim(start, 1)
    ax.set_ylim(start, 1)
    ax.set_aspect("equal")
    ax.legend(frameon=False)
    return ax


def decay(run: xr.Dataset, quantity: str, ax: Axes, label: str | None = None, **line) -> Axes:
    """A quantity of a trajectory against the layer: ``"c"``, ``"delta"``, ``"rho"``, ``"one_minus_rho"`` or ``"phi"``.

    Parameters
    ----------
    run : as :func:`meanfield.trajectory` returns it; each entry of its other dimensions is a line
    quantity : one of those names; the trajectory must have it
    ax : to draw on
    label : for the legend, which is drawn with it
    line : handed to `Axes.plot`

    Raises
    ------
    ValueError
        If the trajectory has no such quantity.
    """
    labels = {
        "c": r"order parameter $c^l$",
        "delta": r"covariance $\Delta^l$",
        "rho": r"overlap $\rho^l = \Delta^l/c^l$",
        "one_minus_rho": r"$1 - \rho^l$",
        "phi": r"phase $\varphi^l$ [rad]",
    }
    if quantity not in labels or quantity not in run:
        raise ValueError(f"quantity must be one of {', '.join(map(repr, labels))} in the trajectory, got {quantity!r}")
    ax.plot(run.layer, run[quantity].values.reshape(run.sizes["layer"], -1), label=label, **line)
    ax.set_xlabel(LAYER_LABEL)
    ax.set_ylabel(labels[quantity])
    if label:
        ax.legend(frameon=False)
    return ax


def overview(diagram: xr.Dataset):
    """Order parameter, depth scales and Jacobian of a phase diagram in one figure; returns the Figure.

    Parameters
    ----------
    diagram : as for :func:`phase_curve`
    """
    figure, axes = plt.subplots(1, 3, figsize=(12.5, 3.6), layout="constrained")
    phase_curve(diagram, "c_star", axes[0])
    phase_curve(diagram, "xi_delta", axes[1], log=True)
    phase_curve(diagram, "chi_jacobian", axes[2])
    axes[2].axhline(1.0, color="0.7", lw=1, zorder=0)
    return figure
