"""Networks of one shape that differ in sigma_w, seed and their optimiser, trained as one program.

Everything has a leading axis of models. Each model's numbers are what they would be if it were alone: on a CPU to the
last bit, as every product and every sum is of one model, in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import torch

from meanfield.activations import as_activation
from meanfield.checks import sigma_w_array
from simulate.devices import as_device, as_dtype

from .captured import Captured
from .initial import initial, symmetric_start
from .passes import Memory, Pass
from .shape import Model, Shape

CACHE = 2**18  # bytes of one layer's state that a CPU works on at a time


class Stack:
    """The parameters of some models, their outputs and their gradients.

    Parameters
    ----------
    shape : what the models share
    models : one or more
    dtype : ``"float32"`` or ``"float64"``; weights are drawn in float32
    device : ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:i"``; weights are drawn on the CPU, the same for each

    Attributes
    ----------
    parameters, gradients : tensors (models, parameters); one model's V, W, R and b follow each other (`views`). They
        are changed in place, never replaced.

    Raises
    ------
    ValueError
        Without models; for a device or dtype that there is not; in methods, for images or labels of another shape or
        type.
    """

    def __init__(self, shape: Shape, models: Sequence[Model], dtype: str = "float32", device: str = "cpu") -> None:
        if not isinstance(shape, Shape):
            raise ValueError(f"shape must be a Shape, got {shape!r}")
        if not models or not all(isinstance(model, Model) for model in models):
            raise ValueError(f"models must name at least one Model and nothing else, got {models!r}")
        self.shape, self.models = shape, tuple(models)
        sigma_w_array([model.sigma_w for model in models], as_activation(shape.activation))
        if any(model.symmetric for model in models) and symmetric_start(shape) is None:
            raise ValueError(f"symmetric must be 0 but for generic(k) with k >= 2, got another with {shape.symmetry}")
        place = as_device(device)
        drawn = torch.stack([initial(shape, model) for model in models])
        self.parameters = drawn.to(as_dtype(dtype)).to(place)
        self.gradients = torch.zeros_like(self.parameters)
        self._memory: dict[tuple[int, int], Memory] = {}
        self._passes: dict[tuple[int, int], Pass] = {}
        self._captured = Captured(place)

    def __repr__(self) -> str:
        return f"Stack({len(self.models)} of {self.shape}, {self.parameters.dtype}, {self.parameters.device})"

    def views(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """V, W, R and b in a tensor like `parameters`, each with its leading axis of models.

        Rows of V and columns of R count through the capsules, and in each through its components; for U(1) as weights
        do, through all real parts and then through all imaginary parts.
        """
        sizes = [math.prod(part) for part in self.shape.parts]
        parts = zip(flat.split(sizes, dim=-1), self.shape.parts, strict=True)
        return [piece.view(*flat.shape[:-1], *part) for piece, part in parts]

    def logits(self, images: torch.Tensor) -> torch.Tensor:
        """Outputs (models, classes, images) for images (models, features, images)."""
        self._check(images)
        out = images.new_empty(len(self.models), self.shape.classes, images.shape[-1])
        for some, one in self._shares(images.shape[-1]):
            out[some] = one.forward(images[some])
        return out

    def states(self, images: torch.Tensor) -> Iterator[torch.Tensor]:
        """phi(z^l) for l = 0..L, each (models, N, D, images), for images as in :meth:`logits`."""
        self._check(images)
        shares = list(self._shares(images.shape[-1]))
        if len(shares) == 1:
            shares[0][1].forward(images)
            yield from (state.clone() for state in shares[0][1].memory.states)
            return
        # models that are worked on one after the other use the same memory
        found = []
        for some, one in shares:
            one.forward(images[some])
            found.append([state.clone() for state in one.memory.states])
        yield from (torch.cat(layer) for layer in zip(*found, strict=True))

    def loss(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        """Mean cross-entropy of each model, (models,), leaving its gradient in `gradients`.

        On a CUDA device both passes are one graph that is replayed, see `captured`: kernel by kernel, Python would take
        longer to start them than a few models take to run.

        Parameters
        ----------
        images : (models, features, images)
        labels : int64 (models, images)
        """
        self._check(images)
        check_labels(labels, (len(self.models), images.shape[-1]))
        # the next replay overwrites what a graph returns
        return self._captured(self._both_passes, images, labels).clone()

    def _check(self, images: torch.Tensor) -> None:
        check_images(images, (len(self.models), self.shape.features, "images"), self.parameters)

    def _both_passes(self, images: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        losses = images.new_empty(len(self.models))
        for some, one in self._shares(images.shape[-1]):
            losses[some], change = cross_entropy(one.forward(images[some]), labels[some])
            one.backward(images[some], change)
        return losses

    def _shares(self, columns: int) -> Iterator[tuple[slice, Pass]]:
        """Models that are worked on at a time: all on a GPU, as many as its cache likes on a CPU."""
        count = len(self.models)
        if self.parameters.device.type == "cpu":
            state = self.shape.components * columns * self.parameters.element_size()
            count = max(1, CACHE // state)
        for first in range(0, len(self.models), count):
            some = slice(first, min(first + count, len(self.models)))
            yield some, self._pass(some, columns)

    def _pass(self, some: slice, columns: int) -> Pass:
        if (some.start, columns) not in self._passes:
            key = some.stop - some.start, columns
            if key not in self._memory:
                self._memory[key] = Memory(self.shape, *key, like=self.parameters)
            weights, gradients = self.views(self.parameters[some]), self.views(self.gradients[some])
            self._passes[some.start, columns] = Pass(self.shape, weights, gradients, self._memory[key])
        return self._passes[some.start, columns]


def check_images(images: torch.Tensor, shape: tuple[int | str, ...], like: torch.Tensor) -> None:
    """A ValueError unless images have this shape, where a string names a length of at least 1, and a stack's type."""
    if not isinstance(images, torch.Tensor) or images.dtype != like.dtype:
        got = images.dtype if isinstance(images, torch.Tensor) else type(images).__name__
        raise ValueError(f"images must be a tensor of the parameters' type {like.dtype}, got {got}")
    fits = images.ndim == len(shape) and all(
        n > 0 if isinstance(wanted, str) else n == wanted for n, wanted in zip(images.shape, shape, strict=True)
    )
    if not fits:
        raise ValueError(f"images must have the shape ({', '.join(map(str, shape))}), got {tuple(images.shape)}")


def check_labels(labels: torch.Tensor, shape: tuple[int, ...], classes: int | None = None) -> None:
    """A ValueError unless labels are int64, of this shape, and, where `classes` are given, below them.

    Without: a GPU would have to wait for them.
    """
    if not isinstance(labels, torch.Tensor) or labels.dtype != torch.int64:
        got = labels.dtype if isinstance(labels, torch.Tensor) else type(labels).__name__
        raise ValueError(f"labels must be an int64 tensor, got {got}")
    if labels.shape != shape:
        raise ValueError(f"labels must have the shape {shape}, got {tuple(labels.shape)}")
    if classes is not None and ((labels < 0) | (labels >= classes)).any():
        raise ValueError(f"labels must be from 0 to {classes - 1}, got {labels.min()} to {labels.max()}")


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy (models,) over images, and its gradient, for logits (models, classes, images)."""
    shifted = logits - logits.amax(1, keepdim=True)
    weights = shifted.exp()
    total = weights.sum(1)
    picked = shifted.gather(1, labels[:, None])[:, 0]
    change = weights / total[:, None]
    change.scatter_add_(1, labels[:, None], -torch.ones_like(labels, dtype=change.dtype)[:, None])
    return (total.log() - picked).mean(-1), change / labels.shape[-1]
