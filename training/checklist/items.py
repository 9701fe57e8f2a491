"""The rows of the checklist, and the checklist as a table."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from functools import partial

import pandas as pd

import meanfield
import simulate
from meanfield import field, field_modes, field_plots, symbolic
from meanfield.symbolic import gaussian
from simulate import activations, gram, layers, observables, tangents

from .. import criteria, measure, recurrent
from ..experiments import EXPERIMENTS
from ..recurrent import convolutional, recurrence, sequence, tables, vortices
from . import networks, theory
from . import recurrent_layers as written
from . import trained as results
from .contradictions import LISTED, slips
from .outcome import VERDICTS, Outcome


@dataclass(frozen=True)
class Item:
    """A row of the checklist.

    Attributes
    ----------
    label : ``"Eq. (8)"``, ``"Figure 2"`` or ``"Table 1"``
    subject : what it is, in a few words
    where : the function, class or module that holds it
    test : ``"path::name"`` of a test
    check : computes the verdict
    """

    label: str
    subject: str
    where: object
    test: str
    check: Callable[[], Outcome]

    @property
    def name(self) -> str:
        """The full name of `where`, as it can be imported."""
        if inspect.ismodule(self.where):
            return self.where.__name__
        return f"{self.where.__module__}.{self.where.__qualname__}"  # type: ignore[attr-defined]


def checklist(items: Iterable[Item] | None = None) -> pd.DataFrame:
    """Evaluate the checklist, in the paper's order.

    Parameters
    ----------
    items : all of them if left out

    Returns
    -------
    pandas.DataFrame
        A row for each item: ``item``, ``subject``, ``where``, ``checked by`` (the test), ``expected`` (by theory or the
        paper), ``found`` (by the library), ``verdict`` (see `VERDICTS`) and ``note``.
    """
    return pd.DataFrame(_row(item) for item in (ITEMS if items is None else items))


def _row(item: Item) -> dict[str, str]:
    outcome = item.check()
    return {
        "item": item.label,
        "subject": item.subject,
        "where": item.name,
        "checked by": item.test,
        "expected": outcome.expected,
        "found": outcome.found,
        "verdict": outcome.verdict,
        "note": outcome.note,
    }


def counts(table: pd.DataFrame) -> pd.DataFrame:
    """How many rows have each verdict, and what it means."""
    number = table["verdict"].value_counts()
    rows = [(verdict, int(number.get(verdict, 0)), meaning) for verdict, meaning in VERDICTS.items()]
    return pd.DataFrame(rows, columns=["verdict", "rows", "meaning"])


def inconsistencies() -> pd.DataFrame:
    """Where the paper does not agree with itself or leaves something open.

    Returns
    -------
    pandas.DataFrame
        ``place``, ``in print``, ``right`` (or what is done here) and ``evidence``, each computed.

    Raises
    ------
    ValueError
        When a piece of evidence no longer shows what it should.
    """
    rows = [(each.place, each.printed, each.right, each.evidence()) for each in (*slips(), *LISTED)]
    return pd.DataFrame(rows, columns=["place", "in print", "right", "evidence"])


# ---- the rows --------------------------------------------------------------------------------------------------------

_MEANFIELD, _SIMULATE, _TRAINING = "tests/meanfield/test_", "tests/simulate/test_", "tests/training/test_"
_RECURRENT = "tests/training/recurrent/test_"
_PATH, _TWO = "path_integral", "two_inputs"
_EQUATIONS_TEST = f"{_RECURRENT}layers.py::test_states_and_gradients_are_those_of_the_equations"
_SLIPS_TEST = f"{_MEANFIELD}symbolic_derivation.py::test_every_known_slip_of_the_paper_is_stated_where_it_occurs"


def _equation(number: int, subject: str, where: object, test: str, check: Callable[[], Outcome]) -> Item:
    return Item(f"Eq. ({number})", subject, where, test, check)


def _theory() -> Iterator[Item]:
    """Sections 2.2 and 2.3, and what Appendix C says of one and two inputs."""
    length, gram_map = f"{_MEANFIELD}length_map.py::test_", f"{_MEANFIELD}gram_map.py::test_"
    series, both = f"{_MEANFIELD}symbolic_length_map.py::test_", f"{_MEANFIELD}symbolic_two_inputs.py::test_"
    path, corrected = f"{_MEANFIELD}symbolic_path_integral.py::test_", theory.corrected
    for number, subject, where, test, check in (
        (8, "length map", meanfield.length_map, f"{length}literal_eq_8", theory.length_map_integral),
        (9, "transition at sigma_w = 1", meanfield.length_map, f"{length}expansion_at_small_c",
         theory.growth_at_small_c),
        (10, "covariance of two inputs", meanfield.as_gram, f"{gram_map}as_gram", theory.covariance_matrix),
        (11, "the phase is conserved", meanfield.gram_map, f"{gram_map}entries_are_the_length_and_correlation_maps",
         theory.conserved_phase),
        (12, "correlation map", meanfield.correlation_map, f"{_MEANFIELD}correlation_map.py::test_literal_eq_12",
         theory.correlation_map_integral),
        (24, "partition function, Z[0] = 1", symbolic.path_integral, f"{path}one_weight_against_quadrature",
         partial(theory.derived, _PATH, "26", "27", in_print=False)),
        (25, "moments from fields", gaussian.gaussian_integral, f"{path}gaussian_integral_against_quadrature",
         theory.moments_from_fields),
        (34, "length map in the plane", symbolic.path_integral, f"{path}the_length_map_integral_evaluates",
         theory.length_map_in_the_plane),
        (35, "length map over the radius", meanfield.length_map, f"{series}the_derivation_starts_from_eq_35",
         theory.length_map_integral),
        (36, "length map at small c", symbolic.length_map_series, f"{series}paper_eq_36",
         theory.second_order_of_the_length_map),
        (37, "c* near the transition", meanfield.fixed_point, f"{series}paper_eq_37_and_the_next_order",
         theory.fixed_point_near_the_transition),
        (38, "two replicas, one set of weights", simulate.sample_collective,
         f"{_SIMULATE}collective.py::test_the_covariance_of_the_next_layer",
         partial(corrected, networks.replicas_share_weights, _PATH, "27")),
        (39, "matrix-valued collective field", meanfield.as_gram, _SLIPS_TEST, theory.collective_field),
        (40, "two-replica action", symbolic.two_inputs, f"{both}the_inverse_and_the_density",
         partial(theory.derived, _PATH, "33")),
        (41, "components of C", meanfield.as_gram, f"{gram_map}as_gram", theory.covariance_matrix),
        (42, "shift of the phase", symbolic.two_inputs, _SLIPS_TEST, theory.shift_of_the_phase),
        (47, "correlation map over the radii", meanfield.correlation_map, f"{both}paper_eq_47_agrees_with_eq_49",
         theory.correlation_map_over_the_radii),
        (48, "change of variables", symbolic.two_inputs, f"{both}paper_eq_47_agrees_with_eq_49",
         partial(theory.derived, _TWO, "48", in_print=False)),
        (49, "correlation map", meanfield.correlation_map,
         f"{both}paper_eq_49_against_a_grid_of_complex_gaussians", theory.correlation_map_integral),
    ):  # fmt: skip
        yield _equation(number, subject, where, test, check)


def _derivations() -> Iterator[Item]:
    """Appendix C, step by step."""
    test = f"{_MEANFIELD}symbolic_path_integral.py::test_"
    for number, subject, name, steps in (
        (26, "law of the weights", "one_weight_against_quadrature", ("26",)),
        (27, "delta function", "the_literal_hermitian_conjugate_would_flip_the_quartic_term", ("27",)),
        (28, "effective action", "the_literal_hermitian_conjugate_would_flip_the_quartic_term", ("27", "28")),
        (29, "weights integrated out", "weights_of_a_whole_layer", ("29a", "29")),
        (30, "collective field", "the_order_parameter_of_a_finite_layer_fluctuates_as_stated", ("30",)),
        (31, "one, inserted", "the_saddle_point_is_the_length_map", ("30", "31")),
        (32, "action with the collective field", "the_saddle_point_is_the_length_map", ("32",)),
        (33, "response field integrated out", "the_density_of_the_next_layer", ("33",)),
    ):
        # the variance of Section 2.2 is misprinted, Eq. (26) itself is right
        check = partial(theory.derived, _PATH, *steps, in_print=number != 26)
        yield _equation(number, subject, symbolic.path_integral, test + name, check)
    test = f"{_MEANFIELD}symbolic_two_inputs.py::test_"
    for number, subject, name in (
        (43, "the phase is conserved", "the_exponent_peaks_at_the_phase_of_the_covariance"),
        (44, "inverse of C", "the_inverse_and_the_density"),
        (45, "generalised length map", "the_inverse_and_the_density"),
        (46, "polar coordinates", "the_exponent_peaks_at_the_phase_of_the_covariance"),
    ):
        yield _equation(number, subject, symbolic.two_inputs, test + name, partial(theory.derived, _TWO, str(number)))


def _fields() -> Iterator[Item]:
    """Appendix A."""
    test = f"{_MEANFIELD}field.py::test_"
    yield _equation(15, "complex scalar field", field.evolve_field, f"{test}large_plane_waves", theory.plane_wave)
    frequencies = field_modes.field_frequencies, f"{test}dispersion_relations"
    yield _equation(16, "waves in the unbroken phase", *frequencies, theory.massive_frequency)
    yield _equation(17, "Goldstone modes", *frequencies, theory.massless_frequency)
    yield Item(
        "Figure 1", "potential and its minima", field_plots.potential_surface, f"{test}minimum_of_the_potential",
        theory.ring_of_minima,
    )  # fmt: skip
    yield Item("Figure 8", "waves in both phases", field.right_moving_bump, f"{test}figure_8", theory.two_excitations)


def _networks() -> Iterator[Item]:
    """Section 2.1, Appendices B and C.3, and the figures of random networks."""
    test, weights = f"{_SIMULATE}layers.py::test_", f"{_SIMULATE}sampling.py::test_a_network_by_hand"
    radial = f"{_SIMULATE}activations.py::test_radial_keeps_the_direction_and_maps_the_radius"
    turns = f"{_SIMULATE}jacobians.py::test_every_equivariant_network_turns_with_its_input"
    modules = f"{_SIMULATE}modules.py::test_"
    for number, subject, where, path, check in (
        (1, "a layer", simulate.measure, f"{modules}measuring_modules_is_measuring_a_sampled_network",
         networks.layer_keeps_the_space),
        (2, "equivariance", simulate.equivariance_error, f"{modules}equivariant_networks_have_rounding_only",
         networks.commutes_with_the_group),
        (3, "U(1) acts by a phase", simulate.plane_rotation, f"{_SIMULATE}sampling.py::test_plane_rotation",
         networks.phase_rotation),
        (4, "U(1) layer", layers.linear, f"{test}u1_is_a_complex_product", networks.complex_layer),
        (5, "radial nonlinearity", activations.radial, radial, networks.radial_complex),
        (6, "order parameter c", observables.order_parameters,
         f"{_SIMULATE}observables.py::test_summary_against_plain_numpy", networks.order_parameter),
        (7, "protected component of the Jacobian", simulate.sample_jacobians, turns, networks.protected_component),
        (18, "O(k) acts on blocks", simulate.equivariance_error,
         f"{modules}orthogonal_networks_commute_with_reflections_too", networks.rotations_of_blocks),
        (19, "O(k) weights", layers.linear,
         f"{test}orthogonal_weights_act_as_a_kronecker_product_with_the_identity", networks.real_blocks),
        (20, "O(k) nonlinearity", activations.radial, radial, networks.radial_blocks),
        (21, "SO(2) weights", layers.linear, f"{test}u1_is_a_complex_product", networks.complex_weights_as_blocks),
        (22, "U(1) layer", simulate.sample_networks, weights, networks.complex_layer),
        (23, "radial nonlinearity", activations.radial, radial, networks.radial_complex),
        (50, "order parameter d", gram.mean_square, weights, networks.preactivation_order_parameter),
        (51, "Jacobian", tangents.Capsules, f"{_SIMULATE}tangents.py::test_tangents_against_automatic_differentiation",
         networks.jacobian_by_hand),
        (52, "a rotated input rotates the output", simulate.sample_jacobians, turns, networks.rotated_input),
        (53, "protected component J_i", simulate.sample_jacobians, f"{_SIMULATE}jacobians.py::test_u1_in_complex_form",
         networks.component_of_the_jacobian),
        (54, "d from the Jacobian", meanfield.jacobian_trajectory,
         f"{_SIMULATE}jacobians.py::test_means_at_infinite_width_are_the_theorys", networks.protected_at_any_depth),
        (55, "effective rank", measure.effective_rank, f"{_TRAINING}measure.py::test_effective_rank",
         networks.effective_rank),
    ):  # fmt: skip
        yield _equation(number, subject, where, path, check)
    yield Item(
        "Figure 2", "c* against sigma_w", simulate.figure2, f"{_SIMULATE}commands.py::test_figure2_has_the_transition",
        networks.figure_2,
    )  # fmt: skip
    yield Item(
        "Figure 9", "protected component at initialisation", simulate.figure9,
        f"{_SIMULATE}figure9.py::test_the_symmetry_protects_one_component", networks.figure_9,
    )  # fmt: skip


def _trained() -> Iterator[Item]:
    """The figures of deep networks that were trained."""
    for number, subject, names, judge in (
        (3, "accuracy against sigma_w, Fashion-MNIST", ("figure3",), criteria.onset),
        (4, "accuracy against depth", ("figure4",), criteria.degradation),
        (5, "Jacobian and effective rank", ("figure5a", "figure5b"), criteria.healthy),
        (10, "edge of chaos of generic networks", ("figure10",), criteria.edge),
        (11, "accuracy against sigma_w, MNIST", ("figure11",), criteria.onset),
    ):
        assert EXPERIMENTS[names[0]].judge is judge
        test = f"{_TRAINING}criteria.py::test_{judge.__name__}"
        yield Item(f"Figure {number}", subject, judge, test, partial(results.trained, *names))


def _recurrent() -> Iterator[Item]:
    """Section 3, Appendices D.2 and D.3."""
    equivariance, readouts = f"{_RECURRENT}layers.py::test_equivariance", f"{_RECURRENT}layers.py::test_readouts"
    stretch = f"{_RECURRENT}layers.py::test_radial_tanh_by_autograd"
    for number, subject, where, test, check in (
        (13, "equivariant RNNs", recurrent.CapsuleRNN, _EQUATIONS_TEST, written.equivariant_rnns),
        (14, "U(1) GRU", recurrent.CapsuleGRU, _EQUATIONS_TEST, written.equivariant_gru),
        (56, "Elman RNN", recurrent.ElmanRNN, f"{_RECURRENT}layers.py::test_rnn_is_pytorchs", written.elman),
        (57, "GRU", recurrent.GRU, f"{_RECURRENT}layers.py::test_gru_with_tanh_is_pytorchs", written.baseline_gru),
        (58, "complex embedding", recurrent.CapsuleRNN, _EQUATIONS_TEST, written.complex_embedding),
        (59, "embedding into blocks", recurrent.CapsuleRNN, _EQUATIONS_TEST, written.block_embedding),
        (60, "U(1) RNN", recurrent.CapsuleRNN, _EQUATIONS_TEST, written.complex_rnn),
        (61, "radial nonlinearity with epsilon", recurrence.radial_tanh, stretch, written.radial_tanh),
        (62, "real readout", recurrent.SequenceModel, readouts, written.complex_readout),
        (63, "O(k) acts on the hidden state", recurrent.CapsuleRNN, equivariance, written.states_turn_together),
        (64, "O(k) RNN", recurrent.CapsuleRNN, _EQUATIONS_TEST, written.block_rnn),
        (65, "radial nonlinearity with epsilon", recurrence.radial_tanh, stretch, written.radial_tanh),
        (66, "invariant readout", sequence.lengths, readouts, written.invariant_readout),
        (67, "U(1) GRU", recurrent.CapsuleGRU, _EQUATIONS_TEST, written.equivariant_gru),
    ):
        yield _equation(number, subject, where, test, check)


def _recurrent_results() -> Iterator[Item]:
    """Figures and tables of trained recurrent networks."""
    pictures, counted = f"{_RECURRENT}vortices.py::test_", f"{_RECURRENT}tables.py::test_"
    for label, subject, where, test, check in (
        ("Figure 6", "copy tasks", recurrent.CopyTask, f"{_RECURRENT}experiments.py::test_the_paper_s_experiments",
         partial(results.trained, "figure6")),
        ("Figure 7", "psMNIST against parameters", recurrent.ImageTask,
         f"{_RECURRENT}experiments.py::test_image_training_follows_the_paper",
         partial(results.trained, "figure7")),
        ("Figure 12", "vortices, few", convolutional.ConvolutionalRNN, f"{pictures}the_paper_s_grid",
         partial(results.trained, "figure12")),
        ("Figure 13", "vortices, many", vortices.census, f"{pictures}census_of_an_annihilation",
         partial(results.trained, "figure12")),
        ("Table 1", "best settings, parameter counts", tables.Row, f"{counted}parameter_counts", written.table_1),
        ("Table 2", "copy tasks", tables, f"{counted}all_rows_are_there",
         partial(results.recurrent_table, tables.COPY, "figure6")),
        ("Table 3", "psMNIST", tables, f"{counted}all_rows_are_there",
         partial(results.recurrent_table, tables.PSMNIST, "figure7")),
    ):  # fmt: skip
        yield Item(label, subject, where, test, check)


def _in_order(item: Item) -> tuple[int, int]:
    kind, number = item.label.split()
    return ("Eq.", "Figure", "Table").index(kind), int(number.strip("()"))


ITEMS: tuple[Item, ...] = tuple(
    sorted(
        (*_theory(), *_derivations(), *_fields(), *_networks(), *_trained(), *_recurrent(), *_recurrent_results()),
        key=_in_order,
    )
)
