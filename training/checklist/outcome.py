"""What a check of the paper's checklist returns, and the two usual ways to reach a verdict."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np

Verdict = Literal["agrees", "corrected", "fails", "contradicts", "undecided", "not run yet"]
VERDICTS: dict[Verdict, str] = {
    "agrees": "the library gives what the paper says",
    "corrected": "it holds in the form used here; as printed it does not",
    "fails": "the library does not give what it should: a bug",
    "contradicts": "trained networks went against the claim",
    "undecided": "trained networks leave it open",
    "not run yet": "needs trained networks that are not among the committed results",
}


@dataclass(frozen=True)
class Outcome:
    """What the paper (or its theory by another route) says, what the library gives, and whether the two agree."""

    expected: str
    found: str
    verdict: Verdict
    note: str = ""


def equal(expected: float, found: float, tolerance: float, note: str = "") -> Outcome:
    """Two numbers that must agree to a relative tolerance."""
    fine = bool(abs(found - expected) <= tolerance * abs(expected))  # False for NaN
    return Outcome(f"{expected:.10g}", f"{found:.10g}", "agrees" if fine else "fails", note)


def vanishes(error, tolerance: float, note: str = "") -> Outcome:
    """Differences of two routes, of which only rounding may be left."""
    largest = float(np.max(np.abs(np.asarray(error))))
    return Outcome("0", f"{largest:.1e}", "agrees" if largest <= tolerance else "fails", note)
