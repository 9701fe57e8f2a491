"""Susceptibilities and depth scales at the fixed point: how far each kind of information travels."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .activations import Activation
from .checks import layer_power, shortest, times_square
from .fixed_points import FixedPoint, solve
from .maps import warn_if_inaccurate
from .moments import bending, derivative_error, layer_moments, refinement_error
from .symmetry import Symmetry


@dataclass(frozen=True)
class DepthScales:
    """Per-layer factors chi at the fixed point and the depth scales xi = -1/log chi, in layers; arrays like sigma_w.

    Attributes
    ----------
    fixed_point : the fixed point they belong to, with residual and status; `c_star` is its c.
    chi_c, xi_c : relaxation of c to c*: chi_c = <f f' r>/c*.
    chi_delta, xi_delta : decay of Delta (Section 2.3): chi_delta = <r f>^2/(sigma_w^2 c*^2) <= 1 by Cauchy and Schwarz,
        with equality for linear f only.
    chi_jacobian : mean squared singular value of a layer's Jacobian, (sigma_w^2/D) <f'^2 + (D-1)(f/r)^2>; also the
        growth of 1 - rho between nearly identical inputs. `amplitude` and `angular` are the two parts it is the sum of.
    chi_jacobian_minus_one : without cancellation, (sigma_w^2/D) <(f/r - f')^2> where c* > 0 (<r d(f/r)^2/dr> by parts,
        and sigma_w^2 <f^2> = s): it is positive there, however close to the transition.
    chi_gram, xi_gram : decay of the traceless part of one input's own capsule Gram matrix G for O(k), k >= 2,

            chi_gram = k <f^2 r^2>/((k+2) sigma_w^2 c*^2) = (k + 2 chi_c)/(k + 2);

        0 for U(1) and generic, which isotropise in one layer; NaN for O(1) and generic(1), where there is none. Where
        c* > 0 it is the decay of the anisotropy T of G = (c/k)(1 + T), too; below the transition c shrinks as fast as
        the traceless part, and T tends to a constant.
    one_minus_chi_c, one_minus_chi_delta, one_minus_chi_gram : without cancellation (chi itself can round to 1).
    error : estimated relative error of the worst among c* and the chi's (of 1 + |chi_c|, which can vanish); 1e-12 is
        guaranteed for the named activations. A user's f' may be found from f: chi_jacobian is then the worst (where f
        jumps it is infinite); `fixed_point.error` is that of c* alone. 1 - chi and with it xi lose what they are
        smaller by: for a user's f their relative error is up to error/(1 - chi).

    Below the transition c and Delta shrink together: chi_c, chi_delta, chi_jacobian and, for O(k), k >= 2, chi_gram are
    sigma_w^2 f'(0)^2; at it their xi are infinite. All are NaN where the fixed point has not converged.
    """

    fixed_point: FixedPoint
    chi_c: np.ndarray
    one_minus_chi_c: np.ndarray
    chi_delta: np.ndarray
    one_minus_chi_delta: np.ndarray
    amplitude: np.ndarray
    angular: np.ndarray
    chi_jacobian_minus_one: np.ndarray
    chi_gram: np.ndarray
    one_minus_chi_gram: np.ndarray
    error: np.ndarray

    @property
    def sigma_w(self) -> np.ndarray:
        return self.fixed_point.sigma_w

    @property
    def c_star(self) -> np.ndarray:
        return self.fixed_point.c

    @property
    def chi_jacobian(self) -> np.ndarray:
        return self.amplitude + self.angular

    @property
    def xi_c(self) -> np.ndarray:
        return depth_scale(self.chi_c, self.one_minus_chi_c)

    @property
    def xi_delta(self) -> np.ndarray:
        return depth_scale(self.chi_delta, self.one_minus_chi_delta)

    @property
    def xi_gram(self) -> np.ndarray:
        return depth_scale(self.chi_gram, self.one_minus_chi_gram)

    @property
    def d_star(self) -> np.ndarray:
        """Pre-activation order parameter of Eq. (50), d* = (1/N) sum E|z|^2 = sigma_w^2 c*."""
        return times_square(self.sigma_w, self.c_star)

    def __repr__(self) -> str:
        point = self.fixed_point
        head = f"DepthScales({point.symmetry}, {point.activation.name}"
        if self.sigma_w.ndim:
            ranges = f"c*={_range(self.c_star)}, xi_delta={_range(self.xi_delta)}"
            return f"{head}, {self.sigma_w.size} sigma_w, {int(point.converged.sum())} converged: {ranges})"
        return (
            f"{head}, sigma_w={shortest(float(self.sigma_w))}: c*={point.c:.6g}, xi_c={self.xi_c:.6g}, "
            f"xi_delta={self.xi_delta:.6g}, chi_jacobian={self.chi_jacobian:.6g}{point.elsewhere})"
        )


def _range(values: np.ndarray) -> str:
    """From the least to the largest of those that are known."""
    known = values[~np.isnan(values)]
    return f"{known.min():.6g} to {known.max():.6g}" if known.size else "unknown"


def depth_scales(sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh") -> DepthScales:
    """Depth scales at the fixed point of each sigma_w; see :class:`DepthScales`.

    Relative error of every chi, 1 - chi and xi below 1e-12 for the named activations, D up to 48, sigma_w in
    [1e-3, 1e3] and next to the transition; chi_jacobian of ``saturated`` is infinite for D <= 2. The xi's use 1 - chi
    where chi is near 1.

    Parameters
    ----------
    sigma_w : array_like, >= 0
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    DepthScales
        Arrays of the shape of sigma_w.

    Raises
    ------
    ValueError, RuntimeError
        As :func:`meanfield.fixed_point`, whose warnings are given, too.

    Examples
    --------
    >>> import meanfield
    >>> scales = meanfield.depth_scales([1.2, 1.5, 2.0], "O(4)")
    >>> scales.xi_delta.round(1)
    array([121.5,  33.3,  16.3])
    >>> meanfield.depth_scales(1.5, "U(1)", lambda r: r / (1 + r))
    DepthScales(U(1), <lambda>, sigma_w=1.5: c*=0.0722206, xi_c=2.61626, xi_delta=63.9226, chi_jacobian=1.03841)
    """
    scales = _at(solve(sigma_w, symmetry, activation))
    warn_if_inaccurate(scales.fixed_point.activation, scales.error)
    return scales


def _at(point: FixedPoint) -> DepthScales:
    symmetry, activation = point.symmetry, point.activation
    dimension = symmetry.capsule_dimension
    excess = activation.excess(point.sigma_w)
    alive = np.nan_to_num(point.c) > 0.0
    # Below the transition every capsule is linear: all factors are sigma_w^2 f'(0)^2.
    finite_slope = 0.0 if activation.is_saturated else activation.slope
    linear = np.where(point.converged, (finite_slope * point.sigma_w) ** 2, np.nan)
    one_minus = np.where(point.converged, 0.0 - excess, np.nan)
    out = {
        "chi_c": linear,
        "one_minus_chi_c": one_minus,
        "chi_delta": linear,
        "one_minus_chi_delta": one_minus,
        "amplitude": linear / dimension,
        "angular": linear * (dimension - 1) / dimension,
        "chi_jacobian_minus_one": 0.0 - one_minus,
        "error": point.error,
    }
    out = {name: np.array(value) for name, value in out.items()}
    if alive.any():
        s = layer_power(activation, point.sigma_w[alive], point.c[alive])
        weight = s / point.c[alive]  # sigma_w^2, in the units of s
        m = layer_moments(activation, dimension, s)
        if not activation.guaranteed:
            out["error"][alive] += _moments_error(activation, dimension, s)
        out["chi_c"][alive], out["one_minus_chi_c"][alive] = m.chi, m.one_minus_chi
        out["chi_delta"][alive], out["one_minus_chi_delta"][alive] = m.linear, m.one_minus_linear
        out["amplitude"][alive] = weight * m.amplitude / dimension
        # one capsule component has no angle; avoids 0 times infinity for f = 1
        out["angular"][alive] = weight * (dimension - 1) / dimension * m.angular if dimension > 1 else 0.0
        out["chi_jacobian_minus_one"][alive] = weight * bending(activation, dimension, s) / dimension
    out["chi_gram"], out["one_minus_chi_gram"] = _gram_factor(symmetry, alive, out["chi_c"], out["one_minus_chi_c"])
    if dimension == 1 and activation.is_saturated:
        out["amplitude"] = np.full(point.sigma_w.shape, np.inf)  # f jumps at 0
    return DepthScales(fixed_point=point, **out)


def _moments_error(activation: Activation, dimension: int, s: np.ndarray) -> np.ndarray:
    """What finer rules change, and what f' has missed."""

    def moments(refine: int):
        m = layer_moments(activation, dimension, s, refine)
        return m._replace(chi=1.0 + np.abs(m.chi))  # chi can vanish

    return np.maximum(refinement_error(moments), derivative_error(activation, dimension, s))


def _gram_factor(symmetry: Symmetry, alive: np.ndarray, chi_c: np.ndarray, one_minus_chi_c: np.ndarray):
    """chi_gram and 1 - chi_gram: <f^2 r^2> by parts; below the transition all factors are one and the same."""
    if symmetry.keeps_anisotropy:
        lost = 2.0 / (symmetry.capsule_dimension + 2.0) * one_minus_chi_c
        return np.where(alive, 1.0 - lost, chi_c), np.where(alive, lost, one_minus_chi_c)
    constant = np.nan if symmetry.capsule_dimension == 1 else 0.0
    factor = np.where(np.isnan(chi_c), np.nan, constant)
    return factor, 1.0 - factor


def depth_scale(chi: np.ndarray, one_minus_chi: np.ndarray) -> np.ndarray:
    """xi = -1/log|chi|, from whichever of chi and 1 - chi is the smaller; 0 at chi = 0, infinite at chi = 1."""
    chi, one_minus_chi = np.asarray(chi, float), np.asarray(one_minus_chi, float)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        log_chi = np.where(chi < 0.5, np.log(np.abs(chi)), np.log1p(-np.minimum(one_minus_chi, 1.0)))
        return (-1.0 / log_chi + 0.0)[()]
