"""How the Gram matrix of one input becomes isotropic, for O(k).

Weights w times the identity on each capsule carry one input's capsule Gram matrix G = (1/N) sum_i phi(x_i) phi(x_i)^T,
k x k, from layer to layer; a trained or structured input layer can make it anything. U(1) and generic networks make it
isotropic in a single layer. With (f/r)^2 as a mixture of Gaussians (`meanfield.squared`) and S = sigma_w^2 G,

    G' = E[f(r)^2 x x^T/r^2] = int q(v) S (1 + 2 v^2 S)^-1 det(1 + 2 v^2 S)^(-1/2) dv.

G' has the eigenvectors of G, and each eigenvalue a sum of positive terms. Near isotropy, G = (c/k)(1 + T), the linear
part of this is T' = chi_gram T with chi_gram = k <f^2 r^2>/((k+2) s c'): the average of x_i x_j x_l x_m is
<r^4>/(k (k+2)) times the three pairings. At c* > 0 that is chi_gram of :class:`meanfield.DepthScales`; as c -> 0 it
tends to 1. What width N adds to T is in `meanfield.fluctuations`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .activations import Activation, as_named
from .checks import (
    LARGEST_S,
    check_gram,
    preactivation_power,
    real_array,
    sigma_w_number,
    times_square,
    whole_number,
)
from .mixture import STEP, mixture_state
from .quadrature import bent_grid, scale_bucket
from .squared import erf_rule, squared
from .symmetry import Symmetry, as_symmetry

_ROUNDING = 4.0 * np.finfo(float).eps  # times k: relative to the largest eigenvalue of a k x k matrix
_ENDLESS = 41.0  # log v where the integral of f = 1 ends even in one dimension

LONG_NAMES = {
    "gram": "capsule Gram matrix $G$ of one input",
    "c": r"order parameter $c = \mathrm{tr}\,G$",
    "anisotropy": r"$\mathrm{tr}\,T^2$ of $G = (c/k)(1 + T)$",
}


def anisotropy_trajectory(
    depth: int, gram, sigma_w, symmetry: str | Symmetry = "O(3)", activation="tanh"
) -> xr.Dataset:
    """Follow the capsule Gram matrix of one input through the layers of a wide O(k) network,

        G' = (1/N) sum_i E phi(x_i) phi(x_i)^T,      x_i Gaussian with covariance sigma_w^2 G.

    Its eigenvectors stay. Where c* > 0 it becomes isotropic: at large depth l, T of G = (c/k)(1 + T) falls as
    chi_gram^l, and tr T^2 as its square. Below the transition G itself falls as chi_gram^l, traceless part and trace
    alike: the layers become linear, and T tends to a constant.

    Parameters
    ----------
    depth : int >= 0
    gram : array_like (k, k)
        G at layer 0: symmetric, positive semi-definite, not zero.
    sigma_w : float
    symmetry : ``"O(k)"`` with k >= 2
    activation : one of the named ones

    Returns
    -------
    xarray.Dataset
        Over ``layer`` 0..depth: `gram` (layer, row, column), `c`, and `anisotropy` (tr T^2). Relative error of the
        eigenvalues below 1e-12 per layer, however far apart they are; but if `gram` is not diagonal, those below 4 k
        eps times the largest count as rounding errors of 0. Where c underflows, `gram` and `c` are 0, and `anisotropy`
        goes on.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or of the wrong shape.
    """
    symmetry, activation = _with_anisotropy(symmetry), as_named(activation, "an anisotropic capsule")
    depth, k = whole_number("depth", depth, 0), symmetry.capsule_dimension
    sigma_w = sigma_w_number(sigma_w, activation)
    gram = _one_input_gram(gram, k)
    preactivation_power(sigma_w, np.trace(gram))  # must not be too large
    powers, axes = spectrum(gram)
    scale, shape = _follow(depth, powers, sigma_w, activation)
    return _dataset(scale, shape, axes, sigma_w, symmetry, activation)


def _with_anisotropy(symmetry: str | Symmetry) -> Symmetry:
    symmetry = as_symmetry(symmetry)
    if not symmetry.keeps_anisotropy:
        raise ValueError(f"symmetry must be 'O(k)' with k >= 2, whose capsules can stay anisotropic; got '{symmetry}'")
    return symmetry


def _one_input_gram(gram, k: int) -> np.ndarray:
    gram = real_array("gram", gram)
    if gram.shape != (k, k):
        raise ValueError(f"gram must have shape {(k, k)}, got {gram.shape}")
    check_gram("gram", gram, components=k)
    if not gram.any():
        raise ValueError("gram must not be zero")
    return gram


def spectrum(matrix: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Eigenvalues of a positive semi-definite matrix, the largest last, and its eigenvectors.

    Those that rounding may have made of 0 are 0, since f = 1 takes their square root. A diagonal matrix keeps them all.
    """
    power, axes = np.linalg.eigh(matrix)
    is_diagonal = np.count_nonzero(matrix) == np.count_nonzero(np.diagonal(matrix))
    rounding = 0.0 if is_diagonal else _ROUNDING * len(matrix) * power[-1]
    return np.where(power > rounding, power, 0.0), axes


def eigenvalue_map(power: np.ndarray, activation: Activation) -> np.ndarray:
    """Eigenvalues of G' from those of S, shape (k,); each of them to full relative accuracy."""
    largest = power.max()
    if largest == 0.0:
        return np.zeros(power.shape)
    return _unit(largest, activation) * _relative_map(power / largest, largest, activation)


def _unit(largest: float, activation: Activation) -> float:
    """The unit of `_relative_map`: f = 1 forgets how large S was."""
    return 1.0 if activation.is_saturated else largest


def _relative_map(shape: np.ndarray, largest: float, activation: Activation) -> np.ndarray:
    """Eigenvalues of G' over `_unit`, from those of S, `largest` times `shape`, whose own largest is 1."""
    if activation.is_saturated:
        return _saturated_map(shape)
    x, weight = _nodes(activation, largest)
    log_stretch = np.log1p(np.multiply.outer(x, shape))
    return shape * ((weight * np.exp(-0.5 * log_stretch.sum(axis=1))) @ np.exp(-log_stretch))


def _saturated_map(shape: np.ndarray) -> np.ndarray:
    """f = 1, q dv = 2 v dv: a sum over u = log v up to where even the smallest eigenvalue has turned, in logarithms."""
    u, du = bent_grid(0.0, _ENDLESS - 0.5 * np.log(shape[shape > 0.0].min()), STEP)
    with np.errstate(divide="ignore"):  # an eigenvalue 0 stays 0
        log_x = np.add.outer(2.0 * u, np.log(shape))
    log_stretch = np.logaddexp(0.0, log_x)
    return du @ np.exp(log_x - log_stretch - 0.5 * log_stretch.sum(axis=1)[:, None])


def _nodes(activation: Activation, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x = 2 v^2 largest and weights q(v) dv, fit for components of every variance up to `largest`."""
    if activation.name == "erf":
        v, weight = erf_rule(scale_bucket(np.sqrt(2.0 * largest)))
        return 2.0 * largest * v**2, weight
    state = mixture_state(squared(activation), 1, np.array([largest]))
    return np.expm1(-state.log_beta[0]), state.density[0]


def _follow(depth: int, power: np.ndarray, sigma_w: float, activation: Activation) -> tuple[np.ndarray, np.ndarray]:
    """The largest eigenvalue of each layer, (depth + 1,), and all of them relative to it, (depth + 1, k).

    Where the largest underflows, the layers are linear to every digit, and the relative ones stay as they are.
    """
    scale, shape = np.zeros(depth + 1), np.zeros((depth + 1, power.size))
    scale[0] = power.max()
    shape[0] = power / scale[0]
    if sigma_w == 0.0:
        return scale, shape
    for layer in range(depth):
        with np.errstate(over="ignore"):  # a linear network explodes
            largest = float(times_square(sigma_w, scale[layer]))
            scale[layer + 1] = _unit(largest, activation)
        new = _relative_map(shape[layer], min(largest, LARGEST_S), activation)
        scale[layer + 1] *= new.max()
        shape[layer + 1] = new / new.max()
    return scale, shape


def _dataset(
    scale: np.ndarray, shape: np.ndarray, axes: np.ndarray, sigma_w: float, symmetry: Symmetry, activation: Activation
) -> xr.Dataset:
    mean = shape.mean(axis=1)[:, None]
    spread = np.sum(((shape - mean) / np.where(mean > 0.0, mean, 1.0)) ** 2, axis=1)
    direction = np.einsum("ia,la,ja->lij", axes, shape, axes)
    with np.errstate(over="ignore"):  # a linear network explodes
        c = scale * shape.sum(axis=1)
        gram = np.multiply(scale[:, None, None], direction, out=np.zeros_like(direction), where=direction != 0.0)
    out = xr.Dataset(
        {
            "gram": (("layer", "row", "column"), gram),
            "c": ("layer", c),
            "anisotropy": ("layer", spread),
        },
        coords={"layer": np.arange(len(scale))},
        attrs={"symmetry": str(symmetry), "activation": activation.name, "sigma_w": sigma_w},
    )
    for name, text in LONG_NAMES.items():
        out[name].attrs["long_name"] = text
    return out
