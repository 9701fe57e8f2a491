"""The theory as symbolic mathematics: derivations that can be read, checked and evaluated.

Derivations, in the paper's order (each a :class:`Derivation` of :class:`Step` that renders in a notebook):

==================================  ==================  ==============================================================
function                            paper               what it does
==================================  ==================  ==============================================================
:func:`path_integral`               Eq. (26) to (34)    integrates out W and z-hat at finite N, then the saddle point
:func:`one_input`                   Eq. (35) to (37)    the length map and its fixed point, any D, any smooth odd f
:func:`two_inputs`                  Eq. (41) to (49)    the phase is conserved; the correlation map
:func:`two_inputs_any_dimension`    Eq. (46) to (49)    the same for capsules in R^D
:func:`correlation_series`          Eq. (49)            the correlation map as a power series in rho
:func:`saturated_steps`             Eq. (49), f = 1     where its closed forms come from
:func:`erf_steps`                   Eq. (35), (49)      the arcsine law, and erf in any dimension
==================================  ==================  ==============================================================

Results: :func:`length_map_series`, :func:`fixed_point_series`, :func:`susceptibility_series`,
:func:`correlation_coefficient`, :func:`correlation_map_series` and :func:`closed_forms`. All are ordinary sympy,
written in the letters of `meanfield.symbolic.symbols`; :func:`as_function` (or `sympy.lambdify`) turns them into
numbers.
"""

from meanfield.symbolic import symbols
from meanfield.symbolic.averages import even_moment, isotropic_average
from meanfield.symbolic.closed_form_steps import erf_steps, saturated_steps
from meanfield.symbolic.closed_forms import ClosedForms, closed_forms
from meanfield.symbolic.correlation_series import correlation_coefficient, correlation_map_series, correlation_series
from meanfield.symbolic.derivation import Check, Derivation, Slip, Step
from meanfield.symbolic.length_map import fixed_point_series, length_map_series, susceptibility_series
from meanfield.symbolic.numerical import as_function
from meanfield.symbolic.one_input import one_input
from meanfield.symbolic.path_integral import path_integral
from meanfield.symbolic.taylor import taylor_coefficients
from meanfield.symbolic.two_inputs import two_inputs
from meanfield.symbolic.two_inputs_any_dimension import angular_average, two_inputs_any_dimension

__all__ = [
    "Check",
    "ClosedForms",
    "Derivation",
    "Slip",
    "Step",
    "angular_average",
    "as_function",
    "closed_forms",
    "correlation_coefficient",
    "correlation_map_series",
    "correlation_series",
    "erf_steps",
    "even_moment",
    "fixed_point_series",
    "isotropic_average",
    "length_map_series",
    "one_input",
    "path_integral",
    "saturated_steps",
    "susceptibility_series",
    "symbols",
    "taylor_coefficients",
    "two_inputs",
    "two_inputs_any_dimension",
]
