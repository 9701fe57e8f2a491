"""The transition of networks of finite width.

Near zero a network is a product of Gaussian matrices. Applied to a fixed vector x, W has |W x|^2 = sigma_w^2 |x|^2
times an independent factor of mean 1 in every layer, whatever the direction of x, so log |x| is a random walk. The
factor is a mean of N exponential variables for U(1), of N squared normal ones for O(k) and of N k for generic(k): a
Gamma(M) variable over M, with E log = digamma(M) - log M < 0. By the law of large numbers x dies or grows with the
sign of the mean step, the top Lyapunov exponent

    lambda = log(sigma_w f'(0)) + (digamma(M) - log M)/2,        M = N for U(1), N/2 for O(k), N k/2 for generic(k).

Below the transition all inputs die, as |phi(x)| <= f'(0) |x| for the named activations; above it zero is unstable. For
O(k), k >= 2, this is the largest of the exponents of the k components: near the transition they spread by order 1/N,
and one input's capsules become parallel over about N layers.
"""

from __future__ import annotations

import numpy as np
from scipy.special import digamma

from .activations import Activation, as_activation
from .checks import real_array
from .symmetry import Symmetry, as_symmetry
from .warn import warn


def finite_width_transition(width, symmetry: str | Symmetry = "U(1)", activation="tanh"):
    """sigma_w at the transition of networks of width N,

        sigma_w = exp((log M - digamma(M))/2)/f'(0) = (1 + 1/(4 M) + ...)/f'(0),

    where the top Lyapunov exponent of the product of their weights vanishes: M = N for U(1), N/2 for O(k), N k/2 for
    generic(k). Exact at every N. It is where zero loses its stability; all inputs die below it if |f(r)| <= f'(0) r, as
    for the named activations, and a warning says where a user's function exceeds that.

    Parameters
    ----------
    width : array_like, >= 1
        N, capsules in a layer.
    symmetry : ``"U(1)"``, ``"O(k)"`` or ``"generic(k)"``
    activation : a name, a callable f(r), or a pair (f, f'); see :func:`meanfield.as_activation`

    Returns
    -------
    ndarray or float
        sigma_w, of the shape of width; 0 for ``saturated``, whose networks never die.

    Raises
    ------
    ValueError
        Naming the argument that is out of range or unknown.
    """
    symmetry, activation = as_symmetry(symmetry), as_activation(activation)
    if _takes_off(activation):
        text = "f(r)/r exceeds f'(0), so that an input can stay alive below the sigma_w at which zero is unstable"
        warn(f"activation {activation.name}: {text}", UserWarning)
    width = real_array("width", width, minimum=1.0)
    factors = {"U(1)": 1.0, "O": 0.5, "generic": symmetry.capsule_dimension / 2.0}
    m = width * factors[symmetry.family]
    return (np.exp((np.log(m) - digamma(m)) / 2.0) / abs(activation.slope))[()]


def _takes_off(activation: Activation) -> bool:
    """Whether |f(r)| exceeds |f'(0)| r, by more than a user's f may have lost to cancellation at small r."""
    ratio = activation.ratio(np.geomspace(1e-6, 1e4, 81))
    return not activation.guaranteed and bool(np.abs(ratio).max() > (1.0 + 1e-6) * abs(activation.slope))
