"""The named radial activations on complex balls, with the two inequalities that every error bound here rests on.

Except for `saturated` (f = 1), each is a mixture of Gaussians, f(r)/r = int p(v) exp(-v^2 r^2) dv with p >= 0, so that

    |f(z)| <= f'(0) |z|         wherever Re z^2 >= 0, that is for |arg z| <= pi/4,          (1)

because |exp(-v^2 z^2)| <= 1 there and int p dv = f'(0). On the real axis f is moreover concave and increasing with
f(0) = 0, so that 0 <= r f'(r) <= f(r) <= f'(0) r and 0 <= f'(r) <= f'(0).

(1) can be seen directly, too: tanh(z)/z = sum_{n>=1} 2/(z^2 + pi^2 (n-1/2)^2), erf(z)/z = (2/sqrt(pi)) int_0^1
exp(-z^2 v^2) dv and (1 + z^2)^(-1/2) are all largest at z = 0 among those z.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from flint import acb, arb

ComplexFunction = Callable[[acb, bool], acb]
"""(z, analytic): a non-finite ball must come back if `analytic` is set and the function is not analytic on all of z."""


@dataclass(frozen=True)
class BallActivation:
    """f, f' and f/r on complex balls, and f'(0) at the current precision (None where it is infinite)."""

    name: str
    value: ComplexFunction
    derivative: ComplexFunction
    ratio: ComplexFunction
    slope: Callable[[], arb] | None


def _tanh_ratio(z: acb, analytic: bool) -> acb:
    # tanh(z)/z = (sinh(z)/z)/cosh(z), sinh(z)/z = sinc(i z); only near 0, as sinh overflows elsewhere.
    return (z * 1j).sinc() * z.sech() if z.contains(0) else z.tanh() / z


def _two_over_sqrt_pi() -> arb:
    return 2 / arb.const_sqrt_pi()


def _erf_ratio(z: acb, analytic: bool) -> acb:
    if not z.contains(0):
        return z.erf() / z
    return _two_over_sqrt_pi() * (-z * z).hypgeom_1f1(acb(0.5), acb(1.5))


def _constant(value: int) -> ComplexFunction:
    return lambda z, analytic: acb(value)


_BALL_ACTIVATIONS = {
    "tanh": BallActivation(
        name="tanh",
        value=lambda z, analytic: z.tanh(),
        derivative=lambda z, analytic: z.sech() ** 2,
        ratio=_tanh_ratio,
        slope=lambda: arb(1),
    ),
    "erf": BallActivation(
        name="erf",
        value=lambda z, analytic: z.erf(),
        derivative=lambda z, analytic: _two_over_sqrt_pi() * (-z * z).exp(),
        ratio=_erf_ratio,
        slope=_two_over_sqrt_pi,
    ),
    "algebraic": BallActivation(
        name="algebraic",
        value=lambda z, analytic: z * (1 + z * z).rsqrt(analytic=analytic),
        derivative=lambda z, analytic: (1 + z * z).rsqrt(analytic=analytic) ** 3,
        ratio=lambda z, analytic: (1 + z * z).rsqrt(analytic=analytic),
        slope=lambda: arb(1),
    ),
    "saturated": BallActivation(
        name="saturated",
        value=_constant(1),
        derivative=_constant(0),
        ratio=lambda z, analytic: 1 / z,
        slope=None,
    ),
    "linear": BallActivation(
        name="linear",
        value=lambda z, analytic: z,
        derivative=_constant(1),
        ratio=_constant(1),
        slope=lambda: arb(1),
    ),
}


def as_ball_activation(activation: str) -> BallActivation:
    """Read the name of an activation; nothing can be proven about a callable.

    Raises
    ------
    ValueError
        If it is not one of the names.
    """
    if not isinstance(activation, str) or activation not in _BALL_ACTIVATIONS:
        known = ", ".join(repr(name) for name in _BALL_ACTIVATIONS)
        raise ValueError(f"activation must be one of {known}, got {activation!r}")
    return _BALL_ACTIVATIONS[activation]
