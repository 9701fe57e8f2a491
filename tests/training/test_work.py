"""The folder of a run: whose it is, and what its calls took."""

import json
import os
import re
import socket
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext

import pytest

from training import work
from training.work import claimed

HOLDER = """
import sys, time
from pathlib import Path
from training.work import claimed
with claimed(Path(sys.argv[1])):
    print("mine", flush=True)
    time.sleep(600)
"""


def test_a_folder_is_for_one_process_until_it_dies(tmp_path):
    folder = tmp_path / "work"
    with subprocess.Popen([sys.executable, "-c", HOLDER, str(folder)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout.readline() == b"mine\n"
            told = f"no other run is at, got {folder}, where process {holder.pid} on {socket.gethostname()} is"
            with pytest.raises(ValueError, match=re.escape(told)), claimed(folder):
                pass
            assert (folder / "owner").exists()
        finally:
            holder.kill()
    with claimed(folder):
        assert (folder / "owner").read_text() == f"process {os.getpid()} on {socket.gethostname()}"


def test_threads_of_one_process_are_two_runs_as_well(tmp_path):
    def claim():
        with claimed(tmp_path):
            return True

    with claimed(tmp_path), ThreadPoolExecutor(1) as threads, pytest.raises(ValueError, match="no other run"):
        threads.submit(claim).result()
    assert claim()


def stopped(folder):
    with claimed(folder):
        time.sleep(0.2)
        raise KeyboardInterrupt


def test_seconds_and_commits_of_all_calls(tmp_path, monkeypatch):
    for commit in ("a", "a", "b"):
        monkeypatch.setattr(work, "provenance", lambda commit=commit: {"commit": commit})
        told = (
            pytest.warns(UserWarning, match="left by commit a and goes on with b") if commit == "b" else nullcontext()
        )
        with told as record, pytest.raises(KeyboardInterrupt):
            stopped(tmp_path)
    assert {warning.filename for warning in record} == {__file__}
    with claimed(tmp_path) as own:
        assert 0.6 <= own.calls["seconds"] < 60.0
        assert own.calls["commits"] == ["a", "b"]
    assert json.loads((tmp_path / "calls.json").read_text())["commits"] == ["a", "b"]


def test_a_stopped_run_tells_its_calls_and_machine(tmp_path, monkeypatch):
    monkeypatch.setattr(work, "provenance", lambda: {"commit": "a"})
    with claimed(tmp_path) as own:
        own.where = {"device": "cuda", "gpu": "the one of the last call"}
    told = work.left(tmp_path)
    assert told.pop("seconds") >= 0.0
    assert told == {"device": "cuda", "gpu": "the one of the last call", "commits": ["a"]}
    (tmp_path / "calls.json").write_text('{"seconds": 1.0, "commits": ["b"]}')  # older than that
    assert work.left(tmp_path) == {"seconds": 1.0, "commits": ["b"]}
    (tmp_path / "calls.json").unlink()
    with pytest.raises(FileNotFoundError, match=r" has no calls\.json: a run leaves one when it is stopped"):
        work.left(tmp_path)


def test_the_commit_is_that_of_the_code_that_was_loaded(tmp_path, monkeypatch):
    """Not of what is committed while it runs."""
    monkeypatch.setattr(work, "provenance", lambda: {"commit": "loaded"})
    with claimed(tmp_path) as own:
        monkeypatch.setattr(work, "provenance", lambda: {"commit": "later"})
        assert own.calls["commits"] == ["loaded"]


def test_files_of_others_stay(tmp_path):
    """A run removes what it made, in whatever folder it was put."""
    folder = tmp_path / "work"
    (folder / "mine").mkdir(parents=True)
    for name in ("thesis.tex", "stack.pt", "mine/stack_000.pt"):
        (folder / name).write_text("precious")
    with claimed(folder) as own:
        for name in ("stack_000.pt", "calls.json"):
            (folder / name).write_text("own")
        own.remove()
    assert {path.relative_to(folder).as_posix() for path in folder.rglob("*")} == {
        "mine", "mine/stack_000.pt", "stack.pt", "thesis.tex",
    }  # fmt: skip


def test_half_written_files_of_a_killed_call_are_removed(tmp_path):
    (tmp_path / ".writing-abc").mkdir()
    (tmp_path / ".writing-abc" / "stack_000.pt").write_text("half")
    with claimed(tmp_path):
        assert not (tmp_path / ".writing-abc").exists()


@pytest.mark.parametrize(
    "note",
    [
        "",
        "{}",
        "[1]",
        '{"seconds": "long", "commits": []}',
        '{"seconds": NaN, "commits": []}',
        '{"seconds": -1, "commits": []}',
        '{"seconds": 1, "commits": "abc"}',
    ],
)
def test_a_damaged_note_is_named(tmp_path, note):
    (tmp_path / "calls.json").write_text(note)
    with pytest.raises(ValueError, match=r"calls.json must be a whole note .* delete it to go on"), claimed(tmp_path):
        pass


def test_whoever_works_for_a_call_that_was_killed_may_end(tmp_path):
    left = tmp_path / "wanted_before"
    left.mkdir()
    (left / "0").write_text("1")
    with claimed(tmp_path):
        assert not left.exists()


def test_what_is_removed_stays_removed(tmp_path):
    with claimed(tmp_path / "work") as own:
        own.remove()
    assert list(tmp_path.iterdir()) == []
    with claimed(None) as own:
        assert own.calls["seconds"] < 60.0
    assert list(tmp_path.iterdir()) == []
