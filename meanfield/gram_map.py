"""The layer map of the Gram matrix of any number of inputs."""

from __future__ import annotations

import numpy as np

from .activations import as_activation
from .checks import ROUNDING_OF_A_LAYER, broadcast, check_gram, pair_of, real_array, sigma_w_array
from .maps import correlation_map, length_map, overlap_of
from .symmetry import Symmetry, as_symmetry

_ROUNDING = 1e-12  # of what should be real, relative


def gram_map(gram, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh") -> np.ndarray:
    """One layer of the matrix-valued recursion, Eq. (45), for B inputs,

        C_ab = (1/N) sum_i E phi(z_{i,a}) . conj phi(z_{i,b})          (Eq. (10), (39); the convention is Eq. (10)'s)

    C_aa follows the length map and C_ab = Delta e^{i phi} the correlation map at (c_a, c_b), its phase conserved for
    U(1). For O(k) this is the case of Gram blocks proportional to the identity, which a random input layer makes
    (:func:`meanfield.matrix_gram_map` has the general one); generic networks keep only the real part of C_ab.

    Parameters
    ----------
    gram : array_like (..., B, B)
        Hermitian positive semi-definite: complex for U(1) (and generic, whose first layer drops the imaginary part),
        real otherwise.
    sigma_w : array_like (...), broadcasts against the leading axes of gram.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    ndarray (..., B, B), complex for a complex gram with U(1), real otherwise.

    Raises
    ------
    ValueError
        If gram is not square, Hermitian, finite, and positive semi-definite, up to rounding; or for a complex gram with
        O(k).
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    gram = _hermitian(gram, symmetry)
    sigma_w = sigma_w_array(sigma_w, activation)
    try:
        batch = np.broadcast_shapes(gram.shape[:-2], sigma_w.shape)
    except ValueError as error:
        raise ValueError(
            f"sigma_w, of shape {sigma_w.shape}, must broadcast against gram's leading axes {gram.shape[:-2]}"
        ) from error
    gram = np.broadcast_to(gram, batch + gram.shape[-2:])
    sigma_w = np.broadcast_to(sigma_w, batch)[..., None]
    norms = np.diagonal(gram, axis1=-2, axis2=-1).real
    row, column = np.triu_indices(gram.shape[-1], k=1)
    entries = gram[..., row, column]
    if symmetry.family == "generic":
        entries = entries.real
    out = np.zeros(gram.shape, entries.dtype)
    diagonal = np.arange(gram.shape[-1])
    lengths = _lengths(norms, np.broadcast_to(sigma_w, norms.shape), symmetry, activation)
    out[..., diagonal, diagonal] = lengths
    if row.size:
        c_1, c_2 = norms[..., row], norms[..., column]
        new = _off_diagonal(entries, c_1, c_2, sigma_w, symmetry, activation)
        # Identical inputs stay identical: a rounding error between them would grow as chi_jacobian^depth. The size of
        # a complex entry has one already.
        size = np.abs(entries)
        rounding = 4.0 * np.finfo(float).eps if np.iscomplexobj(entries) else 0.0
        identical = (c_1 == c_2) & (size >= c_1 * (1.0 - rounding)) & (c_1 > 0.0)
        new[identical] = (lengths[..., row] * (entries / np.where(size > 0.0, size, 1.0)))[identical]
        out[..., row, column] = new
        out[..., column, row] = np.conj(new)
    return out


def _lengths(norms: np.ndarray, sigma_w: np.ndarray, symmetry: Symmetry, activation) -> np.ndarray:
    """The length map, the same to the last digit for equal norms."""
    pairs, index = np.unique(np.stack([norms.ravel(), sigma_w.ravel()]), axis=1, return_inverse=True)
    return length_map(pairs[0], pairs[1], symmetry, activation)[index].reshape(norms.shape)


def _off_diagonal(entries, c_1, c_2, sigma_w, symmetry, activation):
    bound = np.sqrt(c_1) * np.sqrt(c_2)  # which the entries may exceed by rounding
    if not np.iscomplexobj(entries):
        return correlation_map(np.clip(entries, -bound, bound), (c_1, c_2), sigma_w, symmetry, activation)
    size = np.minimum(np.abs(entries), bound)
    new = correlation_map(size, (c_1, c_2), sigma_w, symmetry, activation)
    return new * np.exp(1j * np.angle(entries))


def _square(gram) -> tuple[np.ndarray, float]:
    """Finite matrices, real or complex, and the rounding error of their numbers as they were given."""
    try:
        gram = np.asarray(gram)
    except ValueError as error:  # lists of different lengths
        raise ValueError(f"gram must have shape (..., B, B), got {gram!r}") from error
    rounding = float(np.finfo(gram.dtype).eps) if gram.dtype.kind in "fc" else 0.0
    if np.iscomplexobj(gram):
        gram = gram.astype(complex)
        real_array("gram", gram.imag)
    else:
        gram = np.asarray(real_array("gram", gram))
    real_array("gram", gram.real)
    if gram.ndim < 2 or gram.shape[-1] != gram.shape[-2]:
        raise ValueError(f"gram must have shape (..., B, B), got {gram.shape}")
    return gram, rounding


def _hermitian(gram, symmetry: Symmetry) -> np.ndarray:
    gram, given = _square(gram)
    check_gram("gram", gram, max(ROUNDING_OF_A_LAYER, 2.0 * given))
    if np.iscomplexobj(gram) and not symmetry.has_phase:
        size = np.sqrt(np.diagonal(gram, axis1=-2, axis2=-1).real)
        if np.any(np.abs(gram.imag) > _ROUNDING * size[..., :, None] * size[..., None, :]):  # a phase of pi leaves some
            raise ValueError(f"gram must be real for {symmetry}, got an imaginary part")
        gram = gram.real
    return gram


def as_gram(c, delta, phi=0.0) -> np.ndarray:
    """The 2 x 2 Gram matrix of Eq. (10), (..., 2, 2) complex, from c, Delta and phi (or c = (c_1, c_2)).

    Raises
    ------
    ValueError
        If a value is not a finite number, c < 0, or |delta| > sqrt(c_1 c_2).
    """
    c_1, c_2 = pair_of(c)
    c_1, c_2, delta, phi = broadcast(
        c_1=real_array("c", c_1, minimum=0.0),
        c_2=real_array("c", c_2, minimum=0.0),
        delta=real_array("delta", delta),
        phi=real_array("phi", phi),
    )
    overlap_of(delta, c_1, c_2)  # |delta| must not be too large
    gram = np.empty((*c_1.shape, 2, 2), complex)
    gram[..., 0, 0], gram[..., 1, 1] = c_1, c_2
    gram[..., 0, 1] = delta * np.exp(1j * phi)
    gram[..., 1, 0] = np.conj(gram[..., 0, 1])
    return gram
