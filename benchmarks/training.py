"""One training step of deep networks: the stack of `training` against plain modules, and stacks against single models.

Every way does the same: loss, gradient and Adam for U(1) networks. The plain modules, under automatic differentiation,
differ in how they take the radius of a capsule, and in where a state has the components of a capsule.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

import torch
from torch import nn

from simulate.devices import as_device, one_thread
from training.adam import Adam
from training.conventions import LEARNING_RATE
from training.shape import Model, Shape
from training.stack import Stack

from .record import Entry, Job, Scale, Target
from .timing import measure

IMAGES = 256
FULL = Shape("U(1)", 64, 100, 784)
QUICK = Shape("U(1)", 8, 4, 16)
STACKED = {"cpu": (1, 2, 4, 8), "cuda": (1, 4, 16, 64, 256)}  # models
Radius = Callable[[torch.Tensor, int], torch.Tensor]
Step = Callable[[], float]


class Plain(nn.Module):
    """The same network as a module, complex numbers as real and imaginary parts.

    `middle`: a state is (capsules, 2, images), as `simulate` has it, or else (images, capsules, 2).
    """

    def __init__(self, stack: Stack, radius: Radius, middle: bool) -> None:
        super().__init__()
        self.width, self.radius, self.axis = stack.shape.width, radius, 1 if middle else 2
        first, hidden, last, _ = (part[0].clone() for part in stack.views(stack.parameters))
        real, imaginary = hidden.split(self.width, dim=1)
        self.first, self.last = nn.Parameter(first), nn.Linear(2 * self.width, stack.shape.classes)
        self.real, self.imaginary = (nn.ParameterList([w.clone() for w in part]) for part in (real, imaginary))
        with torch.no_grad():
            self.last.weight.copy_(last)
            self.last.bias.zero_()

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        start = self.first @ images.T if self.axis == 1 else images @ self.first.T
        z = torch.stack(start.chunk(2, dim=self.axis - 1), dim=self.axis)
        for a, b in zip(self.real, self.imaginary, strict=True):
            x, y = self._phi(z).unbind(self.axis)
            z = torch.stack([self._act(a, x) - self._act(b, y), self._act(b, x) + self._act(a, y)], dim=self.axis)
        x, y = self._phi(z).unbind(self.axis)
        state = torch.cat([x, y], dim=self.axis - 1)
        return self.last(state.T if self.axis == 1 else state)

    def _act(self, weights: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
        return weights @ state if self.axis == 1 else state @ weights.T

    def _phi(self, z: torch.Tensor) -> torch.Tensor:
        r = self.radius(z, self.axis)
        return z * (torch.tanh(r) / r)


def vector_norm(z: torch.Tensor, axis: int) -> torch.Tensor:
    return torch.linalg.vector_norm(z, dim=axis, keepdim=True)


def root_of_squares(z: torch.Tensor, axis: int) -> torch.Tensor:
    return z.square().sum(axis, keepdim=True).sqrt()


def jobs(scale: Scale) -> Iterator[Job]:
    """One model each way on one thread of the CPU; then stacks of models, on a GPU where there is one.

    Errors are those of the (first) model's loss after a first step, relative to the stack's in float64.
    """
    shape = FULL if scale.full else QUICK
    with one_thread():
        right = _second_loss(_stack_step(shape, "float64"))
        yield _one_model(shape, right, scale)
        yield from _stacks(shape, right, scale)


def _one_model(shape: Shape, right: float, scale: Scale) -> Job:
    """A stack of one against plain modules and against matrix products alone.

    These are those of the equivariant layers in one step, forwards and backwards, four real ones for a complex one: the
    ratio is the share of the machine's speed at them that the whole step reaches.
    """
    peers = [
        _entry(
            f"plain module, {name}, components {where}",
            _plain_step(shape, radius, where == "in the middle"),
            right,
            scale,
        )
        for name, radius in (("vector_norm", vector_norm), ("sqrt of the sum of squares", root_of_squares))
        for where in ("in the middle", "last")
    ]
    products = Entry("its matrix products alone", measure(_products(shape), scale.budget)[1], 0.0)
    return Job(
        f"training step, U(1), N = {shape.width}, L = {shape.depth}, {IMAGES} images",
        "step",
        _entry("stack", _stack_step(shape), right, scale),
        (*peers, products),
        Target(ratio=5.0, than="plain module, vector_norm") if scale.full else None,
    )


def _stacks(shape: Shape, right: float, scale: Scale) -> Iterator[Job]:
    """Time per model and step, against a stack of one on the same device.

    On a GPU the process is at work while it waits, so that its CPU time is that of the GPU.
    """
    device = as_device("auto").type
    alone: Entry | None = None
    for models in STACKED[device] if scale.full else STACKED[device][:2]:
        entry = _entry("stack", _stack_step(shape, "float32", models, device), right, scale, models)
        alone = alone or replace(entry, who="one model alone")
        name = f"training step, {models} stacked U(1), N = {shape.width}, L = {shape.depth}, on the {device}"
        yield Job(name, "model and step", entry, (alone,))


def _entry(who: str, step: Step, right: float, scale: Scale, models: int = 1) -> Entry:
    error = abs(_second_loss(step) / right - 1.0)
    return Entry(who, measure(step, scale.budget)[1], error, units=models)


def _second_loss(step: Step) -> float:
    """The loss that the first step led to: forward pass, gradient and optimiser all count."""
    step()
    return step()


def _batch(shape: Shape) -> tuple[torch.Tensor, torch.Tensor]:
    source = torch.Generator().manual_seed(0)
    images = torch.randn((IMAGES, shape.features), generator=source)
    return images, torch.randint(0, shape.classes, (IMAGES,), generator=source)


def _stack_step(shape: Shape, dtype: str = "float32", models: int = 1, device: str = "cpu") -> Step:
    stack = Stack(shape, [Model(1.5, seed) for seed in range(models)], dtype, device)
    adam, (images, labels) = Adam(stack), _batch(shape)
    # each model has its own images, as in `training.job`
    columns, truth = images.to(stack.parameters).repeat(models, 1, 1).mT, labels.to(device).repeat(models, 1)

    def step() -> float:
        loss = stack.loss(columns, truth)
        adam.step()
        return loss[0].item()  # waits for a GPU

    return step


def _plain_step(shape: Shape, radius: Radius, middle: bool) -> Step:
    module, (images, labels) = Plain(Stack(shape, [Model(1.5)]), radius, middle), _batch(shape)
    optimiser = torch.optim.Adam(module.parameters(), lr=LEARNING_RATE, fused=True)  # the same as the stack's

    def step() -> float:
        optimiser.zero_grad()
        loss = nn.functional.cross_entropy(module(images), labels)
        loss.backward()
        optimiser.step()
        return loss.item()

    return step


def _products(shape: Shape) -> Callable[[], None]:
    n = shape.components
    weights, state, change = torch.randn(n, n), torch.randn(n, IMAGES), torch.randn(n, IMAGES)
    product, gradient = torch.empty(n, IMAGES), torch.empty(n, n)

    def step() -> None:
        for _ in range(shape.depth):
            torch.mm(weights, state, out=product)
            torch.mm(weights.T, change, out=product)
            torch.mm(change, state.T, out=gradient)

    return step
