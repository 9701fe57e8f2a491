"""The recurrent experiments: which models, which task, how long; and running them with interruptions.

Sizes of the presets ``"paper"`` are the paper's. ``"cpu"`` and ``"quick"`` are reduced tasks, with shorter delays,
fewer batches and fewer seeds; digits stand for MNIST. Their numbers are not the paper's and must not be read as such.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import groupby, product
from pathlib import Path

import xarray as xr

from meanfield.checks import whole_number

from .copy_task import CopyTask
from .image_task import ImageTask
from .settings import GRID, Setting
from .tables import COPY, LOW_VARIANCE, PSMNIST, TABLE_1
from .training import BATCH, TEST_EVERY, Training

LEARNING_RATES = (1e-3, 1e-4, 1e-5)
SHORT_RATES = (3e-3, 1e-3)  # of the reduced copy tasks, to select from
EPOCHS, DROP_AFTER, CLIP = 120, 100, 1.0  # psMNIST, Appendix D.2.5
VALIDATIONS = 120  # of an image experiment, evenly spaced


@dataclass(frozen=True)
class Experiment:
    """Models on one task, in plain values.

    Attributes
    ----------
    settings : all models; those of one shape are stacked
    max_delay : T_max of the copy task; None for images
    fixed_delay : whether the delay is always T_max
    steps : batches, for the copy task
    epochs : for images
    batch : examples in a batch
    test_every : steps between tests, for the copy task
    """

    settings: tuple[Setting, ...]
    max_delay: int | None = None
    fixed_delay: bool = False
    steps: int = 0
    epochs: int = 0
    batch: int = BATCH
    test_every: int = TEST_EVERY

    @property
    def stacks(self) -> list[tuple[Setting, ...]]:
        """The models that can share a stack."""
        ordered = sorted(self.settings, key=_shape)
        return [tuple(group) for _, group in groupby(ordered, key=_shape)]

    def training(
        self, settings: Sequence[Setting], device: str = "cpu", data_dir: str | Path | None = None
    ) -> Training:
        """The training of one stack."""
        if self.max_delay is not None:
            task = CopyTask(self.max_delay, self.fixed_delay)
            return Training(task, settings, self.steps, batch=self.batch, test_every=self.test_every, device=device)
        images = ImageTask(data_dir)
        epoch = images.batches(self.batch)
        return Training(
            images,
            settings,
            self.epochs * epoch,
            batch=self.batch,
            clip_norm=CLIP,
            drop_at=math.ceil(self.epochs * DROP_AFTER / EPOCHS) * epoch,
            test_every=max(1, self.epochs // VALIDATIONS) * epoch,
            device=device,
        )


def run(
    experiment: Experiment,
    folder: str | Path,
    *,
    device: str = "cpu",
    data_dir: str | Path | None = None,
    budget: float = math.inf,
    save_every: float = 60.0,
) -> xr.Dataset | None:
    """Train all stacks, one after the other, going on from where an earlier call stopped.

    Parameters
    ----------
    folder : where checkpoints are kept, one file for each stack
    device, data_dir : as for :class:`Training` and :class:`ImageTask`; without `data_dir` images are the digits
    budget : seconds after which to stop
    save_every : seconds between checkpoints

    Returns
    -------
    xarray.Dataset, or None when the budget ended first
        :meth:`Training.result` of all models, joined along `model`.

    Raises
    ------
    ValueError
        When a checkpoint is of another experiment.
    """
    deadline, results = time.monotonic() + budget, []
    for number, settings in enumerate(experiment.stacks):
        training = experiment.training(settings, device, data_dir)
        path = Path(folder) / f"stack{number}.pt"
        if path.exists():
            training.restore(path)
        while training.step < training.steps:
            until = min(deadline, time.monotonic() + save_every)
            while training.step < training.steps and time.monotonic() < until:
                training.advance()
            training.save(path)
            if time.monotonic() >= deadline and training.step < training.steps:
                return None
        results.append(training.result())
    return xr.concat(results, "model", join="exact", combine_attrs="drop_conflicts")


def sweep(kind: str, hidden_size: int, seeds: int = 3, activations: Sequence[str] = ("tanh",)) -> tuple[Setting, ...]:
    """The copy task's sweep, Appendix D.2.2: recurrent and input initialisation, learning rate, activation, seeds.

    36 models, and 72 with both activations (ordinary RNNs). Low variance comes with the blank token's column at zero.
    """
    grid = product(("identity", "uniform"), ("standard", LOW_VARIANCE), activations, LEARNING_RATES, range(seeds))
    return tuple(
        Setting(kind, hidden_size, seed, rate, recurrent, encoder, activation, frozen_blank=encoder != "standard")
        for recurrent, encoder, activation, rate, seed in grid
    )


def best(task: str, models: Sequence[str], seeds: int) -> tuple[Setting, ...]:
    """The settings of Table 1 for some models of a task, every size of them, with `seeds` seeds each.

    Raises
    ------
    ValueError
        When a model is not in the table.
    """
    chosen = [row for row in TABLE_1 if row.task == task and row.model in models]
    missing = set(models) - {row.model for row in chosen}
    if missing:
        raise ValueError(f"models must be in Table 1 for {task}, got {', '.join(sorted(missing))}")
    return tuple(row.setting(seed) for row in chosen for seed in range(whole_number("seeds", seeds, 1)))


def controls(settings: Sequence[Setting]) -> tuple[Setting, ...]:
    """Models that the paper does not have and that isolate one thing each.

    For every U(1) RNN the same capsules with generic weights, and for every GRU one that starts with b_z = 2.
    """
    generic = (replace(each, kind="generic(2) RNN") for each in settings if each.kind == "U(1) RNN")
    biased = (replace(each, update_bias=2.0) for each in settings if each.kind == "GRU")
    return (*generic, *biased)


def _shape(setting: Setting) -> tuple:
    return setting.kind, setting.hidden_size, setting.activation, setting.biases, setting.channels


def _copy(models: Sequence[str], max_delay: int, seeds: int, steps: int = 1_000_000, **sizes) -> Experiment:
    settings = best(COPY, models, seeds)
    return Experiment((*settings, *controls(settings)), max_delay, steps=steps, **sizes)


def _short(models: Sequence[str], max_delay: int, seeds: int, steps: int) -> Experiment:
    """A short task and few batches, with two learning rates to select from."""
    chosen = best(COPY, models, seeds)
    settings = tuple(replace(each, learning_rate=rate) for each in chosen for rate in SHORT_RATES)
    return Experiment((*settings, *controls(settings)), max_delay, steps=steps, batch=64)


def _images(models: Sequence[str], seeds: int, epochs: int = EPOCHS, hidden_size: int | None = None) -> Experiment:
    """`hidden_size` in place of the table's sizes, of which the first setting is kept."""
    settings = best(PSMNIST, models, seeds)
    if hidden_size is not None:
        small = {(each.kind.split("(")[0], each.seed): each for each in reversed(settings)}
        settings = tuple(replace(each, hidden_size=hidden_size) for each in small.values())
    return Experiment(settings, epochs=epochs)


_RNNS, _GRUS = ("RNN", "U(1) RNN"), ("GRU", "U(1) GRU")
_ALL = ("RNN", "GRU", "O(k) RNN", "U(1) GRU")
_VORTICES = Setting(GRID, 400, encoder=LOW_VARIANCE, frozen_blank=True)

# figure -> preset -> its parts. copy200 has the best settings of the shorter tasks, where the paper sweeps again.
PRESETS: dict[str, dict[str, tuple[Experiment, ...]]] = {
    "figure6": {
        "quick": (_copy(_RNNS, 2, 2, 60, batch=16, test_every=20), _copy(_GRUS, 2, 2, 60, batch=16, test_every=20)),
        "cpu": (_short(_RNNS, 12, 2, 7000), _short(_GRUS, 20, 2, 7000)),
        "paper": (_copy(_RNNS, 25, 10), _copy(_GRUS, 100, 10)),
    },
    "copy200": {
        "quick": (_copy(_GRUS, 4, 2, 60, batch=16, test_every=20),),
        "cpu": (_short(_GRUS, 40, 2, 7000),),
        "paper": (_copy((*_RNNS, *_GRUS), 200, 10),),
    },
    "figure7": {
        "quick": (_images(_ALL, 1, 1, 8),),
        "cpu": (_images(_ALL, 2, 30, 32),),
        "paper": (_images(_ALL, 3),),
    },
    "figure12": {
        "quick": (
            Experiment((replace(_VORTICES, hidden_size=64, channels=2),), 5, True, steps=20, batch=4, test_every=10),
        ),
        "cpu": (
            Experiment(
                (replace(_VORTICES, hidden_size=144, channels=4),), 20, True, steps=3000, batch=16, test_every=250
            ),
        ),
        "paper": (Experiment((_VORTICES,), 100, True, steps=100_000),),
    },
}
