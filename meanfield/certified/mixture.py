"""Delta' as an integral over Gaussian mixtures: accurate for every rho up to 1 and every sigma_w.

With f(r)/r = int p(v) exp(-v^2 r^2) dv, p >= 0, the Gaussian average over the two preactivations (variance s_a/D per
component, correlation rho) is elementary; m = D/2 + 1, y = 2 s_1 v^2/D, z = 2 s_2 w^2/D:

    Delta' = sqrt(s_1 s_2) rho int int p(v) p(w) det^(-m) dv dw,       det = 1 + y + z + (1 - rho^2) y z.        (i)

**tanh and algebraic** (p(v) = 4 v sum_n exp(-v^2 q_n^2), q_n = pi (n - 1/2), and p(v) = 2/sqrt(pi) exp(-v^2)): the
trapezoidal rule of step h in log v and in log w. On the ray v e^(ia), 0 < a < pi/4, with q = cos 2a,
|p(v e^(ia))| <= p(v sqrt(q))/sqrt(q), and |det| >= cos(a) det(|v|, |w|), since the arguments of its terms lie between 0
and 2a. After a change of scale (det increases with v), the integral of the modulus along the ray is at most
1/(q cos(a)^m) times the integral itself. By the theorem cited in `laguerre`, either sum is then off by at most the
*relative* error

    eps = 2 / (q cos(a)^m (exp(2 pi a/h) - 1)),         so that  T/(1 + eps)^2 <= integral <= T/(1 - eps)^2.

The nodes below v_0 are summed as a geometric series with p and det taken at v = 0: p(v) >= p(0) (1 - v_0^2) there, and
det^(-m) is at least (1 - m y_0) times its value at v = 0. Those above v_K decrease faster than a geometric series:
v p(v) falls by more than exp(-2 h (v^2 - 1)) per step.

**erf** (p = 2/sqrt(pi) on [0, 1]): the integral over w is elementary, the one over v a rigorous integral.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from flint import acb, arb, ctx

from meanfield.certified.averages import enclose_integral, rough_size
from meanfield.certified.balls import between


def mixture_covariance(rho: arb, s_1: arb, s_2: arb, dimension: int, activation: str) -> arb:
    """Delta' of (i) for tanh, erf or algebraic; s_a = sigma_w^2 c_a and 0 <= rho <= 1.

    Passing the same object as s_1 and s_2 halves the work.
    """
    first = 2 * s_1 / dimension
    scales = first, first if s_2 is s_1 else 2 * s_2 / dimension
    if activation == "erf":
        integral = _erf_integral(rho, scales, dimension)
    else:
        integral = _double_sum(rho, scales, dimension, _DENSITIES[activation])
    return (s_1 * s_2).sqrt() * rho * integral


# ---- tanh and algebraic ---------------------------------------------------------------------------------------------


def _algebraic_density(v: arb) -> arb:
    return 2 / arb.const_sqrt_pi() * (-v * v).exp()


def _tanh_density(v: arb) -> arb:
    v2 = v * v
    if v < 0.6:
        # The dual series 2/sqrt(pi) (1 + 2 sum_n (-1)^n exp(-n^2/v^2)): alternating, its terms decreasing.
        total, n = arb(1), 1
        while True:
            term = 2 * (-n * n / v2).exp()
            if term < arb(2) ** -ctx.prec:
                return 2 / arb.const_sqrt_pi() * (total + arb(0, term.upper()))
            total, n = total - term if n % 2 else total + term, n + 1
    # The exponents grow by 2 pi^2 n v^2 from the n-th term to the next: the rest is below a geometric series.
    total, n, pi2 = arb(0), 1, arb.pi() ** 2
    while True:
        term = (-v2 * pi2 * (arb(n) - 0.5) ** 2).exp()
        rest = term / (1 - (-2 * pi2 * n * v2).exp())
        if rest < total * arb(2) ** -ctx.prec:
            return 4 * v * (total + between(0, rest))
        total, n = total + term, n + 1


_DENSITIES = {"tanh": _tanh_density, "algebraic": _algebraic_density}


def _double_sum(rho: arb, scales: tuple[arb, arb], dimension: int, density: Callable[[arb], arb]) -> arb:
    bits = ctx.prec - 32
    power = arb(dimension) / 2 + 1
    width = arb(0.65)
    loss = 1 / ((2 * width).cos() * width.cos() ** power)
    # exp(2 pi a/h) = loss 2^bits, rounded to a float: any h > 0 is allowed, eps below is computed from it.
    step = arb(2 * math.pi * 0.65 / (float(loss.log()) + bits * math.log(2)))
    eps = 2 * loss / ((2 * arb.pi() * width / step).exp() - 1)

    largest = max(1.0, *map(float, scales))
    first = math.floor(-0.5 * (bits * math.log(2) + math.log(largest)) / float(step))
    last = math.ceil(0.5 * math.log((bits + 16) * math.log(2)) / float(step))
    nodes = [(step * k).exp() for k in range(first, last + 1)]
    below = step * 2 / arb.const_sqrt_pi() * nodes[0] / (step.exp() - 1)
    weights = [below, *(step * v * density(v) for v in nodes)]
    y, z = ([arb(0), *(scale * v * v for v in nodes)] for scale in scales)
    total = _sum_pairs(weights, y, None if scales[0] is scales[1] else z, 1 - rho * rho, dimension + 2)
    slack = 2 * nodes[0] ** 2 + power * (y[1] + z[1])

    # Above: the sum over one coordinate, times at most 2 f'(0) = 2 for the other, whose factor of det is at most 1.
    top = nodes[-1]
    fall = (-2 * step * (top * top - 1)).exp()
    above = 2 * weights[-1] * fall / (1 - fall) * (1 / (1 + y[-1]) ** power + 1 / (1 + z[-1]) ** power)
    return (total * between(1 - slack, arb(1)) + between(0, above)) / between((1 - eps) ** 2, (1 + eps) ** 2)


def _sum_pairs(weights: list[arb], y: list[arb], z: list[arb] | None, gap: arb, twice_m: int) -> arb:
    """sum_ij w_i w_j (1 + y_i + z_j + gap y_i z_j)^(-m); z = None stands for z = y."""
    half, odd = divmod(twice_m, 2)

    def row_sum(at: arb, others: list[arb], end: int) -> arb:
        constant, linear = 1 + at, 1 + gap * at
        row = arb(0)
        for weight, other in zip(weights[:end], others[:end], strict=True):
            det = constant + linear * other
            row += weight / (det**half * det.sqrt() if odd else det**half)
        return row

    total = arb(0)
    for i, (weight, at) in enumerate(zip(weights, y, strict=True)):
        if z is None:
            det = 1 + 2 * at + gap * at * at
            diagonal = weight / (det**half * det.sqrt() if odd else det**half)
            total += weight * (2 * row_sum(at, y, i) + diagonal)
        else:
            total += weight * row_sum(at, z, len(z))
    return total


# ---- erf ------------------------------------------------------------------------------------------------------------


def _erf_integral(rho: arb, scales: tuple[arb, arb], dimension: int) -> arb:
    """4/pi int_0^1 dv int_0^1 dw (A + B w^2)^(-m), A = 1 + y, B = (2 s_2/D) (1 + (1 - rho^2) y)."""
    gap = 1 - rho * rho

    def integrand(v: acb, analytic: bool) -> acb:
        y = scales[0] * v * v
        return _inner_erf_integral(1 + y, scales[1] * (1 + gap * y), dimension, analytic)

    return 4 / arb.pi() * enclose_integral(integrand, arb(1), rough_size(integrand))


def _inner_erf_integral(a: acb, b: acb, dimension: int, analytic: bool) -> acb:
    """I_m = int_0^1 (A + B w^2)^(-m) dw for m = D/2 + 1, by I_{m+1} = ((A + B)^(-m) + (2m - 1) I_m)/(2 m A)."""
    end = 1 / (a + b)
    if dimension % 2:
        twice_m, power = 3, end * end.sqrt(analytic=analytic)
        value = power * (a + b) / a
    else:
        root = (b / a).sqrt(analytic=analytic)
        # atan is analytic for Re > 0, where the principal root lies unless its ball touches the imaginary axis.
        if analytic and not root.real > 0:
            return acb("nan")
        twice_m, power = 2, end
        value = root.atan() / (a * root)
    while twice_m < dimension + 2:
        value = (power + (twice_m - 1) * value) / (twice_m * a)
        twice_m, power = twice_m + 2, power * end
    return value
