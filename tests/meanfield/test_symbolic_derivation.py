"""Steps, checks and slips refuse what is not so, and every derivation renders."""

import re
from functools import cache

import mpmath
import pytest
from sympy import Eq, Integer, Order, Symbol, cos, latex, sin, srepr

from meanfield import symbolic
from meanfield.symbolic import Check, Derivation, Slip, Step

x = Symbol("x", real=True)

DERIVATIONS = {
    "path_integral": symbolic.path_integral,
    "one_input": cache(symbolic.one_input),
    "two_inputs": symbolic.two_inputs,
    "two_inputs_any_dimension": symbolic.two_inputs_any_dimension,
    "correlation_series": symbolic.correlation_series,
    "saturated_steps": symbolic.saturated_steps,
    "erf_steps": symbolic.erf_steps,
}

every_derivation = pytest.mark.parametrize("name", DERIVATIONS)


def test_a_check_with_a_residual_is_refused():
    with pytest.raises(ValueError, match="residual must be zero"):
        Check("one is two", Integer(1))
    assert Check("one is one", Integer(0)).residual == 0


def test_a_slip_needs_a_right_and_a_wrong_form():
    with pytest.raises(ValueError, match="ours must be a zero residual"):
        Slip("both wrong", x, x)
    with pytest.raises(ValueError, match="printed must be a nonzero residual"):
        Slip("both right", Integer(0), Integer(0))


def test_a_derivation_is_indexed_by_equation_number():
    steps = tuple(Step(label, "title", Eq(x, 1), "words") for label in ("34a", "34"))
    derivation = Derivation("title", "words", steps)
    assert derivation[34] is steps[1]
    assert derivation["34"] is steps[1]
    assert derivation["34a"] is steps[0]
    assert list(derivation) == list(steps)
    assert len(derivation) == 2
    with pytest.raises(ValueError, match=r"equation must be one of 34a, 34; got 12"):
        derivation[12]
    with pytest.raises(ValueError, match="distinct"):
        Derivation("title", "words", (steps[0], steps[0]))


def test_a_series_is_shown_in_ascending_order_with_its_remainder():
    step = Step("9", "title", Eq(Symbol("y"), 3 * x**2 - x + 1), "words", remainder=Order(x**3))
    assert step._latex() == r"y = 1 - x + 3 x^{2} + O\left(x^{3}\right)"
    assert step.expression.rhs.subs(x, 2) == 11


def test_a_step_renders_its_evidence():
    step = Step(
        "7",
        "The title",
        Eq(x, 1),
        "Words.",
        (Check("it holds", Integer(0)),),
        (Slip("it is misprinted", Integer(0), x),),
    )
    text = step._repr_markdown_()
    for wanted in (
        "Eq. (7): The title",
        "Words.",
        "$$x = 1$$",
        "*Checked:* it holds",
        "*In print:* it is misprinted",
        "$x$",
    ):
        assert wanted in text
    assert "The title" in str(step)
    assert repr(step) == "Step(Eq. (7): The title)"


@every_derivation
def test_every_step_has_an_equation_number_words_and_short_latex(name):
    derivation = DERIVATIONS[name]()
    assert derivation.introduction
    for step in derivation:
        assert re.fullmatch(r"\d+[a-z]?", step.equation)
        assert step.title
        assert 40 < len(step.explanation) < 450
        formula = step._latex()
        assert len(formula) < 500
        assert formula.count("{") == formula.count("}")
        assert formula.count(r"\left") == formula.count(r"\right")
        assert "Dummy" not in srepr(step.expression)
        assert step.checks or step.slips


@every_derivation
def test_a_derivation_renders_as_markdown(name):
    derivation = DERIVATIONS[name]()
    text = derivation._repr_markdown_()
    assert text.startswith(f"### {derivation.title}")
    assert text.count("$") % 2 == 0
    for step in derivation:
        assert f"$${step._latex()}$$" in text
        assert f"**Eq. ({step.equation}): {step.title}.**" in text
    assert derivation.title in str(derivation)


@every_derivation
def test_residuals_of_printed_forms_are_not_zero_in_disguise(name):
    # A nonzero expression could still be an unsimplified zero: put numbers in.
    for step in DERIVATIONS[name]():
        for slip in step.slips:
            symbols = sorted(slip.printed.free_symbols, key=str)
            numbers = {symbol: mpmath.mpf(3 + 2 * n) / 7 for n, symbol in enumerate(symbols)}
            assert abs(slip.printed.subs(numbers).evalf()) > 1e-3


def test_a_disguised_zero_would_be_noticed():
    disguised = sin(x) ** 2 + cos(x) ** 2 - 1
    assert abs(disguised.subs(x, 0.7).evalf()) < 1e-3


def test_every_known_slip_of_the_paper_is_stated_where_it_occurs():
    stated = {
        step.equation: " ".join(slip.statement for slip in step.slips)
        for name in ("path_integral", "one_input", "two_inputs")
        for step in DERIVATIONS[name]()
        if step.slips
    }
    assert set(stated) == {"26", "27", "29", "30", "32", "33", "34", "41", "45", "46", "48"}
    mentions = {
        "26": "Section 2.2",
        "30": "(31)",
        "33": "(40)",
        "34": "(45)",
        "41": "(10)",
        "46": "(47)",
    }
    for equation, phrase in mentions.items():
        assert phrase in stated[equation]


def test_latex_of_the_shared_letters():
    letters = symbolic.symbols
    assert latex(letters.sigma_w) == r"\sigma_{w}"
    assert latex(letters.c_next) == "c^{l+1}"
    assert latex(letters.phi) == r"\varphi"
