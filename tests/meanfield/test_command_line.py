"""``python -m meanfield``: what it prints and writes, and what it refuses before it computes."""

import subprocess
import sys
from dataclasses import dataclass
from subprocess import PIPE

import numpy as np
import pytest
import xarray as xr

import meanfield.__main__ as command_line
from meanfield import finite_width_transition, overlap_depth_scale, readable_depth
from meanfield.command_line import finish, run_command


@pytest.fixture
def call(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)

    def call(*arguments):
        monkeypatch.setattr(sys, "argv", ["meanfield", *map(str, arguments)])
        return command_line.main(), capsys.readouterr()

    return call


def test_solve(call):
    """f = 1 in three dimensions: c* = 1, d* = sigma_w^2, and chi_c = 0."""
    code, printed = call("solve", "O(3)", 1.5, "--activation", "saturated")
    assert code == 0
    shown = {line.split()[0]: line.split()[1] for line in printed.out.splitlines()[1:]}
    assert float(shown["c*"]) == pytest.approx(1.0, rel=1e-12)
    assert float(shown["d*"]) == pytest.approx(2.25, rel=1e-11)
    assert float(shown["chi_c"]) == pytest.approx(0.0, abs=1e-12)


@pytest.mark.parametrize(
    ("sigma_w", "head"),
    [
        ("1.5", "O(4), tanh, sigma_w = 1.5: symmetry broken"),
        ("1.0000000001", "O(4), tanh, sigma_w = 1.0000000001: symmetry broken"),
        ("1", "O(4), tanh, sigma_w = 1: symmetry critical"),
    ],
)
def test_solve_says_which_sigma_w_it_solved(call, sigma_w, head):
    code, printed = call("solve", "O(4)", sigma_w)
    assert code == 0
    assert printed.out.splitlines()[0] == head


@pytest.mark.parametrize("symmetry", ["generic(2)", "O(1)"])
def test_solve_names_no_symmetry_that_is_not_there(call, symmetry):
    """No phase that would be broken, no Goldstone modes; where angles are conserved, both."""
    ordered, disordered, critical = (call("solve", symmetry, sigma_w)[1].out for sigma_w in (1.5, 0.5, 1))
    assert (
        ordered.splitlines()[0] == f"{symmetry}, tanh, sigma_w = 1.5: ordered: c* > 0 (no continuous symmetry to break)"
    )
    assert disordered.splitlines()[0] == f"{symmetry}, tanh, sigma_w = 0.5: disordered: c* = 0"
    assert critical.splitlines()[0] == f"{symmetry}, tanh, sigma_w = 1: critical"
    assert "Goldstone" not in ordered
    assert "Goldstone" in call("solve", "O(2)", 1.5)[1].out


@pytest.mark.parametrize(("symmetry", "kept"), [("U(1)", "phase"), ("O(2)", "angle"), ("O(3)", "angles")])
def test_solve_names_what_is_kept(call, symmetry, kept):
    told = call("solve", symmetry, 1.5, "--width", 256, "--rho", 0.7)[1].out.splitlines()[-1]
    assert told.startswith(f"  and two inputs with Delta/c* = 0.7 keep their {kept} for ")
    assert float(told.split()[-2]) == pytest.approx(float(readable_depth(256, 1.5, 0.7, symmetry).depth), rel=1e-3)


@pytest.mark.parametrize(
    ("arguments", "lines"),
    [
        (("U(1)", 1.5, "--width", 256), 3),
        (("O(4)", 0.8, "--width", 256), 1),
        (("generic(2)", 1.5, "--width", 256), 2),
        (("generic(2)", 1.5, "--width", 32), 1),
    ],
)
def test_solve_at_finite_width(call, arguments, lines):
    """The transition always; what the mean overlap gains where the network is wide enough for order 1/N; the depth of
    the phase where there is one to lose."""
    code, printed = call("solve", *arguments)
    told = printed.out.partition("converged\n")[2].splitlines()
    assert code == 0
    assert len(told) == lines
    symmetry, sigma_w, _, width = arguments
    assert float(told[0].split()[-1]) == pytest.approx(finite_width_transition(width, symmetry), rel=1e-5)
    if lines >= 2:
        shift = overlap_depth_scale(width, sigma_w, symmetry).xi_shift
        assert float(told[1].split()[-2]) == pytest.approx(float(shift), rel=1e-3)
    if lines == 3:
        depth = readable_depth(width, sigma_w, 0.9, symmetry).depth
        assert float(told[2].split()[-2]) == pytest.approx(float(depth), rel=1e-3)
    narrow = call("solve", symmetry, 1.5, "--width", 20)[1].out
    assert ("order of magnitude" in narrow) == (symmetry != "generic(2)")


def test_solve_with_biases(call):
    """Linear networks: c* = sigma_b^2/(1 - sigma_w^2); deviations shrink by sigma_w^2, and angles by 0.8 of that."""
    code, printed = call("solve", "U(1)", 0.5, "--activation", "linear", "--sigma-b", 0.3, "--asymmetry", 0.2)
    assert code == 0
    head, *rows = printed.out.splitlines()
    assert head == "Ensemble('U(1)', 'linear', sigma_w=0.5, sigma_b=0.3, asymmetry=0.2): converged, ordered"
    shown = {row.split()[0]: float(row.split()[1]) for row in rows}
    expected = {"c_star": 0.12, "rho_star": 1.0, "chi_c": 0.25, "chi_delta": 0.25, "chi_phi": 0.2, "chi_jacobian": 0.25}
    for name, value in expected.items():
        assert shown[name] == pytest.approx(value, rel=1e-11)
    assert shown["xi_phi"] == pytest.approx(1.0 / np.log(5.0), rel=1e-11)
    # Delta/c* = 0.9 leaves biases the share 0.09/(0.25 * 0.9 * 0.12 + 0.09) of the first layer
    assert shown["half_life"] == pytest.approx(np.log(0.5) / np.log(0.8 * 0.027 / 0.117), rel=1e-11)


def test_diagram(call, tmp_path):
    code, printed = call("diagram", "--symmetry", "U(1)", "--points", 3, "--out", "deep/diagram")
    assert code == 0
    assert (tmp_path / "deep" / "diagram.png").stat().st_size > 10_000
    assert printed.out == "wrote deep/diagram.png and deep/diagram.nc\n"
    with xr.open_dataset(tmp_path / "deep" / "diagram.nc") as written:
        assert written.sigma_w.values.tolist() == [0.5, 1.75, 3.0]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (
            ["solve", "--sigma-b", "0.1", "--width", "9"],
            "width must be left out where the symmetry is not exact, got 9",
        ),
        (["solve", "--rho", "0.5"], "rho must be left out without --width, --sigma-b or --asymmetry, got 0.5"),
        (["solve", "--rho", "1.5", "--sigma-b", "0.1"], "rho must be in (0, 1), got 1.5"),
        (["solve", "--width", "4", "--rho", "2"], "rho must be in (0, 1), got 2"),
        (["solve", "O(3)", "0.8", "--width", "4", "--rho", "0"], "rho must be in (0, 1), got 0"),
        (["solve", "--width", "0"], "width must be an integer >= 1, got 0"),
        (
            ["solve", "generic(2)", "--width", "4", "--rho", "0.5"],
            "rho must be left out for generic(2), which conserves",
        ),
        (
            ["solve", "U(1)", "1.00000001", "--width", "4"],
            "sigma_w must be in the broken phase, with xi_delta <= 10000",
        ),
        (["solve", "U(1)", "--asymmetry", "2"], "asymmetry must be in [0, 1], got 2"),
        (["solve", "SU(2)"], "symmetry must be 'U(1)', 'O(k)' or 'generic(k)'"),
        (["solve", "U(1)", "-1"], "sigma_w must be >= 0, got -1"),
        (["solve", "U(1)", "nan"], "sigma_w must be finite, got nan"),
        (["solve", "U(1)", "1.5", "--activation", "relu"], "activation must be one of"),
        (["diagram", "--points", "1"], "points must be an integer >= 2, got 1"),
        (["diagram", "--start", "-1"], "start must be >= 0, got -1"),
        (["diagram", "--start", "nan"], "start must be finite, got nan"),
        (["diagram", "--stop", "inf"], "stop must be finite, got inf"),
        (["diagram", "--start", "2", "--stop", "2"], "stop must be > start = 2, got 2"),
        (["diagram", "--points", str(10**15)], "Unable to allocate"),
        (["diagram", "--out", ""], "out must be a name without the endings .png and .nc, got ."),
        (["diagram", "--out", "diagram.png"], "out must be a name without the endings .png and .nc, got diagram.png"),
        (["diagram", "--out", "file/diagram"], "out must be a file that can be written, got file/diagram.png"),
        (["diagram", "--out", "taken"], "out must be a file, got taken.nc, which is a folder"),
    ],
    ids=" ".join,
)
def test_bad_arguments_are_exit_code_2_and_nothing_is_computed(call, monkeypatch, tmp_path, arguments, message):
    monkeypatch.setattr(command_line, "phase_diagram", None)
    (tmp_path / "file").write_text("a file")
    (tmp_path / "taken.nc").mkdir()
    code, printed = call(*arguments)
    assert code == 2
    assert printed.err.startswith(f"error: {message}")
    assert printed.err.count("\n") == 1
    assert not printed.out
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "taken.nc"]


@pytest.mark.parametrize("lines", [1, 100_000])
def test_whoever_reads_may_stop(lines):
    """As `| head -1` does, with output that fits a buffer, and that does not: no message, no traceback."""
    program = f"""
import sys
from dataclasses import dataclass
from meanfield.command_line import run_command

@dataclass
class Show:
    def run(self):
        sys.stdin.readline()  # until the reader is gone
        print("line\\n" * {lines})

sys.argv = ["prog", "show"]
sys.exit(run_command({{"show": Show, "other": Show}}, prog="prog"))
"""
    with subprocess.Popen([sys.executable, "-c", program], stdin=PIPE, stdout=PIPE, stderr=PIPE, text=True) as process:
        process.stdout.close()
        process.stdin.write("\n")
        process.stdin.close()
        message = process.stderr.read()
    assert message == ""
    assert process.returncode == 0


def test_other_broken_pipes_are_errors(monkeypatch, capsys):
    """As that to a worker that was killed."""

    @dataclass
    class Broken:
        def run(self):
            raise BrokenPipeError("no worker")

    monkeypatch.setattr(sys, "argv", ["prog", "one"])
    assert run_command({"one": Broken, "two": Broken}, prog="prog") == 2
    assert "error: no worker" in capsys.readouterr().err


def test_ctrl_c_leaves_a_word_and_the_exit_code_of_a_shell(capsys):
    class Interrupted:
        def run(self):
            raise KeyboardInterrupt

    assert finish(Interrupted()) == 130
    assert capsys.readouterr().err == "interrupted\n"


def test_a_width_is_looked_at_before_anything_is_printed(call):
    code, printed = call("solve", "O(4)", 1.5, "--width", 0)
    assert (code, printed.out) == (2, "")
    assert "width must be an integer >= 1, got 0" in printed.err
