"""Figure 9: the protected component of the Jacobian at initialisation, with and without the symmetry."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.axes import Axes
from matplotlib.lines import Line2D

from meanfield import Ensemble, Symmetry, as_symmetry
from meanfield.checks import whole_number
from meanfield.jacobian import jacobian_trajectory

from .blocks import Progress, derived_seed
from .jacobians import sample_jacobians
from .setup import checked_seed
from .statistics import mean_and_error

SIGMA_W = tuple(np.linspace(0.6, 2.6, 21).round(3).tolist())
LINE_POINTS = 201
FULL = (64, 256)  # capsules in a layer, networks
QUICK = (32, 32)
LONG_NAMES = {
    "protected": r"protected component $\sum_A |J^L A z^0|^2/N$, Eq. (7)",
    "d": "$(D-1) d^L$, Eq. (50)",
    "protected_theory": "protected component in a wide network",
}


def figure9(
    symmetry: str | Symmetry = "U(1)",
    activation="tanh",
    *,
    sigma_w: Sequence[float] = SIGMA_W,
    depths: Sequence[int] = (5, 20, 50),
    seed: int = 0,
    quick: bool = False,
    device: str = "auto",
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """The protected component of Eq. (7) against sigma_w at several depths, sampled and in mean-field theory.

    256 networks with N = 64 capsules for each of two models: equivariant, and generic with capsules of the same size.
    They are in float64, as rounding grows with the Jacobian. Means are over networks, as in Eq. (7); in deep generic
    networks a few of them carry much of the mean, and the standard errors tell.

    Parameters
    ----------
    symmetry : ``"U(1)"`` (the paper's) or ``"O(k)"``, k >= 2
    activation, device, executor, progress
        As for :func:`simulate.sample_networks`.
    sigma_w : weight scales of the samples; the theory's lines span their range
    depths : layers L at which J is measured
    seed : int >= 0
    quick : bool
        Fewer and narrower networks: 32 with N = 32.

    Returns
    -------
    xarray.Dataset
        Over ``model`` (the symmetry's name, and its generic counterpart's), ``layer`` (the depths) and ``sigma_w``:
        `protected` with `protected_se`; and (D-1) d^L as `d` with `d_se` (the paper's circles), which is the same
        number in every single equivariant network. `protected_theory` has ``sigma_w_line``, a finer grid, in its place.

    Raises
    ------
    ValueError
        Naming the argument that is out of range.
    """
    symmetry = as_symmetry(symmetry)
    k = symmetry.capsule_dimension
    if symmetry.family == "generic" or k < 2:
        raise ValueError(f"symmetry must be 'U(1)' or 'O(k)' with k >= 2, got '{symmetry}'")
    if not np.ndim(depths):
        raise ValueError(f"depths must be a sequence of integers, got {depths!r}")
    layers = [whole_number("depths", depth, 0) for depth in depths]
    if not layers:
        raise ValueError("depths must name at least one depth, got none")
    if len(set(layers)) < len(layers):
        raise ValueError(f"depths must name each depth once, got {', '.join(map(str, layers))}")
    models = [str(symmetry), f"generic({k})"]
    width, n_networks = QUICK if quick else FULL
    samples = [
        sample_jacobians(
            Ensemble(model, activation),
            np.ones((1, 1)),  # any input: the random input layer makes its z^0 Gaussian
            width=width,
            depth=max(layers),
            n_networks=n_networks,
            seed=derived_seed(seed, number),  # networks of two models share nothing
            sigma_w=sigma_w,
            probes=0,
            device=device,
            executor=executor,
            progress=progress,
        ).sel(layer=layers)
        for number, model in enumerate(models)
    ]
    tables = [_means(one).assign(_theory(model, activation, one)) for model, one in zip(models, samples, strict=True)]
    attributes = {
        **samples[0].attrs,
        "symmetry": ", ".join(models),
        "seed": checked_seed(seed),
        "n_networks": min(one.sizes["network"] for one in samples),
        "partial": max(one.attrs["partial"] for one in samples),
    }
    return xr.concat(tables, xr.DataArray(models, dims="model", name="model")).assign_attrs(attributes)


def _theory(model: str, activation, samples: xr.Dataset) -> xr.Dataset:
    """The theory's line over the samples' range of sigma_w, (layer, sigma_w_line)."""
    line = np.linspace(samples.sigma_w.min().item(), samples.sigma_w.max().item(), LINE_POINTS)
    run = jacobian_trajectory(samples.layer.max().item(), line, samples.attrs["d_0"], model, activation)
    values = run.protected.sel(layer=samples.layer).drop_vars("d_0").rename(sigma_w="sigma_w_line")
    return xr.Dataset({"protected_theory": values.assign_attrs(long_name=LONG_NAMES["protected_theory"])})


def _means(samples: xr.Dataset) -> xr.Dataset:
    """Means over networks with their standard errors, (layer, sigma_w)."""
    each = as_symmetry(samples.attrs["symmetry"]).capsule_dimension - 1.0  # generators that turn a component
    out = xr.Dataset(coords={name: samples[name] for name in ("layer", "sigma_w")})
    for name, factor in (("protected", 1.0), ("d", each)):
        values = samples[name].isel(input=0).transpose("network", "layer", "sigma_w").values
        mean, error = mean_and_error(factor * values)
        out[name] = (("layer", "sigma_w"), mean, {"long_name": LONG_NAMES[name]})
        out[f"{name}_se"] = (("layer", "sigma_w"), error, {"long_name": f"standard error of {LONG_NAMES[name]}"})
    return out


def plot_figure9(data: xr.Dataset, ax: Axes) -> Axes:
    """Theory as lines (equivariant solid, generic dashed), samples as points with their standard error.

    Circles are the equivariant networks' d^L, Eq. (54); crosses lie in them because J_i = z_i^L network by network.

    Parameters
    ----------
    data : as :func:`figure9` returns it
    """
    for line, model in zip(("-", "--"), data.model.values, strict=True):
        for number, layer in enumerate(data.layer.values):
            one = data.sel(model=model, layer=layer)
            ax.plot(data.sigma_w_line, one.protected_theory, line, color=f"C{number}")
            style: dict[str, Any] = {"color": f"C{number}", "mfc": "none", "ms": 4.0, "lw": 1.0, "zorder": 3}
            marker = "x" if line == "-" else "s"
            ax.errorbar(data.sigma_w, one.protected, one.protected_se, fmt=marker, **style)
            if line == "-":
                ax.plot(data.sigma_w, one.d, "o", mfc="none", ms=7.0, color=f"C{number}")
    ax.set_yscale("log")
    ax.set_xlabel(data.sigma_w.attrs["long_name"])
    ax.set_ylabel(LONG_NAMES["protected"])
    ax.legend(handles=_keys(data), frameon=False, fontsize="small")
    return ax


def _keys(data: xr.Dataset) -> list[Line2D]:
    """What colours, lines and markers mean."""
    equivariant, generic = data.model.values
    depths = [Line2D([], [], color=f"C{i}", label=f"$L = {layer}$") for i, layer in enumerate(data.layer.values)]
    return [
        *depths,
        Line2D([], [], color="0.3", marker="x", label=equivariant),
        Line2D([], [], color="0.3", marker="s", mfc="none", ls="--", label=generic),
        Line2D([], [], color="0.3", marker="o", mfc="none", ls="", ms=7.0, label=data.d.attrs["long_name"]),
    ]
