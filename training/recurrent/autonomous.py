"""Random recurrent networks left to themselves: h^{t+1} = phi(W h^t), no input, W drawn once (tied weights).

**Neutral exponents.** If the network commutes with a group, J(h^t) maps the tangent A h^t of the group's orbit to
A h^{t+1}, for every generator A: this is the derivative of phi(W g h) = g phi(W h) by g. As long as |h^t| neither dies
nor grows, such a tangent vector does neither: its Lyapunov exponent is exactly zero. There are as many of them as the
orbit of a state has dimensions: one for U(1); for O(k), where a state is an N x k matrix of rank r, all rotations but
those that leave it alone, k(k-1)/2 - (k-r)(k-r-1)/2. That is all k(k-1)/2 of them where r >= k - 1, which takes at
least k - 1 capsules; but the rank is that of the attractor, and narrow networks may settle on states of less rank than
they have room for. A generic network has no reason for any. In the unbroken phase the state dies, r = 0, and all
exponents are negative. Other exponents may vanish too: networks in discrete time, generic ones as well, can end on a
torus.

**The other exponents** of wide chaotic networks are those of weights that are drawn anew in each step, with and without
symmetry, and :func:`meanfield.lyapunov_exponents` has them: in a product of W D, W D', ... with one W, what pairs W
with itself at different steps is of lower order in N.

**Autocorrelation.** As N grows, the overlap of h^t and h^{t+tau} follows from step to step the map of the overlap of
two inputs of a feedforward network: W acts on both, and to this order is as good as new in each step. This map has no
fixed point but zero (Section 2.4), so that the stationary autocorrelation is zero for every tau > 0. What is seen at
finite N is noise: each step adds c^2/N to E|Delta|^2, of which the next keeps chi_Delta^2, and so, for the complex
overlap of U(1), E|Delta/c|^2 = 1/(N (1 - chi_Delta^2)), and for the trace of O(k) and generic networks, which is one
real number made of k components, a k-th of it. This is for large N, where the network is chaotic, larger ones the
nearer the transition is (:func:`stationary_overlap`): a narrow one can settle on a rotating wave, h^{t+1} = e^{i omega}
h^t, whose overlap stays 1.
"""

from __future__ import annotations

import math

import numpy as np
import torch
import xarray as xr

from meanfield import depth_scales
from meanfield.activations import as_activation
from meanfield.checks import sigma_w_number, whole_number
from meanfield.symmetry import Symmetry, as_symmetry
from simulate.activations import radial, torch_activation
from simulate.blocks import torch_seed
from simulate.layers import linear, weight_shape, weight_std
from simulate.provenance import provenance
from simulate.tangents import Capsules, torch_derivative

RANK_LIMIT = 1e-6  # of the largest singular value
DEAD = 1e-12  # c of a state that has died out


def neutral_exponents(symmetry: str | Symmetry, rank: int) -> int:
    """How many Lyapunov exponents the symmetry holds at zero: the dimension of a state's orbit.

    Parameters
    ----------
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    rank : r, of the states on the attractor as N x k matrices (for U(1) complex N x 1); at most min(N, k), 0 where they
        have died out

    Raises
    ------
    ValueError
        For an unknown symmetry, or a rank that capsules of this dimension cannot have.
    """
    symmetry = as_symmetry(symmetry)
    k = 1 if symmetry.family == "U(1)" else symmetry.capsule_dimension
    if whole_number("rank", rank, 0) > k:
        raise ValueError(f"rank must be at most {k} for {symmetry}, got {rank}")
    if symmetry.family == "U(1)":
        return rank
    return k * (k - 1) // 2 - (k - rank) * (k - rank - 1) // 2 if symmetry.family == "O" else 0


def lyapunov_spectrum(
    sigma_w: float,
    symmetry: str | Symmetry = "U(1)",
    *,
    width: int,
    steps: int,
    transient: int = 200,
    n_networks: int = 1,
    activation="tanh",
    seed: int = 0,
) -> xr.Dataset:
    """Lyapunov exponents of random autonomous networks, by QR decompositions of the products of Jacobians.

    Parameters
    ----------
    sigma_w : weight scale
    width : N, capsules
    steps : over which exponents are averaged; neutral ones are found as O(1/steps)
    transient : steps before that, for the state to settle and the basis to align
    n_networks : independent W
    activation : as for :func:`simulate.sample_networks`

    Returns
    -------
    xarray.Dataset
        `exponent` (network, index), per step, in falling order; by network also `c`, the mean of |h|^2 per capsule,
        `rank`, that of the last state (singular values above 1e-6 of the largest one; 0 where c is below 1e-12), and
        `neutral`, what :func:`neutral_exponents` predicts for it. A singular Jacobian (saturated activation) has
        exponents of minus infinity, or what rounding leaves of them.

    Raises
    ------
    ValueError
        For bad sizes, symmetries or activations.
    """
    network = _Network(sigma_w, symmetry, width, n_networks, activation, seed)
    n_steps, n_transient = whole_number("steps", steps, 1), whole_number("transient", transient, 0)
    size = network.state[0].numel()
    # not the identity: weights of O(k) mix few of its columns, and would take long to align it
    draw = torch.randn(size, size, generator=torch.Generator().manual_seed(0), dtype=torch.float64)
    basis = torch.linalg.qr(draw)[0].expand(n_networks, size, size)
    sums, length = torch.zeros(n_networks, size, dtype=torch.float64), torch.zeros(n_networks, dtype=torch.float64)
    for step in range(n_transient + n_steps):
        basis, triangle = torch.linalg.qr(network.advance(basis))
        if step >= n_transient:
            sums += triangle.diagonal(dim1=-2, dim2=-1).abs().log()
            length += network.order_parameter()
    exponents = (sums / n_steps).sort(descending=True).values
    ranks = network.ranks()
    neutral = [neutral_exponents(symmetry, rank) for rank in ranks]
    return xr.Dataset(
        {
            "exponent": (("network", "index"), exponents.numpy(), {"long_name": "Lyapunov exponent per step"}),
            "c": ("network", (length / n_steps).numpy(), {"long_name": "order parameter $c$"}),
            "rank": ("network", ranks, {"long_name": "rank of the state"}),
            "neutral": ("network", neutral, {"long_name": "exponents that the symmetry holds at zero"}),
        },
        attrs={**network.attrs, "steps": n_steps, "transient": n_transient, **provenance()},
    )


def autocorrelation(
    sigma_w: float,
    symmetry: str | Symmetry = "U(1)",
    *,
    width: int,
    lags: int,
    steps: int,
    transient: int = 200,
    n_networks: int = 1,
    activation="tanh",
    seed: int = 0,
) -> xr.Dataset:
    """Overlap of the state with itself some steps later.

    Parameters
    ----------
    lags : largest tau
    steps : pairs (h^t, h^{t+tau}) that are averaged over for each tau
    Others as for :func:`lyapunov_spectrum`.

    Returns
    -------
    xarray.Dataset
        `overlap` (network, lag), the mean of |Q(t, t + tau)| / c, and `square`, the mean of its square, where Q is the
        k x k matrix (1/N) sum_i h_i(t) h_i(t + tau)^T and |Q| = |(1/N) sum_i conj(h_i) h_i'| for U(1), and otherwise
        |tr Q|; both are 1 at lag 0.

    Raises
    ------
    ValueError
        When the states of a network died out, as in the unbroken phase; for bad sizes, symmetries or activations.
    """
    network = _Network(sigma_w, symmetry, width, n_networks, activation, seed)
    n_lags, n_steps = whole_number("lags", lags, 0), whole_number("steps", steps, 1)
    for _ in range(whole_number("transient", transient, 0)):
        network.advance()
    states = [network.state]
    for _ in range(n_lags + n_steps - 1):
        network.advance()
        states.append(network.state)
    path = torch.stack(states)[..., 0]  # (time, network, N, D)
    sizes = path.square().sum((-2, -1)).sqrt()
    # relative to a state that is zero no overlap is a number
    if (sizes.square().amin() / network.state.shape[1]).item() < DEAD:
        told = f"got {network.attrs['sigma_w']:g}: states died out"
        raise ValueError(f"sigma_w must be in the broken phase, far enough for networks as narrow as these, {told}")
    sums, squares = (np.empty((n_networks, n_lags + 1)) for _ in range(2))
    for lag in range(n_lags + 1):
        now, later = path[:n_steps], path[lag : lag + n_steps]
        overlap = (now * later).sum((-2, -1))
        if network.symmetry.family == "U(1)":
            turned = (now[..., 0] * later[..., 1] - now[..., 1] * later[..., 0]).sum(-1)
            overlap = torch.hypot(overlap, turned)
        relative = (overlap / (sizes[:n_steps] * sizes[lag : lag + n_steps])).abs()
        sums[:, lag], squares[:, lag] = relative.mean(0), relative.square().mean(0)
    dims = ("network", "lag")
    return xr.Dataset(
        {
            "overlap": (dims, sums, {"long_name": r"$|\Delta(\tau)|/c$"}),
            "square": (dims, squares, {"long_name": r"$|\Delta(\tau)|^2/c^2$"}),
        },
        coords={"lag": ("lag", np.arange(n_lags + 1), {"long_name": r"lag $\tau$ [steps]"})},
        attrs={**network.attrs, "steps": n_steps, **provenance()},
    )


def stationary_overlap(sigma_w: float, symmetry: str | Symmetry = "U(1)", *, width: int, activation="tanh") -> float:
    """What `square` of :func:`autocorrelation` tends to in wide chaotic networks, at every lag but 0.

    1/(n N (1 - chi_Delta^2)), n = 1 for U(1) and k for O(k) and generic(k), at leading order in 1/N. How wide that
    takes grows fast towards the transition: states of narrower networks overlap more. Of U(1) networks, N times
    `square`, averaged over lags 20 to 60, was 4.6, 3.8, 3.9 and 3.8 for N = 200, 400, 800 and 1600 at sigma_w = 3,
    where this is 3.8; 20, 8.1, 7.2 and 5.9 at sigma_w = 2, where it is 5.9; and about 40, 18 and 11.9 for N = 1600,
    3200 and 6400 at sigma_w = 1.5, where it is 11.7 (seed 0; 600 steps after as many, at 1.5 800; 16 networks of the
    narrowest, one of the widest).

    Raises
    ------
    ValueError
        In the unbroken phase, where nothing is left to overlap; for a bad width, symmetry or activation.
    """
    symmetry = as_symmetry(symmetry)
    found = depth_scales(sigma_w, symmetry, activation)
    if not found.fixed_point.c > 0:
        raise ValueError(f"sigma_w must be in the broken phase, got {sigma_w}")
    numbers = 1 if symmetry.family == "U(1)" else symmetry.capsule_dimension
    kept = float(found.one_minus_chi_delta) * (1.0 + float(found.chi_delta))
    return 1.0 / (numbers * whole_number("width", width, 1) * kept)


class _Network:
    """Random networks and where they are: `state` (networks, N, D, 1)."""

    def __init__(self, sigma_w, symmetry, width, n_networks, activation, seed) -> None:
        self.symmetry = as_symmetry(symmetry)
        n, count = whole_number("width", width, 1), whole_number("n_networks", n_networks, 1)
        scale = sigma_w_number(sigma_w, as_activation(activation))
        source = torch.Generator().manual_seed(torch_seed("seed", seed))
        shape = weight_shape(self.symmetry, n, n)
        drawn = torch.randn(count, *shape, generator=source, dtype=torch.float64)
        self._weights = scale * weight_std(self.symmetry, n) * drawn
        self._f, self._derivative = torch_activation(activation), torch_derivative(activation)
        k = self.symmetry.capsule_dimension
        self.state = torch.randn(count, n, k, 1, generator=source, dtype=torch.float64) / math.sqrt(k)
        self.attrs = {"symmetry": str(self.symmetry), "sigma_w": scale, "width": n, "seed": seed}

    def advance(self, basis: torch.Tensor | None = None) -> torch.Tensor:
        """One step; tangent vectors (networks, N D, vectors) are carried along."""
        z = linear(self.symmetry, self._weights, self.state)
        self.state = radial(self._f, z, axis=-2)
        if basis is None:
            return self.state
        tangents = linear(self.symmetry, self._weights, basis.reshape(*z.shape[:-1], -1))
        return Capsules(self._f, self._derivative, z[..., 0])(tangents).flatten(1, 2)

    def order_parameter(self) -> torch.Tensor:
        """c of each network."""
        return self.state.square().sum((-3, -2, -1)) / self.state.shape[1]

    def ranks(self) -> list[int]:
        """Rank of each network's state."""
        states = self.state[..., 0]
        if self.symmetry.family == "U(1)":
            states = torch.view_as_complex(states.contiguous())[..., None]
        values = torch.linalg.svdvals(states)
        ranks = (values > RANK_LIMIT * values[:, :1]).sum(1)
        return torch.where(self.order_parameter() < DEAD, 0, ranks).tolist()
