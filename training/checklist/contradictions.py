"""Where the paper does not agree with itself or leaves something open, with the evidence: rows for
`training.checklist`.

The slips of the derivations come from `meanfield.symbolic`, which carries a residual for each; the rest is listed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import partial

import numpy as np
import torch
from sympy import latex

import meanfield
import simulate
from meanfield import symbolic

from ..conventions import ADAM_EPS
from ..presets import PRESETS, fixed_variance_sigma_w
from ..recurrent import tables
from ..recurrent.initial import ENCODERS
from ..recurrent.presets import sweep
from ..recurrent.stacked_adam import clip_norms, clip_values
from ..shape import Shape
from ..vanishing import first_gradients
from .recurrent_layers import rounded


@dataclass(frozen=True)
class Inconsistency:
    """A place in the paper that cannot stand as it is.

    Attributes
    ----------
    place : equation, section, table or figure
    printed : what is there
    right : what is right, or, where the paper leaves it open, what is done here
    evidence : computes the sentence that shows it

    Raises
    ------
    ValueError
        From `evidence`, when it no longer shows it.
    """

    place: str
    printed: str
    right: str
    evidence: Callable[[], str]


def slips() -> Iterator[Inconsistency]:
    """Those that the symbolic derivations prove."""
    for derivation in (symbolic.path_integral(), symbolic.one_input(), symbolic.two_inputs()):
        for step in derivation:
            for slip in step.slips:
                shown = f"residual here: $0$, as printed: ${latex(slip.printed)}$"
                right = f"${latex(step.expression)}$"
                yield Inconsistency(
                    f"at Eq. ({step.equation})", slip.statement, right, partial(_shown, slip.ours == 0, shown)
                )


def _shown(true: bool, sentence: str) -> str:
    if not true:
        raise ValueError(f"evidence must bear out the inconsistency, got: {sentence}")
    return sentence


def _chaos() -> str:
    depth = 30
    chi = [float(meanfield.depth_scales(1.5, name).chi_jacobian) for name in ("U(1)", "generic(2)")]
    ensemble, one = meanfield.Ensemble("U(1)", "tanh", 1.5), np.ones((1, 1))
    run = simulate.sample_jacobians(ensemble, one, width=32, depth=depth, n_networks=64, probes=8, device="cpu")
    norm, protected = (float(run[name].isel(layer=-1).mean()) for name in ("norm", "protected"))
    return _shown(
        chi[0] == chi[1] > 1.0 and norm > 5.0 and protected < 2.0,
        f"chi_J at sigma_w = 1.5: {chi[0]:.4f} for U(1), {chi[1]:.4f} for generic(2). Sampled U(1) networks of {depth} "
        f"layers: mean squared singular value {norm:.1f}, protected component {protected:.2f}",
    )


def _figure_4() -> str:
    found = {
        name: fixed_variance_sigma_w(Shape(name, 128 // k, depth=1, features=1))
        for name, k in (("generic(2)", 2), ("U(1)", 2), ("O(2)", 2), ("O(4)", 4), ("O(8)", 8))
    }
    listed = ", ".join(f"{name} {sigma_w:.2f}" for name, sigma_w in found.items())
    return _shown(found["O(2)"] > found["O(4)"] > found["O(8)"] > 1.0, f"sigma_w at N k = 128: {listed}")


def _number_of_models() -> str:
    models = sum(row.task == tables.COPY for row in tables.TABLE_1)
    swept, more = len(sweep(tables.COPY, "RNN", 32)), 7
    total = models * (swept + more)
    return _shown(total != 478, f"{models} models x ({swept} + {more}) runs = {total}")


def _activations_swept() -> str:
    one, both = len(sweep(tables.COPY, "U(1) GRU", 32)), len(sweep(tables.COPY, "RNN", 32))
    return _shown(one != both, f"{both} runs with two activations, {one} with one")


def _encoder_bias() -> str:
    told, borne_out = [], True
    for row in tables.TABLE_1:
        if row.k is not None:
            without, whole = _count(row, "equations"), _count(row, "tables")
            exact = whole - without == row.hidden_size * row.k
            borne_out &= exact and rounded(without, row.printed) != row.printed == rounded(whole, row.printed)
            told.append(f"{row.printed}: {without:,} without, {whole:,} with it")
    return _shown(borne_out, "; ".join(told))


def _bias_vectors() -> str:
    labels = {
        ("equations",): "need the biases of the equations",
        ("tables",): "need PyTorch's two vectors",
        (): "fit neither",
    }
    rows: dict[tuple[str, ...], list[str]] = {kinds: [] for kinds in (*labels, ("equations", "tables"))}
    for row in tables.TABLE_1:
        if row.model in ("RNN", "GRU"):
            kinds = tuple(
                kind for kind in ("equations", "tables") if rounded(_count(row, kind), row.printed) == row.printed
            )
            rows[kinds].append(f"{row.task} {row.model} {row.hidden_size} ({row.printed})")
    told = [f"{label}: {', '.join(rows[kinds])}" for kinds, label in labels.items()]
    return _shown(all(rows[kinds] for kinds in labels), "; ".join(told) + "; the others fit either way")


def _count(row: tables.Row, biases: str) -> int:
    return tables.parameter_count(replace(row, biases=biases).build())


def _features() -> str:
    width, components = PRESETS["figure3"]["paper"].width, PRESETS["figure4"]["paper"].components
    assert width is not None
    real = {name: Shape(name, width, depth=1, features=1).components for name in ("U(1)", "O(4)")}
    told = ", ".join(f"{count} in {name}" for name, count in real.items())
    return _shown(
        min(real.values()) > width,
        f"N = {width} capsules are real numbers: {told}; Figure 4 has N k = {components} real numbers",
    )


def _two_order_parameters() -> str:
    found = {name: meanfield.fluctuations(64, 1.5, name) for name in ("U(1)", "O(4)")}
    told = "; ".join(f"{k}: c* = {float(v.c):.4f}, E c - c* = {float(v.mean_shift):.4f}" for k, v in found.items())
    return _shown(all(float(v.mean_shift) < 0.0 for v in found.values()), f"at N = 64, sigma_w = 1.5, theory: {told}")


def _adams_epsilon() -> str:
    shape = PRESETS["figure3"]["paper"]
    assert shape.width is not None
    sizes = {s: float(first_gradients(Shape("O(4)", shape.width, shape.depths[0], 1), s).mean()) for s in (0.8, 0.95)}
    told = ", ".join(f"{size:.1e} at sigma_w = {s:g}" for s, size in sizes.items())
    return _shown(sizes[0.8] < ADAM_EPS < sizes[0.95], f"O(4): {told}; epsilon {ADAM_EPS:g}")


def _low_variance() -> str:
    widths = [value for value in ENCODERS.values() if value is not None]
    return _shown(len(set(widths)) == 2, f"standard deviation {widths[0]:.4f} or {widths[1]:.4f}; both can be chosen")


def _clipping() -> str:
    found = []
    for clip in (clip_norms, clip_values):
        parameter = torch.nn.Parameter(torch.zeros(1, 2))
        parameter.grad = torch.tensor([[3.0, 0.5]])
        clip([parameter], 1.0)
        found.append([round(value, 3) for value in parameter.grad[0].tolist()])
    return _shown(found[0] != found[1], f"the gradient (3, 0.5) becomes {found[0]} by norm, {found[1]} by value")


def _reflection() -> str:
    reflection, turn = np.diag([-1.0, 1.0]), simulate.plane_rotation(2, np.pi / 2.0)
    differ = float(np.abs(reflection @ turn - turn @ reflection).max())
    return _shown(differ > 1.0, f"in O(2) a reflection and a quarter turn differ by {differ:g} if they change places")


LISTED = (
    Inconsistency(
        "Sections 2.2 and 2.4, Appendix C.3",
        "In the chaotic phase Jacobians of conventional networks grow exponentially with depth.",
        "Those of equivariant networks grow as fast at first; only the protected component stays of order one.",
        _chaos,
    ),
    Inconsistency(
        "Figure 4, Appendix D.1",
        "One fixed variance 0.20 of the initial weights for all groups.",
        "At fixed N k it means another sigma_w for each k: two effects in one figure.",
        _figure_4,
    ),
    Inconsistency(
        "Appendix B",
        "'O(k) is non-Abelian, i.e. k > 2'.",
        "O(2) is non-Abelian as well, and Eq. (19) holds for it; it is SO(2) that allows the second set of weights.",
        _reflection,
    ),
    Inconsistency(
        "Section 2.1, Appendices B and D.1",
        "'64 features'; N/k blocks in Section 2.1, N blocks in Appendix B; N k = 128 for Figure 4.",
        "Left open; N counts capsules here, except for Figure 4.",
        _features,
    ),
    Inconsistency(
        "Captions of Figures 3 and 11",
        "The order parameter is from Eq. (6) in Figure 3 and from Eq. (8) in Figure 11.",
        "They differ at finite width; both are computed for both figures.",
        _two_order_parameters,
    ),
    Inconsistency(
        "Captions of Figures 3 and 11, Appendix D.1",
        "Training 'appears to begin precisely when we enter the SSB phase'; Adam's epsilon is not stated.",
        "Just below it the first gradients of 100 layers fall below PyTorch's epsilon, which is an onset of its own.",
        _adams_epsilon,
    ),
    Inconsistency(
        "Appendix D.2.5",
        "478 trained models on the copy task.",
        "72 runs and 7 more for each of six.",
        _number_of_models,
    ),
    Inconsistency(
        "Appendix D.2.5",
        "72 runs for each model, with two activation functions.",
        "GRUs and U(1) models have one activation in Table 1.",
        _activations_swept,
    ),
    Inconsistency(
        "Tables 1 and 3, O(k) RNN",
        "Parameter counts that Eq. (59), (64) do not reach.",
        "N k more: a bias of the input embedding.",
        _encoder_bias,
    ),
    Inconsistency(
        "Tables 1 and 3, RNN and GRU",
        "Parameter counts that no single convention for biases reaches; GRU 256 is 200K in Table 1, 201K in Table 3.",
        "Each row has the convention that fits; for GRU 256 that is Table 3's count.",
        _bias_vectors,
    ),
    Inconsistency(
        "Appendix D.2.2",
        "Weights from N(0, 0.001).",
        "Left open: variance (taken here) or standard deviation.",
        _low_variance,
    ),
    Inconsistency(
        "Appendix D.2.5",
        "'Gradient clipping by magnitude'.",
        "Left open: by the norm of a model's gradient (taken here) or by value.",
        _clipping,
    ),
)
