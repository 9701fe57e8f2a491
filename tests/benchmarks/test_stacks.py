"""The benchmark of stacks runs, on a GPU where there is one, and works out hours from steps. Speed is not tested."""

import csv
import json
import time
from pathlib import Path

import pytest
import torch

from benchmarks import stacks
from benchmarks.stacks import Stacks
from benchmarks.timing import measure
from training.recurrent.tables import PAPER_RESULTS


def tables(text):
    """Lines of each table, by its first heading."""
    parts = [part.splitlines() for part in text.split("\n\n")]
    return {lines[0].split()[0]: lines[2:] for lines in parts if len(lines) > 2 and set(lines[1]) == {"-", " "}}


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    """Tables are written into an empty one."""
    monkeypatch.chdir(tmp_path)


def written(name, folder="results/benchmarks/quick"):
    """The first line and the rows of a table that a run wrote."""
    first, *rest = Path(folder, f"{name}.csv").read_text().splitlines()
    return json.loads(first.removeprefix("# ")), list(csv.DictReader(rest))


def test_a_quick_run(capsys):
    Stacks(quick=True, shorten=196, budget=0.001).run()
    text = capsys.readouterr().out
    found = tables(text)
    assert [line.split(",")[0] for line in found["stack"][::2]] == ["RNN", "U(1) RNN", "GRU", "U(1) GRU"]
    assert len(found["stack"]) == 8
    assert [line.split()[0] for line in found["task"]] == ["copy", "psMNIST", "psMNIST", "psMNIST", "all"]
    assert "of 4 pixels, times 196" in text
    (told, rows), (_, papers) = written("stacks"), written("paper_tables")
    assert (told["quick"], told["budget"], told["shorten"]) == (True, 0.001, 196)
    assert not Path("results/benchmarks/stacks.csv").exists()  # which a quick run must not replace
    assert told["version_torch"] == torch.__version__
    assert [(row["kind"], row["models"]) for row in rows[:3]] == [("RNN", "1"), ("RNN", "2"), ("U(1) RNN", "1")]
    for row, line in zip(rows, found["stack"], strict=True):  # models per second, as it was printed
        assert f"{int(row['models']) / float(row['seconds']):.4g}" in line.split()
    assert [row["models"] for row in papers] == ["10", "3", "3", "3"]


def test_a_folder_that_cannot_be_written_to_is_refused_first(capsys):
    Path("results").touch()
    with pytest.raises(ValueError, match="out must be"):
        Stacks(quick=True, device="cpu").run()
    assert capsys.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shorten": 0}, "shorten must be an integer >= 1, got 0"),
        ({"shorten": 785}, "shorten must be at most the 784 pixels of an image, got 785"),
        ({"budget": -1.0}, "budget must be >= 0, got -1"),
        ({"budget": float("nan")}, "budget must be finite, got nan"),
        ({"budget": float("inf")}, "budget must be finite, got inf"),
    ],
)
def test_nothing_is_timed_before_the_options_are_checked(options, message, capsys):
    with pytest.raises(ValueError, match=message):
        Stacks(device="cpu", **options).run()
    assert capsys.readouterr() == ("", "")


def test_hours_follow_from_steps(capsys, monkeypatch):
    """At 36 ms a step, a million steps take ten hours, and 120 epochs of 57,000 images 0.5352."""
    monkeypatch.setattr(stacks, "_seconds", lambda step, budget, place: 0.036)
    monkeypatch.setattr(stacks, "_training", lambda *args, **options: Step())
    Stacks(device="cpu").run()
    found = tables(capsys.readouterr().out)["task"]
    assert len(found) == len(PAPER_RESULTS) + 1  # the models of Tables 2 and 3
    kept = written("paper_tables", "results/benchmarks")[1]
    assert {float(row["seconds"]) for row in kept} == {0.036}
    assert float(kept[0]["hours"]) == pytest.approx(10.0)
    assert "O(18) RNN 64" in {row["model"] for row in kept}
    assert found[0].split()[-6:] == ["1,000,000", "36", "ms", "10.00", "80.0", "8"]
    (last,) = (line for line in found if "U(1) GRU 512" in line)
    assert last.split()[-7:] == ["3", "53,520", "36", "ms", "0.54", "42.0", "78.5"]
    # in all 60 hours for Table 2, 18 x 0.5352 for Table 3; the paper's 80 + 80 + 80 + 2 x 40 + 480 on the copy task
    # (two RNNs, the U(1) RNN, two GRUs, the U(1) GRU), and 3 x (4 x 2.5 + 4 x 1 + 6 x 7 + 4 x 14)
    assert found[-1].split() == ["all", "69.63", f"{800 + 336:,.1f}", "16.3"]


class Step:
    def advance(self):
        pass

    proceed = advance


def failing(monkeypatch, error):
    """A run whose steps for the tables fail."""

    def fail(*args):
        raise error

    monkeypatch.setattr(Stacks, "_table_step", fail)
    monkeypatch.setattr(Stacks, "_stacks", lambda *args: iter([]))
    return Stacks(quick=True)


@pytest.mark.parametrize(
    "error",
    [
        torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 20.00 GiB."),
        torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported at some other call."),
    ],
)
def test_a_stack_that_does_not_fit(capsys, monkeypatch, error):
    failing(monkeypatch, error).run()
    found = tables(capsys.readouterr().out)["task"]
    assert len(found) == 4
    assert all(line.endswith("does not fit") for line in found)
    assert {row["seconds"] for row in written("paper_tables")[1]} == {"nan"}


@pytest.mark.parametrize(
    "error",
    [
        torch.AcceleratorError("CUDA error: an illegal memory access was encountered\nIt is not out of memory."),
        RuntimeError("shapes do not fit"),
    ],
)
def test_an_error_that_is_not_of_memory_is_not_hidden(monkeypatch, error):
    with pytest.raises(type(error), match=str(error).splitlines()[0]):
        failing(monkeypatch, error).run()


def test_what_was_begun_counts():
    """A GPU's work goes on after a call returns; it is waited for once in a sample."""
    calls, waits = [], []

    def finish():
        waits.append(len(calls))
        time.sleep(0.02)

    _, timing = measure(lambda: calls.append(1), 0.1, finish)
    assert min(timing.first, *timing.wall) >= 0.02
    assert len(waits) == len(timing.wall) + 2
