"""Warnings point at the caller's own line, whichever function was called and however deep in it the warning arises."""

import warnings

import pytest

from meanfield import ConvergenceWarning, Ensemble
from simulate import ensemble_statistics, sample_collective, sample_jacobians, sample_networks
from simulate.blocks import PartialResultWarning
from simulate.figure2 import figure2
from simulate.figure9 import figure9
from simulate.glance import glance

PAIR = [[1.0, 0.0], [0.5, 0.5]]
SIZES = {"width": 4, "depth": 1, "n_networks": 48, "device": "cpu"}
CALLS = {
    "sample_networks": lambda stop: sample_networks(Ensemble(), PAIR, progress=stop, **SIZES),
    "sample_collective": lambda stop: sample_collective(Ensemble(), PAIR, progress=stop, **SIZES),
    "sample_jacobians": lambda stop: sample_jacobians(Ensemble(), PAIR, progress=stop, **SIZES),
    "ensemble_statistics": lambda stop: ensemble_statistics(Ensemble(), PAIR, progress=stop, **SIZES),
    "figure2": lambda stop: figure2(PAIR, [1.5], progress=stop, **SIZES),
    "figure9": lambda stop: figure9(sigma_w=[1.2, 1.5], depths=[1], quick=True, device="cpu", progress=stop),
    "glance": lambda stop: glance(PAIR, progress=stop, **SIZES),
}


@pytest.mark.parametrize("function", CALLS)
def test_a_run_that_was_stopped_warns_where_it_was_called(function):
    def stop(_):
        raise KeyboardInterrupt

    with pytest.warns(PartialResultWarning) as record:
        CALLS[function](stop)
    assert {warning.filename for warning in record} == {__file__}


def test_figure2_warns_of_the_points_it_was_given_and_not_of_its_line():
    """Linear networks have no fixed point above the transition."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("always")
        figure2([[1.0]], [0.5, 1.5], activation="linear", **SIZES)
    assert [(str(one.message), one.category, one.filename) for one in record] == [
        ("1 of 2 sigma_w have no result: see status", ConvergenceWarning, __file__)
    ]
