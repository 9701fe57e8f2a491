"""The copy task, Appendix D.2.4: remember ten symbols over a delay of unknown length.

step      0 ... 9    10 ... 9+T   10+T    11+T ... 20+T   ...
input     symbols    blank        go      blank           blank up to the length of the longest delay
target    blank      blank        blank   the symbols     blank
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cache

import torch

from meanfield.checks import whole_number
from simulate.blocks import torch_seed
from simulate.setup import flag

from . import fused
from .hashing import GAMMA, jump, mix

BLANK, GO, TOKENS = 0, 9, 10
FIRST_SYMBOL, SYMBOLS = 1, 8  # symbols are 1 to 8
LONGEST, LARGEST = 4096, 65_535  # of the steps of a sequence and the examples of a batch that one kernel makes
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
        flag("fixed", self.fixed)

    @property
    def steps(self) -> int:
        """Length of a sequence: T_max + 21."""
        return self.max_delay + 2 * MEMORY + 1

    @property
    def loss_without_memory(self) -> float:
        """Cross-entropy per step, 10 log 8 / (T_max + 21), of a model that knows all but the symbols."""
        return MEMORY * math.log(SYMBOLS) / self.steps

    def tokens(
        self, step: int, size: int, seeds: Sequence[int], device: torch.device | str = "cpu", split: str = "train"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Input and target tokens, int64 (models, size, steps) each. As :meth:`batch`, before the one-hot encoding.

        Raises
        ------
        ValueError
            When size is no integer >= 1, step or a seed none >= 0; for an unknown split.
        """
        if split not in SPLITS:
            raise ValueError(f"split must be one of {', '.join(map(repr, SPLITS))}, got {split!r}")
        step, size = whole_number("step", step, 0), whole_number("size", size, 1)
        return self._tokens(step, size, seed_keys(seeds, device), split)

    def _tokens(
        self, step: int | torch.Tensor, size: int, keys: torch.Tensor, split: str
    ) -> tuple[torch.Tensor, torch.Tensor]:
        device, stream = keys.device, len(SPLITS) * step + SPLITS.index(split)
        examples = torch.arange(1, size + 1, device=device)
        starts = mix(jump(keys, stream + 1))
        words = mix(jump(starts.unsqueeze(-1), examples)).unsqueeze(-1)  # 64 random bits for each example
        symbols = FIRST_SYMBOL + ((words >> 3 * torch.arange(MEMORY, device=device)) & (SYMBOLS - 1))
        # the upper 32 bits are a fraction of 2^32, and no symbol has them: the bias is below (T_max + 1)/2^32
        delay = (((words >> 32) & (2**32 - 1)) * (self.max_delay + 1)) >> 32
        if self.fixed:
            delay = torch.full_like(delay, self.max_delay)
        inputs = words.new_full((*words.shape[:-1], self.steps), BLANK)
        targets = torch.full_like(inputs, BLANK)
        inputs[..., :MEMORY] = symbols
        inputs.scatter_(-1, MEMORY + delay, GO)
        targets.scatter_(-1, MEMORY + delay + 1 + torch.arange(MEMORY, device=device), symbols)
        return inputs, targets

    def batch(
        self, step: int, size: int, seeds: Sequence[int], device: torch.device | str = "cpu", split: str = "train"
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Fresh examples for every model: a function of split, seed and step alone, so that there is nothing to save.

        Every device makes the same ones, for all models at once and without waiting for the host.

        Parameters
        ----------
        split : ``"train"``, ``"validation"`` or ``"test"``
            Streams of their own; there are no fixed sets.

        Returns
        -------
        x : float32 (models, size, steps, 10), one-hot
        targets : int64 (models, size, steps)
        """
        return _encoded(*self.tokens(step, size, seeds, device, split))

    def training_batch(self, step: torch.Tensor, size: int, keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """The same of ``"train"``, for a CUDA graph to replay: of a step that a tensor holds, and :func:`seed_keys`."""
        if not fused.have_kernels(keys.device) or self.steps > LONGEST or size > LARGEST:
            return _encoded(*self._tokens(step, size, keys, "train"))
        return self.in_one_kernel(step, size, keys)

    def in_one_kernel(self, step: torch.Tensor, size: int, keys: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """:meth:`training_batch` of a GPU, where launches are what takes time."""
        x = torch.empty(len(keys), size, self.steps, TOKENS, device=keys.device)
        targets = torch.empty(len(keys), size, self.steps, dtype=torch.int64, device=keys.device)
        tensors = step, keys, x, targets
        with torch.cuda.device_of(keys):
            fused.kernels().copy_examples[len(keys), size](
                *tensors, size, self.steps, self.max_delay, FIXED=self.fixed, LENGTH=_power_of_two(self.steps),
                MEMORY=MEMORY, GO=GO, TOKENS=TOKENS, STREAMS=len(SPLITS), GAMMA=GAMMA,
            )  # fmt: skip
        return x, targets


def _power_of_two(number: int) -> int:
    """The least that is not below a number."""
    return 1 << (number - 1).bit_length()


def _encoded(inputs: torch.Tensor, targets: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Inputs as one-hot vectors."""
    one_hot = inputs.unsqueeze(-1) == torch.arange(TOKENS, device=inputs.device)
    return one_hot.float(), targets


def seed_numbers(seeds: Sequence[int]) -> tuple[int, ...]:
    """The models' seeds.

    Raises
    ------
    ValueError
        Unless it is a sequence of seeds that a :class:`Setting <training.recurrent.Setting>` may have, one at least.
    """
    if not isinstance(seeds, Iterable) or not (numbers := tuple(torch_seed("seeds", each) for each in seeds)):
        raise ValueError(f"seeds must be a sequence of integers, one for each model, got {seeds!r}")
    return numbers


def seed_keys(seeds: Sequence[int], device: torch.device | str) -> torch.Tensor:
    """A hash of every seed, int64 (models,), from which a model's examples are drawn.

    Raises
    ------
    ValueError
        As :func:`seed_numbers`.
    """
    return _keys(seed_numbers(seeds), torch.device(device))  # checked before the cache, to which 9.0 is 9


@cache
def _keys(seeds: tuple[int, ...], device: torch.device) -> torch.Tensor:
    """Kept, for ever: moving seeds to a GPU at every step would make the host wait. Here it does, for all streams."""
    return mix(jump(torch.tensor(seeds, dtype=torch.int64), 1)).to(device)
