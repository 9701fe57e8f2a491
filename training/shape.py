"""What the networks of a stack share, and what each may have for itself."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch

from meanfield.activations import as_activation
from meanfield.checks import real_number, whole_number
from meanfield.symmetry import Symmetry, as_symmetry
from simulate.blocks import torch_seed
from simulate.layers import weight_shape

from .conventions import ADAM_EPS, LEARNING_RATE

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
