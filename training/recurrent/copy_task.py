"""The copy task, Appendix D.2.4: remember ten symbols over a delay of unknown length.

step      0 ... 9    10 ... 9+T   10+T    11+T ... 20+T   ...
input     symbols    blank        go      blank           blank up to the length of the longest delay
target    blank      blank        blank   the symbols     blank
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from meanfield.checks import whole_number
from simulate.blocks import generator

BLANK, GO, TOKENS = 0, 9, 10
FIRST_SYMBOL, SYMBOLS = 1, 8  # symbols are 1 to 8
MEMORY = 10  # symbols to remember
SPLITS = ("train", "validation", "test")


@dataclass(frozen=True)
class CopyTask:
    """Batches of the copy task.

    Attributes
    ----------
    max_delay : T_max
    fixed : whether every delay is T_max (Appendix D.3), or each example has its own T ~ U{0, ..., T_max}

    Raises
    ------
    ValueError
        When max_delay is no integer >= 0.
    """

    max_delay: int
    fixed: bool = False

    def __post_init__(self) -> None:
        whole_number("max_delay", self.max_delay, 0)

    @property
    def steps(self) -> int:
        """Length of a sequence: T_max + 21."""
        return self.max_delay + 2 * MEMORY + 1

    @property
    def loss_without_memory(self) -> float:
        """Cross-entropy per step, 10 log 8 / (T_max + 21), of a model that knows all but the symbols."""
        return MEMORY * math.log(SYMBOLS) / self.steps

    def tokens(
        self, batch: int, source: torch.Generator, device: torch.device | str = "cpu"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Input and target tokens, int64 (batch, steps) each, made on the device of `source`.

        Raises
        ------
        ValueError
            When batch is no integer >= 1.
        """
        shape = whole_number("batch", batch, 1), MEMORY
        symbols = torch.randint(FIRST_SYMBOL, FIRST_SYMBOL + SYMBOLS, shape, generator=source, device=device)
        if self.fixed:
            delay = torch.full((batch, 1), self.max_delay, device=device)
        else:
            delay = torch.randint(self.max_delay + 1, (batch, 1), generator=source, device=device)
        inputs = torch.full((batch, self.steps), BLANK, device=device)
        targets = torch.full_like(inputs, BLANK)
        inputs[:, :MEMORY] = symbols
        inputs.scatter_(1, MEMORY + delay, GO)
        targets.scatter_(1, MEMORY + delay + 1 + torch.arange(MEMORY, device=device), symbols)
        return inputs, targets

    def batch(
        self, step: int, size: int, seeds: Sequence[int], device: torch.device | str = "cpu", split: str = "train"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Fresh examples for every model: a function of split, seed and step alone, so that there is nothing to save.

        Parameters
        ----------
        split : ``"train"``, ``"validation"`` or ``"test"``
            Streams of their own; there are no fixed sets.

        Returns
        -------
        x : float32 (models, size, steps, 10), one-hot
        targets : int64 (models, size, steps)
        """
        place, block = torch.device(device), len(SPLITS) * step + SPLITS.index(split)
        each = [self.tokens(size, generator(seed, block, place), place) for seed in seeds]
        inputs, targets = (torch.stack(parts) for parts in zip(*each, strict=True))
        return torch.nn.functional.one_hot(inputs, TOKENS).float(), targets
