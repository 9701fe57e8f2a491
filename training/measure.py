"""What is measured of a stack of models: accuracy and loss, the Jacobian between the equivariant layers, ranks."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from simulate.activations import torch_activation
from simulate.layers import linear
from simulate.tangents import Capsules, generators, torch_derivative

from .shape import HIDDEN, INPUT, Shape
from .stack import Stack, check_images, check_labels, cross_entropy

EVALUATION_BATCH = 256


def evaluate(stack: Stack, images: torch.Tensor, labels: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Accuracy (the share of images classified right) and mean cross-entropy of each model, both (models,).

    A model that has diverged, with outputs that are not numbers, always answers class 0; its loss is NaN.

    Parameters
    ----------
    stack : the models, all of which see the same images
    images : (images, features), of the parameters' type, on their device
    labels : int64 (images,)

    Raises
    ------
    ValueError
        For other shapes or types.
    """
    _check(stack, images)
    check_labels(labels, (len(images),), stack.shape.classes)
    models = len(stack.models)
    right = torch.zeros(models, dtype=torch.float64, device=images.device)
    loss = torch.zeros_like(right)
    for some, truth in zip(images.split(EVALUATION_BATCH), labels.split(EVALUATION_BATCH), strict=True):
        logits = stack.logits(some.T.expand(models, -1, -1))
        truth = truth.expand(models, -1)
        right += (logits.argmax(1) == truth).sum(-1)
        loss += cross_entropy(logits, truth)[0] * truth.shape[-1]
    return right / len(labels), loss / len(labels)


def jacobian(stack: Stack, images: torch.Tensor) -> dict[str, torch.Tensor]:
    """The Jacobian J = dz^L/dz^0 of each model, means over images, in float64.

    Directions are carried forward along with the state, v -> W^l D(z^l) v, all N D of a basis and A z^0 of each
    generator A of the rotations of a capsule.

    Parameters
    ----------
    stack : the models, all of which see the same images
    images : (images, features), of the parameters' type, on their device

    Returns
    -------
    dict of tensors (models,)
        `norm`: |J|_F^2/(N D), the mean squared singular value. `protected`: (1/N) sum_A |J A z^0|^2, Eq. (7); 0 where
        capsules have one component, which has no rotations. `d`: (1/N) sum_i |z_i^L|^2, so that an equivariant network
        has protected = (D - 1) d, Eq. (54).
    """
    _check(stack, images)
    shape = stack.shape
    found = {name: torch.zeros(len(stack.models), dtype=torch.float64) for name in ("norm", "protected", "d")}
    for number in range(len(stack.models)):  # a basis for each of several models would be large
        weights = [part[number : number + 1].double() for part in stack.views(stack.parameters)]
        z = shape.capsules(weights[INPUT] @ images.T.double())
        last, directions = _carry(shape, weights[HIDDEN], z, _directions(z))
        squares = directions.square().sum((0, 1, 2)).mean(0)
        found["norm"][number] = squares[: shape.components].sum() / shape.components
        found["protected"][number] = squares[shape.components :].sum() / shape.width
        found["d"][number] = last.square().sum() / (shape.width * len(images))
    return found


def asymmetry(stack: Stack) -> torch.Tensor:
    """The asymmetry eta of the hidden weights, as :func:`meanfield.explicit_breaking` has it: mean over layers, of each
    model, in float64.

    Computed from the residual of generic(k) weights after projection onto equivariant ones, those of U(1) for k = 2 and
    of O(k) beyond. 0 for equivariant layers and for k = 1, and 1 in the mean over random generic weights. For k = 2 any
    weights hand on 1 - eta of an imaginary part of C_12: the residual conjugates a complex number before it multiplies
    it, which turns the sign of that part.
    """
    group, width = stack.shape.group, stack.shape.width
    k = group.capsule_dimension
    if group.family != "generic" or k == 1:
        return torch.zeros(len(stack.models), dtype=torch.float64)
    hidden = stack.views(stack.parameters)[HIDDEN].double()
    blocks = hidden.unflatten(3, (width, k)).unflatten(2, (width, k)).transpose(3, 4)  # (..., N, N, k, k)
    identity = torch.eye(k).to(blocks)
    kept, dimensions = torch.einsum("...aa->...", blocks)[..., None, None] / k * identity, 1
    if k == 2:  # multiplication by i commutes with U(1), too
        turn = torch.tensor([[0.0, -1.0], [1.0, 0.0]]).to(blocks)
        kept, dimensions = kept + (blocks[..., 1, 0] - blocks[..., 0, 1])[..., None, None] / 2.0 * turn, 2
    left = (blocks - kept).square().sum((2, 3, 4, 5)) / hidden.square().sum((2, 3))
    return left.mean(1) / (1.0 - dimensions / k**2)


def _directions(z: torch.Tensor) -> torch.Tensor:
    """A basis and the A z of all generators A, (1, N, D, images, directions)."""
    _, n, k, images = z.shape
    basis = torch.eye(n * k, dtype=z.dtype, device=z.device).view(1, n, k, 1, n * k).expand(-1, -1, -1, images, -1)
    turned = torch.einsum("ade,mnei->mndia", torch.from_numpy(generators(k)).to(z), z)
    return torch.cat([basis, turned], -1)


def _carry(shape: Shape, hidden: torch.Tensor, z: torch.Tensor, v: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """State and directions at the last layer."""
    f, slope = torch_activation(shape.activation), torch_derivative(shape.activation)
    for layer in range(shape.depth):
        capsules = Capsules(f, slope, z)
        z = linear(shape.group, hidden[:, layer], capsules.angular * z)
        v = linear(shape.group, hidden[:, layer], capsules(v).flatten(3)).view_as(v)
    return z, v


def effective_rank(matrix: torch.Tensor) -> torch.Tensor:
    """exp(H), H = -sum_i p_i log p_i, p_i = s_i/sum_j s_j, s the singular values of (..., rows, columns), Eq. (55).

    Between 1 and the rank of the matrix; 0 for a matrix of zeros, which has no direction at all.

    Raises
    ------
    ValueError
        When the matrix is not finite.
    """
    if not matrix.isfinite().all():
        raise ValueError("matrix must be finite, got infinities or NaN in it")
    values = torch.linalg.svdvals(matrix.to(torch.complex128 if matrix.is_complex() else torch.float64))
    total = values.sum(-1, keepdim=True)
    p = values / torch.where(total > 0, total, 1.0)
    return torch.where(total[..., 0] > 0, torch.special.entr(p).sum(-1).exp(), 0.0)


def ranks(stack: Stack, images: torch.Tensor) -> Iterator[torch.Tensor]:
    """Effective rank of phi(z^l), (images, N D), at l = 0..L, each (models,); NaN for a model that has diverged.

    Parameters
    ----------
    stack : the models, all of which see the same images
    images : (images, features), of the parameters' type, on their device

    Raises
    ------
    ValueError
        For images of another shape or type.
    """
    _check(stack, images)
    yield from map(_rank, stack.states(images.T.expand(len(stack.models), -1, -1)))


def rank_at_readout(stack: Stack, images: torch.Tensor) -> torch.Tensor:
    """The last of :func:`ranks`, without the others."""
    _check(stack, images)
    *_, last = stack.states(images.T.expand(len(stack.models), -1, -1))
    return _rank(last)


def _check(stack: Stack, images: torch.Tensor) -> None:
    check_images(images, ("images", stack.shape.features), stack.parameters)


def _rank(state: torch.Tensor) -> torch.Tensor:
    matrix = state.flatten(1, 2).mT
    fine = matrix.isfinite().all(-1).all(-1)
    return torch.where(fine, effective_rank(torch.where(fine[:, None, None], matrix, 0.0)), torch.nan)
