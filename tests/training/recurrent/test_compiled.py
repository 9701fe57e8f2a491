"""`torch.compile` and `torch.export` of the layers as one graph, in which a loop over time is one operation."""

import subprocess
import sys

import pytest
import torch
from torch._subclasses import FakeTensorMode

from training.recurrent import GRU, CapsuleGRU, CapsuleRNN, ElmanRNN
from training.recurrent.convolutional import PADDINGS, ConvolutionalRNN
from training.recurrent.opaque import LIBRARY
from training.recurrent.stacking import stack

pytestmark = pytest.mark.filterwarnings("ignore:.*should not be instantiated:DeprecationWarning")  # of Dynamo itself


def draw(*shape):
    return torch.randn(shape, generator=torch.Generator().manual_seed(0))


GRIDS = [ConvolutionalRNN(3, 4, 2, padding=padding, recurrent="uniform") for padding in PADDINGS]
LAYERS = [ElmanRNN(3, 4), GRU(3, 4), CapsuleRNN(3, 4), CapsuleGRU(3, 4), CapsuleGRU(3, 4, "O(3)"), *GRIDS]


@pytest.fixture(autouse=True)
def fresh():
    torch._dynamo.reset()


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_one_graph_for_all_lengths(layer):
    compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
    for steps in (3, 5, 8):  # PyTorch takes the second length for a sign that there are more
        x, found = draw(2, steps, 3), []
        for run in (layer, compiled):
            inputs = x.clone().requires_grad_()
            output, last = run(inputs)
            loss = output.square().sum() + last.sum()
            found.append((output, last, *torch.autograd.grad(loss, [inputs, *layer.parameters()])))
        for plain, seen in zip(*found, strict=True):
            torch.testing.assert_close(seen, plain)


def test_the_graph_is_as_long_for_a_long_sequence():
    sizes = []

    def count(graph, _):
        sizes.append(len(graph.graph.nodes))
        return graph.forward

    for steps in (2, 60):
        torch._dynamo.reset()
        torch.compile(CapsuleRNN(3, 4), backend=count, fullgraph=True)(draw(2, steps, 3))
    assert sizes[0] == sizes[1]


def test_a_stack_and_half_precision():
    layers = [CapsuleRNN(3, 4, generator=torch.Generator().manual_seed(seed)) for seed in range(2)]
    for layer, x in ((stack(layers), draw(2, 5, 3)), (CapsuleRNN(3, 4).half(), draw(2, 5, 3).half())):
        compiled = torch.compile(layer, backend="aot_eager", fullgraph=True)
        torch.testing.assert_close(compiled(x), layer(x))


def test_without_memory():
    """On the meta device, which has no autocast to ask for."""
    compiled = torch.compile(CapsuleRNN(3, 4).to("meta"), backend="aot_eager", fullgraph=True)
    output, last = compiled(torch.empty(2, 5, 3, device="meta"))
    assert (output.device.type, output.shape, last.shape) == ("meta", (2, 5, 8), (1, 2, 8))


def test_under_autocast():
    layer, x = CapsuleRNN(3, 4), draw(2, 5, 3)
    with torch.autocast("cpu", torch.bfloat16):
        found, _ = torch.compile(layer, backend="aot_eager", fullgraph=True)(x.bfloat16())
        wanted, _ = layer(x.bfloat16())
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, wanted)


def test_the_compiler_is_imported_by_whoever_compiles():
    """It takes seconds, and most commands need none."""
    code = "import sys, training; print('torch._dynamo' in sys.modules)"
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert found.stdout.strip() == "False"


@pytest.mark.parametrize("layer", LAYERS, ids=repr)
def test_export_for_any_batch_and_length(layer):
    sizes = {0: torch.export.Dim("batch"), 1: torch.export.Dim("steps")}
    exported = torch.export.export(layer, (draw(4, 9, 3),), dynamic_shapes=(sizes,)).module()
    x = draw(3, 12, 3)
    torch.testing.assert_close(exported(x), layer(x))


def test_gradients_of_gradients_are_an_error():
    x = draw(2, 5, 3).requires_grad_()
    output, _ = torch.compile(CapsuleGRU(3, 4), backend="eager")(x)
    (gradient,) = torch.autograd.grad(output.sum(), x, create_graph=True)
    with pytest.raises(RuntimeError, match="autograd formula"):
        gradient.square().sum().backward()


N, D, STEPS, BATCH = 4, 2, 3, 5
OPERATIONS = {
    "CapsuleStates": ([(STEPS, BATCH, D, N), (BATCH, D, N), (D * N, D * N)], 1e-8),
    "PointwiseStates": ([(STEPS, BATCH, N), (BATCH, N), (N, N)], "tanh"),
    "GRUStates": ([(STEPS, BATCH, 3 * N), (BATCH, N), (N, 3 * N), (3 * N,)], "relu"),
    "CapsuleGRUStates": (
        [(STEPS, BATCH, D, N), (STEPS, BATCH, 2 * N), (BATCH, D, N), (D * N, D * N), (N, 2 * N)],
        1e-8,
    ),
}
SIDE = 3
GRID_OPERATIONS = {
    name: ([(STEPS, BATCH, D, N * SIDE**2), (BATCH, D, N * SIDE**2), (D * N, D * N, 3, 3)], 1e-8)
    for name in ("PeriodicStates", "OpenStates")
}


@pytest.mark.parametrize(
    ("name", "models"),
    [*((name, models) for name in OPERATIONS for models in ((), (2,))), *((name, ()) for name in GRID_OPERATIONS)],
)
def test_operations_are_what_they_tell_the_compiler(name, models):
    """Shapes, strides, what they change, and their gradients, by PyTorch's own checks."""
    shapes, option = (OPERATIONS | GRID_OPERATIONS)[name]
    tensors = [draw(*models, *shape).requires_grad_() for shape in shapes]
    torch.library.opcheck(getattr(getattr(torch.ops, LIBRARY), name).default, (tensors, option))


@pytest.mark.parametrize("name", OPERATIONS | GRID_OPERATIONS)
def test_memory_is_laid_out_as_the_compiler_is_told(name):
    """Of what a loop saves, and of its gradients: compiled code goes by the strides that it was told."""
    shapes, option = (OPERATIONS | GRID_OPERATIONS)[name]
    loop, back = (getattr(getattr(torch.ops, LIBRARY), name + suffix) for suffix in ("", "_backward"))
    tensors = [draw(*shape) for shape in shapes]
    weights = tensors[3:] if name == "CapsuleGRUStates" else tensors[2:3]

    def run(tensors, weights):
        saved = loop(tensors, option)
        return [*saved, *back(torch.ones_like(saved[0].narrow(0, 1, STEPS)), [*saved, *weights], option)]

    with FakeTensorMode() as mode:
        told = run(*([mode.from_tensor(each) for each in group] for group in (tensors, weights)))
    for found, expected in zip(run(tensors, weights), told, strict=True):
        assert (found.shape, found.stride()) == (expected.shape, expected.stride())
