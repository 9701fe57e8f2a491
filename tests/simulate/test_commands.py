import re
import sys
from contextlib import contextmanager
from dataclasses import fields
from inspect import signature

import matplotlib
import numpy as np
import pytest
import torch
import xarray as xr
from scipy.integrate import quad

import simulate.__main__ as command_line
from meanfield import Ensemble, fluctuations, length_map, overlap_fluctuations
from simulate import commands, ensemble_statistics, load_images
from simulate.blocks import PartialResultWarning
from simulate.figure2 import figure2, plot_figure2


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    def run(*arguments, out):
        monkeypatch.setattr(sys, "argv", ["simulate", *map(str, arguments), "--out", str(tmp_path / out)])
        return command_line.main(), capsys.readouterr(), tmp_path / out

    return run


@pytest.mark.parametrize("sampler", ["networks", "collective"])
def test_run_writes_what_it_says(run, sampler):
    sizes = ["--width", 6, "--depth", 4, "--n-networks", 20, "--sigma-w", 0.9, 1.5, "--sampler", sampler]
    code, printed, out = run("run", "--symmetry", "O(3)", *sizes, "--device", "cpu", out="deep/run.nc")
    assert code == 0
    with xr.open_dataset(out) as written:
        assert written.sizes["sigma_w"] == 2
        assert written.sizes["layer"] == 5
        assert written.attrs["sampler"] == sampler
        assert f"{float(written.c[1, -1, 0]):.6g}" in printed.out


@pytest.mark.parametrize("symmetry", ["U(1)", "O(3)", "generic(2)"])
def test_run_prints_the_theory_beside_what_it_measured(run, symmetry):
    """Sampled networks lie around it, within errors and what theory says of their width."""
    sizes = ["--width", 256, "--depth", 3, "--n-networks", 64, "--sigma-w", 0.9, 1.5]
    _, printed, _ = run("run", "--symmetry", symmetry, *sizes, "--device", "cpu", out="run.nc")
    head, _, *lines = printed.out.splitlines()[:4]
    one, two = load_images().features([0, 10])
    cosine = one @ two / np.linalg.norm(one) / np.linalg.norm(two)
    width = overlap_fluctuations(3, 256, [0.9, 1.5], d=1.0, delta=cosine, symmetry=symmetry).isel(layer=-1)
    for line, told in zip(lines, (width.isel(sigma_w=number) for number in (0, 1)), strict=True):
        found = dict(zip(["sigma_w", *head.split()], map(float, line.split()), strict=True))
        assert found["sigma_w"] == told.sigma_w
        for name, shift in (("c", told.mean_shift), ("delta", told.delta_shift)):
            deviation = found[name] - found[f"{name}_theory"]
            assert abs(deviation) < 5.0 * found[f"{name}_se"] + 2.0 * abs(float(shift)), name
    _, printed, _ = run("run", "--images", 3, *sizes, "--device", "cpu", out="run.nc")
    assert "c_theory" in printed.out
    assert "delta" not in printed.out.splitlines()[0]
    for image in range(20):  # the same twice, whose directions' product may round to more than one
        code, printed, _ = run("run", "--images", image, image, "--depth", 1, "--n-networks", 2, out="run.nc")
        assert code == 0


def test_run_takes_every_option(run):
    sizes = {"width": 6, "depth": 2, "n_networks": 20, "seed": 3, "dtype": "float64", "device": "cpu"}
    options = [text for name, value in sizes.items() for text in (f"--{name.replace('_', '-')}", value)]
    _, _, out = run("run", *options, "--activation", "erf", "--images", 1, 7, out="run.nc")
    expected = ensemble_statistics(Ensemble("U(1)", "erf"), load_images().features([1, 7]), **sizes)
    with xr.open_dataset(out) as written:
        np.testing.assert_array_equal(written.gram, expected.gram)


def test_a_stopped_run_writes_what_it_has_and_is_no_success(run, monkeypatch):
    def stop(finished):
        raise KeyboardInterrupt

    @contextmanager
    def working(total, device):
        yield None, stop

    monkeypatch.setattr(commands, "working", working)
    sizes = ["--width", 6, "--depth", 4, "--n-networks", 64]
    with pytest.warns(PartialResultWarning):
        code, _, out = run("run", *sizes, "--device", "cpu", out="run.nc")
    assert code == 130
    with xr.open_dataset(out) as written:
        assert written.attrs["partial"] == 1


def test_figure2_of_a_users_activation():
    result = figure2(np.ones((1, 1)), [1.4, 1.8], activation=lambda r: r / (1.0 + r), width=8, depth=4, n_networks=16)
    ax = plot_figure2(result, matplotlib.figure.Figure().subplots())
    np.testing.assert_array_equal(ax.lines[0].get_ydata(), result.c_star_line)
    np.testing.assert_allclose(result.c_star_line[[0, -1]], result.c_star, rtol=1e-12)


def test_figure2_has_the_transition(run):
    """N = 16 networks against the theory: dead below, and in the broken phase as near c* as order 1/N lets them."""
    code, printed, out = run("figure2", "--n-networks", 64, "--depth", 60, "--sampler", "collective", out="two.png")
    assert code == 0
    assert out.stat().st_size > 10_000
    with xr.open_dataset(out.with_suffix(".nc")) as result:
        assert result.attrs["depth"] == 60
        assert np.all(result.c.sel(sigma_w=slice(0.4, 0.75)) < 1e-6)
        np.testing.assert_array_equal(result.c_star.sel(sigma_w=slice(0.4, 0.95)), 0.0)
        broken = result.sel(sigma_w=[1.5, 2.0, 2.5], method="nearest")
        # Eq. (8) by quadrature in sympy's and scipy's hands: 0.483232 at 1.5; see tests/meanfield
        assert float(broken.c_star[0]) == pytest.approx(0.483232, abs=1e-6)
        # what is left after order 1/N is smaller than it
        shift = np.abs(fluctuations(16, broken.sigma_w.values).mean_shift.values)
        assert np.all(np.abs(broken.c - broken.c_star) < 5 * broken.c_se + 2 * shift)
        columns = {row.split()[0]: row.split()[1:] for row in printed.out.splitlines() if row[:3] in ("1.0", "1.5")}
        assert len(columns["1.0"]) == 4  # without c_width
        assert columns["1.5"][:2] == ["0.4832", f"{float(result.c_width.sel(sigma_w=1.5)):.4f}"]
    assert "c_width: theory for N = 16" in printed.out


def test_figure2_has_the_theory_of_its_width_where_there_is_one():
    """Its parts by differences of the length map, and <f^4> by quadrature. What is left after order 1/N is less than a
    fifth of it, and it is more than what the networks scatter by.
    """
    n, sigma_w = 16, 1.5
    result = figure2([[1.0]], [1.0, sigma_w], width=n, depth=20, n_networks=8192, sampler="collective", device="cpu")
    assert np.isnan(result.c_width[0])
    c, h = float(result.c_star[1]), 1e-4
    below, at, above = length_map([c - h, c, c + h], sigma_w)
    r = lambda x: np.tanh(sigma_w * np.sqrt(c * x / 2.0))  # noqa: E731 - |z|^2 = sigma_w^2 c x/2, x of chi-squared law
    fourth = quad(lambda x: 0.5 * np.exp(-x / 2.0) * r(x) ** 4, 0.0, np.inf)[0]
    slope, bend = (above - below) / (2.0 * h), (above - 2.0 * at + below) / h**2
    expected = c + 0.5 * bend * (fourth - c**2) / (1.0 - slope**2) / (1.0 - slope) / n
    assert float(result.c_width[1]) == pytest.approx(expected, abs=1e-6)
    error, shift = float(result.c_se[1]), abs(expected - c)
    assert abs(float(result.c[1]) - expected) < 4 * error + 0.2 * shift
    assert shift > 5 * error


def test_figure2_draws_the_theory_of_its_width_where_there_is_one():
    sizes = {"depth": 1, "n_networks": 2, "device": "cpu"}
    result = figure2([[1.0]], [0.5, 2.0], **sizes)
    lines = plot_figure2(result, matplotlib.figure.Figure().subplots()).lines
    np.testing.assert_array_equal(lines[1].get_ydata(), result.c_width_line)
    assert lines[1].get_label() == "theory, $N = 16$"
    drawn = result.c_width_line.notnull()
    np.testing.assert_array_equal(drawn, fluctuations(16, result.sigma_w_line.values).wide)
    assert 0.2 < drawn.mean() < 0.95
    # 16 capsules of 4 components: N > k^2 holds nowhere
    result = figure2([[1.0]], [0.5, 2.0], "O(4)", **sizes)
    assert result.c_width_line.isnull().all()
    ax = plot_figure2(result, matplotlib.figure.Figure().subplots())
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == [r"theory, $N = \infty$", "$N = 16$, $L = 1$, 2 networks"]


def test_the_theory_of_figure2_is_that_of_its_networks():
    """E f^2 = 1 for f = 1, at every sigma_w; the samples say so too."""
    result = figure2([[1.0]], [0.5, 1.5], "O(3)", "saturated", width=4, depth=1, n_networks=2, device="cpu")
    np.testing.assert_allclose(result.c_star, 1.0, rtol=1e-12)
    np.testing.assert_allclose(result.c, 1.0, rtol=1e-6)


@pytest.mark.parametrize("inputs", [3.0, [1.0, 2.0], "image"])
def test_figure2_asks_for_rows_of_features(inputs):
    with pytest.raises(ValueError, match="inputs must "):
        figure2(inputs, width=4, depth=1, n_networks=2, device="cpu")


def test_figure2_is_the_last_layer_of_its_networks():
    sizes = {"sigma_w": [0.8, 1.5], "width": 4, "depth": 3, "n_networks": 4, "seed": 1, "device": "cpu"}
    networks = ensemble_statistics(Ensemble("O(3)"), [[1.0]], **sizes)
    result = figure2([[1.0]], symmetry="O(3)", **sizes)
    for name in ("c", "c_se"):
        np.testing.assert_array_equal(result[name], networks[name].values[:, 3, 0])


def test_plot_figure2_shows_theory_as_a_line_and_samples_as_points():
    result = figure2(load_images().features([0]), [0.8, 1.5], width=4, depth=5, n_networks=8, device="cpu")
    ax = plot_figure2(result, matplotlib.figure.Figure().subplots())
    (line, *_), (bars,) = ax.lines, ax.containers
    assert line.get_xdata().size > 100
    np.testing.assert_array_equal(bars.lines[0].get_ydata(), result.c)
    assert ax.get_xlabel() == r"weight scale $\sigma_w$"
    assert "N = 4" in ax.get_legend().get_texts()[-1].get_text()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--width", 0], "width must be an integer >= 1, got 0"),
        (["run", "--symmetry", "SU(3)"], "symmetry must be"),
        (["run", "--device", "tpu"], "device must be"),
        (["figure2", "--n-networks", 1], "n_networks must be an integer >= 2, got 1"),
        (
            ["run", "--activation", "linear", "--sigma-w", 1000, "--depth", 200, "--width", 4, "--n-networks", 2],
            "c outgrows float64 numbers at layer 5",
        ),
    ],
)
def test_bad_arguments_are_exit_code_2(run, arguments, message):
    code, printed, out = run(*arguments, out="never.nc" if arguments[0] == "run" else "never.png")
    assert code == 2
    assert message in printed.err
    assert not out.exists()


COMPUTING = {
    "verify": "verify",
    "run": "ensemble_statistics",
    "figure2": "figure2",
    "figure9": "figure9",
    "glance": "glance",
}


@pytest.fixture
def refused(monkeypatch, tmp_path, capsys):
    """Run a command that must end before it computes; returns its message."""

    def computed(*arguments, **options):
        raise AssertionError("it was begun")

    def refused(command, *arguments):
        monkeypatch.setattr(commands, COMPUTING[command], computed)
        monkeypatch.setattr(sys, "argv", ["simulate", command, *map(str, arguments)])
        assert command_line.main() == 2
        return capsys.readouterr().err

    monkeypatch.chdir(tmp_path)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "folder.png").mkdir()
    (tmp_path / "folder.nc").mkdir()
    (tmp_path / "folder.csv").mkdir()
    yield refused
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "folder.csv", "folder.nc", "folder.png"]


@pytest.mark.parametrize(
    ("out", "message"),
    [
        ("", "out must end in .*, got ."),
        ("f", "out must end in .*, got f"),
        ("f.txt", "out must end in .*, got f.txt"),
        ("file/f{}", "out must be a file that can be written, got file/f.*: Not a directory"),
        ("folder{}", "out must be a file, got folder.*, which is a folder"),
    ],
)
@pytest.mark.parametrize("command", COMPUTING)
def test_what_cannot_be_written_is_refused_before_the_computation(refused, command, out, message):
    told = refused(command, "--out", out.format(".nc" if command == "run" else ".png"))
    assert re.fullmatch(f"error: {message}\n", told)


@pytest.mark.parametrize(
    ("command", "ending"), [("verify", "csv"), ("figure2", "nc"), ("figure9", "nc"), ("glance", "nc")]
)
def test_nor_is_what_goes_beside_it(refused, command, ending):
    told = refused(command, "--out", "folder.pdf")
    assert told == f"error: out must be a file, got folder.{ending}, which is a folder\n"


def test_each_sampler_of_a_verification_has_its_own_files(refused, tmp_path):
    (tmp_path / "v_collective.csv").mkdir()
    told = refused("verify", "--full", "--out", "v.png")
    assert told == "error: out must be a file, got v_collective.csv, which is a folder\n"
    (tmp_path / "v_collective.csv").rmdir()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--images", 0, 1797], "images must be numbers from 0 to 1796, got 1797"),
        (["run", "--images", -1], "images must be numbers from 0 to 1796, got -1"),
        (["run", "--images"], "images must name at least one image, got none"),
        (
            ["verify", "--samplers", "networks", "networks"],
            "samplers must name each sampler once, got networks networks",
        ),
    ],
)
def test_what_does_not_exist_or_comes_twice_is_refused_before_the_computation(refused, arguments, message):
    assert refused(*arguments) == f"error: {message}\n"


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["run", "--width", 0], "width must be an integer >= 1, got 0"),
        (["run", "--seed", 2**64], "seed must be at most 2^64 - 1, got 18446744073709551616"),
        (["figure9", "--quick", "--depths", 5, -1], "depths must be an integer >= 0, got -1"),
        (["figure9", "--quick", "--depths", 3, 3], "depths must name each depth once, got 3, 3"),
        (["glance", "--depth", 0], "depth must be an integer >= 1, got 0"),
    ],
)
def test_the_message_is_all_that_is_printed(run, arguments, message):
    code, printed, out = run(*arguments, out="never.nc" if arguments[0] == "run" else "never.png")
    assert (code, printed.out, printed.err) == (2, "", f"error: {message}\n")
    assert not out.exists()


def test_the_largest_seed_can_be_written(run):
    sizes = ["--width", 4, "--depth", 1, "--n-networks", 2, "--device", "cpu"]
    code, _, out = run("run", *sizes, "--seed", 2**64 - 1, out="run.nc")
    assert code == 0
    with xr.open_dataset(out) as written:
        assert written.attrs["seed"] == 2**64 - 1


def test_figure9_writes_both_models(run):
    code, printed, out = run("figure9", "--quick", "--depths", 2, 4, "--device", "cpu", out="nine.png")
    assert code == 0
    assert out.stat().st_size > 10_000
    with xr.open_dataset(out.with_suffix(".nc")) as result:
        assert list(result.model.values) == ["U(1)", "generic(2)"]
        np.testing.assert_allclose(result.protected[0], result.d[0], rtol=1e-10)
        assert f"{float(result.protected[1, -1, -1]):.4g}" in printed.out


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("verify", {"n_networks": 70, "seed": 3, "device": "cpu"}),
        (
            "figure2",
            {"symmetry": "O(3)", "width": 5, "depth": 7, "n_networks": 9, "sampler": "collective", "seed": 3}
            | {"device": "cpu"},
        ),
        ("figure9", {"symmetry": "O(3)", "depths": (2, 4), "seed": 3, "device": "cpu"}),
        ("glance", {"width": 5, "depth": 7, "n_networks": 9, "seed": 3, "device": "cpu"}),
    ],
)
def test_every_option_reaches_the_computation(run, monkeypatch, command, options):
    taken, names = {}, signature(getattr(commands, COMPUTING[command]))

    def computed(*given, **named):
        taken.update(names.bind(*given, **named).arguments)
        raise ValueError("enough")

    monkeypatch.setattr(commands, COMPUTING[command], computed)
    words = [
        word
        for name, value in options.items()
        for word in (f"--{name.replace('_', '-')}", *(value if isinstance(value, tuple) else [value]))
    ]
    code, printed, _ = run(command, *words, out="out.png")
    assert (code, printed.err) == (2, "error: enough\n")
    assert {name: taken[name] for name in options} == options


@pytest.mark.parametrize("command", COMPUTING)
def test_the_help_has_words_for_every_option(monkeypatch, capsys, command):
    monkeypatch.setattr(sys, "argv", ["simulate", command, "--help"])
    with pytest.raises(SystemExit):
        command_line.main()
    told = " ".join(re.sub("[│╭╮╰╯─]", " ", capsys.readouterr().out).split())
    for each in fields(commands.COMMANDS[command]):
        name = each.name.replace("_", "-")
        assert re.search(rf"--{name}\b((?!\(default: ).)*[a-z0-9)]\. \(default: ", told), name


def test_one_thread_for_each_core_and_as_many_as_before_afterwards():
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        with commands.working(1, "cpu"):
            assert torch.get_num_threads() == 1
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)
