"""Trajectories: one or two inputs followed through the layers of a wide network."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from .activations import Activation, as_activation
from .checks import (
    LARGEST_S,
    asymmetry_array,
    broadcast,
    layer_power,
    pair_of,
    preactivation_power,
    real_array,
    sigma_w_array,
    times_square,
    whole_number,
)
from .maps import overlap_of, warn_if_inaccurate
from .moments import gain_error, norm_mismatch, power_gain
from .overlap import Overlaps
from .symmetry import Symmetry, as_symmetry


def trajectory(
    depth: int,
    sigma_w,
    c=None,
    delta=None,
    phi=0.0,
    one_minus_rho=None,
    symmetry: str | Symmetry = "U(1)",
    activation="tanh",
    *,
    d=None,
    sigma_b=0.0,
    asymmetry=0.0,
) -> xr.Dataset:
    """Iterate the length map, Eq. (8), and the correlation map, Eq. (12), from given starting values.

    This is the limit of infinite width. What networks of width N deviate by is of order 1/N: for c
    :func:`meanfield.fluctuation_trajectory` has it, for Delta :func:`meanfield.overlap_fluctuations`, for the phase
    :func:`meanfield.phase_diffusion`.

    Order parameters are those behind the activation. Layer 0 either has a known c, or it is random.

    Parameters
    ----------
    depth : int >= 0
        Number of layers to apply.
    sigma_w : array_like, >= 0
    c : array_like > 0, or a tuple (c_1, c_2)
        Order parameter of the inputs at layer 0, of both or of each; 1 unless d is given. A list is an array, of values
        that both share.
    delta : array_like, optional
        Covariance of the two inputs at layer 0, |delta| <= sqrt(c_1 c_2); with d that of the Gaussian capsules, at most
        sqrt(d_1 d_2). Leave out for one input.
    phi : array_like
        Phase of Eq. (10) in radians. U(1) conserves it, Eq. (11). A generic network transmits Re(Delta e^{i phi})
        alone: from layer 1 on its overlap is Delta cos phi, of phase 0 or pi. O(k) has no phase (its polar factor is
        the subject of :func:`meanfield.matrix_correlation_map`).
    one_minus_rho : array_like in [0, 2], optional
        1 - delta/sqrt(c_1 c_2), or with d 1 - delta/sqrt(d_1 d_2), instead of delta, for nearly identical inputs (1e-15
        keeps all its digits). Above 1 the overlap is negative; as the map is odd in it, nearly opposite inputs are best
        followed as their mirror image.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`
    d : array_like > 0, or a tuple (d_1, d_2)
        In place of c: layer 0 is random, as behind a random input layer, Gaussian capsules with E |z|^2 = d, on which
        the activation acts. That is what one layer of sigma_w = 1, without what breaks the symmetry, makes of c = d.
    sigma_b, asymmetry : array_like, >= 0, and in [0, 1]
        What breaks the symmetry explicitly, see :func:`meanfield.explicit_breaking`: biases, and the part of the
        weights that ignores it. Biases turn the phase towards 0; asymmetry shrinks its tangent, so that beyond a right
        angle it goes to pi.

    All arrays broadcast. A single one-dimensional array gives its name to the extra dimension; xarray.DataArrays keep
    theirs; otherwise the dimensions are ``input_0, input_1, ...``. The functions of order 1/N span a grid
    instead; here that takes names, as ``xr.DataArray([1.4, 1.5], dims="sigma_w")`` and
    ``c=xr.DataArray([0.2, 0.3, 0.4], dims="c_0")``.

    Returns
    -------
    xarray.Dataset
        Over ``layer`` 0..depth: `c` and `log_c` (or `c_1, c_2, log_c_1, log_c_2`), and for two inputs `delta`, `rho`,
        `one_minus_rho` and `phi`. Where c underflows, `log_c`, `rho` and `one_minus_rho` go on; `rho` is never NaN.
        Where c outgrows floats it is infinite.
        `one_minus_rho` keeps its relative accuracy however small it is, and 0 stays exactly 0 (for unequal norms as far
        as the floats c_1 and c_2 of a layer tell how unequal they are).
        With sigma_b or asymmetry `phi` is in [-pi, pi] from layer 1 on. With sigma_b, `rho` of U(1) and generic(k),
        k >= 2, is positive there, as `phi` has the sign; that of O(k) and generic(1) can change its own.
        A user's activation adds `error_estimate`, the relative error that each layer adds to c and the overlap.

    Raises
    ------
    ValueError
        For bad values; for phi != 0 with O(k), generic(1) or one input; for asymmetry != 0 with a symmetry that
        conserves no angle; when both delta and one_minus_rho are given, or c and d;
        where a dimension sigma_w does not hold the sigma_w of the networks.

    Examples
    --------
    >>> import meanfield
    >>> run = meanfield.trajectory(50, 1.5, c=1.0, delta=0.9, phi=1.0)
    >>> run.rho.sel(layer=[0, 1, 10, 50]).values.round(4)  # the overlap fades, the phase stays
    array([0.9   , 0.8835, 0.769 , 0.1929])
    >>> print(run.phi.values[-1])
    1.0
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    if isinstance(sigma_w, xr.DataArray) and sigma_w.dims == ("sigma_w",):
        sigma_w = sigma_w.assign_coords(sigma_w=sigma_w)  # arithmetic keeps the coordinate of what it was made of
    depth = whole_number("depth", depth, 0)
    if delta is not None and one_minus_rho is not None:
        raise ValueError("give delta or one_minus_rho, not both")
    if c is not None and d is not None:
        raise ValueError("give c (layer 0 is known exactly) or d (layer 0 is random), not both")
    two_inputs = delta is not None or one_minus_rho is not None
    size, given = ("d", d) if c is None and d is not None else ("c", 1.0 if c is None else c)
    first, second = pair_of(given, size)
    pair = isinstance(given, tuple)
    labels, arrays = _labelled(
        {"sigma_w": sigma_w, size: first, "delta": delta, "phi": phi, "one_minus_rho": one_minus_rho}
        | {"sigma_b": sigma_b, "asymmetry": asymmetry}
        | ({f"{size}_2": second} if pair else {})
    )
    start = _start(symmetry, activation, arrays, size, two_inputs)
    start_error = np.zeros(start.c_1.size)
    if size == "d":
        start, start_error = _behind_random_layer(symmetry, activation, start, two_inputs)
    norms = _Norms.iterate(activation, symmetry.capsule_dimension, depth, start)
    shape = start.sigma_w.shape
    data = _norm_variables(norms, pair)
    error = np.maximum(norms.error[:, norms.first], norms.error[:, norms.second])
    if two_inputs:
        overlap_data, overlap_error = _overlap_variables(symmetry, activation, depth, start, norms)
        data, error = data | overlap_data, error + overlap_error
    error[0] += start_error
    if not activation.guaranteed:
        data["error_estimate"] = error
        warn_if_inaccurate(activation, error)
    for name in (*labels.dims, *labels.coords):
        if name in data or name == "layer":
            raise ValueError(f"an array's dimension must not be called {name!r}, as a variable of the result is")
    dims = ("layer", *labels.dims)
    return xr.Dataset(
        {name: (dims, value.reshape((depth + 1, *shape))) for name, value in data.items()},
        coords={"layer": np.arange(depth + 1), **labels.coords, "sigma_w": _scale_coordinate(labels, start.sigma_w)},
        attrs={"symmetry": str(symmetry), "activation": activation.name},
    )


def _scale_coordinate(labels: _Labels, sigma_w: np.ndarray):
    """The sigma_w of the networks themselves, whatever coordinate of this name the arguments came with.

    Raises
    ------
    ValueError
        If a dimension of this name stands for other values, as that of c* at other weight scales does.
    """
    if "sigma_w" not in labels.dims:
        return labels.dims, sigma_w.copy()
    axis = labels.dims.index("sigma_w")
    rows = np.moveaxis(sigma_w, axis, 0).reshape(sigma_w.shape[axis], -1)
    own = labels.coords.get("sigma_w", xr.DataArray(rows[:, 0], dims="sigma_w"))
    if np.any(rows != own.values[:, None]):
        raise ValueError("the coordinate of a dimension sigma_w must be the sigma_w of the networks; rename this one")
    return own


# ---- arguments ------------------------------------------------------------------------------------------------------


_OPTIONAL = ("delta", "one_minus_rho")  # None leaves them out


@dataclass
class _Labels:
    dims: tuple[str, ...]
    coords: dict


def _labelled(values: dict) -> tuple[_Labels, dict[str, np.ndarray]]:
    """Broadcast the arguments that are given, and find names for the dimensions.

    Raises
    ------
    ValueError
        Where one is None that must be given; where they do not fit.
    """
    for name, value in values.items():
        if value is None and name not in _OPTIONAL:
            real_array(name.removesuffix("_2"), value)  # raises
    given = {name: value for name, value in values.items() if value is not None}
    labelled = [name for name, value in given.items() if isinstance(value, xr.DataArray)]
    if labelled:
        bare = [name for name, value in given.items() if name not in labelled and np.ndim(value)]
        if bare:
            raise ValueError(f"{bare[0]} must be a number or an xarray.DataArray, since {labelled[0]} is one")
        try:
            aligned = xr.align(*(xr.DataArray(value) for value in given.values()), join="exact")
        except ValueError as error:
            raise ValueError(f"{', '.join(labelled)} must have the same labels along the same dimension") from error
        together = xr.broadcast(*aligned)
        first = together[0]
        arrays = {name: array.values for name, array in zip(given, together, strict=True)}
        return _Labels(tuple(map(str, first.dims)), dict(first.coords)), arrays
    arrays = dict(
        zip(given, broadcast(**{name: real_array(name, value) for name, value in given.items()}), strict=True)
    )
    shape = arrays["sigma_w"].shape
    varied = [name for name, value in given.items() if np.ndim(value)]
    if len(varied) == 1 and len(shape) == 1:
        (name,) = varied
        # a variable of the result cannot have its own name as dimension
        dim = name if name == "sigma_w" else f"{name}_0"
        return _Labels((dim,), {dim: xr.DataArray(arrays[name], dims=dim)}), arrays
    return _Labels(tuple(f"input_{i}" for i in range(len(shape))), {}), arrays


@dataclass
class _Start:
    """Layer 0: arrays of one shape. rho >= 0 is the size of the overlap, `sign` its sign."""

    sigma_w: np.ndarray
    c_1: np.ndarray
    c_2: np.ndarray
    phi: np.ndarray
    rho: np.ndarray
    one_minus_rho: np.ndarray
    sign: np.ndarray
    sigma_b: np.ndarray
    asymmetry: np.ndarray


def _start(symmetry: Symmetry, activation: Activation, arrays: dict, size: str, two_inputs: bool) -> _Start:
    """The arguments, checked; `size` is "c", or "d", which then stands in place of c."""
    sigma_w = sigma_w_array(arrays["sigma_w"], activation)
    c_1 = real_array(size, arrays[size], minimum=0.0, strict=True)
    c_2 = real_array(size, arrays.get(f"{size}_2", c_1), minimum=0.0, strict=True)
    sigma_b = real_array("sigma_b", arrays["sigma_b"], minimum=0.0)
    if size == "c":
        preactivation_power(sigma_w, np.maximum(c_1, c_2), sigma_b)  # must not be too large
    asymmetry = asymmetry_array(arrays["asymmetry"], symmetry)
    phi = real_array("phi", arrays["phi"])
    if not symmetry.has_phase and np.any(phi != 0.0):
        raise ValueError(f"phi must be 0 for {symmetry}, which has no phase, got {phi[phi != 0.0].flat[0]:.6g}")
    if not two_inputs:
        if np.any(phi != 0.0):
            raise ValueError("phi is a phase between two inputs: give delta or one_minus_rho with it")
        none = np.zeros(sigma_w.shape)
        return _Start(sigma_w, c_1, c_2, phi, none, none, none, sigma_b, asymmetry)
    if "one_minus_rho" in arrays:
        given = real_array("one_minus_rho", arrays["one_minus_rho"], minimum=0.0)
        if np.any(given > 2.0):
            raise ValueError(f"one_minus_rho must be in [0, 2], got {given[given > 2.0].flat[0]:.6g}")
        sign = np.where(given > 1.0, -1.0, 1.0)
        rho, missing = np.abs(1.0 - given), np.minimum(given, 2.0 - given)
        return _Start(sigma_w, c_1, c_2, phi, rho, missing, sign, sigma_b, asymmetry)
    rho, missing = overlap_of(real_array("delta", arrays["delta"]), c_1, c_2, size)
    sign = np.where(rho < 0, -1.0, 1.0)
    return _Start(sigma_w, c_1, c_2, phi, np.abs(rho), missing, sign, sigma_b, asymmetry)


def _behind_random_layer(
    symmetry: Symmetry, activation: Activation, start: _Start, two_inputs: bool
) -> tuple[_Start, np.ndarray]:
    """Layer 0 made of Gaussian capsules, which `start` describes: what one layer of sigma_w = 1 makes of them as c. The
    phase stays, of a generic network too, as it is the capsules' own. Also the estimated relative error of that layer.
    """
    shape, none = start.c_1.shape, np.zeros(start.c_1.shape)
    preactivation_power(1.0, np.maximum(start.c_1, start.c_2))  # must not be too large
    layer = replace(start, sigma_w=np.ones(shape), phi=none, sigma_b=none, asymmetry=none)
    norms = _Norms.iterate(activation, symmetry.capsule_dimension, 1, layer)
    c_1, c_2 = (norms.c[1, which].reshape(shape) for which in (norms.first, norms.second))
    preactivation_power(start.sigma_w, np.maximum(c_1, c_2), start.sigma_b)
    error = np.maximum(norms.error[1, norms.first], norms.error[1, norms.second])
    start = replace(start, c_1=c_1, c_2=c_2)
    if not two_inputs:
        return start, error
    data, overlap_error = _overlap_variables(symmetry, activation, 1, layer, norms)
    rho, missing = (data[name][1].reshape(shape) for name in ("rho", "one_minus_rho"))
    missing = np.where(start.sign > 0.0, missing, 2.0 - missing)
    return replace(start, rho=np.abs(rho), one_minus_rho=missing), error + overlap_error[1]


# ---- one input ------------------------------------------------------------------------------------------------------


@dataclass
class _Norms:
    """c along the layers for the distinct (sigma_w, c, sigma_b), shape (depth + 1, m), and which one each input has."""

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    c: np.ndarray
    log_c: np.ndarray
    error: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def iterate(cls, activation: Activation, dimension: int, depth: int, start: _Start) -> _Norms:
        each = [np.stack([start.sigma_w, c, start.sigma_b]).reshape(3, -1) for c in (start.c_1, start.c_2)]
        distinct, index = np.unique(np.concatenate(each, axis=1).T, axis=0, return_inverse=True)
        first, second = np.split(index.ravel(), 2)
        if np.array_equal(first, second):
            second = first
        sigma_w, start_c, sigma_b = distinct.T
        c, log_c, error = np.zeros((3, depth + 1, sigma_w.size))
        with np.errstate(divide="ignore"):  # what a random layer makes of a small d may underflow
            c[0], log_c[0] = start_c, np.log(start_c)
        if activation.is_saturated:  # c = 1 behind every layer
            c[1:] = 1.0
            return cls(sigma_w, sigma_b, c, log_c, error, first, second)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for layer in range(depth):
                gain = power_gain(activation, dimension, _state(activation, sigma_w, c[layer], sigma_b))
                c[layer + 1] = layer_power(activation, sigma_w, c[layer], sigma_b) * gain
                growth = 2.0 * np.log(sigma_w) + np.log(gain)  # where c under- or overflows, too
                biased = (np.square(sigma_b) > 0.0) & (c[layer + 1] < np.inf)
                growth = np.where(biased, np.log(c[layer + 1]) - log_c[layer], growth)
                log_c[layer + 1] = log_c[layer] + growth
                # settled, or hopping between two floats (the second condition is for c that underflow; log c goes on)
                seen = any(np.array_equal(c[layer + 1], c[k]) for k in (layer, layer - 1) if k >= 0)
                if seen and np.all(np.abs(growth) < 1e-15):
                    c[layer + 2 :], log_c[layer + 2 :] = c[layer + 1], log_c[layer + 1]
                    break
        if not activation.guaranteed and depth:
            error[1:] = gain_error(activation, dimension, _state(activation, sigma_w, c[:-1], sigma_b))
        return cls(sigma_w, sigma_b, c, log_c, error, first, second)

    def log_ratio(self, layer: int) -> np.ndarray:
        """|log(c_2/c_1)|, from c itself, since nearly equal floats differ exactly.

        0 where c under- or overflows: there f is linear to every digit, and the ratio has no effect.
        """
        return np.log1p(self._excess(layer))

    def stretch(self, layer: int) -> np.ndarray:
        """|log(s_2/s_1)|/2, of the ratio of the two radii."""
        weights, _ = self.shares(layer)
        return np.log1p(self._excess(layer) * np.minimum(*weights)) / 2.0

    def _excess(self, layer: int) -> np.ndarray:
        """By what the larger c exceeds the smaller one, over that."""
        c_1, c_2 = self.c[layer, self.first], self.c[layer, self.second]
        low, high = np.minimum(c_1, c_2), np.maximum(c_1, c_2)
        normal = (low > 0.0) & (high < np.inf)
        difference = np.subtract(high, low, out=np.zeros(low.shape), where=normal)
        with np.errstate(over="ignore"):
            return np.minimum(difference / np.where(normal, low, 1.0), np.finfo(float).max)

    def shares(self, layer: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """sigma_w^2 c/s of both inputs, and sigma_b^2/s: what weights and biases contribute to their pre-activations.

        Either may be small, so each is formed by itself.
        """
        square, power = np.square(self.sigma_b), times_square(self.sigma_w, self.c[layer])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            odds = np.where(square > 0.0, square / power, 0.0)
            weights, biases = 1.0 / (1.0 + odds), 1.0 / (1.0 + 1.0 / odds)
        return (weights[self.first], weights[self.second]), (biases[self.first], biases[self.second])


def _state(activation: Activation, sigma_w: np.ndarray, c: np.ndarray, sigma_b: np.ndarray) -> np.ndarray:
    """s = sigma_w^2 c + sigma_b^2; a linear network that explodes stays the same beyond the largest one."""
    return np.minimum(layer_power(activation, sigma_w, c, sigma_b), LARGEST_S)


def _norm_variables(norms: _Norms, pair: bool) -> dict[str, np.ndarray]:
    if not pair:
        return {"c": norms.c[:, norms.first], "log_c": norms.log_c[:, norms.first]}
    return {
        "c_1": norms.c[:, norms.first],
        "c_2": norms.c[:, norms.second],
        "log_c_1": norms.log_c[:, norms.first],
        "log_c_2": norms.log_c[:, norms.second],
    }


# ---- two inputs -----------------------------------------------------------------------------------------------------


def _overlap_variables(
    symmetry: Symmetry, activation: Activation, depth: int, start: _Start, norms: _Norms
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The variables of two inputs, and the estimated relative error of each layer's overlap."""
    inputs = start.rho.size
    rho, missing, error = np.zeros((3, depth + 1, inputs))
    rho[0], missing[0] = start.rho.ravel(), start.one_minus_rho.ravel()
    sign = np.tile(start.sign.ravel(), (depth + 1, 1))
    phi = np.tile(start.phi.ravel(), (depth + 1, 1))
    along, across = sign[0] * np.cos(phi[0]), sign[0] * np.sin(phi[0])  # C_12 = Delta (along + i across)
    # a generic network transmits Re C_12 alone, in every layer
    asymmetry = np.ones(inputs) if symmetry.family == "generic" else start.asymmetry.ravel()
    biased = start.sigma_b.ravel() > 0.0
    turning = biased | (asymmetry > 0.0)
    # layers in which c has settled share their states
    states, index = np.unique(_state(activation, norms.sigma_w, norms.c[:-1], norms.sigma_b), return_inverse=True)
    index = index.reshape(depth, norms.sigma_w.size)
    overlaps = Overlaps(activation, symmetry.capsule_dimension, states)
    for layer in range(depth):
        enter = _Covariance(rho[layer], missing[layer], along, across)
        if turning.any():
            enter = enter.through_weights(asymmetry)
        if biased.any():
            enter = enter.with_bias(*norms.shares(layer), norms.log_ratio(layer))
        if turning.any():
            along, across = enter.along, enter.across
        stretch = norms.stretch(layer)
        rho[layer + 1], missing[layer + 1], error[layer + 1] = _step(
            overlaps, norms, index[layer], stretch, enter.rho, enter.missing
        )
        if not symmetry.has_phase:
            sign[layer + 1] = np.where(biased, np.sign(along), sign[0])
            continue
        sign[layer + 1] = np.where(biased, 1.0, sign[0])
        turned = np.arctan2(sign[layer + 1] * across + 0.0, sign[layer + 1] * along)
        phi[layer + 1] = np.where(turning, turned, phi[0])
    # where a linear network's c overflows, an overlap of 0 is still 0
    size = np.where(rho > 0.0, np.sqrt(norms.c[:, norms.first]) * np.sqrt(norms.c[:, norms.second]), 0.0)
    out = {
        "delta": sign * rho * size,
        "rho": sign * rho,
        "one_minus_rho": np.where(sign > 0, missing, 2.0 - missing),
        "phi": phi,
    }
    return out, error


@dataclass
class _Covariance:
    """C_12/sqrt(s_1 s_2) = rho (along + i across), of pairs of inputs, and 1 - rho; along^2 + across^2 = 1."""

    rho: np.ndarray
    missing: np.ndarray
    along: np.ndarray
    across: np.ndarray

    def through_weights(self, asymmetry: np.ndarray) -> _Covariance:
        """The part across is handed on by the symmetric weights alone. 1 - rho^2 is a sum of positive terms."""
        lost = self.missing * (2.0 - self.missing) + (self.rho * self.across) ** 2 * asymmetry * (2.0 - asymmetry)
        return _Covariance.of(self.rho * self.along, self.rho * self.across * (1.0 - asymmetry), lost)

    def with_bias(
        self,
        weights: tuple[np.ndarray, np.ndarray],
        biases: tuple[np.ndarray, np.ndarray],
        log_ratio: np.ndarray,
    ) -> _Covariance:
        """Add what biases give both inputs alike.

        `weights` and `biases` contribute these shares of the powers s_1 and s_2; `log_ratio` is that of c.
        """
        kept, added = (np.sqrt(first) * np.sqrt(second) for first, second in (weights, biases))
        one_minus_along = np.where(self.along > 0.0, self.across**2 / (1.0 + np.abs(self.along)), 1.0 - self.along)
        unequal = 2.0 * np.sinh(log_ratio / 4.0) ** 2  # (sqrt(c_1) - sqrt(c_2))^2/(2 sqrt(c_1 c_2))
        lost = kept**2 * self.missing * (2.0 - self.missing)
        lost = lost + 2.0 * kept * added * (self.missing + self.rho * one_minus_along + unequal)
        return _Covariance.of(kept * self.rho * self.along + added, kept * self.rho * self.across, lost)

    @classmethod
    def of(cls, along: np.ndarray, across: np.ndarray, lost: np.ndarray) -> _Covariance:
        """From C_12 and 1 - rho^2."""
        rho = np.minimum(np.hypot(along, across), 1.0)
        safe = np.where(rho > 0.0, rho, 1.0)
        unit = np.where(rho > 0.0, along / safe, 1.0)
        return cls(rho, lost / (1.0 + rho), unit, across / safe)


def _step(overlaps: Overlaps, norms: _Norms, state: np.ndarray, stretch: np.ndarray, rho, missing):
    """rho and 1 - rho one layer on, each from the sum that keeps its digits, and their estimated relative error."""
    first = state[norms.first]
    second = first if norms.second is norms.first else state[norms.second]
    near = missing < 0.5
    if near.all() or not near.any():  # the usual case, without copies
        return _step_alike(overlaps, first, second, stretch, rho, missing, bool(near[0]))
    out = np.empty((3, rho.size))
    for which in (np.flatnonzero(near), np.flatnonzero(~near)):
        left = first[which]
        right = left if second is first else second[which]
        alike = bool(near[which[0]])
        out[:, which] = _step_alike(overlaps, left, right, stretch[which], rho[which], missing[which], alike)
    return out


def _step_alike(overlaps: Overlaps, first, second, stretch, rho, missing, near: bool):
    scale = overlaps.gain[first]
    if second is not first:  # the root of each: their product underflows at large s
        scale = np.sqrt(scale) * np.sqrt(overlaps.gain[second])
    if not near:
        value, error = overlaps.value(first, second, rho, missing)
        return value / scale, 1.0 - value / scale, error
    gap, error = overlaps.gap(first, second, rho, missing)
    lost = gap / scale
    if second is not first:
        low, high = np.sort([overlaps.s[first], overlaps.s[second]], axis=0)
        lost = lost + norm_mismatch(overlaps.activation, overlaps.dimension, low, high, stretch)
    return 1.0 - lost, lost, error
