"""Devices and precisions by name, and how many threads work on them."""

from __future__ import annotations

import os
import re
from collections.abc import Callable, Iterator
from contextlib import _GeneratorContextManager, contextmanager
from functools import partial, wraps
from threading import Lock
from typing import Any

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def as_device(device: str) -> torch.device:
    """``"auto"`` (CUDA where there is one), ``"cpu"``, ``"cuda"`` or ``"cuda:i"``.

    Raises
    ------
    ValueError
        For another name, or for a CUDA device that this machine does not have.
    """
    name = device if isinstance(device, str) else ""
    if name not in ("auto", "cpu") and not re.fullmatch(r"cuda(:\d+)?", name):
        raise ValueError(f"device must be 'auto', 'cpu', 'cuda' or 'cuda:i', got {device!r}")
    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if name == "auto":
        return torch.device("cuda" if count else "cpu")
    place = torch.device(name)
    if place.type == "cuda" and (place.index or 0) >= count:
        found = f"{count} CUDA devices" if count else "no CUDA device"
        raise ValueError(f"device must be one that is here, got {device!r}: torch finds {found}")
    return place


def cores() -> int:
    """CPU cores that this process may use, which may be fewer than the machine has."""
    if hasattr(os, "sched_getaffinity"):  # Linux
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def workers(device: str) -> int:
    """How many large pieces of work to do at a time: one for each of the :func:`cores`, or one in all for a GPU."""
    return cores() if as_device(device).type == "cpu" else 1


def held(setting: Callable[[], Callable[[], None]]) -> Callable[[], _GeneratorContextManager[None]]:
    """A context manager for a setting of the whole process, as a decorator of a function that makes it.

    The function returns what undoes it. Everyone who enters makes the setting; where several threads are inside, the
    last one out puts back what was set before the first.
    """
    lock, undo = Lock(), []

    @contextmanager
    @wraps(setting)
    def block() -> Iterator[None]:
        with lock:
            undo.append(setting())
        try:
            yield
        finally:
            with lock:
                undo_last = undo.pop()
                if not undo:
                    undo_last()

    return block


@held
def one_thread() -> Callable[[], None]:
    """One thread of torch's inside the block, and as many as before after it.

    Several for each small product do not help; what can be done side by side better has a thread of its own.
    """
    before = torch.get_num_threads()
    torch.set_num_threads(1)  # of the calling thread, and of those that torch has not seen yet
    return partial(torch.set_num_threads, before)


def as_dtype(dtype: str) -> torch.dtype:
    """``"float32"`` or ``"float64"``.

    Raises
    ------
    ValueError
        For another name.
    """
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return DTYPES[dtype]


def lacks_memory(error: BaseException) -> bool:
    """Whether an error says that memory has run out.

    What PyTorch allocates itself fails with torch.OutOfMemoryError. What the driver allocates fails as any other error
    of the device does, with a torch.AcceleratorError, and what a CUDA library does with a RuntimeError that names the
    library's status, as CUBLAS_STATUS_ALLOC_FAILED.
    """
    told = str(error).partition("\n")[0]
    if isinstance(error, torch.AcceleratorError):
        return "out of memory" in told
    if isinstance(error, RuntimeError) and "_STATUS_ALLOC_FAILED" in told:
        return True
    return isinstance(error, MemoryError | torch.OutOfMemoryError)


_lock = Lock()
_wishes: list[bool] = []  # of all who are inside `matrix_products`
_undo: list[Callable[[], None]] = []  # of the first of them


@contextmanager
def matrix_products(tf32: bool) -> Iterator[None]:
    """Whether float32 matrix products on a GPU may round their factors to 10 bits (TF32) inside the block.

    Without it they are exact to float32 on a CPU as well, where the caller's setting may be bfloat16.

    The setting belongs to the process: where several threads are inside, all must allow it, and the last one out puts
    back what was set before the first.
    """
    with _lock:
        _wishes.append(tf32)
        undo = _set_tf32(all(_wishes))
        if len(_wishes) == 1:
            _undo.append(undo)
    try:
        yield
    finally:
        with _lock:
            _wishes.remove(tf32)
            if _wishes:
                _set_tf32(all(_wishes))
            else:
                _undo.pop()()


def _set_tf32(tf32: bool) -> Callable[[], None]:
    """Set it the way it was set before, and tell how to undo that: PyTorch's two ways must not be mixed."""
    try:
        before = torch.get_float32_matmul_precision()
    except RuntimeError:  # somebody has used the newer way
        return _set_newer(tf32)
    torch.set_float32_matmul_precision("high" if tf32 else "highest")
    return partial(torch.set_float32_matmul_precision, before)


def _set_newer(tf32: bool) -> Callable[[], None]:
    backends: Any = torch.backends  # its stubs lack `mkldnn.matmul`
    wanted = {backends.cuda.matmul: "tf32" if tf32 else "ieee", backends.mkldnn.matmul: "ieee"}
    before = [(products, products.fp32_precision) for products in wanted]
    for products, precision in wanted.items():
        products.fp32_precision = precision

    def undo() -> None:
        for products, precision in before:
            products.fp32_precision = precision

    return undo
