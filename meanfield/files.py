"""Writing results so that a full disk or a killed process never leaves half a file under the final name, and so that a
name that cannot be written to is refused before the work whose results it is for.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from pathlib import Path
from shutil import rmtree
from tempfile import TemporaryDirectory, mkdtemp


@contextmanager
def atomic_path(path: str | os.PathLike) -> Iterator[Path]:
    """A temporary path beside `path` to write to; it takes the place of `path` when the block ends without an error.

    The folder is made if need be. The temporary path has the same ending, for writers that go by it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    folder = Path(mkdtemp(prefix=".writing-", dir=path.parent))
    temporary = folder / path.name
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        # including extra files: some writers append a suffix of their own
        rmtree(folder, ignore_errors=True)


def require_writable(path: Path, endings: Collection[str] = (), name: str = "out") -> None:
    """Refuse a path that `atomic_path` could not write to; nothing is made or left.

    Parameters
    ----------
    endings : of which the path must have one, as ``".nc"``; none leaves it open
    name : of the argument

    Raises
    ------
    ValueError
        For another ending, a folder, and a place where no file can be made.
    """
    if endings and path.suffix.lower() not in endings:
        raise ValueError(f"{name} must end in {' or '.join(endings)}, got {path}")
    try:
        if path.is_dir():
            raise ValueError(f"{name} must be a file, got {path}, which is a folder")
        # missing folders are made only when there is something to write
        present = next(folder for folder in path.absolute().parents if folder.exists())
        with TemporaryDirectory(prefix=".writing-", dir=present):
            pass
    except OSError as error:
        raise ValueError(f"{name} must be a file that can be written, got {path}: {error.strerror}") from error
