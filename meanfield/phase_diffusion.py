"""The Goldstone phase diffuses at finite width.

Infinitely wide networks conserve the phase phi between two inputs, Eq. (11), because their Gram matrix is its own mean.
At width N it is a mean of N terms: in the frame where phi = 0,

    (1/N) sum_i phi(z_1) conj phi(z_2) = Delta' + noise,       N Var(Im noise) = E[f_1^2 f_2^2 sin^2 theta],

and symmetry gives Im noise the mean 0 whatever came before. So phi takes independent steps and their variances add up:

    Var(phi_{l+1} - phi_l) = (K_0 - K_2)/(2 N Delta_{l+1}^2),        K_m at rho_l (`meanfield.transverse`).

**O(k).** Two inputs that differ by a group element P have Q = (Delta/k) P. In the frame P = 1 the polar factor of
(Delta/k) 1 + Z is, to first order in Z, exp of the antisymmetric (k/(2 Delta)) (Z - Z^T): its k(k-1)/2 entries a < b
are the angles by which it turns. Summed over them, (Z_ab - Z_ba)^2 has the mean

    (1/N) E[|phi_1|^2 |phi_2|^2 - (phi_1.phi_2)^2] = (1/N) E[f_1^2 f_2^2 sin^2 theta] = (1 - 1/k) (K_0 - K_2)/N,

equally shared, so each angle has the variance

    (k/(2 Delta'))^2 (2/(k (k-1))) (1 - 1/k) (K_0 - K_2)/N = (K_0 - K_2)/(2 N Delta'^2):

the same expression for every group, with the K of its own capsules. (The symmetric noise of the diagonal blocks and of
Q cannot turn the factor to this order: no linear map that commutes with O(k) makes antisymmetric matrices of symmetric
ones.) All this is the leading order in 1/N. The next one has fluctuations of Delta for one, which grow along the
layers: E[1/Delta^2] exceeds 1/(E Delta)^2. Sampled networks (U(1), sigma_w = 1.4, N = 128, after a random layer with
rho = 0.8) have this variance within 5 % at layer 10; where it is 0.25 rad^2, at layer 30, theirs is larger by two
fifths to a half (and at N = 256, where it gets there ten layers later, as well).

Deep in a network Delta falls as A exp(-l/xi) c* with xi = xi_delta, K_0 - K_2 tends to c*^2, and the variance grows as
xi exp(2 l/xi)/(4 N A^2). It reaches 1 rad^2 at

    l = (xi/2) log(4 N A^2/xi):

width buys depth logarithmically, capsule size linearly through xi (as long as N >> xi). By then Delta fluctuates as
much as it is large, and the expansion is at its end; sampled networks (U(1), sigma_w = 1.5, rho = 0.9 at c*) have
|E exp(i phi)| = exp(-1/2) at layer 45 for N = 64 and 58 for N = 256, where this variance is 1 at 42.1 and 57.4.
"""

from __future__ import annotations

import numpy as np
import xarray as xr

from .activations import Activation, as_activation
from .axes import rho_axis, sigma_w_axis, start_axis, table, width_axis
from .checks import LARGEST_S, SMALLEST_S, shortest, times_square, whole_number
from .depth_scales import DepthScales, depth_scales
from .fixed_points import ConvergenceWarning
from .maps import warn_if_inaccurate
from .symmetry import Symmetry, with_angles
from .trajectory import trajectory
from .transverse import transverse_noise
from .two_inputs import follow, overlap_axis
from .warn import warn

_FIRST_DEPTH = 64
_LARGEST_XI = 1e4  # deeper networks would take long to follow, and N >> xi_delta is out of reach
_CLOSE = 0.1  # rad^2, up to which sampled networks exceed the leading order by about a fifth at most
_SMALL_OVERLAP = 1e-3  # where rho has its asymptotic form, up to its square

LONG_NAMES = {
    "c": "order parameter $c$ at infinite width, Eq. (8)",
    "delta": r"covariance $\Delta$ at infinite width, Eq. (12)",
    "rho": r"overlap $\Delta/c$ at infinite width",
    "step_variance": "variance the phase gains in this layer, to order $1/N$ [rad$^2$]",
    "variance": "variance of the phase among networks, to order $1/N$ [rad$^2$]",
    "depth": "depth at which the variance of the phase is 1 rad$^2$ [layers]",
    "asymptotic": r"$(\xi_\Delta/2)\,\log(4 N A^2/\xi_\Delta)$ [layers]",
    "xi_delta": r"depth scale of $\Delta$, $\xi_\Delta$ [layers]",
    "amplitude": r"$A$, where $\rho \to A \exp(-l/\xi_\Delta)$",
    "wide": r"whether $N > 4 \xi_\Delta$ and $N > k^2$, as order $1/N$ needs",
}


def phase_diffusion(
    depth: int,
    width,
    sigma_w,
    c=None,
    d=None,
    delta=None,
    one_minus_rho=None,
    symmetry: str | Symmetry = "U(1)",
    activation="tanh",
) -> xr.Dataset:
    """Variance of the phase between two inputs along the layers of networks of width N,

        Var phi_l = sum_{j<=l} (K_0 - K_2)(rho_{j-1})/(2 N Delta_j^2),

    to leading order in 1/N (derived at the top of this module). Networks of N >> xi_delta follow it closely as
    long as it is some hundredths of a rad^2, and exceed it by two fifths or more where it is 0.25; from 1 rad^2 on they
    forget the phase more slowly than exp(-variance/2) says. For O(k) it is the variance of
    each of the k(k-1)/2 angles of the polar factor (:func:`meanfield.polar_factor`) of two inputs that differ by a
    group element; for U(1) that of phi of Eq. (10).

    Parameters
    ----------
    depth : int >= 0
        Layers after layer 0.
    width : number or sequence, >= 1
        N, capsules in a layer.
    sigma_w : number or sequence
    c : number or sequence, > 0
        The Gram matrix of layer 0 is known: both inputs have order parameter c, and their phase no variance yet.
    d : number or sequence, > 0
        In place of c: layer 0 is random, as after a random input layer, N independent pairs of Gaussian capsules with
        E |z|^2 = d.
    delta : number or sequence, > 0
        Covariance of the two inputs, at most c; with d that of the Gaussian capsules, at most d.
    one_minus_rho : number or sequence, in [0, 1)
        In place of delta: 1 - delta/c (or 1 - delta/d), for nearly identical inputs.
    symmetry : ``"U(1)"``, or ``"O(k)"`` with k >= 2
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``layer`` 0..depth, and ``sigma_w``, ``c_0`` or ``d_0``, ``delta_0`` or ``one_minus_rho_0``, and ``width``
        where they are sequences: `c`, `delta` and `rho` (at infinite width), `step_variance` and `variance`, in rad^2,
        which depend on rho alone: infinite where rho^2 underflows, and at sigma_w = 0 the limit of small sigma_w.
        `wide` says where that is good to about a fifth: up to a variance of 0.1 rad^2, for N > k^2 (D for k).
        The attribute `generators` counts the angles. Of sampled networks `simulate.ensemble_statistics` has, for U(1),
        `drift_var`, and for both `coherence`, exp(-(k-1) variance/2) to leading order.

    Raises
    ------
    ValueError
        For a bad argument, for a symmetry without such angles, or unless one of each pair is given.
    """
    symmetry, activation = with_angles(symmetry), as_activation(activation)
    depth = whole_number("depth", depth, 0)
    scale, start, widths = sigma_w_axis(sigma_w, activation), start_axis(c, d), width_axis(width)
    overlap = overlap_axis(delta, one_minus_rho)
    path, before = follow(depth, scale, start, overlap, symmetry, activation)
    first = None
    if before is not None:
        first = _steps(before, symmetry, activation).isel(layer=1).reset_coords(drop=True)
    steps = _steps(path, symmetry, activation, first)
    variables = {name: path[name] for name in ("c", "delta", "rho")}
    variables |= {"step_variance": steps / widths, "variance": _summed(steps) / widths}
    variables["wide"] = (variables["variance"] <= _CLOSE) & (widths > symmetry.capsule_dimension**2)
    names = LONG_NAMES | {"wide": r"whether the variance is at most 0.1 rad$^2$ and $N > k^2$, as order $1/N$ needs"}
    out = table(variables, (scale, start, overlap, widths), symmetry, activation, names)
    k = symmetry.capsule_dimension
    return out.assign_attrs(generators=k * (k - 1) // 2)


def _steps(
    path: xr.Dataset, symmetry: Symmetry, activation: Activation, first: xr.DataArray | None = None
) -> xr.DataArray:
    """N times the variance gained in each layer of a trajectory; `first` is layer 0's own."""
    source, target = path.isel(layer=slice(None, -1)), path.isel(layer=slice(1, None))
    states = xr.broadcast(source.sigma_w, source.c, source.rho, source.one_minus_rho)
    sigma_w, c, rho, missing = (array.transpose(*path.rho.dims).values.ravel() for array in states)
    s = np.clip(times_square(sigma_w, c), SMALLEST_S, LARGEST_S)
    noise, error = transverse_noise(activation, symmetry.capsule_dimension, s, rho, missing)
    warn_if_inaccurate(activation, error)
    with np.errstate(divide="ignore", over="ignore"):
        steps = noise.reshape(target.rho.shape) / (2.0 * target.rho.values**2)
    out = path.rho.copy(data=np.concatenate([np.zeros((1, *steps.shape[1:])), steps]))
    return out if first is None else out.where(out.layer > 0, first)


def _summed(steps: xr.DataArray) -> xr.DataArray:
    with np.errstate(over="ignore"):
        return steps.cumsum("layer")


def readable_depth(width, sigma_w, rho, symmetry: str | Symmetry = "U(1)", activation="tanh") -> xr.Dataset:
    """The depth to which a network of width N keeps the phase of two inputs: where its variance reaches 1 rad^2.

    Behind it the phase is not gone at once: |E exp(i phi)| is about 0.6 there and fades over as many layers again (at
    twice the depth networks of 64 and 256 capsules, sigma_w = 1.4, have 0.3 and 0.1 left).

    Both inputs start at the fixed point, c = c*, with a known Gram matrix. The variance is that of
    :func:`phase_diffusion`, which is exponential in depth, so between two layers its logarithm is interpolated; beside
    it stands the asymptotic form (xi_delta/2) log(4 N A^2/xi_delta).

    Parameters
    ----------
    width : number or sequence, >= 1
        Order 1/N, and with it all of this, holds for N >> xi_delta and N >> k^2: see `wide`.
    sigma_w : number or sequence
        In the broken phase, with xi_delta <= 1e4 (others are NaN).
    rho : number or sequence, in (0, 1)
        Overlap Delta/c* at layer 0.
    symmetry : ``"U(1)"``, or ``"O(k)"`` with k >= 2
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``sigma_w``, ``rho_0`` and ``width`` where they are sequences: `depth` and `asymptotic`, in layers, and
        what the latter is made of, `xi_delta` and `amplitude` (A in rho -> A exp(-l/xi_delta)). `depth` is below 1
        where the first layer ends it. `asymptotic` is negative where N < xi_delta/(4 A^2), too narrow for it. It takes
        the sum over layers for an integral; the geometric sum is (xi_delta/2) log(2 N A^2 (1 - exp(-2/xi_delta))), half
        a layer less where xi_delta >> 1. `wide` says whether N > 4 xi_delta and N > k^2 (D for k); where it is False,
        `depth` is an order of magnitude at best.

    Raises
    ------
    ValueError
        For a bad argument, and where c* = 0 at every sigma_w, so that no phase is left to read, or all are next to the
        transition. In a sweep such points are NaN, and a :class:`meanfield.ConvergenceWarning` counts them.
    """
    symmetry, activation = with_angles(symmetry), as_activation(activation)
    scale, widths = sigma_w_axis(sigma_w, activation), width_axis(width)
    overlap = rho_axis(rho)
    scales = depth_scales(scale.values, symmetry, activation)
    known = _far_from_transition(scales)
    if not known.all():
        return _with_gaps(readable_depth(width, scale.values[known], rho, symmetry, activation), scale, known)
    path, total = _follow(scale, scale.copy(data=scales.fixed_point.c), overlap, widths, symmetry, activation)
    xi = scale.copy(data=scales.xi_delta)
    small = (path.rho < _SMALL_OVERLAP).argmax("layer")  # not the last layer, where other depth scales may underflow
    amplitude = path.rho.drop_vars("layer").isel(layer=small) * np.exp(small / xi)
    with np.errstate(divide="ignore"):  # a rho that is lost in 1 - rho starts as 0
        asymptotic = xi / 2.0 * np.log(4.0 * widths * amplitude**2 / xi)
    variables = {
        "depth": _crossing(total / widths),
        "asymptotic": asymptotic,
        "xi_delta": xi,
        "amplitude": amplitude,
        "wide": (widths > 4.0 * xi) & (widths > symmetry.capsule_dimension**2),
    }
    return table(variables, (scale, overlap, widths), symmetry, activation, LONG_NAMES)


def _with_gaps(part: xr.Dataset, sigma_w: xr.DataArray, known: np.ndarray) -> xr.Dataset:
    """The table of the points that are known, with NaN (and not `wide`) at the others."""
    whole = part.isel(sigma_w=np.maximum(np.cumsum(known) - 1, 0)).assign_coords(sigma_w=sigma_w.coords["sigma_w"])
    there = sigma_w.copy(data=known)
    return whole.assign({name: whole[name] & there if name == "wide" else whole[name].where(there) for name in whole})


def _far_from_transition(scales: DepthScales) -> np.ndarray:
    """Which points have a depth: where there is a phase to read, and its layers are not too many to follow."""
    known = (scales.fixed_point.c > 0.0) & (scales.xi_delta <= _LARGEST_XI)
    wanted = f"in the broken phase, with xi_delta <= {_LARGEST_XI:g} layers"
    if not known.any():
        raise ValueError(f"sigma_w must be {wanted}, got {shortest(scales.sigma_w.flat[0])}")
    if not known.all():
        warn(f"{int((~known).sum())} of {known.size} sigma_w are not {wanted}", ConvergenceWarning)
    return known


def _follow(scale, c, overlap, widths, symmetry: Symmetry, activation: Activation) -> tuple[xr.Dataset, xr.DataArray]:
    """A trajectory, and N times the variance along it, deep enough for the widest network."""
    depth = _FIRST_DEPTH
    while True:
        path = trajectory(depth, scale, c, one_minus_rho=1.0 - overlap, symmetry=symmetry, activation=activation)
        total = _summed(_steps(path, symmetry, activation))
        last = {"layer": -1}
        if total.isel(last).min() > widths.max() and path.rho.isel(last).max() < _SMALL_OVERLAP:
            return path, total
        depth *= 2


def _crossing(variance: xr.DataArray) -> xr.DataArray:
    """Where it first reaches 1, between two layers by a straight line for its logarithm; for itself in the first layer,
    before which there is none."""
    variance = variance.drop_vars("layer")
    after = (variance >= 1.0).argmax("layer")
    with np.errstate(divide="ignore", invalid="ignore"):  # infinite where rho is 0
        high, low = (np.log(variance.isel(layer=layer)) for layer in (after, np.maximum(after - 1, 0)))
        between = (after - high / (high - low)).where(np.isfinite(high), after)
    return between.where(after > 1, 1.0 / variance.isel(layer=1))
