"""Layers and random networks against the paper's formulas written out: checks of `training.checklist`."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

import meanfield
import simulate
from meanfield.symmetry import as_symmetry
from simulate import activations, layers, observables, tangents
from simulate.modules import Layer

from .. import measure
from .outcome import Outcome, equal, vanishes

SIGMA_W, WIDTH, INPUTS, ANGLE = 1.5, 6, 5, 0.7
EXACT = 1e-13  # float64, a few operations


# ---- Section 2.1, Appendix B: Eq. (1) to (6), (18) to (23) -----------------------------------------------------------


def layer_keeps_the_space() -> Outcome:
    pairs = {name: (_states(name), _layer(name)(_states(name))) for name in _FAMILIES}
    before, after = (", ".join(f"{name} {tuple(pair[i].shape[1:])}" for name, pair in pairs.items()) for i in (0, 1))
    return Outcome(before, after, "agrees" if before == after else "fails", "capsules and components before and after")


def commutes_with_the_group() -> Outcome:
    errors = [simulate.equivariance_error(_layer(name), _states(name), name) for name in ("U(1)", "O(3)")]
    generic = simulate.equivariance_error(_layer("generic(2)"), _states("U(1)"), "U(1)")
    note = f"a generic layer is off by {generic:.1g}"
    return vanishes(errors, EXACT, note) if generic > 0.1 else Outcome("off by more than 0.1", note, "fails")


def rotations_of_blocks() -> Outcome:
    """Eq. (18), with a reflection."""
    element = torch.linalg.qr(_normal(3, 3))[0]
    element = torch.cat([element[:, :2], -element[:, 2:] * torch.sign(torch.det(element))], 1)  # determinant -1
    layer, x = _layer("O(3)"), _states("O(3)")
    return vanishes(layer(x @ element.T) - layer(x) @ element.T, EXACT, "one layer, and an element that reflects")


def phase_rotation() -> Outcome:
    z = _complex(_states("U(1)"))
    turned = _complex(_states("U(1)") @ torch.from_numpy(simulate.plane_rotation(2, ANGLE)).T)
    return vanishes(turned - np.exp(1j * ANGLE) * z, EXACT, "e^{i alpha} z as complex numbers")


def complex_layer() -> Outcome:
    """Eq. (4), (22)."""
    x, weights = _states("U(1)"), _weights("U(1)")
    matrix = torch.complex(*weights.unflatten(0, (2, WIDTH)))
    return vanishes(_complex(_layer("U(1)")(x)) - _radial_tanh(_complex(x)) @ matrix.T, EXACT, "with complex numbers")


def real_blocks() -> Outcome:
    """Eq. (19)."""
    return _as_matrix("O(3)", torch.kron(_weights("O(3)"), torch.eye(3, dtype=torch.float64)))


def complex_weights_as_blocks() -> Outcome:
    """Eq. (21)."""
    w, u = _weights("U(1)").unflatten(0, (2, WIDTH))
    epsilon = torch.tensor([[0.0, -1.0], [1.0, 0.0]], dtype=torch.float64)
    return _as_matrix("U(1)", torch.kron(w, torch.eye(2, dtype=torch.float64)) + torch.kron(u, epsilon))


def radial_complex() -> Outcome:
    """Eq. (5), (23)."""
    x = _states("U(1)")
    return vanishes(_complex(activations.radial(torch.tanh, x, -1)) - _radial_tanh(_complex(x)), EXACT)


def radial_blocks() -> Outcome:
    """Eq. (20)."""
    x = _states("O(4)")
    r = x.norm(dim=-1, keepdim=True)
    return vanishes(activations.radial(torch.tanh, x, -1) - torch.tanh(r) / r * x, EXACT)


def order_parameter() -> Outcome:
    """Eq. (6), of one network and one input."""
    x = _states("U(1)")[:1]
    printed = float((torch.tanh(_complex(x).abs()) ** 2).mean())
    return equal(printed, float(observables.order_parameters(simulate.measure([], x)).squeeze()), EXACT)


def preactivation_order_parameter() -> Outcome:
    """Eq. (50), of one network and one input."""
    x = _states("U(1)")[:1]
    return equal(float(_complex(x).abs().square().mean()), float(simulate.measure([], x).d.squeeze()), EXACT)


def replicas_share_weights() -> Outcome:
    """Eq. (38) with the weights integrated out: E z_a z_b^dagger = sigma_w^2 C_ab, exactly.

    One output is sum_p w_p v_p over the independent real numbers w_p behind the weights, v_p its value at w = e_p.
    """
    group = as_symmetry("U(1)")
    activity = _radial_tanh(_complex(_states("U(1)")[:2])).T  # (N, inputs)
    parts = torch.view_as_real(activity).permute(0, 2, 1)
    each = [
        layers.linear(group, unit.reshape(2, WIDTH), parts)[0] for unit in torch.eye(2 * WIDTH, dtype=torch.float64)
    ]
    values = torch.stack([torch.complex(*one) for one in each])
    variance = (SIGMA_W * layers.weight_std(group, WIDTH)) ** 2
    found = variance * torch.einsum("pa,pb->ab", values, values.conj())
    expected = SIGMA_W**2 * torch.einsum("ja,jb->ab", activity, activity.conj()) / WIDTH
    in_print = "in print the term stands in an exp inside the action, and has z^l(t+1) for z^{l+1}"
    return vanishes(found - expected, EXACT, f"E z_a z_b^dagger - sigma_w^2 C_ab, averaged by hand; {in_print}")


# ---- the Jacobian: Eq. (7), (51) to (54), Figure 9 -------------------------------------------------------------------


def protected_component() -> Outcome:
    """Eq. (7)."""
    run = _jacobians("U(1)")
    return vanishes(run.protected / run.d - 1.0, 1e-11, "relative, in every network and layer, 10 layers")


def jacobian_by_hand() -> Outcome:
    """Eq. (51): a direction carried through three layers, and by automatic differentiation."""
    x, v, layer = _states("O(3)"), _states("O(3)", seed=2), _layer("O(3)")
    expected = torch.autograd.functional.jvp(_deep(layer), x, v)[1]
    for _ in range(3):
        capsules = tangents.Capsules(torch.tanh, tangents.torch_derivative("tanh"), x.permute(1, 2, 0)[None])
        moved = capsules(v.permute(1, 2, 0)[None, ..., None])[0, ..., 0]
        v, x = layers.linear(as_symmetry("O(3)"), _weights("O(3)"), moved).permute(2, 0, 1), layer(x)
    return vanishes(v - expected, EXACT, "against automatic differentiation")


def rotated_input() -> Outcome:
    """Eq. (52)."""
    residual, generic = (float(_jacobians(name).residual.max()) for name in ("U(1)", "generic(2)"))
    note = f"|J A z^0 - A z^L|/|A z^L|, 10 layers; {generic:.1f} in a generic network"
    return vanishes(residual, 1e-11, note) if generic > 0.1 else Outcome("generic: of order 1", note, "fails")


def component_of_the_jacobian() -> Outcome:
    """Eq. (53): J_i is the derivative along i z^0, over i, and must be z_i^L."""
    x = _states("U(1)")
    quarter = x @ torch.from_numpy(simulate.plane_rotation(2, np.pi / 2.0)).T
    end, along = torch.autograd.functional.jvp(_deep(_layer("U(1)")), x, quarter)
    return vanishes(_complex(along) / 1j - _complex(end), EXACT, "J_i - z_i^L by automatic differentiation")


def protected_at_any_depth() -> Outcome:
    """Eq. (54)."""
    deep = float(meanfield.jacobian_trajectory(200, SIGMA_W).protected[-1])
    return equal(float(meanfield.depth_scales(SIGMA_W).d_star), deep, 1e-10, "theory: d* and the component at L = 200")


def figure_9() -> Outcome:
    data = simulate.figure9(sigma_w=(0.8, 1.6), depths=(5, 20), quick=True, device="cpu")
    growth = (data.protected.sel(layer=20) / data.protected.sel(layer=5)).values  # (model, sigma_w)
    same = bool((np.abs(data.protected / data.d - 1.0)[0] < 1e-10).all())
    (dead, kept), (_, grown) = growth
    fine = same and dead < 0.05 and 0.7 < kept < 1.4 and grown > 2.0
    return Outcome(
        "L = 20 over L = 5: decays at sigma_w = 0.8; about 1 at 1.6, generic grows",
        f"{dead:.1e}; {kept:.2f}, generic {grown:.1f}",
        "agrees" if fine else "fails",
        f"protected component, N = {data.width}, {data.n_networks} networks; equal to d^L in each",
    )


# ---- Eq. (55), Figure 2 ---------------------------------------------------------------------------------------------


def figure_2() -> Outcome:
    """c at the paper's N = 16, L = 100 may leave c* by twice what theory gives to order 1/N, and 5 standard errors."""
    sigma_w, count = (0.8, 1.5, 2.0), 128
    run = simulate.figure2(np.ones((1, 1)), sigma_w, n_networks=count, sampler="collective", device="cpu")
    shift = np.abs(meanfield.fluctuations(16, sigma_w).mean_shift.values)
    # below the transition 1e-12 stands for what 100 layers leave
    near = np.abs(run.c - run.c_star).values <= 2.0 * shift + 5.0 * run.c_se.values + 1e-12
    listed = ", ".join(map(str, sigma_w))
    return Outcome(
        ", ".join(f"{c:.3f}" for c in run.c_star.values),
        ", ".join(f"{c:.3f} +- {se:.3f}" for c, se in zip(run.c.values, run.c_se.values, strict=True)),
        "agrees" if near.all() else "fails",
        f"c* and c of {count} networks at sigma_w = {listed}; N = 16 shifts c by up to {shift.max():.3f}, to order 1/N",
    )


def effective_rank() -> Outcome:
    """Eq. (55) of singular values 4, 2, 1, 1: H = (7/4) log 2."""
    found = float(measure.effective_rank(torch.diag(torch.tensor([4.0, 2.0, 1.0, 1.0]))))
    return equal(2.0**1.75, found, 1e-12, "of the singular values 4, 2, 1, 1")


# ---- small networks --------------------------------------------------------------------------------------------------

_FAMILIES = ("U(1)", "O(3)", "generic(2)")


def _normal(*shape: int, seed: int = 1) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def _states(symmetry: str, seed: int = 1) -> torch.Tensor:
    return _normal(INPUTS, WIDTH, as_symmetry(symmetry).capsule_dimension, seed=seed)


def _weights(symmetry: str) -> torch.Tensor:
    group = as_symmetry(symmetry)
    return SIGMA_W * layers.weight_std(group, WIDTH) * _normal(*layers.weight_shape(group, WIDTH, WIDTH), seed=3)


def _layer(symmetry: str) -> Layer:
    """W phi(x) for states (inputs, N, D)."""

    def layer(x: torch.Tensor) -> torch.Tensor:
        activity = activations.radial(torch.tanh, x, -1).permute(1, 2, 0)
        return layers.linear(as_symmetry(symmetry), _weights(symmetry), activity).permute(2, 0, 1)

    return layer


def _deep(layer: Layer) -> Callable[[torch.Tensor], torch.Tensor]:
    return lambda x: layer(layer(layer(x)))


def _complex(x: torch.Tensor) -> torch.Tensor:
    return torch.view_as_complex(x.contiguous())


def _radial_tanh(z: torch.Tensor) -> torch.Tensor:
    """Eq. (5) as printed."""
    return torch.tanh(z.abs()) / z.abs() * z


def _as_matrix(symmetry: str, matrix: torch.Tensor) -> Outcome:
    x = _states(symmetry)
    acted = layers.linear(as_symmetry(symmetry), _weights(symmetry), x.permute(1, 2, 0)).permute(2, 0, 1)
    return vanishes(acted.flatten(1) - x.flatten(1) @ matrix.T, EXACT, "against the printed matrix written out")


def _jacobians(symmetry: str):
    ensemble = meanfield.Ensemble(symmetry, "tanh", SIGMA_W)
    run = simulate.sample_jacobians(
        ensemble, np.ones((1, 1)), width=16, depth=10, n_networks=16, probes=0, device="cpu"
    )
    return run
