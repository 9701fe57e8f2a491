"""Mean-field theory at any number of digits, by its defining integrals: the reference for the float64 path.

Nothing here is shared with the fast path, neither a formula nor a function: activations are defined anew, and every
quantity is computed with mpmath from the integral that defines it, the double Bessel integral of the paper's
Eq. (12), (49) included. For a radial activation phi(x) = f(|x|) x/|x| on capsules R^D,

    length map        c'      = < f(r)^2 >                                                       Eq. (8), (35)
    correlation map   Delta'  = E[phi(x_1).phi(x_2)]                                             Eq. (12), (49)
    relaxation        chi_c   = < f(r) f'(r) r > / c*,        chi_delta = < r f(r) >^2 / (sigma_w^2 c*^2)

where r^2 = sigma_w^2 c (2/D) t, t ~ Gamma(D/2), and <.> is the average over t.

Numbers go in as int, float (meaning exactly the binary float), str (``"0.1"``, ``"1e-9"``, ``"1/3"``) or mpf, and come
out as mpf, right to `digits` significant digits: every integral is computed on two different grids, and where these do
not agree to the digits asked for, :class:`ArithmeticError` is raised. An activation is ``"tanh"``, ``"erf"``,
``"algebraic"``, ``"saturated"`` or ``"linear"``, or a pair (f, f') of functions from mpf to mpf, which must be analytic
on r > 0 (a kink ends in ArithmeticError) with f(0) = 0, and f(r)/r must not increase if the fixed point is to be found.

The results keep their digits, but mpmath rounds whatever is computed from them to its own ``mp.dps``.

A correlation map or gap takes 0.2 to 2 s at 20 digits and up to about 7 s at 30, for sigma_w from 1e-3 to 1e3, D from
1 to 48 and 1 - rho from 1 - 1e-12 to 1e-9 (the slowest: the gap in D = 1, and 1 - rho = 1e-9); a fixed point about
0.5 s, all susceptibilities 1 to 2 s. Smaller 1 - rho costs its logarithm: half a minute at 1e-100.
"""

from meanfield.precise.fixed_points import Susceptibilities, fixed_point, susceptibilities
from meanfield.precise.maps import correlation_gap, correlation_map, laguerre_coefficient, length_map, trajectory

__all__ = [
    "Susceptibilities",
    "correlation_gap",
    "correlation_map",
    "fixed_point",
    "laguerre_coefficient",
    "length_map",
    "susceptibilities",
    "trajectory",
]
