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
from .free_layers import REFINEMENTS, REFINEMENTS_OF_A_USER_S, Law, laws, portions, solve, warn_of_errors
from .symmetry import Symmetry, as_symmetry

LONG_NAMES = {
    "density": r"share of the singular values of $J^L$ per unit of $\log s$",
    "share_above": r"share of the singular values of $J^L$ above $s$",
    "log_largest": r"logarithm of the largest singular value of $J^L$",
}
_TURNS = 24  # of theta from 0 to pi
_ACCURACY = 1e-8  # of shares


def jacobian_spectrum(
    depth: int, sigma_w, log_value, symmetry: str | Symmetry = "U(1)", activation="tanh"
) -> xr.Dataset:
    """The distribution of the singular values s of J^L, of a wide network at its fixed point: with v from

        log m - log(1 - m) + L log(v/(sigma_w^2 m)) + 2 log s = i pi,    m = <delta^2 v/(1 + delta^2 v)>,

    density 2 Im m/pi per unit of log s, where delta^2 is f'(r)^2 with probability 1/D, (f(r)/r)^2 otherwise (derived
    in `meanfield.free_layers`).

    Dynamical isometry would be all of them near 1. Here, where weights are Gaussian, the mean square of s^2 is
    1 + L <delta^4>/<delta^2>^2 times the square of its mean, chi_J^L.

    Parameters
    ----------
    depth : int >= 1
        L, layers. z^0 has capsules of mean square sigma_w^2 c*, in directions without a preference.
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
        `log_largest`, at which the spectrum ends (infinite for ``saturated``; for large D there is nothing to be seen
        next to it). NaN where there is no fixed point. At finite width N the mean over networks follows this to a few
        of the N D singular values; how many of one network lie above some s scatters by about sqrt(N).

    Warns
    -----
    AccuracyWarning
        With the number of shares that are less accurate than 1e-8, and how much less: of one or two layers with a
        large sigma_w, whose factors are spread over hundreds of powers of ten.

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
    warn_of_errors("shares", np.concatenate([each.error for each in found]), _ACCURACY)
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
    error: np.ndarray

    @classmethod
    def unknown(cls, size: int) -> _Spectrum:
        """Where there is no fixed point, which a warning has said."""
        return cls(np.full(size, np.nan), np.full(size, np.nan), np.zeros(size))


def _spectrum(law: Callable[[int], Law], length: int, x: np.ndarray) -> _Spectrum:
    """With rules as fine as each x asks for."""
    plain = law(1)
    sizes = plain.log_size(plain.log_v, length)  # they fall
    # beyond the end of the spectrum, and where its share differs from its limits by less than the smallest float
    share = np.where((x > 2.0 * _log_largest(law(2), length)) | (x > sizes[0]), 0.0, 1.0 - plain.zero)
    guess = np.interp(-x, -sizes, plain.log_v).astype(complex)
    out, left = _Spectrum(np.zeros(x.size), share, np.zeros(x.size)), np.flatnonzero((share > 0.0) & (x > sizes[-1]))
    for refine in REFINEMENTS if plain.activation.guaranteed else REFINEMENTS_OF_A_USER_S:
        rough, fine = law(refine), law(2 * refine)
        for some in portions(left, fine):
            found = _solved(rough, fine, length, x[some], guess[some])
            out.density[some], out.share[some], out.error[some] = found
        left = left[~(out.error[left] < _ACCURACY)]
    return out


def _solved(rough: Law, fine: Law, length: int, x: np.ndarray, log_v: np.ndarray) -> _Spectrum:
    """By the finer of two rules, from a guess for theta = 0; the other one shows the error, and has the way there."""

    def step(found, log_v, x, theta):
        log_m = _upper_log(found.m)
        error = log_m - np.log(found.rest) + length * (log_v - log_m - fine.log_gain) + x - 1j * theta
        return error / (found.slope / found.rest + length * (1.0 - found.slope))

    for theta in np.linspace(0.0, np.pi, _TURNS + 1):
        log_v, _ = solve(rough, step, log_v, x, np.full(x.shape, theta))
    _, other = _shares(rough, length, log_v)
    log_v, error = solve(fine, step, log_v, x, np.full(x.shape, np.pi))
    density, share = _shares(fine, length, log_v)
    return _Spectrum(density, share, np.abs(share - other) + error)


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
