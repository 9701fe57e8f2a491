from dataclasses import replace

import pytest
import xarray as xr

from training.recurrent import Setting
from training.recurrent.experiments import PRESETS, Experiment, best, controls, run, sweep

SMALL = Experiment(
    (
        Setting("U(1) RNN", 3, seed=0),
        Setting("RNN", 4, seed=0),
        Setting("U(1) RNN", 3, seed=1, frozen_blank=True, encoder="variance 0.001"),
    ),
    max_delay=1,
    steps=6,
    batch=2,
    test_every=2,
)


def test_models_of_one_shape_share_a_stack():
    assert [[(s.kind, s.seed) for s in stack] for stack in SMALL.stacks] == [
        [("RNN", 0)],
        [("U(1) RNN", 0), ("U(1) RNN", 1)],
    ]


def test_interrupted_runs_end_as_whole_ones(tmp_path):
    whole = run(SMALL, tmp_path / "whole")
    assert whole.sizes == {"model": 3, "step": 3}
    assert run(SMALL, tmp_path / "parts", budget=0.0) is None
    assert (tmp_path / "parts" / "stack0.pt").is_file()
    assert not (tmp_path / "parts" / "stack1.pt").is_file()
    xr.testing.assert_identical(run(SMALL, tmp_path / "parts"), whole)
    # once more reads what is there
    xr.testing.assert_identical(run(SMALL, tmp_path / "parts"), whole)
    with pytest.raises(ValueError, match="must be a checkpoint of"):
        run(replace(SMALL, settings=SMALL.settings[:1]), tmp_path / "parts")


def test_sweeps_have_the_paper_s_sizes():
    """2 x 2 initialisations, 3 rates, 3 seeds, and 2 activations where there are two: 72 runs, otherwise 36."""
    both = sweep("RNN", 32, activations=("tanh", "relu"))
    assert len(set(both)) == 72
    assert len(set(sweep("U(1) GRU", 32))) == 36
    assert {setting.frozen_blank for setting in both if setting.encoder == "standard"} == {False}
    assert {setting.frozen_blank for setting in both if setting.encoder != "standard"} == {True}


def test_the_paper_s_experiments():
    rnns, grus = PRESETS["figure6"]["paper"]
    assert (rnns.max_delay, grus.max_delay, rnns.steps, rnns.batch, rnns.test_every) == (25, 100, 10**6, 128, 1000)
    names = {(s.kind, s.hidden_size) for s in rnns.settings}
    assert names == {("RNN", 32), ("RNN", 64), ("U(1) RNN", 32), ("generic(2) RNN", 32)}
    assert len({s.seed for s in rnns.settings}) == 10
    (images,) = PRESETS["figure7"]["paper"]
    assert len(images.settings) == 18 * 3
    assert (images.max_delay, images.epochs, images.batch) == (None, 120, 128)
    (grid,) = PRESETS["figure12"]["paper"]
    assert (grid.max_delay, grid.fixed_delay, grid.settings[0].hidden_size, grid.settings[0].channels) == (
        100,
        True,
        400,
        16,
    )


def test_image_training_follows_the_paper():
    """120 epochs of batches of 128, clipping at 1, rates a tenth after 100 epochs; 11 batches in an epoch of digits."""
    training = Experiment((Setting("U(1) RNN", 3),), epochs=120).training([Setting("U(1) RNN", 3)], "cpu", None)
    assert (training.steps, training.drop_at, training.clip_norm, training.test_every) == (1320, 1100, 1.0, 11)


def test_controls():
    settings = best("copy", ["U(1) RNN", "GRU"], 2)
    assert len(settings) == 6
    extra = controls(settings)
    assert [(s.kind, s.hidden_size, s.update_bias) for s in extra if s.seed == 0] == [
        ("generic(2) RNN", 32, None),
        ("GRU", 32, 2.0),
        ("GRU", 64, 2.0),
    ]


@pytest.mark.parametrize("figure", PRESETS)
def test_quick_presets_run(figure, tmp_path):
    for number, part in enumerate(PRESETS[figure]["quick"]):
        short = replace(part, steps=min(part.steps, 2), test_every=2)
        result = run(short, tmp_path / str(number))
        assert result.sizes["model"] == len(part.settings)
        assert bool(result.test_loss.notnull().all())


def test_bad_input():
    with pytest.raises(ValueError, match=r"models must be in Table 1 for copy, got O\(k\) RNN"):
        best("copy", ["RNN", "O(k) RNN"], 1)
    with pytest.raises(ValueError, match="hidden_size must be a square for a grid, got 10"):
        Setting("grid RNN", 10)
