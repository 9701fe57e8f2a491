"""Stacks of recurrent models on a GPU, or a CPU: ``python -m benchmarks.stacks``.

First, training steps of stacks of 1 to 128 models, per model against one `nn.RNN` or `nn.GRU` of the same real hidden
size, with the same batches, loss and Adam (on a GPU by cuDNN, with the precision it has by default). On a GPU steps
of a stack are one CUDA graph, and that of PyTorch's model is launched kernel by kernel, as in a usual script: of
small stacks the ratio is about that as much as about the layers. Of the copy task's models the same steps are timed
once more with the loops over time left to single operations, within a graph, where kernels have taken their place.
Then, from measured steps of all models of Tables 2 and 3, the hours that the paper's runs would take, beside those
the paper states. All times are wall times of whole training steps: sampling, loss, gradients, on images clipping, and
Adam; tests are left out.
"""

from __future__ import annotations

import csv
import json
import math
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np
import torch
import tyro
from torch import nn

from meanfield.checks import real_array, whole_number
from meanfield.command_line import finish
from meanfield.files import atomic_path, require_writable
from simulate.devices import as_device, lacks_memory
from simulate.provenance import gpu, provenance
from training.recurrent import CopyTask, ImageTask, Setting, Training, fused
from training.recurrent.image_task import ImageSet
from training.recurrent.job import CLIP, EPOCHS
from training.recurrent.settings import CLASSES
from training.recurrent.tables import COPY, PSMNIST, TABLE_1, Row
from training.recurrent.training import BATCH, TOGETHER

from .report import aligned, duration
from .timing import measure

MODELS = (1, 2, 4, 8, 16, 32, 64, 128)
KINDS = (("RNN", 64, nn.RNN), ("U(1) RNN", 32, nn.RNN), ("GRU", 64, nn.GRU), ("U(1) GRU", 32, nn.GRU))
FEATURES = 64  # real numbers in the hidden state of each
SEEDS = {COPY: 10, PSMNIST: 3}
COPY_STEPS, IMAGES, PIXELS = 1_000_000, 57_000, 784
HOURS = {  # of one run, as the paper states them
    (COPY, "RNN"): 8.0, (COPY, "U(1) RNN"): 8.0, (COPY, "GRU"): 4.0, (COPY, "U(1) GRU"): 48.0,
    (PSMNIST, "RNN"): 2.5, (PSMNIST, "O(k) RNN"): 7.0, (PSMNIST, "GRU"): 1.0, (PSMNIST, "U(1) GRU"): 14.0,
}  # fmt: skip
HEAD = ("stack", "models", "step", "models x steps/s", "torch.nn", "per model")
TABLE_HEAD = ("task", "model", "models", "iterations", "step", "by loops", "hours", "paper's", "ratio")


class Timed(NamedTuple):
    """Seconds of a step of a stack, and of one of PyTorch's own models of the same real hidden size."""

    kind: str
    hidden_size: int
    models: int
    seconds: float
    seconds_torch_nn: float

    def cells(self) -> tuple[str, ...]:
        rate, ratio = self.models / self.seconds, self.seconds_torch_nn * self.models / self.seconds
        name, alone = f"{self.kind}, N = {self.hidden_size}", duration(self.seconds_torch_nn)
        return name, str(self.models), duration(self.seconds), f"{rate:.4g}", alone, f"{ratio:.3g} times"


class PaperRow(NamedTuple):
    """Seconds of a step of all models of a row of the paper's tables, NaN where they do not fit, and hours.

    `seconds_loops` are those without kernels, NaN where there are none.
    """

    task: str
    model: str
    models: int
    iterations: int
    seconds: float
    seconds_loops: float
    hours: float
    paper_hours: float

    def cells(self) -> tuple[str, ...]:
        head = self.task, self.model, str(self.models), f"{self.iterations:,}"
        if math.isnan(self.seconds):
            return (*head, "does not fit", "", "", "", "")
        loops = "" if math.isnan(self.seconds_loops) else duration(self.seconds_loops)
        return (*head, duration(self.seconds), loops, *_hours(self.hours, self.paper_hours))


R = TypeVar("R", Timed, PaperRow)


@dataclass
class Stacks:
    """Time stacks of recurrent models, and say how long the paper's tables would take."""

    device: str = "auto"
    """auto (CUDA where there is one), cpu, cuda or cuda:i."""
    quick: bool = False
    """Small sizes: to see that it runs. Its times mean nothing."""
    budget: float = 1.0
    """Seconds of samples for one timing; a step that takes longer is timed once."""
    shorten: int = 1
    """Read so many times fewer pixels, and multiply the time by it: for a CPU, where the largest steps take minutes."""
    tables: bool = True
    """Whether to time the models of Tables 2 and 3."""
    out: Path = Path("results/benchmarks")
    """Folder for the same as stacks.csv and paper_tables.csv."""

    def run(self) -> None:
        real_array("budget", self.budget, minimum=0.0)
        if whole_number("shorten", self.shorten, 1) > PIXELS:
            raise ValueError(f"shorten must be at most the {PIXELS} pixels of an image, got {self.shorten}")
        place = as_device(self.device)
        for table in ("stacks", "paper_tables") if self.tables else ("stacks",):
            require_writable(self._path(table))
        name = torch.cuda.get_device_name(place) if place.type == "cuda" else f"CPU, {torch.get_num_threads()} threads"
        print(f"{name}, torch {torch.__version__}\n", flush=True)
        options = {"quick": self.quick, "budget": self.budget, "shorten": self.shorten}
        where = {"device": str(place), **gpu(str(place)), "threads": torch.get_num_threads(), **provenance()}
        told = options | where
        stacks = _found(self._stacks(place))
        print(aligned(HEAD, [row.cells() for row in stacks]) + "\n", flush=True)
        self._write("stacks", Timed, stacks, told)
        if self.tables:
            papers = _found(self._tables(place))
            print(aligned(TABLE_HEAD, [row.cells() for row in papers] + _all(papers)) + "\n", flush=True)
            self._write("paper_tables", PaperRow, papers, told)
            print("hours: of all models of a row in one stack; paper's: of as many runs, each as long as it states.")
            if self.shorten > 1:
                print(
                    f"Steps on images: of {PIXELS // self.shorten} pixels, times {self.shorten}, Adam's part included."
                )

    def _path(self, name: str) -> Path:
        """Of a table; those of a quick run take no other's place."""
        return self.out / ("quick" if self.quick else "") / f"{name}.csv"

    def _write(self, name: str, kind: type[Timed | PaperRow], rows: Sequence[Timed | PaperRow], told: dict) -> None:
        """A table whose first line says where it comes from."""
        out = self._path(name)
        with atomic_path(out) as path, path.open("w", newline="") as file:
            file.write(f"# {json.dumps(told)}\n")
            csv.writer(file, lineterminator="\n").writerows([kind._fields, *rows])
        print(f"wrote {out}\n", flush=True)

    def _stacks(self, place: torch.device) -> Iterator[Timed]:
        task = CopyTask(1 if self.quick else 25)
        for kind, size, peer in KINDS:
            alone = _seconds(_peer(peer, task, place), self.budget, place)
            for models in MODELS[:2] if self.quick else MODELS:
                settings = [Setting(kind, size, seed=seed, activation="tanh") for seed in range(models)]  # as the peers
                step = _copy_step(task, settings, self.budget, place)
                yield Timed(kind, size, models, step, alone)

    def _tables(self, place: torch.device) -> Iterator[PaperRow]:
        for row in TABLE_1[::7] if self.quick else TABLE_1:
            seeds, iterations = SEEDS[row.task], _iterations(row.task)
            try:
                step = self._table_step(row, range(seeds), place)
            except RuntimeError as error:
                if not lacks_memory(error):
                    raise
                step = math.nan
            hours = step * iterations / 3600, seeds * HOURS[row.task, row.model]
            yield PaperRow(
                row.task, row.setting(0).name, seeds, iterations, step, self._by_loops(row, range(seeds), place), *hours
            )

    def _table_step(self, row: Row, seeds: Sequence[int], place: torch.device) -> float:
        """Seconds of a step of all seeds in one stack."""
        settings = [row.setting(seed) for seed in seeds]
        if row.task == COPY:
            return _copy_step(_copy_task(row), settings, self.budget, place)
        training = _training(Noise(PIXELS // self.shorten, IMAGES), settings, place, clip_norm=CLIP)
        return _seconds(training.advance, self.budget, place) * self.shorten

    def _by_loops(self, row: Row, seeds: Sequence[int], place: torch.device) -> float:
        """The same on the copy task without kernels; NaN where there are none."""
        if row.task != COPY or not fused.have_kernels(place):
            return math.nan
        with fused.loops():
            training = _training(_copy_task(row), [row.setting(seed) for seed in seeds], place)
            return _seconds(training.advance, self.budget, place)


def _copy_task(row: Row) -> CopyTask:
    """The one of the table, with the longer delays for GRUs."""
    return CopyTask(100 if row.model.endswith("GRU") else 25)


class Noise(ImageTask):
    """Images of noise, which take the time of real ones."""

    def __init__(self, pixels: int, images: int) -> None:
        rng = np.random.default_rng(0)
        gray = torch.from_numpy(rng.integers(0, 256, (images, pixels), dtype=np.uint8))
        self.order = np.arange(pixels)
        self.train = self.validation = self.test = ImageSet(gray, torch.from_numpy(rng.integers(0, 10, images)), 255)


def _copy_step(task: CopyTask, settings: Sequence[Setting], budget: float, place: torch.device) -> float:
    """Seconds of a step on the copy task, of which one CUDA graph holds many."""
    together = TOGETHER if place.type == "cuda" else 1
    return _seconds(_training(task, settings, place).proceed, budget, place) / together


def _training(task: CopyTask | ImageTask, settings: Sequence[Setting], place: torch.device, **options) -> Training:
    """Which has no test to make while it is timed."""
    return Training(task, settings, 10**6, test_every=10**6, device=str(place), **options)


def _peer(kind: type[nn.RNNBase], task: CopyTask, place: torch.device) -> Callable[[], None]:
    """A training step of one model of PyTorch's own."""
    layer = kind(CLASSES, FEATURES, batch_first=True).to(place)
    readout = nn.Linear(FEATURES, CLASSES).to(place)
    optimiser = torch.optim.Adam([*layer.parameters(), *readout.parameters()], fused=True)

    def step() -> None:
        x, targets = (part[0] for part in task.batch(0, BATCH, [0], place))
        optimiser.zero_grad()
        nn.functional.cross_entropy(readout(layer(x)[0]).flatten(0, 1), targets.flatten()).backward()
        optimiser.step()

    return step


def _seconds(step: Callable[[], None], budget: float, place: torch.device) -> float:
    """Median wall time of a step, after one that may capture a graph."""
    step()
    finish = partial(torch.cuda.synchronize, place) if place.type == "cuda" else int
    finish()
    return measure(step, budget, finish)[1].wall_median


def _iterations(task: str) -> int:
    return COPY_STEPS if task == COPY else EPOCHS * -(-IMAGES // BATCH)


def _hours(ours: float, paper: float) -> tuple[str, str, str]:
    return f"{ours:,.2f}", f"{paper:,.1f}", f"{paper / ours:.3g}"


def _all(rows: Sequence[PaperRow]) -> list[tuple[str, ...]]:
    """A last line, with the hours of the rows that fit."""
    fit = [row for row in rows if not math.isnan(row.seconds)]
    hours = sum(row.hours for row in fit), sum(row.paper_hours for row in fit)
    return [("all", "", "", "", "", "", *_hours(*hours))] if fit else []


def _found(rows: Iterator[R]) -> list[R]:
    """All rows, each told on stderr as it is found, since a run may be cut off."""
    found = []
    for row in rows:
        print("timed: " + "  ".join(row.cells()), file=sys.stderr, flush=True)
        found.append(row)
    return found


def main() -> int:
    """Run the command line; bad values end with a message and exit code 2."""
    return finish(tyro.cli(Stacks, prog="python -m benchmarks.stacks"))


if __name__ == "__main__":
    sys.exit(main())
