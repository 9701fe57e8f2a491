"""Reference implementations for the tests, by other formulas and other rules than the package's.

Averages here are integrals over the radius (or over Cartesian components) itself, in mpmath's or scipy's adaptive
quadrature or by plain trapezoidal sums; the package integrates in log r, and for two inputs in the variables of a
Gaussian mixture. What is compared with them must not be imported here.
"""

import mpmath
import numpy as np
from mpmath import mp, mpf
from scipy import integrate, special

DIMENSIONS = (1, 2, 3, 4, 8, 48)

MP_FUNCTIONS = {
    "tanh": mp.tanh,
    "erf": mp.erf,
    "algebraic": lambda r: r / mp.sqrt(1 + r * r),
    "saturated": lambda r: mpf(1),
    "linear": lambda r: r,
}
MP_DERIVATIVES = {
    "tanh": lambda r: mp.sech(r) ** 2,
    "erf": lambda r: 2 * mp.exp(-r * r) / mp.sqrt(mp.pi),
    "algebraic": lambda r: (1 + r * r) ** mpf(-1.5),
}
FUNCTIONS = {
    "tanh": np.tanh,
    "erf": special.erf,
    "algebraic": lambda r: r / np.sqrt(1 + r * r),
    "saturated": np.ones_like,
    "linear": lambda r: r,
}


def own_tanh(r):
    """tanh as a user's function: np.tanh itself is read as the name."""
    return np.tanh(r)


def clipped(r):
    """A user's function with a kink."""
    return np.minimum(r, 1.0)


def toothed(r):
    """A user's function with more kinks than are looked for: a clipped one with teeth 0.01 wide beyond r = 1/2."""
    return np.minimum(r, 1.0) + 0.01 * np.where(r > 0.5, 1.0 - np.abs((100.0 * (r - 0.5)) % 2.0 - 1.0), 0.0)


def toothed_length(dimension: int, s: float) -> float:
    """<f^2> of :func:`toothed` by Simpson's rule, whose panels end at the teeth."""
    scale, points = np.sqrt(2.0 * s / dimension), 64
    end = 0.5 + 0.01 * np.ceil(100.0 * (np.sqrt(dimension / 2.0) + 7.0) * scale)
    r = np.linspace(0.0, end, round(100.0 * end) * points + 1)
    x = r / scale
    with np.errstate(divide="ignore"):
        log_density = (dimension - 1) * np.log(x) if dimension > 1 else 0.0
    density = 2.0 * np.exp(log_density - x * x - special.gammaln(dimension / 2.0))
    return float(integrate.simpson(toothed(r) ** 2 * density, x=x))


def relative(found, expected) -> float:
    """Largest relative error of an array (or a number) against floats or mpfs."""
    found, expected = np.atleast_1d(np.asarray(found, float)), np.atleast_1d(np.asarray(expected, object))
    found, expected = np.broadcast_arrays(found, expected)
    errors = []
    for x, y in zip(found.ravel(), expected.ravel(), strict=True):
        exact = mpf(y)
        same = mpf(float(x)) == exact
        errors.append(0.0 if same else float(abs(mpf(float(x)) - exact) / abs(exact)) if exact else np.inf)
    return max(errors)


def radial_average(integrand, dimension: int, s) -> mpf:
    """<g(r)>, r^2 = 2 s t/D: the chi distribution integrated over r/sqrt(s) with mpmath's tanh-sinh rule."""
    width = mp.sqrt(mpf(s))
    end = 1 + 14 / mp.sqrt(dimension)
    half = mpf(dimension) / 2
    norm = 2 * half**half / mp.gamma(half)
    # y = r/sqrt(s) has density norm y^(D-1) exp(-D y^2/2)
    return mp.quad(
        lambda y: norm * y ** (dimension - 1) * mp.exp(-half * y * y) * integrand(width * y),
        [0, 0.02, 0.2, 0.6, 1, 1.5, 2.5, end],
    )


def bessel_map(delta: float, c: float, sigma_w: float, f) -> float:
    """Eq. (12), (49) of the paper as they stand, D = 2, with the exponential of the Bessel function taken out."""
    rho = delta / c
    alpha = np.sqrt(c) / (sigma_w * np.sqrt(c * c - delta * delta))

    def integrand(u_1: float, u_2: float) -> float:
        x = 2.0 * u_1 * u_2 * rho
        return u_1 * u_2 * np.exp(-u_1 * u_1 - u_2 * u_2 + x) * special.ive(1, x) * f(u_1 / alpha) * f(u_2 / alpha)

    end = 6.5 / np.sqrt(1.0 - rho)
    value, _ = integrate.dblquad(integrand, 0.0, end, 0.0, end, epsabs=1e-12, epsrel=1e-11)
    return 4.0 * (c * c - delta * delta) / c**2 * value


def bessel_map_of_unequal_norms(rho: float, s_1: float, s_2: float, f) -> float:
    """Eq. (12) in u = r/sqrt(s) of both capsules, D = 2, by Gauss-Legendre points on panels that shrink towards 0."""
    edges = np.concatenate([[0.0], np.geomspace(1e-4, 0.1, 16), np.arange(0.2, 7.0, 0.1)])
    node, weight = np.polynomial.legendre.leggauss(16)
    half = np.diff(edges)[:, None] / 2.0
    u, w = (edges[:-1, None] + half * (1.0 + node)).ravel(), (half * weight).ravel()
    spread = (1.0 - rho) * (1.0 + rho)
    product = np.multiply.outer(u, u)
    distance = np.subtract.outer(u, u) ** 2 + 2.0 * (1.0 - rho) * product
    density = 4.0 / spread * product * np.exp(-distance / spread) * special.ive(1, 2.0 * rho * product / spread)
    return float((w * f(np.sqrt(s_1) * u)) @ density @ (w * f(np.sqrt(s_2) * u)))


def arcsine(delta, s_1, s_2) -> mpf:
    """E[erf(u_1) erf(u_2)] of two Gaussian numbers of variances s and covariance delta."""
    return 2 / mp.pi * mp.asin(2 * mpf(delta) / mp.sqrt((1 + 2 * mpf(s_1)) * (1 + 2 * mpf(s_2))))


def classical_map(rho: float, q_1: float, q_2: float, f) -> float:
    """Correlation map of the classical bias-free network (D = 1): int Dz_1 Dz_2 f(u_1) f(u_2), by trapezoidal sums."""
    z = np.linspace(-9.0, 9.0, 721)
    density = np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi) * (z[1] - z[0])
    u_1 = np.sqrt(q_1) * z[:, None]
    u_2 = np.sqrt(q_2) * (rho * z[:, None] + np.sqrt((1 - rho) * (1 + rho)) * z)
    return float(density @ (f(u_1) * f(u_2)) @ density)


def hyperbolic_ratio(dimension: int, rho: float) -> mpf:
    """Delta' of f = 1: rho (2/D) (Gamma((D+1)/2)/Gamma(D/2))^2 2F1(1/2, 1/2; D/2+1; rho^2)."""
    half, rho = mpf(dimension) / 2, mpf(rho)
    gammas = mp.gamma(half + mpf(1) / 2) / mp.gamma(half)
    return rho / half * gammas**2 * mpmath.hyp2f1(0.5, 0.5, half + 1, rho * rho)


def clipped_length(dimension: int, s: float) -> float:
    """<min(r, 1)^2> by incomplete Gamma functions."""
    edge = dimension / (2.0 * s)
    below = s * special.gammainc(dimension / 2 + 1, edge)
    return below + special.gammaincc(dimension / 2, edge)


def clipped_correlation(rho: float, s: float) -> float:
    """E[f(u_1) f(u_2)] of f(u) = max(-1, min(u, 1)) for D = 1, one of the two averages in closed form."""
    q, width = np.sqrt(s), np.sqrt(s * (1 - rho) * (1 + rho))

    def mean(m: float) -> float:
        low, high = (-1 - m) / width, (1 - m) / width
        density = (np.exp(-0.5 * low**2) - np.exp(-0.5 * high**2)) / np.sqrt(2 * np.pi)
        inside = special.ndtr(high) - special.ndtr(low)
        return m * inside + width * density + special.ndtr(-high) - special.ndtr(low)

    def integrand(z: float) -> float:
        return 2 * min(q * z, 1.0) * mean(rho * q * z) * np.exp(-0.5 * z * z) / np.sqrt(2 * np.pi)

    parts = [(a, b) for a, b in ((0.0, min(1 / q, 12.0)), (1 / q, 12.0)) if a < b]
    return sum(integrate.quad(integrand, a, b, epsabs=0, epsrel=1e-11, limit=400)[0] for a, b in parts)
