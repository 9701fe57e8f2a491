"""The coefficients of the correlation map, and what they prove."""

from __future__ import annotations

import numpy as np
import xarray as xr

from .activations import as_activation
from .checks import preactivation_power, real_number, sigma_w_number, whole_number
from .maps import warn_if_inaccurate
from .overlap import Overlaps
from .symmetry import Symmetry, as_symmetry


def overlap_series(c, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh", *, terms: int = 32) -> xr.Dataset:
    """The weights w_n = a_n^2/c' of the correlation map, rho' = sum_n w_n rho^(2n+1).

    They are non-negative and sum to 1, which proves what the paper reports not finding (Section 2.3): at c = c* the map
    rho -> rho' is convex on [0, 1] with 0 -> 0 and 1 -> 1, so unless w_0 = 1 (linear f) it lies strictly below the
    diagonal in between. Delta has no fixed point but 0, and 0 is stable since w_0 = chi_delta < 1.

    Parameters
    ----------
    c, sigma_w : float
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`
    terms : int, 1 to 384, of a user's function to 256

    Returns
    -------
    xarray.Dataset over `n`: `weight` w_n, and `remainder`, 1 - sum_{m<=n} w_m: an upper bound of everything after n. It
        is added up from later weights, so that it has digits where they are small; of a user's function it is not
        below the rounding error of 1.

    Raises
    ------
    ValueError
        For a bad argument; for ``saturated``, whose weights fall off like a power: they are closed, see
        `meanfield.symbolic`.
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    terms = whole_number("terms", terms, 1)
    c = real_number("c", c, minimum=0.0, strict=True)
    s = preactivation_power(sigma_w_number(sigma_w, activation), c)
    if activation.is_saturated:
        raise ValueError("activation must have coefficients that fall off geometrically, got 'saturated'")
    weight, after, error = Overlaps(activation, symmetry.capsule_dimension, s[None]).weights(terms)
    warn_if_inaccurate(activation, error)
    return xr.Dataset(
        {"weight": ("n", weight), "remainder": ("n", after)},
        coords={"n": np.arange(terms)},
        attrs={"symmetry": str(symmetry), "activation": activation.name, "sigma_w": float(sigma_w), "c": float(c)},
    )
