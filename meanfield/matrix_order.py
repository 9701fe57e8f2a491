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
from .checks import broadcast, check_positive, preactivation_power, real_array, sigma_w_array
from .symmetry import Symmetry, as_symmetry

_CHUNK = 2_000_000  # numbers per temporary array
_ROUNDING = 4.0 * np.finfo(float).eps


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
    c, sigma_w : array_like (...)

    Returns
    -------
    ndarray (..., k). Relative error below 1e-12 for sigma_w in [1e-3, 1e3]; every k.

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
    _, c, sigma_w = broadcast(singular=singular[..., 0], c=c, sigma_w=sigma_w)
    batch, c, sigma_w = c.shape, c.ravel(), sigma_w.ravel()
    singular = np.broadcast_to(singular, (*batch, k)).reshape(-1, k)
    if np.any(k * np.abs(singular) > c[:, None] * (1.0 + 1e-14)):
        worst = np.abs(singular).max()
        raise ValueError(f"singular values of Q must be at most c/k, got {worst:.6g} with c = {c.max():.6g}, k = {k}")
    rho = np.clip(np.divide(k * singular, c[:, None], out=np.zeros_like(singular), where=c[:, None] > 0), -1.0, 1.0)
    s = preactivation_power(sigma_w, c)
    # phi(0) = 0: a capsule at zero has no direction to overlap with, and f = 1 no mixture there
    state = mixture.mixture_state(activation, k, np.where(s > 0.0, s, 1.0) if np.isinf(activation.slope) else s)
    new = np.stack([_one_singular_map(state, i, row) for i, row in enumerate(rho)])
    return ((s / k)[:, None] * new).reshape((*batch, k))


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
    symmetry : ``"O(k)"``, or ``"generic(k)"``, which transmits the traces tr Q_ab alone and returns isotropic blocks.

    Returns
    -------
    ndarray (B, B, k, k).

    Raises
    ------
    ValueError
        If gram has another shape, is not symmetric, or is not positive semi-definite.
    """
    symmetry, activation = as_symmetry(symmetry), as_named(activation, "a matrix order parameter")
    if symmetry.family == "U(1)":
        raise ValueError("symmetry must be 'O(k)' or 'generic(k)' here; for 'U(1)' use gram_map with a complex matrix")
    k = symmetry.capsule_dimension
    sigma_w = sigma_w_array(sigma_w, activation)
    if sigma_w.ndim:
        raise ValueError(f"sigma_w must be one number here, got an array of shape {sigma_w.shape}")
    gram = real_array("gram", gram)
    if gram.ndim != 4 or gram.shape[0] != gram.shape[1] or gram.shape[2:] != (k, k):
        raise ValueError(f"gram must have shape (B, B, {k}, {k}), got {gram.shape}")
    inputs = gram.shape[0]
    flat = gram.transpose(0, 2, 1, 3).reshape(inputs * k, inputs * k)
    check_positive("gram", flat)
    if symmetry.family == "generic":
        gram = np.trace(gram, axis1=2, axis2=3)[:, :, None, None] * np.eye(k) / k
    out = np.empty(gram.shape)
    for a in range(inputs):
        for b in range(a + 1):
            blocks = (sigma_w**2 * gram[i, j] for i, j in ((a, a), (b, b), (a, b)))
            out[a, b] = _block_map(activation, k, *blocks)
            out[b, a] = out[a, b].T
    return out


def _block_map(activation: Activation, k: int, own: np.ndarray, other: np.ndarray, cross: np.ndarray) -> np.ndarray:
    """E phi(x_1) phi(x_2)^T for preactivations with covariance blocks S_11, S_22, S_12.

    With x_2 = A x_1 + noise, S_11 = L L^T, B = A L = S_21 L^-T and N = S_22 - B B^T the covariance of the noise,

        M_12 = L K^-1 B^T H,   det(1 + 2 S V) = det(K)/det(H),   H = (1 + 2 v_2^2 N)^-1,
        K = 1 + 2 v_1^2 L^T L + 2 v_2^2 B^T H B,

    where nothing cancels, as it would in (1 + 2 S V)^-1 for nearly identical inputs.
    """
    power, axes = np.linalg.eigh(own)
    root = np.sqrt(np.maximum(power, 0.0))
    largest = max(power[-1], np.linalg.eigvalsh(other)[-1])
    if largest <= 0.0 or root[-1] == 0.0:
        return np.zeros((k, k))
    kept = root > 1e-8 * root[-1]  # smaller eigenvalues are rounding errors of the largest
    inverse = np.divide(1.0, root, out=np.zeros(k), where=kept)
    slope = (cross.T @ axes) * inverse
    noise, noise_axes = np.linalg.eigh(other - slope @ slope.T)
    noise = np.where(noise > _ROUNDING * k * largest, noise, 0.0)
    slope = noise_axes.T @ slope
    v2, density = _squares(activation, k, largest)
    shrink = 1.0 / (1.0 + 2.0 * np.multiply.outer(v2, noise))  # H, (n, k)
    total = np.zeros((k, k))
    size = max(1, _CHUNK // (v2.size * k * k))
    along = 2.0 * np.einsum("n,ni,ia,ib->nab", v2, shrink, slope, slope)
    for i in range(0, v2.size, size):
        first = 2.0 * np.multiply.outer(v2[i : i + size], power * kept)[:, :, None] * np.eye(k)
        kernel = np.eye(k) + first[:, None] + along
        weight = np.multiply.outer(density[i : i + size], density * np.sqrt(np.prod(shrink, axis=1)))
        weight = weight / np.sqrt(np.linalg.det(kernel))
        total += np.einsum("mn,mnab,ib,ni->ai", weight, np.linalg.inv(kernel), slope, shrink, optimize=True)
    return (axes * root) @ total @ noise_axes.T


def _squares(activation: Activation, k: int, largest: float) -> tuple[np.ndarray, np.ndarray]:
    """v^2 and p(v) dv of the mixture's nodes, for variances up to `largest`."""
    # an anisotropic capsule of f = 1 can be all but one-dimensional: its nodes must reach as far as those of k = 1
    saturated = bool(np.isinf(activation.slope))
    dimension = 1 if saturated else k
    state = mixture.mixture_state(activation, dimension, np.array([largest * dimension]))
    return np.expm1(-state.log_beta[0]) / (2.0 * largest), state.density[0]
