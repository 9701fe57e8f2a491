"""The samplers by name: one draws every weight, the other only Gram matrices. They agree in law."""

from __future__ import annotations

from collections.abc import Callable

import xarray as xr

from .collective import Collective, sample_collective
from .samples import Sampler
from .sampling import Networks, sample_networks

_SAMPLERS: dict[str, tuple[Callable[..., xr.Dataset], Callable[..., Sampler]]] = {
    "networks": (sample_networks, Networks),
    "collective": (sample_collective, Collective),
}


def function_of(name: str) -> Callable[..., xr.Dataset]:
    """The function that returns every network.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    return _of(name)[0]


def class_of(name: str) -> Callable[..., Sampler]:
    """The sampler, made from a `Setup`.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    return _of(name)[1]


def _of(name: str) -> tuple[Callable[..., xr.Dataset], Callable[..., Sampler]]:
    if name not in _SAMPLERS:
        raise ValueError(f"sampler must be {' or '.join(map(repr, _SAMPLERS))}, got {name!r}")
    return _SAMPLERS[name]
