"""What only a machine with a GPU can show of recurrent training; elsewhere these are skipped."""

import numpy as np
import pytest
import torch
import xarray as xr

from training.captured import Captured
from training.recurrent import CopyTask, ImageTask, Setting, Training, fused
from training.recurrent.convolutional import exact_convolutions
from training.recurrent.job import Job
from training.runner import run

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
KINDS = ["RNN", "GRU", "U(1) RNN", "O(3) RNN", "generic(2) RNN", "U(1) GRU", "grid RNN"]
OPTIONS = {"batch": 8, "test_every": 4, "clip_norm": 0.05, "drop_at": 6}


def settings(kind):
    rates, frozen = (1e-3, 1e-2, 3e-3), (False, True, False)
    return [Setting(kind, 16, seed, rates[seed], frozen_blank=frozen[seed], channels=2) for seed in range(3)]


def uncaptured(training):
    """The same on the GPU, kernel by kernel."""
    training._captured = Captured(torch.device("cpu"))
    return training


def gradients(training):
    """The first gradients of all models in float64, kernel by kernel and replayed."""
    training.model.double()
    x, targets = training._batch("train", 0, 8)

    def of_all(x, targets):
        return training._gradients(x, targets, slice(None))

    with exact_convolutions():
        replayed = [gradient.cpu() for gradient in training._captured(of_all, x.double(), targets)]
        return [gradient.cpu() for gradient in of_all(x.double(), targets)], replayed


@pytest.mark.parametrize("kind", KINDS)
def test_gradients_are_those_of_the_cpu(kind):
    here, _ = gradients(Training(CopyTask(3), settings(kind), 1, device="cpu"))
    for there in gradients(Training(CopyTask(3), settings(kind), 1, device="cuda")):
        for one, other in zip(here, there, strict=True):
            assert float((one - other).abs().max() / one.abs().max()) < 1e-10


@pytest.mark.parametrize("kind", KINDS)
def test_replayed_steps_train_as_the_others(kind):
    replayed, plain = (Training(CopyTask(3), settings(kind), 10, device="cuda", **OPTIONS) for _ in range(2))
    one, other = replayed.run().result(), uncaptured(plain).run().result()
    xr.testing.assert_allclose(one, other, rtol=1e-4)
    for mine, yours in zip(replayed.model.parameters(), plain.model.parameters(), strict=True):
        torch.testing.assert_close(mine, yours, rtol=2e-3, atol=2e-6)
    assert all(isinstance(each.graph, torch.cuda.CUDAGraph) for each in replayed._captured._recordings.values())
    assert len(replayed._captured._recordings) == 2  # of steps, and of tests
    there = Training(CopyTask(3), settings(kind), 10, **OPTIONS).run().result()
    xr.testing.assert_allclose(one.test_loss, there.test_loss, rtol=1e-2)


@pytest.mark.parametrize("kind", ["RNN", "GRU", "U(1) RNN", "generic(2) RNN", "U(1) GRU"])
def test_kernels_train_as_the_loops(kind):
    """What they replace, step for step, as graphs of both."""
    by_kernels, by_loops = (Training(CopyTask(3), settings(kind), 10, device="cuda", **OPTIONS) for _ in range(2))
    with fused.loops():
        other = by_loops.run().result()
    xr.testing.assert_allclose(by_kernels.run().result(), other, rtol=1e-4)


@pytest.mark.parametrize("kind", ["U(1) GRU", "grid RNN"])
def test_going_on_after_an_interruption_changes_nothing(kind, tmp_path):
    """Into a new training, and into one whose graphs have been made."""

    def training():
        return Training(CopyTask(3), settings(kind), 10, device="cuda", **OPTIONS)

    whole, half = training().run(), training().run(5)
    half.save(tmp_path / "state")
    half.run(3).restore(tmp_path / "state")
    again = training()
    again.restore(tmp_path / "state")
    for each in (half, again):
        xr.testing.assert_identical(each.run().result(), whole.result())


def test_images_end_an_epoch_with_a_smaller_batch():
    """1,297 images in batches of 480: two graphs of steps."""
    models = [Setting("O(3) RNN", 8, seed=s, biases="tables") for s in (0, 1)]
    options = {"batch": 480, "test_every": 4, "clip_norm": 1.0}
    replayed, plain = (Training(ImageTask(), models, 8, device="cuda", **options) for _ in range(2))
    one, other = replayed.run().result(), uncaptured(plain).run().result()
    there = Training(ImageTask(), models, 8, **options).run().result()
    for name in ("train_loss", "validation_loss", "test_loss"):
        xr.testing.assert_allclose(one[name], other[name], rtol=1e-4)
        xr.testing.assert_allclose(one[name], there[name], rtol=1e-2)
    assert sum(name == "_update" for name, *_ in replayed._captured._recordings) == 2


def test_a_diverged_model_leaves_the_others_alone():
    wild = [*settings("U(1) RNN"), Setting("U(1) RNN", 16, seed=5, learning_rate=1e30)]
    result = Training(CopyTask(3), wild, 8, device="cuda", **OPTIONS).run().result()
    calm = Training(CopyTask(3), settings("U(1) RNN"), 8, device="cuda", **OPTIONS).run().result()
    np.testing.assert_allclose(result.test_loss[:3], calm.test_loss, rtol=1e-4)
    assert not result.test_loss[3, -1] < 10.0


@pytest.mark.filterwarnings("ignore:Synchronization debug mode")
@pytest.mark.parametrize("task", [lambda: CopyTask(3), ImageTask], ids=["copy", "images"])
def test_the_host_never_waits_between_tests(task):
    training = Training(task(), settings("U(1) GRU"), 100, batch=8, test_every=100, device="cuda").run(2)
    torch.cuda.set_sync_debug_mode("error")
    try:
        training.run(3)
    finally:
        torch.cuda.set_sync_debug_mode("default")


def test_examples_are_those_of_the_cpu():
    for split in ("train", "test"):
        here, there = (CopyTask(30).batch(10**6, 50, [3, 2**32 - 1], device, split) for device in ("cpu", "cuda"))
        assert all(torch.equal(one, other.cpu()) for one, other in zip(here, there, strict=True))


def test_vortices_of_a_grid_that_was_trained_there():
    """What a job tells at its end is made on the CPU."""
    job = Job((Setting("grid RNN", 16, channels=2),), 2, True, 3, batch=4, test_every=3, keep=True, device="cuda")
    outcome = run(job)
    assert {row.quantity for row in outcome.rows} >= {"test_loss", "positive", "read_off"}
    assert all(isinstance(value, np.ndarray) for value in outcome.arrays.values())
