"""One model and how it is trained, in plain values."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from threading import Lock

import torch

from meanfield.checks import real_number, whole_number
from meanfield.symmetry import as_symmetry
from simulate.blocks import torch_seed
from simulate.setup import flag

from ..data import CLASSES
from .baselines import GRU, ElmanRNN
from .capsule_layers import CapsuleGRU, CapsuleRNN
from .convolutional import ConvolutionalRNN
from .copy_task import BLANK
from .initial import check_schemes
from .layer import Recurrent
from .sequence import SequenceModel

GRID = "grid RNN"
_DRAWING = Lock()  # torch's default type is that of all threads


def symmetry_and_cell(kind: str) -> tuple[str, str]:
    """The parts of a model's kind: ("U(1)", "RNN") of "U(1) RNN", and ("", "GRU") of "GRU". A grid is of U(1)."""
    symmetry, _, cell = kind.rpartition(" ")
    return ("U(1)" if kind == GRID else symmetry), cell


@dataclass(frozen=True)
class Setting:
    """One model and how it is trained; models of one `kind`, `hidden_size` and `activation` can share a stack.

    Attributes
    ----------
    kind : ``"RNN"``, ``"GRU"``, or a symmetry and one of these, as in ``"U(1) RNN"``, ``"generic(2) GRU"``
        ``"grid RNN"`` is the convolutional U(1) RNN on a periodic grid.
    hidden_size : N; the number of sites of a grid, a square
    seed : of the initial weights and of the batches
    learning_rate : Adam's
    recurrent, encoder : schemes of `initial`
    activation : ``"tanh"`` or ``"relu"``, of ordinary models; capsules have the radial tanh
        That of the paper's equations by default: a GRU's candidate has a ReLU, Eq. (57), all others tanh.
    update_bias : b_z at the start; None is the model's own, uniform for ``"GRU"`` and 2 for equivariant ones
    frozen_blank : whether the encoder's column of the blank token is held at zero
        None: it is not. False: the same, but the model's name ends in ", blank trained", which tells a control from
        the models that keep the paper's rule, True.
    biases : ``"equations"``, as the paper's equations have them, or ``"tables"``
        What its parameter counts need: two vectors for ordinary models, one on the encoder of O(k). See `tables`.
    channels : of a grid
    """

    kind: str
    hidden_size: int
    seed: int = 0
    learning_rate: float = 1e-3
    recurrent: str = "identity"
    encoder: str = "standard"
    activation: str = ""
    update_bias: float | None = None
    frozen_blank: bool | None = None
    biases: str = "equations"
    channels: int = 16

    def __post_init__(self) -> None:
        if not isinstance(self.kind, str):
            raise ValueError(f"kind must be a string such as 'U(1) RNN', got {self.kind!r}")
        torch_seed("seed", self.seed)
        for name in ("hidden_size", "channels"):
            whole_number(name, getattr(self, name), 1)
        if self.frozen_blank is not None:
            flag("frozen_blank", self.frozen_blank)
        real_number("learning_rate", self.learning_rate, minimum=0.0)
        if self.is_grid and math.isqrt(self.hidden_size) ** 2 != self.hidden_size:
            raise ValueError(f"hidden_size must be a square for a grid, got {self.hidden_size}")
        if self.biases not in ("equations", "tables"):
            raise ValueError(f"biases must be 'equations' or 'tables', got {self.biases!r}")
        check_schemes(self.recurrent, self.encoder)
        if not self.activation:
            object.__setattr__(self, "activation", "relu" if self.kind == "GRU" else "tanh")
        self._check_kind()

    def _check_kind(self) -> None:
        symmetry, cell = self.symmetry, self.cell
        if cell not in ("RNN", "GRU") or symmetry != symmetry.strip() or (self.kind != cell and not symmetry):
            raise ValueError(f"kind must be 'RNN', 'GRU' or a symmetry and one of these, got {self.kind!r}")
        if symmetry:
            as_symmetry(symmetry)
        if self.activation not in (("tanh",) if symmetry else ("tanh", "relu")):
            raise ValueError(f"activation must be 'tanh', or 'relu' for ordinary models, got {self.activation!r}")
        if self.update_bias is not None:
            real_number("update_bias", self.update_bias)
            if cell != "GRU":
                raise ValueError(
                    f"update_bias must be None for {self.kind}, which has no gates, got {self.update_bias}"
                )

    @property
    def symmetry(self) -> str:
        """As in ``"U(1)"``; empty for ordinary models."""
        return symmetry_and_cell(self.kind)[0]

    @property
    def cell(self) -> str:
        """``"RNN"`` or ``"GRU"``."""
        return symmetry_and_cell(self.kind)[1]

    @property
    def is_grid(self) -> bool:
        return self.kind == GRID

    @property
    def name(self) -> str:
        """The model as tables and legends have it; initialisations, learning rates and seeds do not count."""
        size = f"{self.channels} x {self.hidden_size}" if self.is_grid else f"{self.hidden_size}"
        bias = "" if self.update_bias is None else f", b_z = {self.update_bias:g}"
        blank = ", blank trained" if self.frozen_blank is False else ""
        return f"{self.kind} {size}{bias}{blank}"

    def build(self, inputs: int, *, every_step: bool) -> SequenceModel:
        """The model with initial weights drawn from its seed alone, whatever else draws meanwhile."""
        generator = torch.Generator().manual_seed(self.seed)
        with _in_float32():
            return SequenceModel(self._layer(inputs, generator), CLASSES, every_step=every_step, generator=generator)

    def _layer(self, inputs: int, generator: torch.Generator) -> Recurrent:
        options: dict = {
            "generator": generator,
            "recurrent": self.recurrent,
            "encoder": self.encoder,
            "frozen_token": BLANK if self.frozen_blank else None,
        }
        if self.is_grid:
            return ConvolutionalRNN(inputs, math.isqrt(self.hidden_size), self.channels, **options)
        if self.update_bias is not None:
            options["update_bias"] = self.update_bias
        if not self.symmetry:
            options["biases"] = 2 if self.biases == "tables" else 1
            return (GRU if self.cell == "GRU" else ElmanRNN)(inputs, self.hidden_size, self.activation, **options)
        options["bias"] = self.biases == "tables" and as_symmetry(self.symmetry).family == "O"
        return (CapsuleGRU if self.cell == "GRU" else CapsuleRNN)(inputs, self.hidden_size, self.symmetry, **options)


@contextmanager
def _in_float32() -> Iterator[None]:
    """Whatever torch's default is: in another type other numbers would be drawn. One thread at a time."""
    with _DRAWING:
        default = torch.get_default_dtype()
        torch.set_default_dtype(torch.float32)
        try:
            yield
        finally:
            torch.set_default_dtype(default)
