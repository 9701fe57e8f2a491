"""Two inputs of equal norm and their overlap, as the arguments of a table: a number each, or a named dimension."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from .activations import Activation
from .axes import axis
from .checks import real_array
from .symmetry import Symmetry
from .trajectory import trajectory


def overlap_axis(delta, one_minus_rho) -> xr.DataArray:
    """The overlap that the inputs start with.

    Raises
    ------
    ValueError
        Unless exactly one of the two is given, delta > 0 or one_minus_rho in [0, 1).
    """
    if (delta is None) == (one_minus_rho is None):
        got = "neither" if delta is None else "both"
        raise ValueError(f"delta or one_minus_rho must be given, and not both, got {got}")
    if delta is not None:
        return axis("delta_0", real_array("delta", delta, minimum=0.0, strict=True), "delta")
    missing = real_array("one_minus_rho", one_minus_rho, minimum=0.0)
    if np.any(missing >= 1.0):
        raise ValueError(f"one_minus_rho must be in [0, 1), got {missing[missing >= 1.0].flat[0]:.6g}")
    return axis("one_minus_rho_0", missing, "one_minus_rho")


def follow(
    depth: int,
    scale: xr.DataArray,
    start: xr.DataArray,
    overlap: xr.DataArray,
    symmetry: Symmetry,
    activation: Activation,
) -> tuple[xr.Dataset, xr.Dataset | None]:
    """The trajectory at infinite width; and where layer 0 is random, that of one layer which layer 0 is.

    `scale`, `start` and `overlap` are what `axes.sigma_w_axis`, `axes.start_axis` and `overlap_axis` make of arguments.
    """
    names: dict[str, Any] = {"symmetry": symmetry, "activation": activation}
    names |= {str(overlap.name).removesuffix("_0"): overlap}
    if start.name == "c_0":
        return trajectory(depth, scale, start, **names), None
    # with sigma_w = 1, of inputs whose Gram matrix is known
    before = trajectory(1, 1.0, start, **names)
    return trajectory(depth, scale, d=start, **names), before
