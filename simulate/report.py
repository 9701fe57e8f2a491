"""A verification as text: the table, and what the verdict rests on."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import fields
from io import StringIO

from .compare import Comparison
from .verify import PROMISED_RATE, Case, Verification

SHOWN_LAYERS = (1, 2, 5, 10, 20, 40)
_HEAD = f"  {'quantity':<20}{'sigma_w':>8}{'layer':>7}{'theory':>11}{'measured':>11}{'std. error':>12}{'deviation':>11}"


def table(verification: Verification) -> str:
    """The comparisons of each case (of trajectories, the layers in SHOWN_LAYERS and every failure) and the verdict."""
    blocks = ["\n".join(_block(verification, case)) for case in verification.cases]
    return "\n\n".join([*blocks, "\n".join(_verdict(verification))])


def comma_separated(verification: Verification) -> str:
    """All comparisons as CSV, one line each."""
    names = [field.name for field in fields(Comparison)]
    text = StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*names, "deviation", "agrees"])
    for row in verification.comparisons:
        writer.writerow([*(getattr(row, name) for name in names), row.deviation, row.agrees(verification.limit)])
    return text.getvalue()


def _block(verification: Verification, case: Case) -> Iterator[str]:
    widths = ", ".join(map(str, case.widths))
    yield (
        f"{case.ensemble.symmetry}, {case.ensemble.activation.name}: "
        f"{verification.n_networks} networks of each width N = {widths}"
    )
    yield _HEAD
    previous = ""
    for row in verification.of(case):
        bad = not row.agrees(verification.limit)
        if row.layer not in SHOWN_LAYERS and not bad:
            continue
        name = row.quantity if row.quantity != previous else ""
        previous = row.quantity
        yield (
            f"  {name:<20}{row.sigma_w:>8.3g}{row.layer:>7}{row.theory:>11.5f}{row.measured:>11.5f}"
            f"{row.standard_error:>12.5f}{row.deviation:>+11.2f}   {'FAIL  <----' if bad else 'pass'}"
        )


def _verdict(verification: Verification) -> Iterator[str]:
    rows, failures = verification.comparisons, verification.failures
    worst = max(rows, key=lambda row: abs(row.deviation))
    left = max(row.allowance / row.standard_error for row in rows)
    yield "measured: means over independent networks, extrapolated from widths N and 2N to infinite width;"
    yield f"  what that leaves over, estimated from widths N/4 and N/2, is at most {left:.2f} standard errors."
    rate = verification.false_alarm_rate
    kept = "below" if rate < PROMISED_RATE else "NOT below"
    yield f"limit: {verification.limit:.2f} standard errors for each of {len(rows)} comparisons;"
    yield f"  with it a right theory fails a whole run at a rate of {rate:.0e}, {kept} the promised {PROMISED_RATE:.0e}"
    yield "  (Student's t and Bonferroni's inequality, corrected for the measured skewness of the means)."
    yield (
        f"largest deviation: {worst.deviation:+.2f} standard errors "
        f"({worst.quantity}, {worst.case}, sigma_w = {worst.sigma_w:g}, layer {worst.layer})."
    )
    for identity in verification.identities:
        verdict = "holds in every network" if identity.holds else "DOES NOT HOLD"
        yield f"{identity.case}: {identity.name}: at most {identity.error:.2g}, {verdict}."
    if verification.passed:
        yield f"PASS: theory and simulation agree in all {len(rows)} comparisons."
    elif failures:
        yield f"FAIL: theory and simulation disagree in {len(failures)} of {len(rows)} comparisons."
    else:
        yield "FAIL: an identity does not hold."
