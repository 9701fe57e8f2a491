"""The samplers by name: one draws every weight, the other only Gram matrices. They agree in law."""

from __future__ import annotations

from collections.abc import Callable

import xarray as xr

from .collective import Collective, sample_collective
from .samples import Sampler
from .sampling import Networks, sample_networks
from .setup import Setup

_SAMPLERS: dict[str, tuple[Callable[..., xr.Dataset], Callable[[Setup, int], Sampler]]] = {
    "networks": (sample_networks, lambda setup, n_networks: Networks(setup)),
    "collective": (sample_collective, lambda setup, n_networks: Collective(setup, n_networks=n_networks)),
}


def function_of(name: str) -> Callable[..., xr.Dataset]:
    """The function that returns every network.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    return _of(name)[0]


def sampler_of(name: str, setup: Setup, n_networks: int) -> Sampler:
    """The sampler of a run that wants so many networks.

    Raises
    ------
    ValueError
        For an unknown name.
    """
    return _of(name)[1](setup, n_networks)


def _of(name: str) -> tuple[Callable[..., xr.Dataset], Callable[[Setup, int], Sampler]]:
    if not isinstance(name, str) or name not in _SAMPLERS:
        raise ValueError(f"sampler must be {' or '.join(map(repr, _SAMPLERS))}, got {name!r}")
    return _SAMPLERS[name]
