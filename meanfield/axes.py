"""Tables whose axes are spanned by the arguments: a number, or a sequence that becomes a named dimension."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from .activations import Activation
from .checks import one_dimensional, real_array, sigma_w_array
from .symmetry import Symmetry

LABELS = {
    "width": "width $N$ [capsules in a layer]",
    "sigma_w": r"weight scale $\sigma_w$",
    "sigma_b": r"scale of the biases $\sigma_b$",
    "asymmetry": r"share of the weights' variance without the symmetry $\eta$",
    "c_0": "order parameter at layer 0, known exactly",
    "d_0": "pre-activation order parameter of a random input layer",
    "delta_0": r"covariance $\Delta$ of the two inputs at the start",
    "rho_0": r"overlap $\Delta/c$ at layer 0",
    "one_minus_rho_0": r"$1 - \Delta/c$ at the start",
    "log_value": r"logarithm of a singular value $\log s$",
    "share": "share of the directions that grow faster",
}


def axis(name: str, value: np.ndarray, argument: str | None = None) -> xr.DataArray:
    """A checked array as a number or a dimension `name`; `argument` is its name in an error message.

    Raises
    ------
    ValueError
        For an array of two or more dimensions.
    """
    one_dimensional(argument or name, value)
    dims = (name,) if value.ndim else ()
    return xr.DataArray(value, dims=dims, coords={name: (dims, value, {"long_name": LABELS[name]})}, name=name)


def width_axis(width) -> xr.DataArray:
    """The widths N >= 1 as an axis."""
    return axis("width", real_array("width", width, minimum=1.0))


def sigma_w_axis(sigma_w, activation: Activation) -> xr.DataArray:
    """The weight scales as an axis."""
    return axis("sigma_w", sigma_w_array(sigma_w, activation))


def start_axis(c, d) -> xr.DataArray:
    """The order parameter of layer 0 if it is known (c), or of its pre-activations if they are random (d).

    Raises
    ------
    ValueError
        Unless exactly one of the two is given, and positive, and not in a tuple.
    """
    if (c is None) == (d is None):
        got = "neither" if c is None else "both"
        raise ValueError(
            f"c (layer 0 is known exactly) or d (layer 0 is random) must be given, and not both, got {got}"
        )
    name, value = ("d", d) if c is None else ("c", c)
    if isinstance(value, tuple):  # elsewhere a tuple is one pair of inputs
        raise ValueError(
            f"{name} must be a number or a list or array of starts, which both inputs share, got {value!r}"
        )
    return axis(f"{name}_0", real_array(name, value, minimum=0.0, strict=True), name)


def rho_axis(rho) -> xr.DataArray:
    """The overlaps Delta/c* of two inputs at layer 0 as an axis.

    Raises
    ------
    ValueError
        Unless they are in (0, 1).
    """
    rho = real_array("rho", rho, minimum=0.0, strict=True)
    if np.any(rho >= 1.0):
        raise ValueError(f"rho must be in (0, 1), got {rho[rho >= 1.0].flat[0]:.6g}")
    return axis("rho_0", rho, "rho")


def over(axes: Sequence[xr.DataArray], rows: Sequence) -> xr.DataArray:
    """Numbers for each sigma_w as an array over the axes."""
    shape, dims = [n for each in axes for n in each.shape], [dim for each in axes for dim in each.dims]
    return xr.DataArray(np.reshape(rows, shape), dims=dims)


def table(
    variables: dict, axes: Sequence[xr.DataArray], symmetry: Symmetry, activation: Activation, long_names: dict
) -> xr.Dataset:
    """Variables over ``layer``, if they have it, and the axes, in this order; single numbers are coordinates."""
    out = xr.Dataset(variables, attrs={"symmetry": str(symmetry), "activation": activation.name})
    out = out.reset_coords(drop=True).assign_coords({array.name: array.coords[array.name] for array in axes})
    for name in out.data_vars:
        out[name].attrs = {"long_name": long_names[name]}
    return out.transpose("layer", *(dim for array in axes for dim in array.dims), missing_dims="ignore")
