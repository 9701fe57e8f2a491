"""The folder in which a run keeps its checkpoints: for one process at a time, with a note of the calls it took."""

from __future__ import annotations

import json
import math
import os
import shutil
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from meanfield.files import atomic_path
from meanfield.warn import warn
from simulate.provenance import provenance

from .progress import BOARD
from .runner import CHECKPOINTS

NOTE, LOCK, OWNER = "calls.json", "lock", "owner"
# of calls that were killed: the boards of whoever still works for them, who may end, and files half written
LEFT_OVER = (f"{BOARD}*", ".writing-*")


@dataclass
class Work:
    """A run's folder, from its first call to its last.

    Attributes
    ----------
    folder : None keeps nothing
    where : what a result says of the machine; left with the note of the calls
    """

    folder: Path | None

    def __post_init__(self) -> None:
        self._start, self._ended = time.time(), False
        self.where: dict[str, str] = {}
        self._before: dict = {"seconds": 0.0, "commits": []}
        self._commit = provenance()["commit"]  # of the code that was loaded, whatever is committed meanwhile
        if self._note is not None and self._note.exists():
            self._before |= _read(self._note)
            self._compare()

    def _compare(self) -> None:
        """Other code may train in another way, and the result would be of both."""
        if self._before["commits"] and self._before["commits"][-1] != self._commit:
            warn(
                f"{self.folder} was left by commit {self._before['commits'][-1]} and goes on with {self._commit}: if "
                "what trains has changed in between, delete the folder to start anew (the result names both)",
                UserWarning,
            )

    @property
    def calls(self) -> dict:
        """Seconds in all calls, but for those that were killed, and every commit of this code that they ran."""
        commits = [*self._before["commits"], self._commit]
        return {
            "seconds": round(self._before["seconds"] + time.time() - self._start, 1),
            "commits": list(dict.fromkeys(commits)),
        }

    def leave(self) -> None:
        """Note down the calls for the one that goes on, unless the run is at its end."""
        if self._note is not None and not self._ended and self._note.parent.is_dir():
            with atomic_path(self._note) as temporary:
                temporary.write_text(json.dumps(self.calls | {"where": self.where}))

    def remove(self) -> None:
        """The run is at its end: what it made is removed, and the folder if nothing else is in it."""
        self._ended = True
        if self.folder is None:
            return
        _sweep(self.folder, (*LEFT_OVER, CHECKPOINTS, NOTE, OWNER, LOCK))
        with suppress(OSError):  # it holds something of somebody's
            self.folder.rmdir()

    @property
    def _note(self) -> Path | None:
        return None if self.folder is None else self.folder / NOTE


def left(folder: Path) -> dict[str, object]:
    """What a run that was stopped tells of its calls: seconds, commits, and the machine of the last one.

    Raises
    ------
    FileNotFoundError, ValueError
        When there is no note of them, or a damaged one.
    """
    note = folder / NOTE
    if not note.is_file():
        told = "a run leaves one when it is stopped; one that was killed, when it is gone on with and stopped"
        raise FileNotFoundError(f"{folder} has no {NOTE}: {told}")
    found = _read(note)
    return {**found.pop("where"), **found}


def _read(note: Path) -> dict:
    """Seconds and commits of earlier calls, and where the last one ran."""
    try:
        found = json.loads(note.read_text())
        seconds, commits = float(found["seconds"]), found["commits"]
        if not (math.isfinite(seconds) and seconds >= 0.0 and isinstance(commits, list)):
            raise ValueError(f"seconds {seconds}, commits {commits!r}")
        # notes may be older than what they tell of the machine
        where = {str(key): str(value) for key, value in dict(found.get("where", {})).items()}
        return {"seconds": seconds, "commits": [str(each) for each in commits], "where": where}
    except (ValueError, KeyError, TypeError) as error:
        told = "delete it to go on, without the time of the calls before"
        raise ValueError(f"{note} must be a whole note of a run's calls; {told}: {error!r}") from error


def _sweep(folder: Path, patterns: tuple[str, ...]) -> None:
    for path in (path for pattern in patterns for path in folder.glob(pattern)):
        if path.is_dir():
            shutil.rmtree(path, ignore_errors=True)
        else:
            path.unlink(missing_ok=True)


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
    lock, owner = FileLock(folder / LOCK), folder / OWNER
    try:
        lock.acquire(blocking=False)
    except Timeout:
        told = owner.read_text() if owner.exists() else "another process"
        raise ValueError(f"work must be a folder that no other run is at, got {folder}, where {told} is") from None
    try:
        owner.write_text(f"process {os.getpid()} on {socket.gethostname()}")
        _sweep(folder, LEFT_OVER)
        work = Work(folder)
        try:
            yield work
        finally:
            work.leave()
    finally:
        lock.release()
