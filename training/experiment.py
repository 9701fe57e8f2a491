"""What an experiment is: a claim of the paper, the sizes it is tried at, and what judges and draws the outcome."""

from __future__ import annotations

import shlex
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import xarray as xr
from matplotlib.axes import Axes

from .criteria import Judge
from .runner import Job

Panel = Callable[[xr.Dataset, Axes], Axes]


class Size(Protocol):
    """A preset: the jobs of one size of an experiment, and the table made of their rows."""

    @property
    def networks(self) -> int:
        """How many are trained."""

    @property
    def settings(self) -> dict:
        """All of it in plain values."""

    def jobs(self, data_dir: str | None, device: str) -> Sequence[Job]:
        """The stacks to train."""

    def table(self, rows: list[Any], device: str) -> list[Any]:
        """All rows of the result, in an order that does not depend on how models were shared out."""

    def images(self, data_dir: str | None) -> dict[str, object]:
        """What the result's first line says of the images."""


@dataclass(frozen=True)
class Experiment:
    """One figure.

    Attributes
    ----------
    claim : what the paper says; of an experiment beyond the paper, what is claimed here
    criterion : what would bear it out, in words
    judge : the same as a function of the table
    panels : functions (result, ax) that draw it, or what makes these of a result whose tasks have one each
    presets : by name: ``"quick"``, ``"cpu"``, ``"paper"``, and others that `training.recurrent.presets` tells of
    describe : a preset's `settings` in one line
    details : what a report tells besides the verdicts, as Markdown; None for those that say all
    """

    claim: str
    criterion: str
    judge: Judge
    panels: tuple[Panel, ...] | Callable[[xr.Dataset], tuple[Panel, ...]]
    presets: Mapping[str, Size]
    describe: Callable[[dict], str]
    details: Callable[[xr.Dataset], str] | None = None

    def drawn(self, result: xr.Dataset) -> tuple[Panel, ...]:
        """The panels of a result, which may have fewer tasks than the paper's figure."""
        return self.panels(result) if callable(self.panels) else self.panels


def counted(number: int, noun: str) -> str:
    """As "1 seed" or "3 seeds"."""
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def command_to_run(name: str, options: Mapping[str, object]) -> str:
    """The command that runs an experiment, or goes on with it, as one types it; `options` by their Python names."""
    given = [text for key, value in options.items() for text in (f"--{key.replace('_', '-')}", str(value))]
    return shlex.join(["python", "-m", "training", "run", name, *given])
