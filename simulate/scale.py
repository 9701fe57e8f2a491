"""States as multiples of a scale, so that squares and sums of squares stay in the range of their precision.

z = scale * state, with one power of two for each network, sigma_w and input: taking it out costs no accuracy. A state
is then of order one, and c may be as small or as large as float64 numbers can be, with either precision.

Scales are float64 numpy arrays (network, sigma_w, input), which take less time than tensors do, as they are small.
"""

from __future__ import annotations

import math

import numpy as np
import torch

from .activations import RadialFunction, radial_of


def power_of_two(sizes: np.ndarray) -> np.ndarray:
    """The largest power of two up to each of the sizes >= 0; 1/2 for 0."""
    return np.ldexp(1.0, np.frexp(sizes)[1] - 1)


def column(sizes: np.ndarray, like: torch.Tensor) -> torch.Tensor:
    """One number for each network, sigma_w and input, to multiply states (network, capsule, component, sigma_w, input)
    by."""
    return torch.from_numpy(sizes).to(like)[:, None, None]


def scaled_radial(
    f: RadialFunction, state: torch.Tensor, square: torch.Tensor, scale: np.ndarray
) -> tuple[torch.Tensor, np.ndarray]:
    """phi(scale * state) as size * activity.

    Parameters
    ----------
    state : (network, capsule, component, sigma_w, input), of order one
    square : (network, capsule, 1, sigma_w, input), its :func:`simulate.gram.squares`

    Returns
    -------
    activity, like `state`, and size, like `scale`
    """
    inside, size = reach(f, scale, state.dtype)
    t = column(inside, state)
    return radial_of(lambda r: f(t * r), state, square), size


def reach(f: RadialFunction, scale: np.ndarray, dtype: torch.dtype) -> tuple[np.ndarray, np.ndarray]:
    """t and size, so that f(scale r) = size f(t r) for r of order one, with squares of t r in the range of `dtype`.

    t is the scale, and size 1, but for extreme scales: there t is the nearest number within reach, where f has long
    become a power.
    """
    limit = math.ldexp(1.0, int(-0.4 * math.log2(torch.finfo(dtype).tiny)))
    if 1.0 / limit <= scale.min() and scale.max() <= limit:
        return scale, np.ones_like(scale)
    t = scale.clip(1.0 / limit, limit)
    at_t, at_scale = (f(torch.from_numpy(r)).numpy() for r in (t, scale))
    return t, np.where((t == scale) | (at_t == 0.0), 1.0, at_scale / np.where(at_t == 0.0, 1.0, at_t))
