"""Closed forms of the length map, the correlation map and the susceptibilities, where there are any.

==============  ===========================  ========================================================================
activation      capsule dimension D          what is known
==============  ===========================  ========================================================================
``linear``      any                          everything
``saturated``   any                          everything (f = 1, the limit of all bounded activations for large sigma_w)
``erf``         1                            everything: the arcsine law
``erf``         integer >= 2                 all but the correlation map (and chi_jacobian at D = 2)
``algebraic``   integer >= 1                 all but the correlation map
``tanh``        none                         nothing: see `length_map_series`, `correlation_map_series`
==============  ===========================  ========================================================================

The susceptibilities are those of the fixed point c*, written in s = sigma_w^2 c* and sigma_w, which are tied by
length_map(s) = s/sigma_w^2. Below the transition, where c* = 0, all of them are sigma_w^2 f'(0)^2.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from sympy import (
    Add,
    Expr,
    Integer,
    Piecewise,
    Rational,
    asin,
    atan,
    besselk,
    cancel,
    collect,
    erfc,
    expand,
    expint,
    factor,
    gamma,
    hyper,
    latex,
    oo,
    pi,
    simplify,
    sqrt,
)

from meanfield.symbolic.algebraic_integrals import inverse_power, mean_overlap
from meanfield.symbolic.arguments import as_dimension
from meanfield.symbolic.erf_integrals import edge_integral, line_integral, square_integral
from meanfield.symbolic.symbols import D, rho, s, sigma_w


@dataclass(frozen=True)
class ClosedForms:
    """The closed forms for one activation and capsule dimension; None where there is none.

    Attributes
    ----------
    length_map : F(s), with c^{l+1} = F(sigma_w^2 c^l), paper Eq. (35).
    correlation_map : Delta^{l+1} as a function of s and rho = Delta/c, paper Eq. (49).
    chi_c, chi_delta, chi_jacobian, chi_gram : at the fixed point, in s = sigma_w^2 c* and sigma_w. chi_gram is defined
        for D >= 2 only.
    """

    activation: str
    dimension: Expr
    length_map: Expr
    correlation_map: Expr | None
    chi_c: Expr
    chi_delta: Expr
    chi_jacobian: Expr | None
    chi_gram: Expr | None

    @property
    def sigma_w_squared(self) -> Expr:
        """The sigma_w^2 whose fixed point has sigma_w^2 c* = s: a parametrisation of every curve over sigma_w."""
        return simplify(s / self.length_map)

    def along_fixed_points(self, name: str) -> Expr | None:
        """A susceptibility as a function of s alone, sigma_w^2 being s/F(s).

        Raises
        ------
        ValueError
            If the name is not one of the susceptibilities.
        """
        if name not in ("chi_c", "chi_delta", "chi_jacobian", "chi_gram"):
            raise ValueError(f"name must be 'chi_c', 'chi_delta', 'chi_jacobian' or 'chi_gram', got {name!r}")
        value = getattr(self, name)
        return None if value is None else value.subs(sigma_w, sqrt(s / self.length_map))

    def _repr_markdown_(self) -> str:
        rows = {
            "c^{l+1}": self.length_map,
            r"\Delta^{l+1}": self.correlation_map,
            r"\chi_c": self.chi_c,
            r"\chi_\Delta": self.chi_delta,
            r"\chi_J": self.chi_jacobian,
            r"\chi_G": self.chi_gram,
        }
        where = "any $D$" if self.dimension.is_Symbol else f"$D = {latex(self.dimension)}$"
        lines = [f"**Closed forms for f = {self.activation}, {where}**, with $s = \\sigma_w^2 c$"]
        lines += [f"$${name} = {latex(value)}$$" for name, value in rows.items() if value is not None]
        return "\n\n".join(lines)


def closed_forms(activation: str, dimension: Expr | int = D) -> ClosedForms:
    """The closed forms for an activation and a capsule dimension.

    Parameters
    ----------
    activation : str
        "linear" or "saturated", at any D; "erf" or "algebraic", at an integer D.
    dimension : Expr or int
        The capsule dimension: an integer, or for the first two also a symbol.

    Raises
    ------
    ValueError
        For an activation without closed forms, or a dimension that is not a positive integer (or, where allowed, a
        symbol).
    """
    builders: dict[str, Callable[[Expr], ClosedForms]] = {
        "linear": _linear,
        "saturated": _saturated,
        "erf": _erf,
        "algebraic": _algebraic,
    }
    if activation not in builders:
        known = ", ".join(map(repr, builders))
        raise ValueError(
            f"activation must be one of {known} (no closed forms are known for others), got {activation!r}"
        )
    dimension = as_dimension(dimension)
    if activation in ("erf", "algebraic") and not dimension.is_Integer:
        raise ValueError(f"dimension must be an integer >= 1 for {activation!r}, got {dimension}")
    return builders[activation](dimension)


def _anisotropy(chi_c: Expr, dimension: Expr) -> Expr | None:
    """chi_gram = (D + 2 chi_c)/(D + 2), by partial integration; there is no anisotropy at D = 1."""
    if dimension == 1:
        return None
    share = 2 / (dimension + 2)
    return Add(dimension / (dimension + 2), *(share * term for term in Add.make_args(chi_c)))


def _tidy(expression: Expr) -> Expr:
    """Collected in the functions that are not powers of s, with factored coefficients."""
    functions = sorted(expression.atoms(asin, atan, erfc, expint, besselk), key=str)
    return collect(expand(expression), functions, factor)


# ---- f(r) = r: nothing saturates, every ratio is sigma_w^2 ---------------------------------------------------------


def _linear(dimension: Expr) -> ClosedForms:
    gain = sigma_w**2
    return ClosedForms("linear", dimension, s, s * rho, gain, gain, gain, None if dimension == 1 else gain)


# ---- f(r) = 1: only the direction of a capsule is left -------------------------------------------------------------


def saturated_chi_delta(dimension: Expr | int = D) -> Expr:
    """(2/D) (Gamma((D+1)/2)/Gamma(D/2))^2 = 1 - 1/(2 D) + ..., the squared mean radius over the mean squared radius."""
    D_ = as_dimension(dimension)
    return 2 / D_ * (gamma((D_ + 1) / 2) / gamma(D_ / 2)) ** 2


def saturated_correlation_map(dimension: Expr | int = D) -> Expr:
    """rho chi_Delta 2F1(1/2, 1/2; D/2 + 1; rho^2), which is one at rho = 1."""
    half = Rational(1, 2)
    return rho * saturated_chi_delta(dimension) * hyper((half, half), (as_dimension(dimension) / 2 + 1,), rho**2)


def _saturated(dimension: Expr) -> ClosedForms:
    slope = (dimension - 1) / (dimension - 2) if dimension != 2 else oo
    infinite = dimension <= 2
    return ClosedForms(
        "saturated",
        dimension,
        Integer(1),
        saturated_correlation_map(dimension),
        Integer(0),
        saturated_chi_delta(dimension),
        Piecewise((oo, infinite), (slope, True)),
        _anisotropy(Integer(0), dimension),
    )


# ---- f(r) = erf(r) -------------------------------------------------------------------------------------------------


def arcsine_correlation_map() -> Expr:
    """(2/pi) arcsin(2 s rho/(1 + 2 s)), for erf at D = 1."""
    return 2 / pi * asin(2 * s * rho / (1 + 2 * s))


def _erf(dimension: Expr) -> ClosedForms:
    a, p = s / dimension, dimension / 2
    odd = bool(dimension % 2)
    length_map = 2 / pi * asin(cancel(2 * a / (1 + 2 * a))) if odd else Integer(0)
    lowest = Rational(3, 2) if odd else Integer(1)
    length_map += sum(8 * a / pi * edge_integral(a, lowest + n) for n in range(int(dimension - odd) // 2))
    gain = 4 * sigma_w**2 / pi
    chi_c = _tidy(gain * edge_integral(a, p + 1))
    chi_jacobian = None
    if dimension != 2:
        angular = (dimension - 1) * square_integral(a, p) if dimension > 1 else 0
        chi_jacobian = _tidy(gain / dimension * ((1 + 4 * a) ** -p + angular))
    return ClosedForms(
        "erf",
        dimension,
        _tidy(length_map),
        arcsine_correlation_map() if dimension == 1 else None,
        chi_c,
        gain * _tidy(line_integral(a, p + 1)) ** 2,
        chi_jacobian,
        _anisotropy(chi_c, dimension),
    )


# ---- f(r) = r/sqrt(1 + r^2) ----------------------------------------------------------------------------------------


def _algebraic(dimension: Expr) -> ClosedForms:
    z = dimension / (2 * s)
    first, second, third = (inverse_power(n, z, dimension) for n in (1, 2, 3))
    chi_c = _tidy(sigma_w**2 / s * (first - second))
    return ClosedForms(
        "algebraic",
        dimension,
        _tidy(1 - first),
        None,
        chi_c,
        (sigma_w * _tidy(mean_overlap(z, dimension) / s)) ** 2,
        _tidy(sigma_w**2 / dimension * (third + (dimension - 1) * first)),
        _anisotropy(chi_c, dimension),
    )
