"""Radial activations phi(x) = f(|x|) x/|x| (paper Eq. (5), (20)) and what the theory needs to know of f.

Near the transition and for deep networks the theory is made of differences that almost cancel: r - f(r), f(r) - r
f'(r). Each named activation carries these in a form without cancellation, so that 1 - chi_c or c* at sigma_w = 1 +
1e-6 come out to full precision.

The named activations are also mixtures of Gaussians,

    f(r) / r = int_0^infinity p(v) exp(-v^2 r^2) dv,        p(v) >= 0,

(f(r)/r is completely monotone in r^2; for tanh by its partial fractions and a Jacobi theta function). Gaussian averages
of products of such functions are elementary, whatever the capsule dimension: `meanfield.mixture` builds the correlation
map on that.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Hashable
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Literal

import numpy as np
from scipy import special
from scipy.differentiate import derivative as differentiate

from .breaks import find_breaks, merged

RadialFunction = Callable[[np.ndarray], np.ndarray]

_SAME_SLOPE = 1e-3  # how far f(1e-8)/1e-8 may be from f'(0): f may bend on scales down to 1e-5
_MOST_BREAKS = 32
_PROBE = np.concatenate([[0.0], np.geomspace(1e-8, 1e4, 97)])
_TINY = 2.0**-332  # about 1e-100: f(r)/r is f'(0) there to every digit, and a power of two divides without rounding


@dataclass(frozen=True)
class GaussianMixture:
    """f(r)/r = int p(v) exp(-v^2 r^2) dv with p >= 0.

    `upper_end` says how p ends: it falls off like a Gaussian (``"gaussian"``), it stops at v = 1 (``"unit"``), it does
    not fall off at all (``"flat"``), or all of it sits at v = 0 (``"origin"``).
    """

    density: RadialFunction
    upper_end: Literal["gaussian", "unit", "flat", "origin"]


@dataclass(frozen=True)
class Activation:
    """One radial activation. All functions take arrays of radii r >= 0.

    Attributes
    ----------
    name : str
    value : f(r)
    derivative : f'(r)
    slope : f'(0); infinite for ``saturated``.
    one_minus_ratio : 1 - f(r)/(f'(0) r), without cancellation at small r.
    deficit : f(r) - r f'(r), without cancellation at small r.
    critical : sigma_w at which c = 0 loses its stability, 1/f'(0), as an unevaluated sum of two floats (exact to about
        1e-32), so that the distance of a float sigma_w to it is known to full relative precision. It is the transition
        unless f(r)/r exceeds f'(0) somewhere: c* of tanh(r + 2 r^3) jumps from 0 below it.
    mixture : the Gaussian mixture of f(r)/r, or None for a user's function.
    jump : a radius where a user's function jumps, where one was found; None otherwise.
    breaks : radii where a user's function jumps or bends sharply, which averages have to know of; the first 32.
    more_breaks : whether there are more.
    guaranteed : True for the named activations, for which the accuracy statements of this package hold.
    """

    name: str
    value: RadialFunction = field(repr=False)
    derivative: RadialFunction = field(repr=False)
    slope: float = field(repr=False)
    one_minus_ratio: RadialFunction = field(repr=False)
    deficit: RadialFunction = field(repr=False)
    critical: tuple[float, float] = field(repr=False)
    mixture: GaussianMixture | None = field(default=None, repr=False)
    jump: float | None = field(default=None, repr=False)
    breaks: tuple[float, ...] = field(default=(), repr=False)
    more_breaks: bool = field(default=False, repr=False)

    def __reduce__(self):
        # by name or by the user's functions, so that an ensemble can be sent to another process
        if self.guaranteed:
            return (as_activation, (self.name,))
        found = isinstance(self.derivative, partial) and self.derivative.func is _numerical_derivative
        return (as_activation, (self.value if found else (self.value, self.derivative),))

    @property
    def guaranteed(self) -> bool:
        return self.mixture is not None

    @property
    def is_saturated(self) -> bool:
        """Whether f = 1: the one activation without a slope at the origin, to which every s > 0 is the same."""
        return bool(np.isinf(self.slope))

    def ratio(self, r: np.ndarray) -> np.ndarray:
        """f(r)/r, with its limit f'(0) at r = 0. A user's function is found out here where it is not finite."""
        r = np.asarray(r, float)
        value = self.value(r) if self.guaranteed else _finite(self.value(r), r, f"activation {self.name}")
        return np.divide(value, r, out=np.full(r.shape, self.slope), where=r > 1e-290)

    def excess(self, sigma_w: np.ndarray) -> np.ndarray:
        """sigma_w^2 f'(0)^2 - 1, the distance from the transition, to full relative precision."""
        if self.is_saturated:
            return np.full(np.shape(sigma_w), np.inf)
        high, low = self.critical
        t = ((np.asarray(sigma_w, float) - high) - low) / high
        return t * (2.0 + t)


def _even_series(coefficients: list[float], r2: np.ndarray) -> np.ndarray:
    return np.polynomial.polynomial.polyval(r2, coefficients)


def _piecewise(r, threshold: float, near: RadialFunction, far: RadialFunction) -> np.ndarray:
    """near(r) below the threshold, far(r) above, each evaluated only where it is used."""
    r = np.asarray(r, float)
    out = np.empty(r.shape)
    small = r < threshold
    out[small] = near(r[small])
    out[~small] = far(r[~small])
    return out


# ---- tanh: numerators over cosh, whose Taylor series have positive coefficients only --------------------------------

_SINH_MINUS_R = [1.0 / special.factorial(2 * n + 3, exact=True) for n in range(10)]  # (sinh r - r)/r^3
_R_COSH_MINUS_SINH = [(2 * n + 2.0) / special.factorial(2 * n + 3, exact=True) for n in range(10)]  # (.)/r^3


def _tanh_derivative(r):
    # 1/cosh^2 written so that it underflows instead of overflowing at large r.
    e = np.exp(-2.0 * np.asarray(r, float))
    return 4.0 * e / (1.0 + e) ** 2


def _tanh_one_minus_ratio(r):
    return _piecewise(
        r,
        0.8,
        lambda x: x**2 * _even_series(_R_COSH_MINUS_SINH, x**2) / np.cosh(x),
        lambda x: 1.0 - np.tanh(x) / x,
    )


def _tanh_deficit(r):
    return _piecewise(
        r,
        0.6,
        lambda x: (2 * x) ** 3 * _even_series(_SINH_MINUS_R, (2 * x) ** 2) / (2 * np.cosh(x) ** 2),
        lambda x: np.tanh(x) - x * _tanh_derivative(x),
    )


def _tanh_density(v):
    """p(v) = 4 v sum_{n>=1} exp(-v^2 pi^2 (n-1/2)^2), at small v by its dual series (Jacobi's transformation)."""
    v = np.asarray(v, float)
    n = np.arange(1, 6)

    def near(x):
        with np.errstate(divide="ignore", over="ignore"):
            terms = (-1.0) ** n * np.exp(-((n / x[:, None]) ** 2))
        return 2.0 / np.sqrt(np.pi) * (1.0 + 2.0 * terms.sum(axis=-1))

    def far(x):
        return 4.0 * x * np.exp(-((x[:, None] * np.pi * (n - 0.5)) ** 2)).sum(axis=-1)

    return _piecewise(v, 0.6, near, far)


# ---- erf ------------------------------------------------------------------------------------------------------------

_TWO_OVER_SQRT_PI = 2.0 / np.sqrt(np.pi)
# 1 - sqrt(pi) erf(r)/(2 r) = sum_{n>=1} (-1)^(n+1) r^(2n) / (n! (2n+1))
_ERF_REMAINDER = [(-1.0) ** n / (special.factorial(n + 1, exact=True) * (2 * n + 3)) for n in range(16)]


def _erf_one_minus_ratio(r):
    return _piecewise(
        r,
        1.0,
        lambda x: x**2 * _even_series(_ERF_REMAINDER, x**2),
        lambda x: 1.0 - special.erf(x) / (_TWO_OVER_SQRT_PI * x),
    )


# ---- the rest is elementary -----------------------------------------------------------------------------------------


def _algebraic_one_minus_ratio(r):
    h = np.sqrt(1.0 + np.asarray(r, float) ** 2)
    return (r / h) * (r / (1.0 + h))


def _constant(value: float) -> RadialFunction:
    return lambda r: np.full(np.shape(r), value)


_FLAT = _constant(_TWO_OVER_SQRT_PI)

NAMED_ACTIVATIONS: dict[str, Activation] = {
    "tanh": Activation(
        name="tanh",
        value=np.tanh,
        derivative=_tanh_derivative,
        slope=1.0,
        one_minus_ratio=_tanh_one_minus_ratio,
        deficit=_tanh_deficit,
        critical=(1.0, 0.0),
        mixture=GaussianMixture(_tanh_density, "gaussian"),
    ),
    "erf": Activation(
        name="erf",
        value=special.erf,
        derivative=lambda r: _TWO_OVER_SQRT_PI * np.exp(-np.square(r)),
        slope=_TWO_OVER_SQRT_PI,
        one_minus_ratio=_erf_one_minus_ratio,
        deficit=lambda r: special.gammainc(1.5, np.square(r)),
        # sqrt(pi)/2 = 0.88622692545275801364908374167057259...
        critical=(0.886226925452758, -3.8332932499128993e-17),
        mixture=GaussianMixture(_FLAT, "unit"),
    ),
    "algebraic": Activation(
        name="algebraic",
        value=lambda r: r / np.sqrt(1.0 + np.square(r)),
        derivative=lambda r: (1.0 + np.square(r)) ** -1.5,
        slope=1.0,
        one_minus_ratio=_algebraic_one_minus_ratio,
        deficit=lambda r: (r / np.sqrt(1.0 + np.square(r))) ** 3,
        critical=(1.0, 0.0),
        mixture=GaussianMixture(lambda v: _TWO_OVER_SQRT_PI * np.exp(-np.square(v)), "gaussian"),
    ),
    "saturated": Activation(
        name="saturated",
        value=_constant(1.0),
        derivative=_constant(0.0),
        slope=np.inf,
        one_minus_ratio=_constant(1.0),
        deficit=_constant(1.0),
        critical=(0.0, 0.0),
        mixture=GaussianMixture(_FLAT, "flat"),
    ),
    "linear": Activation(
        name="linear",
        value=lambda r: np.array(r, float),
        derivative=_constant(1.0),
        slope=1.0,
        one_minus_ratio=_constant(0.0),
        deficit=_constant(0.0),
        critical=(1.0, 0.0),
        mixture=GaussianMixture(_constant(0.0), "origin"),
    ),
}


def as_activation(activation) -> Activation:
    """Read an activation: a name, an :class:`Activation`, a callable f, or a pair (f, f').

    The functions np.tanh, torch.tanh, scipy.special.erf and torch.erf are read as their names.

    A callable that is made of operators and of methods that both have, ``lambda r: r / (1 + r)`` or ``lambda r:
    r.clip(max=1)``, serves the theory and, on torch tensors, the sampled networks of `simulate`; one that needs
    functions has to choose between them: ``torch.sin(r) if isinstance(r, torch.Tensor) else np.sin(r)``.

    A callable must accept a float array of radii r >= 0, leave it as it is, and return a real numpy array of the same
    shape, finite, with f(0) = 0. Results are kept for it, so it must be hashable and not change. Its derivative may be
    left out: it is then found by `scipy.differentiate.derivative`; a given one is compared with that.

    It may have kinks and jumps, as ``np.minimum(r, 1)`` has: between 1e-8 and 1e4 they are found, 32 of them at most,
    and cost the averages of one input and the correlation map no digits. (What needs derivatives of that map, the
    scatter of overlaps and the response to biases, has few near rho = 1; warnings estimate how many.) Where f jumps,
    its mean squared Jacobian is infinite and 1 - rho of nearly identical inputs grows to order sqrt(1 - rho) in one
    layer. What else f does on a scale of a few hundredths of the radii or finer need not be seen, nor warned of.

    Raises
    ------
    ValueError
        For an unknown name, or a function that fails on arrays, works in place, is not real and finite, changes the
        shape, or has f(0) != 0, or f'(0) that is 0 or infinite; for an f' that is not f's.
    """
    if isinstance(activation, Activation):
        return activation
    if isinstance(activation, str):
        if activation not in NAMED_ACTIVATIONS:
            known = ", ".join(repr(name) for name in NAMED_ACTIVATIONS)
            hint = " (on radii r >= 0 it is 'linear')" if activation.lower() == "relu" else ""
            raise ValueError(f"activation must be one of {known}, or a callable f(r); got {activation!r}{hint}")
        return NAMED_ACTIVATIONS[activation]
    named = named_function(activation)
    if named is not None:
        return named
    is_pair = isinstance(activation, tuple) and len(activation) == 2 and all(map(callable, activation))
    if not (is_pair or callable(activation)):
        raise ValueError(
            f"activation must be a name, a callable f(r) or a pair of callables (f, f'); got {activation!r}"
        )
    functions = activation if is_pair else (activation,)
    for function in functions:
        if not isinstance(function, Hashable):
            name = function_name(function)
            raise ValueError(f"activation {name} must be hashable, as a dataclass is with frozen=True")
    return _from_callable(*functions)


def named_function(function) -> Activation | None:
    """The named activation whose function of numpy, scipy or torch this is, or None."""
    names = NAMED_ACTIVATIONS.values()
    return next((named for named in names if function is named.value or function is _of_torch(named)), None)


def _of_torch(named: Activation) -> Callable:
    """torch's function of this name, where torch is there already and has one; else numpy's."""
    return getattr(sys.modules.get("torch"), named.name, named.value)


def as_named(activation, purpose: str) -> Activation:
    """:func:`as_activation` where only the Gaussian mixtures of the named activations will do.

    Raises
    ------
    ValueError
        For a user's own function, too.
    """
    activation = as_activation(activation)
    if not activation.guaranteed:
        raise ValueError(f"activation must be one of the named ones for {purpose}, got {activation.name!r}")
    return activation


def function_name(function: Callable) -> str:
    """How messages call a user's function."""
    return getattr(function, "__name__", type(function).__name__)


def _evaluate(function: RadialFunction, r: np.ndarray, what: str) -> np.ndarray:
    given = r.copy()
    try:
        with np.errstate(all="ignore"):
            out = function(given)
            shape = np.shape(out)
    except Exception as error:  # whatever a user's function raises
        raise ValueError(f"{what} must take an array of radii r, got {type(error).__name__}: {error}") from error
    if shape != r.shape:
        raise ValueError(f"{what} must return an array of the shape of r, {r.shape}; got {shape}")
    if not isinstance(out, np.ndarray):  # it is used in arithmetic with arrays
        raise ValueError(f"{what} must return a numpy array, got a {type(out).__module__}.{type(out).__name__}")
    if not np.array_equal(given, r):
        at = given != r
        raise ValueError(
            f"{what} must leave r as it is and return a new array, got r = {r[at][0]:.6g} changed to {given[at][0]:.6g}"
        )
    if np.iscomplexobj(out):
        raise ValueError(f"{what} must be real, got complex numbers")
    return _finite(out.astype(float), r, what)


def _finite(values: np.ndarray, r: np.ndarray, what: str) -> np.ndarray:
    bad = ~np.isfinite(values)
    if bad.any():
        raise ValueError(f"{what} must be finite for every r >= 0; got {values[bad][0]} at r = {r[bad][0]:.6g}")
    return values


@lru_cache(maxsize=64)
def _from_callable(value: RadialFunction, derivative: RadialFunction | None = None) -> Activation:
    name = function_name(value)
    probe = _PROBE
    at_probe = _evaluate(value, probe, f"activation {name}")
    if at_probe[0] != 0.0:
        raise ValueError(f"activation {name} must have f(0) = 0, got f(0) = {at_probe[0]:.6g}")
    jumps, breaks = find_breaks(value)
    given = derivative is not None
    derivative = derivative or partial(_numerical_derivative, value, breaks)
    slopes = _evaluate(derivative, probe, f"the derivative of activation {name}")
    slope = float(slopes[0])
    secants = at_probe[1:] / probe[1:]
    at_tiny = float(_secant(value, _TINY))
    smooth = abs(secants[0] / slope - 1.0) < _SAME_SLOPE if slope else False
    none = 1e-10 * np.abs(secants).max()  # what a numerical derivative makes of 0
    if abs(slope) <= none or (not smooth and abs(at_tiny) <= none):
        raise ValueError(
            f"activation {name} must have f'(0) != 0 (it sets the transition sigma_w = 1/f'(0)), got f'(0) = 0"
            + _why_flat(secants, at_probe)
        )
    if not smooth:
        raise ValueError(
            f"activation {name} must have a finite derivative at r = 0, "
            f"got f'(0) = {slope:.6g} and f(1e-8)/1e-8 = {secants[0]:.6g}"
        )
    if given:
        _compare(slopes, value, breaks, probe, name)
        breaks = merged(find_breaks(derivative).all, breaks)  # f' shows them more sharply
    # a numerical derivative is off in its last digits, which is far on either side of the transition
    slope = at_tiny if abs(at_tiny / slope - 1.0) < _SAME_SLOPE else slope

    def one_minus_ratio(r):
        r = np.asarray(r, float)
        tiny = r < 1e-150
        safe = np.where(tiny, 1.0, r)
        return np.where(tiny, 0.0, 1.0 - value(safe) / (slope * safe))

    return Activation(
        name=name,
        value=value,
        derivative=derivative,
        slope=slope,
        one_minus_ratio=one_minus_ratio,
        deficit=lambda r: value(r) - r * derivative(r),
        critical=(1.0 / abs(slope), 0.0),
        jump=float(jumps[0]) if jumps.size else None,
        breaks=tuple(breaks[:_MOST_BREAKS].tolist()),
        more_breaks=breaks.size > _MOST_BREAKS,
    )


def _why_flat(secants: np.ndarray, values: np.ndarray) -> str:
    """What may have made f'(0) zero, from f(r)/r and f(r) at rising radii; f(0) first."""
    zeros = int(np.argmax(values[1:] != 0.0)) if values.any() else 0
    if zeros:
        return f": f is 0 up to r = {_PROBE[zeros]:.1e}; has it too few digits, or a threshold?"
    if abs(secants[0]) < 0.9 * abs(secants[24]) and abs(secants[24] / secants[36] - 1.0) < _SAME_SLOPE:  # 1e-5, 1e-3.5
        return "; leave out a factor that keeps from a division by zero, as r/(r + 1e-8) in Eq. (61)"
    return ""


def _secant(value: RadialFunction, r: float) -> np.ndarray:
    """f(r)/r at one radius; whatever f makes of it, where f has lost its digits."""
    with np.errstate(all="ignore"):
        return np.asarray(value(np.array([r])), float)[0] / r


def _compare(slopes: np.ndarray, value: RadialFunction, breaks: np.ndarray, r: np.ndarray, name: str) -> None:
    """A ValueError where a user's f' is not f's at more points than a few kinks can spoil."""
    found = _differentiate(value, breaks, r)
    wrong = np.abs(slopes - found.df) > 1e-4 * np.abs(found.df).max() + 100.0 * found.error
    if wrong.sum() > r.size // 12:  # one decade of the probe
        at = np.flatnonzero(wrong)[-1]
        raise ValueError(
            f"the derivative of activation {name} must be that of f, got {slopes[at]:.6g} at r = {r[at]:.6g}, "
            f"where f has the slope {found.df[at]:.6g}"
        )


def _numerical_derivative(value: RadialFunction, breaks: np.ndarray, r: np.ndarray) -> np.ndarray:
    return _differentiate(value, breaks, r).df


def _differentiate(value: RadialFunction, breaks: np.ndarray, r: np.ndarray):
    """f' from differences that stay on one side of breaks and of the origin, where f need not be defined for r < 0."""
    r = np.asarray(r, float)
    ends = np.array([0.0, *breaks, np.inf])
    after = np.searchsorted(ends, r, side="right")
    below, above = r - ends[after - 1], ends[after] - r
    step = np.clip(0.25 * r, 1e-3, 0.5)  # it follows the scale of r
    direction = np.where(np.minimum(below, above) > 2.0 * step, 0, np.where(above > below, 1, -1))
    step = np.minimum(step, 0.9 * np.maximum(below, above))
    with np.errstate(all="ignore"):
        return differentiate(value, r, initial_step=step, step_direction=direction, order=8)
