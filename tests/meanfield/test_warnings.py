"""Every function says when a user's activation is averaged badly, and says so for each line that calls it."""

import warnings

import numpy as np
import pytest

import meanfield as mf
from meanfield.maps import warn_if_inaccurate
from tests.meanfield.independent import toothed

GRAM = np.array([[1.0, 0.2], [0.2, 0.5]])
CALLS = {
    "length_map": lambda: mf.length_map(0.5, 1.5, activation=toothed),
    "correlation_map": lambda: mf.correlation_map(0.2, 0.5, 1.5, activation=toothed),
    "gram_map": lambda: mf.gram_map(GRAM, 1.5, activation=toothed),
    "fixed_point": lambda: mf.fixed_point(1.5, activation=toothed),
    "depth_scales": lambda: mf.depth_scales(1.5, activation=toothed),
    "phase_diagram": lambda: mf.phase_diagram(1.5, activation=toothed),
    "trajectory": lambda: mf.trajectory(2, 1.5, activation=toothed),
    "jacobian_trajectory": lambda: mf.jacobian_trajectory(2, 1.5, activation=toothed),
    "fluctuations": lambda: mf.fluctuations(16, 1.5, activation=toothed),
    "fluctuation_trajectory": lambda: mf.fluctuation_trajectory(2, 16, 1.5, c=0.5, activation=toothed),
    "overlap_depth_scale": lambda: mf.overlap_depth_scale(16, 1.5, activation=toothed),
    "overlap_fluctuations": lambda: mf.overlap_fluctuations(2, 16, 1.5, c=0.5, delta=0.2, activation=toothed),
    "phase_diffusion": lambda: mf.phase_diffusion(2, 16, 1.5, c=0.5, delta=0.2, activation=toothed),
    "readable_depth": lambda: mf.readable_depth(16, 1.5, 0.9, activation=toothed),
    "overlap_series": lambda: mf.overlap_series(0.5, 1.5, activation=toothed),
    "Ensemble": lambda: mf.Ensemble(activation=toothed).length_map(0.5),
}


@pytest.mark.parametrize("function", CALLS)
def test_kinks_that_are_not_found_are_reported_where_they_were_called(function):
    with pytest.warns(mf.AccuracyWarning, match="activation toothed: averages are estimated to be off") as record:
        CALLS[function]()
    assert {warning.filename for warning in record} == {__file__}


def test_every_line_has_its_warning():
    """Python shows one text once for each line, so that line must not be the package's own."""
    with warnings.catch_warnings(record=True) as record:
        warnings.simplefilter("default")
        mf.depth_scales([0.5, 2.0], activation="linear")
        mf.depth_scales([0.7, 3.0], activation="linear")
        mf.phase_diagram([0.7, 3.0], activation="linear")
    assert [warning.category for warning in record] == [mf.ConvergenceWarning] * 3
    assert {warning.filename for warning in record} == {__file__}


def test_an_error_that_is_no_number_is_reported():
    with pytest.warns(mf.AccuracyWarning, match="off by up to nan"):
        warn_if_inaccurate(mf.as_activation(toothed), np.array([0.0, np.nan]))
