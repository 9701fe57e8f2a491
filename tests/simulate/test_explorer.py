import math
import sys

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.figure import Figure

from meanfield import precise
from meanfield.fluctuations import fluctuation_trajectory
from simulate import explorer, observables, sample_collective
from simulate.explorer import Point, diagram, length, overlap, readout, scales, view
from simulate.observables import cross_block
from simulate.statistics import mean_and_error

POINT = Point("O(3)", "tanh", 1.5, width=8, depth=6, rho=0.5)


@pytest.fixture
def ax():
    return Figure().subplots()


@pytest.fixture(autouse=True)
def _close():
    yield
    plt.close("all")


def test_theory_starts_at_a_random_input_layer():
    """Layer 0 by Monte Carlo: Gaussian capsules of unit mean square with overlap rho."""
    rng = np.random.default_rng(0)
    x, y = rng.normal(size=(2, 400_000, 3)) / np.sqrt(3)
    y = 0.5 * x + np.sqrt(0.75) * y
    phi_x, phi_y = (np.tanh(r) * z / r for z in (x, y) for r in [np.linalg.norm(z, axis=1, keepdims=True)])
    theory = POINT.theory()
    for found, samples in ((theory.c, np.sum(phi_x**2, 1)), (theory.delta, np.sum(phi_x * phi_y, 1))):
        mean, error = mean_and_error(samples)
        assert abs(float(found[0]) - mean) < 5 * error


def test_samples_are_of_the_point():
    """c may leave its theory by twice what order 1/N gives; of the overlap a second width removes that order."""
    wide, narrow = (Point("U(1)", width=width, depth=3, rho=0.8) for width in (256, 128))
    samples, fewer = wide.sampled(64), narrow.sampled(64, seed=1)
    assert (samples.attrs["width"], fewer.attrs["width"]) == (256, 128)
    theory, c = wide.theory(), samples.isel(input=0)
    shift = np.abs(fluctuation_trajectory(3, 256, 1.5, d=1.0).mean_shift.values)
    assert np.all(np.abs(c.c - theory.c) < 5 * c.c_se + 2 * shift)
    error = np.hypot(2 * samples.overlap_se, fewer.overlap_se)
    assert np.all(np.abs(2 * samples.overlap - fewer.overlap - theory.delta) < 5 * error)


def test_length_has_theory_as_a_line_and_samples_as_points(ax):
    samples = POINT.sampled(8)
    length(POINT, POINT.theory(), ax, samples)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), POINT.theory().c)
    np.testing.assert_array_equal(ax.containers[0].lines[0].get_ydata(), samples.c.isel(input=0))
    exact = float(precise.fixed_point(1.5, symmetry="O(3)", digits=15))
    assert ax.lines[1].get_ydata()[0] == pytest.approx(exact, rel=1e-12)


def test_overlap_has_the_scatter_of_single_networks(ax):
    """Their own Gram matrices, from the sampler that the point's statistics are taken of."""
    overlap(POINT, POINT.theory(), ax, POINT.sampled(8))
    inputs = [[1.0, 0.0], [POINT.rho, math.sqrt(1.0 - POINT.rho**2)]]
    sizes = {"width": POINT.width, "depth": POINT.depth, "n_networks": 8}
    networks = observables.overlap(cross_block(sample_collective(POINT.ensemble, inputs, **sizes)))[:, 0]
    points, _, (bars,) = ax.containers[0].lines
    shown = np.asarray(points.get_xdata(), int)
    np.testing.assert_allclose(np.asarray(points.get_ydata(), float), networks.mean(axis=0)[shown], rtol=1e-12)
    heights = [float(end[1] - start[1]) for start, end in bars.get_segments()]
    expected = 2.0 * networks.std(axis=0, ddof=1)[shown] / math.sqrt(8)
    np.testing.assert_allclose(heights, expected, rtol=1e-9)
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), POINT.theory().delta)


def test_the_point_lies_on_the_diagram(ax):
    diagram(POINT, ax)
    line, dot = ax.lines
    assert dot.get_ydata()[0] == pytest.approx(np.interp(1.5, line.get_xdata(), line.get_ydata()), abs=1e-3)


@pytest.mark.parametrize(
    ("point", "phase", "kept"),
    [
        (Point("U(1)", sigma_w=1.5), "broken", "the phase"),
        (Point("O(4)", sigma_w=0.9), "unbroken", "6 angles"),
        (Point("O(2)", sigma_w=1.5), "broken", "1 angle"),
        (Point("O(1)", sigma_w=1.5), "broken", "a sign"),
        (Point("generic(2)", sigma_w=1.5), "broken", "a sign"),
    ],
)
def test_readout(point, phase, kept, ax):
    told = readout(point)
    assert told["phase"].startswith(phase)
    assert told["conserved between two inputs"] == kept
    assert kept in scales(point, ax).texts[0].get_text()


def test_linear_networks_have_no_fixed_point():
    told = readout(Point(activation="linear", sigma_w=1.5))
    assert "no fixed point" in told["phase"]
    assert isinstance(view(Point(activation="linear", sigma_w=1.5)), Figure)


def test_view_is_a_figure_with_and_without_samples():
    assert len(view(POINT).axes) == 4
    assert len(view(POINT, POINT.sampled(8)).axes) == 4


def test_a_long_message_does_not_squeeze_the_figures():
    """Linear networks above their transition have no fixed point, and are told so."""
    figure = view(Point(activation="linear", sigma_w=1.2))
    figure.draw_without_rendering()  # a warning that the layout collapsed would be an error
    assert figure.axes[0].get_position().width > 0.3


def test_sliders_move_the_figure(monkeypatch):
    pytest.importorskip("ipywidgets")
    drawn = []
    monkeypatch.setattr(explorer, "view", lambda point, samples=None: drawn.append((point, samples)) or plt.figure())
    box = explorer.explorer()
    controls = {child.description: child for child in box.children[0].children}
    controls["σ_w"].value = 2.0
    assert controls["k"].disabled
    controls["symmetry"].value = "O(k)"
    assert not controls["k"].disabled
    controls["width N"].value = 16
    controls["depth L"].value = 10
    controls["sample networks"].click()
    point, samples = drawn[-1]
    assert point == Point("O(4)", "tanh", 2.0, 16, 10, 0.9)
    assert samples.attrs["width"] == 16
    assert drawn[0][0] == Point()
    assert drawn[1][0].sigma_w == 2.0


def test_without_ipywidgets_it_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    with pytest.raises(ImportError, match="pip install ipywidgets"):
        explorer.explorer()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"depth": 0}, "depth must be an integer >= 1, got 0"),
        ({"rho": 1.5}, r"rho must be one number in \[0, 1\], got 1.5"),
        ({"symmetry": "SU(2)"}, "symmetry must be"),
        ({"sigma_w": -1.0}, "sigma_w must be >= 0, got -1"),
    ],
)
def test_bad_points(options, message):
    with pytest.raises(ValueError, match=message):
        Point(**options)
