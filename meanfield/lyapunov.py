"""The Lyapunov exponents of a wide network: how fast its directions grow or shrink.

With more and more layers the logarithms of the singular values of J^L spread in proportion to L. With a share m of them
above it, one then sits at L times

    lambda(m) = (1/2) log(sigma_w^2 m/v(m)),

which falls from (1/2) log chi_J at m = 0 to minus infinity at m = 1: what the equation of `free_layers` leaves when it
is divided by L, which is large.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import xarray as xr
from scipy.optimize import brentq

from .activations import as_activation
from .axes import axis, over, sigma_w_axis, table
from .checks import real_array
from .chunks import chunks
from .free_layers import LOG_V, ROUNDS, Law, laws
from .maps import AccuracyWarning
from .symmetry import Symmetry, as_symmetry
from .warn import warn

LONG_NAMES = {
    "exponent": r"Lyapunov exponent $\lambda$ [1/layer]",
    "growing": "share of the directions that grow",
}
_REFINEMENTS = (1, 2, 4, 16, 64, 256, 512)  # of the rule: where f' falls by many powers of ten, v feels its nodes
_REFINEMENTS_OF_A_USER_S = 3  # the first of them: its rule is finer, and its f' may not be exact
_ACCURACY, _ACCURACY_OF_A_USER_S = 1e-11, 1e-8  # of log v, relative where that is large
_STEP, _SMALL = 2.0, 1e-7  # of log v: the longest step, and one that is the last
_AT_ONCE = 100_000  # numbers per temporary array


def lyapunov_exponents(share, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh") -> xr.Dataset:
    """The Lyapunov exponents of a wide network at its fixed point, lambda(m) (`lyapunov`).

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
    unknown = np.full(shares.size, np.nan)
    exponents = [_exponents(law, shares.ravel()) if law else unknown for law in layers]
    variables = {
        "exponent": over((scale, wanted), exponents),
        "growing": over((scale,), [_growing(law(1)) if law else np.nan for law in layers]),
    }
    return table(variables, (scale, wanted), as_symmetry(symmetry), as_activation(activation), LONG_NAMES)


def _exponents(law: Callable[[int], Law], shares: np.ndarray) -> np.ndarray:
    """lambda at shares m in (0, 1), by rules as fine as each asks for."""
    out = np.full(shares.shape, -np.inf)
    left = np.flatnonzero(shares < law(1).means(LOG_V[-1:]).m)
    log_v = np.interp(_log_odds(shares), -law(1).log_size(LOG_V, 0), LOG_V)
    named = law(1).activation.guaranteed
    accuracy = _ACCURACY if named else _ACCURACY_OF_A_USER_S
    for refine in _REFINEMENTS if named else _REFINEMENTS[:_REFINEMENTS_OF_A_USER_S]:
        rule, before = law(refine), log_v.copy()
        for some in chunks(left.size, rule.weights.size, _AT_ONCE):
            log_v[left[some]] = _solved(rule, shares[left[some]], log_v[left[some]])
        out[left] = (rule.log_gain + np.log(shares[left]) - log_v[left]) / 2.0
        left = left[~(np.abs(log_v - before)[left] < accuracy * (1.0 + np.abs(log_v[left])))]
    if left.size:
        warn(f"{left.size} of {shares.size} exponents are accurate to less than {accuracy:g}", AccuracyWarning)
    return out


def _solved(law: Law, shares: np.ndarray, log_v: np.ndarray) -> np.ndarray:
    """log v by Newton's method, in steps that do not leave where a guess may be."""
    for _ in range(ROUNDS):
        found = law.means(log_v)
        step = (np.log(found.m) - np.log(found.rest) - _log_odds(shares)) * found.rest / found.slope
        log_v = log_v - step.clip(-_STEP, _STEP)
        if not np.abs(step).max() > _SMALL:
            break
    return log_v


def _log_odds(share: np.ndarray) -> np.ndarray:
    return np.log(share) - np.log1p(-share)


def _growing(law: Law) -> float:
    """The share m at which lambda is zero."""

    def growth(log_v: float) -> float:
        return law.log_gain + np.log(law.means(np.array(log_v)).m) - log_v

    low, high = LOG_V[[0, -1]]
    if not growth(low) > 0.0:
        return 0.0
    return float(law.means(np.array(brentq(growth, low, high, xtol=1e-14))).m)
