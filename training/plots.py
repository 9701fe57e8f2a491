"""The paper's trained figures from their tables. Every function draws on an `ax` that it is given and returns it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from meanfield import as_symmetry, depth_scales, fixed_point, jacobian_trajectory
from meanfield.plots import LAYER_LABEL, SIGMA_LABEL

from .conventions import D0
from .criteria import at_switch, last, relative_gradient
from .rotation import reach
from .shape import Shape
from .table import frame

COLOURS = {"U(1)": "#0072B2", "O(4)": "#009E73", "O(8)": "#CC79A7", "generic(2)": "#D55E00", "generic(4)": "#E69F00"}
# as `measure` normalises them: the first is a mean over all N D directions, the second a sum over the few of the orbit
QUANTITIES = {
    "jacobian_norm": "$|J|^2/(ND)$",
    "jacobian_protected": r"protected, $|J A z^0|^2/N$",
    "rank": "effective rank",
}


def plot_transition(result: xr.Dataset, ax: Axes, symmetries: Sequence[str]) -> Axes:
    """A panel of Figures 3, 10 and 11: test accuracy of some symmetries at the end, against sigma_w.

    On a second axis is the order parameter of the first of them at initialisation: as measured, Eq. (6), with standard
    errors, and the fixed point of Eq. (8).
    """
    _accuracy(result, ax, "sigma_w", symmetries, SIGMA_LABEL)
    rows = frame(result).query("symmetry == @symmetries[0]")
    c, error = (rows[rows.quantity == name].set_index("sigma_w").value for name in ("c", "c_se"))
    grid = np.linspace(c.index.min(), c.index.max(), 201)
    other = ax.twinx()
    other.plot(grid, fixed_point(grid, symmetries[0]).c, color="0.6", lw=1.0, label="$c^*$, Eq. (8)")
    other.errorbar(c.index, c, error, fmt="s", color="0.6", ms=3.0, label="$c$, Eq. (6)")
    other.set_ylabel("order parameter")
    other.set_ylim(0.0, 1.0)
    other.spines["right"].set_visible(True)  # its axis, in styles that draw none there
    handles = [*ax.get_lines()[::2], *other.get_legend_handles_labels()[0]]
    # above the axes: inside, either axis may have a line
    ax.legend(
        handles=handles,
        frameon=False,
        fontsize="small",
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=len(handles),
        columnspacing=1.0,
        handlelength=1.5,
    )
    return ax


def plot_epsilon(result: xr.Dataset, ax: Axes, symmetry: str) -> Axes:
    """Test accuracy of one symmetry at the end against sigma_w, for each of Adam's epsilons.

    Dotted, the sigma_w at which first gradients are as large as epsilon, by theory.
    """
    rows = last(frame(result).query("symmetry == @symmetry"), "accuracy")
    for color, (epsilon, own) in enumerate(rows.groupby("epsilon")):
        _means_and_seeds(own, "sigma_w", ax, color=f"C{color}", label=rf"$\epsilon = 10^{{{np.log10(epsilon):.0f}}}$")
        size = relative_gradient(own).groupby(own.sigma_w).first()
        crossing = np.interp(0.0, np.log(size), size.index, left=np.nan, right=np.nan)
        ax.axvline(crossing, color=f"C{color}", ls=":", lw=0.8)
    _label_accuracy(ax, SIGMA_LABEL)
    ax.set_title(symmetry, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_rates(result: xr.Dataset, ax: Axes, symmetry: str) -> Axes:
    """Test accuracy of one symmetry at the end against the learning rate, for each sigma_w.

    Dotted, for U(1), the learning rate at which one step can turn the output by half a turn, by theory.
    """
    rows = last(frame(result).query("symmetry == @symmetry"), "accuracy")
    for color, (sigma_w, own) in enumerate(rows.groupby("sigma_w")):
        _means_and_seeds(own, "learning_rate", ax, color=f"C{color}", label=rf"$\sigma_w = {sigma_w:g}$")
        if symmetry == "U(1)":
            shape = Shape(symmetry, own.width.iloc[0], own.depth.iloc[0], features=1)
            ax.axvline(np.pi / float(reach(shape, sigma_w, 1.0)), color=f"C{color}", ls=":", lw=0.8)
    ax.set_xscale("log")
    _label_accuracy(ax, "learning rate of Adam")
    ax.set_title(symmetry, fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_collapse(result: xr.Dataset, ax: Axes, symmetries: Sequence[str]) -> Axes:
    """Test accuracy of some symmetries at the end against sigma_w.

    Lines: the smaller learning rate throughout. Dotted, with crosses for seeds: the larger one until the switch.
    """
    rows = last(frame(result).query("symmetry in @symmetries"), "accuracy")
    for (symmetry, rate), own in rows.groupby(["symmetry", "learning_rate"], sort=False):
        style, marker, when = (":", "x", "first") if rate == rows.learning_rate.max() else ("-", "o", "throughout")
        label = f"{symmetry}, {rate:g} {when}"
        _means_and_seeds(own, "sigma_w", ax, marker, ls=style, color=COLOURS[symmetry], label=label)
    _label_accuracy(ax, SIGMA_LABEL)
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_jacobian(result: xr.Dataset, ax: Axes) -> Axes:
    """Test accuracy of every network at the end against its squared Jacobian at the switch.

    Circles: the smaller learning rate throughout. Crosses: the larger one until then.
    """
    networks = at_switch(frame(result))
    largest = networks.learning_rate.max()
    for (symmetry, rate), own in networks.groupby(["symmetry", "learning_rate"], sort=False):
        marker, label = ("x", None) if rate == largest else ("o", symmetry)
        ax.semilogx(own.jacobian, own.accuracy, marker, mfc="none", ms=5.0, color=COLOURS[symmetry], label=label)
    ax.plot([], [], "kx", ms=5.0, label="after large steps")
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel("$|J|^2$ per unit at the switch")
    ax.set_ylabel("test accuracy at the end")
    ax.legend(frameon=False, fontsize="small", loc="upper left")
    return ax


def plot_symmetric_start(result: xr.Dataset, ax: Axes, sigma_w: float, learning_rate: float) -> Axes:
    """The asymmetry of the hidden weights along training, for each share with which generic(2) layers begin.

    Dotted is 1/L: where theory has the phase of two inputs lost within the network's L layers.
    """
    rows = frame(result).query("sigma_w == @sigma_w and learning_rate == @learning_rate and symmetry == 'generic(2)'")
    rows = rows[(rows.quantity == "asymmetry") & (rows.value > 1e-12)]  # less is rounding
    for color, (share, own) in enumerate(rows.groupby("symmetric")):
        ax.loglog(own.step + 1, own.value, "o", mfc="none", ms=3.0, alpha=0.6, color=f"C{color}")
        mean = own.groupby("step").value.mean()
        ax.loglog(mean.index + 1, mean, color=f"C{color}", label=rf"begin with $\eta = {1.0 - share:.2g}$")
    ax.axhline(1.0 / rows.depth.iloc[0], color="0.6", ls=":", lw=0.8)
    ax.set_xlabel("1 + steps")
    ax.set_ylabel(r"asymmetry $\eta$ of the weights")
    ax.set_title(rf"generic(2), $\sigma_w = {sigma_w:g}$, learning rate {learning_rate:g}", fontsize="medium")
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_own_rate(result: xr.Dataset, ax: Axes, symmetries: Sequence[str]) -> Axes:
    """Test accuracy of some symmetries at the end against sigma_w, with the learning rate that is best on the mean.

    Next to each point is that rate. Thin, the accuracy at the largest rate of all.
    """
    rows = last(frame(result).query("symmetry in @symmetries"), "accuracy")
    for symmetry, own in rows.groupby("symmetry", sort=False):
        means = own.groupby(["sigma_w", "learning_rate"]).value.mean().unstack()
        best, largest = means.idxmax(axis=1), means.columns.max()
        color, style = COLOURS[symmetry], "--" if symmetry.startswith("generic") else "-"
        top = means.max(axis=1)
        ax.plot(top.index, top, style, color=color, label=f"{symmetry}, own rate")
        ax.plot(top.index, means[largest], style, color=color, lw=0.6, label=f"{symmetry}, {largest:g}")
        chosen = own[own.learning_rate == own.sigma_w.map(best)]
        ax.plot(chosen.sigma_w, chosen.value, "o", mfc="none", ms=4.0, color=color, alpha=0.8)
        shift = -0.08 if symmetry.startswith("generic") else 0.04
        for sigma_w, rate in best.items():
            at = sigma_w, top[sigma_w] + shift
            ax.annotate(f"{rate:g}", at, ha="center", fontsize="x-small", color=color)
    ax.margins(x=0.08)  # for the numbers at the ends
    _label_accuracy(ax, SIGMA_LABEL)
    ax.legend(frameon=False, fontsize="small")
    return ax


def plot_depth(result: xr.Dataset, ax: Axes) -> Axes:
    """Figure 4: test accuracy at the end against the number of layers; dotted, the depth scale xi_Delta in theory."""
    _accuracy(result, ax, "depth", list(COLOURS), "equivariant layers $L$")
    for symmetry, own in frame(result).groupby("symmetry", sort=False):
        xi = float(depth_scales(own.sigma_w.iloc[0], symmetry=symmetry).xi_delta)
        ax.axvline(xi, color=COLOURS[symmetry], ls=":", lw=0.8)
    ax.legend(frameon=False)
    return ax


def plot_along_training(result: xr.Dataset, ax: Axes, quantities: Sequence[str]) -> Axes:
    """A panel of Figure 5a: quantities against the step, geometric means over seeds, and every seed as a thin line.

    Triangles: the Jacobian at initialisation in theory, of infinitely wide networks. The protected component, of the
    direction A z^0 of a capsule's turn, is no part of |J|^2/(ND) as it is normalised, and may lie above it: that is a
    mean over all directions, most of which shrink.
    """
    rows = frame(result)
    for symmetry, own in rows.groupby("symmetry", sort=False):
        for style, quantity in zip(("-", ":"), quantities, strict=False):
            wide = own[own.quantity == quantity].pivot(index="step", columns="seed", values="value")
            label = f"{symmetry}, {QUANTITIES[quantity]}" if len(quantities) > 1 else symmetry
            mean = np.exp(np.log(wide).mean(axis=1))
            ax.plot(wide.index, mean, style, color=COLOURS[symmetry], label=label)
            ax.plot(wide.index, wide, style, color=COLOURS[symmetry], lw=0.5, alpha=0.5)
            if quantity.startswith("jacobian"):
                theory = _jacobian_at_first(own)[quantity.removeprefix("jacobian_")]
                ax.plot(wide.index[0], theory, "^", mfc="none", ms=7.0, color=COLOURS[symmetry])
    ax.set_yscale("log")
    ax.set_xlabel("step")
    jacobians = quantities[0].startswith("jacobian")
    ax.set_ylabel("squared Jacobian, per unit" if jacobians else QUANTITIES[quantities[0]])
    lines, labels = ax.get_legend_handles_labels()
    others = {"single seeds": Line2D([], [], color="0.4", lw=0.5)}
    if jacobians:
        others["theory at first, $N \\to \\infty$"] = Line2D([], [], marker="^", mfc="none", ms=7.0, ls="", color="0.4")
    # above the axes, as lines are everywhere within
    place: dict = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.0), "ncols": 3, "columnspacing": 1.0}
    ax.legend([*lines, *others.values()], [*labels, *others], frameon=False, fontsize="small", **place)
    return ax


def plot_rank_of_layers(result: xr.Dataset, ax: Axes) -> Axes:
    """Figure 5b: effective rank, Eq. (55), against the layer, before (thin) and after training; dotted, the floor k."""
    rows = frame(result)
    rows = rows[rows.quantity == "rank"]
    for symmetry, own in rows.groupby("symmetry", sort=False):
        for step, at in own.groupby("step"):
            mean, final = at.groupby("layer").value.mean(), step == own.step.max()
            label = symmetry if final else None
            ax.plot(mean.index, mean, color=COLOURS[symmetry], lw=1.5 if final else 0.5, label=label)
        group = as_symmetry(symmetry)
        if group.family != "generic":
            ax.axhline(group.capsule_dimension, color=COLOURS[symmetry], ls=":", lw=0.8)
    ax.set_yscale("log")
    ax.set_ylim(bottom=0.4)  # room for the legend below the lines, of which the lowest ends at 1
    ax.set_xlabel(LAYER_LABEL)
    ax.set_ylabel(QUANTITIES["rank"])
    ax.legend(frameon=False, loc="lower center", ncols=4, columnspacing=1.0)
    return ax


def _jacobian_at_first(rows: pd.DataFrame) -> xr.Dataset:
    """Of networks of one shape and sigma_w, by theory."""
    first = rows.iloc[0]
    return jacobian_trajectory(int(first.depth), first.sigma_w, D0, first.symmetry).isel(layer=-1)


def _accuracy(result: xr.Dataset, ax: Axes, axis: str, symmetries: Sequence[str], xlabel: str) -> None:
    """Means over seeds as lines (dashed: generic), each followed by its seeds as circles."""
    rows = last(frame(result), "accuracy")
    for symmetry, own in rows.groupby("symmetry", sort=False):
        if symmetry in symmetries:
            style = "--" if symmetry.startswith("generic") else "-"
            _means_and_seeds(own, axis, ax, ls=style, color=COLOURS[symmetry], label=symmetry)
    _label_accuracy(ax, xlabel)


def _means_and_seeds(rows: pd.DataFrame, axis: str, ax: Axes, marker: str = "o", **line) -> None:
    """Means over seeds as a line, and every seed as a marker of its colour."""
    mean = rows.groupby(axis).value.mean()
    ax.plot(mean.index, mean, **line)
    ax.plot(rows[axis], rows.value, marker, mfc="none", ms=4.0, color=line["color"], alpha=0.8)


def _label_accuracy(ax: Axes, xlabel: str) -> None:
    ax.set_ylim(0.0, 1.0)
    ax.set_xlabel(xlabel)
    ax.set_ylabel("test accuracy")
