"""Checkpoints: a job under way in one file, taken up again whole and by the same job, or not at all."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import contextmanager
from io import BytesIO
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from meanfield.files import atomic_path
from simulate.devices import lacks_memory

# what keeps a good file from being read
NOT_ITS_FAULT = {errno.EMFILE, errno.ENFILE, errno.ENOMEM, errno.EACCES, errno.EPERM, errno.EIO, errno.ESTALE}
FORMAT = 1  # to be raised when what jobs save changes its meaning


def write(path: Path, job: str, state: dict[str, Any]) -> None:
    """Save a state with its `step`, whole or not at all; `job` tells all that training is a function of.

    Raises
    ------
    OSError
        When it cannot be written, on a full disk for one. The checkpoint before it is left as it is.
    """
    whole = BytesIO()  # a full disk is then the system's own error, where torch would only count missing bytes
    torch.save({"format": FORMAT, "job": job, **state}, whole)
    try:
        with atomic_path(path) as temporary:
            temporary.write_bytes(whole.getbuffer())
    except OSError as error:
        told = f"{path} could not be written, and the checkpoint before it, if any, is left as it is"
        raise OSError(f"{told}: {error}") from error


def copy_(target: torch.Tensor, saved: torch.Tensor) -> None:
    """Take up saved numbers, of just that shape: `Tensor.copy_` would repeat those of one model for all."""
    if saved.shape != target.shape:
        raise ValueError(f"it has numbers of shape {tuple(saved.shape)}, not {tuple(target.shape)}")
    target.copy_(saved)


@contextmanager
def reading(path: Path, job: str, steps: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """The state that :func:`write` saved, to be taken up within the block.

    Raises
    ------
    ValueError
        When the file is damaged, is of another job or of another version of this program, or goes beyond `steps`; also
        when the block fails.
    OSError, MemoryError, torch.OutOfMemoryError
        When it cannot be read for no fault of its own: for want of memory, of open files, of permission.
    """
    with _whole(path):
        state = _load(path, steps, device)
        other = state["job"]
    if other != job:
        raise ValueError(f"{path} must be a checkpoint of {job}, got one of {other}; delete it to start anew")
    with _whole(path):
        yield state


def _load(path: Path, steps: int, device: torch.device) -> dict[str, Any]:
    with ZipFile(path) as file:
        damaged = file.testzip()  # torch.load does not look at the checksums
    if damaged is not None:
        raise ValueError(f"the checksum of {damaged} is wrong")
    state = torch.load(path, map_location=device, weights_only=True)
    if state["format"] != FORMAT:
        raise ValueError(f"it has format {state['format']}, not {FORMAT}")
    if not isinstance(state["step"], int) or not 0 <= state["step"] <= steps:
        raise ValueError(f"it is at step {state['step']} of {steps}")
    return state


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file may raise anything where it is read
        if lacks_memory(error) or (isinstance(error, OSError) and error.errno in NOT_ITS_FAULT):
            raise
        message = f"{path} must be a whole checkpoint of this version; delete it to start anew: "
        raise ValueError(f"{message}{type(error).__name__}, {error}") from error
