"""One layer of the recursions: the length map and the correlation map."""

from __future__ import annotations

import numpy as np

from .activations import Activation, as_activation
from .checks import broadcast, pair_of, preactivation_power, real_array, sigma_w_array
from .labels import elementwise
from .moments import gain_error, power_gain
from .overlap import Overlaps
from .saturated import saturated_map
from .symmetry import Symmetry, as_symmetry
from .warn import warn

_EPS = np.finfo(float).eps


class AccuracyWarning(UserWarning):
    """A user's own activation was averaged to fewer digits than the named ones are."""


def warn_if_inaccurate(activation: Activation, error: np.ndarray) -> None:
    """Warn unless the estimated relative error of all averages of a user's activation is at most 1e-8."""
    if not activation.guaranteed and not np.all(error <= 1e-8):
        text = f"averages are estimated to be off by up to {np.max(error):.1e} (relative)"
        warn(f"activation {activation.name}: {text}", AccuracyWarning)


@elementwise("c", "sigma_w")
def length_map(c, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh"):
    """The length map, Eq. (8)/(35) for any capsule dimension D,

        c' = <f(r)^2> = 2/Gamma(D/2) int_0^infinity x^(D-1) exp(-x^2) f(x sigma_w sqrt(2 c/D))^2 dx.

    Parameters
    ----------
    c : array_like, >= 0
        Order parameter, c = (1/N) sum_i E |phi(z_i)|^2 (Eq. (6)): post-activation, per capsule.
    sigma_w : array_like, >= 0
        Weight scale; E|W_ij|^2 = sigma_w^2/N for U(1) (see `meanfield.symmetry`). Broadcasts against c.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    ndarray or float, or xarray.DataArray where c or sigma_w is one (dimensions are paired by name)
        c at the next layer. Relative error below 1e-12 for the named activations, sigma_w^2 c from 0 to 1e300; an
        :class:`AccuracyWarning` says when a user's function is averaged less well than 1e-8.

    Raises
    ------
    ValueError
        Naming the argument that is negative, not finite, empty, or unknown; where sigma_w^2 c is above 1e300.

    Examples
    --------
    >>> import meanfield
    >>> meanfield.length_map([0.1, 0.5, 1.0], 1.5).round(4)
    array([0.1754, 0.4911, 0.6476])
    """
    activation, dimension = as_activation(activation), as_symmetry(symmetry).capsule_dimension
    c, sigma_w = broadcast(c=real_array("c", c, minimum=0.0), sigma_w=sigma_w_array(sigma_w, activation))
    s = preactivation_power(sigma_w, c)
    if activation.is_saturated:
        return np.where(c > 0.0, 1.0, 0.0)[()]
    gain = power_gain(activation, dimension, s)
    if not activation.guaranteed:
        warn_if_inaccurate(activation, gain_error(activation, dimension, s))
    return (s * gain)[()]


@elementwise("delta", "c", "sigma_w")
def correlation_map(delta, c, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh"):
    """The correlation map, Eq. (12)/(49) for any capsule dimension D: with rho = Delta/sqrt(c_1 c_2)

        Delta' = E[phi(x_1) . phi(x_2)],   x_1, x_2 Gaussian of variance sigma_w^2 c_a/D and correlation rho
               = sum_n a_n(c_1) a_n(c_2) rho^(2n+1),     a_n >= 0 (see `meanfield.overlap`).

    Parameters
    ----------
    delta : array_like
        Covariance Delta of two inputs (Eq. (10)), |delta| <= sqrt(c_1 c_2). The map is odd in it.
    c : array_like >= 0, or a tuple (c_1, c_2) of two
        Order parameter of both inputs, or of each (the paper's footnote 4).
        A tuple is one pair of inputs; a list is an array, of order parameters that both inputs share.
    sigma_w : array_like, >= 0
        delta, c and sigma_w broadcast against each other.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    ndarray or float, or xarray.DataArray where delta, c or sigma_w is one (dimensions are paired by name)
        Delta at the next layer. Relative error below 1e-12 for the named activations over sigma_w in [1e-3, 1e3] and
        every rho in [0, 1]. The phase phi is conserved for U(1), Eq. (11).

    Raises
    ------
    ValueError
        Naming the argument that is out of range; |delta| > sqrt(c_1 c_2) among them.

    Examples
    --------
    >>> import meanfield
    >>> meanfield.correlation_map([0.1, 0.3], 0.5, 1.5, "O(4)").round(4)
    array([0.1064, 0.3215])
    >>> print(meanfield.correlation_map(0.1, (0.5, 0.2), 1.5).round(4))  # inputs of unequal size
    0.1162
    """
    activation, dimension = as_activation(activation), as_symmetry(symmetry).capsule_dimension
    c_1, c_2 = pair_of(c)
    delta, c_1, c_2, sigma_w = broadcast(
        delta=real_array("delta", delta),
        c_1=real_array("c", c_1, minimum=0.0),
        c_2=real_array("c", c_2, minimum=0.0),
        sigma_w=sigma_w_array(sigma_w, activation),
    )
    rho, one_minus_rho = overlap_of(delta, c_1, c_2)
    first, second = (preactivation_power(sigma_w, norm).ravel() for norm in (c_1, c_2))
    if activation.is_saturated:
        return saturated_map(dimension, rho.ravel(), one_minus_rho.ravel())[0].reshape(delta.shape)[()]
    s, index = np.unique(np.concatenate([first, second]), return_inverse=True)
    one, two = np.split(index, 2)
    if np.array_equal(first, second):
        two = one
    value, error = Overlaps(activation, dimension, s).value(one, two, rho.ravel(), one_minus_rho.ravel())
    warn_if_inaccurate(activation, error)
    # equal states share one s; each pair is multiplied by its own norms. sigma_w is applied to each root, since its
    # square can underflow
    return (sigma_w * np.sqrt(c_1) * (sigma_w * np.sqrt(c_2)) * value.reshape(delta.shape))[()]


def overlap_of(delta: np.ndarray, c_1: np.ndarray, c_2: np.ndarray, name: str = "c") -> tuple[np.ndarray, np.ndarray]:
    """rho = delta/sqrt(c_1 c_2) and 1 - |rho|, the latter to full relative accuracy; both 0 and 1 where c vanishes.

    `name` is what c is called in an error message.

    Raises
    ------
    ValueError
        Where |delta| exceeds sqrt(c_1 c_2) by more than rounding.
    """
    same = np.array_equal(c_1, c_2)
    norm = c_1 if same else np.sqrt(c_1) * np.sqrt(c_2)
    size = np.abs(delta)
    bad = size > norm * (1.0 + 4.0 * _EPS)
    if bad.any():
        raise ValueError(
            f"delta must satisfy |delta| <= sqrt({name}_1 {name}_2), got delta = {delta[bad][0]} with "
            f"{name}_1 = {c_1[bad][0]}, {name}_2 = {c_2[bad][0]}"
        )
    alive = norm > 0.0
    safe = np.where(alive, norm, 1.0)
    rho = np.where(alive, np.clip(delta / safe, -1.0, 1.0), 0.0)
    if same:
        missing = (norm - size) / safe
    else:
        missing = _product_difference(np.where(alive, c_1, 1.0), np.where(alive, c_2, 1.0), size)
        missing = missing / (1.0 + np.abs(rho))
    return rho, np.where(alive, np.clip(missing, 0.0, 1.0), 1.0)


def _product_difference(a: np.ndarray, b: np.ndarray, root: np.ndarray) -> np.ndarray:
    """(a b - root^2)/(a b) with the difference formed exactly (Dekker's products), a, b > 0."""
    (fa, ea), (fb, eb) = np.frexp(a), np.frexp(b)
    odd = (ea + eb) % 2
    fa = np.ldexp(fa, odd)
    root = np.ldexp(root, -(ea + eb - odd) // 2)
    high, low = _two_product(fa, fb)
    square, rest = _two_product(root, root)
    return ((high - square) + (low - rest)) / high


def _two_product(a: np.ndarray, b: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """a b as a float and its rounding error (Veltkamp's splitting)."""
    split = 134217729.0  # 2^27 + 1
    ah = a * split - (a * split - a)
    bh = b * split - (b * split - b)
    product = a * b
    return product, ((ah * bh - product) + ah * (b - bh) + (a - ah) * bh) + (a - ah) * (b - bh)
