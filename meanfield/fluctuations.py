"""Order 1/N: how the order parameter c of one network of width N scatters around the length map, and on which side.

Given the Gram matrix of one layer, the N capsules of the next are independent Gaussian vectors. So c' = (1/N) sum_i
f(r_i)^2 is a mean of N independent numbers: with F the length map, c' = F(c) + noise of variance v(c)/N, v = <f^4> -
<f^2>^2, exactly. Around the infinitely wide network's c_l, to first order in 1/N,

    Var c_{l+1}   = F'(c_l)^2 Var c_l + v(c_l)/N
    shift_{l+1}   = F'(c_l) shift_l + F''(c_l) Var c_l / 2            (shift_l: the mean of c minus the c_l of Eq. (8))

The second derivative needs no f'': r^2 is proportional to s t with s = sigma_w^2 c, t ~ Gamma(D/2), and integrating by
parts over t, s d/ds <g> = <(t - D/2) g>. Applied to s F' - F = -<f (f - r f')> it gives s^2 F'' = -<(t - D/2) f
(f - r f')>, which keeps its digits where f is nearly linear.

**O(k), k >= 2.** One input's capsule Gram matrix (c/k)(1 + T), tr T = 0, scatters too, and a network of O(k) keeps T.
To first order T is multiplied in each layer by chi_gram = k <f^2 r^2>/((k+2) s c') and gains the noise of a mean of N
terms phi phi^T, whose traceless part has E tr T^2 = (k/c')^2 <f^4> (1 - 1/k)/N. What T does to c is of second order.
For x Gaussian with covariance q (1 + T), expanding in T,

    E g(x) = <g> + (q^2/8) sum T_ij T_lm <d_i d_j d_l d_m g> + ... = <g> + q^2 tr T^2 <Laplace^2 g>/(4 k (k+2)) + ...

for a radial g (the tensor of fourth derivatives is isotropic, and T traceless). Since d<g>/dq = <Laplace g>/2, the last
average is 4 d^2<g>/dq^2, and with g = f^2, q = sigma_w^2 c/k the response is the length map's own curvature:

    F -> F + kappa tr T^2,       kappa = c^2 F''(c)/(k (k+2)).

The expansion in T is good as long as its eigenvalues, up to 2 sqrt(E tr T^2/k) in size, are small: where c saturates
1 - chi_gram ~ 2/k, so that asks for N >> k^2. Next to the transition everything asks for N (1 - chi_c) >> 1.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from .activations import Activation, as_activation
from .axes import sigma_w_axis, start_axis, table, width_axis
from .checks import LARGEST_S, SMALLEST_S, layer_power, preactivation_power, whole_number
from .fixed_points import solve
from .maps import warn_if_inaccurate
from .moments import averages, layer_moments, over_r, refinement_error
from .symmetry import Symmetry, as_symmetry

LONG_NAMES = {
    "c": "order parameter $c$ at infinite width, Eq. (8)",
    "var_c": "variance of $c$ among networks, to order $1/N$",
    "mean_shift": "mean of $c$ among networks minus $c$ at infinite width, to order $1/N$",
    "anisotropy": r"$E\,\mathrm{tr}\,T^2$ of one input's Gram matrix $(c/k)(1 + T)$, to order $1/N$",
    "error_estimate": "estimated relative error of a user's averages",
    "wide": r"whether $N (1 - \chi_c) > 4$ and, for O(k), $N > k^2$, as order $1/N$ needs",
}


class LayerNoise(NamedTuple):
    """What one layer does to small relative deviations of c, and adds to them; each an array like s."""

    gain: np.ndarray  # <f^2>/s
    chi: np.ndarray  # d log F/d log c
    one_minus_chi: np.ndarray
    curvature: np.ndarray  # c^2 F''/F
    noise: np.ndarray  # N times the variance of c'/F: <f^4>/<f^2>^2 - 1
    one_minus_chi_gram: np.ndarray  # T decays by chi_gram, for O(k)


def layer_noise(activation: Activation, dimension: int, s: np.ndarray, refine: int = 1) -> LayerNoise:
    """See :class:`LayerNoise`; s > 0."""
    m = layer_moments(activation, dimension, s, refine)
    half = dimension / 2.0
    power = half * m.gain

    def integrands(r, t, mean):
        ratio = activation.ratio(r)
        if activation.guaranteed:
            bend = (half - t) * ratio * over_r(activation.deficit(r), r) * t
        else:  # integrated by parts once more, as in `relaxation`: no f'
            bend = ((t - half) ** 2 - 2.0 * t + half) * ratio**2 * t
        return [bend, (ratio**2 * t / mean - 1.0) ** 2]  # over the mean, whose square underflows at large s

    curvature, spread = averages(activation, dimension, s, integrands, refine, rows=power)
    return LayerNoise(
        gain=m.gain,
        chi=m.chi,
        one_minus_chi=m.one_minus_chi,
        curvature=curvature / power,
        noise=spread,
        one_minus_chi_gram=2.0 / (dimension + 2.0) * m.one_minus_chi,
    )


def _noise_error(activation: Activation, dimension: int, s: np.ndarray) -> np.ndarray:
    """Estimated relative error of what a layer does; 0 for a named activation."""
    if activation.guaranteed:
        return np.zeros(s.shape)

    def parts(refine: int):
        layer = layer_noise(activation, dimension, s, refine)
        return [layer.gain, layer.noise, 1.0 + layer.chi, 1.0 + np.abs(layer.curvature)]  # the last two can vanish

    return refinement_error(parts)


class _Deviations(NamedTuple):
    """N times the relative variance of c, its relative mean shift, and E tr T^2."""

    variance: np.ndarray
    shift: np.ndarray
    anisotropy: np.ndarray

    def next(self, layer: LayerNoise, symmetry: Symmetry) -> _Deviations:
        return _Deviations(
            layer.chi**2 * self.variance + layer.noise,
            layer.chi * self.shift + layer.curvature * pull(self.variance, self.anisotropy, symmetry),
            (1.0 - layer.one_minus_chi_gram) ** 2 * self.anisotropy + _fresh_anisotropy(layer, symmetry),
        )


def pull(variance: np.ndarray, anisotropy: np.ndarray, symmetry: Symmetry) -> np.ndarray:
    """What the curvature acts on: Var c/2 and, for O(k), tr T^2/(k (k+2)), relative to c^2."""
    k = symmetry.capsule_dimension
    return variance / 2.0 + anisotropy / (k * (k + 2.0))


def _fresh_anisotropy(layer: LayerNoise, symmetry: Symmetry) -> np.ndarray:
    """N E tr T^2 that one layer adds: k^2 (1 - 1/k) <f^4>/<f^2>^2."""
    k = symmetry.capsule_dimension
    return k * (k - 1.0) * (1.0 + layer.noise) if symmetry.keeps_anisotropy else np.zeros(layer.noise.shape)


def fluctuations(width, sigma_w, symmetry: str | Symmetry = "U(1)", activation="tanh") -> xr.Dataset:
    """Mean and variance of c in deep networks of width N, to order 1/N around the fixed point c* of Eq. (8),

        Var c  = (<f^4> - c*^2)/(N (1 - chi_c^2)),
        E c    = c* + [F''(c*) Var c/2 + kappa E tr T^2]/(1 - chi_c),     kappa = c*^2 F''(c*)/(k (k+2)),
        E tr T^2 = k (k-1) <f^4>/(c*^2 N (1 - chi_gram^2)),

    the terms with T for O(k), k >= 2, only (derived at the top of this module). Networks are drawn independently; the
    scatter is from network to network, and along the depth of one network.

    Parameters
    ----------
    width : number or sequence, >= 1
        N, capsules in a layer. Good for N (1 - chi_c) >> 1 and, for O(k), N >> k^2.
    sigma_w : number or sequence, >= 0
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w`` and ``width`` (where they are sequences): `c` (c*), `var_c`, `mean_shift` (E c - c*), and for
        O(k), k >= 2, `anisotropy` (E tr T^2). `wide` says whether N (1 - chi_c) > 4 and, for O(k), N > k^2; where it is
        False the expansion is no good, and E c may come out negative. Where c* = 0 networks die: `var_c` and
        `mean_shift` are 0, and `anisotropy` is NaN, as there is nothing left that has one. All are NaN without a fixed
        point. Large sigma_w leave little of var_c: below 1e-31/N it is rounding (tanh: from sigma_w = 1e15 on for U(1),
        1e7 for O(4)). A user's activation adds `error_estimate`.

    Raises
    ------
    ValueError
        For a bad argument, and as :func:`meanfield.fixed_point`.
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    axes = sigma_w_axis(sigma_w, activation), width_axis(width)
    point = solve(axes[0].values, symmetry, activation)
    c = point.c
    alive = np.nan_to_num(c) > 0.0
    s = np.where(alive, layer_power(activation, axes[0].values, c), 1.0)
    layer = layer_noise(activation, symmetry.capsule_dimension, s)
    with np.errstate(divide="ignore", invalid="ignore"):  # linear networks, which have no fixed point but zero
        variance = layer.noise / (layer.one_minus_chi * (1.0 + layer.chi))
        lost = layer.one_minus_chi_gram
        anisotropy = _fresh_anisotropy(layer, symmetry) / (lost * (2.0 - lost))
        shift = layer.curvature * pull(variance, anisotropy, symmetry) / layer.one_minus_chi
        error = point.error + _noise_error(activation, symmetry.capsule_dimension, s) / np.abs(layer.one_minus_chi)
    found = _Deviations(*(np.where(alive, values, np.nan) for values in (variance, shift, anisotropy)))
    out = _dataset(c, found, np.where(alive, error, 0.0), axes[0].dims, axes, symmetry, activation)
    relaxed = np.where(alive, layer.one_minus_chi, -activation.excess(axes[0].values))
    wide = axes[0].copy(data=relaxed) * axes[1] > 4.0
    if symmetry.keeps_anisotropy:
        wide = wide & (axes[1] > symmetry.capsule_dimension**2)
    return out.assign(wide=wide.assign_attrs(long_name=LONG_NAMES["wide"]))


def fluctuation_trajectory(
    depth: int, width, sigma_w, c=None, d=None, symmetry: str | Symmetry = "U(1)", activation="tanh"
) -> xr.Dataset:
    """Mean and variance of c along the layers of networks of width N, to order 1/N (see :func:`fluctuations`).

    Parameters
    ----------
    depth : int >= 0
        Layers after layer 0.
    width : number or sequence, >= 1
        N, capsules in a layer.
    sigma_w : number or sequence, >= 0
    c : number or sequence, > 0
        Layer 0 is known: its order parameter is c in every network, for O(k) with an isotropic Gram matrix.
    d : number or sequence, > 0
        In place of c: layer 0 is random, as after a random input layer, N independent Gaussian capsules with
        E |z|^2 = d.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``layer`` 0..depth, and ``sigma_w``, ``c_0`` or ``d_0``, and ``width`` where they are sequences: `c` (at
        infinite width), `var_c`, `mean_shift`, and for O(k), k >= 2, `anisotropy`. A user's activation adds
        `error_estimate`, what each layer adds to the relative error.

    Raises
    ------
    ValueError
        For a bad argument, or unless one of c and d is given.
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    depth = whole_number("depth", depth, 0)
    scale, start, widths = sigma_w_axis(sigma_w, activation), start_axis(c, d), width_axis(width)
    first, sigma = (array.values for array in (start, scale))
    shape = scale.shape + start.shape
    first = np.broadcast_to(first, shape)
    sigma = np.broadcast_to(sigma.reshape(scale.shape + (1,) * start.ndim), shape)
    preactivation_power(sigma if d is None else np.ones(shape), first)  # must not be too large
    states = [(first, _Deviations(*np.zeros((3, *shape))), np.zeros(shape))]
    if d is not None:  # layer 0 is one layer, with sigma_w = 1, of inputs whose order parameter d is known
        states = [_next(*states[0][:2], np.ones(shape), symmetry, activation)]
    for _ in range(depth):
        states.append(_next(*states[-1][:2], sigma, symmetry, activation))
    order, found, errors = zip(*states, strict=True)
    deviations = _Deviations(*(np.stack(values) for values in zip(*found, strict=True)))
    dims = ("layer", *scale.dims, *start.dims)
    axes = scale, start, widths
    out = _dataset(np.stack(order), deviations, np.stack(errors), dims, axes, symmetry, activation)
    return out.assign_coords(layer=np.arange(depth + 1))


def _next(c, deviations: _Deviations, sigma_w, symmetry: Symmetry, activation: Activation):
    """c and the deviations one layer on, and the estimated error of the step."""
    s = layer_power(activation, sigma_w, c)
    state = np.clip(s, SMALLEST_S, LARGEST_S)
    layer = layer_noise(activation, symmetry.capsule_dimension, state)
    error = _noise_error(activation, symmetry.capsule_dimension, state)
    return s * layer.gain, deviations.next(layer, symmetry), error


def _dataset(c, found: _Deviations, error, dims, axes, symmetry: Symmetry, activation: Activation) -> xr.Dataset:
    """The absolute deviations at each width. The last of the axes is the width."""
    absolute = {
        "var_c": np.where(c == 0.0, 0.0, c**2 * found.variance),
        "mean_shift": np.where(c == 0.0, 0.0, c * found.shift),
    }
    if symmetry.keeps_anisotropy:
        absolute["anisotropy"] = found.anisotropy
    at_width = {name: xr.DataArray(values, dims=dims) / axes[-1] for name, values in absolute.items()}
    variables = {"c": (dims, c), **at_width}
    if not activation.guaranteed:
        variables["error_estimate"] = (dims, error)
        warn_if_inaccurate(activation, error)
    return table(variables, axes, symmetry, activation, LONG_NAMES)
