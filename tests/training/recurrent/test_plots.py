"""What is drawn is what was given."""

import matplotlib.colors
import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure

from training.recurrent import CapsuleRNN, CopyTask, ImageTask, Setting, plots
from training.recurrent.tables import COPY, PSMNIST, paper_results


def rgb(artist):
    return matplotlib.colors.to_hex(artist.get_color())


@pytest.fixture
def ax():
    return Figure().subplots()


def test_copy_example(ax):
    inputs, targets = (tokens[0, 0].numpy() for tokens in CopyTask(4).tokens(0, 1, [3]))
    assert plots.copy_example(inputs, targets, ax) is ax
    drawn = {(round(text.get_position()[1]), round(text.get_position()[0])): text.get_text() for text in ax.texts}
    go = int(np.argmax(inputs == 9))
    symbols = [str(token) for token in inputs[:10]]
    assert [drawn[0, step] for step in range(10)] == symbols
    assert drawn[0, go] == "go"
    # the symbols come back right after the go token, and nothing else is drawn
    assert [drawn[1, go + 1 + step] for step in range(10)] == symbols
    assert len(drawn) == 21


def test_images_in_a_task_s_order(ax):
    permuted, plain = ImageTask(), ImageTask(permuted=False)
    x, _ = permuted.train[0]
    plots.image(x[:, 0], permuted.order, ax)
    # the same image, row by row
    np.testing.assert_array_equal(ax.images[0].get_array(), plain.train[0][0][:, 0].reshape(8, 8))
    ax = plots.reading_order(permuted.order, Figure().subplots())
    steps = np.asarray(ax.images[0].get_array()).ravel()
    assert all(steps[pixel] == step for step, pixel in enumerate(permuted.order))
    ax = plots.pixel_sequence(x, Figure().subplots(), label="permuted")
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), x[:, 0])
    assert ax.lines[0].get_label() == "permuted"


def test_smallest_exponents(ax):
    result = xr.Dataset(
        {
            "exponent": (("network", "index"), [[0.5, 0.0, -0.1, -2.0], [0.3, 1e-5, -0.2, -1.0]]),
            "neutral": ("network", [1, 1]),
        }
    )
    plots.smallest_exponents(result, ax, most=3)
    curves = [line for line in ax.lines if len(line.get_xdata()) == 3]
    np.testing.assert_allclose([line.get_ydata() for line in curves], [[plots.LEAST, 0.1, 0.5], [1e-5, 0.2, 0.3]])
    (bound,) = (line for line in ax.lines if len(line.get_xdata()) == 2)
    assert bound.get_xdata()[0] == 1.5
    assert ax.get_yscale() == "log"


def test_overlaps(ax):
    lag = ("lag", [0, 1], {"long_name": "lag"})
    square = (("network", "lag"), [[1.0, 0.1], [1.0, 0.3]], {"long_name": "text"})
    plots.overlaps(xr.Dataset({"square": square}, coords={"lag": lag}), ax, expected=0.25, label="a network")
    (container,) = ax.containers
    np.testing.assert_allclose(container[0].get_ydata(), [1.0, 0.2])
    segments = container[2][0].get_segments()
    np.testing.assert_allclose([s[1][1] - s[0][1] for s in segments], [0.0, 2 * 0.1])  # two standard errors, 0.1 each
    (line,) = (line for line in ax.lines if line.get_linestyle() == "--")
    assert line.get_ydata()[0] == 0.25


def test_sizes_in_silence(ax):
    layer = CapsuleRNN(1, 3, "U(1)", recurrent="identity")
    start = torch.tensor([[0.3, 0.0, -0.4, 0.0, 2.0, 0.3]])[None]
    output, _ = layer(torch.zeros(1, 5, 1), start)
    plots.sizes_in_silence({"identity": layer.capsules(output.detach())}, ax)
    radius, sizes = np.hypot([0.3, 0.0, 0.4], [0.0, 2.0, 0.3]), []
    for _ in range(5):
        radius = np.tanh(radius)
        sizes.append(np.mean(radius**2))
    np.testing.assert_allclose(ax.lines[0].get_ydata(), sizes, rtol=1e-5)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["identity"]


def test_relative_phase(ax):
    rng = np.random.default_rng(0)
    z = rng.standard_normal((2, 5, 3)) + 1j * rng.standard_normal((2, 5, 3))
    turns = np.exp(1j * np.array([[0.5], [-1.0]]) * np.arange(5))[..., None]
    first, second = (np.stack([states.real, states.imag], 2) for states in (z, 2.0 * z * turns))
    plots.relative_phase(first, second, ax, label="pairs")
    steps = np.arange(5)
    np.testing.assert_allclose(ax.lines[0].get_ydata(), 0.5 * steps, atol=1e-12)
    np.testing.assert_allclose(ax.lines[1].get_ydata(), np.angle(np.exp(-1j * steps)), atol=1e-12)
    assert ax.lines[0].get_label() == "pairs"
    assert len(ax.get_legend_handles_labels()[1]) == 1


def test_a_family_has_one_colour_in_all_figures(ax):
    plots.versus_parameters(paper_results(PSMNIST), ax)
    drawn = {container.get_label(): rgb(container[0]) for container in ax.containers}
    names = ["GRU 32", "O(18) RNN 32", "RNN 32", "U(1) GRU 32"]
    assert drawn.keys() == {plots.family_of(name) for name in names}
    for name in names:
        assert plots.look(name, names)["color"] == drawn[plots.family_of(name)] == plots.look(name, [name])["color"]
    assert len(set(plots.FAMILIES.values())) == len(plots.FAMILIES)
    # the kinds that are trained
    kinds = ["generic(6) RNN", "generic(2) GRU", "U(1) RNN", "grid RNN"]
    settings = [Setting(kind, 9, channels=2).name for kind in kinds]
    assert [plots.family_of(name) for name in settings] == ["generic(k) RNN", "generic(k) GRU", "U(1) RNN", "grid RNN"]
    # models that share a family are told apart, sizes and controls alike
    several = ["RNN 32", "RNN 83", "GRU 32", "RNN 32, blank trained"]
    plain, pale, other, paler = (plots.look(name, several) for name in several)
    assert [each["color"] for each in (plain, other)] == [plots.FAMILIES[kind].lower() for kind in ("RNN", "GRU")]
    for key in ("color", "ls", "marker"):
        assert len({each[key] for each in (plain, pale, paler)}) == 3
    light = [sum(matplotlib.colors.to_rgb(each["color"])) for each in (plain, pale, paler)]
    assert light == sorted(light)


def test_numbers_of_parameters_have_a_logarithmic_axis_where_they_differ_by_more_than_a_factor_of_two():
    printed = paper_results(PSMNIST)
    narrow = printed.isel(group=printed.parameters.values < 20_000)
    assert narrow.sizes["group"] == 4
    scales = [plots.versus_parameters(each, Figure().subplots()).get_xscale() for each in (printed, narrow)]
    assert scales == ["log", "linear"]


def test_accuracies_have_a_linear_axis():
    def result(name):
        curves = (("model", "step"), [[0.1, 0.9]], {"long_name": name})
        coords = {"label": ("model", ["GRU 4"]), "step": ("step", [1, 2], {"long_name": "batches"})}
        return xr.Dataset({name: curves}, coords=coords)

    scales = {
        name: plots.losses(result(name), Figure().subplots(), name).get_yscale()
        for name in ("validation_accuracy", "validation_loss")
    }
    assert scales == {"validation_accuracy": "linear", "validation_loss": "log"}


def test_every_seed_stands_at_its_learning_rate(ax):
    values = np.array([[0.9, 0.4], [0.9, 0.2], [0.9, 0.3], [0.9, 0.8]])  # the last step is what is drawn
    result = xr.Dataset(
        {"test_loss": (("model", "step"), values, {"long_name": "test cross-entropy"})},
        coords={
            "label": ("model", ["RNN 1", "RNN 1", "RNN 1", "GRU 1"]),
            "learning_rate": ("model", [0.01, 0.01, 0.1, 0.1]),
            "step": ("step", [0, 1]),
        },
    )
    plots.versus_rate(result, ax, chance=0.7)
    dots, means, others, other_mean, dotted = ax.lines
    np.testing.assert_array_equal(dots.get_ydata(), [0.4, 0.2, 0.3])
    np.testing.assert_allclose(means.get_ydata(), [0.3, 0.3])
    np.testing.assert_allclose(means.get_xdata(), [0.01, 0.1], rtol=0.05)
    assert means.get_xdata()[1] < 0.1 < other_mean.get_xdata()[0]  # side by side
    np.testing.assert_array_equal(others.get_ydata(), other_mean.get_ydata())
    assert list(dotted.get_ydata()) == [0.7, 0.7]
    assert [text.get_text() for text in ax.get_xticklabels()] == ["0.01", "0.1"]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["RNN 1", "GRU 1", "without memory"]
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("learning rate", "test cross-entropy [nats]")
    assert ax.get_yscale() == "log"


@pytest.mark.parametrize("task", [COPY, PSMNIST])
def test_every_axis_says_what_it_is(task, ax):
    plots.versus_parameters(paper_results(task), ax)
    assert ax.get_xlabel()
    assert ax.get_ylabel()
