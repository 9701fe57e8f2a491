"""Arguments of a trajectory: named dimensions, and the layer where it starts."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import xarray as xr

from .activations import Activation
from .checks import asymmetry_array, broadcast, preactivation_power, real_array, sigma_w_array
from .maps import overlap_of
from .symmetry import Symmetry

_OPTIONAL = ("delta", "one_minus_rho")  # None leaves them out


@dataclass
class Labels:
    dims: tuple[str, ...]
    coords: dict


def labelled(values: dict) -> tuple[Labels, dict[str, np.ndarray]]:
    """Broadcast the arguments that are given, and find names for the dimensions.

    Raises
    ------
    ValueError
        Where one is None that must be given; where they do not fit.
    """
    for name, value in values.items():
        if value is None and name not in _OPTIONAL:
            real_array(name.removesuffix("_2"), value)  # raises
    given = {name: value for name, value in values.items() if value is not None}
    labelled = [name for name, value in given.items() if isinstance(value, xr.DataArray)]
    if labelled:
        bare = [name for name, value in given.items() if name not in labelled and np.ndim(value)]
        if bare:
            raise ValueError(f"{bare[0]} must be a number or an xarray.DataArray, since {labelled[0]} is one")
        try:
            aligned = xr.align(*(xr.DataArray(value) for value in given.values()), join="exact")
        except ValueError as error:
            raise ValueError(f"{', '.join(labelled)} must have the same labels along the same dimension") from error
        together = xr.broadcast(*aligned)
        first = together[0]
        arrays = {name: array.values for name, array in zip(given, together, strict=True)}
        return Labels(tuple(map(str, first.dims)), dict(first.coords)), arrays
    arrays = dict(
        zip(given, broadcast(**{name: real_array(name, value) for name, value in given.items()}), strict=True)
    )
    shape = arrays["sigma_w"].shape
    varied = [name for name, value in given.items() if np.ndim(value)]
    if len(varied) == 1 and len(shape) == 1:
        (name,) = varied
        # a variable of the result cannot have its own name as dimension
        dim = name if name == "sigma_w" else f"{name}_0"
        return Labels((dim,), {dim: xr.DataArray(arrays[name], dims=dim)}), arrays
    return Labels(tuple(f"input_{i}" for i in range(len(shape))), {}), arrays


@dataclass
class Start:
    """Layer 0: arrays of one shape. rho >= 0 is the size of the overlap, `sign` its sign."""

    sigma_w: np.ndarray
    c_1: np.ndarray
    c_2: np.ndarray
    phi: np.ndarray
    rho: np.ndarray
    one_minus_rho: np.ndarray
    sign: np.ndarray
    sigma_b: np.ndarray
    asymmetry: np.ndarray


def start_of(symmetry: Symmetry, activation: Activation, arrays: dict, size: str, two_inputs: bool) -> Start:
    """The arguments, checked; `size` is "c", or "d", which then stands in place of c."""
    sigma_w = sigma_w_array(arrays["sigma_w"], activation)
    c_1 = real_array(size, arrays[size], minimum=0.0, strict=True)
    c_2 = real_array(size, arrays.get(f"{size}_2", c_1), minimum=0.0, strict=True)
    sigma_b = real_array("sigma_b", arrays["sigma_b"], minimum=0.0)
    if size == "c":
        preactivation_power(sigma_w, np.maximum(c_1, c_2), sigma_b)  # must not be too large
    asymmetry = asymmetry_array(arrays["asymmetry"], symmetry)
    phi = real_array("phi", arrays["phi"])
    if not symmetry.has_phase and np.any(phi != 0.0):
        raise ValueError(f"phi must be 0 for {symmetry}, which has no phase, got {phi[phi != 0.0].flat[0]:.6g}")
    if not two_inputs:
        if np.any(phi != 0.0):
            raise ValueError("phi is a phase between two inputs: give delta or one_minus_rho with it")
        none = np.zeros(sigma_w.shape)
        return Start(sigma_w, c_1, c_2, phi, none, none, none, sigma_b, asymmetry)
    if "one_minus_rho" in arrays:
        given = real_array("one_minus_rho", arrays["one_minus_rho"], minimum=0.0)
        if np.any(given > 2.0):
            raise ValueError(f"one_minus_rho must be in [0, 2], got {given[given > 2.0].flat[0]:.6g}")
        sign = np.where(given > 1.0, -1.0, 1.0)
        rho, missing = np.abs(1.0 - given), np.minimum(given, 2.0 - given)
        return Start(sigma_w, c_1, c_2, phi, rho, missing, sign, sigma_b, asymmetry)
    rho, missing = overlap_of(real_array("delta", arrays["delta"]), c_1, c_2, size)
    sign = np.where(rho < 0, -1.0, 1.0)
    return Start(sigma_w, c_1, c_2, phi, np.abs(rho), missing, sign, sigma_b, asymmetry)
