"""The half-life of an angle: how deep networks whose symmetry is not exact keep what the exact one would conserve.

With biases and with weights that respect the symmetry only in part (`meanfield.explicit_breaking`) the covariance of
two inputs enters a layer as sigma_w^2 (Re C_12 + i (1 - eta) Im C_12) + sigma_b^2. So a small angle leaves layer l as

    phi_{l+1} = (1 - eta) phi_l/(1 + sigma_b^2/(sigma_w^2 Delta_l)),

with the Delta of that layer, and so does each small angle of O(k). What asymmetry takes is the same in all layers. What
biases take grows while Delta falls to what they alone sustain, where the factor is chi_phi. So the depth scale xi_phi,
which is that of the end, does not tell when the angle is lost: weak biases leave it alone for many times xi_phi layers.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .activations import as_activation
from .axes import axis, rho_axis, sigma_w_axis, table
from .checks import asymmetry_array, real_array
from .explicit_breaking import explicit_breaking
from .fixed_points import ConvergenceWarning
from .symmetry import Symmetry, with_angles
from .trajectory import trajectory
from .warn import warn

FIRST_DEPTH, LAST_DEPTH = 64, 2**14

LONG_NAMES = {"half_life": "depth at which a small angle has fallen to half [layers]"}


def angle_half_life(
    sigma_w, rho, sigma_b=0.0, asymmetry=0.0, symmetry: str | Symmetry = "U(1)", activation="tanh"
) -> xr.Dataset:
    """The depth at which a small angle between two inputs has fallen to half, where the symmetry is not exact.

    Both inputs start at the fixed point, c = c*. Infinite width: what a finite one does to the angle is
    :func:`meanfield.readable_depth`.

    Parameters
    ----------
    sigma_w : number or sequence, >= 0
    rho : number or sequence, in (0, 1)
        Overlap Delta/c* at layer 0.
    sigma_b, asymmetry : number or sequence, >= 0, and in [0, 1]
        Biases, and the share of the weights' variance without the symmetry, as in :func:`meanfield.explicit_breaking`.
    symmetry : ``"U(1)"``, or ``"O(k)"`` with k >= 2
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        `half_life` in layers, over ``sigma_w``, ``rho_0``, ``sigma_b`` and ``asymmetry`` where they are sequences.
        Between two layers the angle's logarithm is interpolated. With sigma_b = 0 it is log 2/(-log(1 - asymmetry)),
        infinite for the exact symmetry. NaN where there is no fixed point, and where it takes more than 16384 layers
        (weak biases next to the transition); a :class:`meanfield.ConvergenceWarning` counts such points.

    Raises
    ------
    ValueError
        For a bad argument, for a symmetry without such angles, and for a single point without a fixed point.

    Examples
    --------
    >>> import meanfield
    >>> biased = meanfield.angle_half_life(1.5, rho=0.9, sigma_b=[0.0, 0.01, 0.1, 0.5])
    >>> biased.half_life.round(1).values  # ten times weaker biases buy about 2 xi_delta log 10 layers
    array([  inf, 154. ,  45.3,   3.5])
    """
    symmetry, activation = with_angles(symmetry), as_activation(activation)
    scale, bias = sigma_w_axis(sigma_w, activation), axis("sigma_b", real_array("sigma_b", sigma_b, minimum=0.0))
    share, overlap = axis("asymmetry", asymmetry_array(asymmetry, symmetry)), rho_axis(rho)
    c_star = explicit_breaking(sigma_w, sigma_b, symmetry=symmetry, activation=activation).c_star.reset_coords(
        drop=True
    )
    known = c_star.notnull()
    start = {"c": c_star.where(known & (bias > 0.0), 1.0), "one_minus_rho": 1.0 - overlap}
    with np.errstate(divide="ignore"):  # nothing of the angle is left, or all
        per_layer = np.log1p(-share)
        without_biases = np.log(2.0) / -per_layer
    depth = FIRST_DEPTH
    while True:
        path = trajectory(depth, scale, **start, symmetry=symmetry, activation=activation, sigma_b=bias)
        halved = _crossing(_log_angle(path, scale, bias) + path.layer * per_layer)
        half_life = halved.where(bias > 0.0, without_biases).where(known)
        missing = int((half_life.isnull() & known).sum())
        if not missing or depth == LAST_DEPTH:
            break
        depth *= 2
    if missing:
        warn(f"{missing} of {half_life.size} angles have not halved within {LAST_DEPTH} layers", ConvergenceWarning)
    return table({"half_life": half_life}, (scale, overlap, bias, share), symmetry, activation, LONG_NAMES)


def _log_angle(path: xr.Dataset, sigma_w: xr.DataArray, sigma_b: xr.DataArray) -> xr.DataArray:
    """log phi_l/phi_0 of a small angle by the biases alone, for each layer of a trajectory at angle 0."""
    with np.errstate(divide="ignore"):
        taken = np.log1p((sigma_b / sigma_w) ** 2 / path.delta)
    return -(taken.cumsum("layer") - taken)


def _crossing(log_angle: xr.DataArray) -> xr.DataArray:
    """The depth at which it is -log 2, between two layers by a straight line; NaN where it never is."""
    left = log_angle.drop_vars("layer") + np.log(2.0)
    after = (left <= 0.0).argmax("layer")
    low, high = left.isel(layer=after), left.isel(layer=np.maximum(after - 1, 0))
    return (after - 1 + high / (high - low)).where(after > 0)
