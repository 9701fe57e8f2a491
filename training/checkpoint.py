"""Checkpoints: a job under way in one file, taken up again whole and by the same job, or not at all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import torch

from meanfield.files import atomic_path

FORMAT = 1  # to be raised when what jobs save changes its meaning


def write(path: Path, job: str, state: dict[str, Any]) -> None:
    """Save a state with its `step`, whole or not at all; `job` tells all that training is a function of."""
    with atomic_path(path) as temporary:
        torch.save({"format": FORMAT, "job": job, **state}, temporary)


@contextmanager
def reading(path: Path, job: str, steps: int, device: torch.device) -> Iterator[dict[str, Any]]:
    """The state that :func:`write` saved, to be taken up within the block.

    Raises
    ------
    ValueError
        When the file is damaged, is of another job or of another version of this program, or goes beyond `steps`; also
        when the block fails.
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
    if not 0 <= state["step"] <= steps:
        raise ValueError(f"it is at step {state['step']} of {steps}")
    return state


@contextmanager
def _whole(path: Path) -> Iterator[None]:
    try:
        yield
    except Exception as error:  # a damaged file may raise anything where it is read
        message = f"{path} must be a whole checkpoint of this version; delete it to start anew: "
        raise ValueError(f"{message}{type(error).__name__}, {error}") from error
