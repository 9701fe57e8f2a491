"""The order parameter at initialisation, Eq. (6), as in Figures 3, 10 and 11, beside the fixed point of Eq. (8)."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from meanfield import Ensemble, fixed_point
from meanfield.checks import whole_number
from simulate import sample_networks
from simulate.observables import order_parameters
from simulate.statistics import mean_and_error

from .conventions import D0, ORDER_LAYERS


def order_parameter(
    symmetry: str,
    sigma_w: Sequence[float],
    *,
    width: int,
    depth: int,
    n_networks: int,
    activation: str = "tanh",
    seed: int = 0,
    device: str = "cpu",
) -> dict[str, np.ndarray]:
    """c of random networks, averaged over their last 30 layers (or all but z^0, where there are fewer), Eq. (6).

    Parameters
    ----------
    symmetry, width, depth >= 1, activation : the network; its input is one vector, whose direction does not matter
    sigma_w : weight scales
    n_networks : at least 2 independent networks
    seed : int >= 0

    Returns
    -------
    dict of arrays (sigma_w,)
        `c`, its standard error over networks `c_se`, and the fixed point `c_star` of Eq. (8).

    Raises
    ------
    ValueError
        As :func:`simulate.sample_networks`.
    """
    depth = whole_number("depth", depth, 1)
    sampled = sample_networks(
        Ensemble(symmetry, activation),
        np.ones((1, 1)),
        width=width,
        depth=depth,
        n_networks=n_networks,
        seed=seed,
        sigma_w=sigma_w,
        d_0=D0,
        device=device,
    )
    layers = slice(max(1, depth + 1 - ORDER_LAYERS), None)
    c = order_parameters(sampled)[:, :, layers, 0].mean(-1)
    mean, error = mean_and_error(c)
    return {"c": mean, "c_se": error, "c_star": fixed_point(np.asarray(sigma_w), symmetry, activation).c}
