"""Images read pixel by pixel in one fixed, random order: permuted sequential MNIST, and its small twin on digits."""

from __future__ import annotations

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from meanfield.checks import whole_number
from simulate.data import Images, load_images
from simulate.setup import flag

from ..data import check, digest
from .copy_task import seed_numbers

TASK_SEED = 0  # of the permutation and of the split: they belong to the task, not to a run
VALIDATION = 3000  # of MNIST's 60,000 training images
DIGITS_VALIDATION, DIGITS_TEST = 200, 300  # of the 1,797


@dataclass(frozen=True, repr=False)
class ImageSet:
    """Some of the images.

    Attributes
    ----------
    pixels : uint8 (images, steps), in the task's order
    labels : int64 (images,)
    white : the largest value a pixel can have
    """

    pixels: torch.Tensor
    labels: torch.Tensor
    white: int

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"ImageSet({len(self)} images of {self.pixels.shape[1]} pixels)"

    def __getitem__(self, which) -> tuple[torch.Tensor, torch.Tensor]:
        """x, float32 (..., steps, 1) in [0, 1], and labels (...)."""
        return self.pixels[which].unsqueeze(-1) / self.white, self.labels[which]

    def to(self, device: torch.device | str) -> ImageSet:
        """The same on another device."""
        return ImageSet(self.pixels.to(device), self.labels.to(device), self.white)


class ImageTask:
    """Classify an image after its last pixel.

    Parameters
    ----------
    data_dir : path, optional
        A folder with MNIST's IDX files, as for :func:`simulate.load_images`; scikit-learn's digits (64 steps) without.
    permuted : bool
        Whether pixels come in the task's random order, or row by row.

    Attributes
    ----------
    order : int64 (steps,)
        Pixel read at each step; the same for all images, models and runs.
    train, validation, test : ImageSet
        MNIST: 57,000, 3,000 (a fixed random choice from the training images) and 10,000. Digits: 1,297, 200 and 300, a
        fixed random split. Training images beyond 3,000 are split as MNIST's.
    digest : sha256 of all of these, as they are read

    Raises
    ------
    FileNotFoundError, ValueError
        As :func:`simulate.load_images` and :func:`training.data.check`; ValueError when there are no more images than
        are to be held out.
    """

    _kept: tuple[tuple, torch.Tensor] | None = None  # the last orders

    def __init__(self, data_dir: str | Path | None = None, *, permuted: bool = True) -> None:
        images, self.permuted = load_images(data_dir), flag("permuted", permuted)
        pixels = images.pixels[0].size
        rng = np.random.default_rng(TASK_SEED)
        self.order = rng.permutation(pixels) if permuted else np.arange(pixels)
        # a stream of its own: the split is the same with and without the permutation
        shuffled = np.random.default_rng([TASK_SEED, 1]).permutation(len(images.labels))
        held_out = (DIGITS_VALIDATION, DIGITS_TEST) if data_dir is None else (VALIDATION, 0)
        if len(shuffled) <= sum(held_out):
            raise ValueError(f"data_dir must hold more than {sum(held_out)} training images, got {len(shuffled)}")
        cut, end = held_out[0], sum(held_out)
        self.validation, self.train = (self._set(images, which) for which in (shuffled[:cut], shuffled[end:]))
        if data_dir is None:
            self.test = self._set(images, shuffled[cut:end])
        else:
            test = load_images(data_dir, "test")
            check(images, test)
            self.test = self._set(test, np.arange(len(test.labels)))
        parts = (self.train, self.validation, self.test)
        self.digest = digest(*(each.numpy() for part in parts for each in (part.pixels, part.labels)))

    def __repr__(self) -> str:
        sizes = f"{len(self.train)} to train, {len(self.validation)} to validate, {len(self.test)} to test"
        return f"ImageTask({self.steps} pixels, {'permuted' if self.permuted else 'in order'}: {sizes})"

    @property
    def steps(self) -> int:
        """Length of a sequence: pixels of an image."""
        return len(self.order)

    def to(self, device: torch.device | str) -> ImageTask:
        """The same on another device."""
        moved = copy(self)
        for name in ("train", "validation", "test"):
            setattr(moved, name, getattr(self, name).to(device))
        return moved

    def batch(self, step: int, size: int, seeds: Sequence[int]) -> tuple[torch.Tensor, torch.Tensor]:
        """Training images for every model: each epoch in an order drawn from the model's seed and the epoch.

        The last, smaller batch of an epoch counts as a step.

        Returns
        -------
        x : float32 (models, size, steps, 1)
        labels : int64 (models, size)
        """
        epoch, number = divmod(whole_number("step", step, 0), self.batches(size))
        orders = self._orders(seed_numbers(seeds), epoch)
        return self.train[orders[:, number * size : (number + 1) * size]]

    def _orders(self, seeds: tuple[int, ...], epoch: int) -> torch.Tensor:
        """An epoch's images for every model, moved to the device once for all its steps."""
        wanted, kept = (seeds, epoch, self.train.labels.device), self._kept
        if kept is None or kept[0] != wanted:
            orders = [np.random.default_rng([seed, epoch]).permutation(len(self.train)) for seed in seeds]
            self._kept = kept = wanted, torch.from_numpy(np.stack(orders)).to(wanted[2])
        return kept[1]

    def batches(self, size: int) -> int:
        """Steps in an epoch.

        Raises
        ------
        ValueError
            When size is no integer >= 1.
        """
        return -(-len(self.train) // whole_number("size", size, 1))

    def _set(self, images: Images, which: np.ndarray) -> ImageSet:
        rows = images.pixels[which].reshape(len(which), -1)[:, self.order]
        return ImageSet(torch.from_numpy(rows.astype(np.uint8)), torch.from_numpy(images.labels[which]), images.white)
