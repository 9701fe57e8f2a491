import json
import math
import os
import re
import signal
import subprocess
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from dataclasses import replace
from multiprocessing import get_context
from typing import get_args

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure
from tqdm.std import tqdm

from meanfield import fixed_point, length_map
from training import __main__ as command_line
from training import commands, experiments, places, plots, presets, runner, table
from training.commands import Name, PresetName, as_executor
from training.data import load
from training.experiments import EXPERIMENTS, run_experiment
from training.job import Row
from training.presets import PRESETS, describe, fixed_variance_sigma_w
from training.runner import Interrupted
from training.shape import Shape
from training.work import claimed

TINY = {
    "data": "digits",
    "train": 64,
    "test": 40,
    "batch": 32,
    "seeds": 2,
    "epochs": 1,
}
SIZES = {
    "figure3": {"width": 4, "depths": (3,), "sigma_w": (0.8, 1.5), "order_networks": 4},
    "figure4": {"components": 8, "depths": (1, 2)},
    "figure5a": {"width": 4, "depths": (3,), "steps": (0, 2)},
    "figure5b": {"width": 4, "depths": (3,), "steps": (0, 2)},
    "figure10": {"width": 4, "depths": (3,), "sigma_w": (0.9, 1.0, 1.5), "order_networks": 4},
    "figure11": {"width": 4, "depths": (3,), "sigma_w": (0.8, 1.5), "order_networks": 4},
    "epsilon": {"width": 4, "depths": (3,), "sigma_w": (0.76, 1.5)},
    "rotation": {"width": 4, "depths": (3,)},
    "learning_rate": {"width": 4, "depths": (3,)},
    "own_rate": {"width": 4, "depths": (3,)},
    "symmetric_start": {"width": 4, "depths": (3,), "steps": (0, 2)},
    "collapse": {"width": 4, "depths": (3,), "switch": (1, 1e-4), "steps": (0, 1)},
    "jacobian": {"width": 4, "depths": (3,), "switch": (1, 1e-4), "steps": (0, 1)},
}


HEAD = ",".join(Row._fields)
LINE = "U(1),4,3,1.5,0,0.001,2,1.0,-1,accuracy,0.25,1e-08,0.0"
TOLD = {"claim": "…", "criterion": "…", "settings": {}, "device": "cpu"}


@pytest.fixture(autouse=True)
def _tiny(monkeypatch):
    load.cache_clear()
    for name, size in SIZES.items():
        monkeypatch.setitem(PRESETS[name], "quick", replace(PRESETS[name]["quick"], **TINY, **size))


def rows(result):
    return table.frame(result).to_csv(index=False)


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_every_figure_runs_is_kept_judged_and_drawn(name, tmp_path):
    result = run_experiment(name)
    attrs = result.attrs
    assert (attrs["experiment"], attrs["preset"], attrs["data"]) == (name, "quick", "digits")
    assert attrs["claim"]
    assert attrs["criterion"]
    assert attrs["version_torch"]
    table.write(result, tmp_path / "out.csv")
    again = table.read(tmp_path / "out.csv")
    assert rows(again) == rows(result)
    assert again.attrs == json.loads(json.dumps(attrs))
    assert np.isfinite(result.value).all()
    assert EXPERIMENTS[name].judge(table.frame(again))
    for panel in EXPERIMENTS[name].drawn(again):
        ax = Figure().subplots()
        assert panel(again, ax) is ax
        assert ax.get_lines()


def test_the_papers_sizes():
    """What the text gives: captions of Figures 3, 4, 5, 10, 11 and Appendix D.1."""
    for name in ("figure3", "figure10", "figure11"):
        size = PRESETS[name]["paper"]
        assert (size.width, size.depths, size.epochs, size.seeds, size.batch) == (64, (100,), 5, 5, 256)
        assert size.order_networks == 100
    assert PRESETS["figure3"]["paper"].data == PRESETS["figure10"]["paper"].data == "fashion-mnist"
    assert PRESETS["figure11"]["paper"].data == "mnist"
    size = PRESETS["figure4"]["paper"]
    assert (size.components, size.epochs, size.seeds, size.batch) == (128, 4, 3, 256)
    size = PRESETS["figure5a"]["paper"]
    assert (size.width, size.depths, size.sigma_w, size.epochs) == (64, (64,), (1.5,), 1)
    size = PRESETS["figure5b"]["paper"]
    assert (size.width, size.depths, size.seeds) == (128, (90,), 1)


def test_cpu_presets_keep_width_depth_and_the_whole_test_set():
    for sizes in PRESETS.values():
        paper, cpu = sizes["paper"], sizes["cpu"]
        kept = ("data", "symmetries", "width", "components", "batch", "test", "measures", "order_networks")
        assert [getattr(cpu, key) for key in kept] == [getattr(paper, key) for key in kept]
        assert set(cpu.depths) <= set(paper.depths)


def test_symmetric_shares_are_those_of_generic_models():
    """Equivariant ones have the whole symmetry in any case: there is one of them for each seed."""
    size = PRESETS["symmetric_start"]["cpu"]
    models = [
        (job.shape.symmetry, model) for job in replace(size, data="digits").jobs(None, "cpu") for model in job.models
    ]
    assert len(models) == size.networks == 2 * 2 * 5 * (1 + 4)
    shares = {symmetry: {model.symmetric for own, model in models if own == symmetry} for symmetry in size.symmetries}
    assert shares == {"U(1)": {0.0}, "generic(2)": {0.0, 0.9, 0.99, 1.0}}
    assert {model.seed for _, model in models} == set(range(10, 15))
    assert "symmetric shares 0, 0.9, 0.99, 1 of generic initial weights, 5 seeds from 10 on" in describe(size.settings)


def test_a_preset_s_switch_reaches_its_jobs():
    for size in PRESETS["collapse"].values():
        assert {job.switch for job in replace(size, data="digits").jobs(None, "cpu")} == {size.switch}
        assert size.switch[0] == size.steps[-1]  # what is left is measured there
    told = describe(PRESETS["collapse"]["paper"].settings)
    assert "learning rates 0.001, 0.0001 for 100 steps, then 0.0001, 5 seeds, 5 epochs" in told
    assert "learning rates 0.001 for 9 steps, then 0.1, " in describe(
        replace(PRESETS["figure3"]["cpu"], switch=(9, 0.1)).settings
    )


def test_weights_of_a_fixed_variance():
    """E w^2 = 0.2 for every weight: with the laws of `simulate.layers`, sigma_w^2 over the inputs of a sum."""
    assert fixed_variance_sigma_w(Shape("O(4)", 32, 1, 1)) ** 2 / 32 == pytest.approx(0.2)
    assert fixed_variance_sigma_w(Shape("U(1)", 64, 1, 1)) ** 2 / 64 == pytest.approx(0.2)
    assert fixed_variance_sigma_w(Shape("generic(2)", 64, 1, 1)) ** 2 / 128 == pytest.approx(0.2)


def test_plan():
    jobs = PRESETS["figure4"]["quick"].jobs(None, "cpu")
    assert [(job.shape.symmetry, job.shape.width, job.shape.depth) for job in jobs] == [
        (symmetry, width, depth)
        for symmetry, width in (("generic(2)", 4), ("U(1)", 4), ("O(4)", 2), ("O(8)", 1))
        for depth in (1, 2)
    ]
    assert all([model.seed for model in job.models] == [0, 1] for job in jobs)
    with pytest.raises(ValueError, match=r"components must be a multiple of 8 for O\(8\), got 12"):
        replace(PRESETS["figure4"]["quick"], components=12).jobs(None, "cpu")


def test_results_do_not_depend_on_how_the_work_is_shared(monkeypatch):
    straight = rows(run_experiment("figure3"))
    monkeypatch.setattr(presets, "ON_CPU", 1)
    with ThreadPoolExecutor(2) as threads:
        assert rows(run_experiment("figure3", executor=threads)) == straight


def test_other_processes():
    straight, told = rows(run_experiment("figure5a")), []
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        result = run_experiment("figure5a", executor=processes, progress=lambda done, total: told.append((done, total)))
    assert rows(result) == straight
    assert sum(done for done, _ in told) == pytest.approx(told[0][1])


@pytest.mark.parametrize("shared", [False, True])
def test_a_run_that_is_stopped_goes_on(tmp_path, shared):
    straight, work, told = rows(run_experiment("figure3")), tmp_path / "work", []

    def stop_later(done, total):
        told.append(done)
        if len(told) == 6:
            raise Interrupted

    with ThreadPoolExecutor(1) as threads:
        executor = threads if shared else None
        with pytest.raises(Interrupted):
            run_experiment("figure3", work=work, executor=executor, time_budget=0.0)
        with pytest.raises(Interrupted):
            run_experiment("figure3", work=work, executor=executor, progress=stop_later)
        assert list(work.glob("stack_*.pt"))
        assert rows(run_experiment("figure3", work=work, executor=executor)) == straight
    assert not work.exists()


def test_the_order_parameter_is_beside_the_theory():
    found = table.frame(run_experiment("figure10")).query("seed == -1")
    star = found[found.quantity == "c_star"].set_index("sigma_w").value
    np.testing.assert_allclose(star, fixed_point(np.array([0.9, 1.0, 1.5]), "generic(4)").c, rtol=1e-14)
    assert set(found.quantity) == {"c", "c_se", "c_star"}


def test_plot_of_a_known_table():
    result = run_experiment("figure5b")
    ax = plots.plot_rank_of_layers(result, Figure().subplots())
    drawn = {line.get_label(): line.get_ydata() for line in ax.get_lines()}
    mine = table.frame(result).query("symmetry == 'O(4)' and quantity == 'rank' and step == 2")
    np.testing.assert_allclose(drawn["O(4)"], mine.groupby("layer").value.mean(), rtol=1e-14)


def test_the_jacobian_of_the_theory_is_beside_that_of_training():
    ax = plots.plot_along_training(run_experiment("figure5a"), Figure().subplots(), ("jacobian_protected",))
    found = {line.get_color(): line.get_ydata()[0] for line in ax.get_lines() if line.get_marker() == "^"}
    d = 1.0
    for _ in range(3):  # layers of this figure
        d = float(1.5**2 * length_map(d / 1.5**2, 1.5, "U(1)"))
    np.testing.assert_allclose(found[plots.COLOURS["U(1)"]], d, rtol=1e-10)  # Eq. (54)
    assert found[plots.COLOURS["generic(2)"]] > d
    assert ax.get_ylabel() == "squared Jacobian, per unit"
    told = [text.get_text() for text in ax.get_legend().get_texts()]
    assert told == ["U(1)", "generic(2)", "single seeds", r"theory at first, $N \to \infty$"]


def test_the_depth_scale_of_the_theory_is_beside_the_accuracy():
    ax = plots.plot_depth(run_experiment("figure4"), Figure().subplots())
    marks = [line.get_xdata()[0] for line in ax.get_lines() if line.get_linestyle() == ":"]
    # N = 2 capsules of O(4) with weights of variance 0.2: sigma_w^2 = 0.4, where xi_Delta = -1/log chi_Delta and all
    # susceptibilities are sigma_w^2 below the transition
    assert len(marks) == 4
    assert marks[2] == pytest.approx(-1.0 / math.log(0.4), rel=1e-6)


def test_unknown_names():
    with pytest.raises(ValueError, match=r"name must be one of figure3, .*, got 'figure8'"):
        run_experiment("figure8")
    with pytest.raises(ValueError, match=r"preset must be one of quick, cpu, paper, got 'huge'"):
        run_experiment("figure3", "huge")
    with pytest.raises(ValueError, match=r"name must be one of .*, got \['figure3'\]"):
        run_experiment(["figure3"])
    with pytest.raises(ValueError, match=r"preset must be one of .*, got \['quick'\]"):
        run_experiment("figure3", ["quick"])
    for budget in ("5", None):
        with pytest.raises(ValueError, match="time_budget must be >= 0, got"):
            run_experiment("figure3", time_budget=budget)
    with pytest.raises(ValueError, match=r"executor must be one of concurrent\.futures, or like one, got 'threads'"):
        run_experiment("figure3", executor="threads")
    if not torch.cuda.is_available():
        with pytest.raises(ValueError, match="device must be one that is here, got 'cuda'"):
            run_experiment("figure3", device="cuda")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "must be a result of training"),
        ("symmetry,width\n", "must be a result of training"),
        ('# {"a": 1}\nsymmetry,width\nU(1),2\n', "must have the columns symmetry, width, depth"),
        ("# [1]\na,b\n1,2\n", "must be a result of training"),
        (b"# \xff\xfe\x00", "must be a result of training"),
        (f'# {{"a": 1}}\n{HEAD}\n', "must have some rows, got 0"),
        (f'# {{"rows": 3}}\n{HEAD}\n{LINE}\n', "must have 3 rows, got 1"),
        (f'# {{"a": 1}}\n{HEAD}\n{LINE}\n{LINE[:-3]}', "must be a whole result, got one that ends within a row"),
        (f'# {{"a": 1}}\n{HEAD}\n{LINE.replace("0.25", "much")}\n', "must have numbers in the column value"),
        (f'# {{"a": 1}}\n{HEAD}\n{LINE.replace("U(1)", "7")}\n', "must have text in the column symmetry"),
    ],
    ids=["empty", "no-attributes", "columns", "list", "binary", "no rows", "some rows", "cut", "text", "number"],
)
def test_files_that_are_no_results(tmp_path, text, message):
    path = tmp_path / "file.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} {message}"):
        table.read(path)


def test_weights_go_with_their_result(tmp_path):
    result = run_experiment("figure4")
    extra = result.assign({f"{table.WEIGHT}kernel": (("a", "b"), np.ones((2, 3)))})
    table.write(extra, tmp_path / "out.csv")
    assert table.weights(table.read(tmp_path / "out.csv")).keys() == {"kernel"}
    table.write(result, tmp_path / "out.csv")
    assert table.weights(table.read(tmp_path / "out.csv")) == {}


def test_weights_that_are_damaged(tmp_path):
    result = run_experiment("figure4")
    for raw in (b"", b"PK\x03\x04 no archive"):
        table.write(result, tmp_path / "out.csv")
        (tmp_path / "out.npz").write_bytes(raw)
        with pytest.raises(ValueError, match=r"out.npz must be a whole file of numpy arrays"):
            table.read(tmp_path / "out.csv")


def test_numbers_and_weights_are_those_that_were_written(tmp_path):
    path, weights = tmp_path / "out.csv", tmp_path / "out.npz"
    result = run_experiment("figure4").assign({f"{table.WEIGHT}kernel": (("a", "b"), np.ones((2, 3)))})
    table.write(result, path)
    assert table.read(path).attrs.keys() == result.attrs.keys()
    text, kept = path.read_text(), weights.read_bytes()
    path.write_bytes(text.replace("\n", "\r\n").encode())  # as some checkouts have it
    assert rows(table.read(path)) == rows(result)
    first, head, line, rest = text.split("\n", 3)
    path.write_text("\n".join((first, head, line.replace("0", "1"), rest)))
    with pytest.raises(ValueError, match=r"out.csv must be a result as it was written, got one with other numbers"):
        table.read(path)
    path.write_text(text)
    np.savez(weights, kernel=np.zeros((2, 3)))
    with pytest.raises(ValueError, match=r"out.npz must be the trained weights of out.csv, got others"):
        table.read(path)
    weights.unlink()
    with pytest.raises(ValueError, match=r"out.csv must have its trained weights beside it, got no out.npz"):
        table.read(path)
    weights.write_bytes(kept)
    assert table.weights(table.read(path)).keys() == {"kernel"}


def test_killed_between_the_table_and_its_weights(tmp_path, monkeypatch):
    """What is left says what it lacks, and the run that makes it anew is not refused."""
    path = tmp_path / "out.csv"
    result = run_experiment("figure4").assign({f"{table.WEIGHT}kernel": (("a", "b"), np.ones((2, 3)))})
    replace_file = os.replace

    def killed_before_the_second(source, target):
        if path.exists():
            raise KeyboardInterrupt
        replace_file(source, target)

    monkeypatch.setattr(os, "replace", killed_before_the_second)
    with pytest.raises(KeyboardInterrupt):
        table.write(result, path)
    monkeypatch.undo()
    with pytest.raises(ValueError, match=r"out.csv must have its trained weights beside it, got no out.npz"):
        table.read(path)
    table.write(result, path)
    assert table.weights(table.read(path)).keys() == {"kernel"}


def test_arrays_of_others_stay(tmp_path):
    """The .npz beside a table is the run's own only where the table is."""
    result = run_experiment("figure4")
    np.savez(tmp_path / "mine.npz", precious=np.ones(3))
    for attempt in (lambda: table.write(result, tmp_path / "mine.csv"), lambda: run(tmp_path / "mine.csv")):
        with pytest.raises(ValueError, match=r"out must have no other file in the way, got .*mine.csv, beside which"):
            attempt()
    with pytest.raises(ValueError, match=r"out must end in .csv, got .*mine.npz"):
        run(tmp_path / "mine.npz")
    assert [path.name for path in tmp_path.iterdir()] == ["mine.npz"]


def run(out):
    return run_experiment("figure4", out=out)


def test_paths_may_be_text(tmp_path):
    run_experiment("figure4", out=str(tmp_path / "out.csv"), work=str(tmp_path / "work"))
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv"]


@pytest.mark.parametrize(
    ("attributes", "message"),
    [
        ({}, "must say in its first line its claim, criterion, settings, device: run figure5a again"),
        ({**TOLD, "experiment": "figure3"}, "must be a result of figure5a, got one of figure3"),
    ],
    ids=["older", "another"],
)
@pytest.mark.parametrize("command", ["report", "summarise"])
def test_results_that_cannot_be_reported(monkeypatch, capsys, tmp_path, command, attributes, message):
    (tmp_path / "figure5a_quick.csv").write_text(f"# {json.dumps(attributes)}\n{HEAD}\n{LINE}\n")
    arguments = ("report", "figure5a") if command == "report" else ("summarise",)
    assert call(monkeypatch, *arguments, "--results", tmp_path) == 2
    assert f"figure5a_quick.csv {message}" in capsys.readouterr().err


def test_a_result_of_deep_networks_under_a_recurrent_name(tmp_path):
    (tmp_path / "figure6_quick.csv").write_text(f"# {json.dumps(TOLD)}\n{HEAD}\n{LINE}\n")
    with pytest.raises(ValueError, match="must be a result of figure6, got one of another"):
        places.read("figure6", tmp_path / "figure6_quick.csv")


def test_a_criterion_that_has_changed_is_told(monkeypatch, capsys, tmp_path):
    result = run_experiment("figure5a")
    table.write(result, tmp_path / "figure5a_quick.csv")
    assert call(monkeypatch, "report", "figure5a", "--results", tmp_path) == 0
    assert "which has changed since" not in capsys.readouterr().out
    table.write(result.assign_attrs(criterion="a coin"), tmp_path / "figure5a_quick.csv")
    assert call(monkeypatch, "report", "figure5a", "--results", tmp_path) == 0
    now = EXPERIMENTS["figure5a"].criterion
    told = f"judged by: a coin\n  which has changed since; what follows is judged by: {now}\n"
    assert told in capsys.readouterr().out


@pytest.mark.parametrize("older", [["symmetric"], ["epsilon", "symmetric"]])
def test_tables_that_are_older_than_a_column(older, tmp_path):
    result = run_experiment("figure4")
    table.write(result.drop_vars(older), tmp_path / "old.csv")
    assert not set(older) & set((tmp_path / "old.csv").read_text().splitlines()[1].split(","))
    assert rows(table.read(tmp_path / "old.csv")) == rows(result)


def call(monkeypatch, *arguments):
    monkeypatch.setattr(sys, "argv", ["training", *map(str, arguments)])
    return command_line.main()


def test_command_line(monkeypatch, capsys, tmp_path):
    assert call(monkeypatch, "list") == 0
    assert "figure5b: The effective rank" in capsys.readouterr().out
    run = ("run", "figure5a", "--results", tmp_path)
    assert call(monkeypatch, *run, "--time-budget", 0) == 3
    told = f"  python -m training run figure5a --time-budget 0.0 --results {tmp_path}\n"
    assert f"the same command goes on from {tmp_path / '.figure5a_quick'}:\n{told}" in capsys.readouterr().out
    assert call(monkeypatch, *run) == 0
    told = capsys.readouterr().out
    assert "protected component, U(1): " in told
    assert "\n  reduced: digits, N = 4, L = 3, 1 sigma_w, 2 seeds, 1 epoch; cpu, " in told
    assert sorted(path.name for path in tmp_path.iterdir()) == ["figure5a_quick.csv", "figure5a_quick.png"]
    (tmp_path / "figure5a_quick.png").unlink()
    capsys.readouterr()
    assert call(monkeypatch, "report", "figure5a", "--results", tmp_path) == 0
    assert capsys.readouterr().out.startswith("figure5a (quick): Along training")
    assert (tmp_path / "figure5a_quick.png").exists()
    assert table.read(tmp_path / "figure5a_quick.csv").attrs["device"] == "cpu"


def trained(monkeypatch, capsys, *arguments):
    """Whether a run trains, and what it prints; it may take no time for that."""
    code = call(monkeypatch, "run", *arguments, "--time-budget", 0)
    return {0: False, 3: True}[code], capsys.readouterr().out


def test_a_finished_run_is_not_run_again(monkeypatch, capsys, tmp_path):
    out, run = tmp_path / "figure5a_quick.csv", ("figure5a", "--results", tmp_path)
    run_experiment("figure5a", out=out)
    content = out.read_bytes()
    again, told = trained(monkeypatch, capsys, *run)
    assert not again
    assert told.startswith(f"{out} is finished, so that nothing is trained. To run anew remove that file.\nfigure5a (")
    assert out.read_bytes() == content
    assert not (tmp_path / ".figure5a_quick").exists()
    table.write(table.read(out).assign_attrs(commit="abc"), out)
    assert "is trained. It is of commit abc, and this is " in trained(monkeypatch, capsys, *run)[1]
    out.unlink()
    assert trained(monkeypatch, capsys, *run)[0]


def test_results_that_are_older_than_a_setting_are_finished(monkeypatch, capsys, tmp_path):
    out = tmp_path / "figure5a_quick.csv"
    result = run_experiment("figure5a")
    kept = {key: value for key, value in result.attrs["settings"].items() if key not in ("symmetric", "first_seed")}
    table.write(result.assign_attrs(settings=kept), out)
    assert not trained(monkeypatch, capsys, "figure5a", "--results", tmp_path)[0]
    table.write(result.assign_attrs(settings=kept | {"first_seed": 5}), out)
    assert trained(monkeypatch, capsys, "figure5a", "--results", tmp_path)[0]


@pytest.mark.parametrize("changed", ["preset", "settings", "unfinished", "experiment", "number", "empty"])
def test_what_is_not_taken_for_a_finished_run(monkeypatch, capsys, tmp_path, changed):
    out = tmp_path / "figure5a_quick.csv"
    result = run_experiment("figure5a")
    others = {
        "preset": "cpu",
        "settings": result.attrs["settings"] | {"seeds": 3},
        "unfinished": 4,
        "experiment": "figure5b",
    }
    table.write(result.assign_attrs({changed: others[changed]} if changed in others else {}), out)
    if changed == "number":
        out.write_text(out.read_text().rstrip("\n")[:-1] + "7\n")
    if changed == "empty":
        out.write_text("")
    again, told = trained(monkeypatch, capsys, "figure5a", "--results", tmp_path)
    assert again
    assert f"{out} is not a whole result of this preset and its settings: the run takes its place\n" in told


def test_a_run_killed_after_its_table_ends_with_the_next_call(monkeypatch, capsys, tmp_path):
    """Its checkpoints are those of the end, and are removed with the folder."""
    out, work = tmp_path / "figure5a_quick.csv", tmp_path / ".figure5a_quick"
    with monkeypatch.context() as patch:
        patch.setattr("training.work.Work.remove", lambda _: None)
        run_experiment("figure5a", out=out, work=work)
    assert list(work.glob("stack_*.pt"))
    assert call(monkeypatch, "run", "figure5a", "--results", tmp_path) == 0
    assert "is finished" not in capsys.readouterr().out
    assert not work.exists()


def test_progress_is_a_share_and_the_time_left():
    """A quarter after an hour, in units of nothing that a user would have to know."""
    told = tqdm.format_meter(25e12, 100e12, 3600.0, ncols=80, bar_format=commands.BAR)
    assert told.startswith(" 25 % done |")
    assert told.endswith("| 3:00:00 left, 1:00:00 so far ([h:]min:s)")


def test_checkpoints_stay_until_the_table_is_written(monkeypatch, capsys, tmp_path):
    def full(*_):
        raise OSError(28, "No space left on device")

    out = tmp_path / "figure4_quick.csv"
    with monkeypatch.context() as patch:
        patch.setattr(experiments, "write", full)
        assert call(patch, "run", "figure4", "--results", tmp_path) == 2
    assert "No space left on device" in capsys.readouterr().err
    assert len(list((tmp_path / ".figure4_quick").glob("stack_*.pt"))) == 8
    assert call(monkeypatch, "run", "figure4", "--results", tmp_path) == 0
    assert rows(table.read(out)) == rows(run_experiment("figure4"))
    assert not (tmp_path / ".figure4_quick").exists()


def test_every_experiment_and_preset_can_be_named(capsys):
    """On the command line, which knows them from what is registered."""
    assert set(get_args(Name)) == set(EXPERIMENTS)
    assert set(get_args(PresetName)) == {preset for each in EXPERIMENTS.values() for preset in each.presets}


def test_which_presets_a_figure_has_is_listed(monkeypatch, capsys):
    with pytest.raises(SystemExit):
        call(monkeypatch, "run", "--help")
    assert "`python -m training list` shows those of each" in " ".join(capsys.readouterr().out.replace("│", "").split())
    assert call(monkeypatch, "list") == 0
    listed = capsys.readouterr().out.split("\nfigure6: ")[1].split("\ncopy200: ")[0].splitlines()[2:]
    assert [line.split()[0] for line in listed] == list(EXPERIMENTS["figure6"].presets)


def test_control_c_stops_the_threads_and_leaves_checkpoints(monkeypatch, capsys, tmp_path):
    """Pressed while the first stack is at work: the second thread's next report ends it."""
    monkeypatch.setitem(PRESETS["figure3"], "quick", replace(PRESETS["figure3"]["quick"], epochs=10_000))
    monkeypatch.setattr(runner, "_gather", _pressed)
    monkeypatch.setattr(commands, "workers", lambda _: 2)
    assert call(monkeypatch, "run", "figure3", "--results", tmp_path) == 3
    assert "the same command goes on" in capsys.readouterr().out
    saved = [torch.load(path, weights_only=True) for path in (tmp_path / ".figure3_quick").glob("stack_*.pt")]
    assert len(saved) == 2
    assert all(state["step"] > 0 for state in saved)


def _pressed(futures, notes, *_):
    for future in futures[2:]:
        future.cancel()
    while not all(note.read() for note in notes[:2]):
        time.sleep(0.01)
    raise KeyboardInterrupt


def _interrupt(number):
    """What Ctrl-C does to a process, which has to live on."""
    os.kill(os.getpid(), signal.SIGINT)
    return number


def test_a_killed_worker_loses_nothing_and_says_how_to_go_on(monkeypatch, capsys, tmp_path):
    def killed(*_, **__):
        raise BrokenProcessPool("A process was terminated abruptly.")

    monkeypatch.setattr(commands, "run_experiment", killed)
    assert call(monkeypatch, "run", "figure4", "--results", tmp_path) == 2
    wanted = f"terminated abruptly. The same command goes on from {tmp_path / '.figure4_quick'}"
    assert wanted in capsys.readouterr().err


def test_control_c_does_not_end_the_processes(monkeypatch):
    monkeypatch.setattr(commands, "workers", lambda _: 1)
    with as_executor("processes", "cpu") as processes:
        assert list(processes.map(_interrupt, range(2))) == [0, 1]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("report", "figure4", "--results", "nowhere"), "no result of figure4 in HERE/nowhere: run it first"),
        (("run", "figure3", "--executor", "cloud"), "executor must be 'threads', 'processes' or a dask"),
        (("run", "figure3", "--device", "tpu"), "device must be 'auto', 'cpu', 'cuda'"),
        (("run", "figure3", "--preset", "cpu", "--data-dir", "nowhere"), "data_dir must be a folder"),
        (("run", "figure5a", "--preset", "cpu", "--data-dir", "."), "no train-images-idx3-ubyte"),
        (("run", "figure6", "--data-dir", "nowhere"), "data_dir must be a folder"),
        (("run", "figure5a", "--time-budget", "-5"), "time_budget must be >= 0, got -5"),
        (("run", "figure5a", "--time-budget", "nan"), "time_budget must be >= 0, got nan"),
        (("summarise", "--results", "nowhere"), "results must be a folder with tables of results, got nowhere"),
        (("summarise", "--results", "."), "results must be a folder with tables of results, got ."),
    ],
    ids=["report", "executor", "device", "folder", "data", "unused data", "negative", "nan", "no folder", "no tables"],
)
def test_errors_on_the_command_line(monkeypatch, capsys, tmp_path, arguments, message):
    monkeypatch.chdir(tmp_path)
    assert call(monkeypatch, *arguments) == 2
    told = capsys.readouterr().err
    assert told.startswith("error: " + message.replace("HERE", str(tmp_path)))
    assert told.count("\n") == 1
    assert not list(tmp_path.rglob("*"))  # nothing is left of a run that did not begin


def test_a_table_that_cannot_be_written_is_refused_before_the_training(monkeypatch, capsys, tmp_path):
    monkeypatch.setattr(experiments, "run_all", None)
    (tmp_path / "figure5a_quick.csv").mkdir()
    assert call(monkeypatch, "run", "figure5a", "--results", tmp_path) == 2
    assert f"out must be a file, got {tmp_path}/figure5a_quick.csv, which is a folder" in capsys.readouterr().err
    assert [path.name for path in tmp_path.iterdir()] == ["figure5a_quick.csv"]


def test_a_folder_where_another_run_is(monkeypatch, capsys, tmp_path):
    with claimed(tmp_path / ".figure5a_quick"):
        with ThreadPoolExecutor(1) as threads:
            assert threads.submit(call, monkeypatch, "run", "figure5a", "--results", tmp_path).result() == 2
        assert f"where process {os.getpid()} on " in capsys.readouterr().err
    assert call(monkeypatch, "run", "figure5a", "--results", tmp_path) == 0


def test_simulate_and_meanfield_do_not_import_training():
    code = "import sys, meanfield, simulate; print('training' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


def test_seeds_may_begin_later():
    """Those that an earlier experiment has not seen."""
    size = replace(PRESETS["jacobian"]["cpu"], data="digits")
    seeds = {model.seed for job in size.jobs(None, "cpu") for model in job.models}
    assert seeds == {5, 6, 7}
    assert not seeds & set(range(PRESETS["collapse"]["paper"].seeds))
    assert "3 seeds from 5 on, 1 epoch" in describe(size.settings)


def test_circles_and_crosses_are_the_two_rates():
    """Of two networks: one with 0.7 after small steps, one with 0.1 after large ones."""
    place = "U(1)", 4, 3, 1.5, 0
    rows = [
        Row(*place, rate, step, 1.0, -1, quantity, value)
        for rate, size, accuracy in ((1e-4, 2.0, 0.7), (1e-3, 1e-9, 0.1))
        for step, quantity, value in ((0, "jacobian_norm", 9.0), (1, "jacobian_norm", size), (2, "accuracy", accuracy))
    ]
    ax = EXPERIMENTS["jacobian"].panels[0](table.as_dataset(rows, {}), Figure().subplots())
    drawn = {
        line.get_marker(): (*line.get_xdata(), *line.get_ydata()) for line in ax.get_lines() if len(line.get_xdata())
    }
    assert drawn == {"o": (2.0, 0.7), "x": (1e-9, 0.1)}
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["U(1)", "after large steps"]
