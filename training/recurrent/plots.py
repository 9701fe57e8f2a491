"""Figures of the recurrent results. Every function draws on the `ax` it is given and returns it."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from matplotlib.colors import to_hex, to_rgb
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield.plots import plain_log_axis

from .copy_task import BLANK, GO, TOKENS
from .rows import last
from .vortices import winding_numbers

# one color of each family of models in all figures, as `training.plots.COLOURS` of symmetries
FAMILIES = {
    "RNN": "#CC79A7",
    "GRU": "#555555",
    "U(1) RNN": "#0072B2",
    "U(1) GRU": "#56B4E9",
    "O(k) RNN": "#009E73",
    "generic(k) RNN": "#D55E00",
    "generic(k) GRU": "#E69F00",
    "grid RNN": "#000000",
}
# what tells apart models of one family in one figure: lines, markers, and how much of the color is left
AMONG_FAMILY = (("-", "o", 1.0), ("--", "s", 0.7), (":", "^", 0.5))
LEAST = 1e-7  # Lyapunov exponents below it are drawn there

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
    """Magnitude, phase and vorticity (rows) of complex states (steps, rows, columns) at some steps (columns).

    Raises
    ------
    ValueError
        For no steps, or one that the states do not have.
    """
    if not len(steps) or not all(0 <= step < len(states) for step in steps):
        raise ValueError(f"steps must be one or more from 0 to {len(states) - 1}, got {list(steps)}")
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
    axes[1].set_title("step 0")
    figure.draw_without_rendering()  # a film's first frame is drawn before its layout is made

    def draw(step: int):
        for kind, ax in zip(FIELDS, axes, strict=True):
            ax.images[0].set_data(_values(states[step], kind, periodic))
        axes[1].set_title(f"step {step}")
        return [ax.images[0] for ax in axes]

    return FuncAnimation(figure, draw, frames=len(states), interval=interval)


def losses(result: xr.Dataset, ax: Axes, name: str = "test_loss") -> Axes:
    """Learning curves of all models, of losses or accuracies, a color and line style for each model.

    From :meth:`training.recurrent.Training.result` or :func:`training.recurrent.rows.by_model`.
    """
    labels = result.label.values.tolist()
    seen: set[str] = set()
    for label, curve in zip(labels, result[name].values, strict=True):
        style = look(label, labels) | {"marker": ""}
        ax.plot(result.step, curve, **style, lw=0.8, label=None if label in seen else label)
        seen.add(label)
    if "loss" in name:
        plain_log_axis(ax)
    ax.xaxis.set_major_locator(MaxNLocator(5))  # numbers of batches are long
    ax.set_xlabel(result.step.attrs["long_name"])
    ax.set_ylabel(_named(result[name]))
    ax.legend(frameon=False, fontsize="small")
    return ax


def seeds(result: xr.Dataset, ax: Axes, name: str = "test_loss", *, chance: float | None = None) -> Axes:
    """The last value of every seed as a dot, model by model, and their mean and standard deviation, as in Figure 6.

    Of losses, which are drawn on a logarithmic axis, those of the logarithm: the geometric mean, and a factor.

    Parameters
    ----------
    result : of one task, from :func:`training.recurrent.selection.select`
    chance : value of a model without memory, or of guessing, drawn as a dotted line
    """
    values = last(result, name)
    labels, logarithmic = result.label.values.tolist(), "loss" in name
    for place, label in enumerate(dict.fromkeys(labels)):
        own = values.values[result.label.values == label]
        style = look(label, labels) | {"ls": ""}
        beside = style | {"marker": ".", "alpha": 0.6}
        ax.plot(np.full(own.size, place) + np.linspace(-0.12, 0.12, own.size), own, **beside)
        drawn = np.log(own) if logarithmic else own
        ends = drawn.mean() + (drawn.std(ddof=1) if own.size > 1 else 0.0) * np.array([-1.0, 0.0, 1.0])
        low, mean, high = np.exp(ends) if logarithmic else ends
        ax.errorbar(place + 0.3, mean, [[mean - low], [high - mean]], **style, capsize=2)
    ax.set_xticks(range(len(dict.fromkeys(labels))), list(dict.fromkeys(labels)), rotation=30, ha="right")
    meaning = "mean ± SD" + (" of the logarithm" if logarithmic else "")
    handles: dict[str, Any] = {meaning: ax.errorbar([], [], [], fmt="o", ms=4, capsize=2, color="0.4")}
    if chance is not None:
        handles[_chance(name)] = ax.axhline(chance, color="0.6", ls=":", lw=0.8)
    # above the axes and a title: inside, seeds may be anywhere
    above: dict[str, Any] = {"loc": "lower center", "bbox_to_anchor": (0.5, 1.08), "ncols": 2}
    ax.legend(handles.values(), handles, frameon=False, fontsize="small", **above)
    if logarithmic:
        plain_log_axis(ax)
    ax.set_ylabel(_named(result[name]))
    return ax


def versus_rate(result: xr.Dataset, ax: Axes, name: str = "test_loss", *, chance: float | None = None) -> Axes:
    """The last value of every seed at every learning rate that was tried as a dot, and their means, model by model.

    Models stand side by side, each a little off the rate.

    Parameters
    ----------
    result : of one task, from :func:`training.recurrent.rows.by_model`
    chance : value of a model without memory, or of guessing, drawn as a dotted line
    """
    values = last(result, name).values
    labels, rates = result.label.values.tolist(), result.learning_rate.values
    models = list(dict.fromkeys(labels))
    for number, model in enumerate(models):
        own, beside = result.label.values == model, 1.03 ** (2 * number + 1 - len(models))
        style, tried = look(model, labels), np.unique(rates[own])
        ax.plot(beside * rates[own], values[own], ".", color=style["color"], alpha=0.6)
        ax.plot(beside * tried, [values[own & (rates == rate)].mean() for rate in tried], **style, label=model)
    ax.set_xscale("log")
    ax.set_xticks(np.unique(rates), [f"{rate:g}" for rate in np.unique(rates)])
    ax.minorticks_off()
    if chance is not None:
        ax.axhline(chance, color="0.6", ls=":", lw=0.8, label=_chance(name))
    if "loss" in name:
        plain_log_axis(ax)
    ax.set_xlabel("learning rate")
    ax.set_ylabel(_named(result[name]))
    ax.legend(frameon=False, fontsize="small")
    return ax


def copy_example(inputs, targets, ax: Axes) -> Axes:
    """One example of the copy task, from :meth:`training.recurrent.CopyTask.tokens`: a token a step, blanks white."""
    rows = np.stack([np.asarray(inputs), np.asarray(targets)])
    shown = np.ma.masked_equal(rows, BLANK)
    ax.imshow(shown, cmap="tab10", vmin=-0.5, vmax=TOKENS - 0.5, aspect="auto", interpolation="nearest", alpha=0.6)
    for row, step in zip(*np.nonzero(rows != BLANK), strict=True):
        text = "go" if rows[row, step] == GO else str(rows[row, step])
        ax.text(step, row, text, ha="center", va="center", fontsize="small")
    ax.set_yticks([0, 1], ["input $x^t$", "target $y^t$"])
    ax.axhline(0.5, color="0.8", lw=0.8)
    ax.set_xlabel("step $t$")
    return ax


def image(pixels, order, ax: Axes) -> Axes:
    """An image put together again from its pixels in the order in which a task reads them; square, grey."""
    return _square(np.asarray(pixels), np.asarray(order), ax, "gray_r")


def reading_order(order, ax: Axes) -> Axes:
    """At each pixel the step at which it is read, as a colour."""
    order = np.asarray(order)
    ax = _square(np.arange(order.size), order, ax, "viridis")
    bar = ax.figure.colorbar(ax.images[0], ax=ax, fraction=0.046)
    bar.set_label("step $t$")
    return ax


def pixel_sequence(pixels, ax: Axes, *, label: str = "") -> Axes:
    """What a model sees: one number in [0, 1] at each step."""
    pixels = np.ravel(pixels)
    ax.step(np.arange(pixels.size), pixels, where="mid", lw=0.9, label=label)
    ax.set_xlabel("step $t$")
    ax.set_ylabel("pixel $x^t$")
    return ax


def versus_parameters(summary: xr.Dataset, ax: Axes) -> Axes:
    """Mean and standard deviation over seeds against the number of parameters, as in Figure 7.

    From :func:`training.recurrent.selection.summarise`; sizes of one kind are joined.
    """
    families = [family_of(str(group)) for group in summary.group.values]
    for family in dict.fromkeys(families):
        some = summary.isel(group=[i for i, each in enumerate(families) if each == family]).sortby("parameters")
        style: dict[str, Any] = {"marker": "o", "ms": 4, "capsize": 2, "label": family, "color": FAMILIES[family]}
        ax.errorbar(some.parameters.values, some["mean"].values, some["std"].values, **style)
    if summary.parameters.max() > 2 * summary.parameters.min():  # else its tick labels overlap
        ax.set_xscale("log")
    ax.set_xlabel(summary.parameters.attrs["long_name"])
    ax.set_ylabel(summary["mean"].attrs["long_name"])
    ax.legend(frameon=False, fontsize="small")
    return ax


def family_of(name: str) -> str:
    """That of :data:`FAMILIES` which a model is of, by its name: all O(k) are one, and so are all generic(k)."""
    words = name.partition(",")[0].split()
    kind = " ".join(words[: 1 + max(words.index(cell) for cell in ("RNN", "GRU") if cell in words)])
    return re.sub(r"^(O|generic)\(\d+\)", r"\1(k)", kind)


def look(name: str, names: Sequence[str]) -> dict[str, Any]:
    """Color, line style and marker of a model in a figure: the color is its family's own in every figure.

    Others of its family which the figure shows before it have another style, and a paler color.
    """
    before = list(dict.fromkeys(each for each in names if family_of(each) == family_of(name))).index(name)
    style, marker, strength = AMONG_FAMILY[before % len(AMONG_FAMILY)]
    red, green, blue = (1.0 - strength * (1.0 - part) for part in to_rgb(FAMILIES[family_of(name)]))
    return {"color": to_hex((red, green, blue)), "ls": style, "marker": marker}


def spectrum(result: xr.Dataset, ax: Axes, *, label: str = "") -> Axes:
    """Lyapunov exponents of all networks, from :func:`training.recurrent.autonomous.lyapunov_spectrum`."""
    for number, exponents in enumerate(result.exponent.values):
        ax.plot(np.arange(exponents.size), exponents, ".", ms=3, color="C0", label=label if number == 0 else None)
    ax.axhline(0.0, color="0.7", lw=0.8, zorder=0)
    ax.set_xlabel("index")
    ax.set_ylabel(result.exponent.attrs["long_name"])
    return ax


def smallest_exponents(result: xr.Dataset, ax: Axes, *, most: int = 12) -> Axes:
    """The sizes of each network's Lyapunov exponents from the smallest on, a line for each network.

    Those that a symmetry holds at zero lie orders of magnitude below the others; as many are predicted as are left of
    the dotted lines, from :func:`training.recurrent.autonomous.lyapunov_spectrum`.
    """
    sizes = np.sort(np.abs(result.exponent.values), axis=1)[:, :most]
    for network in np.maximum(sizes, LEAST):
        ax.plot(np.arange(1, network.size + 1), network, ".-", lw=0.6, ms=4, color="C0", alpha=0.7)
    for neutral in np.unique(result.neutral.values):
        ax.axvline(neutral + 0.5, color="0.4", ls=":", lw=1.0)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_yscale("log")
    ax.set_xlabel("place in order of size")
    ax.set_ylabel(r"$|\lambda|$ per step")
    return ax


def overlaps(
    result: xr.Dataset, ax: Axes, *, expected: float | None = None, label: str = "", color: str = "C0"
) -> Axes:
    """Mean square overlap of a state with itself some steps later, over networks with standard errors.

    From :func:`training.recurrent.autonomous.autocorrelation`; dashed: `expected`.
    """
    square, networks = result.square, result.sizes["network"]
    error = square.values.std(0, ddof=1) / np.sqrt(networks) if networks > 1 else None
    ax.errorbar(result.lag.values, square.values.mean(0), error, fmt="o", ms=3.5, capsize=2, color=color, label=label)
    if expected is not None:
        ax.axhline(expected, color=color, ls="--", lw=0.8)
    ax.set_yscale("log")
    ax.set_xlabel(result.lag.attrs["long_name"])
    ax.set_ylabel(square.attrs["long_name"])
    return ax


def sizes_in_silence(capsules: Mapping[str, Any], ax: Axes) -> Axes:
    """Mean squared length of capsules without input against the step, a line for each entry.

    Parameters
    ----------
    capsules : states (batch, steps, D, N) by name, as :meth:`training.recurrent.Recurrent.capsules` gives them
    """
    for name, states in capsules.items():
        states = np.asarray(states)
        size = np.square(states).sum(-2).mean((0, 2))
        ax.loglog(np.arange(1, size.size + 1), size, label=name)
    ax.set_xlabel("steps without input $t$")
    ax.set_ylabel("order parameter $c^t$")
    ax.legend(frameon=False, fontsize="small")
    return ax


def relative_phase(first, second, ax: Axes, *, label: str = "", color: str = "C0") -> Axes:
    """Phase of the overlap sum_i conj(z_i) z_i' between pairs of complex states at every step.

    Parameters
    ----------
    first, second : states (pairs, steps, 2, N), as :meth:`training.recurrent.Recurrent.capsules` gives them
    """
    z, other = (np.asarray(states)[:, :, 0] + 1j * np.asarray(states)[:, :, 1] for states in (first, second))
    for number, phase in enumerate(np.angle((z.conj() * other).sum(-1))):
        name = label if number == 0 else None
        ax.plot(np.arange(1, phase.size + 1), phase, ".", ms=3, color=color, label=name)
    ax.set_xlabel("step $t$")
    ax.set_ylabel(r"relative phase $\varphi^t$ [rad]")
    return ax


def _chance(name: str) -> str:
    """What the dotted line of a quantity is."""
    return "without memory" if "loss" in name else "guessing"


def _named(values: xr.DataArray) -> str:
    """For an axis: cross-entropies are natural logarithms."""
    return values.attrs["long_name"] + (" [nats]" if "loss" in str(values.name) else "")


def _square(pixels: np.ndarray, order: np.ndarray, ax: Axes, cmap: str) -> Axes:
    picture = np.empty(order.size)
    picture[order] = pixels.ravel()
    side = math.isqrt(order.size)
    ax.imshow(picture.reshape(side, side), cmap=cmap, interpolation="nearest")
    ax.set_axis_off()
    return ax


def _values(state, kind: str, periodic: bool) -> np.ndarray:
    if kind == "magnitude":
        return np.abs(state)
    phase = np.angle(state)
    return phase if kind == "phase" else winding_numbers(phase, periodic=periodic)
