"""Order 1/N: how the overlap of two inputs scatters from network to network, and on which side of Eq. (12) its mean is.

Let c_1, c_2 and the magnitude |C_12| of one network deviate from the infinitely wide one's c, c and Delta by the
relative amounts e_1, e_2, e. The next layer's are the length map and the correlation map G of these, and noise that is
independent of them (`meanfield.overlap_noise`). To first order in 1/N, with chi = c F'/F, g = c dG/dc_1/G, r = Delta
dG/dDelta/G, and G_.. the second derivatives times their c and Delta, over G (`meanfield.overlap_response`),

    Var e_1'       = chi^2 Var e_1 + noise,                  Cov(e_1', e_2') = chi^2 Cov(e_1, e_2) + noise,
    Cov(e_1', e')  = chi [g (Var e_1 + Cov(e_1, e_2)) + r Cov(e_1, e)] + noise,
    Var e'         = 2 g^2 (Var e_1 + Cov(e_1, e_2)) + 4 g r Cov(e_1, e) + r^2 Var e + noise,
    E e'           = 2 g E e_1 + r E e + G_11 Var e_1 + G_12 Cov(e_1, e_2) + 2 G_1D Cov(e_1, e) + G_DD Var e/2 + turn,

and E e_1 as in `meanfield.fluctuations`. The last term is that noise across the frame of C_12 lengthens it: noise of
variance v in each of n directions that turn it adds n v/(2 Delta'^2). As the frame turns by the same noise, along the
frame of layer 0 nothing is gained: with the variance V of each angle (`meanfield.phase_diffusion`), E C_12 is shorter
than E |C_12| by the factor 1 - n V/2. Its own deviation E e - n V/2 thus obeys the same recursion with n (r - 1) V/2 in
place of `turn`. All that grows as 1/Delta^2 is gone from it: r - 1 and G_DD vanish with the overlap squared. n is 1
for U(1), k - 1 for O(k), 0 for generic networks, whose tr C_12 is a real number.

**O(k), k >= 2.** The traceless parts t_ab of the Gram matrix in that frame obey linear maps of their own, and gain
noise with the second moments E tr t_ab t_cd, all from K_0, K_2 and E[f_1^3 f_2 cos theta]; in second order they move
the mean of G.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from .activations import Activation, as_activation, as_named
from .axes import sigma_w_axis, start_axis, table, width_axis
from .checks import LARGEST_S, SMALLEST_S, times_square, whole_number
from .fluctuations import LayerNoise, layer_noise, pull
from .maps import warn_if_inaccurate
from .overlap_noise import OverlapNoise, overlap_noise
from .overlap_response import AnisotropyResponse, OverlapResponse, anisotropy_response, overlap_response
from .symmetry import Symmetry, as_symmetry
from .two_inputs import follow, overlap_axis

LONG_NAMES = {
    "c": "order parameter $c$ at infinite width, Eq. (8)",
    "delta": r"covariance $\Delta$ at infinite width, Eq. (12)",
    "rho": r"overlap $\Delta/c$ at infinite width",
    "var_c": "variance of $c$ among networks, to order $1/N$",
    "mean_shift": "mean of $c$ among networks minus $c$ at infinite width, to order $1/N$",
    "cov_c": "covariance of $c_1$ and $c_2$ among networks, to order $1/N$",
    "cov_c_magnitude": "covariance of $c_1$ and $|C_{12}|$ among networks, to order $1/N$",
    "var_magnitude": "variance of $|C_{12}|$ among networks, to order $1/N$",
    "magnitude_shift": r"mean of $|C_{12}|$ among networks minus $\Delta$, to order $1/N$",
    "delta_shift": r"size of the mean of $C_{12}$ minus $\Delta$, to order $1/N$",
    "wide": "whether networks scatter little enough for order $1/N$ of $|C_{12}|$",
    "error_estimate": "estimated relative error that a layer of a user's activation adds",
}


class Layer(NamedTuple):
    """One layer between two others; arrays (inputs,)."""

    rho: np.ndarray
    one: LayerNoise
    response: OverlapResponse
    noise: OverlapNoise
    anisotropy: AnisotropyResponse | None = None


class Anisotropy(NamedTuple):
    """N E tr t_ab t_cd of (11, 11), (11, 22), (11, 12)/rho and (12, 12)."""

    alone: np.ndarray
    apart: np.ndarray
    crossed: np.ndarray
    between: np.ndarray

    def next(self, layer: Layer, k: int) -> Anisotropy:
        response, noise = layer.anisotropy, layer.noise
        assert response is not None
        fresh, chi = k * (k - 1.0), 1.0 - layer.one.one_minus_chi_gram
        kept, mixed = response.kept, layer.rho * response.mixed
        both = self.alone + self.apart
        return Anisotropy(
            chi**2 * self.alone + fresh * (1.0 + layer.one.noise),
            chi**2 * self.apart + fresh * (1.0 + noise.powers - noise.transverse),
            chi * (response.mixed * both + kept * self.crossed) / layer.response.decay
            + fresh * (1.0 + noise.power_overlap),
            2.0 * mixed**2 * both
            + 4.0 * kept * mixed * layer.rho * self.crossed
            + kept**2 * self.between
            + fresh * (1.0 + noise.powers - (0.5 - 1.0 / k) * noise.transverse),
        )

    def pull(self, response: AnisotropyResponse) -> np.ndarray:
        """What it adds to the relative mean of the next layer's overlap."""
        return (
            response.alone * self.alone
            + response.apart * self.apart
            + response.crossed * self.crossed
            + response.between * self.between
        )


class Deviations(NamedTuple):
    """N times moments of the relative deviations, arrays (inputs,). Those with rho^2 stay finite as rho -> 0."""

    variance: np.ndarray  # Var e_1
    both: np.ndarray  # Cov(e_1, e_2)
    crossed: np.ndarray  # Cov(e_1, e)
    magnitude: np.ndarray  # rho^2 Var e
    shift: np.ndarray  # E e_1
    along: np.ndarray  # of the mean C_12: E e - n V/2
    angle: np.ndarray  # rho^2 V
    anisotropy: Anisotropy

    def bias(self, one: LayerNoise, symmetry: Symmetry) -> np.ndarray:
        """What a layer adds to `shift`, beside what it makes of it."""
        return one.curvature * pull(self.variance, self.anisotropy.alone, symmetry)

    def growth(self, layer: Layer, symmetry: Symmetry) -> np.ndarray:
        """What a layer adds to `along`, beside what it makes of it."""
        response = layer.response
        out = (
            2.0 * response.own * self.shift
            + turns(symmetry) / 2.0 * response.surplus * self.angle
            + response.own_own * self.variance
            + response.both * self.both
            + 2.0 * response.own_overlap * self.crossed
            + response.overlap_overlap * self.magnitude / 2.0
        )
        return out if layer.anisotropy is None else out + self.anisotropy.pull(layer.anisotropy)

    def next(self, layer: Layer, symmetry: Symmetry) -> Deviations:
        one, response, noise, k = layer.one, layer.response, layer.noise, symmetry.capsule_dimension
        own, gain = response.own, 1.0 + layer.rho**2 * response.surplus
        norms = self.variance + self.both
        next_rho = response.decay * layer.rho
        return Deviations(
            variance=one.chi**2 * self.variance + one.noise,
            both=one.chi**2 * self.both + noise.powers,
            crossed=one.chi * (own * norms + gain * self.crossed) + noise.power_overlap,
            magnitude=next_rho**2 * (2.0 * own**2 * norms + 4.0 * own * gain * self.crossed)
            + (gain * response.decay) ** 2 * self.magnitude
            + noise.overlap,
            shift=one.chi * self.shift + self.bias(one, symmetry),
            along=gain * self.along + self.growth(layer, symmetry),
            angle=response.decay**2 * self.angle + noise.transverse / 2.0,
            anisotropy=self.anisotropy if layer.anisotropy is None else self.anisotropy.next(layer, k),
        )


def turns(symmetry: Symmetry) -> int:
    """n: the directions in which noise can turn the frame of C_12, seen from one of its axes."""
    if symmetry.family == "U(1)":
        return 1
    return symmetry.capsule_dimension - 1 if symmetry.conserves_angles else 0


def overlap_fluctuations(
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
    """Mean and variance of the overlap of two inputs along the layers of networks of width N, to order 1/N.

    Infinitely wide networks have c and Delta of Eq. (8) and (12). What networks of width N have in their place is
    derived at the top of this module: besides the scatter, the mean of C_12 is larger than Delta by an amount that,
    relative to Delta, grows with depth.

    Parameters
    ----------
    depth : int >= 0
        Layers after layer 0.
    width : number or sequence, >= 1
        N, capsules in a layer.
    sigma_w : number or sequence
    c : number or sequence, > 0
        The Gram matrix of layer 0 is known: both inputs have order parameter c, and what they differ by beside Delta is
        a group element.
    d : number or sequence, > 0
        In place of c: layer 0 is random, as after a random input layer, N independent pairs of Gaussian capsules with
        E |z|^2 = d.
    delta : number or sequence, > 0
        Covariance of the two inputs, below c; with d that of the Gaussian capsules, below d.
    one_minus_rho : number or sequence, in (0, 1)
        In place of delta: 1 - delta/c (or 1 - delta/d).
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, or, but for O(k) with k >= 2, a callable f(r) or a pair (f, f'); see
        :func:`meanfield.as_activation`

    Returns
    -------
    xarray.Dataset
        Over ``layer`` 0..depth, and ``sigma_w``, ``c_0`` or ``d_0``, ``delta_0`` or ``one_minus_rho_0``, and ``width``
        where they are sequences: `c`, `delta` and `rho` at infinite width, and to order 1/N, with |C_12| the size of
        C_12 in one network (for O(k) the sum of the singular values of Q, for generic networks tr Q),

        - `delta_shift`, |E C_12| - Delta, the deviation of the mean, which stays good where networks scatter a lot;
        - `magnitude_shift`, E |C_12| - Delta, and `var_magnitude`, infinite where rho underflows;
        - `wide`, whether these two are good: the relative variance of C_12 is below 1/10 along its frame (that is
          var_magnitude < Delta^2/10) and across it (n V, which lengthens |C_12| and, beyond this order, levels its
          scatter), and N > k^2 for O(k), k >= 2. The next order is of the size of these squared. In sampled networks of
          width 64 the variance is then up to two fifths too large here, and the mean off by 2 %. Where it is False,
          var_magnitude goes on to grow as 1/Delta^2 without bound, and true networks do not;
        - `var_c` and `mean_shift` of c, as :func:`meanfield.fluctuation_trajectory` has them, `cov_c`, the covariance
          of c_1 and c_2, and `cov_c_magnitude`, that of c_1 and |C_12|.

        Of sampled networks `simulate.ensemble_statistics` has `delta`, `magnitude` and `magnitude_var`. A user's
        activation adds `error_estimate`, what each layer adds to the relative error.

    Raises
    ------
    ValueError
        For a bad argument, unless one of each pair is given, for identical inputs (their overlap is c:
        :func:`meanfield.fluctuation_trajectory`), and for a user's activation with O(k), k >= 2.

    Examples
    --------
    >>> import meanfield
    >>> mean = meanfield.overlap_fluctuations(60, 200, 1.4, c=0.4, delta=0.32)
    >>> print((mean.delta_shift / mean.delta).sel(layer=[20, 40, 60]).values.round(3))
    [0.011 0.073 0.153]
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    if symmetry.keeps_anisotropy:
        activation = as_named(activation, "the overlap of anisotropic capsules")
    depth = whole_number("depth", depth, 0)
    scale, start, widths = sigma_w_axis(sigma_w, activation), start_axis(c, d), width_axis(width)
    overlap = overlap_axis(delta, one_minus_rho)
    path, first = follow(depth, scale, start, overlap, symmetry, activation)
    closest = float(path.one_minus_rho.isel(layer=0).min())
    if closest <= 0.0:
        raise ValueError(
            "delta must be below the order parameter (one_minus_rho above 0), as identical inputs have one c, "
            f"got one_minus_rho = {closest:.6g}"
        )
    deviations, errors = _propagate(path, first, symmetry, activation)
    variables = {name: path[name] for name in ("c", "delta", "rho")}
    relative = _relative(path, deviations)
    variables |= {name: value / widths for name, value in _absolute(path, relative, symmetry).items()}
    variables["wide"] = _wide(path, relative, widths, symmetry)
    if not activation.guaranteed:
        variables["error_estimate"] = path.rho.copy(data=errors) + path.error_estimate
        warn_if_inaccurate(activation, errors)
    return table(variables, (scale, start, overlap, widths), symmetry, activation, LONG_NAMES)


def _propagate(
    path: xr.Dataset, first: xr.Dataset | None, symmetry: Symmetry, activation: Activation
) -> tuple[list[Deviations], np.ndarray]:
    """The deviations of every layer, and what each adds to the relative error, (layer, ...), of a trajectory.

    `first` is the trajectory of one layer that layer 0 is, where it is random.
    """
    shape = path.rho.shape[1:]
    zero = np.zeros(int(np.prod(shape)))
    found = Deviations(*(zero,) * 7, Anisotropy(*(zero,) * 4))
    errors = [zero]
    if first is not None:
        like = path.rho.isel(layer=0, drop=True)
        own = first.drop_vars("sigma_w").broadcast_like(like).transpose("layer", *like.dims)
        (layer,), errors = _layers(own, first.sigma_w, symmetry, activation)
        found = found.next(layer, symmetry)
    out = [found]
    layers, more = _layers(path, path.sigma_w, symmetry, activation)
    for layer in layers:
        out.append(out[-1].next(layer, symmetry))
    return out, np.reshape([*errors, *more], path.rho.shape)


def _layers(
    path: xr.Dataset, sigma_w: xr.DataArray, symmetry: Symmetry, activation: Activation
) -> tuple[list[Layer], list[np.ndarray]]:
    """What the layers of a trajectory do, and their errors, all layers evaluated together."""
    source, target = path.isel(layer=slice(None, -1)), path.isel(layer=slice(1, None))
    count = source.sizes["layer"]
    if count == 0:
        return [], []
    states = (each.transpose(*path.rho.dims) for each in xr.broadcast(sigma_w, source.c, source.rho))
    weights, c, rho = (each.values.ravel() for each in states)
    missing, next_missing = (each.one_minus_rho.values.ravel() for each in (source, target))
    k, s = symmetry.capsule_dimension, np.clip(times_square(weights, c), SMALLEST_S, LARGEST_S)
    # where c has settled and the overlap is small, layers are alike
    _, some, which = np.unique(np.stack([s, missing, next_missing]), axis=1, return_index=True, return_inverse=True)
    s, missing = s[some], missing[some]
    noise, error = overlap_noise(activation, k, s, rho[some], missing, next_missing[some])
    response, response_error = overlap_response(activation, k, s, missing)
    parts: list[Any] = [layer_noise(activation, k, s), response, noise]
    if symmetry.keeps_anisotropy:
        parts.append(anisotropy_response(activation, k, s, missing))
    rows = which.reshape(count, -1)
    layers = [
        Layer(own, *(type(part)(*(column[row] for column in part)) for part in parts))
        for own, row in zip(rho.reshape(count, -1), rows, strict=True)
    ]
    return layers, list((error + response_error)[rows])


def _relative(path: xr.Dataset, deviations: list[Deviations]) -> dict[str, xr.DataArray]:
    """The deviations by name, over the layers and axes of a trajectory."""
    names = ("variance", "both", "crossed", "magnitude", "shift", "along", "angle")
    return {
        name: path.rho.copy(data=np.reshape([getattr(each, name) for each in deviations], path.rho.shape))
        for name in names
    }


def _wide(path: xr.Dataset, relative: dict, widths: xr.DataArray, symmetry: Symmetry) -> xr.DataArray:
    """Whether C_12 scatters by less than a tenth, in variance, both along its frame and across it."""
    most = path.rho**2 * widths / 10.0
    wide = (relative["magnitude"] <= most) & (turns(symmetry) * relative["angle"] <= most)
    return wide & (widths > symmetry.capsule_dimension**2) if symmetry.keeps_anisotropy else wide


def _absolute(path: xr.Dataset, relative: dict, symmetry: Symmetry) -> dict[str, xr.DataArray]:
    """N times the deviations themselves."""
    with np.errstate(divide="ignore", over="ignore"):
        delta_shift = _product(path.delta, relative["along"])
        lengthening = _product(path.c, _product(1.0 / path.rho, turns(symmetry) / 2.0 * relative["angle"]))
        return {
            "var_c": _product(path.c**2, relative["variance"]),
            "mean_shift": _product(path.c, relative["shift"]),
            "cov_c": _product(path.c**2, relative["both"]),
            "cov_c_magnitude": _product(path.c * path.delta, relative["crossed"]),
            "var_magnitude": _product(path.c**2, relative["magnitude"]),
            "magnitude_shift": delta_shift + lengthening,
            "delta_shift": delta_shift,
        }


def _product(size: xr.DataArray, relative: xr.DataArray) -> xr.DataArray:
    """Their product, 0 where one is 0: a linear network's c may overflow where nothing deviates."""
    return xr.where((size == 0.0) | (relative == 0.0), 0.0, size * relative)
