"""The path integral of a U(1)-equivariant network, paper Eq. (26) to (34), each step computed.

One layer is enough: given the activations of layer l, the weights of that layer appear nowhere else, so the integrals
over W and z-hat are done layer by layer, exactly at finite N. Only the last step, the saddle point in c and c-hat,
needs N to be large. For O(k) the same steps with real W and k real components per capsule lead to a Gaussian of
variance sigma_w^2 c/k per component: `one_input` starts from there for every capsule dimension.
"""

from __future__ import annotations

from functools import cache
from itertools import product

from sympy import (
    Abs,
    DiracDelta,
    Eq,
    Expr,
    Function,
    I,
    IndexedBase,
    Integral,
    Rational,
    Sum,
    Symbol,
    Tuple,
    cancel,
    conjugate,
    diff,
    exp,
    expand,
    factor,
    im,
    log,
    oo,
    pi,
    re,
    series,
    simplify,
    sqrt,
)

from meanfield.symbolic.derivation import Check, Derivation, Slip, Step
from meanfield.symbolic.gaussian import ComplexVariable, gaussian_integral
from meanfield.symbolic.symbols import N, c, c_next, f, sigma_w

_W = ComplexVariable("W")
_Z = ComplexVariable("z")
_ZHAT = ComplexVariable(r"\hat{z}")
_PHI = ComplexVariable("a")  # phi(z_j^l), fixed while the layer's weights are integrated
_CHAT = Symbol(r"\hat{c}", real=True)
_ACTION = Symbol("S")
_WIDTH = Symbol("eta", positive=True)  # regulator of the delta functions, eta -> 0

_i, _j = Symbol("i", integer=True), Symbol("j", integer=True)
_z = IndexedBase(r"z^{l+1}", complex=True)
_zhat = IndexedBase(r"\hat{z}^{l+1}", complex=True)
_w = IndexedBase(r"W", complex=True)
_phi_z = Function("phi")(IndexedBase(r"z^{l}", complex=True)[_j])

# terms of the action that several steps have
_SOURCE = I * Sum(conjugate(_zhat[_i]) * _z[_i] + _zhat[_i] * conjugate(_z[_i]), (_i, 1, N))
_MEAN_SQUARE = Sum(Abs(_phi_z) ** 2, (_j, 1, N)) / N
_CONSTRAINT = I * N * _CHAT * (c - _MEAN_SQUARE)


@cache
def path_integral() -> Derivation:
    """Derive the length map of a U(1)-equivariant network from its path integral, paper Eq. (26) to (34)."""
    return Derivation(
        "From random weights to the length map",
        "The network $z_i^{l+1} = \\sum_j W_{ij} \\phi(z_j^l)$ is a deterministic map once the complex weights are "
        "drawn. Averaging over the weights turns it into a statistical model of the activations alone. All equations "
        "below are for one layer, $l \\to l+1$; the full action is the sum over layers.",
        (
            _weights(),
            _delta_function(),
            _effective_action(),
            _one_weight_integrated(),
            _all_weights_integrated(),
            _collective_field(),
            _insert_one(),
            _action_with_collective_field(),
            _response_field_integrated(),
            _action_per_neuron(),
            _saddle_point(),
            _length_map_integral(),
            _fluctuations(),
        ),
    )


def _coupled(a: ComplexVariable, b: ComplexVariable) -> Expr:
    """conj(a) b + a conj(b), which is real."""
    return expand(a.conjugate * b.value + a.value * b.conjugate)


def _weights() -> Step:
    precision = Symbol("lambda", positive=True)
    amplitude, _ = gaussian_integral(-precision * _W.modulus_squared, *_W.parts)
    second_moment = (-diff(log(amplitude), precision)).subs(precision, N / sigma_w**2)
    part = Symbol("v", positive=True)  # variance of the real and of the imaginary part

    def excess(variance: Expr) -> Expr:
        return simplify((2 * part).subs(part, variance) - second_moment)

    return Step(
        "26",
        "The weights",
        Eq(Symbol("p(W_{ij})"), N / (pi * sigma_w**2) * exp(-N / sigma_w**2 * Abs(_w[_i, _j]) ** 2)),
        "Every weight is an independent complex Gaussian with $\\mathbb{E}|W_{ij}|^2 = \\sigma_w^2/N$, and $Z = \\int "
        "[dz] \\prod_{ij} dW_{ij}\\, p(W_{ij}) \\prod_i \\delta\\big(z_i^{l+1} - \\sum_j W_{ij}\\phi(z_j^l)\\big)$ "
        "says that, given the weights, the next layer is certain.",
        (
            Check(
                "$p$ is normalised",
                simplify(amplitude.subs(precision, N / sigma_w**2) * N / (pi * sigma_w**2) - 1),
            ),
            Check("$\\mathbb{E}|W|^2 = \\sigma_w^2/N$", simplify(second_moment - sigma_w**2 / N)),
        ),
        (
            Slip(
                "Section 2.2 gives the real and the imaginary part a variance of $\\sigma_w^2/N$ each; Eq. (26) and a "
                "transition at $\\sigma_w = 1$ need half of that, and the residual is the excess in $\\mathbb{E}|W|^2$",
                excess(sigma_w**2 / (2 * N)),
                excess(sigma_w**2 / N),
            ),
        ),
    )


def _delta_function() -> Step:
    phase = I * _coupled(_ZHAT, _Z)
    amplitude, exponent = gaussian_integral(phase - _WIDTH * _ZHAT.modulus_squared, *_ZHAT.parts)
    weight, rest = gaussian_integral(exponent, *_Z.parts)
    literal = I * _ZHAT.conjugate * _Z.value
    literal = expand(literal + conjugate(literal))  # "h.c." read as the conjugate of everything before it
    return Step(
        "27",
        "The constraint as an integral",
        Eq(
            DiracDelta(_Z.re) * DiracDelta(_Z.im),
            Integral(exp(phase), (_ZHAT.re, -oo, oo), (_ZHAT.im, -oo, oo)) / pi**2,
        ),
        "A response field $\\hat z$ turns the delta function of a complex number $z$ (here $z_i^{l+1} - \\sum_j W_{ij} "
        "\\phi(z_j^l)$) into an exponential, in which the weights appear linearly.",
        (
            Check(
                "with a regulator $e^{-\\eta|\\hat z|^2}$ the right-hand side is $e^{-|z|^2/\\eta}/(\\pi\\eta)$",
                simplify(amplitude / pi**2 - 1 / (pi * _WIDTH)) + expand(exponent + _Z.modulus_squared / _WIDTH),
            ),
            Check("which has unit weight for every $\\eta$", simplify(weight * amplitude / pi**2 - 1) + rest),
        ),
        (
            Slip(
                "'h.c.' must stand inside the factor $i$: $i(\\hat z^\\dagger z + \\hat z z^\\dagger)$. Read as the "
                "conjugate of the whole term, it makes the exponent real, and the sign of the quartic term of Eq. "
                "(29) flips. The residual is the real part of the exponent",
                re(phase),
                simplify(re(literal)),
            ),
        ),
    )


def _effective_action() -> Step:
    coupling = _coupled(_ZHAT, _Z) - _coupled_weight(_ZHAT, _W, _PHI)
    constraint = ComplexVariable("x")
    direct = _coupled(_ZHAT, constraint).subs(
        dict(zip(constraint.parts, (re(_residual_of_layer()), im(_residual_of_layer())), strict=True))
    )
    return Step(
        "28",
        "The effective action",
        Eq(
            _ACTION,
            -N / sigma_w**2 * Sum(Abs(_w[_i, _j]) ** 2, (_i, 1, N), (_j, 1, N))
            + _SOURCE
            - I
            * Sum(
                conjugate(_zhat[_i]) * _w[_i, _j] * _phi_z + _zhat[_i] * conjugate(_w[_i, _j]) * conjugate(_phi_z),
                (_i, 1, N),
                (_j, 1, N),
            ),
        ),
        "Collecting the exponents gives $Z = \\int e^S$. The weights appear at most quadratically, and no product of "
        "two different weights appears: each can be integrated by itself.",
        (Check("the constraint, multiplied out, gives the last two terms", expand(direct - coupling)),),
    )


def _residual_of_layer() -> Expr:
    """z - W phi for one unit with one input."""
    return expand(_Z.value - _W.value * _PHI.value)


def _coupled_weight(zhat: ComplexVariable, weight: ComplexVariable, phi: ComplexVariable) -> Expr:
    """conj(z-hat) W phi + complex conjugate."""
    term = zhat.conjugate * weight.value * phi.value
    return expand(term + zhat.value * weight.conjugate * phi.conjugate)


def _one_weight_integrated() -> Step:
    amplitude, exponent = gaussian_integral(
        -N / sigma_w**2 * _W.modulus_squared - I * _coupled_weight(_ZHAT, _W, _PHI), *_W.parts
    )
    answer = -(sigma_w**2) / N * _ZHAT.modulus_squared * _PHI.modulus_squared
    seen = factor(exponent).subs({_ZHAT.modulus_squared: Abs(_zhat[_i]) ** 2, _PHI.modulus_squared: Abs(_phi_z) ** 2})
    source = conjugate(_zhat[_i]) * _w[_i, _j] * _phi_z
    return Step(
        "29a",
        "One weight integrated out",
        Eq(Function(r"\mathbb{E}_{W_{ij}}")(exp(-I * (source + conjugate(source)))), exp(seen)),
        "Completing the square in one complex weight. The result is the characteristic function of a Gaussian, exact "
        "at any $N$.",
        (
            Check("the exponent is $-\\sigma_w^2 |\\hat z_i|^2 |\\phi(z_j)|^2/N$", expand(exponent - answer)),
            Check("no determinant is left over", simplify(amplitude * N / (pi * sigma_w**2) - 1)),
        ),
    )


def weights_integrated(width: int) -> tuple[Expr, Expr]:
    """Integrate out all width^2 complex weights of one layer of an explicit width, one by one.

    Returns
    -------
    exponent, quartic
        What the integration leaves in the exponent, and -(sigma_w^2/N) sum_ij |z-hat_i|^2 |phi_j|^2, paper Eq. (29).
    """
    zhat = [ComplexVariable(rf"\hat{{z}}_{i}") for i in range(width)]
    phi = [ComplexVariable(f"a_{j}") for j in range(width)]
    exponent = Rational(0)
    for zi, (j, pj) in product(zhat, enumerate(phi)):
        weight = ComplexVariable(f"W_{j}")
        one = -width / sigma_w**2 * weight.modulus_squared - I * _coupled_weight(zi, weight, pj)
        exponent += gaussian_integral(one, *weight.parts)[1]
    total = sum(zi.modulus_squared for zi in zhat) * sum(pj.modulus_squared for pj in phi)
    return exponent, -(sigma_w**2) / width * total


def _all_weights_integrated() -> Step:
    stiffness = Symbol("K", positive=True)  # sigma_w^2 times the mean of |phi|^2

    def left_over(source: Expr) -> Expr:
        """Exponent after the z-hat integral, compared with a Gaussian in z."""
        _, exponent = gaussian_integral(source - stiffness * _ZHAT.modulus_squared, *_ZHAT.parts)
        return factor(exponent + _Z.modulus_squared / stiffness)

    checks = []
    for width in (1, 2):
        exponent, quartic = weights_integrated(width)
        checks.append(
            Check(f"all weights integrated one by one for an explicit $N = {width}$", expand(exponent - quartic))
        )
    return Step(
        "29",
        "All weights integrated out",
        Eq(
            _ACTION,
            _SOURCE - sigma_w**2 / N * Sum(Abs(_zhat[_i]) ** 2 * Abs(_phi_z) ** 2, (_i, 1, N), (_j, 1, N)),
        ),
        "The product over all $N^2$ weights. Every unit now interacts with every other one, but only through the sum "
        "$\\sum_j |\\phi(z_j)|^2$: the structure that mean-field theory is made for.",
        tuple(checks),
        (
            Slip(
                "the source term is printed as $i \\hat z z$ without its conjugate partner; the $\\hat z$ integral "
                "would then leave no Gaussian in $z$. The residual is the exponent after that integral plus "
                "$|z|^2/K$, with $K = \\sigma_w^2 \\sum_j |\\phi(z_j)|^2/N$",
                left_over(I * _coupled(_ZHAT, _Z)),
                left_over(I * expand(_ZHAT.value * _Z.value)),
            ),
        ),
    )


def _collective_field() -> Step:
    alpha = Symbol("alpha", real=True)
    value = Symbol("phi", complex=True)
    rotated = exp(I * alpha) * value

    def change(quadratic) -> Expr:
        return factor(quadratic(rotated) - quadratic(value))

    return Step(
        "30",
        "The collective field",
        Eq(c, _MEAN_SQUARE),
        "The mean squared activation of the layer, the order parameter of Eq. (6). As a sum of $N$ terms it hardly "
        "fluctuates when $N$ is large.",
        (),
        (
            Slip(
                "Eq. (30) and (31) print $\\phi\\phi$ for $\\phi\\phi^\\dagger$; Eq. (29) and the $U(1)$ symmetry "
                "need the conjugate. The residual is the change under $\\phi \\to e^{i\\alpha}\\phi$",
                change(lambda v: v * conjugate(v)),
                change(lambda v: v * v),
            ),
        ),
    )


def _insert_one() -> Step:
    mean = Symbol("m", real=True)  # (1/N) sum_j |phi(z_j)|^2
    level = Symbol("c", real=True)
    amplitude, exponent = gaussian_integral(I * N * _CHAT * (level - mean) - _WIDTH * _CHAT**2, _CHAT)
    weight, rest = gaussian_integral(exponent, level)
    return Step(
        "31",
        "A one inserted",
        Eq(1, N / (2 * pi) * Integral(exp(_CONSTRAINT), (c, -oo, oo), (_CHAT, -oo, oo))),
        "The $\\hat c$ integral is a delta function that sets $c$ to the value of Eq. (30), so inserting it changes "
        "nothing, but lets $c$ be treated as a variable of its own.",
        (
            Check(
                "with a regulator $e^{-\\eta \\hat c^2}$ the double integral is one for every $\\eta$",
                simplify(weight * amplitude * N / (2 * pi) - 1) + rest,
            ),
        ),
    )


def _action_with_collective_field() -> Step:
    quadratic = -(sigma_w**2) / N * Abs(_zhat[_i]) ** 2 * Symbol("Phi", positive=True)  # Phi = sum_j |phi_j|^2
    ours = cancel(quadratic.subs(Symbol("Phi", positive=True), N * c) / Abs(_zhat[_i]) ** 2)
    return Step(
        "32",
        "The action with the collective field",
        Eq(_ACTION, _SOURCE - sigma_w**2 * c * Sum(Abs(_zhat[_i]) ** 2, (_i, 1, N)) + _CONSTRAINT),
        "With $c$ in place of the sum the units no longer see each other: given $c$ and $\\hat c$ they are "
        "independent.",
        (),
        (
            Slip(
                "Eq. (32) pulls the $i$ of its first term in front of all three; the quadratic one has none. The "
                "residual is that of the coefficient of $|\\hat z_i|^2$ against Eq. (29)",
                ours + sigma_w**2 * c,
                factor(I * ours - ours),
            ),
        ),
    )


def _response_field_integrated() -> Step:
    amplitude, exponent = gaussian_integral(
        I * _coupled(_ZHAT, _Z) - sigma_w**2 * c * _ZHAT.modulus_squared, *_ZHAT.parts
    )
    determinant = simplify(amplitude / pi**2)  # the measure of Eq. (27)
    weight, _ = gaussian_integral(exponent, *_Z.parts)
    gaussian = -_Z.modulus_squared / (sigma_w**2 * c)
    return Step(
        "33",
        "The response field integrated out",
        Eq(
            _ACTION,
            -Sum(Abs(_z[_i]) ** 2, (_i, 1, N)) / (sigma_w**2 * c) - N * log(1 / determinant) + _CONSTRAINT,
        ),
        "One Gaussian integral per unit. The preactivations of layer $l+1$ are independent complex Gaussians with "
        "$\\mathbb{E}|z|^2 = \\sigma_w^2 c$, and the logarithm, from the determinant, is exactly their normalisation.",
        (Check("$e^S$ is normalised in $z$ for every $c$", simplify(weight * determinant - 1)),),
        (
            Slip(
                "Eq. (33) and (40) print the Gaussian exponent with a plus sign, which no integral over $z$ "
                "would survive. The residual is that of the exponent of one unit",
                expand(exponent - gaussian),
                factor(exponent + gaussian),
            ),
        ),
    )


_F = Function("F")  # mean of |phi|^2 over the Gaussian of Eq. (33), the length map
_V = Function("V", positive=True)  # its variance
_C = [Symbol(f"c^{{{layer}}}", positive=True) for layer in ("l-1", "l", "l+1")]
_CHATS = [Symbol(rf"\hat{{c}}^{{{layer}}}", real=True) for layer in ("l", "l+1")]


def _layer_action(chat: Expr, here: Expr, before: Expr) -> Expr:
    """S/N of one layer to second order in c-hat: i c-hat c + log < exp(-i c-hat |phi|^2) >."""
    mean_square = _V(before) + _F(before) ** 2
    generating = log(1 - I * chat * _F(before) - chat**2 / 2 * mean_square)
    return expand(I * chat * here + series(generating, chat, 0, 3).removeO())


def _action_per_neuron() -> Step:
    here = _layer_action(_CHATS[0], _C[1], _C[0])
    collected = I * _CHATS[0] * (_C[1] - _F(_C[0])) - _CHATS[0] ** 2 * _V(_C[0]) / 2
    return Step(
        "34a",
        "One action for the order parameter",
        Eq(_ACTION / N, collected),
        "Integrating over the $z$ of a layer as well leaves $N$ equal factors, so the action is $N$ times a function "
        "of $c$ and $\\hat c$. Here $F$ and $V$ are mean and variance of $|\\phi(z)|^2$ over the Gaussian of Eq. "
        "(33), and terms of order $\\hat c^3$ are left out, which does not affect what follows.",
        (Check("the logarithm, expanded in $\\hat c$", expand(here - collected)),),
    )


def _saddle_point() -> Step:
    action = _layer_action(_CHATS[0], _C[1], _C[0]) + _layer_action(_CHATS[1], _C[2], _C[1])
    along_c = diff(action, _C[1]).subs(_CHATS[1], 0)
    along_chat = diff(action, _CHATS[0]).subs(_CHATS[0], 0)
    last = diff(_layer_action(_CHATS[1], _C[2], _C[1]), _C[2])
    return Step(
        "34b",
        "The saddle point",
        Tuple(Eq(_CHATS[0], 0), Eq(_C[1], _C[1] - expand(along_chat / I))),
        "For large $N$ the integral sits where $S$ is stationary. Varying $c^l$ gives $\\hat c^l = 0$, going backwards "
        "from the last layer; varying $\\hat c^l$ then gives the length map $c^l = F(c^{l-1})$.",
        (
            Check("in the last layer stationarity in $c$ says $\\hat c = 0$", last - I * _CHATS[1]),
            Check("if $\\hat c^{l+1} = 0$, then stationarity in $c^l$ says $\\hat c^l = 0$", along_c - I * _CHATS[0]),
            Check(
                "at $\\hat c = 0$ stationarity in $\\hat c^l$ says $c^l = F(c^{l-1})$",
                expand(along_chat / I - _C[1] + _F(_C[0])),
            ),
        ),
    )


def _length_map_integral() -> Step:
    x, y = Symbol("x", real=True), Symbol("y", real=True)
    exponent = -(x**2 + y**2) / (sigma_w**2 * c)
    weight, _ = gaussian_integral(exponent, x, y)

    def excess(prefactor: Expr) -> Expr:
        return simplify(prefactor * weight - 1)

    return Step(
        "34",
        "The length map",
        Eq(
            c_next,
            Integral(exp(exponent) * f(sqrt(x**2 + y**2)) ** 2, (x, -oo, oo), (y, -oo, oo)) / (pi * sigma_w**2 * c),
        ),
        "The mean $F$ written out: a Gaussian average of $|\\phi(z)|^2 = f(|z|)^2$ over the plane. It tells how the "
        "order parameter of one layer follows from that of the layer before.",
        (),
        (
            Slip(
                "the prefactor $1/(2\\pi i \\sigma_w^2 c)$ belongs to the measure $dz^\\dagger dz = 2i\\,dx\\,dy$, and "
                "that of Eq. (45), for the same letters, to $dx\\,dy$, as done here. The residual is the total weight "
                "minus one, with $dx\\,dy$ in both",
                excess(1 / (pi * sigma_w**2 * c)),
                excess(1 / (2 * pi * I * sigma_w**2 * c)),
            ),
        ),
    )


def _fluctuations() -> Step:
    mean, variance = Symbol("F", positive=True), Symbol("V", positive=True)
    exponent = N * (I * _CHAT * (c_next - mean) - _CHAT**2 * variance / 2)
    amplitude, exponent = gaussian_integral(exponent, _CHAT)
    answer = -N * (c_next - mean) ** 2 / (2 * variance)
    return Step(
        "34c",
        "How sharp the saddle point is",
        Eq(Symbol("p(c^{l+1})", positive=True), simplify(amplitude * N / (2 * pi)) * exp(factor(exponent))),
        "Doing the $\\hat c$ integral of the quadratic action instead of taking its saddle gives the first correction "
        "at finite width: given the layer before, $c^{l+1}$ fluctuates around $F$ with variance $V/N$, where $V = "
        "\\langle f^4 \\rangle - \\langle f^2 \\rangle^2$.",
        (Check("a Gaussian of variance $V/N$", expand(exponent - answer)),),
    )
