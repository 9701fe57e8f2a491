"""How far jobs elsewhere are, and that they end when nobody waits for them."""

import subprocess
import sys
import threading
import time
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from training import progress, runner
from training.data import Source
from training.job import Job
from training.progress import Note, board
from training.runner import Interrupted
from training.shape import Model, Shape

JOB = Job(Source(train=64, test=20), Shape("U(1)", 4, 3, 64), (Model(1.5),), epochs=2, batch=16)


def test_a_note_is_kept_and_read(tmp_path, monkeypatch):
    with board(tmp_path / "work") as folder:
        note, other = Note(folder, "0"), Note(folder, "1")
        assert note.wanted
        assert note.read() == 0.0
        note.write(1e12)
        note.write(2e12)  # too soon
        assert (note.read(), other.read()) == (1e12, 0.0)
        monkeypatch.setattr(progress, "INTERVAL", 0.0)
        note.write(3e12)
        assert note.read() == 3e12
        (folder / "0").write_text("")  # being written
        assert note.read() == 0.0
    assert not note.wanted
    note.write(4e12)  # nobody reads it
    assert list((tmp_path / "work").iterdir()) == []


def test_a_board_goes_while_notes_are_being_written(tmp_path, monkeypatch):
    monkeypatch.setattr(progress, "INTERVAL", 0.0)
    stopped = threading.Event()

    def write(note):
        while not stopped.is_set():
            note.write(1.0)

    with ThreadPoolExecutor(8) as threads:
        for _ in range(20):
            with board(tmp_path) as folder:
                notes = [Note(folder, str(number)) for number in range(8)]
                stopped.clear()
                for note in notes:
                    threads.submit(write, note)
                time.sleep(0.005)
            still = [note.wanted for note in notes]
            stopped.set()
            assert not any(still)


def test_without_a_folder_there_is_no_board():
    with board(None) as folder:
        assert folder is None


def test_nobody_waits_where_the_parent_was_killed(tmp_path, monkeypatch):
    class Parent:
        alive = True

        def is_alive(self):
            return self.alive

    monkeypatch.setattr(progress.multiprocessing, "parent_process", Parent)
    with board(tmp_path) as folder:
        assert Note(folder, "0").wanted
        monkeypatch.setattr(Parent, "alive", False)
        assert not Note(folder, "0").wanted


ORPHANS = """
import sys
from pathlib import Path
from training.commands import as_executor
from training.data import Source
from training.job import Job
from training.runner import run_all
from training.shape import Model, Shape

if __name__ == "__main__":
    job = Job(Source(train=64, test=20), Shape("U(1)", 4, 3, 64), (Model(1.5),), epochs=10**6, batch=16)
    with as_executor("processes", "cpu") as pool:
        pool.submit(abs, -1).result()
        print(*pool._processes, flush=True)
        run_all([job], Path(sys.argv[1]), pool)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="processes are looked up in /proc")
def test_processes_end_with_a_parent_that_was_killed(tmp_path):
    (tmp_path / "orphans.py").write_text(ORPHANS)
    work = tmp_path / "work"
    call = [sys.executable, str(tmp_path / "orphans.py"), str(work)]
    with subprocess.Popen(call, stdout=subprocess.PIPE, text=True) as parent:
        worker = Path("/proc") / parent.stdout.readline().strip()
        while not list(work.glob("wanted_*/0")):
            time.sleep(0.05)
        parent.kill()
        deadline = time.monotonic() + 20.0
        while worker.exists() and "\nState:\tZ" not in (worker / "status").read_text():
            assert time.monotonic() < deadline
            time.sleep(0.05)


def test_a_folder_that_was_removed_is_not_made_again(tmp_path):
    with board(tmp_path / "work") as folder:
        note = Note(folder, "0")
    (tmp_path / "work").rmdir()
    with pytest.raises(Interrupted):
        runner.run(JOB, tmp_path / "work" / "stack.pt", note=note)
    assert list(tmp_path.iterdir()) == []


def test_a_job_that_is_no_longer_wanted_saves_its_state(tmp_path):
    with board(tmp_path) as folder:
        note = Note(folder, "0")
    with pytest.raises(Interrupted):
        runner.run(JOB, tmp_path / "stack.pt", note=note)
    assert (tmp_path / "stack.pt").exists()


class Elsewhere(Executor):
    """Threads that are not known as such, as another process would be."""

    def __init__(self, threads):
        self.submit = threads.submit


def test_jobs_in_other_processes_are_followed_step_by_step(tmp_path, monkeypatch):
    """Notes come before the end; and they add up to what there was to do."""
    monkeypatch.setattr(progress, "INTERVAL", 0.01)
    monkeypatch.setattr(runner, "INTERVAL", 0.01)
    jobs, told = [replace(JOB, epochs=100, models=(Model(1.5, seed),)) for seed in range(2)], []
    with ThreadPoolExecutor(1) as threads:
        runner.run_all(jobs, tmp_path, Elsewhere(threads), progress=told.append)
    sums = np.cumsum(told)
    assert sums[-1] == pytest.approx(sum(job.work for job in jobs))
    assert (np.diff(sums) >= 0.0).all()
    between = [total for total in sums if 0.0 < total < 0.99 * jobs[0].work]
    assert len(between) >= 2


def test_what_was_told_is_not_taken_back(monkeypatch):
    """A note that is just being written reads as none; afterwards only what is new is told."""
    monkeypatch.setattr(runner, "INTERVAL", 0.01)
    future, told = Future(), []
    reads = iter([3.0, 0.0, 5.0])

    def read():
        value = next(reads)
        if value == 5.0:
            future.set_result(runner.Outcome([]))
        return value

    runner._gather([future], [SimpleNamespace(read=read)], told.append, [8.0])
    assert told == [3.0, 0.0, 2.0, 3.0]
