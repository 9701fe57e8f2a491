"""What the Gram matrix of a state says: order parameters c, overlaps Delta, phases phi and polar factors.

For D real components the Gram matrix of the inputs a, b has the D x D blocks

    Q_ab = (1/N) sum_i phi(z_{i,a}) phi(z_{i,b})^T,

and the complex number of Eq. (10) is C_ab = (1/N) sum_i phi(z_{i,a}) conj(phi(z_{i,b})) = Delta e^{i phi}.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from meanfield.symmetry import Symmetry, as_symmetry

from .statistics import mean_and_error


def order_parameters(samples: xr.Dataset) -> np.ndarray:
    """c_a = tr Q_aa (Eq. (6)) of each network, shape (network, sigma_w, layer, input)."""
    k = as_symmetry(samples.symmetry).capsule_dimension
    squares = np.diagonal(samples.gram.values, axis1=-2, axis2=-1)
    return squares.reshape(*squares.shape[:-1], -1, k).sum(-1)


def cross_block(samples: xr.Dataset, first: int = 0, second: int = 1) -> np.ndarray:
    """Q_ab of each network, shape (network, sigma_w, layer, D, D)."""
    k = as_symmetry(samples.symmetry).capsule_dimension
    return samples.gram.values[..., first * k : (first + 1) * k, second * k : (second + 1) * k]


def overlap(q: np.ndarray) -> np.ndarray:
    """tr Q: the real part of C_ab, and Delta where the two inputs are aligned."""
    return np.trace(q, axis1=-2, axis2=-1)


def turn(q: np.ndarray) -> np.ndarray:
    """Q_10 - Q_01, the antisymmetric part in the plane of the first two components: the imaginary part of C_ab."""
    return q[..., 1, 0] - q[..., 0, 1]


def polar_factor(q: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """The group element P that two inputs differ by, as far as the symmetry sees it; Delta = tr(P^T Q) >= 0 is left.

    U(1): the rotation by phi = arg C_ab, Eq. (10). O(k): U V^T of Q = U S V^T. generic: 1 or -1, the sign of tr Q.
    """
    if symmetry.family == "O":
        u, _, vt = np.linalg.svd(q)
        return u @ vt
    identity = np.eye(symmetry.capsule_dimension)
    if symmetry.family == "generic":
        return np.where(overlap(q) < 0, -1.0, 1.0)[..., None, None] * identity
    phi = np.arctan2(turn(q), overlap(q))[..., None, None]
    return np.cos(phi) * identity + np.sin(phi) * np.array([[0.0, -1.0], [1.0, 0.0]])


def in_frame(q: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """P^T Q: Q seen after undoing the group element P."""
    return np.swapaxes(frame, -1, -2) @ q


def summary(samples: xr.Dataset) -> xr.Dataset:
    """Means over independent networks, with standard errors.

    Parameters
    ----------
    samples : as :func:`simulate.sample_networks` returns them; at least two networks.

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w`` and ``layer``, each with its standard error `<name>_se`: `gram`; `c` and `d` (..., input);
        and between the first two inputs, where there are two, `delta` = |E C_12| (for O(k) the sum of the singular
        values of E Q, for generic |E tr Q|) and for U(1) `phi` = arg E C_12, NaN where C_12 vanishes.

    Raises
    ------
    ValueError
        For a single network, which has no standard error.
    """
    symmetry = as_symmetry(samples.symmetry)
    leading = ("sigma_w", "layer")
    values = {
        "gram": ((*leading, "row", "column"), samples.gram.values),
        "c": ((*leading, "input"), order_parameters(samples)),
        "d": ((*leading, "input"), samples.d.values),
    }
    if samples.sizes["input"] > 1:
        q = cross_block(samples)
        aligned = in_frame(q, polar_factor(q.mean(axis=0), symmetry))
        values["delta"] = (leading, overlap(aligned))
        if symmetry.family == "U(1)":
            values["phi"] = (leading, _phases(q, aligned))
    out = xr.Dataset(coords=samples.drop_dims("network").coords, attrs=samples.attrs)
    for name, (dims, value) in values.items():
        mean, error = mean_and_error(value)
        out[name], out[f"{name}_se"] = (dims, mean), (dims, error)
    return out.assign_attrs(n_networks=samples.sizes["network"])


def _phases(q: np.ndarray, aligned: np.ndarray) -> np.ndarray:
    """Values whose mean is arg E C_12, and whose scatter is that of the phase to first order in 1/sqrt(networks)."""
    mean = q.mean(axis=0)
    with np.errstate(invalid="ignore", divide="ignore"):
        return np.arctan2(turn(mean), overlap(mean)) + turn(aligned) / overlap(aligned).mean(axis=0)
