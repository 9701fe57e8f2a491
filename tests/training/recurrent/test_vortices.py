from contextlib import ExitStack
from itertools import permutations

import matplotlib as mpl
import numpy as np
import pytest
import torch
import xarray as xr
from matplotlib.figure import Figure
from PIL import Image
from scipy.stats import ortho_group

from training import runner, table
from training.experiments import run_experiment
from training.recurrent import CopyTask, Setting, Training, stack, trained_vortices, unstack, vortex_memory
from training.recurrent.convolutional import ConvolutionalRNN, exact_convolutions
from training.recurrent.equations import phi
from training.recurrent.job import Job
from training.recurrent.plots import (
    animation,
    field,
    filmstrip,
    losses,
    seeds,
    spectrum,
    versus_parameters,
)
from training.recurrent.presets import PRESETS, Size
from training.recurrent.trained_vortices import counts, states, trained_model
from training.recurrent.vortex_memory import TWISTS, after_twists, decode, field_of_angles, recall
from training.recurrent.vortices import _lost_pairs, census, pair_distances, winding_numbers


def vortices_at(places, rows=9, columns=11):
    """The phase of prod (z - z_v)^charge, z = row + i column, with z_v in the middle of plaquettes."""
    z = np.arange(rows)[:, None] + 1j * np.arange(columns)
    field = np.ones_like(z)
    for row, column, charge in places:
        factor = z - (row + 0.5 + 1j * (column + 0.5))
        field = field * (factor if charge > 0 else factor.conj())
    return np.angle(field)


PLACES = [(1, 2, 1), (4, 7, -1), (6, 1, 1), (5, 5, 1)]


@pytest.mark.parametrize("turn", [0.0, 1.0, 3.0])
def test_known_vortices_on_an_open_grid(turn):
    wanted = np.zeros((8, 10), int)
    for row, column, charge in PLACES:
        wanted[row, column] = charge
    phase = vortices_at(PLACES) + turn
    assert np.array_equal(winding_numbers(phase, periodic=False), wanted)
    # the same modulo 2 pi, and mirrored, which changes all signs
    assert np.array_equal(winding_numbers(np.angle(np.exp(1j * phase)), periodic=False), wanted)
    assert np.array_equal(winding_numbers(-phase, periodic=False), -wanted)
    assert np.array_equal(winding_numbers(phase[:, ::-1], periodic=False), -wanted[:, ::-1])


def test_known_vortices_on_a_torus():
    """sin x + i sin y has four zeros, of the signs of cos x cos y."""
    x, y = np.meshgrid(2 * np.pi * (np.arange(12) + 0.3) / 12, 2 * np.pi * (np.arange(10) + 0.6) / 10, indexing="ij")
    winding = winding_numbers(np.angle(np.sin(x) + 1j * np.sin(y)), periodic=True)
    wanted = np.zeros((12, 10), int)
    # zeros at x = 0, pi and y = 0, pi, just before the first and the middle site; -1 is the last plaquette
    wanted[-1, -1] = wanted[5, 4] = 1
    wanted[-1, 4] = wanted[5, -1] = -1
    assert np.array_equal(winding, wanted)


def test_periodic_grids_have_no_winding_in_all():
    rng = np.random.default_rng(0)
    for phase in (rng.uniform(-np.pi, np.pi, (20, 7, 8)), np.pi * rng.integers(0, 2, (20, 6, 6)).astype(float)):
        winding = winding_numbers(phase, periodic=True)
        assert winding.shape == phase.shape
        assert np.all(winding.sum((1, 2)) == 0)
        assert np.abs(winding).max() <= 2
    assert np.any(winding_numbers(rng.uniform(-np.pi, np.pi, (7, 8)), periodic=True))


@pytest.mark.parametrize("periodic", [False, True])
def test_the_way_back_is_minus_the_way_there(periodic):
    """Also where neighbours are opposite, and either way is as short: the conjugate field has the opposite windings."""
    phase = np.random.default_rng(6).integers(-2, 3, (50, 5, 6)) * (np.pi / 2.0)
    winding = winding_numbers(phase, periodic=periodic)
    assert (winding != 0).any()
    np.testing.assert_array_equal(winding_numbers(-phase, periodic=periodic), -winding)


def test_open_grids_wind_as_their_edge_does():
    rng = np.random.default_rng(1)
    for phase in rng.uniform(-np.pi, np.pi, (20, 6, 7)):
        edge = np.concatenate([phase[:-1, 0], phase[-1, :-1], phase[:0:-1, -1], phase[0, :0:-1]])
        steps = np.angle(np.exp(1j * (np.roll(edge, -1) - edge)))
        assert winding_numbers(phase, periodic=False).sum() == np.rint(steps.sum() / (2 * np.pi))


@pytest.mark.parametrize("periodic", [False, True])
def test_pairs_by_trying_all(periodic):
    rng = np.random.default_rng(2)
    shifts = [(9 * i, 8 * j) for i in (-1, 0, 1) for j in (-1, 0, 1)] if periodic else [(0, 0)]

    def apart(a, b):
        return min(np.hypot(*(a - b + shift)) for shift in shifts)

    for _ in range(10):
        winding = np.zeros((9, 8), int)
        cells = rng.choice(72, 7, replace=False)
        plus, minus = np.stack(np.divmod(cells[:3], 8), 1), np.stack(np.divmod(cells[3:], 8), 1)
        winding[tuple(plus.T)], winding[tuple(minus.T)] = 1, -1
        best = min(sum(apart(a, b) for a, b in zip(plus, order, strict=True)) for order in permutations(minus, 3))
        distances = pair_distances(winding, periodic=periodic)
        assert len(distances) == 3
        assert sum(distances) == pytest.approx(best, rel=1e-12)
    assert pair_distances(np.ones((3, 3), int), periodic=False) == []
    twice = np.array([[2, 0, -1], [0, 0, 0], [0, 0, -1]])  # has two partners
    assert sorted(pair_distances(twice, periodic=False)) == pytest.approx([2.0, np.sqrt(8.0)])


def test_census_of_an_annihilation():
    """A pair approaches, and is gone; another vortex stays, far away."""
    paths = [[(2, 2, 1), (2, 6, -1), (6, 8, 1)], [(2, 3, 1), (2, 5, -1), (6, 8, 1)], [(6, 8, 1)]]
    states = np.exp(1j * np.stack([vortices_at(places) for places in paths]))
    table = census(states, periodic=False)
    assert table.positive.values.tolist() == [2, 2, 1]
    assert table.negative.values.tolist() == [1, 1, 0]
    np.testing.assert_allclose(table.distance, [4.0, 2.0, np.nan])
    np.testing.assert_allclose(table.kept, [1.0, 1 / 3, np.nan])
    np.testing.assert_array_equal(table.annihilated, [0, 1, np.nan])
    np.testing.assert_array_equal(table.created, [0, 0, np.nan])
    backwards = census(states[::-1], periodic=False)
    np.testing.assert_array_equal(backwards.created, [1, 0, np.nan])
    np.testing.assert_array_equal(backwards.annihilated, [0, 0, np.nan])
    # of 80 plaquettes 9 are a vortex or next to it
    np.testing.assert_allclose(table.chance, [(2 * 18 + 9) / 240, 2 * 9 / 240, np.nan])
    assert all(variable.attrs["long_name"] for variable in table.values())


def test_a_pair_that_appears_where_another_is_lost():
    """Their number stays; and vortices that vanish far from each other are no pair."""
    paths = [[(2, 2, 1), (2, 4, -1)], [(6, 6, 1), (6, 8, -1)]]
    table = census(np.exp(1j * np.stack([vortices_at(places) for places in paths])), periodic=False)
    assert table.positive.values.tolist() == [1, 1]
    assert table.annihilated[0] == table.created[0] == 1
    paths = [[(2, 1, 1), (2, 8, -1)], [(7, 5, 1)]]
    table = census(np.exp(1j * np.stack([vortices_at(places) for places in paths])), periodic=False)
    assert table.annihilated[0] == table.created[0] == 0


def test_on_a_periodic_grid_pairs_are_lost_and_found_over_the_edge():
    """Distances are those over the edge, where there is none."""
    winding = np.zeros((2, 9, 8), int)
    winding[0, 0, 3], winding[0, 8, 3] = 1, -1  # neighbours over the edge
    assert _lost_pairs(winding[0], winding[1], periodic=True) == 1
    assert _lost_pairs(winding[0], winding[1], periodic=False) == 0
    last = np.zeros((9, 8), int)
    last[8, 3], last[8, 4] = 1, -1
    moved = np.roll(last, 1, axis=0)  # both over the edge, by one
    assert _lost_pairs(last, moved, periodic=True) == 0
    assert _lost_pairs(last, moved, periodic=False) == 1
    twice = np.zeros((9, 8), int)
    twice[4, 4], twice[4, 5], twice[4, 3] = 2, -1, -1  # a winding of 2 is two vortices
    assert _lost_pairs(twice, np.zeros_like(twice), periodic=True) == 2


@pytest.mark.parametrize(("places", "beside"), [([(0, 4, 1), (7, 4, 1)], 6), ([(3, 0, 1), (3, 9, 1)], 6)])
def test_the_edges_of_an_open_grid_are_not_neighbours(places, beside):
    """A vortex goes over one edge, and another comes in over the opposite one."""
    table = census(np.exp(1j * np.stack([vortices_at([place]) for place in places])), periodic=False)
    np.testing.assert_array_equal(table.kept, [0.0, np.nan])
    np.testing.assert_allclose(table.chance, [beside / 80, np.nan])


def test_vortices_that_have_nothing_to_do_with_each_other_are_kept_by_chance():
    """Fields of random phases, and fields that stay; vortices are dense there, so that chance alone keeps most."""
    phases = np.random.default_rng(4).uniform(0.0, 2.0 * np.pi, (300, 8, 9))
    table = census(np.exp(1j * phases), periodic=True)
    excess = (table.kept - table.chance).values[:-1:2]  # of pairs that share no field
    assert abs(excess.mean()) < 4.0 * excess.std(ddof=1) / np.sqrt(excess.size)
    assert 0.8 < table.chance.mean() < 0.95
    still = census(np.exp(1j * np.repeat(phases[:1], 3, axis=0)), periodic=True)
    np.testing.assert_array_equal(still.kept[:2], 1.0)
    # by brute force: the mean over all shifts of the later field
    first, second = (np.exp(1j * each) for each in phases[:2])
    shifted = [
        census(np.stack([first, np.roll(second, (i, j), (0, 1))]), periodic=True).kept[0].item()
        for i in range(8)
        for j in range(9)
    ]
    assert table.chance[0].item() == pytest.approx(np.mean(shifted), rel=1e-12)


def complex_layer(layer, x, h):
    """The equations with a complex convolution written as shifts: periodic ones by roll, open ones by padding."""
    n = layer.channels * layer.side**2
    encoder = torch.complex(layer.encoder[:n], layer.encoder[n:])
    kernel = torch.complex(*layer.kernel)
    states = []
    for t in range(x.shape[1]):
        total = (x[:, t].to(encoder.dtype) @ encoder.T).unflatten(1, h.shape[1:])
        for i in (-1, 0, 1):
            for j in (-1, 0, 1):
                if layer.padding == "circular":
                    moved = torch.roll(h, (-i, -j), (-2, -1))
                else:
                    wide = torch.nn.functional.pad(h, [1] * 4)
                    moved = wide[..., 1 + i : 1 + i + layer.side, 1 + j : 1 + j + layer.side]
                total = total + torch.einsum("oc,bcxy->boxy", kernel[:, :, i + 1, j + 1], moved)
        h = phi(total)
        states.append(h)
    return torch.stack(states, 1)


@pytest.mark.usefixtures("_double")
@pytest.mark.parametrize("padding", ["circular", "zeros"])
def test_convolution_by_shifts(padding):
    layer = ConvolutionalRNN(3, 5, 2, padding=padding, recurrent="uniform")
    x = torch.randn(2, 4, 3, requires_grad=True)
    start = torch.randn(1, 2, layer.features, requires_grad=True)
    output, last = layer(x, start)
    wanted = complex_layer(layer, x, layer.grid(start[0]))
    torch.testing.assert_close(layer.grid(output), wanted)
    torch.testing.assert_close(layer.grid(last[0]), wanted[:, -1])
    probe = torch.randn_like(output)
    as_features = torch.cat([wanted.real.flatten(2), wanted.imag.flatten(2)], -1)
    inputs = [x, start, *layer.parameters()]
    found, expected = (torch.autograd.grad((states * probe).sum(), inputs) for states in (output, as_features))
    for own, other in zip(found, expected, strict=True):
        torch.testing.assert_close(own, other)


def test_settings_of_convolutions_belong_to_all_threads_inside():
    """Entered and left in the order of two threads that overlap."""

    def setting():
        return torch.backends.cudnn.conv.fp32_precision, torch.backends.cudnn.deterministic

    before = setting()
    assert before != ("ieee", True)
    first, second = ExitStack(), ExitStack()
    first.enter_context(exact_convolutions())
    second.enter_context(exact_convolutions())
    first.close()
    assert setting() == ("ieee", True)
    second.close()
    assert setting() == before
    assert isinstance(torch.backends.cudnn.allow_tf32, bool)  # which fails where the two ways are mixed


@pytest.mark.usefixtures("_double")
def test_convolution_is_equivariant():
    layer = ConvolutionalRNN(3, 5, 2, recurrent="uniform")
    x, start = torch.zeros(2, 4, 3), torch.randn(1, 2, layer.features)
    g = torch.from_numpy(ortho_group.rvs(2, random_state=0))
    g[:, 0] *= torch.linalg.det(g)
    before = layer.capsules(layer(x, start)[0])
    after = layer.capsules(layer(x, (g @ layer.capsules(start)).flatten(-2))[0])
    torch.testing.assert_close(after, g @ before)
    # and moves with the grid
    h = layer.grid(start[0]).roll((1, 2), (-2, -1))
    moved = layer(x, torch.cat([h.real.flatten(1), h.imag.flatten(1)], -1)[None])[0]
    torch.testing.assert_close(layer.grid(moved), layer.grid(layer(x, start)[0]).roll((1, 2), (-2, -1)))


def test_identity_kernel_leaves_states_where_they_are():
    layer = ConvolutionalRNN(2, 4, 3)
    start = torch.randn(1, 2, layer.features)
    z = layer.grid(start[0])
    torch.testing.assert_close(layer.grid(layer(torch.zeros(2, 1, 2), start)[1][0]), phi(z))


def test_the_paper_s_grid():
    layer = ConvolutionalRNN(10)
    assert layer.features == 2 * 16 * 400
    assert layer.kernel.numel() == 2 * 16 * 16 * 9
    output, _ = layer(torch.zeros(1, 2, 10))
    assert layer.grid(output).shape == (1, 2, 16, 20, 20)
    assert torch.all(output == 0.0)


def test_convolutions_can_be_stacked():
    torch.manual_seed(1)
    models = [ConvolutionalRNN(3, 4, 2, recurrent="uniform") for _ in range(2)]
    x = torch.randn(2, 5, 3)
    output, last = stack(models)(x)
    for i, model in enumerate(models):
        torch.testing.assert_close(output[i], model(x)[0])
        torch.testing.assert_close(last[i], model(x)[1][0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: ConvolutionalRNN(3, 2), "side must be an integer >= 3, got 2"),
        (lambda: ConvolutionalRNN(3, 4, 2, padding="same"), "padding must be 'circular' or 'zeros', got 'same'"),
        (lambda: winding_numbers(np.zeros((1, 5)), periodic=True), "phase must have at least 2 rows"),
        (lambda: winding_numbers(np.full((3, 3), np.nan), periodic=True), "phase must be finite real numbers"),
        (lambda: census(np.zeros((2, 3, 3)), periodic=True), "states must be complex"),
        (lambda: census(np.zeros((0, 3, 3), complex), periodic=True), "of at least one step, got complex128 of shape"),
        (lambda: filmstrip(np.ones((2, 3, 3), complex), [2]), r"steps must be one or more from 0 to 1, got \[2\]"),
        (lambda: filmstrip(np.ones((2, 3, 3), complex), []), r"steps must be one or more from 0 to 1, got \[\]"),
        (lambda: field_of_angles("rough", 1, 3, 2**32), r"seed must be at most 2\^32 - 1, .* got 4294967296"),
        (lambda: field(np.zeros((3, 3), complex), "speed", Figure().subplots()), "kind must be one of 'magnitude'"),
    ],
)
def test_bad_input(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_pictures(tmp_path):
    mpl.use("agg")
    states = np.exp(1j * np.stack([vortices_at(PLACES), vortices_at(PLACES[:2])]))
    figure = filmstrip(states, [0, 1], periodic=False)
    assert len(figure.axes) == 6
    drawn = figure.axes[4].images[0].get_array()
    assert np.array_equal(drawn, winding_numbers(np.angle(states[0]), periodic=False))
    np.testing.assert_allclose(figure.axes[3].images[0].get_array(), np.angle(states[1]))
    animation(states, periodic=False).save(tmp_path / "vortices.gif", writer="pillow")
    with Image.open(tmp_path / "vortices.gif") as movie:
        assert movie.n_frames == 2


def test_accuracy_against_parameters():
    data = {"mean": ("group", [3.0, 1.0, 2.0]), "std": ("group", [0.1] * 3), "parameters": ("group", [40, 10, 20])}
    summary = xr.Dataset(data, coords={"group": ["O(3) RNN 8", "GRU 4", "O(2) RNN 4"]})
    for variable in summary.values():
        variable.attrs["long_name"] = "text"
    ax = versus_parameters(summary, Figure().subplots())
    assert [container.get_label() for container in ax.containers] == ["O(k) RNN", "GRU"]
    np.testing.assert_allclose(ax.containers[0][0].get_data(), [[20, 40], [2.0, 3.0]])


def test_curves():
    from training.recurrent.autonomous import lyapunov_spectrum

    settings = [Setting("U(1) RNN", 4, seed=s) for s in (0, 1)]
    result = Training(CopyTask(1), settings, 4, batch=2, test_every=2).run().result()
    ax = losses(result, Figure().subplots())
    np.testing.assert_allclose([line.get_ydata() for line in ax.lines], result.test_loss)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["U(1) RNN 4"]
    exponents = lyapunov_spectrum(1.5, width=3, steps=5)
    ax = spectrum(exponents, Figure().subplots())
    np.testing.assert_allclose(ax.lines[0].get_ydata(), exponents.exponent[0])


def test_seeds_of_every_model():
    settings = [Setting(kind, 4, seed=s) for kind in ("RNN", "U(1) RNN") for s in (0, 1)]
    found = [Training(CopyTask(1), some, 4, batch=2).run().result() for some in (settings[:2], settings[2:])]
    result = xr.concat(found, "model", join="exact", combine_attrs="drop_conflicts")
    ax = seeds(result, Figure().subplots(), chance=2.0)
    dots = [line.get_ydata() for line in ax.lines if line.get_marker() == "."]
    np.testing.assert_allclose(dots, result.test_loss.values[:, -1].reshape(2, 2))
    assert [label.get_text() for label in ax.get_xticklabels()] == ["RNN 4", "U(1) RNN 4"]
    *models, _ = ax.containers  # the last is the legend's
    means = [container[0].get_ydata()[0] for container in models]
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["mean ± SD of the logarithm", "without memory"]
    np.testing.assert_allclose(means, np.sqrt(np.prod(dots, axis=1)))
    # the bars of a loss stay above zero, however far its seeds are apart
    apart = result.assign(test_loss=result.test_loss * 0.0 + [[1e-6], [1e-2], [1e-3], [1e-3]])
    (first, second) = (box.get_segments()[0][:, 1] for box in seeds(apart, Figure().subplots()).collections[:2])
    np.testing.assert_allclose(first, 1e-4 * 100.0 ** np.array([-np.sqrt(2.0), np.sqrt(2.0)]))
    np.testing.assert_allclose(second, [1e-3, 1e-3])


def test_states_of_a_trained_grid():
    task = CopyTask(3, fixed=True)
    model = Setting("grid RNN", 16, channels=2).build(10, every_step=True)
    found = states(model, task)
    assert found.shape == (2, task.steps, 4, 4)
    x, _ = task.batch(0, 1, [0], split="test")
    expected = model.layer.capsules(model.layer(x[0])[0])[0].detach().numpy()  # (steps, 2, channels * sites)
    np.testing.assert_array_equal(found[1, 5].real, expected[5, 0, 16:].reshape(4, 4))
    np.testing.assert_array_equal(found[1, 5].imag, expected[5, 1, 16:].reshape(4, 4))
    rows = list(counts(model, task))
    own = census(found[1], periodic=True)
    positive = [value for quantity, channel, _, value in rows if (quantity, channel) == ("positive", 1)]
    assert positive == own.positive.values.tolist()
    kept = {time: value for quantity, channel, time, value in rows if (quantity, channel) == ("kept", 1)}
    assert kept == {t: v for t, v in enumerate(own.kept.values.tolist()) if np.isfinite(v)}
    with pytest.raises(ValueError, match="model must be a single one on a grid, got CapsuleRNN, None models"):
        states(Setting("U(1) RNN", 4).build(10, every_step=True), task)


def test_all_that_is_counted_is_of_one_seed(monkeypatch):
    task, seeds = CopyTask(1, fixed=True), []
    model = Setting("grid RNN", 16, channels=1).build(10, every_step=True)

    def decoded(*_, seed):
        seeds.append(seed)
        return xr.DataArray([[0.25]], {"part": ["winding numbers"]}, ("part", "position"))

    monkeypatch.setattr(trained_vortices, "decode", decoded)
    rows = list(counts(model, task, seed=4))
    assert seeds == [4]
    assert rows[-1] == ("read_off", -1, 10, 0.25)
    wanted = census(states(model, task, seed=4)[0], periodic=True).positive.values.tolist()
    assert [value for quantity, *_, value in rows if quantity == "positive"] == wanted


@pytest.fixture(scope="module")
def small_grid():
    """A result of a grid of 4 x 4, two channels, that remembers nothing yet."""
    part = Job((Setting("grid RNN", 16, seed=3, channels=2),), 2, True, 3, batch=2, test_every=2, keep=True)
    outcome = runner.run(part)
    return table.as_dataset(outcome.rows, {"settings": Size((part,)).settings}, outcome.arrays), part


def test_a_trained_model_is_made_from_its_result(small_grid, tmp_path):
    result, part = small_grid
    table.write(result, tmp_path / "grid.csv")
    model, task = trained_model(table.read(tmp_path / "grid.csv"))
    assert task == CopyTask(2, fixed=True)
    trained = unstack(part.start().run().model)[0]
    x, _ = task.batch(5, 2, [1])
    # trained with another number of threads perhaps, which changes last bits
    torch.testing.assert_close(model(x[0]), trained(x[0]), rtol=1e-4, atol=1e-5)
    with pytest.raises(ValueError, match="result must have trained weights of a grid, got those of nothing"):
        trained_model(result[["value"]])
    (tmp_path / "grid.npz").write_bytes((tmp_path / "grid.npz").read_bytes()[:200])
    with pytest.raises(ValueError, match=r"grid.npz must be the trained weights of grid.csv, got others"):
        table.read(tmp_path / "grid.csv")


def test_models_of_every_seed_are_in_the_result(tmp_path):
    """Three, which a CPU trains in two stacks: each has its own weights, and is asked for by its seed."""
    result = run_experiment("figure12", "quick", out=tmp_path / "out.csv")
    again = table.read(tmp_path / "out.csv")
    (part,) = result.attrs["settings"]["parts"]
    x, _ = CopyTask(part["max_delay"], fixed=True).batch(5, 2, [1])
    for job in PRESETS["figure12"]["quick"].jobs(None, "cpu"):
        for setting, trained in zip(job.settings, unstack(job.start().run().model), strict=True):
            model, _ = trained_model(again, setting.seed)
            torch.testing.assert_close(model(x[0]), trained(x[0]), rtol=1e-4, atol=1e-5)
    first, other = (trained_model(again, seed)[0](x[0]) for seed in (None, 2))
    torch.testing.assert_close(first, trained_model(again, 0)[0](x[0]), rtol=0.0, atol=0.0)
    assert (first - other).abs().max() > 0.1
    with pytest.raises(ValueError, match="seed must be one of 0, 1, 2, got 7"):
        trained_model(again, 7)
    with pytest.raises(ValueError, match="result must have weights of its 2 seeds, got 3 models"):
        trained_model(again.isel(row=again.seed.values > 0))


def test_recall_counts_right_answers(small_grid):
    """With a readout that names one symbol always, the share is how often that symbol was to be recalled."""
    model, task = trained_model(small_grid[0])
    with torch.no_grad():
        model.readout_weight.zero_()
        model.readout_bias.zero_()[3] = 1.0
    _, targets = task.batch(0, 64, [0], split="test")
    expected = (targets == 3).sum() / (64 * 10)
    np.testing.assert_allclose(recall(model, task, [0.0, 1.0]), [expected] * 2, rtol=1e-6)


def test_recall_of_a_turned_state(small_grid):
    """A readout of minus the state sees a turn by pi as none, as long as no input interferes."""
    model, task = trained_model(small_grid[0])
    with torch.no_grad():
        model.layer.encoder[:, [0, 9]] = 0.0  # blank and go
    straight = recall(model, task, [0.0, np.pi])
    with torch.no_grad():
        model.readout_weight.neg_()
    np.testing.assert_allclose(recall(model, task, [np.pi, 0.0]), straight)
    assert straight.angle.attrs["units"] == "rad"


@pytest.fixture
def lasting(small_grid):
    """A grid whose phases are set by the first symbol, for good."""
    model, task = trained_model(small_grid[0])
    phase = torch.rand((2, 4, 4, 10), generator=torch.Generator().manual_seed(1)) * 2.0 * np.pi
    with torch.no_grad():
        model.layer.encoder.copy_(torch.stack([phase.cos(), phase.sin()]).flatten(0, 3))
        model.layer.encoder[:, 0] = 0.0  # blank
        model.layer.kernel.zero_()
        model.layer.kernel[0, :, :, 1, 1] = 30.0 * torch.eye(2)  # whatever comes later turns h by at most 1/30
    return model, task


def test_decoding_reads_what_is_there_and_nothing_else(lasting):
    """Where the first symbol sets all phases for good, phases and windings tell it, and saturated magnitudes do not."""
    model, task = lasting
    kernel = model.layer.kernel.detach().clone()
    with torch.no_grad():
        model.layer.kernel.zero_()
    forgetful = decode(model, task, 400)
    assert forgetful.dims == ("part", "position")
    assert (forgetful < 0.3).all()
    with torch.no_grad():
        model.layer.kernel.copy_(kernel)
    found = decode(model, task, 400)
    assert found.part.values.tolist() == ["winding numbers", "phases", "magnitudes"]
    assert (found.sel(part=["winding numbers", "phases"])[:, 0] > 0.9).all()
    assert (found.sel(part="magnitudes") < 0.3).all()
    assert (found.sel(part="winding numbers")[1:] < 0.5).all()
    with pytest.raises(ValueError, match="examples must be an integer >= 8, got 3"):
        decode(model, task, 3)


def test_decoders_are_tested_on_sequences_that_they_were_not_fitted_to(small_grid, monkeypatch):
    model, task = trained_model(small_grid[0])
    right, seen = CopyTask.batch, {}

    def recorded(self, *arguments, split="train", **options):
        x, targets = right(self, *arguments, split=split, **options)
        seen[split] = {bytes(symbols.argmax(-1).byte().numpy()) for symbols in x[0, :, :10]}
        return x, targets

    monkeypatch.setattr(CopyTask, "batch", recorded)
    decode(model, task, 64)
    assert {split: len(sequences) for split, sequences in seen.items()} == {"train": 64, "test": 16}
    assert not seen["train"] & seen["test"]


def test_without_a_twist_all_is_left(lasting):
    model, task = lasting
    left = after_twists(model, task, [0.0], examples=256)
    assert left.dims == ("twist", "angle", "part")
    assert left.twist.values.tolist() == list(TWISTS)
    assert left.angle.attrs["units"] == "rad"
    told = decode(model, task, 256).mean("position")
    for kind in TWISTS:
        own = left.sel(twist=kind).isel(angle=0)
        np.testing.assert_allclose(own.drop_sel(part="readout"), told)
        np.testing.assert_array_equal(own.sel(part="readout"), recall(model, task, [0.0])[0])


def test_a_readout_that_reads_phases_loses_them_by_any_twist(lasting):
    """One that always names the first symbol is right a tenth of the time, and otherwise by chance."""
    model, task = lasting
    with torch.no_grad():
        model.readout_weight.copy_(model.layer.encoder[:, : model.readout_weight.shape[0]].T)
        model.readout_bias.zero_()
    left = after_twists(model, task, [0.0, 3.0], examples=2000).sel(part="readout")
    expected, error = 0.1 + 0.9 / 8, np.sqrt(9 / 8 * 7 / 8) / 10 / np.sqrt(500)  # nine others, 500 sequences
    assert (abs(left.sel(angle=0.0) - expected) < 4.0 * error).all()
    assert (left.sel(angle=3.0) < expected - 0.04).all()


def test_what_a_turn_of_all_phases_leaves(lasting):
    """Winding numbers and magnitudes, to the last one; what reads phases along fixed directions loses them."""
    model, task = lasting
    left = after_twists(model, task, [0.0, 2.0], ("alike", "rough"), examples=400)
    alike, rough = left.sel(twist="alike"), left.sel(twist="rough")
    kept = ["winding numbers", "magnitudes"]
    np.testing.assert_array_equal(alike.sel(angle=2.0, part=kept), alike.sel(angle=0.0, part=kept))
    lost = left.sel(part="phases").diff("angle")
    assert (lost < -0.03).all()  # one of ten symbols was there to be lost
    assert rough.sel(part="winding numbers").diff("angle") < -0.03


def test_each_sequence_has_its_own_twist(lasting, monkeypatch):
    """Of 160 sequences, more than are run at a time, the last 60 are turned by pi: a readout of minus the state's."""
    model, task = lasting
    with torch.no_grad():
        model.layer.encoder[:, 9] = 0.0  # go: nothing interferes with a turn
        model.readout_weight.copy_(model.layer.encoder[:, : model.readout_weight.shape[0]].T)
        model.readout_bias.zero_()
    x, targets = (part[0] for part in task.batch(0, 160, [0], split="test"))
    answers = model.layer(x)[0] @ model.readout_weight.T
    sign = torch.where(torch.arange(160) < 100, 1.0, -1.0)[:, None, None]
    wanted = ((sign * answers).argmax(-1) == targets)[targets > 0].double().mean().item()
    turns = torch.where(torch.arange(160) < 100, 0.0, torch.pi)[:, None, None].expand(160, 4, 4)
    monkeypatch.setattr(vortex_memory, "field_of_angles", lambda *_: turns)
    left = after_twists(model, task, [1.0], ("rough",), examples=640)
    assert left.sel(part="readout").item() == pytest.approx(wanted, abs=1e-12)


@pytest.mark.parametrize("kind", TWISTS)
def test_fields_of_angles(kind):
    """Gaussian of variance 1 at each site; equal everywhere, of the four longest waves, or independent."""
    n, side = 4000, 6
    field = field_of_angles(kind, n, side, seed=5).expand(n, side, side).numpy()
    np.testing.assert_allclose((field**2).mean(0), 1.0, atol=5.0 * np.sqrt(2.0 / n))
    np.testing.assert_allclose(field.mean(0), 0.0, atol=5.0 / np.sqrt(n))
    power = (np.abs(np.fft.fft2(field)) ** 2).mean(0) / side**4
    longest = np.zeros((side, side))
    longest[[1, -1, 0, 0], [0, 0, 1, -1]] = 0.25
    expected = {
        "alike": np.eye(1, side**2).reshape(side, side),
        "smooth": longest,
        "rough": np.full_like(power, 1 / 36),
    }
    np.testing.assert_allclose(power, expected[kind], atol=6.0 * np.sqrt(2.0 / n) * expected[kind].max())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda m, t: after_twists(m, t, [-1.0]), "angles must be >= 0"),
        (
            lambda m, t: after_twists(m, t, [1.0], ("wild",)),
            r"kinds must be some of alike, smooth, rough, got \('wild',\)",
        ),
        (lambda m, t: after_twists(m, t, [1.0], examples=3), "examples must be an integer >= 8, got 3"),
    ],
)
def test_twists_that_are_refused(small_grid, call, message):
    with pytest.raises(ValueError, match=message):
        call(*trained_model(small_grid[0]))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8, np.uint64, np.float16])
def test_windings_of_whole_and_narrow_numbers(dtype):
    """Differences of unsigned numbers wrap around, and those of narrow ones overflow."""
    phase = np.random.default_rng(0).integers(0, 120, (20, 20))
    wanted = winding_numbers(phase.astype(float), periodic=True)
    assert np.array_equal(winding_numbers(phase.astype(dtype), periodic=True), wanted)
    assert np.any(wanted)
