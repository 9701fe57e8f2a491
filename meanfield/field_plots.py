"""Figures of the complex field of Eq. (15), with Figures 1 and 8. Every function draws on the `ax` it is given."""

from __future__ import annotations

from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.animation import FuncAnimation
from matplotlib.axes import Axes
from mpl_toolkits.mplot3d.axes3d import Axes3D

from .field import equilibrium_radius, potential
from .field_modes import field_frequencies

_LABELS = {"amplitude": r"amplitude, $\sqrt{k^2 - 2r}$", "phase": "phase, $|k|$ (17)"}


def potential_surface(r: float, ax: Axes3D, coupling: float = 1.0) -> Axes3D:
    """V over the complex plane, and where it is least: a point for r >= 0, a ring for r < 0, as in Figure 1.

    Parameters
    ----------
    r, coupling
        As in :func:`meanfield.field.potential`.
    ax : three-dimensional axes
        From ``plt.subplots(subplot_kw={"projection": "3d"})``.
    """
    v = equilibrium_radius(r, coupling)
    radius = np.linspace(0.0, 1.4 * v if v else 1.0, 41)
    angle = np.linspace(0.0, 2.0 * np.pi, 73)
    phi = radius[:, None] * np.exp(1j * angle)
    ax.plot_surface(phi.real, phi.imag, potential(phi, r, coupling), cmap="Blues_r", alpha=0.75, rstride=1, cstride=2)
    ring = v * np.exp(1j * angle)
    ax.plot(ring.real, ring.imag, potential(ring, r, coupling), "C1", marker="" if v else "o", lw=2.5, zorder=5)
    ax.view_init(elev=38)
    ax.set_xlabel(r"Re $\phi$")
    ax.set_ylabel(r"Im $\phi$")
    ax.set_zlabel("$V$")
    ax.set_title(f"{'broken' if r < 0 else 'unbroken'}, $r = {r:g}$")
    return ax


def space_time(run: xr.Dataset, ax: Axes) -> Axes:
    """Re phi over position and time, white at 0, as in Figure 8; the dashed line moves with the speed of light.

    Parameters
    ----------
    run : xarray.Dataset
        From :func:`meanfield.field.evolve_field`; the line starts where Re phi is largest at the first time.
    """
    real = run.phi.real
    size = float(np.abs(real).max())
    picture = ax.pcolormesh(
        run.x, run.time, real, cmap="RdBu_r", vmin=-size, vmax=size, shading="nearest", rasterized=True
    )
    ax.figure.colorbar(picture, ax=ax, label=r"Re $\phi$")
    start = float(run.x[int(real.values[0].argmax())])
    ax.plot(start + (run.time - run.time[0]), run.time, color="C4", ls="--", lw=1.2)
    ax.set_xlim(float(run.x[0]), float(run.x[-1]))
    ax.set_xlabel("position $x$")
    ax.set_ylabel("time $t$")
    return ax


def snapshots(run: xr.Dataset, times, ax: Axes) -> Axes:
    """Re phi over position at the output times nearest to `times`, one above the other, each from its own zero."""
    shown = run.phi.real.sel(time=list(times), method="nearest")
    step = 1.15 * float(shown.max() - shown.min())
    for number, line in enumerate(shown):
        ax.axhline(number * step, color="0.85", lw=0.8, zorder=0)
        ax.plot(run.x, number * step + line, color="C0")
    ax.set_yticks(step * np.arange(shown.sizes["time"]), [f"$t = {t:g}$" for t in shown.time.values])
    ax.set_xlabel("position $x$")
    ax.set_ylabel(r"Re $\phi$")
    return ax


def frequencies(measured: xr.Dataset, ax: Axes) -> Axes:
    """Measured omega(k) as points with their standard errors, over the lines of the linear theory, Eq. (16) or (17).

    Parameters
    ----------
    measured : xarray.Dataset
        From :func:`meanfield.field_modes.measured_frequencies`.
    """
    r = measured.attrs["r"]
    k = np.linspace(0.0, float(measured.k.max()), 201)
    theory = field_frequencies(k, r)
    labels = _LABELS if r < 0 else {"amplitude": r"Re $\phi$: $\sqrt{k^2 + r}$ (16)", "phase": r"Im $\phi$: the same"}
    for color, (name, label) in enumerate(labels.items()):
        ax.plot(k, theory[name], color=f"C{color}", ls="--" if color and r >= 0 else "-", label=label)
        style: dict[str, Any] = {"fmt": "os"[color], "color": f"C{color}", "mfc": "none", "lw": 1.0, "zorder": 3}
        style["ms"] = (7.0, 3.5)[color]  # one inside the other where the frequencies are equal
        ax.errorbar(measured.k, measured[name], measured[f"{name}_se"], **style)
    ax.set_xlabel("wavenumber $k$")
    ax.set_ylabel(r"frequency $\omega$")
    ax.set_ylim(bottom=0.0)
    ax.legend()
    return ax


def animation(runs: dict[str, xr.Dataset]) -> FuncAnimation:
    """Re phi over position as it moves, a panel for each named run; the runs have the same output times."""
    figure, axes = plt.subplots(1, len(runs), figsize=(4.0 * len(runs), 2.4), squeeze=False, layout="constrained")
    lines = []
    for ax, (title, run) in zip(axes[0], runs.items(), strict=True):
        size = 1.15 * float(np.abs(run.phi.real).max())
        lines += ax.plot(run.x, run.phi.real[0])
        ax.set(title=title, ylim=(-size, size), xlabel="position $x$", ylabel=r"Re $\phi$")
    time = axes[0, 0].text(0.03, 0.92, "", transform=axes[0, 0].transAxes, va="top")

    def draw(frame: int) -> list:
        for line, run in zip(lines, runs.values(), strict=True):
            line.set_ydata(run.phi.real[frame].values)
        time.set_text(f"$t = {float(next(iter(runs.values())).time[frame]):.0f}$")
        return [*lines, time]

    return FuncAnimation(figure, draw, frames=next(iter(runs.values())).sizes["time"], interval=60)
