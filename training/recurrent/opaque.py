"""The loops over time as single operations, for `torch.compile` and `torch.export`.

A compiler that follows a loop in Python unrolls it: at a hundred steps that takes minutes, once more for every other
length, and gains little. Here a loop is one operation into which it does not look, whose shapes it is told instead.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

LIBRARY = "training_recurrent"


class _Context:
    """In place of autograd's: keeps what a loop saves."""

    def __init__(self, saved: Sequence[Tensor] = (), **options: float | str) -> None:
        self.saved_tensors = tuple(saved)
        vars(self).update(options)

    def save_for_backward(self, *tensors: Tensor) -> None:
        self.saved_tensors = tensors


def operation(
    function: type[torch.autograd.Function],
    option: str,
    time: int,
    weights: slice,
    saved: Callable[[Sequence[Tensor]], list[Tensor]],
    gradients: Callable[[Tensor, Sequence[Tensor]], list[Tensor]],
) -> Callable[..., Tensor]:
    """A loop as an operation, with the arguments and the result of ``function.apply``.

    Parameters
    ----------
    function : of `recurrence` or `gated`; its `forward` takes tensors and one option, which `ctx` keeps, and saves
        tensors that it has made, the states h^0 to h^steps first, and after them some of its arguments, the weights
    option : its type and name, such as ``"float epsilon"``
    time : which axis of the states
    weights : which of the arguments those are
    saved : given the arguments, returns empty tensors shaped like those that `forward` makes and saves
    gradients : given the argument of `backward` and all that was saved, returns empty tensors shaped like its results

    Gradients of gradients are not available: PyTorch says so where they are asked for.
    """
    kind, name = option.split()

    def forward(tensors, value):
        context = _Context()
        function.forward(context, *tensors, value)
        return list(context.saved_tensors[: -len(tensors[weights])])

    def backward(gradient, saved, value):
        with torch.no_grad():
            found = function.backward(_Context(saved, **{name: value}), gradient)
        return [each.contiguous() for each in found[:-1]]  # as `gradients` says

    title, told = f"{LIBRARY}::{function.__name__.strip('_')}", f"{kind} value) -> Tensor[]"
    run = torch.library.custom_op(title, forward, mutates_args=(), schema=f"(Tensor[] tensors, {told}")
    schema = f"(Tensor gradient, Tensor[] saved, {told}"
    back = torch.library.custom_op(f"{title}_backward", backward, mutates_args=(), schema=schema)
    run.register_fake(lambda tensors, value: saved(tensors))
    back.register_fake(lambda gradient, kept, value: gradients(gradient, kept))

    def keep(ctx, inputs, output):
        tensors, ctx.value = inputs
        ctx.save_for_backward(*output, *tensors[weights])

    def pull_back(ctx, gradient):
        return back(_after_start(gradient[0], time), list(ctx.saved_tensors), ctx.value), None

    run.register_autograd(pull_back, setup_context=keep)

    def states(*arguments):
        *tensors, value = arguments
        return _after_start(run(tensors, value)[0], time)

    return states


def _after_start(states: Tensor, time: int) -> Tensor:
    return states.narrow(time, 1, states.shape[time] - 1)
