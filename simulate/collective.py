"""The Gram matrix of random networks as a Markov chain, sampled without ever forming a weight.

Given the activities of one layer, the N capsules of the next are independent Gaussian vectors, since the rows of W are
independent (paper Eq. (4), (19), (21)). Their covariance is linear in the Gram matrix of the layer, so the Gram
matrices of successive layers are a Markov chain at every width N, not only in the limit N -> infinity of Eq. (8) and
(49). One step takes N draws of a Gaussian vector instead of a product with an N x N matrix.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import torch
import xarray as xr

from meanfield import Ensemble
from meanfield.checks import check_gram, real_array
from meanfield.symmetry import Symmetry

from .activations import RadialFunction, torch_activation
from .blocks import BLOCK, Progress, generator
from .devices import as_dtype, matrix_products
from .gaussian import cholesky_rows, triangular_factor
from .samples import require_finite, sample_gram
from .setup import Setup

CHUNK = {"cpu": 2**17, "cuda": 2**23}  # random numbers at a time: what fits into a processor's cache
PENDING = 64  # factors of chunks that are merged at a time


def sample_collective(
    ensemble: Ensemble,
    inputs=None,
    *,
    gram=None,
    width: int,
    depth: int,
    n_networks: int,
    seed: int = 0,
    sigma_w=None,
    d_0=1.0,
    group_elements=None,
    dtype: str = "float32",
    device: str = "auto",
    memory: float | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Sample what :func:`simulate.sample_networks` measures, from the same law, in a time proportional to the width N.

    With G^l the Gram matrix of the activities phi(z^l) of all inputs and components, the capsules of layer l + 1 are
    independent of each other, Gaussian, and have the covariances (a, b inputs; m, n components)

        U(1):       E z_a conj(z_b)      = sigma_w^2 C_ab, circular: E z_a z_b = 0    (C_ab of Eq. (10), one network's)
        O(k):       E z_{a,m} z_{b,n}    = sigma_w^2 Q_{ab,mn}
        generic(k): E z_{a,m} z_{b,n}    = sigma_w^2 delta_mn tr(Q_ab) / k

    An asymmetry of the ensemble makes it that share of the last one and the rest of another; a sigma_b adds sigma_b^2
    delta_mn / k to all of them.

    The square root of the covariance is taken from the activities and not from their Gram matrix. Inputs that are equal
    or opposite stay so to the last bit; others are told apart as long as 1 - rho exceeds about 1e-29 (1e-11 for
    float32), and taken to be equal below. (What `gram` shows of 1 - rho is rounded to 1e-15, or 1e-7.) Each input's
    activities are scaled by their size, so that c may be as small as float64 numbers can be, with either `dtype`;
    what is smaller becomes zero.

    Memory does not grow with the width. Time grows with the square of the rows of a Gram matrix, inputs times D, too:
    drawing every weight is faster unless N is some ten times as large. For 50 networks of 20 layers and two inputs, on
    one thread of a CPU, O(8) of N = 512 took 0.7 s in place of 4.0 s, but O(64) of N = 128 took 22 s in place of 7 s.

    Parameters
    ----------
    ensemble, inputs, width, depth, n_networks, seed, sigma_w, d_0, group_elements, device, memory, executor, progress
        As for :func:`simulate.sample_networks`. The draws are others: the two samplers agree in law, not network by
        network.
    gram : array_like (inputs D, inputs D), optional
        In place of `inputs` and `d_0`, the covariance E z_i^0 z_i^0^T of each capsule of z^0, rows (input, component).
        The input layer is the case sqrt(d_a d_b)/D x_a x_b / (|x_a| |x_b|), times the identity on components. For U(1)
        also the complex (inputs, inputs) of E z_a conj(z_b), as :func:`meanfield.as_gram` makes it.
    dtype : ``"float32"`` or ``"float64"``
        Precision of the states; sums over the capsules are float64 in any case, beyond those of a small chunk.

    Returns
    -------
    xarray.Dataset
        As :func:`simulate.sample_networks` returns it. With `gram`, the attribute ``start`` holds its entries in
        place of ``d_0``.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or of the wrong shape.
    OverflowError
        When an unbounded activation makes c larger than float64 numbers can be.
    """
    covariance = None if gram is None else _covariance(gram, ensemble)
    if (inputs is None) == (covariance is None):
        raise ValueError(f"inputs or gram must be given, and not both, got {'neither' if inputs is None else 'both'}")
    if covariance is not None:
        if np.ndim(d_0) or d_0 != 1.0:
            raise ValueError(f"d_0 must be left out where gram is given, got {d_0!r}")
        inputs = np.eye(len(covariance) // ensemble.symmetry.capsule_dimension)
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
    sampler = Collective(setup, covariance, n_networks)
    samples = sample_gram(sampler, n_networks, memory, executor, progress)
    if covariance is not None:
        del samples.attrs["d_0"]
        samples.attrs["start"] = covariance.ravel()
    return samples


@dataclass(frozen=True)
class Collective:
    """The sampler that draws Gram matrices only. Called with a range of blocks, it yields them and d.

    Attributes
    ----------
    setup : Setup
        Without `covariance`, its directions and d_0 are those of the input layer.
    covariance : (inputs D, inputs D) of a capsule of z^0, optional
    n_networks : int, optional
        Networks that are wanted: wide networks beyond them are not computed.
    """

    setup: Setup
    covariance: np.ndarray | None = None
    n_networks: int | None = None
    name = "collective"

    def __post_init__(self) -> None:
        if self.setup.tf32:
            raise ValueError("tf32 must be False for the sampler 'collective', which needs all bits, got True")

    @property
    def block_bytes(self) -> float:
        """An estimate, from above, of the memory that one block takes."""
        item, size = as_dtype(self.setup.dtype).itemsize, self.setup.rows
        numbers = max(CHUNK[torch.device(self.setup.device).type], BLOCK * size)
        chunk = 24 * numbers * item
        factors = 8 * (PENDING + 8) * BLOCK * self.setup.sigma_w.size * size**2
        return float(chunk + factors + 3 * BLOCK * self.setup.result_bytes)

    @property
    def advice(self) -> str:
        """What would need less memory: not a smaller width."""
        return "fewer inputs, layers or values of sigma_w need less"

    def __call__(self, blocks: range) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrices (network, sigma_w, layer, row, column) and d (network, sigma_w, layer, input)."""
        sources = [generator(self.setup.seed, block, torch.device(self.setup.device)) for block in blocks]
        with matrix_products(tf32=False):
            if self._side_by_side:
                parts = [self._chain(sources, BLOCK)]
            else:
                parts = [
                    self._chain([source], 1)
                    for block, source in zip(blocks, sources, strict=True)
                    for _ in range(self._wanted(block))
                ]
        gram, d = (np.concatenate(arrays) for arrays in zip(*parts, strict=True))
        require_finite(self.setup, gram, d)
        return self._all_inputs(gram, d)

    @property
    def _side_by_side(self) -> bool:
        """Whether the networks of a block are drawn together, as narrow ones are, or one after the other."""
        return BLOCK * self.setup.width * self._rows <= CHUNK[torch.device(self.setup.device).type]

    def _wanted(self, block: int) -> int:
        return BLOCK if self.n_networks is None else min(BLOCK, self.n_networks - block * BLOCK)

    @cached_property
    def _start(self) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """A square root of the covariance of z^0 over the inputs that differ; and each input's place among them, and
        its sign."""
        setup, k = self.setup, self.setup.symmetry.capsule_dimension
        if self.covariance is not None:
            rows = cholesky_rows(self.covariance).reshape(-1, k, setup.rows)
        else:
            lengths = np.sqrt(setup.d_0 / k)[:, None] * setup.directions
            rows = np.einsum("ce,af->acef", np.eye(k), lengths)
            rows = rows.reshape(len(rows), k, -1)
        if setup.group_elements is not None:
            rows = setup.group_elements @ rows
        # a bias is the same for opposite inputs, which then do not stay opposite
        kept, place, sign = _distinct(rows, opposite=not setup.ensemble.sigma_b)
        different = torch.from_numpy(rows[kept].reshape(len(kept) * k, -1))
        return triangular_factor(different, torch.finfo(torch.float64).eps).numpy(), place, sign

    @property
    def _rows(self) -> int:
        """Rows of the Gram matrix of the inputs that differ."""
        return len(self._start[0])

    def _all_inputs(self, gram: np.ndarray, d: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Results for every input from those for the inputs that differ."""
        _, place, sign = self._start
        k = self.setup.symmetry.capsule_dimension
        rows = (place[:, None] * k + np.arange(k)).ravel()
        signs = np.repeat(sign, k)
        return gram[..., rows[:, None], rows] * signs[:, None] * signs, d[..., place]

    def _chain(self, sources: list[torch.Generator], each: int) -> tuple[np.ndarray, np.ndarray]:
        """All layers of some networks, `each` of them from each source."""
        setup = self.setup
        f = torch_activation(setup.ensemble.activation)
        sigma_w = torch.from_numpy(setup.sigma_w).to(setup.device)[:, None, None]
        root = torch.from_numpy(self._start[0]).to(setup.device)
        root = root.expand(each * len(sources), len(sigma_w), *root.shape)
        grams, ds = [], []
        for layer in range(setup.depth + 1):
            gram, d, factor = self._layer(f, root, sources, each)
            grams.append(gram.cpu())
            ds.append(d.cpu())
            if layer < setup.depth:
                root = self._next_root(factor, sigma_w)
        return torch.stack(grams, dim=2).numpy(), torch.stack(ds, dim=2).numpy()

    def _layer(
        self, f: RadialFunction, root: torch.Tensor, sources: list[torch.Generator], each: int
    ) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        """Draw one layer whose capsules have the covariance root root^T, and measure it.

        Returns
        -------
        gram (network, sigma_w, row, row), d (network, sigma_w, input), and the factor of the activities over sqrt(N)
        """
        _, points, size, _ = root.shape
        limit = CHUNK[root.device.type] // (each * size)
        chunk = min(self.setup.width, max(1, limit))
        at_once = max(1, limit // chunk)
        parts = [_Part(self.setup, f, root[:, first : first + at_once]) for first in range(0, points, at_once)]
        for noise in self._noise(sources, (each, 1, size), chunk):
            for part in parts:
                part.add(noise)
        gram, d, factor = zip(*(part.result() for part in parts), strict=True)
        return torch.cat(gram, dim=1), torch.cat(d, dim=1), torch.cat(factor, dim=1)

    def _noise(self, sources: list[torch.Generator], shape: tuple[int, ...], chunk: int) -> Iterator[torch.Tensor]:
        """Standard normal numbers for all N capsules, chunk by chunk; drawn in float32 for both precisions."""
        for first in range(0, self.setup.width, chunk):
            size = (*shape, min(chunk, self.setup.width - first))
            drawn = [
                torch.randn(size, generator=source, dtype=torch.float32, device=source.device) for source in sources
            ]
            yield torch.cat(drawn).to(as_dtype(self.setup.dtype))

    def _next_root(self, factor: torch.Tensor, sigma_w: torch.Tensor) -> torch.Tensor:
        """A square root of the covariance of the next layer's capsules, which is a sum."""
        ensemble, k = self.setup.ensemble, self.setup.symmetry.capsule_dimension
        root = sigma_w * _through(self.setup.symmetry, factor)
        if not (ensemble.sigma_b or ensemble.asymmetry):
            return root
        parts = [math.sqrt(1.0 - ensemble.asymmetry) * root]
        if ensemble.asymmetry:
            components = factor.unflatten(-2, (-1, k)).flatten(-2)
            parts.append(math.sqrt(ensemble.asymmetry) * sigma_w * _through(self.setup.generic, components))
        if ensemble.sigma_b:
            identity = torch.eye(k, dtype=root.dtype, device=root.device).repeat(root.shape[-2] // k, 1)
            bias = ensemble.sigma_b / math.sqrt(k) * identity
            parts.append(bias.expand(*root.shape[:-1], k))
        return triangular_factor(torch.cat(parts, dim=-1), torch.finfo(root.dtype).eps)


def _through(symmetry: Symmetry, factor: torch.Tensor) -> torch.Tensor:
    """A square root of the covariance that weights of sigma_w = 1 make of activities with this factor."""
    if symmetry.family == "O":
        return factor
    k = symmetry.capsule_dimension
    if symmetry.family == "generic":
        identity = torch.eye(k, dtype=factor.dtype, device=factor.device)
        return torch.einsum("...ab,cd->...acbd", factor, identity).flatten(-4, -3).flatten(-2, -1) / math.sqrt(k)
    real, imaginary = factor.unflatten(-2, (-1, 2)).unbind(dim=-2)
    upper = torch.stack([real, -imaginary], dim=-1).flatten(-2, -1)
    lower = torch.stack([imaginary, real], dim=-1).flatten(-2, -1)
    return torch.stack([upper, lower], dim=-2).flatten(-3, -2) / math.sqrt(2.0)


class _Part:
    """Sums over the capsules of one layer, at some values of sigma_w.

    States are kept as multiples of `scale`, and activities of `size`, one number for each network, sigma_w and input,
    so that neither underflows: z = scale u, phi(z) = size * f(t |u|)/f_t * u/|u| with t = scale and size = f_t, what f
    is near t. Where the scale is beyond the reach of `dtype`, t is the nearest number within, where f has long become a
    power, and size = f_t f(scale)/f(t).
    """

    def __init__(self, setup: Setup, f: RadialFunction, root: torch.Tensor) -> None:
        self._setup, self._f = setup, f
        self._dtype, k = as_dtype(setup.dtype), setup.symmetry.capsule_dimension
        blocks = root.unflatten(2, (-1, k))
        self._scale = blocks.abs().amax(dim=(3, 4))
        unit = blocks / torch.where(self._scale > 0.0, self._scale, 1.0)[..., None, None]
        self._unit = unit.flatten(2, 3).to(self._dtype)
        smallest = torch.finfo(self._dtype).tiny ** 0.4
        inside = self._scale.clamp(smallest, 1.0 / smallest)
        self._t = inside.to(self._dtype)[..., None, None]
        near = torch.maximum(f(self._t).abs(), f(0.7 * self._t).abs())  # of two radii, as f may vanish at one
        self._f_t = torch.where(near == 0.0, 1.0, near)
        at_t = f(inside)
        power = torch.where((inside == self._scale) | (at_t == 0.0), 1.0, f(self._scale) / at_t)
        self._size = self._f_t[..., 0, 0].double() * power
        self._gram: torch.Tensor | float = 0.0
        self._square: torch.Tensor | float = 0.0
        self._factors: list[torch.Tensor] = []

    def add(self, noise: torch.Tensor) -> None:
        """Take in a chunk of capsules from their standard normal numbers (network, 1, row, capsule)."""
        k = self._setup.symmetry.capsule_dimension
        state = (self._unit @ noise).unflatten(2, (-1, k))
        square = (state * state).sum(dim=3, keepdim=True)
        self._square = self._square + square.sum(dim=(3, 4), dtype=torch.float64)
        r = square.clamp_(min=torch.finfo(self._dtype).tiny ** 0.5).sqrt_()
        state *= self._f(self._t * r) / (self._f_t * r)
        rows = state.flatten(2, 3)
        self._gram = self._gram + (rows @ rows.mT).double()
        self._factors.append(self._factor(state.flatten(3, 4) if self._mixes else rows).double())
        if len(self._factors) == PENDING:
            self._factors = [self._merged()]

    def result(self) -> tuple[torch.Tensor, torch.Tensor, torch.Tensor]:
        width, k = self._setup.width, self._setup.symmetry.capsule_dimension
        of_row = self._size.repeat_interleave(k, dim=2)
        gram = self._gram / width * of_row[..., :, None] * of_row[..., None, :]
        d = self._square / width * self._scale * self._scale
        of_factor = self._size if self._mixes else of_row
        return gram, d, self._merged() * of_factor[..., None] / math.sqrt(width)

    @property
    def _mixes(self) -> bool:
        """Whether weights mix the components of a capsule freely, so that each of its components is one more column."""
        return self._setup.symmetry.family == "generic"

    def _factor(self, rows: torch.Tensor) -> torch.Tensor:
        eps = torch.finfo(self._dtype).eps
        return triangular_factor(rows, eps, circular=self._setup.symmetry.family == "U(1)")

    def _merged(self) -> torch.Tensor:
        """The factor of all chunks so far."""
        return self._factors[0] if len(self._factors) == 1 else self._factor(torch.cat(self._factors, dim=-1))


def _distinct(rows: np.ndarray, opposite: bool) -> tuple[list[int], np.ndarray, np.ndarray]:
    """The inputs that are no copies, equal or (where `opposite`) opposite, of earlier ones; each input's place among
    them and its sign."""
    kept: list[int] = []
    place, sign = np.zeros(len(rows), int), np.ones(len(rows))
    for index, row in enumerate(rows):
        for position, other in enumerate(kept):
            equal = np.array_equal(row, rows[other])
            if equal or (opposite and np.array_equal(row, -rows[other])):
                place[index] = position
                sign[index] = 1.0 if equal else -1.0
                break
        else:
            place[index] = len(kept)
            kept.append(index)
    return kept, place, sign


def _of_components(gram: np.ndarray) -> np.ndarray:
    """E z_a conj(z_b) as the covariances of real and imaginary parts, rows (input, component); E z_a z_b = 0."""
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1]:
        raise ValueError(f"gram must have shape (inputs, inputs) where it is complex, got {gram.shape}")
    turn = np.array([[0.0, -1.0], [1.0, 0.0]])
    return (np.kron(gram.real, np.eye(2)) + np.kron(gram.imag, turn)) / 2.0


def _covariance(gram, ensemble: Ensemble) -> np.ndarray:
    """A symmetric positive semidefinite matrix of whole capsules."""
    if not isinstance(ensemble, Ensemble):
        raise ValueError(f"ensemble must be a meanfield.Ensemble, got {ensemble!r}")
    k = ensemble.symmetry.capsule_dimension
    if np.iscomplexobj(gram) and ensemble.symmetry.family == "U(1)":
        gram = _of_components(np.asarray(gram))
    gram = real_array("gram", gram)
    if gram.ndim != 2 or gram.shape[0] != gram.shape[1] or len(gram) % k:
        raise ValueError(f"gram must have shape (inputs D, inputs D) with D = {k}, got {gram.shape}")
    check_gram("gram", gram)
    return 0.5 * (gram + gram.T)
