"""A stand-in for CUDA graphs on the CPU: it repeats operations on the very tensors they were recorded with.

As a graph does, it runs no Python, keeps every plain number as it was and sees no tensor that took another's place.
While it records, whatever would make a GPU wait is an error; and recording by itself changes nothing.
"""

from __future__ import annotations

from contextlib import contextmanager, nullcontext

import torch
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

# reading a number; shapes that depend on data; tensors made of the host's numbers; random numbers
WAITING = {
    "_local_scalar_dense", "equal", "nonzero", "masked_select", "unique", "_unique2", "repeat_interleave",
    "lift_fresh", "scalar_tensor", "rand", "randn", "randint", "randperm", "normal_", "uniform_", "bernoulli_",
}  # fmt: skip


class Tape(TorchDispatchMode):
    """`torch.cuda.CUDAGraph`, and what records into it."""

    def __init__(self) -> None:
        super().__init__()
        self.operations, self.replays, self._before = [], 0, []

    def __torch_dispatch__(self, function, types, args=(), kwargs=None):
        kwargs = kwargs or {}
        name = function.name().removeprefix("aten::").split(".")[0]
        indexed = args[1] if name in ("index", "index_put_") else ()
        if name in WAITING or any(each is not None and each.dtype == torch.bool for each in indexed):
            raise RuntimeError(f"operation not permitted when stream is capturing: {name}")
        for argument, value in zip(function._schema.arguments, args, strict=False):
            self._keep(argument, value)
        for argument in function._schema.arguments[len(args) :]:
            self._keep(argument, kwargs.get(argument.name))
        results = function(*args, **kwargs)
        fresh = all(result.alias_info is None for result in function._schema.returns)
        self.operations.append((function, args, kwargs, results if fresh else None))
        return results

    def _keep(self, argument, value) -> None:
        """What an operation is about to overwrite."""
        if argument.alias_info is not None and argument.alias_info.is_write:
            self._before += [(tensor, tensor.detach().clone()) for tensor in tree_leaves(value)]

    def end(self) -> None:
        """A graph's capture runs no kernel: undo what recording did."""
        while self._before:
            tensor, value = self._before.pop()
            tensor.detach().copy_(value)

    def replay(self) -> None:
        """Run all operations again; results go to where they were."""
        self.replays += 1
        with torch.no_grad():
            for function, args, kwargs, results in self.operations:
                again = function(*args, **kwargs)
                if results is not None:
                    for old, new in zip(tree_leaves(results), tree_leaves(again), strict=True):
                        if old is not None:
                            old.detach().copy_(new)


class Stream:
    def wait_stream(self, other: Stream) -> None:
        """All is done in order here."""


class Event:
    def record(self) -> None:
        """All is done at once here."""

    synchronize = record


@contextmanager
def recording(tape: Tape, pool, stream, capture_error_mode):
    """As `torch.cuda.graph`, whose stream stays current where the capture cannot be ended."""
    before = FakeCuda.current_stream()
    FakeCuda.set_stream(stream)
    with tape:
        yield
    tape.end()
    FakeCuda.set_stream(before)


class FakeCuda:
    """What `captured` uses of `torch.cuda`."""

    CUDAGraph, Stream, Event = Tape, Stream, Event
    current = default = Stream()

    @classmethod
    def current_stream(cls) -> Stream:
        return cls.current

    @classmethod
    def default_stream(cls) -> Stream:
        return cls.default

    @classmethod
    def set_stream(cls, stream: Stream) -> None:
        cls.current = stream

    graph = staticmethod(recording)
    device = stream = nullcontext
    graph_pool_handle = staticmethod(tuple)
