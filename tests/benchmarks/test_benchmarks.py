"""The benchmarks run, compare like with like, and report what they measured. Speed is not tested."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import benchmarks.__main__ as command_line
import meanfield
from benchmarks import reference, report, training, trajectories
from benchmarks.record import FULL, QUICK, Entry, Job, Target
from benchmarks.timing import Timing, measure
from meanfield import precise
from simulate.devices import as_device

ROOT = Path(__file__).resolve().parents[2]
DEVICE = as_device("auto").type


def timing(wall: float, cpu: float) -> Timing:
    return Timing(first=9.0, wall=(wall, 5.0 * wall, wall), cpu=(2.0 * cpu, cpu, cpu))


THEORY = {"pair", "trajectory", "sigma_w"}  # units of the jobs of `meanfield`


@pytest.fixture(scope="module")
def quick(tmp_path_factory) -> tuple[str, dict]:
    """What a quick run prints, and the file it writes."""
    folder = tmp_path_factory.mktemp("bench")
    out = folder / "deeper" / "benchmarks.json"
    command = [sys.executable, "-W", "error", "-m", "benchmarks", "--quick"]
    done = subprocess.run(
        [*command, "--out", str(out), "--peers", str(folder / "none")],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    assert [path.name for path in out.parent.iterdir()] == ["benchmarks.json"]
    return done.stdout, json.loads(out.read_text())


def test_a_file_that_cannot_be_written_is_refused_before_anything_is_timed(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(command_line, "_jobs", None)
    monkeypatch.setattr(sys, "argv", ["benchmarks", "--out", str(tmp_path)])
    assert command_line.main() == 2
    assert capsys.readouterr().err == f"error: out must be a file, got {tmp_path}, which is a folder\n"


def test_the_reference_is_not_computed_by_mistake():
    """It takes half an hour and overwrites what is committed: an option that it does not know is no reason to begin."""
    command = [sys.executable, "-m", "benchmarks.reference", "--quick"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60)
    assert done.returncode == 2
    assert "Unrecognized options: --quick" in done.stderr


def test_the_table_has_a_line_for_each_job_and_peer(quick):
    text, found = quick
    lines = text.split("\n\n")[0].splitlines()
    assert lines[0].split("  ")[0] == "job"
    assert len(lines) == 2 + sum(max(1, len(job["peers"])) for job in found["jobs"])
    # aligned: the columns, given by the rule under the head, are blank between them in every line
    gaps = [i for i, character in enumerate(lines[1]) if character == " "]
    assert len(lines[1].split()) == len(report.HEAD)
    for line in lines:
        assert {line.ljust(len(lines[1]))[i] for i in gaps} == {" "}
    for job in found["jobs"]:
        (line,) = [line for line in lines if line.startswith(job["job"] + "  ")]
        assert job["ours"]["error"] is None or f"{job['ours']['error']:.0e}" in line


def test_the_jobs_are_those_promised(quick):
    _, found = quick
    names = [job["job"] for job in found["jobs"]]
    for part in ("pairs, one c", "pairs, different c", "layer trajectory, U(1)", "layer trajectory, O(1)", "grid of"):
        assert any(part in name for name in names)
    for part in ("depth scales", "phase diagram", "16 networks", "collective", "explicit", "training step, U(1)"):
        assert any(name.startswith(part) for name in names)
    assert any("both ways" in name for name in names)
    assert [name.partition(" on the ")[0] for name in names if "stacked U(1), " in name] == [
        f"training step, {models} stacked U(1), N = 8, L = 4," for models in training.STACKED[DEVICE][:2]
    ]


def test_times_of_stacks_are_per_model(quick):
    """Against a stack of one, which is timed once, and gives its first model's loss."""
    _, found = quick
    jobs = [job for job in found["jobs"] if "stacked U(1), " in job["job"]]
    assert [job["ours"]["units"] for job in jobs] == list(training.STACKED[DEVICE][:2])
    assert all(job["peers"][0]["timing"] == jobs[0]["ours"]["timing"] for job in jobs)
    assert all(job["ours"]["error"] < 1e-4 for job in jobs)


def test_our_errors_are_below_the_tolerance(quick):
    _, found = quick
    for job in found["jobs"]:
        error = job["ours"]["error"]
        if job["unit"] in THEORY:
            assert 0.0 <= error < 1e-12, job["job"]
        else:  # float32, or random
            assert error is None or 0.0 <= error < 1e-3, job["job"]


def test_the_peers_compute_the_same_numbers(quick):
    """A wrong factor in a peer's integral would be an error of order one."""
    _, found = quick
    peers = [peer for job in found["jobs"] if job["unit"] in THEORY for peer in job["peers"]]
    assert {peer["who"] for peer in peers} == {
        "dblquad, ive",
        "dblquad, ive, epsabs 0",
        "Gauss-Laguerre 60 x 60",
        "quad and dblquad, ive",
        "even grid (method of deepchaos, written here)",
        "nested quad (method of ghliu, written here)",
        "iteration with quad",
    }
    for peer in peers:
        # at rho = 0.99 two of them are far off
        sharp = peer["who"] in ("dblquad, ive", "Gauss-Laguerre 60 x 60")
        assert peer["error"] < (0.1 if sharp else 1e-5), peer
    for job in found["jobs"]:
        if job["unit"] not in THEORY:  # plain torch in float32
            assert all(peer["error"] is None or peer["error"] < 1e-3 for peer in job["peers"]), job["job"]


def test_ratios_are_of_cpu_times_per_unit(quick):
    _, found = quick
    for job in found["jobs"]:
        ours = np.median(job["ours"]["timing"]["cpu"]) / job["ours"]["units"]
        for peer in job["peers"]:
            theirs = np.median(peer["timing"]["cpu"]) / peer["units"]
            assert peer["ratio"] == pytest.approx(theirs / ours)


def test_provenance_is_kept(quick):
    text, found = quick
    assert {
        "processor",
        "load_average",
        "OMP_NUM_THREADS",
        "version_python",
        "version_numpy",
        "version_scipy",
        "version_mpmath",
        "version_torch",
        "gpu",
        "commit",
    } <= set(found["machine"])
    assert found["machine"]["OMP_NUM_THREADS"] == "1"
    assert f"load_average: {found['machine']['load_average']}" in text
    assert "neural-tangents is left out" in text


def test_a_quick_run_states_no_targets(quick):
    text, found = quick
    assert "reached" not in text
    assert all(job["target"] is None for job in found["jobs"])


@pytest.mark.parametrize("case", [("U(1)", 3.0, 0.99), ("O(1)", 0.5, 0.01)])
def test_the_reference_is_that_of_precise(case):
    symmetry, sigma_w, delta = case
    c, cross, _ = precise.trajectory(1, sigma_w, 1.0, delta, symmetry, digits=18)
    found = reference.reference(*case, 1)
    assert found[0] == pytest.approx([float(x) for x in c], rel=2e-16)
    assert found[1] == pytest.approx([float(x) for x in cross], rel=2e-16)


@pytest.mark.parametrize("case", reference.CASES)
def test_whole_trajectories_agree_with_the_reference(case):
    symmetry, sigma_w, delta = case
    c, cross = reference.reference(*case, reference.DEPTH)
    found = meanfield.trajectory(reference.DEPTH, sigma_w, delta=delta, symmetry=symmetry)
    assert c.size == reference.DEPTH + 1
    np.testing.assert_allclose(found.c, c, rtol=1e-12)
    np.testing.assert_allclose(found.delta, cross, rtol=1e-12)


def test_errors_of_trajectories_are_the_largest_relative_to_c():
    exact = np.array([2.0, 4.0]), np.array([1.0, 1.0])
    assert trajectories.error(np.array([2.0, 5.0]), np.array([1.5, 1.0]), exact) == 0.25
    assert trajectories.error(np.array([2.1, 4.0]), np.array([0.0, 1.0]), exact) == 0.5


def test_errors_of_trajectories_leave_out_what_is_too_small():
    exact = np.array([1.0, 1e-40]), np.array([0.5, 1e-41])
    assert trajectories.error(np.array([1.25, np.nan]), np.array([0.5, np.nan]), exact, 1e-30) == 0.25
    assert np.isnan(trajectories.error(np.array([1.0, np.nan]), np.array([0.5, 1e-41]), exact))


def test_neural_tangents_is_read_from_its_own_environment(tmp_path):
    """A stand-in for its interpreter prints trajectories of `meanfield`: then no error is left over."""
    depth, side = QUICK.depth, QUICK.side
    sigma_w, rho = np.linspace(0.5, 3.0, side), np.linspace(0.01, 0.99, side)
    grid = meanfield.trajectory(depth, sigma_w[:, None], delta=rho, symmetry="O(1)")
    one = meanfield.trajectory(depth, 1.5, delta=0.9, symmetry="O(1)")
    taken = {"first": 7.0, "wall": [0.5], "cpu": [0.25]}
    printed = [
        {
            "job": "trajectory",
            "sigma_w": 1.5,
            "c": one.c.values[1:, None].tolist(),
            "delta": one.delta.values[1:, None].tolist(),
        },
        {
            "job": "grid",
            "sigma_w": None,
            # one c for all rho, as neural-tangents has it
            "c": grid.c.values[1:, :, :1].swapaxes(0, 1).tolist(),
            "delta": grid.delta.values[1:].swapaxes(0, 1).tolist(),
        },
    ]
    (tmp_path / "bin").mkdir()
    (tmp_path / "out.json").write_text(json.dumps([entry | {"nodes": 25, "timing": taken} for entry in printed]))
    python = tmp_path / "bin" / "python"
    python.write_text(f"#!/bin/sh\ncat '{tmp_path / 'out.json'}'\n")
    python.chmod(0o755)
    found = trajectories.neural_tangents(tmp_path, QUICK)
    one_job = trajectories._one(("O(1)", 1.5, 0.9), QUICK, (), found)
    grid_job = trajectories._grid("O(1)", QUICK, (), found)
    for job, units in ((one_job, 1), (grid_job, side**2)):
        (peer,) = job.peers
        assert (peer.who, peer.units, peer.timing.first) == ("neural-tangents, 25 nodes", units, 7.0)
        assert peer.error < 1e-12
        assert peer.cpu == 0.25 / units


def test_a_failing_environment_says_why(tmp_path):
    (tmp_path / "bin").mkdir()
    python = tmp_path / "bin" / "python"
    python.write_text("#!/bin/sh\necho no module named jax >&2\nexit 1\n")
    python.chmod(0o755)
    with pytest.raises(RuntimeError, match="no module named jax"):
        trajectories.neural_tangents(tmp_path, QUICK)


def test_ratios_and_targets():
    """Medians: ours 2 s of CPU for 4 units, 6 s on the clock; the peer's 30 s for 2 units, 60 s on the clock."""
    peer = Entry("dblquad", timing(60.0, 30.0), 1e-3, units=2)
    other = Entry("something else", timing(1.0, 1.0), 1e-3)
    jobs = [
        Job("waits", "pair", Entry("meanfield", timing(6.0, 2.0), 1e-15, units=4), (peer, other), target)
        for target in (
            Target(seconds=1.0),
            Target(seconds=3.0),
            Target(seconds=7.0),
            Target(ratio=20.0, than="dblquad"),
            Target(ratio=21.0, than="dblquad"),
        )
    ]
    assert jobs[0].ratio(peer) == 30.0
    lines = report.targets(jobs).splitlines()[2:]
    assert [line.split("  ")[-1] for line in lines] == ["no", "CPU time only", "yes", "yes", "no"]
    assert lines[3].split()[-6:] == ["20", "times", "dblquad", "20", "30", "yes"]


def test_measuring_calls_a_slow_function_once():
    calls = []
    result, found = measure(lambda: calls.append(sum(range(20_000))) or len(calls), budget=0.0)
    assert (result, len(calls), len(found.cpu)) == (1, 1, 1)
    assert found.first == found.wall[0] > 0.0


def test_measuring_repeats_a_fast_function():
    calls = []
    _, found = measure(lambda: calls.append(1), budget=0.05)
    assert 3 <= len(found.wall) == len(found.cpu) <= 15
    assert len(calls) > 100
    assert 0.0 < found.cpu_min <= found.cpu_median < 1e-3


def test_the_full_size_is_that_of_the_targets():
    assert (FULL.depth, FULL.side, FULL.pairs, FULL.points) == (100, 50, 1000, 10_000)
