"""The Jacobian J^l = dz^l/dz^0 of a wide network: its size, and the component that a symmetry protects.

A layer z^{l+1} = W^l phi(z^l) has the Jacobian W^l D(z^l), where D acts on one capsule as

    D v = (f(r)/r) (v - x (x.v)) + f'(r) x (x.v),        r = |z_i|, x = z_i/r:

f' along the radius (the amplitude), f/r along the D - 1 directions at right angles to it (the angles). W multiplies the
mean square of any vector by sigma_w^2, and a vector that knows nothing of the state has an equal share in all
directions. In a wide network its mean square grows by

    chi_J = (sigma_w^2/D) <f'(r)^2 + (D-1)(f(r)/r)^2>

per layer, with the average at the layer's own d^l = (1/N) sum_i E|z_i^l|^2 (Eq. (50)). The squared Frobenius norm of
J^L, for each real dimension of its input, is the product of these chi_J: the mean square of its singular values.

The direction v = A z^0 that a generator A of the rotations of a capsule produces does know the state: it is at right
angles to every capsule, and D v = A phi(z^0).

*Equivariant layers* commute with A, so J^l A z^0 = A z^l at every depth and width. Summed over the D (D-1)/2 generators
(each plane of two components is one) its mean square is (D-1) d^l; for U(1) this is Eq. (7), (52)-(54).

*A generic layer* mixes all components. After it z^1 = W phi(z^0) and v^1 = W A phi(z^0) have covariance
phi . A phi = 0, because A is antisymmetric: they are independent Gaussians, and the mean square of v^1, summed over the
generators, is still (D-1) d^1. From there on v knows nothing of the state, and grows by chi_J: at layer l the sum is
(D-1) d^1 times the product of the chi_J of the layers 1, ..., l-1.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .activations import Activation, as_activation
from .axes import axis, sigma_w_axis, table
from .checks import LARGEST_S, real_array, times_square, whole_number
from .maps import warn_if_inaccurate
from .moments import derivative_error, gain_and_jacobian, refinement_error
from .symmetry import Symmetry, as_symmetry
from .trajectory import trajectory

LONG_NAMES = {
    "d": "pre-activation order parameter $d^l$, Eq. (50)",
    "log_d": r"$\log d^l$",
    "amplitude": "part of $\\chi_J$ along the capsules' radii",
    "angular": "part of $\\chi_J$ at right angles to the radii",
    "chi_jacobian": r"growth factor of a small change from layer $l$ to $l+1$, $\chi_J$",
    "norm": "mean squared singular value of $J^l$",
    "log_norm": "logarithm of the mean squared singular value of $J^l$",
    "protected": r"protected component $\sum_A |J^l A z^0|^2/N$, Eq. (7), (54)",
    "log_protected": "logarithm of the protected component",
    "error_estimate": r"estimated relative error of $\chi_J$",
}


def jacobian_trajectory(depth: int, sigma_w, d=1.0, symmetry: str | Symmetry = "U(1)", activation="tanh") -> xr.Dataset:
    """The Jacobian of z^0 -> z^l along the layers of a wide network (derived at the top of this module),

        |J^l|_F^2/(N D) = prod_{m<l} chi_J^m,    chi_J^m = (sigma_w^2/D) <f'(r)^2 + (D-1)(f(r)/r)^2> at d^m,
        (1/N) sum_A |J^l A z^0|^2 = (D-1) d^l,    generic networks: (D-1) d^1 prod_{0<m<l} chi_J^m,

    for random capsules z^0 of mean square d, A running over the generators of the rotations of a capsule. U(1): the
    one generator is the i of Eq. (52), and the second line is Eq. (54).

    Parameters
    ----------
    depth : int >= 0
        Number of layers L.
    sigma_w : number or sequence, >= 0
    d : number or sequence, > 0
        Pre-activation order parameter of layer 0, (1/N) sum_i E|z_i^0|^2.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``layer`` 0..L (and ``sigma_w``, ``d_0`` where they are sequences):

        - `d`, `log_d`: the pre-activation order parameter, Eq. (50);
        - `chi_jacobian` of the step from l to l + 1, and its parts `amplitude` and `angular`, which it is the sum of;
        - `norm`, `log_norm`: |J^l|_F^2/(N D), the mean squared singular value of J^l (1 at layer 0). Dynamical isometry
          would need it to stay 1;
        - `protected`, `log_protected`: the second line above; absent for D = 1, which has no rotations.

        The logarithms go on where the numbers under- or overflow. For ``saturated`` chi_J is infinite at D <= 2.
        A user's activation adds `error_estimate`.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or unknown.
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    dimension, depth = symmetry.capsule_dimension, whole_number("depth", depth, 0)
    axes = (sigma_w_axis(sigma_w, activation), axis("d_0", real_array("d", d, minimum=0.0, strict=True), "d"))
    labels = xr.broadcast(*axes)
    scale, start = (array.values.ravel() for array in labels)
    data = _states(depth, scale, start, symmetry, activation)
    d, log_weight = _units(activation, scale, data)
    states, index = np.unique(np.minimum(d, LARGEST_S), return_inverse=True)
    parts = _parts(*gain_and_jacobian(activation, dimension, states)[1:], activation, dimension)
    amplitude, angular = (part[index.reshape(d.shape)] for part in parts)
    with np.errstate(divide="ignore", over="ignore"):
        data["amplitude"], data["angular"] = (np.exp(log_weight + np.log(part)) for part in (amplitude, angular))
        data["chi_jacobian"] = data["amplitude"] + data["angular"]
        steps = (log_weight + np.log(amplitude + angular))[:-1]  # goes on where chi_J underflows
        data["log_norm"] = _accumulated(np.zeros(scale.size), steps)
        data["norm"] = np.exp(data["log_norm"])
        if dimension > 1:
            data["log_protected"] = np.log(dimension - 1.0) + _log_along_orbit(symmetry, data["log_d"], steps)
            data["protected"] = np.exp(data["log_protected"])
    if not activation.guaranteed:
        data["error_estimate"] = _error(activation, dimension, states)[index.reshape(d.shape)]
        warn_if_inaccurate(activation, data["error_estimate"])
    dims = ("layer", *labels[0].dims)
    variables = {name: (dims, value.reshape(depth + 1, *labels[0].shape)) for name, value in data.items()}
    out = table(variables, axes, symmetry, activation, LONG_NAMES)
    return out.assign_coords(layer=np.arange(depth + 1))


def _states(depth: int, sigma_w: np.ndarray, start: np.ndarray, symmetry: Symmetry, activation: Activation) -> dict:
    """d and log d at the layers 0 to depth, (layer, points): d^{l+1} = sigma_w^2 c^l."""
    run = trajectory(depth, sigma_w, d=start, symmetry=symmetry, activation=activation)
    with np.errstate(divide="ignore", over="ignore"):
        return {
            "d": np.concatenate([start[None], times_square(sigma_w, run.c.values[:-1])]),
            "log_d": np.concatenate([np.log(start)[None], 2.0 * np.log(sigma_w) + run.log_c.values[:-1]]),
        }


def _units(activation: Activation, sigma_w: np.ndarray, data: dict) -> tuple[np.ndarray, np.ndarray]:
    """The d at which chi_J is averaged, (layer, points), and the logarithm of what then multiplies it: sigma_w^2.

    f = 1 has <(f/r)^2>/d: it is averaged at d = 1, and sigma_w^2/d stays finite where d underflows.
    """
    with np.errstate(divide="ignore"):
        log_weight = np.broadcast_to(2.0 * np.log(sigma_w), data["d"].shape)
    if activation.is_saturated:
        return np.ones(data["d"].shape), log_weight - data["log_d"]
    return data["d"], log_weight


def _parts(
    amplitude: np.ndarray, angular: np.ndarray, activation: Activation, dimension: int
) -> tuple[np.ndarray, np.ndarray]:
    """chi_J/sigma_w^2 along the radius and at right angles to it, from <f'^2> and <(f/r)^2>."""
    if dimension > 1:
        return amplitude / dimension, (dimension - 1) / dimension * angular
    if activation.is_saturated:  # f = 1 jumps from -1 to 1 where a single component changes its sign
        amplitude = np.full(amplitude.shape, np.inf)
    return amplitude, np.zeros(angular.shape)


def _log_along_orbit(symmetry: Symmetry, log_d: np.ndarray, steps: np.ndarray) -> np.ndarray:
    """log of the mean square of J^l A z^0, for generators that give every capsule its own length."""
    if symmetry.family != "generic":
        return log_d
    return np.concatenate([log_d[:1], _accumulated(log_d[1], steps[1:])]) if len(steps) else log_d


def _accumulated(start: np.ndarray, steps: np.ndarray) -> np.ndarray:
    return start + np.concatenate([np.zeros((1, start.size)), np.cumsum(steps, axis=0)])


def _error(activation: Activation, dimension: int, s: np.ndarray) -> np.ndarray:
    """What finer rules change of chi_J, relative, and what f' has missed."""

    def growth(refine: int):
        return [np.add(*_parts(*gain_and_jacobian(activation, dimension, s, refine)[1:], activation, dimension))]

    return np.maximum(refinement_error(growth), derivative_error(activation, dimension, s))
