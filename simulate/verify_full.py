"""What ``verify --full`` adds: the Jacobian of the input-output map, the theory of order 1/N, and inexact symmetries.

All comparisons are of means over independent networks, extrapolated to infinite width like those of `simulate.verify`:
for what is of order 1/N, of N times it.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
import xarray as xr

from meanfield import (
    Ensemble,
    fixed_point,
    fluctuations,
    jacobian_trajectory,
    length_map,
    overlap_fluctuations,
    phase_diffusion,
)

from .collective import sample_collective
from .compare import Comparison, Quantity, Theory, extrapolated, sampled_at
from .jacobians import sample_jacobians
from .observables import cross_block, group_element, in_frame, order_parameters, overlap, polar_angles, turn
from .sampling import plane_rotation, sample_networks
from .setup import cosine

JACOBIAN_LAYERS = (1, 2, 5, 10)
PROBES = 8
PHASE_LAYERS = (1, 2, 5)
OVERLAP_LAYERS = (10, 20, 40)
SETTLED_LAYER = 40  # where nothing is left of the start
SIGMA_B, ASYMMETRY = 0.5, 0.1
INEXACT_LAYERS = (1, 2, 5, 10)
MORE_NETWORKS = 8  # for fluctuations, whose own fluctuations are larger, and which cost little to sample


@dataclass(frozen=True)
class Identity:
    """An identity that holds in every single network: its largest relative error, and what rounding explains."""

    case: str
    name: str
    error: float
    bound: float

    @property
    def holds(self) -> bool:
        return self.error <= self.bound


def compare_jacobians(
    ensemble: Ensemble,
    widths: tuple[int, ...],
    inputs: np.ndarray,
    theory_of: Theory,
    n_networks: int,
    seed: int,
    **run,
) -> tuple[list[Comparison], list[Identity]]:
    """Norm, parts and protected component of the Jacobian, Eq. (7), (54); and Eq. (52) network by network.

    Parameters
    ----------
    widths : N/4, N/2, N and 2N
    run : device, executor and progress
    """
    depth, case = max(JACOBIAN_LAYERS), str(ensemble.symmetry)
    told = theory_of(ensemble)
    theory = jacobian_trajectory(depth, told.sigma_w, 1.0, told.symmetry, told.activation)
    sizes = {"depth": depth, "n_networks": n_networks, "probes": PROBES}
    found = sampled_at(widths, sample_jacobians, ensemble, inputs[:1], seed=(seed,), **sizes, **run)
    samples = [one.isel(sigma_w=0, input=0) for one in found]
    rows: list[Comparison] = []
    for name in ("norm", "protected", "amplitude", "angular"):
        if name in samples[0] and name in theory:
            by_width = [_at_layers(one, name, theory, ensemble.sigma_w) for one in samples]
            rows += extrapolated(case, by_width)
    if ensemble.symmetry.family == "generic" or "residual" not in samples[0]:
        return rows, []
    # rounding grows as any small change does
    bound = 100.0 * np.finfo(float).eps * np.sqrt(np.maximum(theory.norm, 1.0))
    worst = max(float((one.residual.max("network") / bound).max()) for one in samples)
    return rows, [Identity(case, "J A z^0 = A z^l, Eq. (52), in units of 100 eps sqrt(prod chi_J)", worst, 1.0)]


def _at_layers(samples: xr.Dataset, name: str, theory: xr.Dataset, sigma_w: float) -> Quantity:
    at = {"layer": list(JACOBIAN_LAYERS)}
    expected = theory[name].sel(at).values
    return Quantity(f"Jacobian {name}", sigma_w, JACOBIAN_LAYERS, expected, samples[name].sel(at).values - expected)


def compare_fluctuations(
    ensemble: Ensemble,
    widths: tuple[int, ...],
    inputs: np.ndarray,
    theory_of: Theory,
    n_networks: int,
    seed: int,
    **run,
) -> list[Comparison]:
    """N Var c and N (E c - c*) at the fixed point, N (E Delta - Delta), and N times the variance of the phase."""
    told, case = theory_of(ensemble), str(ensemble.symmetry)
    d_0 = ensemble.sigma_w**2 * float(fixed_point(ensemble.sigma_w, ensemble.symmetry, ensemble.activation).c)
    sizes = {"depth": SETTLED_LAYER, "n_networks": MORE_NETWORKS * n_networks}
    samples = sampled_at(widths, sample_collective, ensemble, inputs, seed=(seed,), d_0=d_0, **sizes, **run)
    rows = [*extrapolated(case, [_scatter(one, told) for one in samples])]
    rows += extrapolated(case, [_bias(one, told) for one in samples])
    delta = cosine(inputs) * d_0
    rows += extrapolated(case, [_overlap_bias(one, told, d_0, delta) for one in samples])
    if ensemble.symmetry.family != "generic":
        rows += extrapolated(case, [_diffusion(one, told, d_0, delta) for one in samples])
    return rows


def _last_c(samples: xr.Dataset) -> np.ndarray:
    return order_parameters(samples)[:, 0, -1, :1]


def _scatter(samples: xr.Dataset, told: Ensemble) -> Quantity:
    """N Var c at the fixed point, an unbiased contribution from each network."""
    c = _last_c(samples)
    each = samples.width * (c - c.mean(axis=0)) ** 2 * len(c) / (len(c) - 1)
    theory = fluctuations(1, told.sigma_w, told.symmetry, told.activation).var_c.values.reshape(1)
    return Quantity("N Var c", told.sigma_w, [SETTLED_LAYER], theory, each - theory)


def _bias(samples: xr.Dataset, told: Ensemble) -> Quantity:
    """N (E c - c*)."""
    found = fluctuations(1, told.sigma_w, told.symmetry, told.activation)
    theory = found.mean_shift.values.reshape(1)
    each = samples.width * (_last_c(samples) - float(found.c))
    if not told.symmetry.keeps_anisotropy:
        each -= samples.width * _linear_noise(samples, told, float(found.c))
    return Quantity("N (E c - c*)", told.sigma_w, [SETTLED_LAYER], theory, each - theory)


def _linear_noise(samples: xr.Dataset, told: Ensemble, c_star: float) -> np.ndarray:
    """What follows c - c* to first order, and has the mean 0: taken off, it leaves a bias that noise would hide.

    Without anisotropy E(c_{l+1} | c_l) is F(c_l) at every width; so y_{l+1} = chi_c y_l + c_{l+1} - F(c_l) has mean 0.
    """
    c = order_parameters(samples)[:, 0, :, :1]
    mapped = length_map(c[:, :-1], told.sigma_w, told.symmetry, told.activation)
    chi_c = float(told.depth_scales().chi_c)
    y = c[:, 0] - c_star
    for layer in range(1, c.shape[1]):
        y = chi_c * y + c[:, layer] - mapped[:, layer - 1]
    return y


def _overlap_bias(samples: xr.Dataset, told: Ensemble, d_0: float, delta: float) -> Quantity:
    """N times what the mean C_12 exceeds Delta of infinite width by."""
    depth, layers = max(OVERLAP_LAYERS), list(OVERLAP_LAYERS)
    found = overlap_fluctuations(
        depth, 1, told.sigma_w, d=d_0, delta=delta, symmetry=told.symmetry, activation=told.activation
    ).isel(layer=layers)
    each = samples.width * (overlap(cross_block(samples)[:, 0])[:, layers] - found.delta.values)
    theory = found.delta_shift.values
    return Quantity("N (E Delta - Delta)", told.sigma_w, layers, theory, each - theory)


def _diffusion(samples: xr.Dataset, told: Ensemble, d_0: float, delta: float) -> Quantity:
    """N times the mean square of the angles by which the phase, or polar factor, has turned since layer 0."""
    q = cross_block(samples)[:, 0, : max(PHASE_LAYERS) + 1]
    own = in_frame(q, group_element(q[:, :1], told.symmetry))
    if told.symmetry.family == "U(1)":
        square = np.arctan2(turn(own), overlap(own)) ** 2
    else:
        square = (polar_angles(own) ** 2).mean(axis=-1)
    variance = phase_diffusion(
        max(PHASE_LAYERS), 1, told.sigma_w, d=d_0, delta=delta, symmetry=told.symmetry, activation=told.activation
    ).variance.values
    layers = list(PHASE_LAYERS)
    theory = variance[layers] - variance[0]
    return Quantity("N Var phi", told.sigma_w, layers, theory, samples.width * square[:, layers] - theory)


def compare_inexact(
    ensemble: Ensemble,
    widths: tuple[int, ...],
    inputs: np.ndarray,
    theory_of: Theory,
    n_networks: int,
    seed: int,
    **run,
) -> list[Comparison]:
    """c and C_12 of two inputs where the layers have biases and weights that ignore the symmetry in part.

    The first input is turned by a radian where the symmetry has a phase, which then fades.
    """
    symmetry, k = ensemble.symmetry, ensemble.symmetry.capsule_dimension
    broken = replace(ensemble, sigma_b=SIGMA_B, asymmetry=0.0 if symmetry.family == "generic" else ASYMMETRY)
    angle = 1.0 if symmetry.has_phase else 0.0
    samples = sampled_at(
        widths,
        sample_networks,
        broken,
        inputs[:2],
        depth=max(INEXACT_LAYERS),
        n_networks=n_networks,
        seed=(seed,),
        d_0=1.0,
        group_elements=np.stack([plane_rotation(k, angle), np.eye(k)]),
        **run,
    )
    told = theory_of(broken)
    theory = told.trajectory(max(INEXACT_LAYERS), d=1.0, delta=cosine(inputs), phi=angle)
    return [
        row
        for part in ("c", "Re C_12", "Im C_12")
        for row in extrapolated(str(symmetry), [_inexact(one, part, theory, told.sigma_w) for one in samples])
    ]


def _inexact(samples: xr.Dataset, part: str, theory: xr.Dataset, sigma_w: float) -> Quantity:
    layers = list(INEXACT_LAYERS)
    if part == "c":
        measured, expected = order_parameters(samples)[:, 0].mean(axis=-1), theory.c
    elif part == "Re C_12":
        measured, expected = overlap(cross_block(samples)[:, 0]), theory.delta * np.cos(theory.phi)
    else:
        measured, expected = turn(cross_block(samples)[:, 0]), theory.delta * np.sin(theory.phi)
    values = expected.values[layers]
    return Quantity(f"{part}, inexact", sigma_w, layers, values, measured[:, layers] - values)
