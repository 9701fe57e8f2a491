"""The double Bessel integral, paper Eq. (12), (47), (49), for capsules of any dimension.

Two preactivations in R^D, in units where each has |x|^2 = u^2 ~ Gamma(D/2), with correlation rho:

    E[F] = (4/Gamma(D/2)^2) (1-rho^2)^(-D/2) int du_1 du_2 (u_1 u_2)^(D-1)
               exp(-(u_1^2 + u_2^2)/(1-rho^2))  mean over angles of  F exp(kappa cos theta),

kappa = 2 rho u_1 u_2/(1-rho^2). The angular means are Bessel functions, of 1 and of cos theta

    M_0 = Gamma(D/2) (2/kappa)^(D/2-1) I_{D/2-1}(kappa),      M_1 = Gamma(D/2) (2/kappa)^(D/2-1) I_{D/2}(kappa),

which for D = 1, a sum over two signs, are cosh and sinh.

The integral is done in u_1 = e^(w+v), u_2 = e^(w-v). Then kappa depends on w only, and everything else is a product
of a function of u_1 and one of u_2; for rho near 1 the integrand is a Gaussian of width ~ sqrt(1-rho^2) e^-w in v.
The step in v is halved as that width demands, so that the points w +- v stay on a common grid, on which functions of
one radius are evaluated once; the narrowest rows, which would hardly share a point, have a grid of their own.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from mpmath import mp

from meanfield.precise.inputs import Radial, bits_below_one, real
from meanfield.precise.quadrature import converged, line_ends, line_sum, outer_step, working

Scaled = tuple[int, int]  # (m, e) for m 2^e
_COMMON_LEVELS = 5  # halvings of the step in v up to which a grid common to all w saves work


@dataclass(frozen=True)
class Pair:
    """Two preactivations: D, the two scales 2 sigma_w^2 c_a / D, and rho^2 in [0, 1].

    The integrals of this module need 0 < rho < 1; `meanfield.precise.maps` answers 0 and 1 without them.
    """

    dimension: int
    scales: tuple[Fraction, Fraction]
    rho_squared: Fraction


def aligned(pair: Pair, radial: Radial, digits: int) -> Any:
    """E[f(r_1) f(r_2) cos theta] = Delta', the correlation map."""

    def integrand(row: _Row, kappa: Any) -> Any:
        return row.products() * _angular_mean(pair.dimension, 1, kappa)

    return _pair_average(pair, radial, integrand, digits, "correlation map")


def misaligned(pair: Pair, radial: Radial, norms: tuple[Any, Any], digits: int) -> Any:
    """Half the mean squared distance of two outputs, E[(g_1^2 + g_2^2)/2 - g_1 g_2 cos theta], g_a = f(r_a)/norms[a].

    The integrand is positive. Its two parts cancel to a fraction 1-rho of themselves, pointwise: that costs working
    precision, but no finer grid.
    """

    def integrand(row: _Row, kappa: Any) -> Any:
        first, second = norms
        one, other = row.squares()
        squares = one / first**2 + other / second**2
        products = 2 * row.products() / (first * second)
        means = [_angular_mean(pair.dimension, order, kappa) for order in (0, 1)]
        return (squares * means[0] - products * means[1]) / 2

    return _pair_average(pair, radial, integrand, digits, "correlation gap")


def _pair_average(pair: Pair, radial: Radial, integrand: Callable[[_Row, Any], Any], digits: int, what: str) -> Any:
    def line(goal: int, fraction: float) -> tuple[Any, Any]:
        with _pair_precision(pair, goal):
            return _Grid(pair, radial, goal, fraction).sum_over_w(integrand)

    return converged(line, digits, what)


def _pair_precision(pair: Pair, goal: int) -> Any:
    # 1/(1-rho^2) is lost twice: exponents of that size cancel between the Gaussian and the Bessel function, and the
    # two parts of `misaligned` cancel to 1-rho.
    return working(goal, 2 * bits_below_one(1 - pair.rho_squared) + 16)


def _angular_mean(dimension: int, order: int, kappa: Any) -> Any:
    """Mean over the sphere in R^D of cos(theta)^order e^(kappa cos theta), for order 0 or 1."""
    if dimension == 1:
        return mp.sinh(kappa) if order else mp.cosh(kappa)
    half = mp.mpf(dimension) / 2
    return mp.gamma(half) * (2 / kappa) ** (half - 1) * mp.besseli(half - 1 + order, kappa)


class _Radii(dict):
    """n -> (e, e f, e f^2) at u = exp(n step), with e = exp(-u^2/(1-rho^2)); each is computed when first asked for.

    Every number is kept as a pair (integer, exponent of 2): the sums over rows are most of the work.
    """

    def __init__(self, radial: Radial, scale: Fraction, narrow: Any, step: Any) -> None:
        super().__init__()
        self._radial, self._root, self._narrow, self._step = radial, mp.sqrt(real(scale)), narrow, step

    def __missing__(self, n: int) -> tuple[Scaled, Scaled, Scaled]:
        u = mp.exp(n * self._step)
        weight, value = mp.exp(-u * u / self._narrow), self._radial.value(self._root * u)
        first = weight * value
        self[n] = known = _scaled(weight), _scaled(first), _scaled(first * value)
        return known


def _scaled(value: Any) -> Scaled:
    sign, mantissa, exponent, _ = value._mpf_
    return (-mantissa if sign else mantissa), exponent


def _dot(first: Iterable[Scaled], second: Iterable[Scaled]) -> Any:
    """sum_i first_i second_i, to the working precision of its largest term."""
    products = [(x * y, a + b) for (x, a), (y, b) in zip(first, second, strict=True)]
    lowest = max((x.bit_length() + a for x, a in products if x), default=0) - mp.prec - 16
    total = sum(x << (a - lowest) if a >= lowest else x >> (lowest - a) for x, a in products)
    return mp.ldexp(mp.mpf(total), lowest)


class _Row:
    """The points of one w: `first` at radii e^(w+v), `second` at e^(w-v); for equal scales v >= 0 only."""

    def __init__(self, first: list, second: list, step: Any, half: bool) -> None:
        self._first, self._second, self._step, self._half = first, second, step, half

    def products(self) -> Any:
        """int dv f_1 f_2 exp(-(u_1^2 + u_2^2)/(1-rho^2))"""
        total = self._sum(1, 1)
        if self._half:  # At -v the two radii are exchanged.
            total += total - self._centre(1, 1)
        return self._step * total

    def squares(self) -> tuple[Any, Any]:
        """The same for f_1^2 and f_2^2."""
        sums = self._sum(2, 0), self._sum(0, 2)
        if self._half:
            sums = (sums[0] + sums[1] - self._centre(2, 0),) * 2
        return self._step * sums[0], self._step * sums[1]

    def _sum(self, a: int, b: int) -> Any:
        return _dot((x[a] for x in self._first), (y[b] for y in self._second))

    def _centre(self, a: int, b: int) -> Any:
        return _dot([self._first[0][a]], [self._second[0][b]])


class _Grid:
    """One grid for the double integral: `step` in w, `step` / 2^level in v."""

    def __init__(self, pair: Pair, radial: Radial, goal: int, fraction: float) -> None:
        self.pair, self.radial, self.goal, self.fraction = pair, radial, goal, fraction
        self.nats = goal * mp.log(10)
        self.narrow = real(1 - pair.rho_squared)
        self.power = 2 * pair.dimension + 4
        self.step = outer_step(goal, self.power) * fraction
        self.equal = pair.scales[0] == pair.scales[1]
        self._radii: dict[tuple[int, Fraction], _Radii] = {}

    def sum_over_w(self, integrand: Callable[[_Row, Any], Any]) -> tuple[Any, Any]:
        dimension, rho = self.pair.dimension, mp.sqrt(real(self.pair.rho_squared))

        def term(i: int) -> Any:
            product = mp.exp(2 * i * mp.mpf(self.step))  # u_1 u_2
            return product**dimension * integrand(self._row(i, product), 2 * rho * product / self.narrow)

        half = mp.mpf(dimension) / 2
        start = round(math.log(dimension / 2) / (2 * self.step))
        ends = line_ends(self.goal, self.power, self.narrow, *map(real, self.pair.scales))
        weight = 8 * self.step / (mp.gamma(half) ** 2 * self.narrow**half)
        total, size = line_sum(term, start, self.step, self.goal, ends)
        return weight * total, weight * size

    def _row(self, i: int, product: Any) -> _Row:
        wanted, end = self._inner_grid(product / self.narrow)
        level = max(0, int(mp.ceil(mp.log(self.step / wanted, 2))))
        if level > _COMMON_LEVELS:
            return self._own_row(product, wanted, int(mp.ceil(end / wanted)))
        step = mp.ldexp(mp.mpf(self.step), -level)
        count, centre = int(mp.ceil(end / step)), i << level
        least = 0 if self.equal else -count
        first, second = (self._level(level, scale) for scale in self.pair.scales)
        return _Row(
            [first[n] for n in range(centre + least, centre + count + 1)],
            [second[n] for n in range(centre - least, centre - count - 1, -1)],
            step,
            self.equal,
        )

    def _own_row(self, product: Any, step: Any, count: int) -> _Row:
        """A row so narrow that it shares hardly a point with others: both weights go to the first radius."""
        least = 0 if self.equal else -count
        roots = [mp.sqrt(real(scale)) for scale in self.pair.scales]
        u, factor = mp.sqrt(product) * mp.exp(least * step), mp.exp(step)
        first, second = [], []
        for _ in range(least, count + 1):
            other = product / u
            weight = mp.exp(-(u * u + other * other) / self.narrow)
            values = self.radial.value(roots[0] * u), self.radial.value(roots[1] * other)
            weighted = weight * values[0]
            first.append((_scaled(weight), _scaled(weighted), _scaled(weighted * values[0])))
            second.append(((1, 0), _scaled(values[1]), _scaled(values[1] * values[1])))
            u *= factor
        return _Row(first, second, step, self.equal)

    def _level(self, level: int, scale: Fraction) -> _Radii:
        if (level, scale) not in self._radii:
            step = mp.ldexp(mp.mpf(self.step), -level)
            self._radii[level, scale] = _Radii(self.radial, scale, self.narrow, step)
        return self._radii[level, scale]

    def _inner_grid(self, sharpness: Any) -> tuple[Any, Any]:
        """Largest step, and end, for exp(-4 sharpness sinh(v)^2) times a function analytic in |Im v| < pi/4."""
        y = min(mp.pi / 4, mp.sqrt(self.nats / (4 * sharpness)))
        step = self.fraction * 2 * mp.pi * y / (self.nats + 4 * sharpness * mp.sin(y) ** 2)
        return step, mp.asinh(mp.sqrt((self.nats + 10) / (4 * sharpness)))
