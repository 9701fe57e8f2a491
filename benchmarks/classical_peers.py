"""One layer of the classical tanh network (D = 1), by the methods of two public programs, written here.

Neither program can be installed as a package. What is timed is their way of doing the integrals, with their settings.
"""

from __future__ import annotations

import numpy as np
from scipy import integrate


def _density(z):
    return np.exp(-0.5 * z * z) / np.sqrt(2.0 * np.pi)


def nested_quadrature(c: float, delta: float, sigma_w: float) -> tuple[float, float]:
    """The method of ghliu/mean-field-fcdnn: `quad` and `dblquad` over Gaussian densities, at scipy's tolerances."""
    rho, scale = delta / c, sigma_w * np.sqrt(c)
    across = np.sqrt(1.0 - rho**2)

    def both(y, x):
        return _density(x) * np.tanh(scale * x) * _density(y) * np.tanh(scale * (rho * x + across * y))

    length = integrate.quad(lambda x: _density(x) * np.tanh(scale * x) ** 2, -np.inf, np.inf)[0]
    return length, integrate.dblquad(both, -np.inf, np.inf, -np.inf, np.inf)[0]


_STEP = 0.05
_Z = np.arange(-10.0, 10.0, _STEP)
_WEIGHT = _STEP * _density(_Z)


def even_grid(c: float, delta: float, sigma_w: float) -> tuple[float, float]:
    """The method of ganguli-lab/deepchaos: sums over an even grid of spacing 0.05 on [-10, 10), with the 1e-8 that it
    adds under the root.
    """
    q, cross = sigma_w**2 * c, sigma_w**2 * delta
    one = np.tanh(np.sqrt(q) * _Z)
    other = np.tanh(cross / np.sqrt(q) * _Z[:, None] + np.sqrt(q - cross**2 / q + 1e-8) * _Z)
    return _WEIGHT @ one**2, (_WEIGHT * one) @ (other @ _WEIGHT)
