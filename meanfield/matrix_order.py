"""The matrix order parameter of O(k): what a capsule carries besides one number.

With weights w times the identity on each capsule, Eq. (19), the preactivations of two inputs have the 2k x 2k
covariance sigma_w^2 Q_ab, made of the k x k blocks Q_ab = (1/N) sum_i E phi(x_{i,a}) phi(x_{i,b})^T. Through the
Gaussian mixture of the activation (see `meanfield.mixture`) one layer of the recursion is, with S the covariance, V =
diag(v_1^2, v_2^2) (x) 1_k and M = (1 + 2 S V)^-1 S,

    Q'_ab = int int p(v_1) p(v_2) M_ab det(1 + 2 S V)^(-1/2) dv_1 dv_2.

When the diagonal blocks are isotropic, (c/k) 1, the singular vectors of Q = U diag(S) V^T are conserved, and with
rho_a = k S_a/c each singular value follows

    S'_a = (s/k) rho_a int int p p (beta_1 beta_2)^(k/2+1) (1 - rho_a^2 alpha_1 alpha_2)^-1
           prod_b (1 - rho_b^2 alpha_1 alpha_2)^(-1/2) dv_1 dv_2.

The conserved polar factor U V^T in O(k) is what generalises the conserved phase phi of U(1), Eq. (11): k(k-1)/2 angles
(and a sign) instead of one. A generic network with the same activation transmits tr Q alone.
"""

from __future__ import annotations

import numpy as np

from . import mixture
from .activations import Activation, as_named
from .anisotropy import eigenvalue_map, spectrum
from .checks import (
    ROUNDING_OF_A_LAYER,
    broadcast,
    check_gram,
    preactivation_power,
    real_array,
    sigma_w_array,
    sigma_w_number,
    times_square,
)
from .chunks import chunks
from .maps import length_map
from .symmetry import Symmetry, as_symmetry

_CHUNK = 2_000_000  # numbers per temporary array
_ROUNDING_OF_ONE = 16.0 * np.finfo(float).eps  # of rho = 1: a singular value decomposition leaves up to 12 eps


def _orthogonal(symmetry: str | Symmetry) -> Symmetry:
    symmetry = as_symmetry(symmetry)
    if symmetry.family != "O":
        raise ValueError(f"symmetry must be 'O(k)' here, got '{symmetry}'")
    return symmetry


def singular_value_map(singular, c, sigma_w, symmetry: str | Symmetry = "O(3)", activation="tanh") -> np.ndarray:
    """One layer of the singular values of Q, for isotropic diagonal blocks (c/k) 1.

    Parameters
    ----------
    singular : array_like (..., k)
        Singular values of Q (a negative one stands for a reflection), each at most c/k in size.
    c, sigma_w : array_like (...), >= 0
        Order parameter of both inputs, and weight scale.
    symmetry : ``"O(k)"``
    activation : one of the named ones

    Returns
    -------
    ndarray (..., k). Relative error below 1e-12 for sigma_w in [1e-3, 1e3]; every k. A size k S_a/c within 16 roundings
    (3.6e-15) of 1 counts as 1; where all do, the result is c'/k by :func:`length_map`, with the signs of `singular`.

    Raises
    ------
    ValueError
        If the last axis is not k, a singular value exceeds c/k, or symmetry is not O(k).
    """
    symmetry, activation = _orthogonal(symmetry), as_named(activation, "a matrix order parameter")
    k = symmetry.capsule_dimension
    singular = real_array("singular", singular)
    if singular.ndim == 0 or singular.shape[-1] != k:
        raise ValueError(f"singular must have a last axis of length k = {k}, got shape {singular.shape}")
    c, sigma_w = real_array("c", c, minimum=0.0), sigma_w_array(sigma_w, activation)
    given = c, sigma_w
    _, c, sigma_w = broadcast(singular=singular[..., 0], c=c, sigma_w=sigma_w)
    batch, c, sigma_w = c.shape, c.ravel(), sigma_w.ravel()
    singular = np.broadcast_to(singular, (*batch, k)).reshape(-1, k)
    rho = _relative(singular, c, k)
    s = preactivation_power(sigma_w, c)
    # phi(0) = 0: a capsule at zero has no direction to overlap with, and f = 1 no mixture there
    state = mixture.mixture_state(activation, k, np.where(s > 0.0, s, 1.0) if activation.is_saturated else s)
    new = (s / k)[:, None] * np.stack([_one_singular_map(state, i, row) for i, row in enumerate(rho)])
    identical = np.all(np.abs(rho) == 1.0, axis=1)
    # of the arguments as given, so that a caller finds the same to the last digit
    lengths = np.broadcast_to(length_map(*given, symmetry, activation), batch).reshape(-1, 1)
    return np.where(identical[:, None], lengths / k * rho, new).reshape((*batch, k))


def _relative(singular: np.ndarray, c: np.ndarray, k: int) -> np.ndarray:
    """rho = k S/c, shape (m, k), and 0 where c is.

    Identical inputs stay identical: a rounding error of rho = 1 would grow as chi_jacobian^depth, and is taken off.
    """
    beyond = np.any(k * np.abs(singular) > c[:, None] * (1.0 + 1e-14), axis=1)
    if beyond.any():
        first = np.flatnonzero(beyond)[0]
        worst, norm = np.abs(singular[first]).max(), c[first]
        raise ValueError(
            "singular, or the singular values of q, must be at most c/k in size, "
            f"got {worst:.6g} with c = {norm:.6g}, k = {k}"
        )
    rho = np.divide(k * singular, c[:, None], out=np.zeros_like(singular), where=c[:, None] > 0)
    return np.where(np.abs(rho) >= 1.0 - _ROUNDING_OF_ONE, np.sign(rho), rho)


def _one_singular_map(state: mixture.MixtureState, i: int, rho: np.ndarray) -> np.ndarray:
    log_beta, density = state.log_beta[i], state.density[min(i, state.density.shape[0] - 1)]
    alpha, beta = -np.expm1(log_beta), np.exp(log_beta)
    z = alpha[:, None] * alpha
    one_minus_z = beta[:, None] + alpha[:, None] * beta
    # 1 - rho^2 z without cancellation, (m, n, k)
    lack = one_minus_z[..., None] + ((1.0 - rho) * (1.0 + rho)) * z[..., None]
    log_weight = state.power * (log_beta[:, None] + log_beta) - 0.5 * np.sum(np.log(lack), axis=-1)
    weight = density[:, None] * density * np.exp(log_weight)
    return rho * np.einsum("mn,mnk->k", weight, 1.0 / lack)


def matrix_correlation_map(q, c, sigma_w, symmetry: str | Symmetry = "O(3)", activation="tanh") -> np.ndarray:
    """One layer of the cross block Q (..., k, k) of two inputs, for isotropic diagonal blocks (c/k) 1.

    Q = U diag(S) V^T keeps U and V; the singular values follow :func:`singular_value_map`. Acting with the group on the
    inputs, Q -> g_1 Q g_2^T, commutes with it.

    Parameters
    ----------
    q : array_like (..., k, k)
        Singular values are at most c/k.
    c, sigma_w, symmetry, activation : as in :func:`singular_value_map`

    Returns
    -------
    ndarray (..., k, k)

    Raises
    ------
    ValueError
        If q is not (..., k, k), or a singular value exceeds c/k.
    """
    k = _orthogonal(symmetry).capsule_dimension
    q = real_array("q", q)
    if q.ndim < 2 or q.shape[-2:] != (k, k):
        raise ValueError(f"q must have shape (..., {k}, {k}), got {q.shape}")
    left, singular, right = np.linalg.svd(q)
    new = singular_value_map(singular, c, sigma_w, symmetry, activation)
    return (left * new[..., None, :]) @ right


def polar_factor(q) -> np.ndarray:
    """U V^T in O(k) for Q = U diag(S) V^T, shape (..., k, k): the conserved generalisation of the phase phi.

    Raises
    ------
    ValueError
        If q is not (..., k, k) or is singular, so that the factor is not unique.
    """
    q = real_array("q", q)
    if q.ndim < 2 or q.shape[-1] != q.shape[-2]:
        raise ValueError(f"q must have shape (..., k, k), got {q.shape}")
    left, singular, right = np.linalg.svd(q)
    if np.any(singular[..., -1] <= q.shape[-1] * np.finfo(float).eps * singular[..., 0]):
        raise ValueError("q must have full rank for its polar factor to be unique, got a singular matrix")
    return left @ right


def matrix_gram_map(gram, sigma_w, symmetry: str | Symmetry = "O(3)", activation="tanh") -> np.ndarray:
    """One layer of the whole Gram matrix of B inputs, as k x k blocks Q_ab: nothing isotropic is assumed.

    Parameters
    ----------
    gram : array_like (B, B, k, k)
        gram[a, b] = (1/N) sum_i E phi(x_{i,a}) phi(x_{i,b})^T; gram[b, a] = gram[a, b]^T.
    sigma_w : float
        Weight scale, >= 0.
    symmetry : ``"O(k)"``, or ``"generic(k)"``, which transmits the traces tr Q_ab alone and returns isotropic blocks.
    activation : one of the named ones

    Returns
    -------
    ndarray (B, B, k, k). Identical inputs, and opposite ones, stay that exactly. Error of a block below 1e-12 of its
    norm for sigma_w in [1e-3, 1e3] and any rank of gram, unless rounding of gram alone does more: with f = 1, or near
    sigma_w = 1e3, the image depends on square roots of the small eigenvalues of two inputs' 2k x 2k matrix. One of
    relative size e costs about 1e-15/sqrt(e). Below 8 k eps it counts as 0, which costs at most sqrt(k) 1e-7 (where
    capsules are all but one-dimensional, and 1e-13 where they are isotropic).

    Raises
    ------
    ValueError
        If gram has another shape, is not symmetric, or is not positive semi-definite; where sigma_w^2 c is above 1e300.
    """
    symmetry, activation = as_symmetry(symmetry), as_named(activation, "a matrix order parameter")
    if symmetry.family == "U(1)":
        raise ValueError("symmetry must be 'O(k)' or 'generic(k)' here; for 'U(1)' use gram_map with a complex matrix")
    k = symmetry.capsule_dimension
    sigma_w = sigma_w_number(sigma_w, activation)
    gram = real_array("gram", gram)
    if gram.ndim != 4 or gram.shape[0] != gram.shape[1] or gram.shape[2:] != (k, k):
        raise ValueError(f"gram must have shape (B, B, {k}, {k}), got {gram.shape}")
    inputs = gram.shape[0]
    rows = gram.transpose(0, 2, 1, 3).reshape(inputs * k, inputs * k)
    check_gram("gram", rows, ROUNDING_OF_A_LAYER, components=k)
    preactivation_power(sigma_w, np.trace(np.einsum("aaij->aij", gram), axis1=1, axis2=2))  # must not be too large
    if symmetry.family == "generic":
        gram = np.trace(gram, axis1=2, axis2=3)[:, :, None, None] * np.eye(k) / k
    covariance = times_square(sigma_w, gram)
    out = np.empty(gram.shape)
    for a in range(inputs):
        power, axes = spectrum(covariance[a, a])
        new = (axes * eigenvalue_map(power, activation)) @ axes.T
        out[a, a] = (new + new.T) / 2.0
        for b in range(a):
            blocks = covariance[a, a], covariance[b, b], covariance[a, b]
            sign = _identity(*blocks)
            out[a, b] = sign * out[a, a] if sign else _block_map(activation, k, *blocks)
            out[b, a] = out[a, b].T
    return out


def _identity(own: np.ndarray, other: np.ndarray, cross: np.ndarray) -> int:
    """1 for an input and itself, -1 for an input and its opposite, 0 for any other two.

    The first two stay that exactly: a rounding error between them would grow as chi_jacobian^depth.
    """
    if not np.array_equal(own, other):
        return 0
    return int(np.array_equal(own, cross)) or -int(np.array_equal(own, -cross))


def _block_map(activation: Activation, k: int, own: np.ndarray, other: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """E phi(x_1) phi(x_2)^T for preactivations with covariance blocks S_11, S_22, S_12.

    With S_11 = U diag(l) U^T let x_1 = U diag(l)^(1/2) y and x_2 = B y + noise of covariance N. The weight
    exp(-v_1^2 r_1^2) leaves y_j the variance 1/h_j, h = 1 + 2 v_1^2 l, and x_2 the covariance W:

        W = N + B diag(1/h) B^T,   M_21 = (1 + 2 v_2^2 W)^-1 B diag(l^(1/2)/h) U^T,
        det(1 + 2 S V) = det(1 + 2 v_2^2 W) prod_j h_j.

    W is a sum of positive terms: nothing cancels, as it would in (1 + 2 S V)^-1 for nearly identical inputs.
    """
    (power, axes), (other_power, other_axes) = spectrum(own), spectrum(other)
    scale, other_scale = power[-1], other_power[-1]
    if scale == 0.0 or other_scale == 0.0:
        return np.zeros((k, k))
    size = np.sqrt(scale) * np.sqrt(other_scale)
    # a component without variance has no covariance: what rounding leaves of one would add up from layer to layer
    alive = np.logical_and.outer(power > 0.0, other_power > 0.0)
    cross = np.where(alive, axes.T @ (cross / size) @ other_axes, 0.0)
    frame, root, slope, noise = _given_first(power / scale, other_power / other_scale, cross)
    x, density = _nodes(activation, k, scale)
    y, other_density = _nodes(activation, k, other_scale)
    total = np.zeros((k, k))
    for part in chunks(x.size, k * max(2 * k, y.size), _CHUNK):
        total += _sum_of_nodes((x[part], density[part]), (y, other_density), root, slope, noise)
    return size * axes @ frame @ total.T @ other_axes.T


def _given_first(own: np.ndarray, other: np.ndarray, cross: np.ndarray) -> tuple[np.ndarray, ...]:
    """U, l^(1/2), B and N^(1/2) for a cross block between blocks diag(own) and diag(other).

    They come from a factor of the whole matrix: it is right to eps whatever the rank, which S_22 - B B^T is not where
    S_11 is nearly singular.
    """
    k = own.size
    power, axes = spectrum(np.block([[np.diag(own), cross], [cross.T, np.diag(other)]]))
    factor = axes * np.sqrt(power)
    frame, root, back = np.linalg.svd(factor[:k])
    mixed = factor[k:] @ back.T
    slope, noise = mixed[:, :k], mixed[:, k:]
    # the factor gives B to eps, S_12 to eps |S_12|/root: relative to B where B is small
    small = np.linalg.norm(cross, 2) < root
    return frame, root, np.where(small, cross.T @ frame / np.where(small, root, 1.0), slope), noise


def _sum_of_nodes(first, second, root: np.ndarray, slope: np.ndarray, noise: np.ndarray) -> np.ndarray:
    """int int p p M_21 det^(-1/2) dv_1 dv_2, without U, from nodes 2 v^2 and weights p dv of either input.

    (1 + 2 v_2^2 W)^-1 enters by the singular values of (N^(1/2), B diag(h)^(-1/2)): W itself, whose eigenvalues span up
    to 1e35 for f = 1, would lose the small ones.
    """
    (x, density), (y, other_density) = first, second
    log_h = np.log1p(np.multiply.outer(x, root**2))
    weight = density * np.exp(-0.5 * log_h.sum(axis=1))
    moving = slope * np.exp(-0.5 * log_h)[:, None, :]
    still = np.broadcast_to(noise, moving.shape)
    turn, singular, _ = np.linalg.svd(np.concatenate([still, moving], axis=2), full_matrices=False)
    log_stretch = np.log1p(np.square(singular)[:, None, :] * y[:, None])
    other_weight = other_density * np.exp(-0.5 * log_stretch.sum(axis=2))
    gain = np.einsum("nm,nmj->nj", other_weight, np.exp(-log_stretch))
    projected = turn.transpose(0, 2, 1) @ slope
    return np.einsum("n,nij,nj,njb,nb->ib", weight, turn, gain, projected, root * np.exp(-log_h), optimize=True)


def _nodes(activation: Activation, k: int, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """Nodes x = 2 v^2 largest and weights p(v) dv of the mixture, for variances up to `largest`."""
    # an anisotropic capsule of f = 1 can be all but one-dimensional: its nodes must reach as far as those of k = 1
    dimension = 1 if activation.is_saturated else k
    state = mixture.mixture_state(activation, dimension, np.array([largest * dimension]))
    return np.expm1(-state.log_beta[0]), state.density[0]
