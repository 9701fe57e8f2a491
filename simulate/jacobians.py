"""Jacobians of explicit random networks, by pushing directions forward through their layers."""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from meanfield import Ensemble
from meanfield.checks import whole_number

from .activations import RadialFunction, torch_activation
from .blocks import BLOCK, Progress, derived_seed, generator
from .devices import as_dtype, matrix_products
from .gram import mean_square, squares
from .samples import sample
from .sampling import Draws, Networks
from .scale import column, reach, scaled_radial
from .setup import Setup, flag
from .tangents import Capsules, generators, torch_derivative

LONG_NAMES = {
    "d": "pre-activation order parameter $d^l$, Eq. (50)",
    "amplitude": r"part of $\chi_J$ along the capsules' radii",
    "angular": r"part of $\chi_J$ at right angles to the radii",
    "protected": r"protected component $\sum_A |J^l A z^0|^2/N$, Eq. (7), (54)",
    "residual": r"relative distance of $J^l A z^0$ from $A z^l$, Eq. (52)",
    "norm": "mean squared singular value of $J^l$",
    "norm_se": "standard error of the norm from its random directions",
    "singular_values": "singular values of $J^L$, largest first",
}
DIRECTION_BYTES = 80  # for each component of each direction, in either precision: its copies, found to be up to 64
DIMS = dict.fromkeys(LONG_NAMES, ("network", "sigma_w", "layer", "input"))
DIMS["singular_values"] = ("network", "sigma_w", "input", "rank")


def sample_jacobians(
    ensemble: Ensemble,
    inputs,
    *,
    width: int,
    depth: int,
    n_networks: int,
    seed: int = 0,
    sigma_w=None,
    d_0=1.0,
    probes: int | None = None,
    spectrum: bool = False,
    group_elements=None,
    dtype: str = "float64",
    device: str = "auto",
    memory: float | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Measure the Jacobian J^l = dz^l/dz^0 of independent networks, z^{l+1} = W^l phi(z^l), at every layer.

    No Jacobian is stored: directions v at layer 0 are carried along with the state, v -> W^l D(z^l) v
    (`simulate.tangents`). The networks are those that :func:`simulate.sample_networks` draws from the same seed.

    Parameters
    ----------
    ensemble, inputs, width, depth, n_networks, seed, sigma_w, d_0, group_elements, device, memory, executor, progress
        As for :func:`simulate.sample_networks`.
    probes : int, optional
        Directions per network for the norm of J: all N D of a basis, which is exact, if left out; else so many (0, or
        2 and more) random ones g with entries +-1, for which E |J g|^2 = |J|_F^2. The result then has `norm_se`; 0
        leaves the norm out.
    spectrum : bool
        Also find the singular values of J at the last layer; needs all directions.
    dtype : ``"float64"`` or ``"float32"``
        Rounding grows with the Jacobian, so that the identity of Eq. (52) holds to about eps |J|.

    Returns
    -------
    xarray.Dataset
        Over ``network``, ``sigma_w``, ``layer`` 0..L and ``input``, normalised as in
        :func:`meanfield.jacobian.jacobian_trajectory`:

        - `d`: (1/N) sum_i |z_i^l|^2, Eq. (50);
        - `amplitude` and `angular`, whose sum is the mean over W^l of |W^l D(z^l)|_F^2/(N D), at the network's own z^l:
          (sigma_w^2/D) times the capsules' means of f'(r)^2 and of (D-1)(f(r)/r)^2;
        - `protected`: (1/N) sum_A |J^l A z^0|^2 over the D (D-1)/2 generators A of the rotations of a capsule, Eq. (7);
          for generic networks what they make of the same directions. And
          `residual`: sqrt(sum_A |J^l A z^0 - A z^l|^2/sum_A |A z^l|^2), which Eq. (52) says is 0 for equivariant
          networks, as it is where z^l = 0. Both are absent for D = 1, which has no rotations;
        - `norm`: |J^l|_F^2/(N D), the mean squared singular value; `norm_se` is the standard error that its random
          directions leave in each network;
        - `singular_values` over ``rank`` 0..N D - 1 in place of the layer.

        A run that was stopped warns and returns the networks that were finished, with the attribute ``partial`` 1.

    Raises
    ------
    ValueError
        Naming the argument that is out of range; where the Jacobian leaves the range of `dtype`.
    """
    if probes is not None and whole_number("probes", probes, 0) == 1:
        raise ValueError("probes must be 0, or at least 2 for a standard error, got 1")
    if flag("spectrum", spectrum) and probes is not None:
        raise ValueError(f"probes must be left out for a spectrum, which needs all directions, got {probes}")
    setup = Setup.create(
        ensemble,
        inputs,
        width=width,
        depth=depth,
        seed=seed,
        sigma_w=sigma_w,
        d_0=d_0,
        group_elements=group_elements,
        dtype=dtype,
        device=device,
    )
    sampler = Jacobians(setup, probes, spectrum)
    return sample(
        sampler,
        n_networks,
        memory,
        executor,
        progress,
        result_bytes=sampler.result_bytes,
        dataset=sampler.dataset,
    )


@dataclass(frozen=True)
class Jacobians:
    """Called with a range of blocks, it yields what is measured of their networks, (network, sigma_w, layer, input)."""

    setup: Setup
    probes: int | None
    spectrum: bool

    @property
    def directions(self) -> int:
        """How many directions are carried along for each input."""
        k = self.setup.symmetry.capsule_dimension
        return self._orbit + (self.setup.width * k if self.probes is None else self.probes)

    @property
    def block_bytes(self) -> float:
        """An estimate, from above, of the memory that one block takes."""
        setup = self.setup
        components = setup.width * setup.symmetry.capsule_dimension * len(setup.directions) * setup.sigma_w.size
        return Networks(setup).block_bytes + float(BLOCK * components * self.directions * DIRECTION_BYTES)

    @property
    def result_bytes(self) -> int:
        """Size of one network's results."""
        setup = self.setup
        rows = len(LONG_NAMES) * (setup.depth + 1) + self.spectrum * setup.width * setup.symmetry.capsule_dimension
        return 8 * setup.sigma_w.size * len(setup.directions) * rows

    @property
    def advice(self) -> str:
        """What would need less memory."""
        return f"with {self.directions} directions each; probes sets how many"

    def __call__(self, blocks: range) -> dict[str, np.ndarray]:
        layers = []
        with matrix_products(tf32=False), np.errstate(over="ignore", invalid="ignore"):
            for layer in self._layers(blocks):
                layers.append(self._measured(layer))
            out = {name: torch.stack([one[name] for one in layers], dim=2) for name in layers[0]}
            if self.spectrum:
                out["singular_values"] = _singular_values(layer.tangents[..., self._orbit :])
        self._require_range(out)
        return {name: values.cpu().numpy() for name, values in out.items()}

    def dataset(self, parts: list[dict[str, np.ndarray]], taken: int) -> xr.Dataset:
        """The first networks of all blocks, labelled."""
        variables = {}
        for name in parts[0]:
            values = np.concatenate([part[name] for part in parts])[:taken]
            variables[name] = (DIMS[name], values, {"long_name": LONG_NAMES[name]})
        probes = "all" if self.probes is None else self.probes
        return xr.Dataset(variables, self.setup.coordinates, {**self.setup.attributes, "probes": probes})

    @property
    def _orbit(self) -> int:
        """The first directions are those of A z^0, one for each generator A."""
        k = self.setup.symmetry.capsule_dimension
        return k * (k - 1) // 2

    def _require_range(self, out: dict[str, torch.Tensor]) -> None:
        """Refuse directions that have grown or shrunk beyond numbers of `dtype`."""
        told = f"depth must be small enough for a Jacobian in {self.setup.dtype}, got {self.setup.depth}"
        for name, values in out.items():
            if not torch.isfinite(values).all():
                raise ValueError(f"{told}: {name} is not finite")
        smallest = torch.finfo(as_dtype(self.setup.dtype)).tiny ** 2  # of a square: for float64 it is 0
        # J is truly 0 after a layer that lets nothing through, as for sigma_w = 0
        passed = torch.cumprod((out["amplitude"] + out["angular"])[:, :, :-1] > 0.0, dim=2).bool()
        for name in ("protected", "norm"):
            if name in out and (passed & (out[name][:, :, 1:] < smallest * out[name][:, :, :1])).any():
                raise ValueError(f"{told}: {name} is too small")

    def _layers(self, blocks: range) -> Iterator[_Layer]:
        """The state, its nonlinearity, and the directions, layer by layer."""
        setup = self.setup
        draws, f = Draws(setup, blocks), torch_activation(setup.ensemble.activation)
        derivative = torch_derivative(setup.ensemble.activation)
        state, start = draws.input_layer()
        scale = start
        tangents = torch.cat([_turned(setup, state), self._probes(state, blocks)], dim=-1)
        for layer in range(setup.depth + 1):
            capsules = _capsules(f, derivative, state, scale)
            yield _Layer(state, scale, start, capsules, tangents)
            if layer < setup.depth:
                weights = draws.hidden_layer()
                pushed = capsules(tangents)
                tangents = weights(pushed.flatten(start_dim=4)).reshape(pushed.shape)
                activity, size = scaled_radial(f, state, squares(state), scale)
                root = size * mean_square(squares(activity)).sqrt().cpu().numpy()
                state, scale = weights.next_state(activity, size, root)
                del weights  # else these would still be here while the next are drawn

    def _probes(self, state: torch.Tensor, blocks: range) -> torch.Tensor:
        """All directions of a basis, or random signs, (network, capsule, component, sigma_w, input, direction)."""
        setup = self.setup
        width, k = setup.width, setup.symmetry.capsule_dimension
        if self.probes is None:
            basis = torch.eye(width * k, dtype=state.dtype, device=state.device)
            return basis.reshape(width, k, 1, 1, -1).expand(*state.shape, width * k)
        # one set of directions serves all sigma_w and inputs; they come from another source than the weights
        seed = derived_seed(setup.seed, 0, 1)
        drawn = torch.empty((len(state), width, k, 1, 1, self.probes), dtype=state.dtype, device=state.device)
        for block, signs in zip(blocks, drawn.split(BLOCK), strict=True):
            signs.bernoulli_(0.5, generator=generator(seed, block, state.device))
        return (2.0 * drawn - 1.0).expand(*state.shape, self.probes)

    def _measured(self, layer: _Layer) -> dict[str, torch.Tensor]:
        """Everything at one layer, (network, sigma_w, input)."""
        setup, capsules = self.setup, layer.capsules
        k, width = setup.symmetry.capsule_dimension, setup.width
        power = torch.from_numpy(setup.sigma_w**2).to(layer.state.device)[:, None] / k
        scale, start = (torch.from_numpy(x).to(layer.state.device) for x in (layer.scale, layer.start))
        out = {
            "d": _sum_of_squares(layer.state) / width * scale * scale,
            "amplitude": power * _sum_of_squares(capsules.amplitude) / width,
            "angular": power * (k - 1) * _sum_of_squares(capsules.angular) / width,
        }
        if self._orbit:
            orbit, expected = layer.tangents[..., : self._orbit], _turned(setup, layer.state)
            out["protected"] = _sum_of_squares(orbit).sum(-1) / width * start * start
            off = orbit * (start / scale)[:, None, None, ..., None] - expected
            distance, size = _sum_of_squares(off).sum(-1), _sum_of_squares(expected).sum(-1)
            out["residual"] = torch.where(size > 0.0, distance / size, 0.0).sqrt()
        squares = _sum_of_squares(layer.tangents[..., self._orbit :])
        if self.probes is None:
            out["norm"] = squares.sum(-1) / (width * k)
        elif self.probes:
            out["norm"] = squares.mean(-1) / (width * k)
            out["norm_se"] = squares.std(-1) / (width * k * math.sqrt(self.probes))
        return out


@dataclass(frozen=True)
class _Layer:
    """What a layer is: z = scale * state, its nonlinearity, and the directions; those of the orbit are J A z^0/start,
    with the scale that z^0 has."""

    state: torch.Tensor
    scale: np.ndarray
    start: np.ndarray
    capsules: Capsules
    tangents: torch.Tensor


def _capsules(f: RadialFunction, derivative: RadialFunction, state: torch.Tensor, scale: np.ndarray) -> Capsules:
    """What phi does to small changes of scale * state."""
    inside, size = reach(f, scale, state.dtype)
    t, factor = column(inside, state), column(size / scale, state)
    return Capsules(lambda r: factor * f(t * r), lambda r: factor * t * derivative(t * r), state)


def _turned(setup: Setup, state: torch.Tensor) -> torch.Tensor:
    """A z for each generator A, in the last axis."""
    return torch.einsum("ade,bne...->bnd...a", setup.tensor(generators(setup.symmetry.capsule_dimension)), state)


def _sum_of_squares(values: torch.Tensor) -> torch.Tensor:
    """Over capsules and components."""
    return values.double().square().sum(dim=(1, 2))


def _singular_values(tangents: torch.Tensor) -> torch.Tensor:
    """Of the matrix whose columns are the images of a basis, (network, sigma_w, input, rank)."""
    columns = tangents.double().flatten(start_dim=1, end_dim=2)
    return torch.linalg.svdvals(columns.movedim(1, -2))
