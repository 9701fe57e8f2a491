import math
from pathlib import Path

import pandas as pd
import pytest

from meanfield import files
from training import commands, table
from training.commands import Summarise
from training.criteria import Check
from training.experiments import EXPERIMENTS
from training.job import Row
from training.places import COMMITTED
from training.presets import describe
from training.report import verdicts
from training.summary import summary

SETTINGS = {
    "data": "digits",
    "width": 8,
    "components": None,
    "depths": [3],
    "sigma_w": None,
    "seeds": 2,
    "epochs": 1,
}


def write(folder: Path, ranks: dict[str, float]) -> None:
    """A result of figure 5b with one lowest rank for each symmetry, over two layers."""
    rows = [
        Row(symmetry, 8, 3, 1.5, 0, 1e-3, 10, 1.0, layer, "rank", rank + layer)
        for symmetry, rank in ranks.items()
        for layer in (0, 1)
    ]
    attributes = {
        "claim": "a claim",
        "criterion": "…",
        "settings": SETTINGS,
        "device": "cpu",
        "seconds": 90,
    }
    table.write(table.as_dataset(rows, attributes), folder / "figure5b_quick.csv")


def test_a_row_says_what_was_run_and_what_was_found(tmp_path):
    write(tmp_path, {"U(1)": 2.0, "O(4)": 2.0, "O(8)": 16.0, "generic(2)": 1.75})
    (row,) = (line for line in summary(tmp_path).splitlines() if line.startswith("| figure5b"))
    assert "| a claim |" in row
    assert f"| {EXPERIMENTS['figure5b'].criterion} |" in row
    assert (
        "**reduced:** digits, N = 8, L = 3, 2 seeds, 1 epoch; cpu, 2 min. Preset `paper`: fashion-mnist, N = 128" in row
    )
    assert "U(1): 1, must be > 0.95: agrees" in row
    assert "O(4): 0.5, must be > 0.95: contradicts" in row
    assert "O(8): 2, must be > 0.95: agrees" in row
    assert "generic(2): 1.75, must be < 1.5: contradicts" in row


def test_verdicts_are_told_in_bold():
    checks = [Check("gain", (1.0, 1.0), ">", 0.5), Check("seeds: solved", (math.nan,), "<", 0.5, every=True)]
    assert verdicts(checks) == (
        "- gain: 1 +- 0, must be > 0.5: **agrees**\n- seeds: solved: open, must be < 0.5: **undecided**"
    )


def test_one_is_one_and_two_are_two():
    assert describe(SETTINGS | {"seeds": 1, "epochs": 3}) == "digits, N = 8, L = 3, 1 seed, 3 epochs"


def test_what_was_not_run_is_named(tmp_path):
    text = summary(tmp_path)
    assert text.count("not run yet") == len(EXPERIMENTS)


def test_the_command_writes_beside_the_results(tmp_path, capsys):
    write(tmp_path, {"U(1)": 2.0, "O(4)": 4.0, "O(8)": 16.0, "generic(2)": 1.0})
    assert Summarise(tmp_path).run() == 0
    assert (tmp_path / "README.md").read_text() == summary(tmp_path)


@pytest.mark.skipif(not (COMMITTED / "README.md").exists(), reason="no results are committed")
def test_the_committed_table_is_that_of_the_committed_results():
    assert (COMMITTED / "README.md").read_text() == summary(COMMITTED)


@pytest.mark.parametrize("path", sorted(COMMITTED.glob("*.csv")), ids=lambda path: path.stem)
def test_committed_results_have_their_provenance_and_no_gaps(path):
    result = table.read(path)
    assert {"settings", "device", "commit", "version_torch"} <= result.attrs.keys()
    # copy tasks make their own examples
    copying = all(part["task"].startswith("copy") for part in result.attrs["settings"].get("parts", [{"task": ""}]))
    assert copying != ("data" in result.attrs)
    frame = table.frame(result)
    gaps = frame[frame.isna().any(axis=1)]
    if "task" in frame and not gaps.empty:  # a recurrent model that diverged has no loss from then on
        assert set(gaps.quantity) <= {"train_loss", "validation_loss", "test_loss", "spectral_radius"}
        each = ["model", "activation", "learning_rate", "seed"]
        ended = frame[frame.quantity == "test_loss"].set_index(each).value
        gaps = gaps[ended.loc[pd.MultiIndex.from_frame(gaps[ended.index.names])].notna().to_numpy()]
    assert gaps.empty
    # what a result was to be judged by, before it was run, is what judges it now
    experiment = EXPERIMENTS[result.attrs["experiment"]]
    assert (result.attrs["claim"], result.attrs["criterion"]) == (experiment.claim, experiment.criterion)


def test_a_bar_does_not_end_a_cell(tmp_path):
    write(tmp_path, {"U(1)": 2.0, "O(4)": 4.0, "O(8)": 16.0, "generic(2)": 1.0})
    path = tmp_path / "figure5b_quick.csv"
    path.write_text(path.read_text().replace("a claim", "|J|^2 collapses"))
    assert "| \\|J\\|^2 collapses |" in summary(tmp_path)


def test_somebody_s_own_readme_is_left_alone(tmp_path):
    (tmp_path / "figure5a_cpu.csv").write_bytes((COMMITTED / "figure5a_cpu.csv").read_bytes())
    (tmp_path / "README.md").write_text("# My project")
    with pytest.raises(ValueError, match=r"results must be a folder without a README\.md of its own"):
        Summarise(tmp_path).run()
    assert (tmp_path / "README.md").read_text() == "# My project"


@pytest.mark.parametrize("path", sorted(COMMITTED.glob("*.csv")), ids=lambda path: path.stem)
def test_no_number_of_a_committed_result_can_change_unseen(path, tmp_path):
    """Each has a checksum: its last digit is made another one."""
    content = path.read_bytes()
    at = max(content.rfind(b"%d" % digit) for digit in range(10))
    (tmp_path / path.name).write_bytes(
        content[:at] + (b"2" if content[at:].startswith(b"1") else b"1") + content[at + 1 :]
    )
    with pytest.raises(ValueError, match="must be a result as it was written, got one with other numbers"):
        table.read(tmp_path / path.name)


def test_an_installed_package_s_folder_is_left_alone(tmp_path, monkeypatch):
    package = tmp_path / "site-packages/training/results"
    package.mkdir(parents=True)
    write(package, {"U(1)": 2.0, "O(4)": 4.0, "O(8)": 16.0, "generic(2)": 1.0})
    monkeypatch.setattr(commands, "COMMITTED", package)
    with pytest.raises(ValueError, match=r"results must be a folder of yours outside .*, an installed package's own"):
        Summarise(package).run()
    assert [path.name for path in package.iterdir()] == ["figure5b_quick.csv"]
    (package.parents[1] / "pyproject.toml").touch()
    assert Summarise(package).run() == 0
    assert (package / "README.md").exists()


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    def refuse(**_):
        raise PermissionError(13, "Permission denied")

    write(tmp_path, {"U(1)": 2.0, "O(4)": 4.0, "O(8)": 16.0, "generic(2)": 1.0})
    monkeypatch.setattr(files, "TemporaryDirectory", refuse)
    told = rf"README\.md of results must be a file that can be written, got {tmp_path}/README\.md: Permission denied"
    with pytest.raises(ValueError, match=told):
        Summarise(tmp_path).run()
