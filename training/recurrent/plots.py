"""Figures of the recurrent results. Every function draws on the `ax` it is given and returns it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from .vortices import winding_numbers

# what is drawn of a complex state, and how
FIELDS: dict[str, dict[str, Any]] = {
    "magnitude": {"cmap": "viridis", "vmin": 0.0, "vmax": 1.0},
    "phase": {"cmap": "twilight", "vmin": -np.pi, "vmax": np.pi},
    "vorticity": {"cmap": "coolwarm", "vmin": -1.0, "vmax": 1.0},
}


def field(state, kind: str, ax: Axes, *, periodic: bool = True) -> Axes:
    """|h|, arg h or the winding numbers of one complex state (rows, columns), as in Figures 12 and 13.

    Raises
    ------
    ValueError
        For another kind.
    """
    if kind not in FIELDS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, FIELDS))}, got {kind!r}")
    ax.imshow(_values(state, kind, periodic), origin="lower", interpolation="nearest", **FIELDS[kind])
    ax.set_xticks([])
    ax.set_yticks([])
    return ax


def filmstrip(states, steps: Sequence[int], *, periodic: bool = True) -> Figure:
    """Magnitude, phase and vorticity (rows) of complex states (steps, rows, columns) at some steps (columns)."""
    figure = Figure(figsize=(1.3 * len(steps) + 0.6, 4.2), layout="constrained")
    axes = figure.subplots(len(FIELDS), len(steps), squeeze=False)
    for row, kind in zip(axes, FIELDS, strict=True):
        for step, ax in zip(steps, row, strict=True):
            field(states[step], kind, ax, periodic=periodic)
        row[0].set_ylabel(kind)
    for step, ax in zip(steps, axes[0], strict=True):
        ax.set_title(f"step {step}", fontsize="small")
    return figure


def animation(states, *, periodic: bool = True, interval: int = 100) -> FuncAnimation:
    """The three fields of :func:`filmstrip` side by side, step after step, `interval` milliseconds each."""
    figure = Figure(figsize=(7.2, 2.7), layout="constrained")
    axes = figure.subplots(1, len(FIELDS))
    for kind, ax in zip(FIELDS, axes, strict=True):
        field(states[0], kind, ax, periodic=periodic).set_xlabel(kind)

    def draw(step: int):
        for kind, ax in zip(FIELDS, axes, strict=True):
            ax.images[0].set_data(_values(states[step], kind, periodic))
        axes[1].set_title(f"step {step}")
        return [ax.images[0] for ax in axes]

    return FuncAnimation(figure, draw, frames=len(states), interval=interval)


def vortex_counts(census: xr.Dataset, ax: Axes) -> Axes:
    """Vortices of both signs over time, from :func:`training.recurrent.vortices.census`."""
    for name in ("positive", "negative"):
        ax.plot(census.step, census[name], label=census[name].attrs["long_name"])
    ax.set_xlabel("step")
    ax.set_ylabel("vortices")
    ax.legend()
    return ax


def losses(result: xr.Dataset, ax: Axes, name: str = "test_loss") -> Axes:
    """Learning curves of all models, coloured by model.

    From :meth:`training.recurrent.Training.result` or :func:`training.recurrent.rows.by_model`.
    """
    labels = result.label.values.tolist()
    seen: set[str] = set()
    for label, curve in zip(labels, result[name].values, strict=True):
        ax.plot(result.step, curve, color=colour(label, labels), lw=0.8, label=None if label in seen else label)
        seen.add(label)
    ax.set_yscale("log")
    ax.set_xlabel(result.step.attrs["long_name"])
    ax.set_ylabel(result[name].attrs["long_name"])
    ax.legend(frameon=False, fontsize="small")
    return ax


def seeds(result: xr.Dataset, ax: Axes, name: str = "test_loss", *, chance: float | None = None) -> Axes:
    """The last value of every seed as a dot, model by model, and their mean and standard deviation, as in Figure 6.

    Parameters
    ----------
    result : of one task, from :func:`training.recurrent.selection.select`
    chance : value of a model without memory, drawn as a dotted line
    """
    values = result[name].isel(step=-1) if "step" in result[name].dims else result[name]
    labels = result.label.values.tolist()
    for place, label in enumerate(dict.fromkeys(labels)):
        own = values.values[result.label.values == label]
        color = colour(label, labels)
        ax.plot(np.full(own.size, place) + np.linspace(-0.12, 0.12, own.size), own, ".", color=color, alpha=0.6)
        spread = own.std(ddof=1) if own.size > 1 else 0.0
        ax.errorbar(place + 0.3, own.mean(), spread, fmt="o", color=color, capsize=2)
    ax.set_xticks(range(len(dict.fromkeys(labels))), list(dict.fromkeys(labels)), rotation=30, ha="right")
    if chance is not None:
        ax.axhline(chance, color="0.6", ls=":", lw=0.8)
    if "loss" in name:
        ax.set_yscale("log")
    ax.set_ylabel(values.attrs["long_name"])
    return ax


def versus_parameters(summary: xr.Dataset, ax: Axes) -> Axes:
    """Mean and standard deviation over seeds against the number of parameters, as in Figure 7.

    From :func:`training.recurrent.selection.summarise`; sizes of one kind are joined.
    """
    kinds = [kind_of(str(group)) for group in summary.group.values]
    families = ["O(k) RNN" if kind.startswith("O(") else kind for kind in kinds]
    for family in dict.fromkeys(families):
        some = summary.isel(group=[i for i, each in enumerate(families) if each == family]).sortby("parameters")
        ax.errorbar(
            some.parameters.values, some["mean"].values, some["std"].values, marker="o", ms=4, capsize=2, label=family
        )
    ax.set_xscale("log")
    ax.set_xlabel(summary.parameters.attrs["long_name"])
    ax.set_ylabel(summary["mean"].attrs["long_name"])
    ax.legend(frameon=False, fontsize="small")
    return ax


def kind_of(name: str) -> str:
    """A model's name without its size: ``"GRU"`` of ``"GRU 32"``, ``"GRU, b_z = 2"`` of ``"GRU 32, b_z = 2"``."""
    head, comma, rest = name.partition(",")
    return head.rpartition(" ")[0] + comma + rest


def colour(name: str, names: Sequence[str]) -> str:
    """The colour of a model among others."""
    return f"C{list(dict.fromkeys(names)).index(name)}"


def spectrum(result: xr.Dataset, ax: Axes, *, label: str = "") -> Axes:
    """Lyapunov exponents of all networks, from :func:`training.recurrent.autonomous.lyapunov_spectrum`."""
    for number, exponents in enumerate(result.exponent.values):
        ax.plot(np.arange(exponents.size), exponents, ".", ms=3, color="C0", label=label if number == 0 else None)
    ax.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    ax.set_xlabel("index")
    ax.set_ylabel(result.exponent.attrs["long_name"])
    return ax


def _values(state, kind: str, periodic: bool) -> np.ndarray:
    if kind == "magnitude":
        return np.abs(state)
    phase = np.angle(state)
    return phase if kind == "phase" else winding_numbers(phase, periodic=periodic)
