"""Figures of a verification. Every function draws on the `ax` it is given and returns it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from meanfield import Ensemble, fixed_point, trajectory

from .compare import Comparison
from .verify import D_0, Case, Verification

_AT_DEPTH = ("c*", "c at depth")
_MARKERS = "os^Dv"


def overview(verification: Verification) -> Figure:
    """c, Delta and phi along the layers, c across sigma_w, and all deviations."""
    figure = Figure(figsize=(9.6, 9.2), layout="constrained")
    axes = figure.subplot_mosaic([["c", "delta"], ["phi", "sweep"], ["deviations", "deviations"]])
    layers(verification, ("c",), axes["c"]).set_ylabel(r"order parameter $c^l$")
    layers(verification, ("Delta", "Delta cos phi"), axes["delta"]).set_ylabel(r"covariance $\Delta^l$")
    phases(verification, axes["phi"])
    sweep(verification, axes["sweep"])
    deviations(verification, axes["deviations"])
    figure.suptitle(
        f"Mean-field theory (lines) and {verification.n_networks} sampled networks a width, extrapolated to infinite "
        f"width (points); inputs: {verification.images}",
        fontsize="medium",
    )
    return figure


def layers(verification: Verification, quantities: tuple[str, ...], ax: Axes) -> Axes:
    """Quantities along the layers: theory as lines, samples as points with their standard errors."""
    for number, case in enumerate(verification.cases):
        rows = [row for row in _along(verification, case) if row.quantity in quantities]
        if rows:
            at = [row.layer for row in rows]
            name = r"$\Delta^l \cos\varphi^0$, " if rows[0].quantity == "Delta cos phi" else ""
            ax.plot(at, [row.theory for row in rows], color=f"C{number}", label=name + _name(case.ensemble))
            _points(ax, number, at, [row.measured for row in rows], [row.standard_error for row in rows])
    ax.set_ylim(bottom=0)
    return _over_layers(ax)


def phases(verification: Verification, ax: Axes) -> Axes:
    """The phase (for O(k) the angle of the polar factor): conserved by the symmetric networks, lost by generic ones."""
    for number, case in enumerate(verification.cases):
        rows = _along(verification, case)
        phi = [row for row in rows if row.quantity == "phi"]
        across = [row for row in rows if row.quantity == "Delta sin phi"]
        along = [row for row in rows if row.quantity == "Delta cos phi"]
        angle = [row.measured for row in phi]
        angle += [np.arctan2(s.measured, c.measured) for s, c in zip(across, along, strict=True)]
        error = [row.standard_error for row in phi]
        error += [s.standard_error / np.hypot(s.measured, c.measured) for s, c in zip(across, along, strict=True)]
        at = [row.layer for row in phi or across]
        ax.plot(at, [row.theory for row in phi or across], color=f"C{number}", label=_name(case.ensemble))
        _points(ax, number, at, angle, error)
    ax.set_ylabel(r"phase $\varphi^l$ [rad]")
    return _over_layers(ax)


def sweep(verification: Verification, ax: Axes) -> Axes:
    """c at the last layer against sigma_w: theory of the fixed point and, near the transition, at that depth."""
    zoom = ax.inset_axes((0.09, 0.55, 0.36, 0.42), xlim=(0.85, 1.15), ylim=(0.0, 0.25))
    for number, case in enumerate(verification.cases):
        rows = [row for row in verification.of(case) if row.quantity in _AT_DEPTH]
        symmetry, activation, at = case.ensemble.symmetry, case.ensemble.activation, [row.sigma_w for row in rows]
        grid = np.linspace(max(min(at) - 0.1, 0.0), max(at) + 0.1, 321)
        near = grid[grid < 1.3]
        depth = rows[0].layer
        run = trajectory(depth, near, d=D_0, symmetry=symmetry, activation=activation).c[-1] if near.size else near
        for one in (ax, zoom):
            one.plot(grid, fixed_point(grid, symmetry, activation).c, color=f"C{number}", label=f"$c^*$, {symmetry}")
            one.plot(near, run, ":", color=f"C{number}", label=f"$c^{{{depth}}}$, {symmetry}")
            _points(one, number, at, [row.measured for row in rows], [row.standard_error for row in rows])
    zoom.tick_params(labelsize="x-small")
    ax.set_xlabel(r"weight scale $\sigma_w$")
    ax.set_ylabel(r"order parameter $c$ at the last layer")
    ax.set_ylim(bottom=0)
    ax.legend(frameon=False, fontsize="small", loc="lower right")
    return ax


def deviations(verification: Verification, ax: Axes) -> Axes:
    """All deviations in standard errors, with the limit."""
    start = 0
    for number, case in enumerate(verification.cases):
        values = [row.deviation for row in verification.of(case)]
        at = np.arange(start, start + len(values))
        start += len(values)
        ax.plot(at, values, _MARKERS[number], color=f"C{number}", ms=2.5, label=_name(case.ensemble))
    for sign in (-1, 1):
        ax.axhline(sign * verification.limit, color="0.4", ls="--", lw=1)
    ax.set_xlabel("comparison, in the order of the table")
    ax.set_ylabel("deviation [standard errors]")
    return ax


def _along(verification: Verification, case: Case) -> list[Comparison]:
    """Comparisons along the layers, all at the case's own sigma_w."""
    return [row for row in verification.of(case) if row.quantity not in _AT_DEPTH]


def _name(ensemble: Ensemble) -> str:
    return rf"{ensemble.symmetry}, {ensemble.activation.name}, $\sigma_w = {ensemble.sigma_w:g}$"


def _points(ax: Axes, number: int, x: list, y: list, error: list) -> None:
    # later cases a little smaller, so that points on top of each other are all seen
    size = 6.5 - 1.5 * number
    ax.errorbar(x, y, error, fmt=_MARKERS[number], ms=size, mfc="none", lw=1, color=f"C{number}", zorder=3)


def _over_layers(ax: Axes) -> Axes:
    ax.set_xlabel("layer $l$")
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.legend(frameon=False, fontsize="small")
    return ax
