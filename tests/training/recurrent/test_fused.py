"""The kernels of the loops over time: on a GPU, elsewhere by Triton's interpreter, against the loops in float64."""

import os

import pytest
import torch

from training.recurrent import CopyTask, fused, gated, recurrence
from training.recurrent.copy_task import seed_keys
from training.recurrent.recurrence import EPSILON

triton = pytest.importorskip("triton")
if not torch.cuda.is_available():
    if triton.__version__.startswith("3.6."):
        pytest.skip("the interpreter of this Triton needs an older numpy", allow_module_level=True)
    os.environ["TRITON_INTERPRET"] = "1"  # read where the kernels are defined, which is when they are first used

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
GENERATOR = torch.Generator()


def drawn(*shape, scale=1.0):
    return scale * torch.randn(*shape, generator=GENERATOR, dtype=torch.float64)


def case(kind, lead, n, steps=5, batch=20, size=1.0):
    """Both ways to a kind's states, and arguments: the second of two tiles has rows that are no sequence."""
    GENERATOR.manual_seed(n)
    along, capsule = (*lead, steps, batch), (2, n)
    start = drawn(*lead, batch, *(capsule if "capsule" in kind else (n,)))
    if "capsule" in kind:
        start[..., :1, :, :] = 0.0
        start[..., 1:2, :, :] *= 1e-5
        weight, drive = drawn(*lead, 2 * n, 2 * n, scale=n**-0.5), drawn(*along, *capsule, scale=size)
        drive[..., 0, :1, :, :] = 0.0  # with its h^0 the first state is zero
        if kind == "capsule":
            return (lambda *t: fused.capsule_states(*t, EPSILON)), recurrence.capsule_states, (drive, start, weight)
        tensors = drive, drawn(*along, 2 * n), start, weight, drawn(*lead, n, 2 * n, scale=n**-0.5)
        return (lambda *t: fused.capsule_gru_states(*t, EPSILON)), gated.capsule_gru_states, tensors
    cell, name = kind.split()
    if cell == "RNN":
        tensors = drawn(*along, n, scale=size), start, drawn(*lead, n, n, scale=n**-0.5)
        return (
            (lambda *t: fused.pointwise_states(*t, name)),
            (lambda *t: recurrence.pointwise_states(*t, name)),
            tensors,
        )
    weight, bias = drawn(*lead, n, 3 * n, scale=n**-0.5), drawn(*lead, 3 * n)
    tensors = drawn(*along, 3 * n, scale=size), start, weight, bias
    return (lambda *t: fused.gru_states(*t, name)), (lambda *t: gated.gru_states(*t, name)), tensors


def states_and_gradients(function, tensors):
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    states = function(*leaves)
    GENERATOR.manual_seed(99)
    weights = drawn(*states.shape).to(states)
    return [states.detach(), *torch.autograd.grad((states * weights).sum(), leaves)]


def error(found, expected):
    return float((found.double().cpu() - expected).norm() / expected.norm())


def compare(kernel, loop, tensors):
    """To a few roundings of float32, of which the float32 loop itself is off by as many."""
    expected = states_and_gradients(loop, tensors)
    plain = states_and_gradients(loop, [tensor.float() for tensor in tensors])
    found = states_and_gradients(kernel, [tensor.float().to(DEVICE) for tensor in tensors])
    for mine, other, exact in zip(found, plain, expected, strict=True):
        assert mine.shape == exact.shape
        assert error(mine, exact) < max(3.0 * error(other, exact), 5e-7)


KINDS = ["RNN tanh", "RNN relu", "GRU tanh", "GRU relu", "capsule", "capsule GRU"]


@pytest.mark.parametrize("lead", [(), (2,)], ids=["alone", "stacked"])
@pytest.mark.parametrize("n", [16, 32])
@pytest.mark.parametrize("kind", KINDS)
def test_states_and_gradients_are_those_of_the_loops(kind, n, lead):
    compare(*case(kind, lead, n))


@pytest.mark.parametrize("kind", ["capsule", "capsule GRU"])
def test_capsules_far_below_and_above_one(kind):
    """tanh by its series, and saturated."""
    for size in (1e-6, 30.0):
        compare(*case(kind, (2,), 16, size=size))


@pytest.mark.parametrize("kind", KINDS)
def test_a_model_without_numbers_leaves_the_others_alone(kind):
    kernel, _, tensors = case(kind, (2,), 16)
    tensors = [tensor.float().to(DEVICE) for tensor in tensors]
    calm = states_and_gradients(kernel, tensors)
    wild = [torch.cat([tensor[:1], tensor[1:] * torch.nan]) for tensor in tensors]
    for one, other in zip(calm, states_and_gradients(kernel, wild), strict=True):
        assert torch.equal(one[0], other[0])
        assert other[1].isnan().any()


def test_an_empty_batch_has_empty_states():
    kernel, _, tensors = case("capsule", (2,), 16, batch=0)
    found = states_and_gradients(kernel, [tensor.float().to(DEVICE) for tensor in tensors])
    assert found[0].numel() == 0
    assert not found[-1].any()


def test_there_is_none_for_a_cpu():
    start, weight = torch.zeros(3, 2, 16), torch.zeros(32, 32)
    assert not fused.fits(start, weight)


def test_loops_alone(monkeypatch):
    """Inside the block, also inside another one."""
    start, weight = torch.zeros(3, 2, 16, device="meta"), torch.zeros(32, 32)
    asked = []
    monkeypatch.setattr(fused.torch.compiler, "is_compiling", lambda: bool(asked.append(1)))
    with fused.loops():
        with fused.loops():
            pass
        assert not fused.fits(start, weight)
        assert not asked  # before anything else was looked at
    assert not fused.fits(start, weight)
    assert asked


@pytest.mark.skipif(not torch.cuda.is_available(), reason="torch finds no CUDA device")
def test_what_fits_on_a_gpu():
    def fits(start, *weights, dtype=torch.float32):
        return fused.fits(torch.zeros(start, device="cuda", dtype=dtype), *map(torch.zeros, weights))

    assert fits((4, 3, 2, 16), (4, 32, 32))  # capsules of two components that are mixed
    assert fits((3, 2, 32), (64, 64), (32, 64))
    assert fits((3, 32), (32, 96))
    assert not fits((3, 128), (128, 384))  # too many weights for any GPU there is
    assert not fits((3, 2, 16), (16, 16))  # O(2)
    assert not fits((3, 3, 16), (48, 48))
    assert not fits((3, 20), (20, 20))
    assert not fits((3, 32), (32, 32), dtype=torch.float64)


@pytest.mark.parametrize(
    "task", [CopyTask(0), CopyTask(1), CopyTask(100), CopyTask(1, True), CopyTask(25, True)], ids=repr
)
def test_examples_of_the_copy_task_are_the_same(task):
    seeds = [0, 5, 2**32 - 1]
    keys = seed_keys(seeds, DEVICE)
    for step in (0, 10**6):
        found = task.in_one_kernel(torch.full((), step, device=DEVICE), 50, keys)
        for one, other in zip(found, task.batch(step, 50, seeds), strict=True):
            assert torch.equal(one.cpu(), other)
