"""What a derivation is made of: steps that carry an expression, the paper's equation number and plain words.

Each step was computed by sympy. A :class:`Check` holds a residual that came out as zero; a :class:`Slip` sets the form
used here against the printed one: the residual of the first is zero, that of the second is not. Neither can be built
with a residual that says otherwise. Everything renders in a notebook.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

from sympy import Add, Basic, Order, latex, pretty


@dataclass(frozen=True)
class Check:
    """A statement and the residual that proves it: an expression that sympy reduced to zero.

    Raises
    ------
    ValueError
        If the residual is not zero.
    """

    statement: str
    residual: Basic

    def __post_init__(self) -> None:
        if self.residual != 0:
            raise ValueError(f"residual must be zero for a check to hold ({self.statement}), got {self.residual}")

    def _repr_markdown_(self) -> str:
        return f"- *Checked:* {self.statement}."


@dataclass(frozen=True)
class Slip:
    """A place where the printed equation does not follow, and the symbolic evidence.

    `ours` and `printed` are residuals of the same identity, for the form used here (zero) and the printed one (not).

    Raises
    ------
    ValueError
        If `ours` is not zero, or `printed` is.
    """

    statement: str
    ours: Basic
    printed: Basic

    def __post_init__(self) -> None:
        if self.ours != 0:
            raise ValueError(f"ours must be a zero residual ({self.statement}), got {self.ours}")
        if self.printed == 0:
            raise ValueError(f"printed must be a nonzero residual ({self.statement}), got 0")

    def _repr_markdown_(self) -> str:
        return (
            f"- *In print:* {self.statement}. Residual of the form used here: $0$; of the printed one: "
            f"${latex(self.printed)}$."
        )


@dataclass(frozen=True, repr=False)
class Step:
    """One step of a derivation.

    Attributes
    ----------
    equation : the number of the paper's equation that this step arrives at, as a string; with a letter ("34a") where
        the step is one of several on the way to it, or goes on from it.
    title : what the step does.
    expression : the result, ordinary sympy: usually an `Eq`, whose two sides are `.lhs` and `.rhs`.
    explanation : one or two sentences.
    checks, slips : the evidence.
    remainder : for a truncated series, the order of what is left out; shown, but not part of `expression`, which can
        then be evaluated as it is.
    """

    equation: str
    title: str
    expression: Basic
    explanation: str
    checks: tuple[Check, ...] = field(default=())
    slips: tuple[Slip, ...] = field(default=())
    remainder: Order | None = None

    def _latex(self) -> str:
        if self.remainder is None:
            return latex(self.expression)
        left, right = self.expression.args
        variable = self.remainder.variables[0]
        ascending = sorted(Add.make_args(right), key=lambda term: term.as_coeff_exponent(variable)[1])
        series = " + ".join(map(latex, (*ascending, self.remainder))).replace("+ - ", "- ")
        return f"{latex(left)} = {series}"

    def __repr__(self) -> str:
        return f"Step(Eq. ({self.equation}): {self.title})"

    def __str__(self) -> str:
        return f"Eq. ({self.equation}): {self.title}\n{self.explanation}\n\n{pretty(self.expression)}"

    def _repr_markdown_(self) -> str:
        lines = [f"**Eq. ({self.equation}): {self.title}.** {self.explanation}", f"$${self._latex()}$$"]
        evidence = [check._repr_markdown_() for check in self.checks]
        evidence += [slip._repr_markdown_() for slip in self.slips]
        if evidence:
            lines.append("\n".join(evidence))
        return "\n\n".join(lines)


@dataclass(frozen=True, repr=False)
class Derivation:
    """Steps in order. Iterate over them, or look one up by its equation number: ``derivation[34]``.

    Raises
    ------
    ValueError
        If two steps carry the same equation label.
    """

    title: str
    introduction: str
    steps: tuple[Step, ...]

    def __post_init__(self) -> None:
        labels = self.equations
        if len(set(labels)) != len(labels):
            raise ValueError(f"steps must carry distinct equation labels, got {labels}")

    @property
    def equations(self) -> tuple[str, ...]:
        """The labels of the steps, in order."""
        return tuple(step.equation for step in self.steps)

    def __iter__(self) -> Iterator[Step]:
        return iter(self.steps)

    def __len__(self) -> int:
        return len(self.steps)

    def __getitem__(self, equation: int | str) -> Step:
        for step in self.steps:
            if step.equation == str(equation):
                return step
        raise ValueError(f"equation must be one of {', '.join(self.equations)}; got {equation!r}")

    def __repr__(self) -> str:
        return f"Derivation({self.title}: Eq. ({'), ('.join(self.equations)}))"

    def __str__(self) -> str:
        return "\n\n".join([self.title, self.introduction, *map(str, self.steps)])

    def _repr_markdown_(self) -> str:
        parts = [f"### {self.title}", self.introduction, *(step._repr_markdown_() for step in self.steps)]
        return "\n\n".join(parts)
