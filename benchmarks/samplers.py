"""Ensembles of random networks: against a plain loop over networks, the machine's limit, and the collective sampler."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import numpy as np
import torch

from meanfield import Ensemble
from simulate import sample_collective, sample_networks
from simulate.blocks import BLOCK
from simulate.devices import as_device
from simulate.layers import weight_shape

from .record import Entry, Job, Scale, Target
from .timing import measure

ENSEMBLE = Ensemble("U(1)", "tanh", 1.5)
FEW, MANY = 2, 64  # inputs


def jobs(scale: Scale) -> Iterator[Job]:
    """One block of networks in float32, few inputs and many; then how the time grows with width, depth and inputs."""
    width, depth = (512, 10) if scale.full else (8, 2)
    for inputs in (FEW, MANY):
        yield _explicit(width, depth, inputs, scale)
    yield _collective(1024 if scale.full else 8, depth, scale)
    for name, sizes in _scaling(width, depth):
        yield Job(f"explicit, {name}", "block", _entry(lambda sizes=sizes: _sample(sample_networks, *sizes), scale))
        yield Job(f"collective, {name}", "block", _entry(lambda sizes=sizes: _sample(sample_collective, *sizes), scale))


def _explicit(width: int, depth: int, inputs: int, scale: Scale) -> Job:
    ours = _entry(lambda: _sample(sample_networks, width, depth, inputs), scale)
    limit = _entry(
        lambda: _weights_and_products(width, depth, inputs), scale, "torch.randn and torch.bmm of its shapes"
    )
    loop = _entry(lambda: _plain_loop(width, depth, inputs), scale, "plain loop over networks, complex")
    name = f"{BLOCK} networks, N = {width}, L = {depth}, {inputs} inputs"
    return Job(name, "block", ours, (limit, loop), Target(ratio=0.7, than=limit.who) if scale.full else None)


def _collective(width: int, depth: int, scale: Scale) -> Job:
    ours = _entry(lambda: _sample(sample_collective, width, depth, FEW), scale, "collective")
    explicit = _entry(lambda: _sample(sample_networks, width, depth, FEW), scale, "explicit sampler")
    target = Target(ratio=100.0, than=explicit.who) if scale.full else None
    return Job(f"collective: {BLOCK} networks, N = {width}, L = {depth}", "block", ours, (explicit,), target)


def _scaling(width: int, depth: int) -> Iterator[tuple[str, tuple[int, int, int]]]:
    small = width // 4
    yield f"N = {small}, L = {depth}, B = {FEW}", (small, depth, FEW)
    yield f"N = {2 * small}, L = {depth}, B = {FEW}", (2 * small, depth, FEW)
    yield f"N = {small}, L = {2 * depth}, B = {FEW}", (small, 2 * depth, FEW)
    yield f"N = {small}, L = {depth}, B = {2 * FEW}", (small, depth, 2 * FEW)


def _entry(function: Callable[[], object], scale: Scale, who: str = "simulate") -> Entry:
    return Entry(who, measure(function, scale.budget)[1], None)


def _sample(sampler: Callable, width: int, depth: int, inputs: int):
    return sampler(ENSEMBLE, _inputs(inputs), width=width, depth=depth, n_networks=BLOCK)


def _inputs(inputs: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(inputs, 64))


def _weights_and_products(width: int, depth: int, inputs: int) -> float:
    """What no explicit sampler can do without: draw the weights, multiply by them."""
    device = as_device("auto")
    state = torch.randn(BLOCK, width, ENSEMBLE.symmetry.capsule_dimension * inputs, device=device)
    for _ in range(depth):
        product = torch.bmm(torch.randn(BLOCK, *weight_shape(ENSEMBLE.symmetry, width, width), device=device), state)
    return float(product[0, 0, 0])  # waits for a GPU


def _plain_loop(width: int, depth: int, inputs: int) -> list[list[float]]:
    """Eq. (4) to (6) as they are written, network by network."""
    device, found = as_device("auto"), []
    x = torch.from_numpy(_inputs(inputs).T).to(dtype=torch.complex64, device=device)
    x = x / x.abs().square().sum(0, keepdim=True).sqrt()
    for _ in range(BLOCK):
        z = torch.randn(width, len(x), dtype=torch.complex64, device=device) @ x
        found.append([])
        for layer in range(depth + 1):
            phi = torch.tanh(z.abs()) / z.abs() * z
            covariance = phi.T @ phi.conj() / width
            found[-1].append(float(covariance[0, 0].real))
            if layer < depth:
                w = torch.randn(width, width, dtype=torch.complex64, device=device) / math.sqrt(width)
                z = ENSEMBLE.sigma_w * (w @ phi)
    return found
