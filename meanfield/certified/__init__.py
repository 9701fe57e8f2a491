"""The mean-field theory in ball arithmetic: every number comes with a proven radius.

A result is a python-flint `arb`: a midpoint and a radius that provably enclose the exact value for the given binary
floats. No value is taken from a floating-point computation and widened:

- Gaussian averages of one input (length map, susceptibilities) are rigorous integrals (`acb.integral`) up to a cut,
  plus a proven bound of the tail (`averages`);
- c* is enclosed by a sign change of F(c) - c (`fixed_point`);
- the Laguerre coefficients a_n are trapezoidal sums with a proven discretisation error (`laguerre`);
- Delta' is the series sum_n a_n^2 rho^(2n+1) with a bounded remainder, or, where that converges too slowly (large
  sigma_w and rho near 1), a double integral of Gaussian mixtures, or a closed form where one exists (`correlation`).

The functions carry the names of the floating-point ones and change neither flint's precision nor its other settings.
`python -m meanfield.certified.reference FILE` writes the reference table that the accuracy tests use.

Needs python-flint, an optional extra: ``pip install goldstone-propagation[certified]``.
"""

try:
    import flint as _flint  # noqa: F401
except ImportError as error:
    raise ImportError("meanfield.certified needs python-flint: pip install goldstone-propagation[certified]") from error

from meanfield.certified.averages import length_map
from meanfield.certified.balls import relative_radius
from meanfield.certified.correlation import correlation_gap, correlation_map
from meanfield.certified.fixed_point import Susceptibilities, fixed_point, susceptibilities
from meanfield.certified.laguerre import coefficients

__all__ = [
    "Susceptibilities",
    "coefficients",
    "correlation_gap",
    "correlation_map",
    "fixed_point",
    "length_map",
    "relative_radius",
    "susceptibilities",
]
