"""Phase diagrams: fixed points and depth scales as one labelled table over sigma_w and symmetry."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import xarray as xr

from .activations import as_activation
from .checks import one_dimensional
from .depth_scales import DepthScales, depth_scales
from .symmetry import Symmetry, as_symmetry

LONG_NAMES = {
    "c_star": r"order parameter $c^*$, Eq. (8)",
    "d_star": r"pre-activation order parameter $d^*$, Eq. (50)",
    "chi_c": r"relaxation factor of $c$, $\chi_c$",
    "xi_c": r"depth scale of $c$, $\xi_c$ [layers]",
    "chi_delta": r"decay factor of $\Delta$, $\chi_\Delta$",
    "xi_delta": r"depth scale of $\Delta$, $\xi_\Delta$ [layers]",
    "chi_jacobian": r"Jacobian's mean squared singular value $\chi_J$",
    "chi_gram": r"decay factor of a Gram matrix's traceless part, $\chi_G$",
    "xi_gram": r"depth scale of a Gram matrix's traceless part, $\xi_G$ [layers]",
    "residual": r"$F(c^*)/c^* - 1$",
    "error_estimate": r"estimated relative error of $c^*$ and the $\chi$",
}


def phase_diagram(
    sigma_w, symmetry: str | Symmetry | Sequence[str | Symmetry] = "U(1)", activation="tanh"
) -> xr.Dataset:
    """Fixed point, susceptibilities and depth scales over sigma_w (and symmetry, when a list of them is given).

    Parameters
    ----------
    sigma_w : number or sequence, >= 0
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``, or a sequence of them
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w`` (and ``symmetry``): `c_star, chi_c, xi_c, chi_delta, xi_delta, chi_jacobian, chi_gram, xi_gram,
        d_star` (see :class:`meanfield.DepthScales`), `phase`, and for each point `residual`, `status`, `converged` and
        `error_estimate` (its `error`). A point without a fixed point has status ``"no fixed point"``, converged = False
        and NaN; a ConvergenceWarning counts such points.

    Raises
    ------
    ValueError
        Naming the bad argument.

    Examples
    --------
    >>> import meanfield
    >>> diagram = meanfield.phase_diagram([0.9, 1.5], ["U(1)", "O(4)"])
    >>> diagram.c_star.sel(symmetry="O(4)").values.round(4)
    array([0.    , 0.5887])
    """
    activation = as_activation(activation)
    sigma_w = one_dimensional("sigma_w", sigma_w)
    if isinstance(symmetry, str | Symmetry) or not np.iterable(symmetry):
        return _table(depth_scales(sigma_w, symmetry, activation)).assign_attrs(symmetry=str(as_symmetry(symmetry)))
    symmetries = [as_symmetry(s) for s in symmetry]
    if not symmetries:
        raise ValueError("symmetry must name at least one symmetry, got an empty sequence")
    if len(set(symmetries)) < len(symmetries):
        raise ValueError(f"symmetry must name each symmetry once, got {', '.join(map(str, symmetries))}")
    tables = [_table(depth_scales(sigma_w, s, activation)) for s in symmetries]
    return xr.concat(tables, xr.DataArray([str(s) for s in symmetries], dims="symmetry", name="symmetry"))


def _table(scales: DepthScales) -> xr.Dataset:
    point = scales.fixed_point
    values = {
        "c_star": point.c,
        "chi_c": scales.chi_c,
        "xi_c": scales.xi_c,
        "chi_delta": scales.chi_delta,
        "xi_delta": scales.xi_delta,
        "chi_jacobian": scales.chi_jacobian,
        "chi_gram": scales.chi_gram,
        "xi_gram": scales.xi_gram,
        "d_star": scales.d_star,
        "phase": point.phase,
        "residual": point.residual,
        "status": point.status,
        "converged": point.converged,
        "error_estimate": scales.error,
    }
    table = xr.Dataset(
        {name: ("sigma_w", value) for name, value in values.items()},
        coords={"sigma_w": ("sigma_w", scales.sigma_w, {"long_name": r"weight scale $\sigma_w$"})},
        attrs={"activation": point.activation.name},
    )
    for name, text in LONG_NAMES.items():
        table[name].attrs["long_name"] = text
    return table
