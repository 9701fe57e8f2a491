"""Mean-field theory of deep information propagation through equivariant networks.

How far does information travel through a deep network whose hidden layers are equivariant under U(1) or O(k)? The
functions here solve the infinite-width theory: the length map of the order parameter c, the correlation map of Delta,
the conserved phase phi, fixed points, susceptibilities and depth scales.

    >>> import meanfield
    >>> meanfield.depth_scales(1.5, symmetry="U(1)")
    DepthScales(U(1), tanh, sigma_w=1.5: c*=0.483232, xi_c=1.36173, xi_delta=22.4649, chi_jacobian=1.10115)

========================================================  =====================================================
to ask                                                    call
========================================================  =====================================================
how c and Delta change in one layer                       :func:`length_map`, :func:`correlation_map`
the same for many inputs, or for any Gram matrix of O(k)  :func:`gram_map`, :func:`matrix_gram_map`
what c a deep network keeps, and in which phase it is     :func:`fixed_point`
over how many layers c, Delta and anisotropy relax        :func:`depth_scales`, :func:`phase_diagram` (as a table)
what becomes of given inputs, layer by layer              :func:`trajectory`, :func:`anisotropy_trajectory`
how the Jacobian grows, and what the symmetry protects    :func:`jacobian_trajectory`
all its singular values, and what becomes of them         :func:`jacobian_spectrum`, :func:`lyapunov_exponents`
how much c scatters at finite width                       :func:`fluctuations`, :func:`fluctuation_trajectory`
how the overlap of two inputs deviates there              :func:`overlap_fluctuations`, :func:`overlap_depth_scale`
how fast the phase is lost there, how deep it is read     :func:`phase_diffusion`, :func:`readable_depth`
where the transition of a narrow network is               :func:`finite_width_transition`
why Delta has no other fixed point                        :func:`overlap_series`
what biases or an inexact symmetry do to all of this      :func:`explicit_breaking`
over how many layers a small angle is kept then           :func:`angle_half_life`
all of these for one symmetry, activation and sigma_w     :class:`Ensemble`
what waves the complex field of Appendix A has            `meanfield.field`, `field_modes`, `field_plots`
========================================================  =====================================================

These three, `meanfield.precise` (any number of digits), `meanfield.certified` (proven error bounds; needs
python-flint), `meanfield.symbolic` (sympy) and `meanfield.plots` are loaded on first use. Nothing here imports torch.
"""

from importlib import import_module

from .activations import NAMED_ACTIVATIONS, Activation, as_activation
from .anisotropy import anisotropy_trajectory
from .depth_scales import DepthScales, depth_scales
from .ensemble import Ensemble
from .explicit_breaking import explicit_breaking
from .finite_width import finite_width_transition
from .fixed_points import ConvergenceWarning, FixedPoint, fixed_point
from .fluctuations import fluctuation_trajectory, fluctuations
from .gram_map import as_gram, gram_map
from .half_life import angle_half_life
from .jacobian import jacobian_trajectory
from .jacobian_spectrum import jacobian_spectrum
from .lyapunov import lyapunov_exponents
from .maps import AccuracyWarning, correlation_map, length_map
from .matrix_order import matrix_correlation_map, matrix_gram_map, polar_factor, singular_value_map
from .overlap_depth import overlap_depth_scale
from .overlap_fluctuations import overlap_fluctuations
from .overlap_series import overlap_series
from .phase_diagram import phase_diagram
from .phase_diffusion import phase_diffusion, readable_depth
from .symmetry import Symmetry, as_symmetry
from .trajectory import trajectory

_LOADED_ON_USE = ("certified", "field", "field_modes", "field_plots", "plots", "precise", "symbolic")

__all__ = [
    "NAMED_ACTIVATIONS",
    "AccuracyWarning",
    "Activation",
    "ConvergenceWarning",
    "DepthScales",
    "Ensemble",
    "FixedPoint",
    "Symmetry",
    "angle_half_life",
    "anisotropy_trajectory",
    "as_activation",
    "as_gram",
    "as_symmetry",
    "correlation_map",
    "depth_scales",
    "explicit_breaking",
    "finite_width_transition",
    "fixed_point",
    "fluctuation_trajectory",
    "fluctuations",
    "gram_map",
    "jacobian_spectrum",
    "jacobian_trajectory",
    "length_map",
    "lyapunov_exponents",
    "matrix_correlation_map",
    "matrix_gram_map",
    "overlap_depth_scale",
    "overlap_fluctuations",
    "overlap_series",
    "phase_diagram",
    "phase_diffusion",
    "polar_factor",
    "readable_depth",
    "singular_value_map",
    "trajectory",
]


def __getattr__(name: str):
    if name in _LOADED_ON_USE:
        return import_module(f"{__name__}.{name}")
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *_LOADED_ON_USE])
