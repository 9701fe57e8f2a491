"""The folder in which a run keeps its checkpoints: for one process at a time, with a note of the calls it took."""

from __future__ import annotations

import json
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from meanfield.files import atomic_path
from simulate.provenance import provenance

from .progress import BOARD


@dataclass
class Work:
    """A run's folder, from its first call to its last.

    Attributes
    ----------
    folder : None keeps nothing
    """

    folder: Path | None

    def __post_init__(self) -> None:
        self._start = time.time()
        self._before: dict = {"seconds": 0.0, "commits": []}
        if self._note is not None and self._note.exists():
            self._before |= _read(self._note)

    @property
    def calls(self) -> dict:
        """Seconds in all calls, but for those that were killed, and every commit of this code that they ran."""
        commits = [*self._before["commits"], provenance()["commit"]]
        return {
            "seconds": round(self._before["seconds"] + time.time() - self._start, 1),
            "commits": list(dict.fromkeys(commits)),
        }

    def leave(self) -> None:
        """Note down the calls for the one that goes on."""
        if self._note is not None and self._note.parent.is_dir():
            with atomic_path(self._note) as temporary:
                temporary.write_text(json.dumps(self.calls))

    def remove(self) -> None:
        """The run is at its end."""
        if self.folder is not None:
            shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def _note(self) -> Path | None:
        return None if self.folder is None else self.folder / "calls.json"


def _read(note: Path) -> dict:
    """Seconds and commits of earlier calls."""
    try:
        found = json.loads(note.read_text())
        return {"seconds": float(found["seconds"]), "commits": [str(each) for each in found["commits"]]}
    except (ValueError, KeyError, TypeError) as error:
        told = "delete it to go on, without the time of the calls before"
        raise ValueError(f"{note} must be a whole note of a run's calls; {told}: {error!r}") from error


@contextmanager
def claimed(folder: Path | None) -> Iterator[Work]:
    """A folder, made if need be, for this process alone.

    The lock is the system's, which frees it when a process dies, however it does.

    Raises
    ------
    ValueError
        When another process has it.
    """
    if folder is None:
        yield Work(None)
        return
    folder.mkdir(parents=True, exist_ok=True)
    lock, owner = FileLock(folder / "lock"), folder / "owner"
    try:
        lock.acquire(blocking=False)
    except Timeout:
        told = owner.read_text() if owner.exists() else "another process"
        raise ValueError(f"work must be a folder that no other run is at, got {folder}, where {told} is") from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        for board in folder.glob(f"{BOARD}*"):  # of a call that was killed: whoever still works for it may end
            shutil.rmtree(board, ignore_errors=True)
        work = Work(folder)
        try:
            yield work
        finally:
            work.leave()
    finally:
        lock.release()
