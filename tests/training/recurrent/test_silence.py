"""What is left of a state after blanks, against Jacobians of the equations step by step."""

import json
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch.autograd.functional import jacobian

from training import run_experiment, so_far, table
from training.recurrent import CopyTask, Setting, equations, stack
from training.recurrent.copy_task import BLANK, MEMORY, TOKENS
from training.recurrent.presets import PRESETS, Size
from training.recurrent.silence import directions_kept, silence_gains, trained_models

BLANKS = 4
EQUATIONS = {
    "RNN": equations.elman,
    "GRU": equations.gru,
    "U(1) RNN": equations.u1_rnn,
    "U(1) GRU": equations.u1_gru,
    "O(3) RNN": equations.o_rnn,
}


def models(kind, count=2, **options):
    return [
        Setting(kind, 3, seed, recurrent="uniform", **options).build(TOKENS, every_step=True) for seed in range(count)
    ]


def symbols(examples, seed=0):
    x, _ = CopyTask(0).batch(0, examples, [seed], split="test")
    return x[0, :, :MEMORY].double()


def over_blanks(states, parameters, x, features):
    """d h^{t+T} / d h^t after the symbols x."""
    silent = torch.zeros(1, BLANKS, TOKENS, dtype=torch.float64)
    silent[..., BLANK] = 1.0
    start = states(parameters, x[None], x.new_zeros(1, features))[:, -1].detach()
    return jacobian(lambda h: states(parameters, silent, h)[0, -1], start)[:, 0]


@pytest.mark.parametrize("kind", EQUATIONS)
def test_gains_are_those_of_the_equations(kind):
    singles = [each.double() for each in models(kind)]
    found = silence_gains(stack(singles), BLANKS, examples=2)
    assert found.dims == ("model", "example", "direction")
    for single, of_model in zip(singles, found, strict=True):
        for x, gains in zip(symbols(2), of_model, strict=True):
            matrix = over_blanks(EQUATIONS[kind], dict(single.layer.named_parameters()), x, single.layer.features)
            np.testing.assert_allclose(gains, torch.linalg.svdvals(matrix), rtol=1e-9, atol=1e-14)


def test_along_the_orbit_a_symmetric_layer_keeps_what_the_state_keeps():
    """i h becomes i h': without input one gain is at least |h'|/|h|, which no blank with weights ensures."""
    (single,) = models("U(1) RNN", 1, frozen_blank=True, encoder="variance 0.001")
    layer = single.layer.double()
    with torch.no_grad():
        layer.recurrent.mul_(3.0)
        start = layer(symbols(3))[1]
        end = layer(torch.zeros(3, BLANKS, TOKENS, dtype=torch.float64), start)[1]
    kept = (end.norm(dim=-1) / start.norm(dim=-1))[0].numpy()
    assert np.all(silence_gains(stack([single]), BLANKS, examples=3)[0].max("direction") >= kept * (1.0 - 1e-12))


def test_directions_are_counted_by_model():
    gains = silence_gains(stack(models("RNN")), BLANKS, examples=3)
    share = float(gains.median())
    by_hand = [(of_model.values > share).sum(-1).mean() for of_model in gains]
    np.testing.assert_array_equal(directions_kept(gains, share), by_hand)
    assert 0 < sum(by_hand) < 6
    assert not directions_kept(gains, 1e9).any()


def test_what_cannot_be_asked():
    with pytest.raises(ValueError, match="models must be a stack, got a single one"):
        silence_gains(models("RNN", 1)[0], 3)
    with pytest.raises(ValueError, match="blanks must be an integer >= 1, got 0"):
        silence_gains(stack(models("RNN")), 0)


def two_kinds(monkeypatch, **sizes):
    """The smallest size of `symmetry` with two kinds of models in two stacks each, one for each learning rate."""
    settings = tuple(
        Setting(kind, 3, seed, rate) for kind in ("RNN", "U(1) RNN") for rate in (1e-3, 1e-2) for seed in range(2)
    )
    (part,) = PRESETS["symmetry"]["quick"].parts
    part = replace(part, settings=settings, steps=8, test_every=2, **sizes)
    monkeypatch.setitem(PRESETS["symmetry"], "quick", Size((part,)))
    return PRESETS["symmetry"]["quick"].jobs(None, "cpu")


def test_weights_of_a_finished_run(tmp_path, monkeypatch):
    """Those that the stacks have at their end, and none of a run that does not keep them."""
    jobs = two_kinds(monkeypatch, keep=True)
    run_experiment("symmetry", "quick", out=tmp_path / "symmetry_quick.csv")
    result = table.read(tmp_path / "symmetry_quick.csv")
    trained = [job.start().run() for job in jobs]
    x = CopyTask(1).batch(0, 3, [7])[0][0]
    for label, own in (("RNN 3", trained[:2]), ("U(1) RNN 3", trained[2:])):
        with torch.no_grad():
            expected = torch.cat([training.model(x) for training in own])
            torch.testing.assert_close(trained_models(result, label)(x), expected, rtol=1e-6, atol=1e-7)
    two_kinds(monkeypatch, keep=False)
    assert not table.weights(run_experiment("symmetry", "quick"))


def test_weights_of_models_that_share_a_stack():
    """Each model's under its own name."""
    settings = tuple(
        Setting("U(1) RNN", 3, seed, encoder="variance 0.001", frozen_blank=frozen)
        for seed in range(2)
        for frozen in (True, False)
    )
    (part,) = PRESETS["symmetry"]["quick"].parts
    training = replace(part, settings=settings).start()
    kept, all_of_them = training.weights(), training.model.layer.encoder.detach().numpy()
    np.testing.assert_array_equal(kept["U(1) RNN 3 layer.encoder"], all_of_them[[0, 2]])
    np.testing.assert_array_equal(kept["U(1) RNN 3, blank trained layer.encoder"], all_of_them[[1, 3]])


@pytest.mark.parametrize("steps", [(4, 4, 4), (4, 5, 6)])
def test_weights_of_a_stopped_run(tmp_path, monkeypatch, steps):
    """Each model's in a stack of its own again, with one learning rate or two."""
    jobs = two_kinds(monkeypatch)
    assert len(jobs) == 4
    trained = [job.start().run(after) for job, after in zip(jobs, (*steps, 4), strict=True)]
    for number, training in enumerate(trained):
        training.save(tmp_path / f"stack_{number:03d}.pt")
    (tmp_path / "calls.json").write_text(json.dumps({"seconds": 1.0, "commits": [], "where": {"device": "cpu"}}))
    assert not table.weights(so_far("symmetry", "quick", tmp_path))
    result = so_far("symmetry", "quick", tmp_path, weights=True)
    after = {"RNN 3": sorted(set(steps[:2])), "U(1) RNN 3": sorted({steps[2], 4})}
    assert result.attrs["weights_after"] == after
    table.write(result, tmp_path / "symmetry_quick.csv")
    result = table.read(tmp_path / "symmetry_quick.csv")
    x = CopyTask(1).batch(0, 3, [7])[0][0]
    for label, own in (("RNN 3", trained[:2]), ("U(1) RNN 3", trained[2:])):
        with torch.no_grad():
            expected = torch.cat([training.model(x) for training in own])
            torch.testing.assert_close(trained_models(result, label)(x), expected, rtol=1e-6, atol=1e-7)
    with pytest.raises(ValueError, match="label must be one of RNN 3, U\\(1\\) RNN 3, got 'GRU 3'"):
        trained_models(result, "GRU 3")
    with pytest.raises(ValueError, match="result must have trained weights of RNN 3, got none"):
        trained_models(so_far("symmetry", "quick", tmp_path), "RNN 3")
