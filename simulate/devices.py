"""Devices and precisions by name."""

from __future__ import annotations

import torch

DTYPES = {"float32": torch.float32, "float64": torch.float64}


def as_device(device: str) -> torch.device:
    """``"auto"`` (CUDA where there is one), ``"cpu"`` or ``"cuda"``.

    Raises
    ------
    ValueError
        For another name, or for ``"cuda"`` on a machine without it.
    """
    if device not in ("auto", "cpu", "cuda"):
        raise ValueError(f"device must be 'auto', 'cpu' or 'cuda', got {device!r}")
    if device == "cuda" and not torch.cuda.is_available():
        raise ValueError("device must be 'auto' or 'cpu' here, got 'cuda': torch finds no CUDA device")
    return torch.device("cuda" if device != "cpu" and torch.cuda.is_available() else "cpu")


def as_dtype(dtype: str) -> torch.dtype:
    """``"float32"`` or ``"float64"``.

    Raises
    ------
    ValueError
        For another name.
    """
    if dtype not in DTYPES:
        raise ValueError(f"dtype must be 'float32' or 'float64', got {dtype!r}")
    return DTYPES[dtype]
