"""How large the first gradients of a deep network are, by theory: what Adam's epsilon has to be compared with.

Adam divides a gradient by its root mean square *plus epsilon*, so that a weight hardly moves as long as its gradients
are smaller than epsilon. In the unbroken phase states shrink by sigma_w f'(0) with every layer, and so do the gradients
of states on their way back: a hidden weight's gradient is proportional to about sigma_w^L in every layer. A deep
network may then stay as it was, below the transition, for the sake of an optimiser's constant and not of its phase.
"""

from __future__ import annotations

import numpy as np

from meanfield import jacobian_trajectory
from meanfield.checks import real_number, whole_number

from .conventions import BATCH, D0
from .shape import Shape


def first_gradients(shape: Shape, sigma_w: float, batch: int = BATCH) -> np.ndarray:
    """Root mean square of the gradients of each hidden layer's weights before the first step, in a wide network.

    The gradient of a real weight of an O(k) or U(1) layer adds up D products of a component of phi(z^l), of mean square
    d^{l+1}/(sigma_w^2 D), and one of the gradient of z^{l+1}; that of a generic layer is one such product. The
    cross-entropy's gradient of a logit has the squared norm 1 - 1/classes over all classes, before training, and the
    readout spreads it over N D components; on its way back it grows by chi_J of Eq. (50)'s d with every layer, and by
    chi_J/sigma_w^2 through the last nonlinearity. A batch is taken as a mean of independent terms. Real
    images have much in common, and so have their terms, the more visibly the larger the batch: with the digits, and
    eight layers, gradients are as large as this for 16 images, 1.3 to 1.4 times as large for 64, twice for 256 and four
    times for 1024.

    Parameters
    ----------
    batch : images in a step

    Returns
    -------
    float64 array (L,)

    Raises
    ------
    ValueError
        When sigma_w is not one positive number, or batch no integer >= 1; without hidden layers.
    """
    depth, k = whole_number("depth", shape.depth, 1), shape.group.capsule_dimension
    sigma_w = real_number("sigma_w", sigma_w, minimum=0.0, strict=True)
    found = jacobian_trajectory(depth + 1, sigma_w, D0, shape.symmetry, shape.activation)
    log_states = found.log_d.values[1:-1] - np.log(k)
    log_errors = found.log_norm.values[-1] - found.log_norm.values[1:-1] - np.log(shape.components)
    products = 1.0 if shape.group.family == "generic" else k
    terms = products * (1.0 - 1.0 / shape.classes) / whole_number("batch", batch, 1) / sigma_w**4
    return np.exp(0.5 * (log_states + log_errors + np.log(terms)))
