"""How far jobs are in other processes, which cannot call back: small files in a folder that all of them see."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from shutil import rmtree
from tempfile import mkdtemp

BOARD = "wanted_"  # begins the names of boards
INTERVAL = 1.0  # seconds between two notes of one job, and between two looks at them


@contextmanager
def board(work: Path | None) -> Iterator[Path | None]:
    """A folder in `work` for the time of the block: as long as it is there, the jobs' outcomes are waited for."""
    if work is None:
        yield None
        return
    work.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=BOARD, dir=work))
    try:
        yield folder
    finally:
        # in one step: a job that writes its note meanwhile would keep a folder which is emptied file by file
        with suppress(FileNotFoundError):  # somebody else removed it
            rmtree(folder.rename(f"{folder}.gone"), ignore_errors=True)


@dataclass
class Note:
    """One job's note on a board: floating-point operations done.

    Attributes
    ----------
    board : from :func:`board`
    name : of the job
    """

    board: Path
    name: str
    _written: float = field(default=0.0, repr=False)

    @property
    def wanted(self) -> bool:
        """Whether somebody still waits for the job; a parent that was killed leaves its board behind."""
        parent = multiprocessing.parent_process()
        return self.board.is_dir() and (parent is None or parent.is_alive())

    def write(self, done: float) -> None:
        """Note down how much is done, once in an `INTERVAL`; what cannot be written does not stop the job."""
        if time.monotonic() - self._written >= INTERVAL:
            self._written = time.monotonic()
            with suppress(OSError):
                (self.board / self.name).write_text(f"{done:.0f}")

    def read(self) -> float:
        """What was noted last; 0 before the first time, and while it is being written."""
        try:
            return float((self.board / self.name).read_text())
        except (OSError, ValueError):
            return 0.0
