"""Functions of tensors as CUDA graphs: a step is replayed as a whole, without Python between its kernels.

A graph repeats kernels, with the addresses and the plain numbers they had when it was recorded. A function can be
captured when it

- computes on one device alone and never waits for a result on the host;
- reads, besides its inputs, only tensors that are changed in place, never replaced;
- takes numbers that change from call to call from such tensors;
- creates its own leaf tensors when it computes gradients: a parameter's gradient accumulator is tied to the stream it
  was made on.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import Any

import torch
from torch import cuda

WARM_UP = 3  # calls before the capture, in which libraries are loaded and choose their kernels
AHEAD = 4  # replays that the host may be ahead of the device
_RECORDING = Lock()  # one graph at a time, whatever other threads do meanwhile


class Captured:
    """Calls functions; on a CUDA device by replaying a graph, one for each function and shape of its inputs.

    Threads may record and replay graphs of their own side by side, if the stream that is current in each is its own.

    Parameters
    ----------
    device : where all tensors are
    changed : tensors that the functions change
        Calls that only warm up leave them as they were.
    """

    def __init__(self, device: torch.device, changed: Sequence[torch.Tensor] = ()) -> None:
        self.device, self._changed = device, tuple(changed)
        self._ahead: deque[cuda.Event] = deque()
        self._recordings: dict[tuple, _Recording] = {}

    def __call__(self, function: Callable[..., Any], *inputs: torch.Tensor) -> Any:
        """What the function returns; on a CUDA device in tensors that the next call overwrites.

        Functions are told apart by name: holding on to bound methods would keep the graphs' memory until a collection
        of cycles.
        """
        if self.device.type != "cuda":
            return function(*inputs)
        key = (function.__name__, *((each.shape, each.dtype) for each in inputs))
        if key not in self._recordings:
            with _RECORDING, cuda.device(self.device):
                self._recordings[key] = self._record(function, inputs)
        outputs = self._recordings[key].replay(inputs)
        self._keep_up()
        return outputs

    def _keep_up(self) -> None:
        """Wait until all but the last few replays are done: a deadline, or Ctrl-C, would find too many under way."""
        event = cuda.Event()
        event.record()
        self._ahead.append(event)
        if len(self._ahead) > AHEAD:
            self._ahead.popleft().synchronize()

    @cached_property
    def _stream(self) -> cuda.Stream:
        """The current one, or another in place of the default stream, on which nothing can be recorded."""
        current = cuda.current_stream()
        return current if current != cuda.default_stream() else cuda.Stream()

    @cached_property
    def _pool(self):
        """Memory for the intermediate results of all graphs, of which one runs at a time."""
        return cuda.graph_pool_handle()

    def _record(self, function: Callable[..., Any], inputs: Sequence[torch.Tensor]) -> _Recording:
        static = [each.clone() for each in inputs]
        self._warm_up(function, static)
        graph, before = cuda.CUDAGraph(), cuda.current_stream()
        try:
            # what other threads ask of the device meanwhile is none of this graph's
            with cuda.graph(graph, pool=self._pool, stream=self._stream, capture_error_mode="thread_local"):
                outputs = function(*static)
        except BaseException:
            cuda.set_stream(before)  # a capture that fails may leave its own stream behind
            raise
        return _Recording(static, graph, outputs)

    def _warm_up(self, function: Callable[..., Any], static: Sequence[torch.Tensor]) -> None:
        """On the stream of the capture, where what a library keeps for a stream is then found."""
        self._stream.wait_stream(cuda.current_stream())
        with cuda.stream(self._stream):
            before = [tensor.detach().clone() for tensor in self._changed]
            for _ in range(WARM_UP):
                function(*static)
            for tensor, value in zip(self._changed, before, strict=True):
                tensor.detach().copy_(value)
        cuda.current_stream().wait_stream(self._stream)


@dataclass(frozen=True)
class _Recording:
    inputs: list[torch.Tensor]
    graph: cuda.CUDAGraph
    outputs: Any

    def replay(self, inputs: Sequence[torch.Tensor]) -> Any:
        for own, given in zip(self.inputs, inputs, strict=True):
            own.copy_(given)
        self.graph.replay()
        return self.outputs
