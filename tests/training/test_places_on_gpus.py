"""Jobs that wait for room on a GPU, which needs none: only who waits for whom is looked at."""

import time
from concurrent.futures import ThreadPoolExecutor
from threading import Event
from types import SimpleNamespace

import pytest
import torch

from training import runner
from training.runner import Interrupted

FOR_EVER = float("inf")


@pytest.fixture
def gpus(monkeypatch):
    monkeypatch.setattr(runner, "as_device", torch.device)
    monkeypatch.setattr(runner, "LOOK", 0.01)
    return runner._Places()


def job(share, device="cuda"):
    return SimpleNamespace(share=share, device=device)


def test_jobs_that_fit_are_there_together(gpus):
    with gpus.place(job(0.4), FOR_EVER), gpus.place(job(0.6), FOR_EVER), gpus.place(job(1.0, "cuda:1"), FOR_EVER):
        pass
    with gpus.place(job(1.0), FOR_EVER):  # all have left
        pass


def test_a_job_waits_until_there_is_room(gpus):
    entered, leave = Event(), Event()

    def second():
        with gpus.place(job(0.5, "cuda:0"), FOR_EVER):  # the same one by another name
            entered.set()
            assert leave.wait(10.0)

    with ThreadPoolExecutor(1) as pool:
        with gpus.place(job(0.6), FOR_EVER):
            waiting = pool.submit(second)
            assert not entered.wait(0.2)
        assert entered.wait(10.0)
        with pytest.raises(Interrupted), gpus.place(job(0.6), time.time() + 0.05):
            pass
        leave.set()
        waiting.result()


def test_a_job_that_needs_more_than_there_is_has_it_alone(gpus):
    with gpus.place(job(7.0), FOR_EVER), pytest.raises(Interrupted), gpus.place(job(0.1), 0.0):
        pass
    with gpus.place(job(7.0), FOR_EVER):
        pass


def test_a_job_that_is_no_longer_wanted_does_not_wait(gpus):
    note = SimpleNamespace(wanted=False)
    with gpus.place(job(1.0), FOR_EVER), pytest.raises(Interrupted), gpus.place(job(1.0), FOR_EVER, note):
        pass


def test_one_that_fails_leaves_its_place(gpus):
    with pytest.raises(RuntimeError, match="no"), gpus.place(job(1.0), FOR_EVER):
        raise RuntimeError("no")
    with gpus.place(job(1.0), 0.0):
        pass


def test_a_cpu_has_room_for_all(gpus):
    with gpus.place(job(1.0, "cpu"), 0.0), gpus.place(job(1.0, "cpu"), 0.0):
        pass
