"""Training a stack of recurrent models on one task, Appendix D.2.5.

What the paper leaves open, and what is done here: gradient clipping "by magnitude with a value of 1.0" is by the norm
of one model's gradient, or by value where that is asked for; the copy task is trained without it, as the text mentions
it for psMNIST only. Losses of a copy task along training are of one batch of 50 sequences each; the last, by which
settings are selected, models compared and tasks called solved, is the mean of 100 of them, as the text has losses
"averaged over test batches" without a number. The learning rate falls tenfold after 100 of 120 epochs of psMNIST, and
stays on the copy task. The 72 runs of a model's sweep count two activations, which GRUs and U(1) models do not have: 36
runs cover theirs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
import xarray as xr
from torch.func import functional_call

from meanfield.checks import real_number, whole_number
from simulate.devices import as_device, matrix_products
from simulate.provenance import provenance

from .. import checkpoint
from ..captured import Captured
from .convolutional import exact_convolutions
from .copy_task import TOKENS, CopyTask, seed_keys
from .image_task import ImageSet, ImageTask
from .rows import LONG_NAMES
from .settings import Setting
from .stability import spectral_radius
from .stacked_adam import StackedAdam, clip_norms, clip_values
from .stacking import stack

BATCH = 128
TEST_BATCH = 50
TEST_EVERY = 1000  # steps
LAST_TESTS = 100  # batches of a copy task whose mean is its last number, by which models are chosen and compared
TOGETHER = 20  # steps of a copy task in one CUDA graph: the host is then not what they wait for
CPU_SHARE = 2  # models run at a time on a CPU, whose cache holds no more of them
SOLVED = 1e-4  # cross-entropy on test batches of a copy task that counts as solved


class Training:
    """A stack under way.

    Parameters
    ----------
    task : CopyTask or ImageTask
    settings : of the models, alike in kind, hidden size and activation
    steps : batches in all
    batch : sequences in each of them, >= 1
    clip_norm, clip_value : largest norm of a model's gradient, or size of its components; None leaves them
    drop_at : step from which on learning rates are a tenth; None keeps them
    test_every : steps between validations (and, for the copy task, tests)
    device : ``"cpu"``, ``"cuda"``, ``"cuda:i"`` or ``"auto"``
        On a CUDA device a whole step is one graph that is replayed, of a copy task many steps; see `captured`.

    Attributes
    ----------
    model : SequenceModel, the stack
    step : batches done

    Raises
    ------
    ValueError
        For settings that cannot share a stack, another task, numbers that are not positive.
    """

    def __init__(
        self,
        task: CopyTask | ImageTask,
        settings: Sequence[Setting],
        steps: int,
        *,
        batch: int = BATCH,
        clip_norm: float | None = None,
        clip_value: float | None = None,
        drop_at: int | None = None,
        test_every: int = TEST_EVERY,
        device: str = "cpu",
    ) -> None:
        if not isinstance(task, CopyTask | ImageTask):
            raise ValueError(f"task must be a CopyTask or an ImageTask, got {task!r}")
        copying = isinstance(task, CopyTask)
        if not isinstance(settings, Sequence) or not all(isinstance(each, Setting) for each in settings):
            raise ValueError(f"settings must be a sequence of Setting, got {settings!r}")
        self.settings, self.device = tuple(settings), as_device(device)
        self.task = task.to(self.device) if isinstance(task, ImageTask) else task
        self.steps, self.batch = whole_number("steps", steps, 1), whole_number("batch", batch, 1)
        self.test_every = whole_number("test_every", test_every, 1)
        self.drop_at = None if drop_at is None else whole_number("drop_at", drop_at, 1)
        for name, limit in (("clip_norm", clip_norm), ("clip_value", clip_value)):
            if limit is not None:
                real_number(name, limit, minimum=0.0, strict=True)
        self.clip_norm, self.clip_value = clip_norm, clip_value
        singles = [setting.build(TOKENS if copying else 1, every_step=copying) for setting in self.settings]
        self.model = stack(singles).to(self.device, torch.float32)  # whatever the default is
        self._parameters = list(self.model.parameters())
        self._adam = StackedAdam(self._parameters, [setting.learning_rate for setting in self.settings])
        at_once = CPU_SHARE if self.device.type == "cpu" else len(singles)
        self._shares = [slice(first, first + at_once) for first in range(0, len(singles), at_once)]
        self._seeds = [setting.seed for setting in self.settings]
        self._keys = seed_keys(self._seeds, self.device)
        self._train_loss = torch.zeros(len(self.settings), dtype=torch.float64, device=self.device)
        self._captured = Captured(self.device, [*self._parameters, *self._adam.moments, self._train_loss])
        self._records: dict[str, list[list[float]]] = {"step": [], "train_loss": []}
        self.step = 0

    def advance(self) -> None:
        """One batch for every model.

        Raises
        ------
        RuntimeError
            After the last step.
        """
        self._take(1)

    def proceed(self, until: int | None = None) -> None:
        """As many batches as are trained on together, one at least, and none after the step `until` or the next test.

        Raises
        ------
        RuntimeError
            After the last step.
        """
        ends = [self.steps, self.step - self.step % self.test_every + self.test_every]
        graph = self._captured.device.type == "cuda" and isinstance(self.task, CopyTask)
        left = min(ends if until is None else [*ends, until]) - self.step
        self._take(TOGETHER if graph and left >= TOGETHER else 1)

    def run(self, more: int | None = None) -> Training:
        """Go on to the end, or for so many steps at most."""
        left = self.steps - self.step
        until = self.step + (left if more is None else min(whole_number("more", more, 0), left))
        while self.step < until:
            self.proceed(until)
        return self

    def result(self) -> xr.Dataset:
        """What was measured, by model and step.

        Returns
        -------
        xarray.Dataset
            `train_loss` (model, step), the mean since the step before, and for each of ``validation`` and ``test`` the
            cross-entropy, for images also the accuracy; of RNNs without gates `spectral_radius` (model,), of the
            recurrent weights at the end; settings, and `parameters`, their number, as coordinates of `model`. Images
            are tested at the end only. A model that diverged has NaN.
        """
        steps = np.array(self._records["step"], dtype=int).ravel()
        values = {}
        for name, rows in self._records.items():
            if name != "step":
                array = np.array(rows, dtype=float).reshape(-1, len(self.settings))
                once = len(array) != len(steps)
                dims = ("model",) if once else ("model", "step")
                values[name] = (dims, array[-1] if once else array.T, {"long_name": LONG_NAMES[name]})
        count = sum(parameter[0].numel() for parameter in self._parameters)
        columns = {"parameters": ("model", [count] * len(self.settings), {"long_name": LONG_NAMES["parameters"]})} | {
            name: ("model", [np.nan if value is None else value for value in column])
            for name, column in self._columns()
        }
        return xr.Dataset(
            values,
            coords={"step": ("step", steps, {"long_name": "batches"}), **columns},
            attrs={"task": repr(self.task), "batch": self.batch, "steps": self.steps, **provenance()},
        )

    def save(self, path: str | Path) -> None:
        """Write all that the rest depends on, whole or not at all."""
        state = {
            "step": self.step,
            "model": self.model.state_dict(),
            "adam": self._adam.state(),
            "train_loss": self._train_loss,
            "records": self._records,
        }
        checkpoint.write(Path(path), self._plan(), state)

    def restore(self, path: str | Path) -> None:
        """Take up what :meth:`save` wrote; the rest is then as if there had been no interruption.

        Raises
        ------
        ValueError
            When it is of other models or of another training, or damaged.
        """
        with checkpoint.reading(Path(path), self._plan(), self.steps, self.device) as state:
            self.step, self._records = state["step"], state["records"]
            self.model.load_state_dict(state["model"])
            self._adam.restore(state["adam"])
            checkpoint.copy_(self._train_loss, state["train_loss"])

    def _take(self, count: int) -> None:
        """So many steps; of images, one."""
        if self.step == self.steps:
            raise RuntimeError(f"training has ended after its {self.steps} steps")
        numbers = torch.tensor(
            [self._numbers(step) for step in range(self.step, self.step + count)], dtype=torch.float64
        )
        numbers = numbers.to(self.device, non_blocking=True)
        if isinstance(self.task, CopyTask):
            self._captured(self._copy_steps, numbers)
        else:
            self._captured(self._update, *self._batch("train", self.step, self.batch), numbers[0, 1:])
        self.step += count
        self._adam.step_count = self.step
        if self.step % self.test_every == 0 or self.step == self.steps:
            self._record()

    def _numbers(self, step: int) -> tuple[float, ...]:
        """A step's own number, from 0, and what Adam needs of it."""
        factor = 0.1 if self.drop_at is not None and step >= self.drop_at else 1.0
        return step, *self._adam.numbers(step + 1, factor)

    def _copy_steps(self, numbers: torch.Tensor) -> None:
        """A step for each row of what :meth:`_numbers` tells, with batches that are drawn where the graph is."""
        assert isinstance(self.task, CopyTask)
        for each in numbers.unbind():
            self._update(*self.task.training_batch(each[0].long(), self.batch, self._keys), each[1:])

    @matrix_products(tf32=False)
    @exact_convolutions()
    def _update(self, x: torch.Tensor, targets: torch.Tensor, numbers: torch.Tensor) -> None:
        """From a batch to new weights: what a graph replays, so every tensor that stays is changed in place."""
        shares = [self._gradients(x[share], targets[share], share) for share in self._shares]
        for parameter, *parts in zip(self._parameters, *shares, strict=True):
            parameter.grad = torch.cat(parts) if len(parts) > 1 else parts[0]
        if self.clip_norm is not None:
            clip_norms(self._parameters, self.clip_norm)
        if self.clip_value is not None:
            clip_values(self._parameters, self.clip_value)
        self._adam.update(numbers)

    def _gradients(self, x: torch.Tensor, targets: torch.Tensor, share: slice) -> tuple[torch.Tensor, ...]:
        """Of some models' losses, which are added up; by leaves that are made here, as `captured` asks."""
        tensors = {**dict(self.model.named_parameters()), **dict(self.model.named_buffers())}
        tensors = {name: tensor.detach()[share] for name, tensor in tensors.items()}
        leaves = [tensors[name].requires_grad_() for name, _ in self.model.named_parameters()]
        losses = cross_entropy(functional_call(self.model, tensors, (x,)), targets)
        self._train_loss[share].add_(losses.detach())
        return torch.autograd.grad(losses.sum(), leaves)

    @matrix_products(tf32=False)
    @exact_convolutions()
    def _logits(self, x: torch.Tensor) -> torch.Tensor:
        return self.model(x)

    def _plan(self) -> str:
        """All that training is a function of."""
        names = ("steps", "batch", "clip_norm", "clip_value", "drop_at", "test_every")
        plan = ", ".join(f"{name}={getattr(self, name)}" for name in names)
        images = f", {self.task.digest}" if isinstance(self.task, ImageTask) else ""
        return f"{self.task}{images}, {plan}, {self.settings}"

    def _columns(self):
        yield "label", [setting.name for setting in self.settings]
        for name in asdict(self.settings[0]):
            yield name, [getattr(setting, name) for setting in self.settings]

    def _batch(self, split: str, step: int, size: int) -> tuple[torch.Tensor, torch.Tensor]:
        if isinstance(self.task, CopyTask):
            return self.task.batch(step, size, self._seeds, self.device, split)
        x, labels = self.task.batch(step, size, self._seeds)
        return x.to(self.device), labels.to(self.device)

    @torch.no_grad()
    def _record(self) -> None:
        since = self.step - (self._records["step"][-1][0] if self._records["step"] else 0)
        self._records["step"].append([self.step])
        self._note("train_loss", self._train_loss / since)
        self._train_loss.zero_()
        radius = spectral_radius(self.model.layer) if self.step == self.steps else None
        if radius is not None:
            self._note("spectral_radius", radius)
        if isinstance(self.task, CopyTask):
            for split in ("validation", "test"):
                self._note(f"{split}_loss", self._copy_loss(split))
            return
        self._note_images("validation", self.task.validation)
        if self.step == self.steps:
            self._note_images("test", self.task.test)

    def _copy_loss(self, split: str) -> torch.Tensor:
        """The mean over one batch, after the last step over many, none of them seen before."""
        loss, count = torch.zeros_like(self._train_loss), LAST_TESTS if self.step == self.steps else 1
        for number in range(count):
            x, targets = self._batch(split, self.step + number, TEST_BATCH)
            loss += cross_entropy(self._captured(self._logits, x), targets)
        return loss / count

    def _note_images(self, split: str, images: ImageSet) -> None:
        loss, right = torch.zeros_like(self._train_loss), torch.zeros_like(self._train_loss)
        for first in range(0, len(images), self.batch):  # no more memory than training takes
            x, labels = (part.to(self.device) for part in images[first : first + self.batch])
            logits = self._captured(self._logits, x)
            shared = labels.expand(len(self.settings), -1)
            loss += cross_entropy(logits, shared) * len(labels)
            right += (logits.argmax(-1) == shared).sum(-1)
        self._note(f"{split}_loss", loss / len(images))
        self._note(f"{split}_accuracy", right / len(images))

    def _note(self, name: str, values: torch.Tensor) -> None:
        self._records.setdefault(name, []).append(values.tolist())


def cross_entropy(logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
    """Mean cross-entropy of each model, (models,), for logits (models, ..., classes) and targets (models, ...)."""
    each = torch.nn.functional.cross_entropy(logits.flatten(0, -2), targets.flatten(), reduction="none")
    return each.view(len(logits), -1).mean(1)
