"""Delta' as an integral over Gaussian mixtures: accurate for every rho up to 1 and every sigma_w.

With f(r)/r = int p(v) exp(-v^2 r^2) dv, p >= 0, the Gaussian average over the two preactivations (variance s/D per
component, correlation rho) is elementary; m = D/2 + 1, kappa^2 = 2 s/D:

    Delta' = s rho int int p(v) p(w) det^(-m) dv dw,   det = 1 + kappa^2 (v^2 + w^2) + (1 - rho^2) kappa^4 v^2 w^2.   (1)

**tanh and algebraic** (p(v) = 4 v sum_n exp(-v^2 q_n^2), q_n = pi (n - 1/2), and p(v) = 2/sqrt(pi) exp(-v^2)): the
trapezoidal rule of step h in log v and in log w. On the ray v e^(ia), 0 < a < pi/4, |p(v e^(ia))| <= p(v sqrt(q))/sqrt(q)
with q = cos 2a, and |det| >= cos(a) det(|v|, |w|), since its terms' arguments lie between 0 and 2a. After a change of
scale (det increases with v), the integral of the modulus along the ray is at most 1/(q cos(a)^m) times the integral
itself. By the theorem cited in `laguerre`, either sum is then off by at most the *relative* error

    eps = 2 / (q cos(a)^m (exp(2 pi a/h) - 1)),         so that  T/(1 + eps)^2 <= integral <= T/(1 - eps)^2.

The nodes below v_0, where p(v) >= p(0) (1 - v_0^2) and the factor of det that depends on v is within
(1 - m kappa^2 v_0^2, 1), are summed as a geometric series at v = 0. Those above v_K decrease faster than a geometric
series: v p(v) falls by more than exp(-2 h (v^2 - 1)) per step.

**erf** (p = 2/sqrt(pi) on [0, 1]): the integral over w is elementary, the one over v a rigorous integral.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from flint import acb, arb, ctx

from meanfield.certified.averages import enclose_integral, rough_size
from meanfield.certified.balls import between


def mixture_covariance(rho: arb, s: arb, dimension: int, activation: str) -> arb:
    """Delta' of Eq. (1) for tanh, erf or algebraic; s = sigma_w^2 c and 0 <= rho <= 1."""
    kappa2 = 2 * s / dimension
    if activation == "erf":
        return s * rho * _erf_integral(rho, kappa2, dimension)
    density = {"tanh": _tanh_density, "algebraic": _algebraic_density}[activation]
    return s * rho * _double_sum(rho, kappa2, dimension, density)


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


def _double_sum(rho: arb, kappa2: arb, dimension: int, density: Callable[[arb], arb]) -> arb:
    bits = ctx.prec - 32
    power = dimension + 2  # twice m
    width = arb(0.65)
    loss = 1 / ((2 * width).cos() * width.cos() ** (arb(power) / 2))
    # exp(2 pi a/h) = loss 2^bits, rounded to a float: any h > 0 is allowed, eps below is computed from it.
    step = arb(2 * math.pi * 0.65 / (float(loss.log()) + bits * math.log(2)))
    eps = 2 * loss / ((2 * arb.pi() * width / step).exp() - 1)

    scale = max(1.0, math.sqrt(float(kappa2)))
    first = math.floor((-0.5 * bits * math.log(2) - math.log(scale)) / float(step))
    last = math.ceil(0.5 * math.log((bits + 16) * math.log(2)) / float(step))
    nodes = [(step * k).exp() for k in range(first, last + 1)]
    weights = [step * v * density(v) for v in nodes]

    # The node at v = 0 stands for all below the first; see the module docstring.
    below = step * 2 / arb.const_sqrt_pi() * nodes[0] / (step.exp() - 1)
    slack = 2 * nodes[0] ** 2 * (1 + power * kappa2 / 2)
    total = _sum_pairs([below, *weights], [arb(0), *(kappa2 * v * v for v in nodes)], 1 - rho * rho, power)

    # Above: the sum over one coordinate, times at most 2 f'(0) = 2 for the other, whose factor of det is at most 1.
    top = nodes[-1]
    fall = (-2 * step * (top * top - 1)).exp()
    above = 2 * weights[-1] * fall / (1 - fall) * 2 / (1 + kappa2 * top * top) ** (arb(power) / 2)
    return (total * between(1 - slack, arb(1)) + between(0, above)) / between((1 - eps) ** 2, (1 + eps) ** 2)


def _sum_pairs(weights: list[arb], squares: list[arb], gap: arb, power: int) -> arb:
    """sum_ij w_i w_j (1 + y_i + y_j + gap y_i y_j)^(-power/2), y = kappa^2 v^2."""
    half, odd = divmod(power, 2)
    total = arb(0)
    for i, (weight, y) in enumerate(zip(weights, squares, strict=True)):
        constant, linear = 1 + y, 1 + gap * y
        row = arb(0)
        for other, z in zip(weights[:i], squares[:i], strict=True):
            det = constant + linear * z
            row += other / (det**half * det.sqrt() if odd else det**half)
        det = constant + linear * y
        row = 2 * row + weight / (det**half * det.sqrt() if odd else det**half)
        total += weight * row
    return total


# ---- erf ------------------------------------------------------------------------------------------------------------


def _erf_integral(rho: arb, kappa2: arb, dimension: int) -> arb:
    """4/pi int_0^1 dv int_0^1 dw (A + B w^2)^(-m), A = 1 + kappa^2 v^2, B = kappa^2 (1 + kappa^2 (1 - rho^2) v^2)."""
    gap = 1 - rho * rho

    def integrand(v: acb, analytic: bool) -> acb:
        y = kappa2 * v * v
        return _inner_erf_integral(1 + y, kappa2 * (1 + gap * y), dimension, analytic)

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
