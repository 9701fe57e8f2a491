"""One network ensemble seen from all sides: theory at once, sampled networks when asked for.

`view` draws; `explorer` puts sliders around it (ipywidgets, an optional extra). Everything drawn is a pure function of
the numbers, so a notebook without widgets shows the same figures.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meanfield import (
    NAMED_ACTIVATIONS,
    Ensemble,
    Symmetry,
    as_symmetry,
    depth_scales,
    fixed_point,
    trajectory,
)
from meanfield.checks import real_array, whole_number
from meanfield.plots import LAYER_LABEL, SIGMA_LABEL, plain_log_axis, points

from .ensemble_statistics import ensemble_statistics

SIGMA_GRID = np.linspace(0.05, 4.0, 396)
NETWORKS = 128


@dataclass(frozen=True)
class Point:
    """What is looked at: an ensemble, its size, and the overlap rho of two inputs at layer 0, where E|z|^2 = 1.

    Raises
    ------
    ValueError
        For an unknown name, a size below 1, or rho outside [0, 1].
    """

    symmetry: str = "U(1)"
    activation: str = "tanh"
    sigma_w: float = 1.5
    width: int = 64
    depth: int = 50
    rho: float = 0.9

    def __post_init__(self) -> None:
        whole_number("width", self.width, 1)
        whole_number("depth", self.depth, 1)
        rho = real_array("rho", self.rho, minimum=0.0)
        if rho.ndim or rho > 1.0:
            raise ValueError(f"rho must be one number in [0, 1], got {self.rho!r}")
        object.__setattr__(self, "symmetry", str(self.ensemble.symmetry))

    @property
    def ensemble(self) -> Ensemble:
        return Ensemble(self.symmetry, self.activation, self.sigma_w)

    def theory(self) -> xr.Dataset:
        """c and Delta along the layers of a wide network, after a random input layer."""
        names: dict[str, Any] = {"symmetry": self.symmetry, "activation": self.activation}
        return trajectory(self.depth, self.sigma_w, d=1.0, delta=self.rho, **names)

    def sampled(self, n_networks: int = NETWORKS, seed: int = 0) -> xr.Dataset:
        """The same measured in networks of the point's width, by the collective sampler."""
        angle = math.acos(self.rho)
        inputs = [[1.0, 0.0], [math.cos(angle), math.sin(angle)]]
        sizes: dict[str, Any] = {"width": self.width, "depth": self.depth, "n_networks": n_networks, "seed": seed}
        return ensemble_statistics(self.ensemble, inputs, sampler="collective", **sizes).isel(sigma_w=0)


def view(point: Point, samples: xr.Dataset | None = None) -> Figure:
    """Length along the layers, overlap along the layers, the phase diagram with the point in it, and its numbers.

    Parameters
    ----------
    point : what is looked at
    samples : as `Point.sampled` returns it, to be drawn on top
    """
    figure = plt.figure(figsize=(9.6, 5.6), layout="constrained")
    axes = figure.subplot_mosaic([["length", "overlap"], ["diagram", "scales"]])
    theory = point.theory()
    length(point, theory, axes["length"], samples)
    overlap(point, theory, axes["overlap"], samples)
    diagram(point, axes["diagram"])
    scales(point, axes["scales"])
    figure.suptitle(_title(point), fontsize="medium")
    return figure


def length(point: Point, theory: xr.Dataset, ax: Axes, samples: xr.Dataset | None = None) -> Axes:
    """The order parameter along the layers, and where it goes."""
    ax.plot(theory.layer, theory.c, label="theory")
    ax.axhline(float(_fixed_point(point)), color="0.6", lw=0.8, ls=":", label="$c^*$")
    if samples is not None:
        points(_some(samples).isel(input=0)[["c", "c_se"]], "c", ax, color="C1", label=f"$N = {point.width}$")
    ax.set_xlabel(LAYER_LABEL)
    ax.set_ylabel(r"order parameter $c^l$")
    ax.set_ylim(bottom=0)
    ax.legend()
    return ax


def overlap(point: Point, theory: xr.Dataset, ax: Axes, samples: xr.Dataset | None = None) -> Axes:
    """The covariance of two inputs along the layers."""
    ax.plot(theory.layer, theory.delta.where(theory.delta > 0))
    if samples is not None:
        points(_some(samples)[["overlap", "overlap_se"]], "overlap", ax, color="C1")
    ax.set_xlabel(LAYER_LABEL)
    ax.set_ylabel(r"covariance $\Delta^l$")
    largest = float(theory.delta.max()) or 1.0
    ax.set_ylim(min(0.2 * largest, 0.5 * max(float(theory.delta.min()), 1e-4 * largest)), 1.5 * largest)
    return plain_log_axis(ax)


def diagram(point: Point, ax: Axes) -> Axes:
    """c* against sigma_w, with the point on the line."""
    if point.activation != "linear":  # which has no fixed point but zero
        ax.plot(SIGMA_GRID, fixed_point(SIGMA_GRID, point.symmetry, point.activation).c)
        ax.plot([point.sigma_w], [float(_fixed_point(point))], "o", color="C1", ms=7)
    ax.set_xlabel(SIGMA_LABEL)
    ax.set_ylabel("fixed point $c^*$")
    ax.set_ylim(bottom=-0.02)
    return ax


def scales(point: Point, ax: Axes) -> Axes:
    """The depth scales as text."""
    ax.axis("off")
    lines = [f"{name}: {value}" for name, value in readout(point).items()]
    # wrapped, as one long line would squeeze the figures beside it
    ax.text(0.02, 0.95, "\n".join(lines), va="top", linespacing=1.6, wrap=True, transform=ax.transAxes)
    return ax


def readout(point: Point) -> dict[str, str]:
    """What the theory says of the point, in words and numbers."""
    try:
        found = depth_scales(point.sigma_w, point.symmetry, point.activation)
    except ValueError as error:  # linear networks above their transition
        return {"phase": f"no fixed point ({error})"}
    broken = float(found.fixed_point.c) > 0
    return {
        "phase": "broken, inputs settle at c* > 0" if broken else "unbroken, every input dies",
        r"$c^*$": f"{float(found.fixed_point.c):.6g}",
        r"$\xi_c$": f"{float(found.xi_c):.4g} layers",
        r"$\xi_\Delta$": f"{float(found.xi_delta):.4g} layers",
        r"$\chi_J$": f"{float(found.chi_jacobian):.5g} per layer",
        "conserved between two inputs": _conserved(as_symmetry(point.symmetry)),
    }


def _conserved(symmetry: Symmetry) -> str:
    if symmetry.family == "U(1)":
        return "the phase"
    angles = symmetry.capsule_dimension * (symmetry.capsule_dimension - 1) // 2
    if symmetry.family == "generic" or not angles:
        return "a sign"
    return "1 angle" if angles == 1 else f"{angles} angles"


def explorer():
    """Sliders around `view`: theory follows them, and a button samples networks at the point.

    Returns
    -------
    ipywidgets.VBox

    Raises
    ------
    ImportError
        Without ipywidgets, saying what to install.
    """
    try:
        import ipywidgets as widgets
    except ImportError as error:
        raise ImportError(
            "the explorer needs ipywidgets (pip install ipywidgets); view(Point(...)) does not"
        ) from error
    family = widgets.ToggleButtons(options=["U(1)", "O(k)", "generic(k)"], description="symmetry")
    k = widgets.IntSlider(4, min=1, max=48, description="k", continuous_update=False, disabled=True)  # U(1) has none
    # linear networks have no fixed point but zero
    names = [name for name in NAMED_ACTIVATIONS if name != "linear"]
    activation = widgets.Dropdown(options=names, description="activation")
    sigma_w = widgets.FloatSlider(1.5, min=0.1, max=4.0, step=0.05, description="σ_w", continuous_update=False)
    sizes = [2**n for n in range(2, 15)]
    width = widgets.SelectionSlider(options=sizes, value=64, description="width N", continuous_update=False)
    depth = widgets.IntSlider(50, 5, 300, description="depth L", continuous_update=False)
    rho = widgets.FloatSlider(0.9, min=0.0, max=1.0, step=0.01, description="ρ at l = 0", continuous_update=False)
    sample = widgets.Button(description="sample networks", icon="random")
    out = widgets.Output()

    def point() -> Point:
        symmetry = family.value.replace("(k)", f"({k.value})")
        return Point(symmetry, activation.value, sigma_w.value, width.value, depth.value, rho.value)

    def draw(samples: xr.Dataset | None = None) -> None:
        from IPython.display import display

        with out:
            out.clear_output(wait=True)
            figure = view(point(), samples)
            display(figure)
            plt.close(figure)

    def on_sample(_) -> None:
        sample.disabled, sample.description = True, "sampling …"
        try:
            draw(point().sampled())
        finally:
            sample.disabled, sample.description = False, "sample networks"

    def on_family(change: dict[str, Any]) -> None:
        k.disabled = "k" not in change["new"]

    controls = (family, activation, k, width, sigma_w, depth, rho)
    family.observe(on_family, names="value")
    for control in controls:
        control.observe(lambda _: draw(), names="value")
    sample.on_click(on_sample)
    draw()
    # two columns, so that the controls and the whole figure fit on a laptop's screen
    columns = widgets.Layout(grid_template_columns="max-content max-content", grid_gap="2px 24px")
    return widgets.VBox([widgets.GridBox([*controls, sample], layout=columns), out])


def _some(samples: xr.Dataset) -> xr.Dataset:
    """About twenty layers, so that points do not hide the line."""
    return samples.isel(layer=slice(0, None, max(1, samples.sizes["layer"] // 20)))


def _fixed_point(point: Point) -> np.ndarray:
    try:
        return np.asarray(fixed_point(point.sigma_w, point.symmetry, point.activation).c)
    except ValueError:  # linear networks above their transition
        return np.array(np.nan)


def _title(point: Point) -> str:
    sizes = f"N = {point.width}, L = {point.depth}"
    return rf"{point.symmetry}, {point.activation}, $\sigma_w = {point.sigma_w:g}$, ${sizes}$, $\rho^0 = {point.rho:g}$"
