"""Explicit random networks: drawn in fixed blocks, fed with inputs, measured at every layer.

Every block of `BLOCK` networks has its own seed, so network i is the same network whatever the number of networks, the
order the blocks are computed in, or the number of workers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from meanfield import Ensemble
from meanfield.checks import real_array, sigma_w_array, whole_number
from meanfield.symmetry import Symmetry

from .activations import RadialFunction, radial, torch_activation
from .devices import as_device, as_dtype
from .layers import linear, weight_shape, weight_std
from .provenance import provenance

BLOCK = 16  # networks with one seed


def sample_networks(
    ensemble: Ensemble,
    inputs,
    *,
    width: int,
    depth: int,
    n_networks: int,
    seed: int = 0,
    sigma_w=None,
    d_0: float = 1.0,
    group_elements=None,
    dtype: str = "float32",
    device: str = "auto",
    executor: Executor | None = None,
    progress: Callable[[int], object] | None = None,
) -> xr.Dataset:
    """Draw independent networks and measure each at every layer,

        z^0 = V x / |x|,    z^{l+1} = W^l phi(z^l)    (paper Eq. (4), (19), (21)).

    The input layer V is not equivariant: all its real entries are independent Gaussians of variance d_0/D. Weights are
    untied: each layer draws its own (see `simulate.layers.weight_std` for their variance).

    Parameters
    ----------
    ensemble : meanfield.Ensemble
    inputs : array_like (inputs, features)
        Real input vectors x, the same for all networks. Only their directions enter, because of 1/|x|.
    width : N, capsules in a layer
    depth : L, layers after the input layer
    n_networks : int
    seed : int >= 0
    sigma_w : array_like, optional
        Values to use in place of the ensemble's own, all with the same draws of V and W (so that results at different
        sigma_w are correlated with each other, while networks stay independent).
    d_0 : float > 0
        E (1/N) sum_i |z_i^0|^2.
    group_elements : array_like (inputs, D, D), optional
        Orthogonal matrices that act on every capsule of z^0, one for each input.
    dtype : ``"float32"`` or ``"float64"``
        Precision of the states. Weights are drawn in float32, so that both precisions see the same networks.
    device : ``"auto"``, ``"cpu"`` or ``"cuda"``
        The generators of different devices draw different networks.
    executor : concurrent.futures.Executor, optional
        Computes blocks side by side (a ThreadPoolExecutor does, torch releases the interpreter lock).
    progress : callable, optional
        Called with the number of networks done, block by block.

    Returns
    -------
    xarray.Dataset
        Over ``network``, ``sigma_w`` and ``layer`` 0..L:
        `gram` (..., row, column), the matrix (1/N) sum_i phi(z_{i,a}) phi(z_{i,b})^T with rows (a, component) in turn,
        from which `simulate.observables` reads c, Delta, phi and Q; and `d` (..., input), (1/N) sum_i |z_{i,a}|^2.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or of the wrong shape.
    """
    sampler = _Sampler.create(ensemble, inputs, width, depth, seed, sigma_w, d_0, group_elements, dtype, device)
    n_networks = whole_number("n_networks", n_networks, 1)
    compute = map if executor is None else executor.map
    blocks = range(math.ceil(n_networks / BLOCK))
    grams, ds = [], []
    for block, (gram, d) in zip(blocks, compute(sampler.block, blocks), strict=True):
        wanted = min(BLOCK, n_networks - block * BLOCK)
        grams.append(gram[:wanted])
        ds.append(d[:wanted])
        if progress is not None:
            progress(wanted)
    return sampler.dataset(np.concatenate(grams), np.concatenate(ds))


@dataclass(frozen=True)
class _Sampler:
    ensemble: Ensemble
    directions: torch.Tensor  # (features, inputs)
    group_elements: torch.Tensor | None
    width: int
    depth: int
    seed: int
    sigma_w: np.ndarray
    d_0: float
    f: RadialFunction

    @classmethod
    def create(cls, ensemble, inputs, width, depth, seed, sigma_w, d_0, group_elements, dtype, device) -> _Sampler:
        if not isinstance(ensemble, Ensemble):
            raise ValueError(f"ensemble must be a meanfield.Ensemble, got {ensemble!r}")
        sigma_w = sigma_w_array(ensemble.sigma_w if sigma_w is None else sigma_w, ensemble.activation)
        if sigma_w.ndim > 1:
            raise ValueError(f"sigma_w must be a number or one-dimensional, got shape {sigma_w.shape}")
        d_0 = real_array("d_0", d_0, minimum=0.0, strict=True)
        if d_0.ndim:
            raise ValueError(f"d_0 must be one number, got shape {d_0.shape}")
        place = torch.empty(0, dtype=as_dtype(dtype), device=as_device(device))
        directions = torch.from_numpy(_directions(inputs).T.copy()).to(place)
        return cls(
            ensemble=ensemble,
            directions=directions,
            group_elements=_group_elements(group_elements, directions.shape[1], ensemble.symmetry, place),
            width=whole_number("width", width, 1),
            depth=whole_number("depth", depth, 0),
            seed=whole_number("seed", seed, 0),
            sigma_w=np.atleast_1d(sigma_w),
            d_0=float(d_0),
            f=torch_activation(ensemble.activation),
        )

    @property
    def symmetry(self) -> Symmetry:
        return self.ensemble.symmetry

    def block(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrices (BLOCK, sigma_w, layer, row, column) and d (BLOCK, sigma_w, layer, input) of one block."""
        generator = _generator(self.seed, index, self.directions.device)
        state = self._input_layer(generator)
        measured = []
        for layer in range(self.depth + 1):
            activity = radial(self.f, state, axis=2)
            measured.append((_gram(activity), _mean_square(state)))
            if layer < self.depth:
                state = self._hidden_layer(generator, activity)
        gram, d = (torch.stack(values, dim=2).double().cpu().numpy() for values in zip(*measured, strict=True))
        return gram, d

    # States are (network, capsule, component, sigma_w, input).

    def _input_layer(self, generator: torch.Generator) -> torch.Tensor:
        k, (features, inputs) = self.symmetry.capsule_dimension, self.directions.shape
        weights = self._normal(generator, (self.width * k, features))
        state = math.sqrt(self.d_0 / k) * (weights @ self.directions)
        state = state.reshape(BLOCK, self.width, k, inputs)
        if self.group_elements is not None:
            state = torch.einsum("ade,bnea->bnda", self.group_elements, state)
        return state[..., None, :].expand(BLOCK, self.width, k, self.sigma_w.size, inputs)

    def _hidden_layer(self, generator: torch.Generator, activity: torch.Tensor) -> torch.Tensor:
        weights = self._normal(generator, weight_shape(self.symmetry, self.width, self.width))
        product = linear(self.symmetry, weights, activity.flatten(start_dim=3)).reshape(activity.shape)
        scale = torch.from_numpy(weight_std(self.symmetry, self.width) * self.sigma_w).to(product)
        return scale[:, None] * product

    def _normal(self, generator: torch.Generator, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal numbers for each network of a block."""
        drawn = torch.randn((BLOCK, *shape), generator=generator, dtype=torch.float32, device=generator.device)
        return drawn.to(self.directions.dtype)

    def dataset(self, gram: np.ndarray, d: np.ndarray) -> xr.Dataset:
        leading = ("network", "sigma_w", "layer")
        return xr.Dataset(
            {
                "gram": ((*leading, "row", "column"), gram, {"long_name": "Gram matrix, rows (input, component)"}),
                "d": ((*leading, "input"), d, {"long_name": "pre-activation order parameter $d^l$"}),
            },
            coords={
                "sigma_w": ("sigma_w", self.sigma_w, {"long_name": r"weight scale $\sigma_w$"}),
                "layer": np.arange(self.depth + 1),
            },
            attrs={
                "symmetry": str(self.symmetry),
                "activation": self.ensemble.activation.name,
                "sampler": "networks",
                "width": self.width,
                "seed": self.seed,
                "d_0": self.d_0,
                "dtype": str(self.directions.dtype).removeprefix("torch."),
                "device": self.directions.device.type,
                **provenance(),
            },
        )


def _directions(inputs) -> np.ndarray:
    inputs = real_array("inputs", inputs)
    if inputs.ndim != 2:
        raise ValueError(f"inputs must have shape (inputs, features), got {inputs.shape}")
    norms = np.sqrt(np.sum(inputs**2, axis=1, keepdims=True))
    if not norms.all():
        raise ValueError(f"inputs must not contain a zero vector, got one at index {int(np.argmin(norms))}")
    return inputs / norms


def _group_elements(group_elements, inputs: int, symmetry: Symmetry, place: torch.Tensor) -> torch.Tensor | None:
    if group_elements is None:
        return None
    elements, k = real_array("group_elements", group_elements), symmetry.capsule_dimension
    if elements.shape != (inputs, k, k):
        raise ValueError(f"group_elements must have shape (inputs, D, D) = {(inputs, k, k)}, got {elements.shape}")
    if not np.allclose(elements @ elements.swapaxes(1, 2), np.eye(k), rtol=0.0, atol=1e-12):
        raise ValueError("group_elements must be orthogonal matrices, got one that is not")
    return torch.from_numpy(elements).to(place)


def plane_rotation(dimension: int, angle: float) -> np.ndarray:
    """The rotation of R^D by `angle` in the plane of the first two components; for U(1), multiplication by e^{i angle}.

    Raises
    ------
    ValueError
        For D < 2, which has no rotations.
    """
    dimension = whole_number("dimension", dimension, 2)
    rotation = np.eye(dimension)
    rotation[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return rotation


def _generator(seed: int, block: int, device: torch.device) -> torch.Generator:
    # torch's CPU generator keeps 32 bits of a seed
    (state,) = np.random.SeedSequence(seed, spawn_key=(block,)).generate_state(1)
    return torch.Generator(device).manual_seed(int(state))


def _gram(activity: torch.Tensor) -> torch.Tensor:
    """(1/N) sum_i phi(z_{i,a}) phi(z_{i,b})^T, shape (network, sigma_w, inputs D, inputs D)."""
    networks, width, k, points, inputs = activity.shape
    rows = activity.permute(0, 3, 4, 2, 1).reshape(networks, points, inputs * k, width)
    return rows @ rows.mT / width


def _mean_square(state: torch.Tensor) -> torch.Tensor:
    """(1/N) sum_i |z_i|^2, shape (network, sigma_w, inputs)."""
    return (state * state).sum(dim=2).mean(dim=1)
