"""Checkpoints that are damaged, or hold something else, are refused by name and with advice."""

import errno
import os
import re

import numpy as np
import pytest
import torch
from torch import OutOfMemoryError

from training import checkpoint, runner
from training.data import Source, load
from training.job import Job
from training.recurrent import ImageTask, Setting
from training.recurrent import job as recurrent_job
from training.recurrent.job import Job as RecurrentJob
from training.runner import Interrupted
from training.shape import Model, Shape

JOBS = {
    "deep": Job(Source(train=64, test=20), Shape("U(1)", 8, 3, 64), (Model(1.5),), epochs=1, batch=32),
    "recurrent": RecurrentJob((Setting("U(1) RNN", 12),), max_delay=1, steps=4, batch=2),
}


@pytest.fixture(params=JOBS)
def saved(request, tmp_path):
    job, path = JOBS[request.param], tmp_path / "stack.pt"
    with pytest.raises(Interrupted):
        runner.run(job, path, deadline=0.0)
    return job, path


def refused(job, path):
    with pytest.raises(ValueError, match=rf"{re.escape(str(path))} must be a whole checkpoint .*; delete it to start"):
        runner.run(job, path)


@pytest.mark.parametrize("share", [0.0, 0.1, 0.4, 0.6, 0.8, 0.99])
def test_cut_short(saved, share):
    job, path = saved
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    refused(job, path)


def test_bytes_of_the_weights_that_are_not_what_they_were(saved):
    """torch.load would take them up, and the result be another one."""
    job, path = saved
    whole = bytearray(path.read_bytes())
    state = torch.load(path, weights_only=True)
    weights = state["parameters"] if "parameters" in state else state["model"]["layer.encoder"]
    start = whole.find(weights.numpy().tobytes()[:256])
    assert start > 0
    for place in np.random.default_rng(0).integers(0, 256, 60):
        whole[start + place] ^= 1
    path.write_bytes(whole)
    assert torch.load(path, weights_only=True)["step"] == 0
    refused(job, path)


@pytest.mark.parametrize(
    "other",
    [
        lambda _: [1, 2],
        lambda _: torch.zeros(3),
        lambda state: {**state, "format": checkpoint.FORMAT + 1},
        lambda state: {key: value for key, value in state.items() if key != "format"},
        lambda state: {**state, "step": "four"},
        lambda state: {**state, "step": 5},
        lambda state: {**state, "step": -1},
        lambda state: {**state, "rows": [(1, 2)], "records": 7, "model": 8},
        lambda state: {**state, "adam": {}},
    ],
    ids=["list", "tensor", "later", "earlier", "text", "past the end", "before the start", "rows", "adam"],
)
def test_other_contents(saved, other):
    job, path = saved
    torch.save(other(torch.load(path, weights_only=True)), path)
    refused(job, path)


def test_numbers_of_another_shape(saved):
    """They would be repeated until they fit."""
    job, path = saved
    state = torch.load(path, weights_only=True)
    for name in ("parameters", "loss", "train_loss"):
        if name in state:
            torch.save({**state, name: state[name].flatten()[0]}, path)
            refused(job, path)


@pytest.mark.parametrize(
    "error",
    [OSError(errno.EMFILE, "too many open files"), OSError(errno.EACCES, "denied"), MemoryError(), OutOfMemoryError()],
    ids=["files", "permission", "memory", "device memory"],
)
def test_what_a_good_checkpoint_is_not_to_blame_for(saved, monkeypatch, error):
    """Nobody should delete it for that."""

    def fails(*_, **__):
        raise error

    job, path = saved
    monkeypatch.setattr(torch, "load", fails)
    with pytest.raises(type(error)) as raised:
        runner.run(job, path)
    assert raised.value is error


def test_a_full_disk_leaves_the_checkpoint_before(saved):
    """A file that may not grow, as on a disk without room: what the system says of it is told."""
    resource = pytest.importorskip("resource")
    job, path = saved
    before = path.read_bytes()
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    told = rf"{re.escape(str(path))} could not be written, and the checkpoint before it.*{os.strerror(errno.EFBIG)}"
    try:
        resource.setrlimit(resource.RLIMIT_FSIZE, (len(before) // 2, hard))
        with pytest.raises(OSError, match=told):
            runner.run(job, path, deadline=0.0)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize("kind", ["deep", "recurrent"])
def test_other_images_are_another_job(kind, tmp_path, monkeypatch):
    """As in a folder whose files were replaced between two calls."""
    jobs = {"deep": JOBS["deep"], "recurrent": RecurrentJob((Setting("U(1) RNN", 3),), epochs=1)}
    with pytest.raises(Interrupted):
        runner.run(jobs[kind], tmp_path / "stack.pt", deadline=0.0)
    monkeypatch.setitem(vars(load(JOBS["deep"].source)), "digest", "other")
    monkeypatch.setattr(recurrent_job, "_images", lambda *_: other)
    other = ImageTask()
    other.digest = "other"
    with pytest.raises(ValueError, match=r"stack.pt must be a checkpoint of .*other.*, got one of .*; delete it"):
        runner.run(jobs[kind], str(tmp_path / "stack.pt"))
