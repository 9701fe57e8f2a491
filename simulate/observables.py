"""What the Gram matrix of a state says: order parameters c, overlaps Delta, phases phi and polar factors.

For D real components the Gram matrix of the inputs a, b has the D x D blocks

    Q_ab = (1/N) sum_i phi(z_{i,a}) phi(z_{i,b})^T,

and the complex number of Eq. (10) is C_ab = (1/N) sum_i phi(z_{i,a}) conj(phi(z_{i,b})) = Delta e^{i phi}.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import xarray as xr

from meanfield.symmetry import Symmetry, as_symmetry

from .statistics import require_networks
from .streaming import Moments


def order_parameters(samples: xr.Dataset) -> np.ndarray:
    """c_a = tr Q_aa (Eq. (6)) of each network, shape (network, sigma_w, layer, input)."""
    return _traces(samples.gram.values, _symmetry(samples).capsule_dimension)


def cross_block(samples: xr.Dataset, first: int = 0, second: int = 1) -> np.ndarray:
    """Q_ab of each network, shape (network, sigma_w, layer, D, D)."""
    k = _symmetry(samples).capsule_dimension
    return samples.gram.values[..., first * k : (first + 1) * k, second * k : (second + 1) * k]


def overlap(q: np.ndarray) -> np.ndarray:
    """tr Q: the real part of C_ab, and Delta where the two inputs are aligned."""
    return np.trace(q, axis1=-2, axis2=-1)


def turn(q: np.ndarray) -> np.ndarray:
    """Q_10 - Q_01, the antisymmetric part in the plane of the first two components: the imaginary part of C_ab."""
    return q[..., 1, 0] - q[..., 0, 1]


def group_element(q: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """The group element P that two inputs differ by, as far as the symmetry sees it; Delta = tr(P^T Q) >= 0 is left.

    U(1): the rotation by phi = arg C_ab, Eq. (10). O(k): U V^T of Q = U S V^T. generic: 1 or -1, the sign of tr Q.
    """
    if symmetry.family == "O":
        return _polar_factor(q)
    identity = np.eye(symmetry.capsule_dimension)
    if symmetry.family == "generic":
        return np.where(overlap(q) < 0, -1.0, 1.0)[..., None, None] * identity
    phi = np.arctan2(turn(q), overlap(q))[..., None, None]
    return np.cos(phi) * identity + np.sin(phi) * np.array([[0.0, -1.0], [1.0, 0.0]])


def _polar_factor(q: np.ndarray) -> np.ndarray:
    """U V^T as in :func:`meanfield.polar_factor`; where Q is singular, one of those that fit."""
    u, _, vt = np.linalg.svd(q)
    return u @ vt


def polar_angles(q: np.ndarray) -> np.ndarray:
    """The D (D-1)/2 angles in radians by which the polar factor of Q turns each plane of two components.

    To second order in the angles: they are the entries below the diagonal of the polar factor's antisymmetric part.
    U(1) has one angle, whose exact value is phi (`turn`, `overlap`).

    Parameters
    ----------
    q : (..., D, D), in a frame where the factor is close to the identity (:func:`in_frame`)

    Returns
    -------
    (..., D (D-1)/2)
    """
    factor = _polar_factor(q)
    rows, columns = np.tril_indices(q.shape[-1], -1)
    return 0.5 * (factor[..., rows, columns] - factor[..., columns, rows])


def in_frame(q: np.ndarray, frame: np.ndarray) -> np.ndarray:
    """P^T Q: Q seen after undoing the group element P."""
    return np.swapaxes(frame, -1, -2) @ q


def measurements(
    gram: np.ndarray, d: np.ndarray, symmetry: Symmetry, frame: np.ndarray | None
) -> dict[str, np.ndarray]:
    """What is averaged over networks: numbers of each network, (network, sigma_w, layer, ...).

    Parameters
    ----------
    gram, d : as a sampler yields them
    frame : (D, D), the group element that the first two inputs differ by at layer 0; None for a single input

    Returns
    -------
    dict
        `gram`, `c` and `d`; and between the first two inputs `overlap` = tr(P^T Q) in the frame P, `magnitude`, the
        |C_12| of each network (for O(k) the sum of the singular values of Q, for generic |tr Q|); for U(1) and O(k),
        k >= 2, `coherence`, tr(P_0^T P_l)/k of a network's own polar factors; and for U(1) `turn`, the imaginary part
        of C_12 in the frame, and `drift`, the angle in radians from a network's own C_12^0 to its C_12^l. The last and
        `coherence` are NaN where C_12 vanishes.
    """
    k = symmetry.capsule_dimension
    out = {"gram": gram, "c": _traces(gram, k), "d": d}
    if frame is None:
        return out
    q = gram[..., :k, k : 2 * k]
    factor = group_element(q, symmetry)
    out["overlap"] = overlap(in_frame(q, frame))
    out["magnitude"] = np.abs(overlap(in_frame(q, factor)))
    alive = out["magnitude"] > 0.0
    if symmetry.conserves_angles:
        kept = overlap(in_frame(factor, factor[:, :, :1])) / k
        out["coherence"] = np.where(alive & alive[:, :, :1], kept, np.nan)
    if symmetry.family == "U(1)":
        out["turn"] = turn(in_frame(q, frame))
        own = in_frame(q, factor[:, :, :1])
        out["drift"] = np.where(alive, np.arctan2(turn(own), overlap(own)), np.nan)
    return out


def summary(samples: xr.Dataset) -> xr.Dataset:
    """Means and variances over independent networks, with standard errors.

    Parameters
    ----------
    samples : as :func:`simulate.sample_networks` returns them; at least two networks. Several runs are joined by
        ``xr.concat(runs, "network", combine_attrs="drop_conflicts")``: by default xarray would tell the seed of the
        first one as that of all.

    Returns
    -------
    xarray.Dataset
        As :func:`simulate.ensemble_statistics` returns it, in the frame of the sampled mean C_12 at layer 0, since
        samples do not know their inputs: where that is lost in noise, `overlap` is positive like `delta`.

    Raises
    ------
    ValueError
        For what is no samples; for a single network, which has no standard error, and for runs joined of different
        symmetries.
    """
    _require_samples(samples)
    require_networks("samples", samples.sizes["network"])
    symmetry = _symmetry(samples)
    frame = None
    if samples.sizes["input"] > 1:
        frame = group_element(cross_block(samples)[:, 0, 0].mean(axis=0), symmetry)
    values = measurements(samples.gram.values, samples.d.values, symmetry, frame)
    # what `measure` has seen of modules has no weight scale
    coordinates = {name: samples[name] for name in ("sigma_w", "layer") if name in samples.coords}
    moments = {name: Moments.of(value) for name, value in values.items()}
    return averages(moments, symmetry, frame, coordinates, samples.attrs)


def _require_samples(samples) -> None:
    leading = ("network", "sigma_w", "layer")
    wanted = {name: (*leading, *_TRAILING[name]) for name in ("gram", "d")}
    told = ", ".join(f"{name} ({', '.join(dims)})" for name, dims in wanted.items())
    if not isinstance(samples, xr.Dataset):
        raise ValueError(f"samples must be a dataset of {told}, got {samples!r}")
    if any(name not in samples or samples[name].dims != dims for name, dims in wanted.items()):
        found = ", ".join(f"{name} ({', '.join(map(str, one.dims))})" for name, one in samples.data_vars.items())
        raise ValueError(
            f"samples must be of single networks, a dataset of {told}, as simulate.sample_networks returns it, "
            f"got {found or 'none'}"
        )


def averages(
    moments: Mapping[str, Moments], symmetry: Symmetry, frame: np.ndarray | None, coordinates: Mapping, attrs: Mapping
) -> xr.Dataset:
    """Moments of the `measurements` as labelled means, variances and standard errors."""
    leading = ("sigma_w", "layer")
    out = xr.Dataset(coords=coordinates, attrs={**attrs, "n_networks": moments["c"].count})
    for name, value in moments.items():
        dims = (*leading, *_TRAILING.get(name, ()))
        told = _LONG_NAMES[name]
        out[name] = (dims, value.mean, {"long_name": told})
        out[f"{name}_se"] = (dims, value.standard_error, {"long_name": f"standard error of {told}"})
        if name != "gram":
            told = f"variance between networks of {told}"
            out[f"{name}_var"] = (dims, value.variance, {"long_name": told})
            out[f"{name}_var_se"] = (dims, value.variance_error, {"long_name": f"standard error of the {told}"})
    if frame is not None:
        _add_delta(out, symmetry, frame)
    return out


def _add_delta(out: xr.Dataset, symmetry: Symmetry, frame: np.ndarray) -> None:
    """Delta and phi of the mean C_12; their errors are those along and across the frame, to first order."""
    k, leading = symmetry.capsule_dimension, ("sigma_w", "layer")
    q = out.gram.values[..., :k, k : 2 * k]
    delta = overlap(in_frame(q, group_element(q, symmetry)))
    out["delta"] = (leading, delta, {"long_name": r"covariance $\Delta^l$ of two inputs"})
    out["delta_se"] = (leading, out.overlap_se.values, {"long_name": "standard error of Delta"})
    if symmetry.family == "U(1)":
        phi = np.where(delta > 0.0, np.arctan2(turn(q), overlap(q)), np.nan)
        error = np.divide(out.turn_se.values, delta, out=np.full(delta.shape, np.nan), where=delta > 0.0)
        out["phi"] = (leading, phi, {"long_name": r"phase $\varphi^l$", "units": "rad"})
        out["phi_se"] = (leading, error, {"long_name": "standard error of phi", "units": "rad"})


def _symmetry(samples: xr.Dataset) -> Symmetry:
    if "symmetry" not in samples.attrs:
        raise ValueError(f"samples must be of one symmetry, which their attributes name, got {list(samples.attrs)}")
    return as_symmetry(samples.symmetry)


def _traces(gram: np.ndarray, k: int) -> np.ndarray:
    squares = np.diagonal(gram, axis1=-2, axis2=-1)
    return squares.reshape(*squares.shape[:-1], -1, k).sum(-1)


_TRAILING = {"gram": ("row", "column"), "c": ("input",), "d": ("input",)}
_LONG_NAMES = {
    "gram": "Gram matrix, rows (input, component)",
    "c": "order parameter $c^l$",
    "d": "pre-activation order parameter $d^l$",
    "overlap": "overlap of two inputs in the frame of layer 0",
    "turn": "overlap of two inputs across the frame of layer 0",
    "magnitude": "size of the overlap in a single network",
    "coherence": r"$\mathrm{tr}(P_0^T P_l)/k$, what is left of the group element between two inputs in a network",
    "drift": "phase since layer 0 in a single network (rad)",
}
