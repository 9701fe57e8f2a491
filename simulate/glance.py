"""The subject at a glance, for the README: what a symmetric network keeps of its inputs, and what one without drops."""

from __future__ import annotations

from concurrent.futures import Executor
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from meanfield import Ensemble, fixed_point, trajectory
from meanfield.checks import real_array, whole_number
from meanfield.plots import LAYER_LABEL, SIGMA_LABEL, points

from .blocks import Progress, derived_seed
from .collective import sample_collective
from .observables import cross_block, order_parameters, overlap, turn
from .sampling import plane_rotation
from .setup import checked_seed, cosine
from .statistics import mean_and_error

MODELS = ("U(1)", "generic(2)")  # the same capsules and activation, with and without the symmetry
SIGMA_W = tuple(np.linspace(0.6, 2.4, 19).round(2).tolist())
BROKEN = 1.5  # where two inputs are followed
ANGLE = 1.0  # radians between them
LONG_NAMES = {
    "c": "order parameter $c$ at the last layer, Eq. (6)",
    "delta": r"covariance $\Delta^l$, Eq. (10)",
    "phi": r"phase $\varphi^l$ [rad]",
}


def glance(
    inputs,
    *,
    width: int = 1024,
    depth: int = 60,
    n_networks: int = 512,
    seed: int = 0,
    device: str = "auto",
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """U(1) and generic(2) networks side by side: c against sigma_w; Delta and phi of two inputs against depth.

    The first input's hidden state is turned by 1 radian, so that there is a phase to follow.

    Parameters
    ----------
    inputs : array_like (2, features)
    n_networks : networks that follow the two inputs at sigma_w = 1.5; an eighth of them are taken across sigma_w
    The others are those of :func:`simulate.sample_collective`.

    Returns
    -------
    xarray.Dataset
        Over ``model``: `c` (sigma_w) at the last layer; `delta` and `phi`, size and angle of the mean C_12 of Eq. (10)
        (layer), with the theory beside them as `delta_theory` and `phi_theory`. Each measured X has its standard error
        `X_se`.

    Raises
    ------
    ValueError
        As :func:`simulate.sample_collective` does, for fewer than 16 networks, and for no layer to follow.
    """
    inputs = real_array("inputs", inputs)
    if inputs.ndim != 2 or len(inputs) != 2:
        raise ValueError(f"inputs must be two rows of features, got shape {inputs.shape}")
    n_networks = whole_number("n_networks", n_networks, 16)
    whole_number("depth", depth, 1)
    common: dict[str, Any] = {
        "width": width,
        "depth": depth,
        "device": device,
        "executor": executor,
        "progress": progress,
    }
    tables, samples = [], []
    for number, model in enumerate(MODELS):
        # a seed for each, or the two would share their random numbers and scatter together
        sizes = common | {"seed": derived_seed(seed, number)}
        across = sample_collective(Ensemble(model), inputs[:1], sigma_w=SIGMA_W, n_networks=n_networks // 8, **sizes)
        along = sample_collective(
            Ensemble(model),
            inputs,
            sigma_w=[BROKEN],
            n_networks=n_networks,
            group_elements=np.stack([plane_rotation(2, ANGLE), np.eye(2)]),
            **sizes,
        )
        samples += [across, along]
        tables.append(xr.merge([_size(across), _pair(along), _theory(model, cosine(inputs), depth)]))
    attributes = along.attrs | {
        "symmetry": ", ".join(MODELS),
        "depth": depth,
        "n_networks": min(one.sizes["network"] for one in samples[1::2]),
        "seed": checked_seed(seed),
        "partial": max(one.attrs["partial"] for one in samples),
    }
    return xr.concat(tables, xr.DataArray(list(MODELS), dims="model", name="model")).assign_attrs(attributes)


def _size(samples: xr.Dataset) -> xr.Dataset:
    """c at the last layer against sigma_w."""
    mean, error = mean_and_error(order_parameters(samples)[:, :, -1, 0])
    return _measured("sigma_w", samples.sigma_w, c=(mean, error))


def _pair(samples: xr.Dataset) -> xr.Dataset:
    """Size and angle of the mean C_12 against the layer, with the scatter along it and across it as their errors."""
    q = cross_block(samples)[:, 0]
    along, across = overlap(q), turn(q)
    phi = np.arctan2(across.mean(0), along.mean(0))
    size, error = mean_and_error(along * np.cos(phi) + across * np.sin(phi))
    sideways = mean_and_error(across * np.cos(phi) - along * np.sin(phi))[1]
    return _measured("layer", samples.layer, delta=(size, error), phi=(phi, sideways / size))


def _measured(dim: str, at: xr.DataArray, **values: tuple[np.ndarray, np.ndarray]) -> xr.Dataset:
    out = xr.Dataset(coords={dim: at})
    for name, (mean, error) in values.items():
        out[name] = (dim, mean, {"long_name": LONG_NAMES[name]})
        out[f"{name}_se"] = (dim, error, {"long_name": f"standard error of {LONG_NAMES[name]}"})
    return out


def _theory(model: str, delta: float, depth: int) -> xr.Dataset:
    """Both inputs after a random input layer of mean |z|^2 = 1, followed through wide networks."""
    run = trajectory(depth, BROKEN, d=1.0, delta=delta, phi=ANGLE, symmetry=model)
    lines = {f"{name}_theory": (("layer",), run[name].values) for name in ("delta", "phi")}
    return xr.Dataset(lines, {"layer": run.layer})


def plot_glance(data: xr.Dataset) -> Figure:
    """Theory as lines, samples as points with standard errors: c across sigma_w; Delta and phi along the layers."""
    figure = Figure(figsize=(10.5, 3.3), layout="constrained")
    size, covariance, phase = figure.subplots(1, 3)
    grid = np.linspace(min(SIGMA_W), max(SIGMA_W), 361)
    size.plot(grid, fixed_point(grid).c, color="0.3", label=r"theory of both, $c^*$")
    for number, model in enumerate(data.model.values):
        one = data.sel(model=model)
        style: dict[str, Any] = {
            "color": f"C{number}",
            "fmt": "os"[number],
            "ms": 6.5 - 2.5 * number,
        }  # one inside the other
        points(one, "c", size, label=model, **style)
        for name, ax in (("delta", covariance), ("phi", phase)):
            ax.plot(one.layer, one[f"{name}_theory"], color=f"C{number}")
            some = one.isel(layer=slice(0, None, max(1, one.sizes["layer"] // 15)))
            points(some, name, ax, label=model, **style)
    _label(size, SIGMA_LABEL, "order parameter $c$", "size: kept with or without symmetry")
    _label(covariance, LAYER_LABEL, LONG_NAMES["delta"], "two inputs: what is left in common")
    _label(phase, LAYER_LABEL, LONG_NAMES["phi"], "and its phase: only symmetry keeps it")
    for ax, bottom in ((size, -0.02), (covariance, 0.0), (phase, -0.3)):
        ax.set_ylim(bottom=bottom)
    phase.set_ylim(top=1.5)
    return figure


def _label(ax: Axes, x: str, y: str, title: str) -> None:
    ax.set_xlabel(x)
    ax.set_ylabel(y)
    ax.set_title(title)
    ax.legend(frameon=False, fontsize="small")
