"""How the Gram matrix of one input becomes isotropic, for O(k).

Weights w times the identity on each capsule carry one input's capsule Gram matrix G = (1/N) sum_i phi(x_i) phi(x_i)^T,
k x k, from layer to layer; a trained or structured input layer can make it anything. U(1) and generic networks make it
isotropic in a single layer. With (f/r)^2 as a mixture of Gaussians (`meanfield.squared`) and S = sigma_w^2 G,

    G' = E[f(r)^2 x x^T/r^2] = int q(v) S (1 + 2 v^2 S)^-1 det(1 + 2 v^2 S)^(-1/2) dv.

G' has the eigenvectors of G, and each eigenvalue a sum of positive terms. Near isotropy, G = (c/k)(1 + T), the linear
part of this is T' = chi_gram T with chi_gram = k <f^2 r^2>/((k+2) s c') (:class:`meanfield.DepthScales`): the average
of x_i x_j x_l x_m is <r^4>/(k (k+2)) times the three pairings. What width N adds to T is in `meanfield.fluctuations`.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .activations import Activation, as_named
from .checks import check_positive, real_array, sigma_w_array, whole_number
from .mixture import STEP, mixture_state
from .quadrature import bent_grid, scale_bucket
from .squared import erf_rule, squared
from .symmetry import Symmetry, as_symmetry

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

    Its eigenvectors stay, and it becomes isotropic: T of G = (c/k)(1 + T) falls as chi_gram^l, tr T^2 as its square.

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
        eigenvalues below 1e-12 per layer.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or of the wrong shape.
    """
    symmetry, activation = _with_anisotropy(symmetry), as_named(activation, "an anisotropic capsule")
    depth, k = whole_number("depth", depth, 0), symmetry.capsule_dimension
    sigma_w = sigma_w_array(sigma_w, activation)
    if sigma_w.ndim:
        raise ValueError(f"sigma_w must be one number here, got an array of shape {sigma_w.shape}")
    powers, axes = np.linalg.eigh(_one_input_gram(gram, k))
    path = [np.maximum(powers, 0.0)]
    for _ in range(depth):
        path.append(_eigenvalue_map(sigma_w**2 * path[-1], activation))
    return _dataset(np.stack(path), axes, float(sigma_w), symmetry, activation)


def _with_anisotropy(symmetry: str | Symmetry) -> Symmetry:
    symmetry = as_symmetry(symmetry)
    if not symmetry.keeps_anisotropy:
        raise ValueError(f"symmetry must be 'O(k)' with k >= 2, whose capsules can stay anisotropic; got '{symmetry}'")
    return symmetry


def _one_input_gram(gram, k: int) -> np.ndarray:
    gram = real_array("gram", gram)
    if gram.shape != (k, k):
        raise ValueError(f"gram must have shape {(k, k)}, got {gram.shape}")
    check_positive("gram", gram)
    if not gram.any():
        raise ValueError("gram must not be zero")
    return gram


def _eigenvalue_map(power: np.ndarray, activation: Activation) -> np.ndarray:
    """Eigenvalues of G' from those of S, shape (k,)."""
    largest = power.max()
    if largest == 0.0:
        return np.zeros(power.shape)
    x, weight = _nodes(activation, largest)
    stretch = 1.0 + np.multiply.outer(x, power / largest)
    return power * ((weight / np.sqrt(np.prod(stretch, axis=1))) @ (1.0 / stretch))


def _nodes(activation: Activation, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x = 2 v^2 largest and weights q(v) dv, fit for components of every variance up to `largest`."""
    if activation.name == "saturated":
        u, du = bent_grid(0.0, _ENDLESS, STEP)
        x = np.exp(2.0 * u)
        return x, x * du / largest  # q dv = 2 v dv
    if activation.name == "erf":
        v, weight = erf_rule(scale_bucket(np.sqrt(2.0 * largest)))
        return 2.0 * largest * v**2, weight
    state = mixture_state(squared(activation), 1, np.array([largest]))
    return np.expm1(-state.log_beta[0]), state.density[0]


def _dataset(path: np.ndarray, axes: np.ndarray, sigma_w: float, symmetry: Symmetry, activation: Activation):
    c = path.sum(axis=1)
    mean = np.where(c > 0.0, c, 1.0) / path.shape[1]
    spread = np.sum((path - c[:, None] / path.shape[1]) ** 2, axis=1) / mean**2
    out = xr.Dataset(
        {
            "gram": (("layer", "row", "column"), np.einsum("ia,la,ja->lij", axes, path, axes)),
            "c": ("layer", c),
            "anisotropy": ("layer", spread),
        },
        coords={"layer": np.arange(len(path))},
        attrs={"symmetry": str(symmetry), "activation": activation.name, "sigma_w": sigma_w},
    )
    for name, text in LONG_NAMES.items():
        out[name].attrs["long_name"] = text
    return out
