"""Trajectories: one or two inputs followed through the layers of a wide network."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import xarray as xr

from .activations import Activation, as_activation
from .checks import pair_of, preactivation_power, whole_number
from .maps import warn_if_inaccurate
from .norm_trajectory import Norms, norm_variables
from .overlap_trajectory import overlap_variables
from .symmetry import Symmetry, as_symmetry
from .trajectory_arguments import Labels, Start, labelled, start_of


def trajectory(
    depth: int,
    sigma_w,
    c=None,
    delta=None,
    phi=0.0,
    one_minus_rho=None,
    symmetry: str | Symmetry = "U(1)",
    activation="tanh",
    *,
    d=None,
    sigma_b=0.0,
    asymmetry=0.0,
) -> xr.Dataset:
    """Iterate the length map, Eq. (8), and the correlation map, Eq. (12), from given starting values.

    This is the limit of infinite width. What networks of width N deviate by is of order 1/N: for c
    :func:`meanfield.fluctuation_trajectory` has it, for Delta :func:`meanfield.overlap_fluctuations`, for the phase
    :func:`meanfield.phase_diffusion`.

    Order parameters are those behind the activation. Layer 0 either has a known c, or it is random.

    Parameters
    ----------
    depth : int >= 0
        Number of layers to apply.
    sigma_w : array_like, >= 0
    c : array_like > 0, or a tuple (c_1, c_2)
        Order parameter of the inputs at layer 0, of both or of each; 1 unless d is given. A list is an array, of values
        that both share.
    delta : array_like, optional
        Covariance of the two inputs at layer 0, |delta| <= sqrt(c_1 c_2); with d that of the Gaussian capsules, at most
        sqrt(d_1 d_2). Leave out for one input.
    phi : array_like
        Phase of Eq. (10) in radians. U(1) conserves it, Eq. (11). A generic network transmits Re(Delta e^{i phi})
        alone: from layer 1 on its overlap is Delta cos phi, of phase 0 or pi. O(k) has no phase (its polar factor is
        the subject of :func:`meanfield.matrix_correlation_map`).
    one_minus_rho : array_like in [0, 2], optional
        1 - delta/sqrt(c_1 c_2), or with d 1 - delta/sqrt(d_1 d_2), instead of delta, for nearly identical inputs (1e-15
        keeps all its digits). Above 1 the overlap is negative; as the map is odd in it, nearly opposite inputs are best
        followed as their mirror image.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`
    d : array_like > 0, or a tuple (d_1, d_2)
        In place of c: layer 0 is random, as behind a random input layer, Gaussian capsules with E |z|^2 = d, on which
        the activation acts. That is what one layer of sigma_w = 1, without what breaks the symmetry, makes of c = d.
    sigma_b, asymmetry : array_like, >= 0, and in [0, 1]
        What breaks the symmetry explicitly, see :func:`meanfield.explicit_breaking`: biases, and the part of the
        weights that ignores it. Biases turn the phase towards 0; asymmetry shrinks its tangent, so that beyond a right
        angle it goes to pi.

    All arrays broadcast. A single one-dimensional array gives its name to the extra dimension; xarray.DataArrays keep
    theirs; otherwise the dimensions are ``input_0, input_1, ...``. The functions of order 1/N span a grid
    instead; here that takes names, as ``xr.DataArray([1.4, 1.5], dims="sigma_w")`` and
    ``c=xr.DataArray([0.2, 0.3, 0.4], dims="c_0")``.

    Returns
    -------
    xarray.Dataset
        Over ``layer`` 0..depth: `c` and `log_c` (or `c_1, c_2, log_c_1, log_c_2`), and for two inputs `delta`, `rho`,
        `one_minus_rho` and `phi`. Where c underflows, `log_c`, `rho` and `one_minus_rho` go on; `rho` is never NaN.
        Where c outgrows floats it is infinite.
        `one_minus_rho` keeps its relative accuracy however small it is, and 0 stays exactly 0 (for unequal norms as far
        as the floats c_1 and c_2 of a layer tell how unequal they are).
        With sigma_b or asymmetry `phi` is in [-pi, pi] from layer 1 on. With sigma_b, `rho` of U(1) and generic(k),
        k >= 2, is positive there, as `phi` has the sign; that of O(k) and generic(1) can change its own.
        A user's activation adds `error_estimate`, the relative error that each layer adds to c and the overlap.

    Raises
    ------
    ValueError
        For bad values; for phi != 0 with O(k), generic(1) or one input; for asymmetry != 0 with a symmetry that
        conserves no angle; when both delta and one_minus_rho are given, or c and d;
        where a dimension sigma_w does not hold the sigma_w of the networks.

    Examples
    --------
    >>> import meanfield
    >>> run = meanfield.trajectory(50, 1.5, c=1.0, delta=0.9, phi=1.0)
    >>> run.rho.sel(layer=[0, 1, 10, 50]).values.round(4)  # the overlap fades, the phase stays
    array([0.9   , 0.8835, 0.769 , 0.1929])
    >>> print(run.phi.values[-1])
    1.0
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    if isinstance(sigma_w, xr.DataArray) and sigma_w.dims == ("sigma_w",):
        sigma_w = sigma_w.assign_coords(sigma_w=sigma_w)  # arithmetic keeps the coordinate of what it was made of
    depth = whole_number("depth", depth, 0)
    if delta is not None and one_minus_rho is not None:
        raise ValueError("give delta or one_minus_rho, not both")
    if c is not None and d is not None:
        raise ValueError("give c (layer 0 is known exactly) or d (layer 0 is random), not both")
    two_inputs = delta is not None or one_minus_rho is not None
    size, given = ("d", d) if c is None and d is not None else ("c", 1.0 if c is None else c)
    first, second = pair_of(given, size)
    pair = isinstance(given, tuple)
    labels, arrays = labelled(
        {"sigma_w": sigma_w, size: first, "delta": delta, "phi": phi, "one_minus_rho": one_minus_rho}
        | {"sigma_b": sigma_b, "asymmetry": asymmetry}
        | ({f"{size}_2": second} if pair else {})
    )
    start = start_of(symmetry, activation, arrays, size, two_inputs)
    start_error = np.zeros(start.c_1.size)
    if size == "d":
        start, start_error = _behind_random_layer(symmetry, activation, start, two_inputs)
    norms = Norms.iterate(activation, symmetry.capsule_dimension, depth, start)
    shape = start.sigma_w.shape
    data = norm_variables(norms, pair)
    error = np.maximum(norms.error[:, norms.first], norms.error[:, norms.second])
    if two_inputs:
        overlap_data, overlap_error = overlap_variables(symmetry, activation, depth, start, norms)
        data, error = data | overlap_data, error + overlap_error
    error[0] += start_error
    if not activation.guaranteed:
        data["error_estimate"] = error
        warn_if_inaccurate(activation, error)
    for name in (*labels.dims, *labels.coords):
        if name in data or name == "layer":
            raise ValueError(f"an array's dimension must not be called {name!r}, as a variable of the result is")
    dims = ("layer", *labels.dims)
    return xr.Dataset(
        {name: (dims, value.reshape((depth + 1, *shape))) for name, value in data.items()},
        coords={"layer": np.arange(depth + 1), **labels.coords, "sigma_w": _scale_coordinate(labels, start.sigma_w)},
        attrs={"symmetry": str(symmetry), "activation": activation.name},
    )


def _scale_coordinate(labels: Labels, sigma_w: np.ndarray):
    """The sigma_w of the networks themselves, whatever coordinate of this name the arguments came with.

    Raises
    ------
    ValueError
        If a dimension of this name stands for other values, as that of c* at other weight scales does.
    """
    if "sigma_w" not in labels.dims:
        return labels.dims, sigma_w.copy()
    axis = labels.dims.index("sigma_w")
    rows = np.moveaxis(sigma_w, axis, 0).reshape(sigma_w.shape[axis], -1)
    own = labels.coords.get("sigma_w", xr.DataArray(rows[:, 0], dims="sigma_w"))
    if np.any(rows != own.values[:, None]):
        raise ValueError("the coordinate of a dimension sigma_w must be the sigma_w of the networks; rename this one")
    return own


def _behind_random_layer(
    symmetry: Symmetry, activation: Activation, start: Start, two_inputs: bool
) -> tuple[Start, np.ndarray]:
    """Layer 0 made of Gaussian capsules, which `start` describes: what one layer of sigma_w = 1 makes of them as c. The
    phase stays, of a generic network too, as it is the capsules' own. Also the estimated relative error of that layer.
    """
    shape, none = start.c_1.shape, np.zeros(start.c_1.shape)
    preactivation_power(1.0, np.maximum(start.c_1, start.c_2))  # must not be too large
    layer = replace(start, sigma_w=np.ones(shape), phi=none, sigma_b=none, asymmetry=none)
    norms = Norms.iterate(activation, symmetry.capsule_dimension, 1, layer)
    c_1, c_2 = (norms.c[1, which].reshape(shape) for which in (norms.first, norms.second))
    preactivation_power(start.sigma_w, np.maximum(c_1, c_2), start.sigma_b)
    error = np.maximum(norms.error[1, norms.first], norms.error[1, norms.second])
    start = replace(start, c_1=c_1, c_2=c_2)
    if not two_inputs:
        return start, error
    data, overlap_error = overlap_variables(symmetry, activation, 1, layer, norms)
    rho, missing = (data[name][1].reshape(shape) for name in ("rho", "one_minus_rho"))
    missing = np.where(start.sign > 0.0, missing, 2.0 - missing)
    return replace(start, rho=np.abs(rho), one_minus_rho=missing), error + overlap_error[1]
