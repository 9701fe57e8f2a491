"""Figures: what is drawn is what the theory, or the data, says; labels and errors."""

import re

import matplotlib

matplotlib.use("Agg")

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from scipy import integrate

from meanfield import fixed_point, phase_diagram, plots, trajectory


@pytest.fixture
def ax():
    with plt.style.context(plots.STYLE):
        figure, ax = plt.subplots()
        yield ax
        plt.close(figure)


def _curve(ax, label):
    """x and y of the one line whose label begins like this."""
    (line,) = [line for line in ax.lines if str(line.get_label()).startswith(label)]
    return line.get_data()


def _steps(ax):
    """Corners of the staircase: the only lines that turn corners, drawn last."""
    x, y = ax.lines[-1].get_data()
    return np.asarray(x), np.asarray(y)


def _eq_8(c, sigma_w):
    def integrand(u):
        return 2 * u * np.exp(-u * u) * np.tanh(u * sigma_w * np.sqrt(c)) ** 2

    return integrate.quad(integrand, 0, 12, epsabs=1e-13)[0]


def means():
    c, error = np.array([[0.3, 0.2, 0.1], [0.01, 0.02, 0.03]])[..., None]
    return xr.Dataset({"c": (("layer", "input"), c), "c_se": (("layer", "input"), error)}, {"layer": [0, 5, 9]})


def test_plain_logarithmic_axis_finds_its_own_limits(ax):
    ax.plot([0, 1], [0.02, 0.4])
    plots.plain_log_axis(ax)
    low, high = ax.get_ylim()
    assert 0.005 < low < 0.02
    assert 0.4 < high < 0.6


# ---- measured points ------------------------------------------------------------------------------------------------


def test_points_and_their_error_bars(ax):
    assert plots.points(means(), "c", ax, label="measured", color="C1") is ax
    (container,) = ax.containers
    np.testing.assert_array_equal(container.lines[0].get_xydata(), [[0, 0.3], [5, 0.2], [9, 0.1]])
    bars = np.array([segment[:, 1] for segment in container.lines[2][0].get_segments()])
    np.testing.assert_allclose(bars, [[0.29, 0.31], [0.18, 0.22], [0.07, 0.13]])
    assert container.get_label() == "measured"
    assert container.lines[0].get_color() == "C1"
    assert ax.get_xlabel() == plots.LAYER_LABEL


def test_points_over_sigma_w_are_labelled_so(ax):
    plots.points(means().isel(input=0).rename(layer="sigma_w"), "c", ax)
    assert ax.get_xlabel() == plots.SIGMA_LABEL


@pytest.mark.parametrize("quantity", ["delta", "c"])
def test_points_need_a_quantity_and_its_error(ax, quantity):
    with pytest.raises(ValueError, match=f"means must have '{quantity}' and '{quantity}_se', got c"):
        plots.points(means().drop_vars("c_se"), quantity, ax)


def test_points_vary_over_one_dimension(ax):
    with pytest.raises(ValueError, match="quantity must vary over one dimension here, 'c' does over"):
        plots.points(xr.concat([means(), means()], "sigma_w"), "c", ax)


# ---- axes ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "labels"),
    [
        ((0.29, 1.3), ["0.3", "0.5", "0.7", "1"]),
        ((0.015, 0.6), ["0.02", "0.05", "0.1", "0.2", "0.5"]),
        ((1e-4, 1.3), ["0.0001", "0.001", "0.01", "0.1", "1"]),
    ],
)
def test_plain_logarithmic_axis(ax, limits, labels):
    ax.plot([0, 1], limits)
    ax.set_ylim(limits)
    assert plots.plain_log_axis(ax) is ax
    assert ax.get_yscale() == "log"
    assert ax.get_ylim() == limits
    ax.figure.draw_without_rendering()
    shown = [
        label.get_text()
        for label, at in zip(ax.get_yticklabels(), ax.get_yticks(), strict=True)
        if limits[0] <= at <= limits[1]
    ]
    assert shown == labels
    assert not any(label.get_text() for label in ax.get_yticklabels(minor=True))


# ---- maps -----------------------------------------------------------------------------------------------------------


def test_length_curve_draws_eq_8_and_a_staircase_to_the_fixed_point(ax):
    plots.length_curve(1.5, c=0.05, layers=60, ax=ax)
    c, after = _curve(ax, r"$c \to c'$")
    np.testing.assert_allclose(after[[20, 100, 200]], [_eq_8(x, 1.5) for x in c[[20, 100, 200]]], rtol=1e-10)
    x, y = _steps(ax)
    assert (x[0], y[0]) == (0.05, 0.0)
    # up to the map, then across to the diagonal
    np.testing.assert_allclose(y[1], _eq_8(0.05, 1.5), rtol=1e-10)
    np.testing.assert_array_equal(x[2::2], y[2::2])
    np.testing.assert_array_equal(x[1::2], x[:-1:2])
    np.testing.assert_allclose([x[-1], y[-1]], 0.483232236803074, rtol=1e-12)


def test_length_curve_draws_a_staircase_for_each_start(ax):
    plots.length_curve(0.8, c=(0.2, 0.4, 0.9), ax=ax)
    assert [line.get_xdata()[0] for line in ax.lines[2:]] == [0.2, 0.4, 0.9]


def test_cobweb_stays_below_the_diagonal_and_walks_to_zero(ax):
    plots.cobweb(2.0, rho=0.9, layers=200, ax=ax)
    rho, after = _curve(ax, r"$\rho \to \rho'$")
    assert np.all(after[1:-1] < rho[1:-1])
    np.testing.assert_allclose([after[0], after[-1]], [0.0, 1.0], atol=1e-12)
    x, y = _steps(ax)
    assert (x[0], y[0]) == (0.9, 0.0)
    assert 0 < x[-1] < 1e-6


def test_cobweb_of_opposite_inputs_is_in_sight(ax):
    plots.cobweb(1.5, rho=-0.5, layers=5, ax=ax)
    x, y = _steps(ax)
    assert x[0] == -0.5
    assert np.all(np.diff(x[1::2]) > 0.0)
    assert ax.get_xlim() == ax.get_ylim() == (-1.0, 1.0)
    rho, after = _curve(ax, r"$\rho \to \rho'$")
    np.testing.assert_allclose([after[0], after[50], after[150]], [-1.0, y[1], -y[1]], atol=1e-12)
    assert rho[0] == -1.0


def test_labels_tell_the_transition_from_its_neighbours(ax):
    plots.length_curve(1.0 + 1e-9, ax=ax)
    assert ax.lines[1].get_label() == r"$c \to c'$, $\sigma_w = 1.000000001$"


@pytest.mark.parametrize(
    ("draw", "message"),
    [
        (lambda ax: plots.cobweb(1.5, ax, rho="a"), "rho must be a real number or an array of real numbers, got 'a'"),
        (lambda ax: plots.cobweb(1.5, ax, rho=[0.1, 0.2]), "rho must be one number, got shape (2,)"),
        (lambda ax: plots.cobweb(1.5, ax, rho=-1.5), "rho must be in [-1, 1], got -1.5"),
        (lambda ax: plots.cobweb([1.5, 2.0], ax), "sigma_w must be one number, got shape (2,)"),
        (lambda ax: plots.length_curve(1.5, ax, c="x"), "c must be a real number or an array of real numbers, got 'x'"),
        (
            lambda ax: plots.length_curve(1.5, ax, c=[[0.1], [0.2]]),
            "c must be a number or one-dimensional, got shape (2, 1)",
        ),
        (lambda ax: plots.length_curve("a", ax), "sigma_w must be a real number or an array of real numbers, got 'a'"),
        (lambda ax: plots.phase_curve(phase_diagram([1.2, 1.5]), "sigma_w", ax), "quantity must be one of 'c_star', "),
    ],
)
def test_bad_arguments_are_named_before_anything_is_drawn(ax, draw, message):
    with pytest.raises(ValueError, match=re.escape(message)):
        draw(ax)
    assert not ax.has_data()


def test_cobweb_needs_the_broken_phase(ax):
    with pytest.raises(ValueError, match=r"sigma_w must be above the transition for a cobweb at c\* > 0, got 0.9"):
        plots.cobweb(0.9, ax=ax)


# ---- phase diagrams and trajectories --------------------------------------------------------------------------------


def test_phase_curve_has_a_line_for_each_symmetry_and_gaps_at_infinity(ax):
    diagram = phase_diagram([0.9, 1.0, 1.5], ["U(1)", "O(3)"])
    plots.phase_curve(diagram, "xi_c", ax, log=True)
    assert [line.get_label() for line in ax.lines] == ["U(1)", "O(3)"]
    np.testing.assert_allclose(ax.lines[0].get_ydata()[0], -1 / np.log(0.81))
    assert [np.isnan(line.get_ydata()[1]) for line in ax.lines] == [True, True]
    assert (ax.get_xlabel(), ax.get_yscale()) == (plots.SIGMA_LABEL, "log")
    assert ax.yaxis.get_major_formatter()(0.2) == "0.2"
    assert ax.get_ylabel() == r"depth scale of $c$, $\xi_c$ [layers]"


def test_phase_curve_of_a_part_of_a_diagram(ax):
    diagram = phase_diagram([0.9, 1.5], ["U(1)", "O(3)"])
    plots.phase_curve(diagram.isel(symmetry=1), "c_star", ax)
    np.testing.assert_array_equal(_curve(ax, "O(3)")[1], diagram.c_star[1])
    for one in (diagram.isel(sigma_w=0), phase_diagram(1.5)):
        with pytest.raises(ValueError, match="diagram must have a dimension sigma_w of at least two, got a single one"):
            plots.phase_curve(one, "c_star", ax)


def test_length_curve_reaches_as_far_as_its_staircases(ax):
    plots.length_curve(1.5, activation=lambda r: 2 * np.tanh(r), ax=ax)
    top = fixed_point(1.5, activation=lambda r: 2 * np.tanh(r)).c
    assert top > 3.0
    assert min(ax.get_xlim()[1], ax.get_ylim()[1], *(line.get_ydata()[-1] for line in ax.lines[:2])) > 0.99 * top


def test_phase_curve_of_one_symmetry(ax):
    plots.phase_curve(phase_diagram([0.9, 1.5], "O(3)"), "c_star", ax)
    (line,) = ax.lines
    assert line.get_label() == "O(3)"
    np.testing.assert_allclose(line.get_ydata(), [0.0, fixed_point(1.5, "O(3)").c])


@pytest.mark.parametrize("quantity", ["status", "xi"])
def test_phase_curve_needs_a_quantity(ax, quantity):
    with pytest.raises(ValueError, match=f"quantity must be one of 'c_star', .*, got '{quantity}'"):
        plots.phase_curve(phase_diagram([0.9, 1.5]), quantity, ax)


def test_overview_shows_three_quantities():
    figure = plots.overview(phase_diagram([0.9, 1.5], ["U(1)", "O(3)"]))
    assert [ax.get_ylabel().split(",")[0] for ax in figure.axes] == [
        "order parameter $c^*$",
        r"depth scale of $\Delta$",
        r"Jacobian's mean squared singular value $\chi_J$",
    ]
    plt.close(figure)


def test_decay_of_a_linear_network(ax):
    run = trajectory(3, 0.5, c=1.0, delta=0.5, activation="linear")
    assert plots.decay(run, "delta", ax, label="linear", ls="--") is ax
    (line,) = ax.lines
    np.testing.assert_allclose(line.get_xydata(), [[0, 0.5], [1, 0.125], [2, 0.03125], [3, 0.0078125]])
    assert (line.get_label(), line.get_linestyle()) == ("linear", "--")
    assert (ax.get_xlabel(), ax.get_ylabel()) == (plots.LAYER_LABEL, r"covariance $\Delta^l$")


def test_decay_needs_a_quantity_of_the_trajectory(ax):
    with pytest.raises(ValueError, match=r"quantity must be one of 'c', .* in the trajectory, got 'rho'"):
        plots.decay(trajectory(2, 0.5), "rho", ax)


def test_decay_without_a_label_has_no_legend(ax):
    assert plots.decay(trajectory(2, 0.5), "c", ax).get_legend() is None
