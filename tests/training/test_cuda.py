"""What only a machine with a GPU can show of training; elsewhere these are skipped."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from training.adam import Adam
from training.data import Source
from training.job import Job
from training.measure import evaluate, jacobian, ranks
from training.runner import Interrupted, run
from training.shape import Model, Shape
from training.stack import Stack

from .test_stack import BATCH, MODELS, SYMMETRIES, batch, shape

DEVICE = "cuda"
pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
JOB = Job(
    Source(train=64, test=40),
    Shape("U(1)", 8, 3, 64),
    (Model(1.5, 0), Model(0.7, 1), Model(1.5, 0, learning_rate=3e-3), Model(1.5, 0, epsilon=1e-4)),
    epochs=2,
    batch=24,
    measures=("jacobian", "rank_of_layers"),
    at=(0, 3),
    device=DEVICE,
)


def on_gpu(tensors):
    return [tensor.to(DEVICE) for tensor in tensors]


def without_values(rows):
    """What is measured, where and when."""
    return [row._replace(value=None) for row in rows]


def losses(rows):
    return [row.value for row in rows if row.quantity in ("loss", "test_loss")]


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_first_gradients_are_those_of_the_cpu(symmetry):
    here, there = (Stack(shape(symmetry), MODELS, "float64", device) for device in ("cpu", DEVICE))
    for count in (BATCH, 7, BATCH):
        images, labels = batch(3, count=count)
        right, found = here.loss(images, labels), there.loss(*on_gpu((images, labels)))
        torch.testing.assert_close(found.cpu(), right, rtol=1e-10, atol=0.0)
        torch.testing.assert_close(there.gradients.cpu(), here.gradients, rtol=1e-10, atol=1e-13)
    replayed = [each.graph for each in there._captured._recordings.values()]
    assert len(replayed) == 2  # one for each size of a batch
    assert all(isinstance(graph, torch.cuda.CUDAGraph) for graph in replayed)


@pytest.mark.parametrize("symmetry", SYMMETRIES)
def test_first_gradients_of_a_stack_are_those_of_separate_models(symmetry):
    images, labels = on_gpu(batch(3))
    stack = Stack(shape(symmetry), MODELS, "float64", DEVICE)
    right = stack.loss(images, labels)
    for number, model in enumerate(MODELS):
        alone, own = Stack(shape(symmetry), (model,), "float64", DEVICE), slice(number, number + 1)
        torch.testing.assert_close(alone.loss(images[own], labels[own]), right[own], rtol=1e-10, atol=0.0)
        torch.testing.assert_close(alone.gradients, stack.gradients[own], rtol=1e-10, atol=1e-13)


def test_a_first_step_of_adam_is_that_of_the_cpu():
    """Of gradients of one size, as Adam divides by it."""
    models = (Model(1.5), Model(1.5, 1, learning_rate=0.1), Model(1.5, epsilon=0.5))
    found = []
    for device in ("cpu", DEVICE):
        stack = Stack(shape("U(1)"), models, "float64", device)
        stack.gradients.copy_(torch.linspace(-1.0, 1.0, 3).double()[:, None] + 0.3)
        Adam(stack).step()
        found.append(stack.parameters.cpu())
    torch.testing.assert_close(found[1], found[0], rtol=1e-10, atol=1e-13)


def test_measurements_are_those_of_the_cpu():
    images, labels = torch.randn((300, 12), dtype=torch.float64), torch.arange(300) % 5
    found = []
    for device in ("cpu", DEVICE):
        stack = Stack(shape("O(3)"), MODELS, "float64", device)
        x, truth = images.to(device), labels.to(device)
        found.append([*evaluate(stack, x, truth), *jacobian(stack, x[:5]).values(), *ranks(stack, x)])
    for here, there in zip(*found, strict=True):
        torch.testing.assert_close(there.cpu(), here, rtol=1e-9, atol=1e-12)


def test_a_run_measures_what_one_on_the_cpu_does():
    there, here = run(JOB).rows, run(replace(JOB, device="cpu")).rows
    assert without_values(there) == without_values(here)
    first = [[row.value for row in rows if row.step == 0] for rows in (there, here)]
    np.testing.assert_allclose(*first, rtol=1e-3)
    np.testing.assert_allclose(losses(there), losses(here), rtol=1e-2)


def test_a_run_goes_on(tmp_path):
    def stop_in_the_second_epoch(flops):
        told.append(flops)
        if len(told) == 5:
            raise Interrupted

    told = []
    with pytest.raises(Interrupted):
        run(JOB, tmp_path / "stack.pt", every=0.0, progress=stop_in_the_second_epoch)
    rows, straight = run(JOB, tmp_path / "stack.pt").rows, run(JOB).rows
    assert without_values(rows) == without_values(straight)
    np.testing.assert_allclose(losses(rows), losses(straight), rtol=1e-2)
