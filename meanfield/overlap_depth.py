"""Order 1/N: the depth scale of the mean overlap.

Where the overlap is small and c has settled, layers are alike, the moments of `meanfield.overlap_fluctuations` stand
still, and each layer adds the same amount g/N to the relative deviation of the mean E C_12 from Delta. Since Delta
falls as exp(-l/xi_delta), that is

    1/xi = 1/xi_delta - g/N,        xi = xi_delta + xi_delta^2 g/N + ...

What stands still is found in closed form: at rho = 0 the two inputs have no noise in common, Delta dG/dDelta = G, and
t_12 falls by chi_delta, as Delta does. Next to the transition g tends to 3/4 for U(1), 1/k for generic(k), whatever f.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .activations import Activation, as_activation, as_named
from .axes import sigma_w_axis, table, width_axis
from .checks import layer_power
from .depth_scales import depth_scales
from .fluctuations import layer_noise
from .maps import warn_if_inaccurate
from .moments import layer_moments
from .overlap_fluctuations import Anisotropy, Deviations, Layer
from .overlap_noise import overlap_noise
from .overlap_response import anisotropy_response, overlap_response
from .symmetry import Symmetry, as_symmetry

LONG_NAMES = {
    "xi_delta": r"depth scale of $\Delta$ at infinite width, $\xi_\Delta$ [layers]",
    "growth": r"$g$: a layer adds $g/N$ to the logarithm of the mean overlap",
    "xi_shift": r"what the mean overlap's depth scale gains, $\xi_\Delta^2 g/N$ [layers]",
    "error_estimate": "estimated relative error of a user's averages",
    "wide": r"whether $N > 4 \xi_\Delta |g|$, $N (1 - \chi_c) > 4$ and, for O(k), $N > k^2$, as order $1/N$ needs",
}


def overlap_depth_scale(width, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh") -> xr.Dataset:
    """How much deeper the mean overlap of two inputs reaches in networks of width N, to order 1/N.

    Infinitely wide networks have Delta ~ exp(-l/xi_delta). The mean of C_12 over networks of width N falls with the
    depth scale xi_delta + xi_shift (derived at the top of this module).

    Parameters
    ----------
    width : number or sequence, >= 1
        N, capsules in a layer.
    sigma_w : number or sequence
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, or, but for O(k) with k >= 2, a callable f(r) or a pair (f, f'); see
        :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w`` and ``width`` (where they are sequences): `xi_delta`, in layers; `growth`, the g of 1/xi =
        1/xi_delta - g/N; `xi_shift`, in layers; and `wide`, whether N is large enough for this order: N > 4 xi_delta
        |g|, N (1 - chi_c) > 4 and, for O(k), N > k^2. Where c* = 0 layers become linear, and E C_12 is what infinite
        width makes of it: `growth` and `xi_shift` are 0. All are NaN where several sigma_w were given and one has no
        fixed point. A user's activation adds `error_estimate`.

    Raises
    ------
    ValueError
        For a bad argument, for a user's activation with O(k), k >= 2, and as :func:`meanfield.fixed_point`.

    Examples
    --------
    >>> import meanfield
    >>> print(meanfield.overlap_depth_scale([64, 256], 1.5).xi_shift.values.round(2))  # of 22.46 layers
    [5.99 1.5 ]
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    if symmetry.keeps_anisotropy:
        activation = as_named(activation, "the overlap of anisotropic capsules")
    scale, widths = sigma_w_axis(sigma_w, activation), width_axis(width)
    scales = depth_scales(scale.values, symmetry, activation)
    c = scales.fixed_point.c
    alive = np.nan_to_num(c) > 0.0
    s = np.where(alive, layer_power(activation, scale.values, c), 1.0)
    found, error = _growth(s.ravel(), symmetry, activation)
    growth = scale.copy(data=np.where(alive, found.reshape(s.shape), np.where(np.isnan(c), np.nan, 0.0)))
    xi = scale.copy(data=scales.xi_delta)
    settles = widths * scale.copy(data=np.where(alive, 1.0 - scales.chi_c, np.inf)) > 4.0
    variables = {
        "xi_delta": xi,
        "growth": growth,
        "xi_shift": xr.where(growth == 0.0, 0.0, xi**2 * growth) / widths,
        "wide": (widths > 4.0 * xr.where(growth == 0.0, 0.0, xi * np.abs(growth))) & settles,
    }
    if symmetry.keeps_anisotropy:
        variables["wide"] = variables["wide"] & (widths > symmetry.capsule_dimension**2)
    if not activation.guaranteed:
        variables["error_estimate"] = scale.copy(data=np.where(alive, error.reshape(s.shape), 0.0))
        warn_if_inaccurate(activation, variables["error_estimate"].values)
    return table(variables, (scale, widths), symmetry, activation, LONG_NAMES)


def _growth(s: np.ndarray, symmetry: Symmetry, activation: Activation) -> tuple[np.ndarray, np.ndarray]:
    """g of settled layers, flat, and an estimate of its error."""
    k, zero, one = symmetry.capsule_dimension, np.zeros(s.size), np.ones(s.size)
    response, response_error = overlap_response(activation, k, s, one)
    noise, error = overlap_noise(activation, k, s, zero, one, one)
    anisotropy = anisotropy_response(activation, k, s, one) if symmetry.keeps_anisotropy else None
    layer = Layer(zero, layer_noise(activation, k, s), response, noise, anisotropy)
    fading = layer_moments(activation, k, s).one_minus_linear  # 1 - chi_delta
    with np.errstate(divide="ignore", invalid="ignore"):  # linear networks have no fixed point but zero
        return _settled(layer, fading, symmetry).growth(layer, symmetry), error + response_error


def _settled(layer: Layer, fading: np.ndarray, symmetry: Symmetry) -> Deviations:
    """The moments that one layer after the other leaves as they are."""
    one, response, noise, zero = layer.one, layer.response, layer.noise, np.zeros(layer.rho.shape)
    variance = one.noise / (one.one_minus_chi * (1.0 + one.chi))
    faded = fading * (2.0 - fading)  # 1 - chi_delta^2
    found = Deviations(
        variance=variance,
        both=zero,
        crossed=(one.chi * response.own * variance + noise.power_overlap) / one.one_minus_chi,
        magnitude=noise.overlap / faded,
        shift=zero,
        along=zero,
        angle=noise.transverse / 2.0 / faded,
        anisotropy=_settled_anisotropy(layer, faded, symmetry.capsule_dimension),
    )
    return found._replace(shift=found.bias(one, symmetry) / one.one_minus_chi)


def _settled_anisotropy(layer: Layer, faded: np.ndarray, k: int) -> Anisotropy:
    zero = np.zeros(layer.rho.shape)
    if layer.anisotropy is None:
        return Anisotropy(zero, zero, zero, zero)
    fresh, lost = k * (k - 1.0), layer.one.one_minus_chi_gram
    alone = fresh * (1.0 + layer.one.noise) / (lost * (2.0 - lost))
    mixed = (1.0 - lost) * layer.anisotropy.mixed * alone / layer.response.decay
    return Anisotropy(
        alone=alone,
        apart=zero,
        crossed=(mixed + fresh * (1.0 + layer.noise.power_overlap)) / lost,
        between=fresh * (0.5 + 1.0 / k) / faded,
    )
