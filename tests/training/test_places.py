import re

import pytest

from training import places
from training.commands import Report
from training.places import COMMITTED, find, mine


def empty(folder, *names):
    folder.mkdir(parents=True, exist_ok=True)
    for name in names:
        (folder / name).touch()


@pytest.fixture
def committed(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(places, "COMMITTED", tmp_path / "package")
    empty(tmp_path / "package", "figure4_cpu.csv", "figure4_paper.csv")
    return tmp_path / "package"


def test_a_user_s_own_result_comes_first(committed, tmp_path):
    assert find("figure4", "cpu") == committed / "figure4_cpu.csv"
    empty(tmp_path / "results/training", "figure4_cpu.csv")
    assert find("figure4", "cpu").absolute() == tmp_path / "results/training/figure4_cpu.csv"


def test_own_results_are_found_from_folders_below(committed, tmp_path, monkeypatch):
    """As a notebook must, which runs in its own folder; the nearest folder of results counts."""
    empty(tmp_path / "results/training", "figure4_cpu.csv")
    empty(tmp_path / "notebooks/deep")
    monkeypatch.chdir(tmp_path / "notebooks/deep")
    assert mine() == tmp_path / "results/training"
    assert find("figure4", "cpu") == tmp_path / "results/training/figure4_cpu.csv"
    empty(tmp_path / "notebooks/results/training", "figure4_cpu.csv")
    assert find("figure4", "cpu") == tmp_path / "notebooks/results/training/figure4_cpu.csv"


def test_the_largest_result_is_found(committed):
    assert find("figure4") == committed / "figure4_paper.csv"
    empty(committed, "figure4_quick.csv", "figure3_quick.csv")
    assert find("figure4") == committed / "figure4_paper.csv"
    assert find("figure3") == committed / "figure3_quick.csv"


def test_what_is_missing_is_named(committed, tmp_path):
    told = f"no figure4_quick.csv in {tmp_path}/results/training, {committed}: run it first (committed: cpu, paper)"
    with pytest.raises(FileNotFoundError, match=re.escape(told)):
        find("figure4", "quick")
    with pytest.raises(FileNotFoundError, match=re.escape(f"no result of figure4 in {tmp_path}/nowhere: run it first")):
        find("figure4", folder="nowhere")
    with pytest.raises(FileNotFoundError, match=r"no figure3_cpu.csv in .*: run it first$"):
        find("figure3", "cpu")

    with pytest.raises(ValueError, match=r"name must be one of figure3, .*got 'figure33'"):
        find("figure33")
    with pytest.raises(ValueError, match="preset must be one of quick, cpu, paper, got 'large'"):
        find("figure4", "large")


def test_a_report_leaves_the_package_s_folder_as_it_is(monkeypatch, tmp_path, capsys):
    monkeypatch.chdir(tmp_path)
    before = sorted(COMMITTED.iterdir())
    assert Report("figure3").run() == 0  # whichever there is
    assert Report("figure5b", "cpu").run() == 0
    assert (tmp_path / "results/training/figure5b_cpu.png").exists()
    assert sorted(COMMITTED.iterdir()) == before
    told = capsys.readouterr().out
    assert f"\n  read from {COMMITTED}/figure5b_cpu.csv (committed)\n" in told
    assert told.endswith("other results of figure5b, shown with --preset: paper (committed)\n")


def test_a_report_is_of_one_s_own_results(monkeypatch, tmp_path, capsys):
    """Of the largest, though a committed one be larger; the file is named, and what else there is."""
    monkeypatch.chdir(tmp_path)
    own = tmp_path / "results/training"
    own.mkdir(parents=True)
    for preset in ("quick", "cpu"):
        (own / f"figure5b_{preset}.csv").write_bytes((COMMITTED / "figure5b_cpu.csv").read_bytes())
    others = "other results of figure5b, shown with --preset: quick (your own), paper (committed{})\n"
    assert Report("figure5b").run() == 0
    told = capsys.readouterr().out
    assert "\n  read from results/training/figure5b_cpu.csv (your own)\n" in told
    assert told.endswith(others.format(""))
    (tmp_path / "below").mkdir()
    monkeypatch.chdir(tmp_path / "below")
    assert Report("figure5b", "paper").run() == 0
    told = capsys.readouterr().out
    assert f"\n  read from {COMMITTED}/figure5b_paper.csv (committed)\n" in told
    assert told.endswith("shown with --preset: quick (your own), cpu (your own)\n")
    assert Report("figure5b", results=own).run() == 0
    told = capsys.readouterr().out
    assert f"\n  read from {own}/figure5b_cpu.csv (your own)\n" in told
    assert told.endswith(others.format(", without --results"))
