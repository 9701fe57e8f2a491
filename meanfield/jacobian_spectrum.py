"""The singular values of the Jacobian of a wide deep network, a theory for all of them (`free_layers`).

With m and v of that module's equation, just above the real axis (theta = pi), the share of squared singular values
exp(x) per unit of x is Im m/pi, and, because that can be integrated, the share of those that are larger is

    -(1/pi) Im [log(1 - m) + L (m - <log(1 + delta^2 v)>)].

For theta = 0 everything is real and v is easily found; from there theta is turned up to pi.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy.optimize import brentq

from .activations import as_activation
from .axes import axis, over, sigma_w_axis, table
from .checks import real_array, whole_number
from .free_layers import LOG_V, ROUNDS, Law, laws
from .maps import AccuracyWarning
from .symmetry import Symmetry, as_symmetry
from .warn import warn

LONG_NAMES = {
    "density": r"share of the singular values of $J^L$ per unit of $\log s$",
    "share_above": r"share of the singular values of $J^L$ above $s$",
    "log_largest": r"logarithm of the largest singular value of $J^L$",
}
_TURNS = 24  # of theta from 0 to pi
_SMALL = 1e-7  # of log v, a step that is the last: what is left is its square
_REFINEMENTS = (1, 2, 4)  # of the rule, each of them compared with twice as fine a one
_ACCURACY = 1e-8  # of shares; where finer rules find others, a warning says so


def jacobian_spectrum(
    depth: int, sigma_w, log_value, symmetry: str | Symmetry = "U(1)", activation="tanh"
) -> xr.Dataset:
    """The distribution of the singular values s of J^L, of a wide network at its fixed point (`free_layers`).

    Dynamical isometry would be all of them near 1. Here, where weights are Gaussian, the mean square of s^2 is
    1 + L <delta^4>/<delta^2>^2 times the square of its mean, chi_J^L.

    Parameters
    ----------
    depth : int >= 1
        L, layers. All begin with capsules of mean square sigma_w^2 c*.
    sigma_w : number or sequence, > 0
    log_value : number or sequence
        log s, at which the distribution is asked for.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
        Generic networks have the same, for capsules of the same size.
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``log_value`` (and ``sigma_w``, where it is a sequence) `density`, per unit of log s, and `share_above`;
        `log_largest`, at which the spectrum ends (infinite for ``saturated``). NaN where there is no fixed point. At
        finite width, N D singular values follow this to a few of them.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or unknown; for ``saturated`` at D = 1, whose Jacobian is zero.

    Examples
    --------
    >>> import meanfield
    >>> found = meanfield.jacobian_spectrum(20, 1.5, log_value=[-10.0, 0.0])
    >>> found.share_above.round(4).values
    array([0.544, 0.13 ])
    """
    length, scale = whole_number("depth", depth, 1), sigma_w_axis(sigma_w, as_activation(activation))
    where = axis("log_value", real_array("log_value", log_value))
    x = 2.0 * where.values.ravel()
    layers, axes = laws(scale, symmetry, activation), (scale, where)
    found = [_spectrum(law, length, x) if law else _Spectrum.unknown(x.size) for law in layers]
    accurate = np.concatenate([each.accurate for each in found])
    if not accurate.all():
        warn(f"{(~accurate).sum()} of {accurate.size} shares are accurate to less than {_ACCURACY:g}", AccuracyWarning)
    variables = {
        "density": over(axes, [each.density for each in found]),
        "share_above": over(axes, [each.share for each in found]),
        "log_largest": over((scale,), [_log_largest(law(2), length) if law else np.nan for law in layers]),
    }
    out = table(variables, axes, as_symmetry(symmetry), as_activation(activation), LONG_NAMES)
    return out.assign_attrs(depth=length)


class _Spectrum(NamedTuple):
    """At some squared singular values exp(x)."""

    density: np.ndarray  # per unit of log s
    share: np.ndarray  # above
    accurate: np.ndarray

    @classmethod
    def unknown(cls, size: int) -> _Spectrum:
        """Where there is no fixed point, which a warning has said."""
        return cls(np.full(size, np.nan), np.full(size, np.nan), np.ones(size, bool))


def _spectrum(law: Callable[[int], Law], length: int, x: np.ndarray) -> _Spectrum:
    """With rules as fine as each x asks for."""
    out, left = _Spectrum(np.empty(x.size), np.empty(x.size), np.zeros(x.size, bool)), np.arange(x.size)
    for refine in _REFINEMENTS:
        rough, fine = law(refine), law(2 * refine)
        log_v = np.interp(-x[left], -rough.log_size(LOG_V, length), LOG_V).astype(complex)
        for theta in np.linspace(0.0, np.pi, _TURNS + 1):
            log_v, _ = _solved(rough, length, x[left], theta, log_v)
        _, share = _shares(rough, length, log_v)
        log_v, error = _solved(fine, length, x[left], np.pi, log_v)
        out.density[left], out.share[left] = _shares(fine, length, log_v)
        out.accurate[left] = np.abs(share - out.share[left]) + error < _ACCURACY
        left = np.flatnonzero(~out.accurate)
    return out


def _solved(law: Law, length: int, x: np.ndarray, theta: float, log_v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """log v by Newton's method from a guess, and what it is off by."""
    step = np.zeros(log_v.shape)
    for _ in range(ROUNDS):
        found = law.means(log_v)
        log_m = _upper_log(found.m)
        error = log_m - np.log(found.rest) + length * (log_v - log_m - law.log_gain) + x - 1j * theta
        step = error / (found.slope / found.rest + length * (1.0 - found.slope))
        log_v = log_v - step
        if not np.abs(step).max(initial=0.0) > _SMALL:
            break
    return log_v, np.abs(step) ** 2


def _shares(law: Law, length: int, log_v: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Density per unit of log s, and share above."""
    found = law.means(log_v)
    share = -(np.log(found.rest) + length * (found.m - law.logarithm(log_v))).imag / np.pi
    return 2.0 / np.pi * found.m.imag.clip(0.0), share.clip(0.0, 1.0)


def _upper_log(m: np.ndarray) -> np.ndarray:
    """log of numbers that are not below the real axis, but for rounding."""
    found = np.log(m)
    return np.where(found.imag < -np.pi / 2.0, found + 2j * np.pi, found)


def _log_largest(law: Law, length: int) -> float:
    """log s at the upper end of the spectrum: the least real x with v < 0."""
    if law.activation.is_saturated:
        return np.inf
    top = -law.log_squares.max()

    def turn(log_size: float) -> float:
        found = law.means(np.array(log_size + 1j * np.pi))
        return float((found.slope / found.rest + length * (1.0 - found.slope)).real)

    at = brentq(turn, top - 60.0, top - 1e-9) if turn(top - 1e-9) < 0.0 else top
    found = law.means(np.array(at + 1j * np.pi))
    log_m = np.log(-found.m.real)
    return float(np.log(found.rest.real) - log_m + length * (log_m + law.log_gain - at)) / 2.0
