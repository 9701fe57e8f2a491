"""Explicit random networks: drawn in fixed blocks, fed with inputs, measured at every layer."""

from __future__ import annotations

import math
from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass, replace

import numpy as np
import torch
import xarray as xr

from meanfield import Ensemble
from meanfield.checks import real_number, whole_number
from meanfield.symmetry import Symmetry

from .activations import torch_activation
from .blocks import BLOCK, Progress, generator
from .collective import Collective
from .devices import as_dtype, matrix_products
from .gram import gram_matrix, lengths, mean_square, rescale, squares
from .layers import linear, weight_shape, weight_std
from .samples import require_finite, sample_gram
from .scale import column, power_of_two, scaled_radial
from .setup import Setup


def sample_networks(
    ensemble: Ensemble,
    inputs,
    *,
    width: int,
    depth: int,
    n_networks: int,
    seed: int = 0,
    sigma_w=None,
    d_0=1.0,
    group_elements=None,
    dtype: str = "float32",
    device: str = "auto",
    tf32: bool = False,
    memory: float | None = None,
    executor: Executor | None = None,
    progress: Progress | None = None,
) -> xr.Dataset:
    """Draw independent networks and measure each at every layer,

        z^0 = V x / |x|,    z^{l+1} = W^l phi(z^l)    (paper Eq. (4), (19), (21)).

    The input layer V is not equivariant: all its real entries are independent Gaussians of variance d_0/D. Weights are
    untied: each layer draws its own (see `simulate.layers.weight_std` for their variance). There are no biases, unless
    the ensemble has a sigma_b: then each layer adds independent Gaussian ones, of variance sigma_b^2/D; with an
    asymmetry, W is sqrt(1 - asymmetry) times equivariant weights plus sqrt(asymmetry) times generic ones.

    The result holds every network; :func:`simulate.ensemble_statistics` streams means and variances instead.

    Parameters
    ----------
    ensemble : meanfield.Ensemble
    inputs : array_like (inputs, features)
        Real input vectors x, the same for all networks. Only their directions enter, because of 1/|x|.
    width : N, capsules in a layer
    depth : L, layers after the input layer
    n_networks : int
    seed : int >= 0
        Of all random numbers, together with the number of a block of networks. Ensembles of other symmetries, widths or
        inputs that are sampled with the same seed use the same numbers, and are correlated, the more the fewer the
        layers: for a difference of two ensembles give each its own.
    sigma_w : array_like, optional
        Values to use in place of the ensemble's own, all with the same draws of V and W (so that results at different
        sigma_w are correlated with each other, while networks stay independent).
    d_0 : number > 0, or one for each input
        E (1/N) sum_i |z_i^0|^2. The lengths of the inputs do not count.
    group_elements : array_like (inputs, D, D), optional
        Orthogonal matrices that act on every capsule of z^0, one for each input; for U(1) ``plane_rotation(2, angle)``
        is multiplication by e^{i angle}. Layers do not carry what is not in their group, as a reflection for U(1).
    dtype : ``"float32"`` or ``"float64"``
        Precision of the states. Weights are drawn in float32, so that both precisions see the same networks. States are
        kept apart from their sizes, so that c may be as small as float64 numbers can be, with either; what is smaller
        becomes zero.
    device : ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"cuda:i"``
        The generators of different devices draw different networks.
    tf32 : bool
        Let a GPU round the factors of float32 matrix products to 10 bits.
    memory : float, optional
        Bytes that the computation may use in each worker; if left out, half of what is free, shared by the threads or
        processes of a pool.
    executor : concurrent.futures.Executor, optional
        Computes blocks side by side: threads (torch releases the interpreter lock), processes, or dask.distributed's
        ``client.get_executor()``. A process pool can be sent an activation of your own only if it is a function defined
        at the top of a module.
    progress : callable, optional
        Called with the number of networks done, block by block.

    Returns
    -------
    xarray.Dataset
        Over ``network``, ``sigma_w`` and ``layer`` 0..L:
        `gram` (..., row, column), the matrix (1/N) sum_i phi(z_{i,a}) phi(z_{i,b})^T with rows (a, component) in turn,
        from which `simulate.observables` reads c, Delta, phi and Q; and `d` (..., input), (1/N) sum_i |z_{i,a}|^2.
        A run that was stopped (Ctrl-C, memory, a dead worker) warns and returns the networks that were finished, with
        the attribute ``partial`` set to 1.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or of the wrong shape; when one block does not fit into memory.
    OverflowError
        When an unbounded activation makes c larger than float64 numbers can be.
    """
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
        tf32=tf32,
    )
    return sample_gram(Networks(setup), n_networks, memory, executor, progress)


@dataclass(frozen=True)
class Networks:
    """The sampler that draws every weight. Called with a range of blocks, it yields their Gram matrices and d."""

    setup: Setup
    name = "networks"

    @property
    def block_bytes(self) -> float:
        """An estimate, from above, of the memory that one block takes."""
        setup = self.setup
        k, columns = setup.symmetry.capsule_dimension, len(setup.directions) * setup.sigma_w.size
        item = as_dtype(setup.dtype).itemsize
        weights = math.prod(weight_shape(setup.symmetry, setup.width, setup.width))
        if setup.ensemble.asymmetry:
            weights += math.prod(weight_shape(setup.generic, setup.width, setup.width))
        weights = max(weights, setup.width * k * setup.directions.shape[1])
        weights *= 4 if item == 4 else 4 + item
        states = 8 * setup.width * k * columns * item
        scales = 2 * 8 * (setup.depth + 1) * columns
        return BLOCK * float(weights + states + scales + setup.result_bytes)

    @property
    def advice(self) -> str:
        """What would need less memory."""
        if Collective(replace(self.setup, tf32=False)).block_bytes < self.block_bytes:
            return "simulate.sample_collective needs less"
        return "fewer capsules, inputs, layers or values of sigma_w need less"

    def __call__(self, blocks: range) -> tuple[np.ndarray, np.ndarray]:
        """Gram matrices (network, sigma_w, layer, row, column) and d (network, sigma_w, layer, input)."""
        setup = self.setup
        draws, f = Draws(setup, blocks), torch_activation(setup.ensemble.activation)
        shape = (draws.networks, setup.sigma_w.size, setup.depth + 1)
        gram = torch.empty((*shape, setup.rows, setup.rows), dtype=torch.float64, device=setup.device)
        d = torch.empty((*shape, len(setup.directions)), dtype=torch.float64, device=setup.device)
        scales, sizes = np.empty((2, *d.shape))
        # what outgrows float64 is found below
        with matrix_products(setup.tf32), np.errstate(over="ignore", invalid="ignore"):
            state, scale = draws.input_layer()
            for layer in range(setup.depth + 1):
                square = squares(state)
                activity, size = scaled_radial(f, state, square, scale)
                gram[:, :, layer], d[:, :, layer] = gram_matrix(activity), mean_square(square)
                scales[:, :, layer], sizes[:, :, layer] = scale, size
                if layer < setup.depth:
                    root = size * np.sqrt(lengths(gram[:, :, layer], len(setup.directions)))
                    state, scale = draws.hidden_layer().next_state(activity, size, root)
        results = gram.cpu().numpy(), d.cpu().numpy()
        rescale(*results, sizes, scales)
        require_finite(setup, *results)
        return results


class Draws:
    """The random numbers of some blocks of networks, in the order in which a network's layers need them.

    States are (network, capsule, component, sigma_w, input).
    """

    def __init__(self, setup: Setup, blocks: range) -> None:
        self.setup = setup
        self.networks = BLOCK * len(blocks)
        self._sources = [generator(setup.seed, block, torch.device(setup.device)) for block in blocks]

    def input_layer(self) -> tuple[torch.Tensor, np.ndarray]:
        """state and scale of z^0 = scale * state, the same for each sigma_w; see `simulate.scale`."""
        setup = self.setup
        k, (inputs, features) = setup.symmetry.capsule_dimension, setup.directions.shape
        weights = self._normal((setup.width * k, features))
        sizes = np.sqrt(setup.d_0 / k)
        scale = np.broadcast_to(power_of_two(sizes), (self.networks, setup.sigma_w.size, inputs)).copy()
        state = setup.tensor(sizes / scale[0, 0]) * (weights @ setup.tensor(setup.directions.T.copy()))
        state = state.reshape(self.networks, setup.width, k, inputs)
        if setup.group_elements is not None:
            state = torch.einsum("ade,bnea->bnda", setup.tensor(setup.group_elements), state)
        return state[..., None, :].expand(self.networks, setup.width, k, setup.sigma_w.size, inputs), scale

    def hidden_layer(self) -> HiddenLayer:
        """W of the next layer, and its biases."""
        setup, n = self.setup, self.setup.width
        weights = self._normal(weight_shape(setup.symmetry, n, n))
        generic = self._normal(weight_shape(setup.generic, n, n)) if setup.ensemble.asymmetry else None
        bias = self._normal((n, setup.symmetry.capsule_dimension)) if setup.ensemble.sigma_b else None
        return HiddenLayer(setup, weights, generic, bias)

    def _normal(self, shape: tuple[int, ...]) -> torch.Tensor:
        """Standard normal numbers for each network of each block."""
        drawn = torch.empty((self.networks, *shape), dtype=torch.float32, device=self.setup.device)
        for block, source in zip(drawn.split(BLOCK), self._sources, strict=True):
            block.normal_(generator=source)
        return drawn.to(as_dtype(self.setup.dtype))


@dataclass(frozen=True)
class HiddenLayer:
    """W of one layer at each sigma_w, as a function of x (network, capsule, component, sigma_w, anything)."""

    setup: Setup
    weights: torch.Tensor
    generic: torch.Tensor | None
    bias: torch.Tensor | None

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        return self._product(x, lambda std: self.setup.tensor(std)[:, None])

    def next_state(self, activity: torch.Tensor, size: np.ndarray, root: np.ndarray) -> tuple[torch.Tensor, np.ndarray]:
        """state and scale of W phi(z) + b, from phi(z) = size * activity and the square root of its c."""
        ensemble, sigma_w = self.setup.ensemble, self.setup.sigma_w[:, None]
        scale = power_of_two(np.hypot(sigma_w * root, ensemble.sigma_b))
        state = self._product(activity, lambda std: column(std[:, None] * size / scale, activity))
        if self.bias is not None:
            std = ensemble.sigma_b / math.sqrt(self.setup.symmetry.capsule_dimension)
            state = state + self.bias[..., None, None] * column(std / scale, activity)
        return state, scale

    def _product(self, x: torch.Tensor, gain: Callable[[np.ndarray], torch.Tensor]) -> torch.Tensor:
        """`gain` makes a factor for x of the weights' standard deviations."""
        share = self.setup.ensemble.asymmetry
        product = gain(self._std(self.setup.symmetry, 1.0 - share)) * self._linear(self.setup.symmetry, self.weights, x)
        if self.generic is None:
            return product
        return product + gain(self._std(self.setup.generic, share)) * self._linear(self.setup.generic, self.generic, x)

    def _std(self, symmetry: Symmetry, share: float) -> np.ndarray:
        return math.sqrt(share) * weight_std(symmetry, self.setup.width) * self.setup.sigma_w

    @staticmethod
    def _linear(symmetry: Symmetry, weights: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        return linear(symmetry, weights, x.flatten(start_dim=3)).reshape(x.shape)


def plane_rotation(dimension: int, angle: float) -> np.ndarray:
    """The rotation of R^D by `angle` in the plane of the first two components; for U(1), multiplication by e^{i angle}.

    Raises
    ------
    ValueError
        For D < 2, which has no rotations; for an angle that is no finite number.
    """
    dimension, angle = whole_number("dimension", dimension, 2), real_number("angle", angle)
    rotation = np.eye(dimension)
    rotation[:2, :2] = [[math.cos(angle), -math.sin(angle)], [math.sin(angle), math.cos(angle)]]
    return rotation
