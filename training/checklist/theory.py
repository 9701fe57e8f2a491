"""The paper's theory by a second route: printed integrals summed literally, waves solved, symbolic residuals.

Every function is the check of one row of :mod:`training.checklist`. Numbers are those of one point of the broken phase,
away from the fixed point.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial

import numpy as np
import sympy
from scipy.optimize import minimize_scalar
from scipy.special import ive

import meanfield
from meanfield import field, field_modes, symbolic
from meanfield.symbolic import gaussian

from .outcome import Outcome, equal, vanishes

SIGMA_W, C, DELTA, PHI = 1.5, 0.4, 0.25, 0.7
CONJUGATE = "in Appendix C's convention, the complex conjugate of Eq. (10), which is used here"


# ---- one input: Eq. (8), (9), (34) to (37) ---------------------------------------------------------------------------


def length_map_integral() -> Outcome:
    u, weight = _radii(8.0)
    printed = 2.0 * np.sum(weight * u * np.exp(-(u**2)) * np.tanh(u * SIGMA_W * np.sqrt(C)) ** 2)
    return equal(printed, meanfield.length_map(C, SIGMA_W), 1e-13, "the printed integral, summed")


def length_map_in_the_plane() -> Outcome:
    """Eq. (34) in Cartesian coordinates."""
    x, weight = _radii(8.0)  # in units of the width; a quarter of the plane, four times
    radius = SIGMA_W * np.sqrt(C) * np.hypot(x[:, None], x)
    density = np.exp(-(x[:, None] ** 2) - x**2) / np.pi
    printed = 4.0 * weight @ (density * np.tanh(radius) ** 2) @ weight
    return equal(
        printed, meanfield.length_map(C, SIGMA_W), 1e-12, "dz dz^dagger stands for 2i dx dy, unlike in Eq. (45)"
    )


def growth_at_small_c() -> Outcome:
    c = 1e-9
    return equal(SIGMA_W**2, meanfield.length_map(c, SIGMA_W) / c, 1e-7, f"c'/c at c = {c:g}")


def second_order_of_the_length_map() -> Outcome:
    c = 1e-5
    found = (SIGMA_W**2 * c - meanfield.length_map(c, SIGMA_W)) / (SIGMA_W**4 * c**2)
    return equal(4.0 / 3.0, found, 1e-3, f"(sigma_w^2 c - c')/(sigma_w^4 c^2) at c = {c:g}")


def fixed_point_near_the_transition() -> Outcome:
    excess = 1e-6
    found = float(meanfield.fixed_point(np.sqrt(1.0 + excess)).c) / excess
    return equal(0.75, found, 1e-5, f"c*/(sigma_w^2 - 1) at sigma_w^2 - 1 = {excess:g}; the leading order only")


# ---- two inputs: Eq. (10) to (12), (38) to (49) ----------------------------------------------------------------------


def covariance_matrix() -> Outcome:
    printed = np.array([[C, DELTA * np.exp(1j * PHI)], [DELTA * np.exp(-1j * PHI), C]])
    return vanishes(meanfield.as_gram(C, DELTA, PHI) - printed, 1e-15, "the convention of Eq. (10) is used throughout")


def collective_field() -> Outcome:
    """Eq. (39), of some states phi(z) of size one."""
    states = _some_states()
    printed = np.conj(states) @ states.T / states.shape[1]
    first = np.mean(states[0] * np.conj(states[1]))  # Eq. (10)
    ours = meanfield.as_gram(1.0, abs(first), np.angle(first))
    return vanishes(np.conj(ours) - printed, 1e-15, CONJUGATE)


def shift_of_the_phase() -> Outcome:
    """Eq. (42), of the phase of Eq. (39)."""
    angles = np.array([0.4, -0.7])
    states = _some_states()
    before, after = (
        np.angle(np.mean(np.conj(one) * other)) for one, other in (states, np.exp(1j * angles)[:, None] * states)
    )
    return equal(-angles[0] + angles[1], float(after - before), 1e-14, CONJUGATE)


def _some_states() -> np.ndarray:
    """Of two inputs, (2, N), all of size one, with a phase between them that is far from pi."""
    return np.exp(1j * np.random.default_rng(0).normal([[0.3], [0.0]], 0.5, (2, 100)))


def conserved_phase() -> Outcome:
    after = meanfield.gram_map(meanfield.as_gram(C, DELTA, PHI), SIGMA_W)
    return equal(PHI, float(np.angle(after[0, 1])), 1e-14, "the phase of C_12 after one layer")


def correlation_map_integral() -> Outcome:
    """Eq. (12), (49)."""
    u, weight = _radii(9.0)
    alpha = np.sqrt(C) / (SIGMA_W * np.sqrt(C**2 - DELTA**2))
    argument = 2.0 * np.outer(u, u) * DELTA / C
    # I_1(x) e^{-x} e^{x - ...}: nothing overflows
    kernel = ive(1, argument) * np.exp(argument - u[:, None] ** 2 - u**2)
    side = weight * u * np.tanh(u / alpha)
    printed = 4.0 * (C**2 - DELTA**2) / C**2 * side @ kernel @ side
    return equal(printed, meanfield.correlation_map(DELTA, C, SIGMA_W), 1e-12, "the printed integral, summed")


def correlation_map_over_the_radii() -> Outcome:
    """Eq. (47)."""
    determinant = C**2 - DELTA**2
    r, weight = _radii(9.0 * SIGMA_W * np.sqrt(determinant / C))
    argument = 2.0 * np.outer(r, r) * DELTA / (SIGMA_W**2 * determinant)
    exponent = argument - C * (r[:, None] ** 2 + r**2) / (SIGMA_W**2 * determinant)
    side = weight * r * np.tanh(r)
    printed = 4.0 / (determinant * SIGMA_W**4) * side @ (ive(1, argument) * np.exp(exponent)) @ side
    return equal(printed, meanfield.correlation_map(DELTA, C, SIGMA_W), 1e-12, "the printed integral, summed")


def moments_from_fields() -> Outcome:
    """Eq. (25) for one unit with E|z|^2 = s: log Z[h] = s |h|^2."""
    s = sympy.Symbol("s", positive=True)
    z, h = gaussian.ComplexVariable("z"), gaussian.ComplexVariable("h")
    source = sympy.expand(h.value * z.value + h.conjugate * z.conjugate)
    _, log_z = gaussian.gaussian_integral(-z.modulus_squared / s + source, *z.parts)
    found = sympy.simplify(sum(sympy.diff(log_z, part, 2) for part in h.parts) / 4)
    return Outcome(str(s), str(found), "agrees" if found == s else "fails", "for a Gaussian z with E|z|^2 = s")


def derived(derivation: str, *equations: str, in_print: bool = True) -> Outcome:
    """The residuals of steps of a symbolic derivation: zero in the form used here.

    Parameters
    ----------
    derivation : name of a function of `meanfield.symbolic`
    equations : labels of its steps
    in_print : whether the steps' slips are those of the row's own equation as printed
    """
    try:
        all_steps = getattr(symbolic, derivation)()
        steps = [all_steps[equation] for equation in equations]
    except ValueError as error:  # a residual that should be zero and is not, or the other way round
        return Outcome("0", "not zero", "fails", str(error))
    slips = [slip for step in steps for slip in step.slips]
    residuals = [check.residual for step in steps for check in step.checks] + [slip.ours for slip in slips]
    found = ", ".join(map(str, residuals))
    if not residuals or any(residual != 0 for residual in residuals):
        return Outcome("0", found, "fails")
    if slips and in_print:
        return Outcome("0", found, "corrected", "; ".join(slip.statement for slip in slips))
    return Outcome("0", found, "agrees", "residuals of the symbolic derivation")


def corrected(check: Callable[[], Outcome], derivation: str, equation: str) -> Outcome:
    """A check of the form used here, and the slip of the printed one that the derivation found on the way.

    What is found is the check's, so that nothing is told of the residual that the derivation has for the slip.
    """
    outcome, slip = check(), derived(derivation, equation)
    worst = slip if slip.verdict == "fails" else outcome
    if worst.verdict == "fails":
        return worst
    notes = (slip.note.partition(" The residual is")[0], outcome.note)
    return replace(outcome, verdict=slip.verdict, note="; ".join(note for note in notes if note))


# ---- Appendix A: Eq. (15) to (17), Figures 1 and 8 -------------------------------------------------------------------

_LENGTH, _POINTS = 20.0, 64


def plane_wave() -> Outcome:
    """A e^{i(kx - omega t)} solves Eq. (15) with V' of the paper if omega^2 = k^2 + r + 2 lambda A^2."""
    x, k, r, amplitude, time = _LENGTH / _POINTS * np.arange(_POINTS), 6.0 * np.pi / _LENGTH, -1.0, 0.8, 2.0
    omega = np.sqrt(k**2 + r + 2.0 * amplitude**2)
    wave = amplitude * np.exp(1j * k * x)
    end = field.evolve_field(wave, -1j * omega * wave, [0.0, time], _LENGTH, r, dt=0.01).phi[-1].values
    return vanishes(end - wave * np.exp(-1j * omega * time), 1e-8, "a plane wave of finite height, solved and exact")


def massive_frequency() -> Outcome:
    return _frequency(1.0)


def massless_frequency() -> Outcome:
    return _frequency(-1.0)


def _frequency(r: float) -> Outcome:
    """Of a small standing wave of the phase (of the field itself for r > 0)."""
    k, size, time = 6.0 * np.pi / _LENGTH, 1e-6, 1.5
    small = size * np.cos(k * _LENGTH / _POINTS * np.arange(_POINTS))
    ground = field.equilibrium_radius(r)
    start = small + 0j if r > 0 else ground * np.exp(1j * small)
    end = field.evolve_field(start, 0j * start, [0.0, time], _LENGTH, r, dt=0.01).phi[-1].values[0]
    seen = np.arccos((end.real if r > 0 else np.angle(end)) / size) / time
    printed = np.sqrt(k**2 + r) if r > 0 else k
    formula = equal(printed, float(field_modes.field_frequencies(k, r).phase[0]), 1e-14)
    note = f"at k = {k:.4g}, from a small wave that Eq. (15) moved"
    return formula if formula.verdict == "fails" else equal(printed, float(seen), 1e-7, note)


def ring_of_minima() -> Outcome:
    """Figure 1: where the potential, minimised by search, is least."""
    coupling = 0.8
    printed = {-1.0: np.sqrt(1.0 / (2.0 * coupling)), 1.0: 0.0}
    found = {r: field.equilibrium_radius(r, coupling) for r in printed}
    searched = {r: abs(minimize_scalar(partial(field.potential, r=r, coupling=coupling)).x) for r in printed}
    fine = all(abs(found[r] - printed[r]) < 1e-12 and abs(found[r] - searched[r]) < 1e-5 for r in printed)
    expected, told = (", ".join(f"|phi| = {v:.5f} for r = {r:g}" for r, v in each.items()) for each in (printed, found))
    return Outcome(expected, told, "agrees" if fine else "fails", "and the potential is least there, by search")


def two_excitations() -> Outcome:
    """Figure 8: the same bump in both phases, after it has gone a whole number of grid points."""
    points, length, steps = 256, 120.0, 107
    kept, changed = {}, {}
    for r in (1.0, -1.0):
        start = field.right_moving_bump(points, length, r, height=0.01)
        run = field.evolve_field(*start, [0.0, steps * length / points], length, r)
        before, after = run.phi.values.real
        kept[r] = np.abs(after).max() / np.abs(before).max()
        changed[r] = np.abs(after - np.roll(before, steps)).max() / np.abs(before).max()
    return Outcome(
        "coherent for r < 0; spreads for r > 0",
        f"height kept: {kept[-1.0]:.4f} for r < 0, {kept[1.0]:.2f} for r > 0",
        "agrees" if changed[-1.0] < 1e-9 and kept[1.0] < 0.5 else "fails",
        f"a bump that went 50 units of length; its shape changed by {changed[-1.0]:.0e} for r < 0",
    )


def _radii(end: float) -> tuple[np.ndarray, np.ndarray]:
    """Gauss-Legendre points and weights on [0, end]."""
    x, weight = np.polynomial.legendre.leggauss(160)
    return 0.5 * end * (x + 1.0), 0.5 * end * weight
