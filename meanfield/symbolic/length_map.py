"""The length map and all that belongs to its fixed point as power series, for any smooth odd activation and any D.

Paper Eq. (36) and (37) are the first terms for f = tanh and D = 2. Two small parameters appear:

- s = sigma_w^2 c, the size of the preactivations, in which the length map is expanded;
- epsilon = sigma_w^2 f'(0)^2 - 1, the distance from the transition, in which the fixed point is.

The expansions are asymptotic: the first omitted term measures the error as the parameter goes to zero, but for tanh and
the algebraic activation, which have singularities at complex r, the series diverges at every fixed value of it. (For
erf the length map converges for s < D/4.) More terms help only while the terms shrink.
"""

from __future__ import annotations

from sympy import Add, Expr, Poly, factor
from sympy.polys.constructor import construct_domain
from sympy.polys.ring_series import rs_mul, rs_series_inversion
from sympy.polys.rings import PolyElement, ring

from meanfield.checks import whole_number
from meanfield.symbolic.arguments import as_dimension
from meanfield.symbolic.symbols import D, epsilon, s
from meanfield.symbolic.taylor import taylor_coefficients

SUSCEPTIBILITIES = ("chi_c", "chi_delta", "chi_jacobian", "chi_gram")


def length_map_series(activation: str | Expr = "tanh", order: int = 2, dimension: Expr | int = D) -> Expr:
    """The length map c^{l+1} = F(s), s = sigma_w^2 c^l, through s^order: paper Eq. (36).

    F(s) = sum_n b_n s^n,   b_n = [r^(2n)] f(r)^2 * prod_{j<n} (D + 2j)/D

    Parameters
    ----------
    activation : str or Expr
        See `taylor_coefficients`; "generic" gives the result in terms of f_1, f_3, ...
    order : int
        The highest power of s.
    dimension : Expr or int
        The capsule dimension, an integer or a symbol.

    Raises
    ------
    ValueError
        For an activation that is not smooth and odd, order < 1, or a dimension that is neither a positive integer nor a
        symbol.
    """
    series = _SmallSignal(activation, whole_number("order", order, 1), dimension)
    return series.length_map_expression(order)


def fixed_point_series(activation: str | Expr = "tanh", order: int = 1, dimension: Expr | int = D) -> Expr:
    """The fixed point c* = F(sigma_w^2 c*) through epsilon^order: paper Eq. (37), epsilon = sigma_w^2 f'(0)^2 - 1.

    The leading term is linear, a mean-field exponent. If f bends upwards (f''' > 0), its sign is negative: the solution
    near zero is then below the transition, and unstable.

    Parameters
    ----------
    activation, order, dimension
        As in :func:`length_map_series`, with `order` the highest power of epsilon.

    Raises
    ------
    ValueError
        As :func:`length_map_series`, and if f'''(0) = 0, where c* is not a power series in epsilon.
    """
    series = _SmallSignal(activation, whole_number("order", order, 1) + 1, dimension)
    return series.at_fixed_point(series.length_map, order, series.slope**2)


def susceptibility_series(
    name: str, activation: str | Expr = "tanh", order: int = 2, dimension: Expr | int = D
) -> Expr:
    """A susceptibility at c*, just above the transition, through epsilon^order.

    chi_c = < f f' r >/c*,  chi_delta = < r f >^2/(sigma_w^2 c*^2),
    chi_jacobian = (sigma_w^2/D) < f'^2 + (D-1) (f/r)^2 >,  chi_gram = D < f^2 r^2 >/((D+2) sigma_w^2 c*^2)

    All start at 1. Then 1 - chi_c begins at first order and 1 - chi_delta only at second: close to the transition the
    correlation of two inputs outlives the memory of their size.

    Parameters
    ----------
    name : str
        One of "chi_c", "chi_delta", "chi_jacobian", "chi_gram".
    activation, order, dimension
        As in :func:`fixed_point_series`.

    Raises
    ------
    ValueError
        For another name, or as :func:`fixed_point_series`.
    """
    if name not in SUSCEPTIBILITIES:
        raise ValueError(f"name must be one of {', '.join(map(repr, SUSCEPTIBILITIES))}; got {name!r}")
    series = _SmallSignal(activation, whole_number("order", order, 1) + 1, dimension)
    return series.at_fixed_point(getattr(series, name), order)


def compose(outer: Expr, inner: Expr, order: int) -> Expr:
    """A polynomial in s at s = inner, a polynomial in epsilon, through epsilon^order."""
    outside, inside = Poly(outer, s).all_coeffs(), Poly(inner, epsilon).all_coeffs()[::-1]
    domain, elements = construct_domain([*outside, *inside], field=True)
    polynomials, variable = ring("epsilon", domain)
    point = polynomials.from_dict({(n,): value for n, value in enumerate(elements[len(outside) :]) if value})
    total = polynomials.zero
    for value in elements[: len(outside)]:
        total = rs_mul(total, point, variable, order + 1) + value
    return _polynomial([domain.to_sympy(total.coeff(variable**n)) for n in range(order + 1)], epsilon, 1)


class _SmallSignal:
    """Averages of g = f/f'(0) as truncated power series in s, with exact coefficients.

    Dividing by the slope f_1 = f'(0) leaves rational numbers for all named activations. The fixed point obeys
    c*/f_1^2 = G(s) with s = (1 + epsilon) c*/f_1^2, that is 1 + epsilon = s/G(s): no sigma_w is left.
    """

    def __init__(self, activation: str | Expr, order: int, dimension: Expr | int) -> None:
        self.order = order
        coefficients = taylor_coefficients(activation, order + 1)
        self.slope = coefficients[0]
        ratios = [(a / self.slope).simplify() for a in coefficients]
        domain, elements = construct_domain([as_dimension(dimension), *ratios], field=True)
        self._domain, self._D, self._g = domain, elements[0], elements[1:]
        self._ring, self._s = ring("s", domain)

    def _moment(self, m: int):
        """< r^(2m) >/s^m."""
        out = self._domain.one
        for j in range(m):
            out = out * (self._D + 2 * j) / self._D
        return out

    def _square(self, m: int, weight=lambda i, j: 1):
        """[r^(2m)] of (g/r)^2, each product g_i g_j weighted."""
        products = (self._g[i] * self._g[m - i] * weight(i, m - i) for i in range(m + 1))
        return sum(products, self._domain.zero)

    def _sum(self, coefficient, shift: int = 0) -> PolyElement:
        """Sum of coefficient(m) < r^(2(m+shift)) >/s^shift through s^order."""
        terms = (self._s**m * (coefficient(m) * self._moment(m + shift)) for m in range(self.order + 1))
        return sum(terms, self._ring.zero)

    def _mul(self, a: PolyElement, b: PolyElement) -> PolyElement:
        return rs_mul(a, b, self._s, self.order + 1)

    @property
    def length_map(self) -> PolyElement:
        """G(s) = < g^2 >."""
        return self._sum(lambda m: self._square(m - 1) if m else self._domain.zero)

    @property
    def _s_over_length_map(self) -> PolyElement:
        """s/G(s) = 1 + epsilon at the fixed point, through s^(order-1)."""
        return rs_series_inversion(_divide(self.length_map, self._s), self._s, self.order)

    @property
    def chi_c(self) -> PolyElement:
        """sigma_w^2 F'(s) = (s/G) G'."""
        return self._mul(self._s_over_length_map, self.length_map.diff(self._s))

    @property
    def chi_delta(self) -> PolyElement:
        """(s/G) (< r g >/s)^2."""
        overlap = _divide(self._sum(lambda m: self._g[m - 1] if m else self._domain.zero), self._s)
        return self._mul(self._s_over_length_map, self._mul(overlap, overlap))

    @property
    def chi_jacobian(self) -> PolyElement:
        """(s/G) < g'^2 + (D-1) (g/r)^2 >/D."""
        D_ = self._D

        def weight(i: int, j: int):
            return ((2 * i + 1) * (2 * j + 1) + D_ - 1) / D_

        return self._mul(self._s_over_length_map, self._sum(lambda m: self._square(m, weight)))

    @property
    def chi_gram(self) -> PolyElement:
        """(s/G) D < g^2 r^2 >/((D+2) s^2)."""
        D_ = self._D
        fourth = self._sum(lambda m: self._square(m) * D_ / (D_ + 2), 2)
        return self._mul(self._s_over_length_map, fourth)

    def length_map_expression(self, order: int) -> Expr:
        """F(s) = f_1^2 G(s) as a sympy polynomial."""
        coefficients = [self.length_map.coeff(self._s**n) for n in range(1, order + 1)]
        return _polynomial([0, *map(self._domain.to_sympy, coefficients)], s, self.slope**2)

    def at_fixed_point(self, quantity: PolyElement, order: int, scale: Expr | int = 1) -> Expr:
        """scale * quantity(s) as a series in epsilon, where epsilon = s/G(s) - 1, by Lagrange's inversion formula:

        [epsilon^n] H(s(epsilon)) = (1/n) [s^(n-1)] H'(s) (s/h(s))^n   for epsilon = h(s).
        """
        bend = self._s_over_length_map - 1
        if bend.coeff(self._s) == 0:
            raise ValueError(
                "activation must have f'''(0) != 0: without a cubic term c* is not a power series in epsilon "
                f"(f(r)/f'(0) = r + {self._domain.to_sympy(self._g[1])} r^3 + ...)"
            )
        inverse = rs_series_inversion(_divide(bend, self._s), self._s, order)  # s/h(s)
        slope = quantity.diff(self._s)
        coefficients = [quantity.coeff(1)]
        power = self._ring.one
        for n in range(1, order + 1):
            power = rs_mul(power, inverse, self._s, order)
            coefficients.append(rs_mul(slope, power, self._s, n).coeff(self._s ** (n - 1)) / n)
        return _polynomial(list(map(self._domain.to_sympy, coefficients)), epsilon, scale)


def _divide(series: PolyElement, variable: PolyElement) -> PolyElement:
    """A series without constant term, divided by its variable."""
    return series.exquo(variable)


def _polynomial(coefficients: list[Expr], variable: Expr, scale: Expr | int) -> Expr:
    return Add(*(factor(scale * value) * variable**n for n, value in enumerate(coefficients)))
