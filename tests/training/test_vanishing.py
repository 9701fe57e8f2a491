"""First gradients by theory, against those of sampled networks and against the deep limit of the unbroken phase."""

import numpy as np
import pytest
import torch

from training.data import Source, load
from training.shape import HIDDEN, Model, Shape
from training.stack import Stack
from training.vanishing import first_gradients

NETWORKS = 24


def squares(shape, sigma_w, batch):
    """Mean squared gradients of sampled networks, of independent images and labels, (networks, layers)."""
    stack = Stack(shape, [Model(sigma_w, seed) for seed in range(NETWORKS)], "float64")
    draw = torch.Generator().manual_seed(3)
    images = torch.randn((NETWORKS, shape.features, batch), dtype=torch.float64, generator=draw)
    stack.loss(images, torch.randint(shape.classes, (NETWORKS, batch), generator=draw))
    return stack.views(stack.gradients)[HIDDEN].flatten(2).square().mean(2).numpy()


@pytest.mark.parametrize("symmetry", ["U(1)", "O(4)", "generic(2)"])
@pytest.mark.parametrize("sigma_w", [0.5, 0.85, 1.3])
def test_first_gradients_are_those_of_sampled_networks(symmetry, sigma_w):
    """Up to the error of a mean over networks, and corrections of order depth/width."""
    shape = Shape(symmetry, 48, 8, 30, classes=2)  # of few classes the factor 1 - 1/classes is far from 1
    found = squares(shape, sigma_w, 32) / first_gradients(shape, sigma_w, 32) ** 2
    mean, error = found.mean(0), found.std(0, ddof=1) / np.sqrt(NETWORKS)
    assert (np.abs(mean - 1.0) < 4.0 * error + shape.depth / shape.width).all()


@pytest.mark.parametrize("symmetry", ["U(1)", "O(4)", "generic(2)"])
def test_images_with_much_in_common_have_larger_ones(symmetry):
    """Of real images the terms of a batch do not average as independent ones do: the factors that the text states."""
    digits = load(Source("digits"))
    shape, draw = Shape(symmetry, 48, 8, digits.features), np.random.default_rng(0)
    for batch, low, high in ((16, 0.95, 1.2), (64, 1.2, 1.5), (256, 1.9, 2.4), (1024, 3.7, 4.4)):
        stack = Stack(shape, [Model(0.76, seed) for seed in range(NETWORKS)], "float64")
        chosen = torch.from_numpy(np.stack([draw.permutation(len(digits.train))[:batch] for _ in range(NETWORKS)]))
        images, labels = (torch.from_numpy(each)[chosen] for each in (digits.train, digits.train_labels))
        stack.loss(images.mT.double(), labels)
        squares = stack.views(stack.gradients)[HIDDEN].square().flatten(2).mean()
        theory = np.mean(first_gradients(shape, 0.76, batch) ** 2)
        assert low < np.sqrt(squares.item() / theory) < high


def test_they_vanish_alike_in_all_layers_of_the_unbroken_phase():
    """sigma_w^2 more for two layers more; and a quarter of the batch has twice the gradients."""
    shape = Shape("O(4)", 64, 100, 784)
    deep = first_gradients(shape, 0.8)
    assert deep.shape == (100,)
    np.testing.assert_allclose(deep[20:], deep[-1], rtol=1e-3)
    longer = first_gradients(Shape("O(4)", 64, 102, 784), 0.8)
    np.testing.assert_allclose(longer[40:60] / deep[40:60], 0.8**2, rtol=1e-3)
    np.testing.assert_allclose(first_gradients(shape, 0.8, 64), 2.0 * deep, rtol=1e-12)
    assert deep[50] < 1e-12 < 1e-8 < first_gradients(shape, 0.95).min()


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: first_gradients(Shape("U(1)", 4, 0, 9), 0.5), "depth must be an integer >= 1, got 0"),
        (lambda: first_gradients(Shape("U(1)", 4, 9, 9), 0.0), "sigma_w must be > 0, got 0"),
        (lambda: first_gradients(Shape("U(1)", 4, 9, 9), [1.5, 2.0]), r"sigma_w must be one number, got shape \(2,\)"),
        (lambda: first_gradients(Shape("U(1)", 4, 9, 9), 0.5, 0), "batch must be an integer >= 1, got 0"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
