"""Training by replays: on the CPU by a stand-in for CUDA graphs that repeats operations on the tensors they had."""

import gc
import weakref

import pytest
import torch
import xarray as xr

from training import captured
from training.captured import WARM_UP, Captured
from training.recurrent import CopyTask, ImageTask, Setting, Training
from training.recurrent.training import LAST_TESTS, TOGETHER

from ..tape import FakeCuda

KINDS = ["RNN", "GRU", "U(1) RNN", "O(3) RNN", "generic(2) RNN", "U(1) GRU", "grid RNN"]
OPTIONS = {"batch": 3, "test_every": 2, "clip_norm": 0.05, "clip_value": 0.02, "drop_at": 2}


def settings(kind):
    """Three models, one of which has a frozen column, and one of which may diverge."""
    size = 9 if kind == "grid RNN" else 4
    rates, frozen = (1e-3, 3e-2, 1e-2), (False, True, False)
    return [Setting(kind, size, seed, rates[seed], frozen_blank=frozen[seed], channels=2) for seed in range(3)]


@pytest.fixture
def replayed(monkeypatch):
    """Turns a training into one by replays."""
    monkeypatch.setattr(captured, "cuda", FakeCuda)

    def turn(training):
        training._captured = Captured(torch.device("cuda"), training._captured._changed)
        return training

    return turn


def equal(one, other):
    """Everything that two trainings lead to, bit by bit."""
    xr.testing.assert_identical(one.result(), other.result())
    for mine, yours in zip(one.model.parameters(), other.model.parameters(), strict=True):
        assert torch.equal(mine, yours)


@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_train_as_the_others(kind, replayed):
    """Nothing waits for the host, nothing of a step is left in plain numbers, no tensor is replaced."""
    plain = Training(CopyTask(0), settings(kind), 5, **OPTIONS).run()
    by_replays = replayed(Training(CopyTask(0), settings(kind), 5, **OPTIONS)).run()
    equal(by_replays, plain)
    # 5 steps by one graph; validation and test by another, at 2 and 4 once, and at the end as often as it says
    replays = [5, 2 * (2 + LAST_TESTS)]
    assert sorted(each.graph.replays for each in by_replays._captured._recordings.values()) == replays


def test_steps_of_a_copy_task_are_replayed_together(replayed):
    """Up to the next test, or as far as is asked; what is left of that one by one."""
    kinds, options = settings("U(1) GRU"), OPTIONS | {"test_every": 2 * TOGETHER + 1, "drop_at": TOGETHER + 3}
    plain = Training(CopyTask(0), kinds, 3 * TOGETHER, **options).run()
    together = replayed(Training(CopyTask(0), kinds, 3 * TOGETHER, **options)).run(TOGETHER)
    assert together.step == TOGETHER
    equal(together.run(), plain)
    replays = [
        each.graph.replays for (name, *_), each in together._captured._recordings.items() if name == "_copy_steps"
    ]
    # twice together, and singly one more to the test at 2 TOGETHER + 1, and what is left after it
    assert sorted(replays) == [2, TOGETHER]


def test_the_host_does_not_run_far_ahead(monkeypatch):
    """It waits for a replay when so many more have been asked for."""
    waited = []
    monkeypatch.setattr(captured, "cuda", FakeCuda)
    monkeypatch.setattr(FakeCuda.Event, "synchronize", lambda self: waited.append(self))
    replay = Captured(torch.device("cuda"))
    for number in range(1, 10):
        replay(lambda x: x + 1, torch.ones(3))
        assert len(waited) == max(0, number - captured.AHEAD)


def test_a_stream_that_is_none_of_the_default_ones_is_kept(monkeypatch):
    """PyTorch would give out one of its few again, which another thread may be using."""
    monkeypatch.setattr(captured, "cuda", FakeCuda)
    assert Captured(torch.device("cuda"))._stream is not FakeCuda.default
    own = FakeCuda.Stream()
    monkeypatch.setattr(FakeCuda, "current", own)
    assert Captured(torch.device("cuda"))._stream is own


def test_a_capture_that_fails_leaves_the_stream_as_it_was(monkeypatch):
    monkeypatch.setattr(captured, "cuda", FakeCuda)
    before, replay = FakeCuda.current_stream(), Captured(torch.device("cuda"))
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        replay(lambda x: x.sum().item(), torch.ones(3))
    assert FakeCuda.current_stream() is before
    assert replay(lambda x: x.sum(), torch.ones(3)) == 3.0
    assert FakeCuda.current_stream() is before


def test_going_on_keeps_the_graphs_right(replayed, tmp_path):
    """A state may be restored before the first step, and after the graphs were made."""

    def training():
        return Training(CopyTask(0), settings("U(1) GRU"), 6, **OPTIONS)

    whole, half = training().run(), replayed(training()).run(3)
    half.save(tmp_path / "state")
    half.run(2).restore(tmp_path / "state")
    equal(half.run(), whole)
    again = replayed(training())
    again.restore(tmp_path / "state")
    equal(again.run(), whole)


def test_every_shape_of_a_batch_has_its_graph(replayed):
    """An epoch of 1,297 images ends with a batch of 337; 200 images validate and 300 test."""
    task, models = ImageTask(), [Setting("O(3) RNN", 4, seed=s, biases="tables") for s in (0, 1)]
    options = {"batch": 480, "test_every": 4, "clip_norm": 1.0}
    plain, by_replays = (Training(task, models, 4, **options) for _ in range(2))
    equal(replayed(by_replays).run(), plain.run())
    shapes = {(name, x[0][-3]) for name, x, *_ in by_replays._captured._recordings}
    assert shapes == {("_update", 480), ("_update", 337), ("_logits", 200), ("_logits", 300)}


def test_a_diverged_model_leaves_the_others_alone(replayed):
    wild = [*settings("U(1) RNN"), Setting("U(1) RNN", 4, seed=5, learning_rate=1e30)]
    result = replayed(Training(CopyTask(0), wild, 4, **OPTIONS)).run().result()
    calm = Training(CopyTask(0), settings("U(1) RNN"), 4, **OPTIONS).run().result()
    xr.testing.assert_allclose(result.isel(model=slice(0, 3)).test_loss, calm.test_loss, rtol=1e-4)
    assert not result.test_loss[3, -1] < 10.0


def test_graphs_go_with_their_training(replayed):
    """At once: a GPU's memory cannot wait for a collection of cycles."""
    training = replayed(Training(CopyTask(0), settings("RNN"), 1)).run()
    (graph, *_) = [weakref.ref(each.graph) for each in training._captured._recordings.values()]
    gc.disable()
    try:
        del training
        assert graph() is None
    finally:
        gc.enable()


def test_warming_up_changes_nothing(replayed):
    """Not even where a function counts its own calls in the tensors it changes."""
    total, calls = torch.zeros(2), []

    def add(x):
        calls.append(x)
        return total.add_(x).clone()

    with_graph = replayed(Training(CopyTask(0), settings("RNN"), 1))._captured
    with_graph._changed = (total,)
    assert with_graph(add, torch.ones(2)).tolist() == [1.0, 1.0]
    assert with_graph(add, torch.tensor([2.0, 5.0])).tolist() == [3.0, 6.0]
    assert len(calls) == WARM_UP + 1


@pytest.mark.parametrize(
    "function", [lambda x: x * x.sum().item(), lambda x: x[x > 0.0], lambda x: x + torch.tensor(1.0)]
)
def test_what_a_graph_cannot_hold(function, replayed):
    """The stand-in refuses it, so the tests above show that steps have none of it."""
    with_graph = replayed(Training(CopyTask(0), settings("RNN"), 1))._captured
    with pytest.raises(RuntimeError, match="not permitted when stream is capturing"):
        with_graph(function, torch.ones(2))
