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
ordered region of what without them is chaotic at every sigma_w > 1 (not with f = 1 and D <= 2, where chi_jacobian is
infinite). Beyond this edge of chaos Delta* < c*.

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
from .checks import LARGEST_S, asymmetry_array, real_array, shortest
from .depth_scales import depth_scale, depth_scales
from .fixed_points import CONVERGED, NO_FIXED_POINT, NOT_CONVERGED, TOLERANCES, ConvergenceWarning, far_out
from .maps import warn_if_inaccurate
from .moments import bending, derivative_error, gain_error, layer_moments, power_gain, relaxation, saturation
from .overlap import Overlaps
from .overlap_response import decay_and_surplus
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
    "chi_phi": r"decay factor of a small angle in the end, $\chi_\varphi$",
    "xi_phi": r"depth scale of a small angle in the end, $\xi_\varphi$ [layers]",
    "chi_jacobian": r"Jacobian's mean squared singular value $\chi_J$",
    "ordered": "whether identical inputs are stable",
    "error_estimate": r"estimated relative error of $c^*$ and the $\chi$",
    "status": "whether there is a result",
}

_SMALLEST, _LARGEST = 1e-150, 1e100  # scales whose squares are normal numbers, and their sums and products
_GRID = 0.25  # spacing in log s of the table that brackets the fixed points
_LARGEST_ODDS = 230.0  # log of the largest rho/(1 - rho) that is looked for, and of the smallest
_FAR = 1e4  # instead of an infinite logarithm
_UNKNOWN = 0.08  # estimated relative error beyond which c* is not known


def explicit_breaking(
    sigma_w, sigma_b=0.0, asymmetry=0.0, symmetry: str | Symmetry = "U(1)", activation="tanh"
) -> xr.Dataset:
    """What deep networks keep whose symmetry is broken explicitly, and by which factor a small angle decays in the end.

    The equations are at the top of `meanfield/explicit_breaking.py`. In short: tan phi loses a factor 1 - asymmetry in
    each layer. Biases are a field: c* > 0 at every sigma_w, all pairs of inputs end with the same Delta* > 0 and the
    angle 0, and small angles decay by chi_phi = (1 - asymmetry)(1 - b/rho*), where b = sigma_b^2/s is the share of the
    biases in the power s of pre-activations, and rho* the correlation of these. With sigma_b = 0 and asymmetry = 0 it
    is :func:`meanfield.depth_scales`, and chi_phi = 1: the phase is conserved, Eq. (11).
    xi_phi is the depth scale of the last of the angle, where Delta has settled; how deep the angle gets before is
    :func:`meanfield.angle_half_life`.
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
        Over ``sigma_w`` and ``sigma_b``, and `chi_phi` and `xi_phi` also over ``asymmetry``, where they are sequences:

        - `c_star` and `d_star` (s); `delta_star`, `rho_star` = Delta*/c* and `one_minus_rho_star`, to which the overlap
          of any two inputs tends;
        - `chi_c, xi_c`, `chi_delta, xi_delta` (of Delta at angle 0), `chi_phi, xi_phi` (of small angles: phi, or each
          of the k(k-1)/2 of O(k); 0 for generic(k), NaN for k = 1) and `chi_jacobian`, per layer, and in layers;
        - `ordered`, whether identical inputs are stable;
        - `status`, ``"converged"``, ``"no fixed point"`` or ``"not converged"``; NaN without the first, and a
          :class:`meanfield.ConvergenceWarning` counts such points. `rho_star` and `one_minus_rho_star` are NaN also
          where c* = 0: all overlaps stay.

        Relative error below 1e-12 for the named activations, with sigma_b > 0 below 1e-12/|1 - chi_delta| for what has
        to do with two inputs, and nothing is known of 1 - chi_delta below about 1e-12. A user's activation adds
        `error_estimate`; of several fixed points the largest stable one is taken.

    Raises
    ------
    ValueError
        Naming the argument that is out of range; asymmetry with generic(k) or k = 1; for a single point also where
        there is no result.

    Examples
    --------
    >>> import meanfield
    >>> biased = meanfield.explicit_breaking(1.5, sigma_b=[0.0, 0.01, 0.1, 0.5])
    >>> biased.xi_phi.round(1).values  # depth scale of what is left of a small angle in the end
    array([ inf, 22.4, 18.8,  5.5])
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    scale, bias = sigma_w_axis(sigma_w, activation), axis("sigma_b", real_array("sigma_b", sigma_b, minimum=0.0))
    share = axis("asymmetry", asymmetry_array(asymmetry, symmetry))
    _require_range(scale.values, bias.values)
    points, biases = xr.broadcast(scale, bias)
    if not points.ndim and bias == 0.0:
        depth_scales(scale.values, symmetry, activation)  # raises where there is no result
    found = _solved(symmetry, activation, points.values.ravel(), biases.values.ravel())
    _report(activation, points, biases, found["status"].reshape(points.shape))
    variables = {name: points.copy(data=value.reshape(points.shape)) for name, value in found.items()}
    kept, lost = _angle(symmetry, share, variables.pop("kept"), variables.pop("lost"))
    variables |= {"chi_phi": kept, "xi_phi": kept.copy(data=depth_scale(kept.values, lost.values))}
    if activation.guaranteed:
        del variables["error_estimate"]
    else:
        warn_if_inaccurate(activation, found["error_estimate"][found["status"] == CONVERGED])
    return table(variables, (scale, bias, share), symmetry, activation, LONG_NAMES)


def _require_range(sigma_w: np.ndarray, sigma_b: np.ndarray) -> None:
    for name, values in (("sigma_w", sigma_w), ("sigma_b", sigma_b)):
        if values.max() > _LARGEST:
            raise ValueError(f"{name} must be at most {_LARGEST:g}, got {values.max():.6g}")
    small = (sigma_b > 0.0) & (sigma_b < _SMALLEST)
    if small.any():
        raise ValueError(f"sigma_b must be 0 or at least {_SMALLEST:g}, got {sigma_b[small].flat[0]:.6g}")


def _report(activation: Activation, sigma_w: xr.DataArray, sigma_b: xr.DataArray, status: np.ndarray) -> None:
    """What has no result, where `depth_scales` has not said so."""
    failed = (status != CONVERGED) & (sigma_b.values > 0.0)
    if failed.any() and status.ndim == 0:
        at = f"sigma_w = {shortest(float(sigma_w))}, sigma_b = {shortest(float(sigma_b))}"
        raise ValueError(f"activation {activation.name} has no result at {at}: {status}")
    if failed.any():
        warn(f"{int(failed.sum())} of {failed.size} points have no result: see status", ConvergenceWarning)


def _angle(symmetry: Symmetry, share: xr.DataArray, kept: xr.DataArray, lost: xr.DataArray):
    """chi_phi and 1 - chi_phi, each without cancellation; `kept` and `lost` are what they are without asymmetry."""
    if symmetry.conserves_angles:
        return xr.broadcast((1.0 - share) * kept, share + (1.0 - share) * lost)
    none = xr.where(kept.notnull() & (symmetry.capsule_dimension > 1), 0.0, np.nan) + 0.0 * share
    return none, 1.0 - none


def _solved(
    symmetry: Symmetry, activation: Activation, sigma_w: np.ndarray, sigma_b: np.ndarray
) -> dict[str, np.ndarray]:
    """All that does not depend on the asymmetry, for flat arrays of points; NaN where there is no fixed point."""
    numbers = [name for name in LONG_NAMES if name not in ("status", "ordered", "chi_phi", "xi_phi")]
    out = {name: np.full(sigma_w.shape, np.nan) for name in (*numbers, "kept", "lost")}
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
        "lost": 0.0 * point.c,
        "chi_jacobian": scales.chi_jacobian,
        "ordered": scales.chi_jacobian_minus_one <= 0.0,
        "status": point.status,
        "error_estimate": scales.error,
    }


def _with_bias(
    symmetry: Symmetry, activation: Activation, sigma_w: np.ndarray, sigma_b: np.ndarray
) -> dict[str, np.ndarray]:
    dimension = symmetry.capsule_dimension
    s, status = _power(activation, dimension, sigma_w, sigma_b)
    good = np.flatnonzero(status == CONVERGED)
    out = {"status": status}
    if good.size:
        found = _at_power(activation, dimension, s[good], sigma_w[good], sigma_b[good])
        status[good] = found.pop("status")
        kept = status[good] == CONVERGED
        for name, values in found.items():
            out[name] = np.full(s.shape, False if name == "ordered" else np.nan)
            out[name][good[kept]] = values[kept]
    return out


# ---- one input ------------------------------------------------------------------------------------------------------


def _power(activation: Activation, dimension: int, sigma_w, sigma_b) -> tuple[np.ndarray, np.ndarray]:
    """s = sigma_w^2 c* + sigma_b^2 and its status: where sigma_w^2 <f^2> + sigma_b^2 comes down to s, and does not
    alternate about it; the largest such s, or, where it alternates about each, the largest.
    """
    if activation.is_saturated:
        return sigma_w**2 + sigma_b**2, np.full(sigma_w.shape, CONVERGED)
    log_b = 2.0 * np.log(sigma_b)
    low, high = log_b - 1.0, _upper_end(activation, dimension, sigma_w, log_b)
    grid = np.arange(low.min(), max(high.max(), low.min() + 1.0) + _GRID, _GRID)
    own = (grid[1:] >= low[:, None]) & (grid[1:] <= high[:, None] + _GRID)
    level = _growth(activation, dimension, grid, log_b[:, None], sigma_w[:, None])
    crossing = own & (level[:, :-1] > 0.0) & (level[:, 1:] <= 0.0)
    index, cell = np.nonzero(crossing)
    s, status = np.full(sigma_w.shape, np.nan), np.full(sigma_w.shape, NO_FIXED_POINT)
    if index.size:
        root = find_root(
            lambda x, b, w: _growth(activation, dimension, x, b, w),
            (grid[cell], grid[cell + 1]),
            args=(log_b[index], sigma_w[index]),
            tolerances=TOLERANCES,
        )
        found = np.exp(root.x)
        chi = (1.0 - sigma_b[index] ** 2 / found) * relaxation(activation, dimension, found)[0]
        order = np.lexsort((found, chi > -1.0))  # what comes last stays
        s[index[order]] = found[order]
        status[index[order]] = np.where(root.success, CONVERGED, NOT_CONVERGED)[order]
    return s, status


def _upper_end(activation: Activation, dimension: int, sigma_w: np.ndarray, log_b: np.ndarray) -> np.ndarray:
    """log s above which a layer makes s smaller; where it makes it larger far out, where the search ends."""
    end, growth = far_out(activation, dimension, sigma_w)
    with np.errstate(divide="ignore", invalid="ignore"):
        settled = log_b - np.log(1.0 - growth) + 1.0
    return np.where(growth < 1.0, np.minimum(np.maximum(end, settled), np.log(LARGEST_S)), end)


def _growth(activation: Activation, dimension: int, log_s, log_b, sigma_w) -> np.ndarray:
    """log of the factor sigma_b^2/s + sigma_w^2 <f^2>/s by which a layer multiplies s; or what has its sign, and keeps
    its digits where f is nearly linear and the factor is 1 + sigma_b^2/s + e - (1 + e) lost, e = sigma_w^2 f'(0)^2 - 1.
    """
    s = np.exp(log_s)
    with np.errstate(over="ignore"):  # of the weakest biases in a table next to the strongest
        added = np.exp(log_b - log_s)
    if not activation.guaranteed:
        return np.log(added + sigma_w**2 * power_gain(activation, dimension, s))
    excess, m = activation.excess(sigma_w), saturation(activation, dimension, s)
    with np.errstate(divide="ignore", invalid="ignore"):  # a linear network loses nothing
        more = np.log(added + np.maximum(excess, 0.0))
        less = np.log((1.0 + excess) * m.lost + np.maximum(-excess, 0.0))
        return np.where(m.lost < 0.5, more - less, np.log(added + sigma_w**2 * m.gain))


# ---- two inputs -----------------------------------------------------------------------------------------------------


def _at_power(activation: Activation, dimension: int, s, sigma_w, sigma_b) -> dict[str, np.ndarray]:
    """All that follows from s."""
    # f = 1 knows no scale: its averages are taken at s = 1, which does not under- or overflow
    state = np.ones(s.shape) if activation.is_saturated else s
    m, square = layer_moments(activation, dimension, state), sigma_w**2 / (s / state)
    biases, weights = sigma_b**2 / s, square * m.gain  # their shares of s, which sum to 1
    chi_c, one_minus_chi_c = weights * m.chi, m.one_minus_chi + biases * m.chi
    excess = square * bending(activation, dimension, state) / dimension - biases  # chi_jacobian - 1
    angular = (dimension - 1) * m.angular if dimension > 1 else 0.0  # avoids 0 times infinity for f = 1
    far = square * (m.amplitude + angular) / dimension
    chi_jacobian = np.where((excess < -0.5) & np.isfinite(excess), far, 1.0 + excess)  # near 1 on the side of `excess`
    c_error, slope_error, overlap_error = np.full(s.shape, 1e-12), *np.zeros((2, *s.shape))
    if not activation.guaranteed:
        with np.errstate(divide="ignore"):
            c_error = gain_error(activation, dimension, state) / np.abs(one_minus_chi_c)
        slope_error = derivative_error(activation, dimension, state)
    # both inputs alike, as in the ordered region
    rho, missing, decay = np.ones(s.shape), np.zeros(s.shape), np.ones(s.shape)
    # with f = 1 and D = 2 strong biases leave 1 - rho ~ exp(-2/weights), and 1 - Delta' ~ (1 - rho) log(1/(1 - rho))/2
    lost, one_minus_chi_delta = biases.copy(), np.where(np.isfinite(excess), np.abs(excess), weights / 2.0)
    chaotic = np.flatnonzero(excess > 0.0)
    if chaotic.size:
        found, told = _apart(activation, dimension, state[chaotic], biases[chaotic], weights[chaotic])
        chaotic, unknown = chaotic[told], chaotic[~told]  # at the edge itself rounding does not tell the two apart
        if not activation.guaranteed:
            overlap_error[unknown] = np.minimum(excess[unknown], 1.0)  # both alike is off by as much
        for values, part in zip((rho, missing, decay, lost, one_minus_chi_delta, overlap_error), found, strict=True):
            values[chaotic] = part[told]
    chi_delta = np.where(excess <= 0.0, chi_jacobian, 1.0 - one_minus_chi_delta)
    status = np.where((c_error < _UNKNOWN) & (overlap_error < _UNKNOWN), CONVERGED, NOT_CONVERGED)
    # 1 - chi_delta is a difference of two numbers that have this error, and small next to the edge of chaos
    off = np.flatnonzero(overlap_error)
    with np.errstate(divide="ignore"):
        overlap_error[off] *= np.maximum(np.abs(2.0 * lost[off] / one_minus_chi_delta[off] - 1.0), 1.0)
    return {
        "c_star": state * m.gain,
        "d_star": s,
        "delta_star": state * m.gain * rho * decay,
        "rho_star": np.minimum(rho * decay, 1.0),  # rounding may exceed it
        "one_minus_rho_star": np.divide(missing, weights, out=np.zeros(s.shape), where=weights > 0.0),
        "chi_c": chi_c,
        "xi_c": depth_scale(chi_c, one_minus_chi_c),
        "chi_delta": chi_delta,
        "xi_delta": depth_scale(chi_delta, one_minus_chi_delta),
        "kept": weights * decay,
        "lost": lost,
        "chi_jacobian": chi_jacobian,
        "ordered": excess <= 0.0,
        "error_estimate": c_error + slope_error + overlap_error,
        "status": np.where(chi_c > -1.0, status, NO_FIXED_POINT),  # below, c alternates
    }


def _apart(activation: Activation, dimension: int, s, biases, weights) -> tuple[tuple[np.ndarray, ...], np.ndarray]:
    """In the chaotic region the correlation rho* of pre-activations, 1 - rho*, the factor `decay` that a layer puts to
    it, b/rho*, 1 - chi_delta, and an estimate of their relative error; and which points are told from the edge.

    In 1 - rho = weights (1 - Delta'/c') the right side is concave, since all coefficients of the correlation map are
    positive, and starts with a slope above 1: there is one root, where weights times the steepening of the map is b.
    """
    overlaps = Overlaps(activation, dimension, s)

    def pull(log_odds, state):
        """b/rho by what the map does, at rho and 1 - rho of these odds."""
        rho, missing = 1.0 / (1.0 + np.exp(-log_odds)), 1.0 / (1.0 + np.exp(log_odds))
        steep, error = overlaps.steepening(state, rho, missing)
        return weights[state] * steep / rho, error

    def level(log_odds, state):
        state = state.astype(int)
        with np.errstate(divide="ignore"):  # next to enormous scales b or the weights' share may be no number
            difference = np.log(pull(log_odds, state)[0]) - np.logaddexp(0.0, -log_odds) - np.log(biases[state])
        return np.clip(difference, -_FAR, _FAR)

    every, ends = np.arange(s.size), (np.full(s.shape, -_LARGEST_ODDS), np.full(s.shape, _LARGEST_ODDS))
    low, high = (level(end, every) for end in ends)
    root = find_root(level, ends, args=(every,), tolerances=TOLERANCES)
    none = low >= 0.0  # biases are too weak for any rho that is a number
    told = none | ((high > 0.0) & root.success)
    log_odds = np.where(none, -_LARGEST_ODDS, np.where(told, root.x, 0.0))
    missing, (lost, lost_error) = 1.0 / (1.0 + np.exp(log_odds)), pull(log_odds, every)
    rho = np.where(none, biases / np.where(none, lost, 1.0), 1.0 / (1.0 + np.exp(-log_odds)))
    decay, surplus, error = decay_and_surplus(activation, dimension, s, missing)
    one_minus_chi = lost - weights * decay * rho**2 * surplus
    return (rho, missing, decay, lost, one_minus_chi, error + lost_error), told
