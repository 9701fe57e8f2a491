import os
import re
from contextlib import ExitStack

import pytest
import torch

from simulate.devices import as_device, as_dtype, cores, lacks_memory, matrix_products, one_thread, workers


def test_names():
    assert as_device("cpu") == torch.device("cpu")
    assert as_device("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")
    assert as_dtype("float32") is torch.float32
    assert as_dtype("float64") is torch.float64


def test_auto_takes_cuda_where_there_is_one(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 2)
    assert as_device("auto") == as_device("cuda") == torch.device("cuda")
    assert as_device("cuda:1") == torch.device("cuda", 1)
    assert as_device("cpu") == torch.device("cpu")
    with pytest.raises(ValueError, match="device must be one that is here, got 'cuda:2': torch finds 2 CUDA devices"):
        as_device("cuda:2")


def test_cuda_on_a_machine_without_it(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    with pytest.raises(ValueError, match="torch finds no CUDA device"):
        as_device("cuda")


@pytest.mark.parametrize(("function", "value"), [(as_device, "gpu"), (as_device, "cuda:x"), (as_dtype, "float16")])
def test_unknown_names(function, value):
    with pytest.raises(ValueError, match=f"must be .*, got '{value}'"):
        function(value)


@pytest.mark.parametrize(("function", "value"), [(as_device, ["cpu"]), (as_dtype, ["float32"]), (as_dtype, None)])
def test_what_is_no_name(function, value):
    with pytest.raises(ValueError, match=f"must be .*, got {re.escape(repr(value))}"):
        function(value)


def test_cores_are_those_that_may_be_used(monkeypatch):
    monkeypatch.setattr(os, "cpu_count", lambda: 128)
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {3, 5, 8}, raising=False)
    assert cores() == workers("cpu") == 3
    monkeypatch.delattr(os, "sched_getaffinity")
    assert cores() == 128


@pytest.mark.parametrize(
    ("error", "lacks"),
    [
        (torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2 GiB"), True),
        (torch.AcceleratorError("CUDA error: out of memory\nCUDA kernel errors might be reported later"), True),
        (RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling `cublasCreate(handle)`"), True),
        (MemoryError(), True),
        (torch.AcceleratorError("CUDA error: an illegal memory access was encountered"), False),
        (RuntimeError("CUDA error: CUBLAS_STATUS_EXECUTION_FAILED when calling `cublasSgemm`"), False),
        (ValueError("CUBLAS_STATUS_ALLOC_FAILED"), False),
    ],
)
def test_what_says_that_memory_has_run_out(error, lacks):
    assert lacks_memory(error) is lacks


def test_products_are_exact_unless_asked_for_and_the_setting_is_put_back():
    torch.set_float32_matmul_precision("high")
    with matrix_products(tf32=False):
        assert torch.get_float32_matmul_precision() == "highest"
    assert torch.get_float32_matmul_precision() == "high"
    torch.set_float32_matmul_precision("highest")
    with matrix_products(tf32=True):
        assert torch.get_float32_matmul_precision() == "high"
    assert torch.get_float32_matmul_precision() == "highest"


@pytest.mark.parametrize("before", ["high", "highest"])
def test_threads_inside_together_are_exact_unless_all_allow_it(before):
    """Entered and left in the order of two threads that overlap."""
    try:
        torch.set_float32_matmul_precision(before)
        first, second = ExitStack(), ExitStack()
        first.enter_context(matrix_products(tf32=True))
        assert torch.get_float32_matmul_precision() == "high"
        second.enter_context(matrix_products(tf32=False))
        assert torch.get_float32_matmul_precision() == "highest"
        first.close()
        assert torch.get_float32_matmul_precision() == "highest"
        first.enter_context(matrix_products(tf32=True))
        second.close()
        assert torch.get_float32_matmul_precision() == "high"
        first.close()
        assert torch.get_float32_matmul_precision() == before
    finally:
        torch.set_float32_matmul_precision("highest")


def test_one_thread_is_put_back_by_the_last_one_out():
    """As two threads of a pool overlap; what stayed was one thread, for all threads to come."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        first, second = ExitStack(), ExitStack()
        first.enter_context(one_thread())
        second.enter_context(one_thread())
        first.close()
        assert torch.get_num_threads() == 1
        second.close()
        assert torch.get_num_threads() == 2
    finally:
        torch.set_num_threads(before)


def test_matrix_products_where_the_newer_setting_is_in_use():
    """Reading the older one fails there: PyTorch does not let the two be mixed."""
    newer, on_cpu = torch.backends.cuda.matmul, torch.backends.mkldnn.matmul
    try:
        newer.fp32_precision = "tf32"
        with pytest.raises(RuntimeError, match="mix of the legacy and new APIs"):
            torch.get_float32_matmul_precision()
        with matrix_products(tf32=False):
            assert newer.fp32_precision == "ieee"
        assert newer.fp32_precision == "tf32"
        newer.fp32_precision = "ieee"
        with matrix_products(tf32=True):
            assert newer.fp32_precision == "tf32"
        assert newer.fp32_precision == "ieee"
        on_cpu.fp32_precision = "bf16"
        with matrix_products(tf32=False):
            assert on_cpu.fp32_precision == "ieee"
        assert on_cpu.fp32_precision == "bf16"
    finally:
        on_cpu.fp32_precision = "none"
        newer.fp32_precision = "ieee"
        torch.set_float32_matmul_precision("highest")
