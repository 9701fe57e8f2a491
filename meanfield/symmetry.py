"""The symmetries of the hidden layers, and the one number through which most of the theory sees them.

A hidden state is N capsules of D real components. The three families of weights (paper Eq. (4), (19), (21)):

=============  =========  =================================  ===  =============================================
spoken name    capsule    weights                             D    variance for which the transition is at 1/f'(0)
=============  =========  =================================  ===  =============================================
``U(1)``       C          complex W_ij                         2    E|W_ij|^2 = sigma_w^2 / N
``O(k)``       R^k        w_ij times the identity              k    E w_ij^2 = sigma_w^2 / N
``generic(k)`` R^k        unconstrained (N k) x (N k) real     k    E W^2 = sigma_w^2 / (N k)
=============  =========  =================================  ===  =============================================

Section 2.2 of the paper gives *each* of the real and imaginary parts the variance sigma_w^2/N; Eq. (8), (26), (35)
and a transition at sigma_w = 1 need E|W|^2 = sigma_w^2/N, which is what is used here.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from .checks import whole_number

_LARGEST = 10**9  # the rules for averages grow as its square root
_SPOKEN = re.compile(r"^\s*(U|SO|O|generic)\s*\(\s*(-?[0-9]{1,99})\s*\)\s*$", re.IGNORECASE)
_WANTED = "'U(1)', 'O(k)' or 'generic(k)' with an integer k >= 1, for example 'O(4)'"


@dataclass(frozen=True)
class Symmetry:
    """A symmetry of the hidden layers: its family and the real dimension D of one capsule.

    Build one from its spoken name with :func:`as_symmetry`.
    """

    family: Literal["U(1)", "O", "generic"]
    capsule_dimension: int

    def __post_init__(self) -> None:
        if not isinstance(self.family, str) or self.family not in ("U(1)", "O", "generic"):
            raise ValueError(f"family must be 'U(1)', 'O' or 'generic', got {self.family!r}")
        object.__setattr__(self, "capsule_dimension", whole_number("capsule_dimension", self.capsule_dimension, 1))
        if self.capsule_dimension > _LARGEST:
            raise ValueError(f"capsule_dimension must be at most {_LARGEST}, got {self.capsule_dimension}")
        if self.family == "U(1)" and self.capsule_dimension != 2:
            raise ValueError(f"capsule_dimension must be 2 for 'U(1)', got {self.capsule_dimension}")

    def __str__(self) -> str:
        return self.family if self.family == "U(1)" else f"{self.family}({self.capsule_dimension})"

    @property
    def keeps_anisotropy(self) -> bool:
        """Whether one input's own capsule Gram matrix can stay anisotropic beyond one layer: O(k) with k >= 2."""
        return self.family == "O" and self.capsule_dimension > 1

    @property
    def conserves_angles(self) -> bool:
        """Whether a rotation between two inputs is handed on for ever at infinite width: U(1), and O(k) with k >= 2."""
        return self.family != "generic" and self.capsule_dimension > 1

    @property
    def has_phase(self) -> bool:
        """Whether a phase phi between two inputs (Eq. (10)) has a meaning: for U(1); generic(k >= 2) keeps its cosine.

        One real number has no phase: generic(1) and O(1) are one ensemble.
        """
        return self.family != "O" and self.capsule_dimension > 1


def as_symmetry(symmetry: str | Symmetry) -> Symmetry:
    """Read a spoken name, ``"U(1)"`` (also ``"SO(2)"``), ``"O(k)"`` or ``"generic(k)"``.

    Raises
    ------
    ValueError
        If it is none of these, or k < 1.
    """
    if isinstance(symmetry, Symmetry):
        return symmetry
    match = _SPOKEN.match(symmetry) if isinstance(symmetry, str) else None
    if match is None:
        raise ValueError(f"symmetry must be {_WANTED}, got {symmetry!r}")
    family, k = match.group(1).lower(), int(match.group(2))
    if k < 1:
        raise ValueError(f"symmetry must be {_WANTED}, got {symmetry!r}")
    if (family, k) in (("u", 1), ("so", 2)):
        return Symmetry("U(1)", 2)
    if family == "o":
        return Symmetry("O", k)
    if family == "generic":
        return Symmetry("generic", k)
    raise ValueError(f"symmetry must be {_WANTED}, got {symmetry!r}")


def with_angles(symmetry: str | Symmetry) -> Symmetry:
    """The symmetry, where it conserves angles between two inputs.

    Raises
    ------
    ValueError
        For another.
    """
    symmetry = as_symmetry(symmetry)
    if not symmetry.conserves_angles:
        raise ValueError(f"symmetry must be 'U(1)' or 'O(k)' with k >= 2, which conserve angles; got '{symmetry}'")
    return symmetry
