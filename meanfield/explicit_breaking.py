"""Explicit breaking of the symmetry: what is left of the Goldstone mode when the symmetry is not exact.

Real layers may have biases, and weights that respect the symmetry only in part. With independent Gaussian biases b,
E |b|^2 = sigma_b^2 for each capsule, and with weights

    W = sqrt(1 - eta) W_symmetric + sqrt(eta) W_generic         (eta: the asymmetry, a share of their variance)

two inputs of covariance C_12 = Delta e^{i phi} reach the next layer with

    s = sigma_w^2 c + sigma_b^2,      sigma_w^2 (Re C_12 + i (1 - eta) Im C_12) + sigma_b^2:

generic weights hand on the real part alone, and the biases are the same for both inputs. The activation then does what
it does in a symmetric network: it keeps the phase, and shrinks the size by the correlation map of Eq. (12). (For O(k),
Q -> (1 - eta) Q + eta tr(Q)/k 1 + sigma_b^2/(k sigma_w^2) 1, and the map of singular values.) So biases act like an
external field. With b = sigma_b^2/s, their share of the power of pre-activations:

**One input.** c* = F(c* + sigma_b^2/sigma_w^2) > 0, and no transition is left. At the former one c* ~ sigma_b: as the
field has a random direction in every capsule, its square adds to c.

**Two inputs.** Identical ones are stable where chi_jacobian = 1 - b + (sigma_w^2/D) <(f/r - f')^2> <= 1: biases make an
ordered region of what without them is chaotic at every sigma_w > 1. Beyond this edge of chaos Delta* < c*.

**The angle.** Small ones decay by the factor, with rho* the correlation of pre-activations (1 in the ordered region),

    chi_phi = (1 - eta) (1 - b/rho*).

Each angle of O(k) is a Goldstone mode that has got a mass: for eta = 0, (1 - chi_phi) rho* = b, mass squared times
condensate is field, as in the relation of Gell-Mann, Oakes and Renner. As b -> 0 in the broken phase rho* -> 0 with it,
and chi_phi -> chi_delta: the angle is lost where Delta has shrunk to the size of b, and the weaker the field, the later
that is. With eta alone tan phi shrinks by 1 - eta in each layer, at every angle and sigma_w.
"""

from __future__ import annotations

import numpy as np
import xarray as xr
from scipy.optimize.elementwise import find_root

from .activations import Activation, as_activation
from .axes import axis, sigma_w_axis, table
from .checks import LARGEST_S, SMALLEST_S, asymmetry_array, preactivation_power, real_array, shortest
from .depth_scales import depth_scale, depth_scales
from .fixed_points import CONVERGED, NO_FIXED_POINT, NOT_CONVERGED, ConvergenceWarning, far_out
from .maps import warn_if_inaccurate
from .moments import bending, derivative_error, gain_error, layer_moments, power_gain, saturation
from .overlap import Overlaps
from .overlap_response import overlap_response
from .symmetry import Symmetry, as_symmetry
from .warn import warn

LONG_NAMES = {
    "c_star": "order parameter $c^*$",
    "d_star": r"pre-activation order parameter $d^* = \sigma_w^2 c^* + \sigma_b^2$",
    "delta_star": r"covariance $\Delta^*$ that two inputs keep",
    "rho_star": r"overlap $\Delta^*/c^*$ that two inputs keep",
    "one_minus_rho_star": r"$1 - \Delta^*/c^*$",
    "chi_c": r"relaxation factor of $c$, $\chi_c$",
    "xi_c": r"depth scale of $c$, $\xi_c$ [layers]",
    "chi_delta": r"relaxation factor of $\Delta$, $\chi_\Delta$",
    "xi_delta": r"depth scale of $\Delta$, $\xi_\Delta$ [layers]",
    "chi_phi": r"decay factor of a small angle, $\chi_\varphi$",
    "xi_phi": r"depth scale of a small angle, $\xi_\varphi$ [layers]",
    "chi_jacobian": r"Jacobian's mean squared singular value $\chi_J$",
    "ordered": "whether identical inputs are stable",
    "error_estimate": r"estimated relative error of $c^*$ and the $\chi$",
    "status": "whether there is a result",
}

_GRID = 0.25  # spacing in log s of the table that brackets the fixed points
_LOWEST = -690.0  # log of the smallest 1 - rho that is looked for
_UNKNOWN = 0.08  # estimated relative error beyond which c* is not known


def explicit_breaking(
    sigma_w, sigma_b=0.0, asymmetry=0.0, symmetry: str | Symmetry = "U(1)", activation="tanh"
) -> xr.Dataset:
    """What deep networks keep whose symmetry is broken explicitly, and over how many layers the phase survives.

    The equations are at the top of `meanfield/explicit_breaking.py`. In short: tan phi loses a factor 1 - asymmetry in
    each layer. Biases are a field: c* > 0 at every sigma_w, all pairs of inputs end with the same Delta* > 0 and the
    angle 0, and small angles decay by chi_phi = (1 - asymmetry)(1 - b/rho*), where b = sigma_b^2/s is the share of the
    biases in the power s of pre-activations, and rho* the correlation of these. With sigma_b = 0 and asymmetry = 0 it
    is :func:`meanfield.depth_scales`, and chi_phi = 1: the phase is conserved, Eq. (11).
    ``trajectory(..., sigma_b=, asymmetry=)`` follows two inputs layer by layer, and
    ``Ensemble(..., sigma_b=, asymmetry=)`` is what `simulate` samples.

    Parameters
    ----------
    sigma_w : number or sequence, >= 0
    sigma_b : number or sequence, >= 0
        Scale of the biases: E |b|^2 = sigma_b^2 for a capsule, as E |z|^2 = sigma_w^2 c + sigma_b^2. Each of its D
        components has the variance sigma_b^2/D, independently of all others.
    asymmetry : number or sequence, in [0, 1]
        Share of the weights' variance that ignores the symmetry: 1 is generic(k). For U(1), and O(k) with k >= 2.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w``, ``sigma_b`` and ``asymmetry`` where they are sequences:

        - `c_star` and `d_star` (s); `delta_star`, `rho_star` = Delta*/c* and `one_minus_rho_star`, to which the overlap
          of any two inputs tends;
        - `chi_c, xi_c`, `chi_delta, xi_delta` (of Delta at angle 0), `chi_phi, xi_phi` (of small angles: phi, or each
          of the k(k-1)/2 of O(k); 0 for generic(k), NaN for k = 1) and `chi_jacobian`, per layer, and in layers;
        - `ordered`, whether identical inputs are stable;
        - `status`, ``"converged"``, ``"no fixed point"`` or ``"not converged"``; NaN without the first, and a
          :class:`meanfield.ConvergenceWarning` counts such points. `rho_star` is NaN also where c* = 0: all overlaps
          stay.

        Relative error below 1e-12 for the named activations, with sigma_b > 0 below 1e-12/(1 - chi_delta) for what has
        to do with two inputs. A user's activation adds `error_estimate`; of several fixed points the largest is taken.

    Raises
    ------
    ValueError
        Naming the argument that is out of range; asymmetry with generic(k) or k = 1; for a single point also where
        there is no result.

    Examples
    --------
    >>> import meanfield
    >>> biased = meanfield.explicit_breaking(1.5, sigma_b=[0.0, 0.01, 0.1, 0.5])
    >>> biased.xi_phi.round(1).values  # layers over which a small angle between two inputs survives
    array([ inf, 22.4, 18.8,  5.5])
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    scale, bias = sigma_w_axis(sigma_w, activation), _bias_axis(sigma_b)
    share = axis("asymmetry", asymmetry_array(asymmetry, symmetry))
    preactivation_power(scale.values.max(), np.ones(()), bias.values.max())  # must not be too large
    points, biases = xr.broadcast(scale, bias)
    found = _solved(symmetry, activation, points.values.ravel(), biases.values.ravel())
    _report(activation, points, biases, found["status"].reshape(points.shape))
    table_of = {name: points.copy(data=value.reshape(points.shape)) for name, value in found.items()}
    kept, pull = _angle(symmetry, share, table_of.pop("kept"), table_of.pop("pull"))
    table_of |= {"chi_phi": kept, "xi_phi": kept.copy(data=depth_scale(kept.values, pull.values))}
    if activation.guaranteed:
        del table_of["error_estimate"]
    else:
        warn_if_inaccurate(activation, table_of["error_estimate"].values)
    return table(table_of, (scale, bias, share), symmetry, activation, LONG_NAMES)


def _report(activation: Activation, sigma_w: xr.DataArray, sigma_b: xr.DataArray, status: np.ndarray) -> None:
    """What has no result, where `depth_scales` has not said so."""
    failed = (status != CONVERGED) & (sigma_b.values > 0.0)
    if failed.any() and status.ndim == 0:
        at = f"sigma_w = {shortest(float(sigma_w))}, sigma_b = {shortest(float(sigma_b))}"
        raise ValueError(f"activation {activation.name} has no result at {at}: {status}")
    if failed.any():
        warn(f"{int(failed.sum())} of {failed.size} points have no result: see status", ConvergenceWarning)


def _bias_axis(sigma_b) -> xr.DataArray:
    array = real_array("sigma_b", sigma_b, minimum=0.0)
    small = (array > 0.0) & (array < np.sqrt(SMALLEST_S))
    if small.any():
        raise ValueError(f"sigma_b must be 0 or at least {np.sqrt(SMALLEST_S):g}, got {array[small].flat[0]:.6g}")
    return axis("sigma_b", array)


def _angle(symmetry: Symmetry, share: xr.DataArray, kept: xr.DataArray, pull: xr.DataArray):
    """chi_phi and 1 - chi_phi, each without cancellation; `kept` and `pull` are what they are without asymmetry."""
    if symmetry.conserves_angles:
        return xr.broadcast((1.0 - share) * kept, share + (1.0 - share) * pull)
    none = xr.where(kept.notnull() & (symmetry.capsule_dimension > 1), 0.0, np.nan) + 0.0 * share
    return none, 1.0 - none


def _solved(
    symmetry: Symmetry, activation: Activation, sigma_w: np.ndarray, sigma_b: np.ndarray
) -> dict[str, np.ndarray]:
    """All that does not depend on the asymmetry, for flat arrays of points; NaN where there is no fixed point."""
    numbers = [name for name in LONG_NAMES if name not in ("status", "ordered", "chi_phi", "xi_phi")]
    out = {name: np.full(sigma_w.shape, np.nan) for name in (*numbers, "kept", "pull")}
    out |= {"status": np.full(sigma_w.shape, NO_FIXED_POINT, dtype="<U14"), "ordered": np.zeros(sigma_w.shape, bool)}
    plain = sigma_b == 0.0
    for which, part in ((plain, _without_bias), (~plain, _with_bias)):
        if which.any():
            for name, values in part(symmetry, activation, sigma_w[which], sigma_b[which]).items():
                out[name][which] = values
    return out


def _without_bias(symmetry: Symmetry, activation: Activation, sigma_w: np.ndarray, _) -> dict[str, np.ndarray]:
    scales = depth_scales(sigma_w, symmetry, activation)
    point = scales.fixed_point
    alive = np.where(point.c > 0.0, 1.0, np.nan)
    return {
        "c_star": point.c,
        "d_star": scales.d_star,
        "delta_star": 0.0 * point.c,
        "rho_star": 0.0 * alive,
        "one_minus_rho_star": alive,
        "chi_c": scales.chi_c,
        "xi_c": scales.xi_c,
        "chi_delta": scales.chi_delta,
        "xi_delta": scales.xi_delta,
        "kept": 1.0 + 0.0 * point.c,
        "pull": 0.0 * point.c,
        "chi_jacobian": scales.chi_jacobian,
        "ordered": scales.chi_jacobian_minus_one <= 0.0,
        "status": point.status,
        "error_estimate": scales.error,
    }


def _with_bias(
    symmetry: Symmetry, activation: Activation, sigma_w: np.ndarray, sigma_b: np.ndarray
) -> dict[str, np.ndarray]:
    dimension = symmetry.capsule_dimension
    s, status = _state(activation, dimension, sigma_w, sigma_b)
    good = np.flatnonzero(status == CONVERGED)
    out = {"status": status}
    if good.size:
        found = _at_state(activation, dimension, s[good], sigma_w[good], sigma_b[good])
        known = found.pop("c_error") < _UNKNOWN
        status[good[~known]] = NOT_CONVERGED
        for name, values in found.items():
            out[name] = np.full(s.shape, False if name == "ordered" else np.nan)
            out[name][good[known]] = values[known]
    return out


# ---- one input ------------------------------------------------------------------------------------------------------


def _state(activation: Activation, dimension: int, sigma_w, sigma_b) -> tuple[np.ndarray, np.ndarray]:
    """s = sigma_w^2 c* + sigma_b^2, the largest, and its status: where sigma_w^2 <f^2> + sigma_b^2 comes down to s."""
    if np.isinf(activation.slope):
        return sigma_w**2 + sigma_b**2, np.full(sigma_w.shape, CONVERGED)
    log_b = 2.0 * np.log(sigma_b)
    low, high = log_b - 1.0, _upper_end(activation, dimension, sigma_w, log_b)
    grid = np.arange(low.min(), np.nanmax(high, initial=low.min() + 1.0) + _GRID, _GRID)
    own = (grid[1:] >= low[:, None]) & (grid[1:] <= high[:, None] + _GRID)
    level = _level(activation, dimension, grid, log_b[:, None], sigma_w[:, None])
    crossing = own & (level[:, :-1] > 0.0) & (level[:, 1:] <= 0.0)
    exists = crossing.any(axis=1) & np.isfinite(high)
    index = np.flatnonzero(exists)
    cell = crossing.shape[1] - 1 - crossing[index, ::-1].argmax(axis=1)
    s, status = np.full(sigma_w.shape, np.nan), np.where(exists, CONVERGED, NO_FIXED_POINT)
    if index.size:
        root = find_root(
            lambda x, b, w: _level(activation, dimension, x, b, w),
            (grid[cell], grid[cell + 1]),
            args=(log_b[index], sigma_w[index]),
            tolerances={"xatol": 4e-16, "xrtol": 4e-16, "fatol": 0.0, "frtol": 0.0},
        )
        s[index] = np.exp(root.x)
        status[index[~root.success]] = NOT_CONVERGED
    return s, status


def _upper_end(activation: Activation, dimension: int, sigma_w: np.ndarray, log_b: np.ndarray) -> np.ndarray:
    """log s above which a layer makes s smaller; NaN where none does."""
    end, growth = far_out(activation, dimension, sigma_w)
    with np.errstate(divide="ignore", invalid="ignore"):
        settled = log_b - np.log(1.0 - growth) + 1.0
    return np.where(growth < 1.0, np.minimum(np.maximum(end, settled), np.log(LARGEST_S)), np.nan)


def _level(activation: Activation, dimension: int, log_s, log_b, sigma_w) -> np.ndarray:
    """log of the factor by which a layer multiplies s, or what has its sign and keeps its digits next to 0.

    For the named activations, with e = sigma_w^2 f'(0)^2 - 1, the factor is 1 + sigma_b^2/s + e - (1 + e) lost.
    """
    s = np.exp(log_s)
    added = np.exp(log_b - log_s)
    if not activation.guaranteed:
        return np.log(added + sigma_w**2 * power_gain(activation, dimension, s))
    excess = activation.excess(sigma_w)
    lost = (1.0 + excess) * saturation(activation, dimension, s).lost
    with np.errstate(divide="ignore"):  # a linear network loses nothing
        return np.log(added + np.maximum(excess, 0.0)) - np.log(lost + np.maximum(-excess, 0.0))


# ---- two inputs -----------------------------------------------------------------------------------------------------


def _at_state(activation: Activation, dimension: int, s, sigma_w, sigma_b) -> dict[str, np.ndarray]:
    """All that follows from s."""
    m = layer_moments(activation, dimension, s)
    field, weights = sigma_b**2 / s, sigma_w**2 * m.gain  # they sum to 1
    one_minus_chi_c = m.one_minus_chi + field * m.chi
    excess = sigma_w**2 * bending(activation, dimension, s) / dimension - field  # chi_jacobian - 1
    ordered = excess <= 0.0
    (rho, decay), (missing, surplus), pull = np.ones((2, *s.shape)), np.zeros((2, *s.shape)), field.copy()
    error = c_error = np.full(s.shape, 1e-12)
    if not activation.guaranteed:
        c_error = gain_error(activation, dimension, s) / np.maximum(np.abs(one_minus_chi_c), 1e-12)
        error = c_error + derivative_error(activation, dimension, s)
    chaotic = np.flatnonzero(~ordered)
    if chaotic.size:
        state = s[chaotic], field[chaotic], weights[chaotic]
        *found, more = _overlap(activation, dimension, *state)
        for values, part in zip((rho, missing, pull, decay, surplus), found, strict=True):
            values[chaotic] = part
        error[chaotic] += more
    kept = weights * decay
    chi_delta = np.where(ordered, 1.0 + excess, kept * (1.0 + rho**2 * surplus))
    one_minus_chi_delta = np.where(ordered, -excess, pull - kept * rho**2 * surplus)
    return {
        "c_star": s * m.gain,
        "d_star": s,
        "delta_star": s * m.gain * rho * decay,
        "rho_star": rho * decay,
        "one_minus_rho_star": np.divide(missing, weights, out=np.zeros(s.shape), where=weights > 0.0),
        "chi_c": weights * m.chi,
        "xi_c": depth_scale(weights * m.chi, one_minus_chi_c),
        "chi_delta": chi_delta,
        "xi_delta": depth_scale(chi_delta, one_minus_chi_delta),
        "kept": kept,
        "pull": pull,
        "chi_jacobian": 1.0 + excess,
        "ordered": ordered,
        "error_estimate": error,
        "c_error": c_error,
    }


def _overlap(activation: Activation, dimension: int, s, field, weights) -> tuple[np.ndarray, ...]:
    """Of pre-activations in the chaotic region the correlation rho*, 1 - rho* and b/rho*; what becomes of them, `decay`
    and `surplus` of `meanfield.overlap_response`; and an estimate of the relative error.

    In 1 - rho = weights (1 - Delta'/c') the right side is concave, since all coefficients of the correlation map are
    positive, and starts with a slope above 1: there is one root.
    """
    overlaps = Overlaps(activation, dimension, s)

    def level(log_missing, state):
        state, missing = state.astype(int), np.exp(log_missing)
        gap, _ = overlaps.gap(state, state, 1.0 - missing, missing)
        return np.log(weights[state] * gap / overlaps.gain[state]) - log_missing

    ends = np.full(s.shape, _LOWEST), np.zeros(s.shape)
    tolerances = {"xatol": 4e-16, "xrtol": 4e-16, "fatol": 0.0, "frtol": 0.0}
    missing = np.exp(find_root(level, ends, args=(np.arange(s.size),), tolerances=tolerances).x)
    response, _ = overlap_response(activation, dimension, s, missing)
    # a small rho has its digits in rho = weights rho decay + b, where decay depends on its square only
    pull = np.where(missing > 0.5, 1.0 - weights * response.decay, field / (1.0 - missing))
    rho = np.where(missing > 0.5, field / pull, 1.0 - missing)
    missing = np.where(missing > 0.5, 1.0 - rho, missing)
    response, error = overlap_response(activation, dimension, s, missing)
    return rho, missing, pull, response.decay, response.surplus, error
