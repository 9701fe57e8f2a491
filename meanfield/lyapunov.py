"""The Lyapunov exponents of a wide network: how fast its directions grow or shrink.

With more and more layers the logarithms of the singular values of J^L spread in proportion to L. With a share m of them
above it, one then sits at L times

    lambda(m) = (1/2) log(sigma_w^2 m/v(m)),

which falls from (1/2) log chi_J at m = 0 to minus infinity at m = 1: what the equation of `free_layers` leaves when it
is divided by L, which is large.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.optimize import brentq

from .activations import as_activation
from .axes import axis, over, sigma_w_axis, table
from .checks import real_array
from .free_layers import REFINEMENTS, REFINEMENTS_OF_A_USER_S, Law, Means, laws, portions, solve, warn_of_errors
from .symmetry import Symmetry, as_symmetry

LONG_NAMES = {
    "exponent": r"Lyapunov exponent $\lambda$ [1/layer]",
    "growing": "share of the directions that grow",
}
_REFINEMENTS = (*REFINEMENTS[1:], 256, 512)  # one v takes less time than a spectrum
_REFINEMENTS_OF_A_USER_S = (*REFINEMENTS_OF_A_USER_S[1:], 16)
_ACCURACY, _ACCURACY_OF_A_USER_S = 1e-11, 1e-8  # of log v, relative where that is large; a user's f' may not be exact
_ROUNDING = 1e-12  # of a share at which exponents end


def lyapunov_exponents(share, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh") -> xr.Dataset:
    """The Lyapunov exponents of a wide network at its fixed point,

        lambda(m) = (1/2) log(sigma_w^2 m/v),    m = <delta^2 v/(1 + delta^2 v)>,

    where delta^2 is f'(r)^2 with probability 1/D, (f(r)/r)^2 otherwise (derived in `meanfield.free_layers`).

    Those of N D directions, of which m N D grow faster than with lambda(m): of a deep network with weights of its own
    in each layer, and of a recurrent one with the same in all steps, for which W is as good as new in each. They are
    the same with and without symmetry; the exponents that a symmetry holds at zero are too few to be seen here.

    Parameters
    ----------
    share : number or sequence, in (0, 1)
        m.
    sigma_w : number or sequence, > 0
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        `exponent` over ``share`` (and ``sigma_w``, where it is a sequence), per layer, and `growing`, the share of
        exponents above zero. Minus infinity where the Jacobian is zero, or next to the smallest float (exponents below
        -650). NaN where there is no fixed point.

    Warns
    -----
    AccuracyWarning
        With the number of exponents (`growing` is counted as one) of whose log v finer rules find others.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or unknown; for ``saturated`` at D = 1, whose Jacobian is zero.

    Examples
    --------
    >>> import meanfield
    >>> found = meanfield.lyapunov_exponents([0.01, 0.5], sigma_w=3.0)
    >>> found.exponent.round(4).values, found.growing.round(4).item()
    (array([ 0.193 , -0.7904]), 0.139)
    """
    shares = real_array("share", share, minimum=0.0, strict=True)
    if np.any(shares >= 1.0):
        raise ValueError(f"share must be in (0, 1), got {shares[shares >= 1.0].flat[0]:.6g}")
    scale, wanted = sigma_w_axis(sigma_w, as_activation(activation)), axis("share", shares)
    layers = laws(scale, symmetry, activation)
    found = [_found(law, shares.ravel()) if law else _Exponents.unknown(shares.size) for law in layers]
    variables = {
        "exponent": over((scale, wanted), [each.exponent for each in found]),
        "growing": over((scale,), [each.growing for each in found]),
    }
    return table(variables, (scale, wanted), as_symmetry(symmetry), as_activation(activation), LONG_NAMES)


class _Exponents(NamedTuple):
    """lambda at some shares, and the share at which it is zero."""

    exponent: np.ndarray
    growing: float

    @classmethod
    def unknown(cls, size: int) -> _Exponents:
        """Where there is no fixed point, which a warning has said."""
        return cls(np.full(size, np.nan), np.nan)


def _found(law: Callable[[int], Law], shares: np.ndarray) -> _Exponents:
    """By rules as fine as each share asks for."""
    plain = law(1)
    ends = plain.log_v[[0, -1]].tolist()
    accuracy = _ACCURACY if plain.activation.guaranteed else _ACCURACY_OF_A_USER_S
    there = shares < min(plain.means(plain.log_v[-1:]).m.item(), (1.0 - plain.zero) * (1.0 - _ROUNDING))
    log_v = np.interp(_log_odds(shares), -plain.log_size(plain.log_v, 0), plain.log_v)
    left, error, growing = np.flatnonzero(there), np.zeros(shares.size), [_growing(plain, *ends)]
    for refine in _REFINEMENTS if plain.activation.guaranteed else _REFINEMENTS_OF_A_USER_S:
        rule = law(refine)
        for some in portions(left, rule):
            before = log_v[some]
            log_v[some], rest = solve(rule, _step, before, shares[some])
            error[some] = np.abs(log_v[some] - before) / (1.0 + np.abs(before)) + rest
        left = left[~(error[left] < accuracy)]
        if len(growing) < 2 or abs(growing[-1] - growing[-2]) > accuracy:
            growing.append(_growing(rule, *ends))
    exponent = np.where(there, (plain.log_gain + np.log(shares) - log_v) / 2.0, -np.inf)
    warn_of_errors("exponents", np.append(error, abs(growing[-1] - growing[-2])), accuracy)
    return _Exponents(exponent, growing[-1])


def _step(found: Means, log_v: np.ndarray, shares: np.ndarray) -> np.ndarray:
    return (np.log(found.m) - np.log(found.rest) - _log_odds(shares)) * found.rest / found.slope


def _log_odds(share: np.ndarray) -> np.ndarray:
    return np.log(share) - np.log1p(-share)


def _growing(law: Law, low: float, high: float) -> float:
    """The share m at which lambda is zero, for log v in between."""

    def growth(log_v: float) -> float:
        return law.log_gain + np.log(law.means(np.array(log_v)).m) - log_v

    if not growth(low) > 0.0:
        return 0.0
    return float(law.means(np.array(brentq(growth, low, high, xtol=1e-14))).m)
