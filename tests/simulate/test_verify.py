"""The whole run on small networks: verdict, table, figure and command line."""

import csv
import subprocess
import sys
from dataclasses import replace

import numpy as np
import pytest
from scipy import stats

import simulate.__main__ as command_line
import simulate.sampling
from meanfield import Ensemble
from simulate import Images, commands, load_images
from simulate.blocks import PartialResultWarning
from simulate.plots import deviations, layers, overview, phases, sweep
from simulate.report import comma_separated, table
from simulate.verify import Case, pair_of_one_class, verify
from simulate.verify_full import Identity

CASES = (Case(Ensemble("U(1)"), 16), Case(Ensemble("generic(2)"), 16))
SMALL = {"n_networks": 64, "cases": CASES, "sigma_w": (1.0, 3.0), "depth": 8, "device": "cpu"}


@pytest.fixture(scope="module")
def right():
    return verify(load_images(), **SMALL)


@pytest.fixture(scope="module")
def wrong():
    return verify(load_images(), **SMALL, theory_of=lambda e: Ensemble(e.symmetry, "erf", e.sigma_w))


def test_the_right_theory_passes(right):
    assert right.passed
    assert not right.failures
    assert len(right.comparisons) == 2 * (4 * 8 + 3)  # both sigma_w of the sweep, and the cases' own
    assert 5.0 < right.limit < 7.0
    assert 5e-6 < right.false_alarm_rate < 1e-4
    assert repr(right).endswith("standard errors: passed)")


def test_the_first_image_is_turned_by_a_sixth(right):
    phases = [row.theory for row in right.comparisons if row.quantity == "phi"]
    assert len(phases) == 8
    assert all(0.9 < phase < 1.2 for phase in phases)  # pi/3


def test_there_is_a_transient_to_compare(right):
    for case in CASES:
        c = [row.theory for row in right.of(case) if row.quantity == "c"]
        assert c[0] < 0.7 * c[-1]


def test_the_rate_of_false_alarms_counts_every_comparison_and_its_skewness(right):
    """Student's t with 63 degrees of freedom; tails grow by cosh of skewness times the limit's cube over 3."""
    assert right.limit == pytest.approx(stats.t.isf(1e-5 / (2 * 70), 63), rel=1e-9)
    skewness = np.array([row.skewness for row in right.comparisons])
    rate = 2 * stats.t.sf(right.limit, 63) * np.cosh(skewness * right.limit**3 / 3).sum()
    assert right.false_alarm_rate == pytest.approx(rate, rel=1e-9)
    assert rate > 1.1e-5


def test_one_identity_that_does_not_hold_is_enough_to_fail(right):
    identities = [Identity("U(1)", "an identity", error, 1.0) for error in (0.5, 2.0)]
    assert replace(right, identities=identities[:1]).passed
    assert not replace(right, identities=identities).passed


def test_a_wrong_theory_fails(wrong):
    assert not wrong.passed
    assert {row.case for row in wrong.failures} == {"U(1)", "generic(2)"}
    assert repr(wrong).endswith(f"{len(wrong.failures)} failed)")


def test_a_run_is_reproducible_and_follows_its_seed(right):
    assert verify(load_images(), **SMALL).comparisons == right.comparisons
    other = verify(load_images(), **SMALL, seed=1)
    assert all(a.measured != b.measured for a, b in zip(other.comparisons, right.comparisons, strict=True))


def test_each_width_of_each_case_has_its_own_seed(monkeypatch):
    seeds = []

    def recorded(*arguments, seed, **options):
        seeds.append(seed)
        return simulate.sample_collective(*arguments, seed=seed, **options)

    monkeypatch.setattr(simulate.verify, "function_of", lambda name: recorded)
    verify(load_images(), **SMALL)
    assert len(set(seeds)) == len(seeds) == 8


# ---- table ----------------------------------------------------------------------------------------------------------


def test_table_of_a_pass(right):
    text = table(right)
    assert "FAIL" not in text
    assert "PASS: theory and simulation agree in all 70 comparisons." in text
    assert f"at a rate of {right.false_alarm_rate:.0e}, below the promised 1e-04" in text
    assert "NOT below the promised" in table(replace(right, false_alarm_rate=2e-4))
    assert f"limit: {right.limit:.2f} standard errors for each of 70 comparisons;" in text
    assert "U(1), tanh: 64 networks of each width N = 4, 8, 16, 32" in text
    row = next(row for row in right.comparisons if row.quantity == "phi" and row.layer == 5)
    line = next(line for line in text.splitlines() if f"{row.measured:.5f}" in line)
    assert line.split() == [
        "1.5", "5", f"{row.theory:.5f}", f"{row.measured:.5f}", f"{row.standard_error:.5f}", f"{row.deviation:+.2f}",
        "pass",
    ]  # fmt: skip
    assert max(map(len, text.splitlines())) <= 120


def test_table_shows_every_failure(wrong):
    text = table(wrong)
    assert text.count("FAIL  <----") == len(wrong.failures)
    assert f"FAIL: theory and simulation disagree in {len(wrong.failures)} of 70 comparisons." in text


def test_all_comparisons_as_csv(wrong):
    rows = list(csv.DictReader(comma_separated(wrong).splitlines()))
    assert len(rows) == 70
    assert [float(row["measured"]) for row in rows] == [row.measured for row in wrong.comparisons]
    assert {row["agrees"] for row in rows} == {"True", "False"}
    assert sum(row["agrees"] == "False" for row in rows) == len(wrong.failures)


# ---- figure ---------------------------------------------------------------------------------------------------------


def test_overview_shows_theory_and_samples(right, tmp_path):
    figure = overview(right)
    figure.savefig(tmp_path / "figure.png")
    c_panel = figure.axes[0]
    u1 = [row for row in right.comparisons if (row.case, row.quantity) == ("U(1)", "c")]
    np.testing.assert_array_equal(c_panel.lines[0].get_ydata(), [row.theory for row in u1])
    np.testing.assert_array_equal(c_panel.lines[1].get_ydata(), [row.measured for row in u1])
    assert all(ax.get_xlabel() and ax.get_ylabel() for ax in figure.axes)


def test_plot_functions_return_their_axes(right):
    ax = overview(right).axes[0]
    for draw in (phases, sweep, deviations):
        assert draw(right, ax) is ax
    assert layers(right, ("c",), ax) is ax


# ---- command line ---------------------------------------------------------------------------------------------------


@pytest.fixture
def run(monkeypatch, tmp_path, capsys):
    """Run `python -m simulate verify` on two small cases; returns exit code, standard output and the figure's path."""
    monkeypatch.setattr(commands, "CASES", CASES)

    def run(*arguments):
        out = tmp_path / "figures" / "verify.png"
        monkeypatch.setattr(sys, "argv", ["simulate", "verify", "--n-networks", "64", "--out", str(out), *arguments])
        return command_line.main(), capsys.readouterr(), out

    return run


def test_agreement_is_exit_code_0(run):
    code, printed, out = run()
    assert code == 0
    assert "PASS: theory and simulation agree" in printed.out
    assert "digits: 1797" in printed.out
    assert out.stat().st_size > 20_000
    assert len(out.with_suffix(".csv").read_text().splitlines()) > 100


def test_both_samplers_are_verified_when_asked(run):
    code, printed, out = run("--samplers", "networks", "collective")
    assert code == 0
    assert [printed.out.count(f"sampler: {name}\n") for name in ("networks", "collective")] == [1, 1]
    beside = out.with_name("verify_collective.png").with_suffix(".csv")
    assert beside.read_text() != out.with_suffix(".csv").read_text()


@pytest.mark.parametrize("failing", ["networks", "collective"])
def test_one_sampler_that_disagrees_is_exit_code_1(run, monkeypatch, right, wrong, failing):
    """Whichever it is; and what is full is so with the first one alone."""
    full = {}

    def verified(*_, sampler, **options):
        full[sampler] = options["full"]
        return wrong if sampler == failing else right

    monkeypatch.setattr(commands, "verify", verified)
    monkeypatch.setattr(commands.Verify, "_write", lambda *_: None)
    assert run("--full")[0] == 1
    assert full == {"networks": True, "collective": False}


def test_a_collective_sampler_of_the_wrong_variance_fails(monkeypatch):
    right = simulate.collective.Collective._next_root
    monkeypatch.setattr(simulate.collective.Collective, "_next_root", lambda self, *x: np.sqrt(2) * right(self, *x))
    assert not verify(load_images(), sampler="collective", **SMALL).passed


def test_a_run_that_was_stopped_gives_no_verdict():
    def stop(_):
        raise KeyboardInterrupt

    with pytest.warns(PartialResultWarning), pytest.raises(RuntimeError, match="needs all of its networks"):
        verify(load_images(), progress=stop, **SMALL)


@pytest.mark.parametrize("stopped", ["networks", "sample_jacobians", "sample_collective"])
def test_it_is_not_gone_on_with(monkeypatch, stopped):
    """Whatever is stopped, at its first width: nothing else is sampled, and nothing compared."""
    sizes, calls = SMALL | {"cases": CASES[:1], "n_networks": 128}, []

    def recorded(name, right):
        return lambda *arguments, **options: calls.append(name) or right(*arguments, **options)

    monkeypatch.setattr(simulate.verify, "function_of", lambda name: recorded(name, simulate.sample_collective))
    for name in ("sample_jacobians", "sample_collective"):
        right = getattr(simulate.verify_full, name)
        monkeypatch.setattr(simulate.verify_full, name, recorded(name, right))

    def stop(_):
        if calls[-1] == stopped:
            raise KeyboardInterrupt

    with pytest.warns(PartialResultWarning), pytest.raises(RuntimeError, match="needs all of its networks"):
        verify(load_images(), progress=stop, full=True, **sizes)
    order = ["networks", "sample_jacobians", "sample_collective"]
    assert calls == [name for name in order[: order.index(stopped)] for _ in range(4)] + [stopped]


def test_inputs_that_are_nearly_equal():
    """1 - rho = 6e-6 at layer 0, where a step in Delta must stay below c."""
    pixels = np.full((2, 8, 8), 200)
    pixels[1, ::2] += 1
    images = Images("two of a kind", pixels, np.zeros(2, int), white=255)
    assert verify(images, **SMALL).passed


@pytest.mark.parametrize("sigma_w", [(2.0, 3.0), (0.05, 0.5)])
def test_the_figure_of_any_sigma_w(sigma_w, tmp_path):
    cases = [Case(Ensemble("U(1)", sigma_w=sigma_w[0]), 16)]
    overview(verify(load_images(), **(SMALL | {"sigma_w": sigma_w, "cases": cases}))).savefig(tmp_path / "figure.png")


def test_the_misprinted_variance_in_the_networks_is_exit_code_1(run, monkeypatch):
    right = simulate.sampling.weight_std
    monkeypatch.setattr(simulate.sampling, "weight_std", lambda symmetry, n_in: np.sqrt(2) * right(symmetry, n_in))
    code, printed, out = run()
    assert code == 1
    assert "FAIL: theory and simulation disagree" in printed.out
    assert out.exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--n-networks", "8"], "n_networks must be an integer >= 64, got 8"),
        (["--data-dir", "/nowhere"], "data_dir must be a folder with IDX files, got /nowhere"),
        (["--seed", "-1"], "seed must be an integer >= 0, got -1"),
        (["--samplers"], "samplers must name at least one sampler, got none"),
        (["--full", "--samplers", "networks"], "samplers must be left out with full, which uses both, got networks"),
    ],
)
def test_bad_arguments_are_exit_code_2(run, arguments, message):
    code, printed, out = run(*arguments)
    assert code == 2
    assert message in printed.err
    assert not out.exists()


def test_as_a_program():
    done = subprocess.run(
        [sys.executable, "-m", "simulate", "verify", "--data-dir", "/nowhere"], capture_output=True, text=True
    )
    assert done.returncode == 2
    assert done.stderr.strip() == "error: data_dir must be a folder with IDX files, got /nowhere, which is no folder"


# ---- bad input ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("width", "message"), [(0, "width must be an integer >= 4, got 0"), (18, "multiple of 4")])
def test_bad_widths(width, message):
    with pytest.raises(ValueError, match=message):
        Case(Ensemble(), width)


@pytest.mark.parametrize(
    ("ensemble", "message"),
    [
        ("U(1)", r"ensemble must be a meanfield\.Ensemble, got 'U\(1\)'"),
        (Ensemble("O(1)"), r"ensemble must have capsules of at least two components.*, got O\(1\)"),
        (Ensemble("generic(1)"), r"ensemble must have capsules of at least two components.*, got generic\(1\)"),
        (Ensemble("U(1)", "tanh", 0.0), "sigma_w must be > 0, got 0"),
    ],
)
def test_ensembles_that_cannot_be_verified(ensemble, message):
    with pytest.raises(ValueError, match=message):
        Case(ensemble, 16)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"depth": 0}, "depth must be an integer >= 1, got 0"),
        ({"sigma_w": (0.0, 1.0)}, "sigma_w must be > 0, got 0"),
        ({"sigma_w": ()}, "sigma_w must not be empty"),
        ({"cases": ()}, "cases must be a sequence of one or more Case, got "),
        ({"cases": Case(Ensemble(), 8)}, "cases must be a sequence of one or more Case, got "),
        ({"cases": (Ensemble(),)}, "cases must be a sequence of one or more Case, got "),
        (
            {"cases": (Case(Ensemble(), 8), Case(Ensemble("U(1)", "erf"), 16))},
            r"cases must be of different symmetries, which name them, got U\(1\), U\(1\)",
        ),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        verify(load_images(), **SMALL | options)


def test_a_single_sigma_w():
    one, other = (verify(load_images(), **SMALL | {"sigma_w": sigma_w}) for sigma_w in (3.0, [3.0]))
    assert one.comparisons == other.comparisons


@pytest.mark.parametrize("factor", [1, 3])
def test_inputs_that_do_not_differ_are_refused(factor):
    pixels = np.stack([np.eye(4, dtype=np.uint8), factor * np.eye(4, dtype=np.uint8)])
    with pytest.raises(ValueError, match=r"images must hold two of one class that differ.*, got \[0, 1\]"):
        verify(Images("twice", pixels, np.zeros(2, np.int64), 3), **SMALL)


def test_two_images_of_one_class_are_needed():
    images = Images("three", np.ones((3, 2, 2), np.uint8), np.array([4, 5, 4]), 255)
    assert pair_of_one_class(images) == [0, 2]
    with pytest.raises(ValueError, match="got one of class 4"):
        pair_of_one_class(Images("two", images.pixels[:2], images.labels[:2], 255))
