"""Networks of one shape that differ in sigma_w, seed and their optimiser, trained as one program.

Everything has a leading axis of models. Each model's numbers are what they would be if it were alone: on a CPU to the
last bit, as every product and every sum is of one model, in the same order.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import NamedTuple

import torch

from meanfield.activations import as_activation
from meanfield.checks import real_number, sigma_w_array, whole_number
from meanfield.symmetry import Symmetry, as_symmetry
from simulate.blocks import generator, torch_seed
from simulate.devices import as_device, as_dtype
from simulate.layers import as_generic, weight_shape, weight_std

from .captured import Captured
from .conventions import ADAM_EPS, D0, LEARNING_RATE
from .radial import Radial, factors

CACHE = 2**18  # bytes of one layer's state that a CPU works on at a time
INPUT, HIDDEN, READOUT, BIAS = range(4)


@dataclass(frozen=True)
class Shape:
    """What the models of a stack share: the layers of Eq. (4), (19), (21) between a general first and last one.

    Attributes
    ----------
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    width : N, capsules in a layer
    depth : L, layers between the first and the last one
    features : length of an input
    classes : length of an output
    activation : f, of a capsule's radius
    """

    symmetry: str
    width: int
    depth: int
    features: int
    classes: int = 10
    activation: str = "tanh"

    def __post_init__(self) -> None:
        object.__setattr__(self, "symmetry", str(as_symmetry(self.symmetry)))
        as_activation(self.activation)
        for name, least in (("width", 1), ("depth", 0), ("features", 1), ("classes", 2)):
            whole_number(name, getattr(self, name), least)

    @property
    def group(self) -> Symmetry:
        return as_symmetry(self.symmetry)

    @property
    def components(self) -> int:
        """N D, the real numbers of one state."""
        return self.width * self.group.capsule_dimension

    @property
    def parts(self) -> tuple[tuple[int, ...], ...]:
        """Shapes of one model's V, W^0..W^{L-1}, R and b."""
        hidden = weight_shape(self.group, self.width, self.width)
        outer = ((self.components, self.features), (self.classes, self.components), (self.classes,))
        return outer[0], (self.depth, *hidden), *outer[1:]

    def capsules(self, flat: torch.Tensor) -> torch.Tensor:
        """A state as V makes it, (models, N D, columns), as capsules (models, N, D, columns)."""
        k, columns = self.group.capsule_dimension, flat.shape[-1]
        if self.group.family == "U(1)":
            return flat.view(-1, k, self.width, columns).transpose(1, 2)
        return flat.view(-1, self.width, k, columns)

    @property
    def parameters(self) -> int:
        """Real parameters of one model."""
        return sum(map(math.prod, self.parts))


@dataclass(frozen=True)
class Model:
    """What may differ between the models of a stack.

    Attributes
    ----------
    sigma_w : weight scale at initialisation
    seed : of the initial weights, and of the order of images
    learning_rate : Adam's
    epsilon : Adam's, which is added to the root mean square that a gradient is divided by
        Squares of gradients below about 1e-18 are zero in float32; with an epsilon as small as those, steps are wrong.
    symmetric : in generic(k) layers, k >= 2, the share of the initial weights' variance that has the symmetry which the
        layers lack, U(1) for k = 2 and O(k) beyond: with 1 they begin as an equivariant network, and nothing keeps them
        one (:func:`meanfield.explicit_breaking` calls 1 less this share the asymmetry).
    """

    sigma_w: float
    seed: int = 0
    learning_rate: float = LEARNING_RATE
    epsilon: float = ADAM_EPS
    symmetric: float = 0.0

    def __post_init__(self) -> None:
        torch_seed("seed", self.seed)  # not needed for the weights, but one rule for all that is trained
        for name in ("sigma_w", "learning_rate", "epsilon", "symmetric"):
            real_number(name, getattr(self, name), minimum=0.0, strict=name == "epsilon")
        if self.symmetric > 1.0:
            raise ValueError(f"symmetric must be a share of at most 1, got {self.symmetric:g}")


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
        if any(model.symmetric for model in models) and _start(shape) is None:
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


class Memory:
    """Room for the states of some models, used again for every batch.

    Attributes
    ----------
    states : of each layer, (models, N, D, columns); for U(1) all real parts lie before all imaginary parts
    dx, dy : like one of them
    sums, squares : room for two sums of real and imaginary parts, and for three matrices like the real part of a weight
    """

    def __init__(self, shape: Shape, models: int, columns: int, like: torch.Tensor) -> None:
        k, n, layers = shape.group.capsule_dimension, shape.width, shape.depth + 1
        unitary = shape.group.family == "U(1)"
        order = (models, k, n, columns) if unitary else (models, n, k, columns)
        room = like.new_empty(layers + 2, *order)
        *self.states, self.dx, self.dy = room.transpose(2, 3).unbind() if unitary else room.unbind()
        gains, bends = like.new_empty(2, layers, models, n, columns).unbind()
        self.sums, self.squares = like.new_empty(2, models, n, columns), like.new_empty(3, models, n, n)
        self.radial = [Radial(*one, self.sums[0]) for one in zip(self.states, gains, bends, strict=True)]


class Pass:
    """Some models' way forwards and backwards, through weights, gradients and memory that stay where they are."""

    def __init__(
        self, shape: Shape, weights: list[torch.Tensor], gradients: list[torch.Tensor], memory: Memory
    ) -> None:
        self._weights, self._gradients, self.memory = weights, gradients, memory
        self._factors = factors(shape.activation)
        self._flat = [_flat(shape, state) for state in (memory.states[0], memory.states[-1], memory.dx, memory.dy)]
        self._changes = memory.dy.unbind(2)
        rows = [_rows(shape, state) for state in memory.states]
        dx, dy = _rows(shape, memory.dx), _rows(shape, memory.dy)
        room = (memory.sums, memory.squares) if shape.group.family == "U(1)" else ()
        kind = ComplexLayer if room else RealLayer
        self._layers = [
            kind(Place(weights[HIDDEN][:, i], gradients[HIDDEN][:, i], rows[i], rows[i + 1], dx, dy), *room)
            for i in range(shape.depth)
        ]

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """Logits (models, classes, images), leaving the states in the memory."""
        first, last, _, _ = self._flat
        Product(self._weights[INPUT], images, first)()
        self.memory.radial[0].forward(self._factors)
        for layer, radial in zip(self._layers, self.memory.radial[1:], strict=True):
            layer.forward()
            radial.forward(self._factors)
        logits = self._weights[BIAS][:, :, None].repeat(1, 1, images.shape[-1])
        return logits.add_(Product(self._weights[READOUT], last)())

    def backward(self, images: torch.Tensor, change: torch.Tensor) -> None:
        """Gradients, from `change`, that with respect to the logits of the last :meth:`forward`."""
        _, last, dx, dy = self._flat
        memory = self.memory
        Product(change, last.mT, self._gradients[READOUT])()
        torch.sum(change, -1, out=self._gradients[BIAS])
        Product(self._weights[READOUT].mT, change, dy)()
        for layer, radial in zip(reversed(self._layers), reversed(memory.radial[1:]), strict=True):
            radial.backward(memory.dy, self._changes, memory.dx)
            layer.backward()
        memory.radial[0].backward(memory.dy, self._changes, memory.dx)
        Product(dx, images.mT, self._gradients[INPUT])()


class Place(NamedTuple):
    """What one layer reads and writes: its weights and their gradients, states as rows, and changes of them."""

    weights: torch.Tensor
    gradients: torch.Tensor
    y: torch.Tensor
    x: torch.Tensor
    dx: torch.Tensor
    dy: torch.Tensor


class RealLayer:
    """x = w y of one layer, and back from dx to the gradient and to dy."""

    def __init__(self, at: Place) -> None:
        self._onwards = Product(at.weights, at.y, at.x)
        self._gradient = Product(at.dx, at.y.mT, at.gradients)
        self._back = Product(at.weights.mT, at.dx, at.dy)

    def forward(self) -> None:
        self._onwards()

    def backward(self) -> None:
        self._gradient()
        self._back()


class ComplexLayer:
    """x = (a + ib) y of one layer, and back, each by three real products in place of four (Gauss's).

    With y = r + is the parts of x are a(r + s) - (a + b)s and a(r + s) + (b - a)r. The sums take less time than a
    fourth product. What comes back goes through the adjoint weights, a^T - ib^T, in the same way.
    """

    def __init__(self, at: Place, sums: torch.Tensor, squares: torch.Tensor) -> None:
        # views are made once: see Radial
        (a, self._b), (da, db), (r, s), (u, v), (du, dv), (dr, ds) = (each.chunk(2, 1) for each in at)
        self._a, self._da, self._db, self._y, self._dx = a, da, db, (r, s), (du, dv)
        self._sum, self._difference = sums
        self._above, self._below, self._product = squares  # a + b, b - a, and the imaginary parts' own share
        self._onwards = (
            Product(a, self._sum, u),
            Product(self._below, r, v, plus=u),
            Product(self._above, s, u, plus=u, times=-1.0),
        )
        self._gradients = (
            Product(self._sum, self._difference.mT, db),
            Product(du, r.mT, da),
            Product(dv, s.mT, self._product),
        )
        self._back = (
            Product(a.mT, self._sum, dr),
            Product(self._above.mT, du, ds, plus=dr, times=-1.0),
            Product(self._below.mT, dv, dr, plus=dr),
        )

    def forward(self) -> None:
        self._add_weights()
        torch.add(*self._y, out=self._sum)
        for product in self._onwards:
            product()

    def backward(self) -> None:
        torch.add(*self._dx, out=self._sum)
        torch.sub(*self._y, out=self._difference)
        for product in self._gradients:
            product()
        # da = du r^T + dv s^T; db = dv r^T - du s^T = (du + dv)(r - s)^T - du r^T + dv s^T
        self._db.sub_(self._da).add_(self._product)
        self._da.add_(self._product)
        self._add_weights()
        for product in self._back:
            product()

    def _add_weights(self) -> None:
        torch.add(self._a, self._b, out=self._above)
        torch.sub(self._b, self._a, out=self._below)


class Product:
    """One matrix product for each model, each into its place: `times` a b + `plus` into `out`, which may be `plus`.

    `out` is made where it is left out; without `plus` nothing is added.
    """

    def __init__(
        self,
        a: torch.Tensor,
        b: torch.Tensor,
        out: torch.Tensor | None = None,
        plus: torch.Tensor | None = None,
        times: float = 1.0,
    ) -> None:
        self._out = a.new_empty(len(a), a.shape[-2], b.shape[-1]) if out is None else out
        # on a CPU the call, and so the bits, of a model that is alone; all that a call needs is put together once
        together, terms = a.is_cuda, (a, b) if plus is None else (plus, a, b)
        if plus is None:
            multiply = torch.bmm if together else torch.mm
        else:
            multiply = partial(torch.baddbmm if together else torch.addmm, alpha=times)
        given = [(*terms, self._out)] if together else zip(*terms, self._out, strict=True)
        self._calls = [partial(multiply, *tensors, out=out) for *tensors, out in given]

    def __call__(self) -> torch.Tensor:
        for call in self._calls:
            call()
        return self._out


def _flat(shape: Shape, state: torch.Tensor) -> torch.Tensor:
    """A state as V and R see it, (models, N D, columns), in the order in which it lies in memory."""
    return (state.transpose(1, 2) if shape.group.family == "U(1)" else state).flatten(1, 2)


def _rows(shape: Shape, state: torch.Tensor) -> torch.Tensor:
    """A state as the matrix that a layer's weights act on."""
    if shape.group.family == "O":
        return state.flatten(2, 3)  # w_ij times the identity: components are so many more columns
    return _flat(shape, state)


def initial(shape: Shape, model: Model) -> torch.Tensor:
    """One model's parameters in a row, in float32: see `training.conventions` for their laws."""
    source = generator(model.seed, 0, torch.device("cpu"))
    start = _start(shape) if model.symmetric else None
    if start is None:
        return torch.cat([part.flatten() for part in _drawn(shape, model.sigma_w, source)])
    # of an equivariant network of this seed what it begins with, and where all is symmetric the same function
    first, hidden, readout, bias = _drawn(start, model.sigma_w, source)
    hidden = math.sqrt(model.symmetric) * as_generic(start.group, hidden)
    if model.symmetric < 1.0:
        std = math.sqrt(1.0 - model.symmetric) * model.sigma_w * weight_std(shape.group, shape.width)
        hidden += std * torch.randn(hidden.shape, generator=source, dtype=torch.float32)
    if start.group.family == "U(1)":  # from all real parts and all imaginary parts to capsule by capsule
        first = first.unflatten(0, (2, -1)).transpose(0, 1)
        readout = readout.unflatten(1, (2, -1)).transpose(1, 2)
    return torch.cat([part.flatten() for part in (first, hidden, readout, bias)])


def _start(shape: Shape) -> Shape | None:
    """Layers with the symmetry that generic ones can begin with; None for others."""
    k = shape.group.capsule_dimension
    if shape.group.family != "generic" or k == 1:
        return None
    return replace(shape, symmetry="U(1)" if k == 2 else f"O({k})")


def _drawn(shape: Shape, sigma_w: float, source: torch.Generator) -> list[torch.Tensor]:
    """V, W, R and b."""
    stds = (
        math.sqrt(D0 / (shape.group.capsule_dimension * shape.features)),
        sigma_w * weight_std(shape.group, shape.width),
        1.0 / math.sqrt(shape.components),
        0.0,
    )
    return [
        std * torch.randn(part, generator=source, dtype=torch.float32)
        for std, part in zip(stds, shape.parts, strict=True)
    ]


def cross_entropy(logits: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Mean cross-entropy (models,) over images, and its gradient, for logits (models, classes, images)."""
    shifted = logits - logits.amax(1, keepdim=True)
    weights = shifted.exp()
    total = weights.sum(1)
    picked = shifted.gather(1, labels[:, None])[:, 0]
    change = weights / total[:, None]
    change.scatter_add_(1, labels[:, None], -torch.ones_like(labels, dtype=change.dtype)[:, None])
    return (total.log() - picked).mean(-1), change / labels.shape[-1]
