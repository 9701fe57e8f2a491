"""The recurrent experiments from their sizes to tables, verdicts and figures, by the runner of all experiments."""

import math
import re
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context

import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from training import run_experiment, runner, table
from training.commands import Report, SoFar
from training.experiments import EXPERIMENTS, so_far
from training.recurrent import CopyTask, Setting
from training.recurrent.copy_task import BLANK, TOKENS
from training.recurrent.experiments import RECURRENT
from training.recurrent.job import DROP_AFTER, EPOCHS, Job
from training.recurrent.presets import AS_LARGE, PRESETS, Size, best, controls, describe, sweep
from training.recurrent.tables import parameter_count
from training.runner import Interrupted
from training.summary import summary

from ..killed import killed

SETTINGS = (
    Setting("U(1) RNN", 3, seed=0),
    Setting("RNN", 4, seed=0),
    Setting("U(1) RNN", 3, seed=1, frozen_blank=True, encoder="variance 0.001"),
    Setting("U(1) RNN", 3, seed=2),
)
SMALL = Job(SETTINGS, max_delay=1, steps=6, batch=2, test_every=2)


@pytest.fixture(autouse=True)
def _short(monkeypatch):
    for name, sizes in PRESETS.items():
        parts = tuple(
            part if part.max_delay is None else replace(part, steps=min(part.steps, 4), test_every=2)
            for part in sizes["quick"].parts
        )
        monkeypatch.setitem(PRESETS[name], "quick", Size(parts))


def rows(result):
    return table.frame(result).to_csv(index=False)


def test_models_of_one_shape_share_a_stack_of_few(monkeypatch):
    monkeypatch.setattr("training.recurrent.job.gpu_memory", lambda device: 80 * 2**30)
    shared = [[(s.kind, s.seed) for s in job.settings] for job in replace(SMALL, device="cuda").split()]
    assert shared == [[("RNN", 0)], [("U(1) RNN", 0), ("U(1) RNN", 1), ("U(1) RNN", 2)]]
    shared = [[(s.kind, s.seed) for s in job.settings] for job in SMALL.split()]
    assert shared == [[("RNN", 0)], [("U(1) RNN", 0), ("U(1) RNN", 1)], [("U(1) RNN", 2)]]


@pytest.mark.parametrize("gpu", [80, 141])
@pytest.mark.parametrize(("kind", "most"), [("O(24) RNN", 1), ("U(1) GRU", 5), ("GRU", 10), ("RNN", 33)])
def test_a_stack_fits_a_gpu(monkeypatch, kind, most, gpu):
    """Half of 64 GiB, over 784 steps of 128 images of 512 k real numbers in four bytes, times what a step needs.

    On every larger GPU as well, so that a run may go on on another.
    """
    monkeypatch.setattr("training.recurrent.job.gpu_memory", lambda device: gpu * 2**30)
    job = Job(tuple(Setting(kind, 512, seed) for seed in range(50)), epochs=1, images="mnist", device="cuda")
    shares = [len(each.settings) for each in job.split()]
    assert sum(shares) == 50
    assert max(shares) == shares[0] == most


def test_stacks_side_by_side_have_room_for_twice_what_they_need(monkeypatch):
    """Two of the largest stacks never share a GPU; many small ones may."""
    monkeypatch.setattr("training.recurrent.job.gpu_memory", lambda device: 80 * 2**30)
    settings = tuple(Setting("RNN", 512, seed) for seed in range(33))
    (largest,) = Job(settings, epochs=1, images="mnist", device="cuda").split()
    assert 0.9 < largest.share <= 1.0
    assert replace(largest, settings=settings[:11]).share == pytest.approx(largest.share / 3.0)
    assert sum(job.share for job in PRESETS["figure6"]["paper"].jobs(None, "cuda")) < 1.0
    assert largest.share > 0.5
    assert replace(largest, device="cpu").share == 0.0


@pytest.mark.parametrize("name", sorted(RECURRENT))
def test_every_experiment_runs_is_kept_judged_and_drawn(name, tmp_path):
    result = run_experiment(name, work=tmp_path / "work")
    assert result.attrs["claim"] == EXPERIMENTS[name].claim
    assert result.attrs["commit"]
    table.write(result, tmp_path / "out.csv")
    again = table.read(tmp_path / "out.csv")
    assert rows(again) == rows(result)
    kept, read = table.weights(result), table.weights(again)
    assert kept.keys() == read.keys()
    assert all(np.array_equal(kept[name], read[name]) for name in kept)
    found = table.frame(result)
    # every model is in it, with the last of its tests
    each = ["task", "model", "recurrent", "encoder", "activation", "learning_rate", "seed"]
    assert len(found[each].drop_duplicates()) == PRESETS[name]["quick"].networks
    assert np.isfinite(found.value).all()
    assert EXPERIMENTS[name].judge(found)
    panels = EXPERIMENTS[name].drawn(again)
    assert len(panels) == {"figure7": 2, "figure12": 2}.get(name, len(PRESETS[name]["quick"].parts))
    for panel in panels:
        ax = Figure().subplots()
        assert panel(again, ax) is ax
        assert ax.get_lines()
        assert ax.get_ylabel()


def test_a_report_has_the_paper_s_numbers_and_the_tests_between_models(tmp_path, capsys):
    table.write(run_experiment("figure6"), tmp_path / "figure6_quick.csv")
    assert Report("figure6", "quick", tmp_path).run() == 0
    told = capsys.readouterr().out
    assert "0.000726 +- 0.00055 (copy, T <= 25)" in told
    assert "Welch's two-sided t-tests of " in told
    assert (tmp_path / "figure6_quick.png").exists()


def test_results_do_not_depend_on_processes_or_interruptions(tmp_path):
    straight, work = rows(run_experiment("figure6")), tmp_path / "work"
    with pytest.raises(Interrupted):
        run_experiment("figure6", work=work, time_budget=0.0)
    told = []

    def stop(done, total):
        told.append(done)
        if len(told) == 7:
            raise Interrupted

    with pytest.raises(Interrupted):
        run_experiment("figure6", work=work, progress=stop)
    with ProcessPoolExecutor(1, get_context("spawn")) as processes:
        assert rows(run_experiment("figure6", work=work, executor=processes)) == straight
    assert not work.exists()


def half_way(folder, steps):
    """Figure 6's smallest run, of which each stack was stopped after so many steps."""
    folder.mkdir(exist_ok=True)
    (folder / "calls.json").write_text(
        '{"seconds": 5.0, "commits": ["abc"], "where": {"device": "cpu", "gpu": "none"}}'
    )
    for number, (job, after) in enumerate(zip(PRESETS["figure6"]["quick"].jobs(None, "cpu"), steps, strict=False)):
        training = job.start().run(after)
        training.save(folder / f"stack_{number:03d}.pt")


@pytest.fixture
def longer(monkeypatch):
    """Figure 6's smallest run with tests at steps 2, 4 and 6."""
    sizes = PRESETS["figure6"]
    parts = tuple(replace(part, steps=6, test_every=2) for part in sizes["quick"].parts)
    monkeypatch.setitem(sizes, "quick", Size(parts))
    return len(sizes["quick"].jobs(None, "cpu"))


def test_what_a_stopped_run_has_measured(tmp_path, longer, capsys):
    """All up to the last test that every stack has made, as the whole run has it, and told to be no more than that."""
    half_way(tmp_path / ".figure6_quick", [4, 5, *[6] * (longer - 2)])
    assert SoFar("figure6", "quick", results=tmp_path).run() == 0
    assert "\n  unfinished, after 4 batches: copy, T <= 2: RNN 32" in capsys.readouterr().out
    result = table.read(tmp_path / "figure6_quick.csv")
    assert result.attrs["unfinished"] == 4
    assert (result.attrs["seconds"], result.attrs["commits"], result.attrs["gpu"]) == (5.0, ["abc"], "none")
    assert SoFar("figure6", "quick", results=tmp_path).run() == 0  # once more, over the table that is there
    whole = run_experiment("figure6", "quick", out=tmp_path / "figure6_quick.csv")
    with pytest.raises(ValueError, match="results must be a folder without a table of a whole run"):
        SoFar("figure6", "quick", results=tmp_path).run()
    whole = table.frame(whole)
    expected = whole[whole.step <= 4].reset_index(drop=True)
    assert table.frame(result).equals(expected)
    assert set(expected.step) == {2, 4}
    for panel, ax in zip(EXPERIMENTS["figure6"].drawn(result), Figure().subplots(1, 2), strict=True):
        assert "after 4 batches" in panel(result, ax).get_title()
    assert "unfinished" not in summary(tmp_path).partition("| figure |")[2]
    table.write(result, tmp_path / "figure6_quick.csv")
    assert "**unfinished, after 4 batches:** copy, T <= 2: RNN 32" in summary(tmp_path)


def test_what_a_stopped_run_cannot_tell(tmp_path, longer):
    """And what to do, as one types it."""
    run, work = f"`python -m training run figure6 --preset quick --results {tmp_path}", tmp_path / ".figure6_quick"
    told = f"no run of figure6 --preset quick was stopped in {tmp_path}: it was not started there, or has ended; {run}"
    with pytest.raises(FileNotFoundError, match=re.escape(told)):
        SoFar("figure6", "quick", results=tmp_path).run()
    work.mkdir()
    with pytest.raises(FileNotFoundError, match=rf"{re.escape(str(work))} has no calls\.json: a run leaves one"):
        so_far("figure6", "quick", work)
    half_way(work, [4])
    told = f"of the {longer} stacks of networks of the run in {work} 1 have begun, and a table needs all; {run}` goes"
    with pytest.raises(FileNotFoundError, match=re.escape(told)):
        so_far("figure6", "quick", work)
    half_way(work, [4] * (longer - 1) + [1])
    told = f"not all stacks of networks of the run in {work} have made a test, and a table ends with the last of all; "
    with pytest.raises(ValueError, match=re.escape(f"{told}{run}` goes on")):
        so_far("figure6", "quick", work)
    with pytest.raises(FileNotFoundError, match=re.escape(f"{run} --data-dir 'my images'` starts it")):
        so_far("figure6", "quick", tmp_path / "none", data_dir="my images")
    told = "name must be of recurrent networks, one of figure6, .*, got 'figure3', which is of deep ones: they have a"
    with pytest.raises(ValueError, match=told):
        so_far("figure3", "quick", work)
    with pytest.raises(ValueError, match="without a grid, got 'figure12': vortices are counted at the end only"):
        so_far("figure12", "quick", work)


IMPORTS = """
from training.recurrent import Setting
from training.recurrent.job import Job
"""


def test_killed_at_random_moments_and_resumed(tmp_path):
    job, checkpoint = replace(SMALL, settings=SMALL.split()[1].settings, steps=600), tmp_path / "stack.pt"
    first, second = killed(job, IMPORTS, checkpoint, 0.25, seed=5)
    assert 0 < first < second < 600
    assert runner.run(job, checkpoint).rows == runner.run(job).rows


def test_checkpoints_that_do_not_fit(tmp_path):
    first, second, _ = SMALL.split()
    runner.run(first, tmp_path / "stack.pt")
    with pytest.raises(ValueError, match=r"must be a checkpoint of .* got one of .*; delete it to start anew"):
        runner.run(second, tmp_path / "stack.pt")


def test_cost_counts_the_products():
    """Against the products of the recurrent weights, counted by hand: of real numbers, for one step of one sequence."""
    per_step = {
        Setting("RNN", 5): 25,
        Setting("GRU", 5): 75,
        Setting("U(1) RNN", 5): 100,
        Setting("O(3) RNN", 5): 75,
        Setting("generic(3) RNN", 5): 225,
        Setting("U(1) GRU", 5): 150,
        Setting("grid RNN", 16, channels=2): 16 * 16 * 9,
    }
    for setting, products in per_step.items():
        job = Job((setting,), max_delay=4, steps=7, batch=3)
        assert job.cost == 6.0 * 3 * CopyTask(4).steps * products
        assert job.work == 7 * job.cost
    images = Job((Setting("RNN", 5),), epochs=2, batch=128)
    assert images.work == 2 * 11 * 6.0 * 128 * 64 * 25  # 1,297 digits are 11 batches


def test_sweeps_have_the_paper_s_sizes():
    """2 x 2 initialisations, 3 rates, 3 seeds, and 2 activations where there are two: 72 runs, otherwise 36."""
    both = sweep("copy", "RNN", 32)
    assert len(set(both)) == 72
    assert len(set(sweep("copy", "U(1) GRU", 32))) == 36
    assert {setting.frozen_blank for setting in both if setting.encoder == "standard"} == {None}
    assert {setting.frozen_blank for setting in both if setting.encoder != "standard"} == {True}
    assert {setting.frozen_blank for setting in sweep("psMNIST", "RNN", 32)} == {None}


@pytest.mark.parametrize(("name", "task"), [("figure6", "copy"), ("copy200", "copy"), ("figure7", "psMNIST")])
def test_what_is_selected_is_among_what_is_swept(name, task):
    """Every row of Table 1 is one of the sweep's settings; GRU 32 has the equations' biases there."""
    swept = {replace(each, biases="tables") for part in PRESETS[name]["sweep"].parts for each in part.settings}
    models = ["RNN", "GRU", "U(1) GRU", *(["U(1) RNN"] if task == "copy" else ["O(k) RNN"])]
    assert {replace(each, biases="tables") for each in best(task, models, 3)} <= swept
    sizes = {"figure6": 2 * 72 + 36 + 3 * 36, "copy200": 2 * 72 + 4 * 36, "figure7": 4 * 72 + 32 * 36}
    assert PRESETS[name]["sweep"].networks == len(swept) == sizes[name]


def test_the_paper_s_experiments():
    rnns, grus = PRESETS["figure6"]["paper"].parts
    assert (rnns.max_delay, grus.max_delay, rnns.steps, rnns.batch, rnns.test_every) == (25, 100, 10**6, 128, 1000)
    names = {(s.kind, s.hidden_size) for s in rnns.settings}
    assert names == {("RNN", 32), ("RNN", 64), ("U(1) RNN", 32), ("generic(2) RNN", 32)}
    assert len({s.seed for s in rnns.settings}) == 10
    (images,) = PRESETS["figure7"]["paper"].parts
    assert len(images.settings) == 18 * 3
    assert (images.max_delay, images.images, images.epochs, images.batch) == (None, "mnist", 120, 128)
    (grid,) = PRESETS["figure12"]["paper"].parts
    assert (grid.max_delay, grid.fixed_delay, grid.settings[0].hidden_size, grid.settings[0].channels) == (
        100,
        True,
        400,
        16,
    )
    assert (grid.steps, grid.batch, grid.test_every) == (10**6, 128, 1000)


def test_image_training_follows_the_paper():
    """120 epochs of batches of 128, clipping at 1, rates a tenth after 100 epochs; 11 batches in an epoch of digits.

    Validated every 6 epochs.
    """
    training = Job((Setting("U(1) RNN", 3),), epochs=120).start()
    assert (training.steps, training.drop_at, training.clip_norm, training.test_every) == (1320, 1100, 1.0, 66)


def test_a_rate_that_falls_at_the_end():
    """It is handed to training, told, and the same for both kinds."""
    (part,) = PRESETS["gru_symmetry"]["falling"].parts
    assert replace(part, settings=part.settings[:1]).start().drop_at == 22_500 == 3 * part.steps // 4
    told = describe(PRESETS["gru_symmetry"]["falling"].settings)
    assert "learning rate 0.01, a tenth of it after 22500 batches; 5 seeds, 30000 batches of 32" in told
    assert "tenth" not in describe(PRESETS["gru_symmetry"]["longest"].settings)


def test_controls():
    settings = best("copy", ["U(1) RNN", "GRU"], 2)
    assert len(settings) == 6
    extra = controls(settings)
    biased = ["GRU 32, b_z = 2", "GRU 64, b_z = 2"]
    assert [s.name for s in extra if s.seed == 0] == ["generic(2) RNN 32", *biased, *biased]
    (ours,) = best("copy", ["U(1) GRU"], 1)
    start = (ours.recurrent, ours.encoder, ours.frozen_blank)
    assert {(s.recurrent, s.encoder, s.frozen_blank) for s in extra[-4:]} == {start}
    assert len(set(extra)) == len(extra)


def test_models_with_and_without_the_blank_rule_differ_in_the_blank_alone():
    """In pairs of one seed; the blank's weights are zero for one, and are drawn for the other."""
    for part in PRESETS["blank"]["cpu"].parts:
        held = {(s.kind, s.seed): s for s in part.settings if s.frozen_blank}
        trained = {(s.kind, s.seed): s for s in part.settings if not s.frozen_blank}
        assert len(held) == len(trained) == len(part.settings) // 2
        assert {key: replace(s, frozen_blank=True) for key, s in trained.items()} == held
    assert (held["GRU", 21].name, trained["GRU", 21].name) == ("GRU 32", "GRU 32, blank trained")
    for key in (("GRU", 21), ("U(1) GRU", 22)):
        with_rule, without = (each[key].build(TOKENS, every_step=True).state_dict() for each in (held, trained))
        assert parameter_count(held[key].build(TOKENS, every_step=True)) == parameter_count(
            trained[key].build(TOKENS, every_step=True)
        )
        without["layer.encoder_mask"][:, BLANK] = 0.0
        assert without["layer.encoder"][:, BLANK].abs().min() > 0.0
        without["layer.encoder"][:, BLANK] = 0.0
        assert all(torch.equal(value, without[name]) for name, value in with_rule.items())


def test_models_with_either_reading_differ_in_the_size_of_their_input_weights_alone():
    """By the factor sqrt(0.001)/0.001, but for the gates', which are standard."""
    for part in PRESETS["low_variance"]["cpu"].parts:
        small, large = (
            {(s.kind, s.seed): s for s in part.settings if s.encoder == f"{word} 0.001"}
            for word in ("deviation", "variance")
        )
        assert len(small) == len(large) == len(part.settings) // 2 == 5
        assert {key: replace(s, encoder="variance 0.001") for key, s in small.items()} == large
        for key, setting in small.items():
            own, other = (each.build(TOKENS, every_step=True).state_dict() for each in (setting, large[key]))
            for name, value in own.items():
                factor = 0.001**-0.5 if name == "layer.encoder" else 1.0
                torch.testing.assert_close(factor * value, other[name])


def test_ordinary_models_as_large_as_the_equivariant_ones():
    """On digits: the smallest hidden sizes with no fewer parameters."""
    (digits,) = PRESETS["figure7"]["cpu"].parts
    count = {s.name: parameter_count(s.build(1, every_step=False)) for s in digits.settings}
    for ordinary, ours in (("RNN", "O(18) RNN 32"), ("GRU", "U(1) GRU 32")):
        (larger,) = {
            s
            for s in digits.settings
            if s.kind == ordinary
            and (s.hidden_size, s.seed) == (AS_LARGE[ordinary], 0)
            and (s.learning_rate, s.encoder) == (0.01, "standard")
        }
        smaller = replace(larger, hidden_size=larger.hidden_size - 1)
        assert parameter_count(smaller.build(1, every_step=False)) < count[ours] <= count[larger.name]


def test_the_beginning_of_the_paper_s_runs():
    """Its settings and its rates until it stops; all models but GRU 64 have 18 thousand parameters."""
    (paper,), (short,) = PRESETS["figure7"]["paper"].parts, PRESETS["figure7"]["short"].parts
    assert (short.images, short.batch, short.epochs) == (paper.images, paper.batch, 2)
    assert {s for s in short.settings if s.name != "GRU 75"} <= set(paper.settings)
    assert math.ceil(short.epochs * DROP_AFTER / EPOCHS) >= short.epochs  # the tenfold smaller rate never comes
    count = {s.name: parameter_count(s.build(1, every_step=False)) for s in short.settings}
    assert count == {
        "RNN 128": 18_058,
        "GRU 64": 13_514,
        "O(18) RNN 64": 17_930,
        "U(1) GRU 64": 18_058,
        "GRU 75": 18_310,
    }
    gru = next(s for s in short.settings if s.name == "GRU 75")
    assert parameter_count(replace(gru, hidden_size=74).build(1, every_step=False)) < count["U(1) GRU 64"]
    assert len(short.settings) == 5 * 3


def test_the_beginning_of_figure_6():
    """All that makes a run is the paper's, of the left panel, but where it stops."""
    (short,), paper = PRESETS["figure6"]["short"].parts, PRESETS["figure6"]["paper"].parts[0]
    assert short.steps == 25_000 < paper.steps == 1_000_000
    assert replace(short, steps=paper.steps) == paper
    assert paper.task == "copy, T <= 25"


def test_halves_of_figure_6():
    """One panel of the paper's, but for when tests are made, and the beginning of its own models of the other."""
    rnns, grus = PRESETS["figure6"]["paper"].parts
    (left,), (right,) = PRESETS["figure6"]["rnns"].parts, PRESETS["figure6"]["grus"].parts
    assert replace(left, test_every=rnns.test_every) == rnns
    own = tuple(s for s in grus.settings if s.update_bias is None)
    assert replace(right, steps=grus.steps, settings=own) == replace(grus, settings=own)
    assert set(right.settings) == set(own)
    assert right.steps == 50_000
    (whole,) = PRESETS["figure6"]["all_grus"].parts
    assert replace(whole, steps=right.steps, test_every=right.test_every) == right
    assert whole.steps == grus.steps


def test_ordinary_rnns_with_rates_of_their_own():
    """The beginning of Figure 6 without its controls, for new seeds; the rates are all that differs from Table 1."""
    (short,), (part,) = PRESETS["figure6"]["short"].parts, PRESETS["figure6"]["rates"].parts
    theirs = {replace(s, seed=0, learning_rate=0.1) for s in short.settings if s.kind in ("RNN", "U(1) RNN")}
    assert {replace(s, seed=0, learning_rate=0.1) for s in part.settings} == theirs
    rates = {name: {s.learning_rate for s in part.settings if s.name == name} for name in ("RNN 32", "RNN 64")}
    assert rates == {"RNN 32": {3e-4, 1e-3, 3e-3}, "RNN 64": {3e-4, 1e-3, 3e-3}}
    (table_1,) = {s.learning_rate for s in short.settings if s.name == "U(1) RNN 32"}
    assert {s.learning_rate for s in part.settings if s.name == "U(1) RNN 32"} == {table_1}
    assert not {s.seed for s in part.settings} & {s.seed for s in short.settings}
    assert len(part.settings) == (3 + 3 + 1) * 5
    assert replace(part, settings=short.settings, keep=True) == short


def test_ordinary_grus_with_a_rate_of_their_own():
    """The reduced run of the longest delays without its controls, for new seeds."""
    (cpu,), (part,) = PRESETS["copy200"]["cpu"].parts, PRESETS["copy200"]["rates"].parts
    plain = {replace(s, seed=0) for s in cpu.settings if s.name in ("GRU 32", "GRU 64", "U(1) GRU 32")}
    assert {replace(s, seed=0, learning_rate=3e-3) for s in part.settings} == plain
    assert {(s.name, s.learning_rate) for s in part.settings} == {
        ("GRU 32", 1e-3),
        ("GRU 64", 1e-3),
        ("U(1) GRU 32", 3e-3),
    }
    assert not {s.seed for s in part.settings} & {s.seed for s in cpu.settings}
    assert replace(part, settings=cpu.settings) == cpu


def test_with_and_without_the_symmetry():
    """All that makes a model is Table 1's, but the rates that both are given, and the group; seeds are new ones."""
    (short,), (part,) = PRESETS["figure6"]["short"].parts, PRESETS["symmetry"]["cpu"].parts
    theirs = {replace(s, seed=0) for s in short.settings if s.kind == "U(1) RNN"}
    for kind in ("U(1) RNN", "generic(2) RNN"):
        own = [s for s in part.settings if s.kind == kind]
        assert {replace(s, kind="U(1) RNN", seed=0, learning_rate=1e-3) for s in own} == theirs
        assert {s.learning_rate for s in own} == {3e-4, 1e-3, 3e-3}
        assert not {s.seed for s in own} & {s.seed for s in short.settings}
        assert len(own) == 15
    assert (part.max_delay, part.batch, part.steps) == (short.max_delay, short.batch, short.steps)


def test_variants_of_a_reduced_run_do_not_stand_for_it():
    """A report that names no preset is of the last one that has a result."""
    for name, presets in PRESETS.items():
        order = list(presets)
        for variant in {"rates", "longer", "longest", "shorter", "falling", "rnns", "grus"} & presets.keys():
            assert order.index(variant) < order.index("cpu"), name


def test_more_batches_with_and_without_the_symmetry():
    """The pairs of the reduced run, with the rates of its two and Table 1's smallest, and seeds of their own."""
    (pair,), (part,) = PRESETS["symmetry"]["cpu"].parts, PRESETS["symmetry"]["longer"].parts
    theirs = {replace(s, seed=0, learning_rate=1e-3) for s in pair.settings}
    assert {replace(s, seed=0, learning_rate=1e-3) for s in part.settings} == theirs
    assert {s.learning_rate for s in part.settings} == {1e-4, 3e-4, 1e-3}
    assert len(part.settings) == 60
    others = [
        size for sizes in PRESETS.values() for size in sizes.values() if size is not PRESETS["symmetry"]["longer"]
    ]
    parts = [each for size in others for each in size.parts if each.max_delay is not None]
    taken = {s.seed for each in parts for s in each.settings}
    assert not {s.seed for s in part.settings} & taken
    assert replace(part, settings=pair.settings, steps=pair.steps, test_every=pair.test_every) == pair


def test_shorter_delays_with_and_without_the_symmetry():
    """The pairs of the reduced run at the rates that were best there, with seeds of their own."""
    (pair,), (part,) = PRESETS["symmetry"]["cpu"].parts, PRESETS["symmetry"]["shorter"].parts
    theirs = {replace(s, seed=0) for s in pair.settings if s.learning_rate < 3e-3}
    assert {replace(s, seed=0) for s in part.settings} == theirs
    assert len(part.settings) == len(theirs) * 5 == 20
    assert not {s.seed for s in part.settings} & {s.seed for s in pair.settings}
    assert (part.max_delay, part.steps, part.batch) == (2, 30_000, 32)


def test_grus_with_and_without_the_symmetry():
    """That of the longest delays but for rates, seeds, recurrent weights; and one that begins as the same function."""
    (cpu,), (part,) = PRESETS["copy200"]["cpu"].parts, PRESETS["gru_symmetry"]["cpu"].parts
    with_it, without = ([s for s in part.settings if s.kind == f"{each} GRU"] for each in ("U(1)", "generic(2)"))
    assert [replace(s, kind="generic(2) GRU") for s in with_it] == without
    theirs = {replace(s, seed=0) for s in cpu.settings if s.kind == "U(1) GRU"}
    assert {replace(s, seed=0, learning_rate=3e-3, recurrent="uniform") for s in with_it} == theirs
    assert {(s.learning_rate, s.recurrent) for s in with_it} == {(rate, "identity") for rate in (1e-3, 3e-3, 1e-2)}
    earlier = {s.seed for preset in ("cpu", "rates") for s in PRESETS["copy200"][preset].parts[0].settings}
    assert not {s.seed for s in part.settings} & earlier
    assert len(with_it) + len(without) == len(part.settings) == 30
    assert replace(part, settings=cpu.settings) == cpu
    x = torch.nn.functional.one_hot(torch.randint(TOKENS, (3, 7)), TOKENS).float()
    a, b = (each[0].build(TOKENS, every_step=True) for each in (with_it, without))
    assert torch.equal(a(x), b(x))


def test_longer_delays_with_and_without_the_symmetry():
    """The pairs of the shortest delays, on the reduced task of Figure 6's GRUs, with seeds of their own."""
    (pair,), (part,) = PRESETS["gru_symmetry"]["cpu"].parts, PRESETS["gru_symmetry"]["longer"].parts
    other = PRESETS["figure6"]["cpu"].parts[1]
    assert {replace(s, seed=6) for s in part.settings} == {
        s for s in pair.settings if s.seed == 6 and s.learning_rate != 1e-3
    }
    seeds = {s.seed for s in part.settings}
    assert len(seeds) == 5
    assert not seeds & {s.seed for s in (*pair.settings, *other.settings)}
    assert replace(part, settings=other.settings) == other


def test_longer_delays_with_more_batches():
    """The longer delays again, with the batches of the shortest ones, and with seeds of their own."""
    (pair,), (before,), (part,) = (PRESETS["gru_symmetry"][preset].parts for preset in ("cpu", "longer", "longest"))
    assert {replace(s, seed=0) for s in part.settings} == {replace(s, seed=0) for s in before.settings}
    assert len(part.settings) == len(before.settings)
    assert not {s.seed for s in part.settings} & {s.seed for s in (*pair.settings, *before.settings)}
    assert replace(part, settings=before.settings, steps=15_000) == before
    assert part.steps == pair.steps


def test_images_with_and_without_the_symmetry():
    """Table 1's but for their size, the rates, the group and the bias, which generic models have not; new seeds.

    Both begin as the same function.
    """
    (digits,), (part,) = PRESETS["figure7"]["cpu"].parts, PRESETS["image_symmetry"]["cpu"].parts
    plain = {"seed": 0, "hidden_size": 1, "learning_rate": 1e-3, "biases": "tables"}
    paper = {replace(s, **plain) for s in PRESETS["figure7"]["paper"].parts[0].settings}
    assert len({s.kind for s in part.settings}) == 4
    for kind, generic in (("O(6) RNN", "generic(6) RNN"), ("U(1) GRU", "generic(2) GRU")):
        with_it, without = ([s for s in part.settings if s.kind == each] for each in (kind, generic))
        assert [replace(s, kind=generic) for s in with_it] == without
        assert {replace(s, **plain) for s in with_it} <= paper
        x = torch.rand(2, 5, 1)
        a, b = (each[0].build(1, every_step=False) for each in (with_it, without))
        assert torch.equal(a(x), b(x))
        assert parameter_count(a) < parameter_count(b)
    assert not {s.seed for s in part.settings} & {s.seed for s in digits.settings}
    assert (part.images, part.epochs, part.batch) == (digits.images, digits.epochs, digits.batch)
    assert {s.hidden_size for s in part.settings} == {32}


def test_bursts_are_sought_in_the_paper_s_rnn():
    """That of Table 1 and of the beginning of Figure 7, with seeds of its own; tanh takes the place of ReLU alone."""
    (short,), (part,) = PRESETS["figure7"]["short"].parts, PRESETS["bursts"]["cpu"].parts
    theirs = {replace(s, seed=0) for s in short.settings if s.kind == "RNN"}
    relu, tanh = ({s for s in part.settings if s.activation == name} for name in ("relu", "tanh"))
    assert {replace(s, seed=0) for s in relu} == theirs
    assert {replace(s, activation="relu") for s in tanh} == relu
    assert not {s.seed for s in part.settings} & {s.seed for s in short.settings}
    assert (part.images, part.epochs, part.batch) == (short.images, short.epochs, short.batch)
    assert {s.kind for s in PRESETS["bursts"]["paper"].parts[0].settings} == {"RNN", "GRU"}


def test_a_result_with_one_of_the_tasks_of_a_figure_has_one_panel():
    (short,) = PRESETS["figure6"]["short"].parts
    part = replace(short, settings=tuple(s for s in short.settings if s.seed < 2), max_delay=2, steps=2, batch=2)
    size = Size((part,))
    rows = [row for job in size.jobs(None, "cpu") for row in runner.run(job).rows]
    result = table.as_dataset(size.table(rows, "cpu"), {"settings": size.settings})
    (panel,) = EXPERIMENTS["figure6"].drawn(result)
    ax = panel(result, Figure().subplots())
    assert (ax.get_title(), ax.get_xlabel()) == ("copy, T <= 2", "")
    astray = [each._replace(value=5e22) if each.model == "RNN 64" and each.seed == 1 else each for each in rows]
    result = table.as_dataset(size.table(astray, "cpu"), {"settings": size.settings})
    ax = panel(result, Figure().subplots())  # what is not drawn is named
    assert ax.get_xlabel() == "left out, as seeds diverged: RNN 64"
    assert "RNN 64" not in [label.get_text() for label in ax.get_xticklabels()]


def test_a_size_in_one_line():
    size = Size((replace(SMALL, settings=SETTINGS[:2]), Job((Setting("O(3) RNN", 4, learning_rate=0.01),), epochs=3)))
    assert describe(size.settings) == (
        "copy, T <= 1: U(1) RNN 3, RNN 4; learning rate 0.001; 1 seed, 6 batches of 2; "
        "permuted digits: O(3) RNN 4; learning rate 0.01; 1 seed, 3 epochs in batches of 128"
    )
    both = Size((Job(tuple(Setting("RNN", 4, activation=each) for each in ("tanh", "relu")), epochs=1),))
    assert describe(both.settings) == (
        "permuted digits: RNN 4; activations relu, tanh; learning rate 0.001; 1 seed, 1 epoch in batches of 128"
    )
    several = Size((Job((Setting("RNN", 4), Setting("RNN", 4, seed=1)), epochs=1),))
    assert (
        describe(several.settings) == "permuted digits: RNN 4; learning rate 0.001; 2 seeds, 1 epoch in batches of 128"
    )
    memory = size.settings["parts"][0]["loss_without_memory"]
    assert memory == pytest.approx(10.0 * math.log(8.0) / 22.0)


def test_bad_input():
    with pytest.raises(ValueError, match=r"models must be in Table 1 for copy, got O\(k\) RNN"):
        best("copy", ["RNN", "O(k) RNN"], 1)
    with pytest.raises(ValueError, match="parts must have different tasks, got copy, T <= 1, copy, T <= 1"):
        Size((SMALL, SMALL))
    with pytest.raises(ValueError, match="hidden_size must be a square for a grid, got 10"):
        Setting("grid RNN", 10)
    with pytest.raises(FileNotFoundError, match="data_dir must be a folder"):
        run_experiment("figure7", "paper", data_dir="nowhere")


def test_the_rate_falls_at_the_end_of_an_epoch():
    """After five sixths of the epochs, or the next whole one: of 7 after 6; 11 batches in each."""
    assert Job((Setting("U(1) RNN", 3),), epochs=7).start().drop_at == 66
