"""The correlation map along the layers: overlap and phase of pairs of inputs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .activations import Activation
from .moments import norm_mismatch
from .norm_trajectory import Norms, state_of
from .overlap import Overlaps
from .symmetry import Symmetry
from .trajectory_arguments import Start


def overlap_variables(
    symmetry: Symmetry, activation: Activation, depth: int, start: Start, norms: Norms
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """The variables of two inputs, and the estimated relative error of each layer's overlap."""
    inputs = start.rho.size
    rho, missing, error = np.zeros((3, depth + 1, inputs))
    rho[0], missing[0] = start.rho.ravel(), start.one_minus_rho.ravel()
    sign = np.tile(start.sign.ravel(), (depth + 1, 1))
    phi = np.tile(start.phi.ravel(), (depth + 1, 1))
    along, across = sign[0] * np.cos(phi[0]), sign[0] * np.sin(phi[0])  # C_12 = Delta (along + i across)
    # a generic network transmits Re C_12 alone, in every layer
    asymmetry = np.ones(inputs) if symmetry.family == "generic" else start.asymmetry.ravel()
    biased = start.sigma_b.ravel() > 0.0
    turning = biased | (asymmetry > 0.0)
    # layers in which c has settled share their states
    states, index = np.unique(state_of(activation, norms.sigma_w, norms.c[:-1], norms.sigma_b), return_inverse=True)
    index = index.reshape(depth, norms.sigma_w.size)
    overlaps = Overlaps(activation, symmetry.capsule_dimension, states)
    for layer in range(depth):
        enter = _Covariance(rho[layer], missing[layer], along, across)
        if turning.any():
            enter = enter.through_weights(asymmetry)
        if biased.any():
            enter = enter.with_bias(*norms.shares(layer), norms.log_ratio(layer))
        if turning.any():
            along, across = enter.along, enter.across
        stretch = norms.stretch(layer)
        rho[layer + 1], missing[layer + 1], error[layer + 1] = _step(
            overlaps, norms, index[layer], stretch, enter.rho, enter.missing
        )
        if not symmetry.has_phase:
            sign[layer + 1] = np.where(biased, np.sign(along), sign[0])
            continue
        sign[layer + 1] = np.where(biased, 1.0, sign[0])
        turned = np.arctan2(sign[layer + 1] * across + 0.0, sign[layer + 1] * along)
        phi[layer + 1] = np.where(turning, turned, phi[0])
    # where a linear network's c overflows, an overlap of 0 is still 0
    size = np.where(rho > 0.0, np.sqrt(norms.c[:, norms.first]) * np.sqrt(norms.c[:, norms.second]), 0.0)
    out = {
        "delta": sign * rho * size,
        "rho": sign * rho,
        "one_minus_rho": np.where(sign > 0, missing, 2.0 - missing),
        "phi": phi,
    }
    return out, error


@dataclass
class _Covariance:
    """C_12/sqrt(s_1 s_2) = rho (along + i across), of pairs of inputs, and 1 - rho; along^2 + across^2 = 1."""

    rho: np.ndarray
    missing: np.ndarray
    along: np.ndarray
    across: np.ndarray

    def through_weights(self, asymmetry: np.ndarray) -> _Covariance:
        """The part across is handed on by the symmetric weights alone. 1 - rho^2 is a sum of positive terms."""
        lost = self.missing * (2.0 - self.missing) + (self.rho * self.across) ** 2 * asymmetry * (2.0 - asymmetry)
        return _Covariance.of(self.rho * self.along, self.rho * self.across * (1.0 - asymmetry), lost)

    def with_bias(
        self,
        weights: tuple[np.ndarray, np.ndarray],
        biases: tuple[np.ndarray, np.ndarray],
        log_ratio: np.ndarray,
    ) -> _Covariance:
        """Add what biases give both inputs alike.

        `weights` and `biases` contribute these shares of the powers s_1 and s_2; `log_ratio` is that of c.
        """
        kept, added = (np.sqrt(first) * np.sqrt(second) for first, second in (weights, biases))
        one_minus_along = np.where(self.along > 0.0, self.across**2 / (1.0 + np.abs(self.along)), 1.0 - self.along)
        unequal = 2.0 * np.sinh(log_ratio / 4.0) ** 2  # (sqrt(c_1) - sqrt(c_2))^2/(2 sqrt(c_1 c_2))
        lost = kept**2 * self.missing * (2.0 - self.missing)
        lost = lost + 2.0 * kept * added * (self.missing + self.rho * one_minus_along + unequal)
        return _Covariance.of(kept * self.rho * self.along + added, kept * self.rho * self.across, lost)

    @classmethod
    def of(cls, along: np.ndarray, across: np.ndarray, lost: np.ndarray) -> _Covariance:
        """From C_12 and 1 - rho^2."""
        rho = np.minimum(np.hypot(along, across), 1.0)
        safe = np.where(rho > 0.0, rho, 1.0)
        unit = np.where(rho > 0.0, along / safe, 1.0)
        return cls(rho, lost / (1.0 + rho), unit, across / safe)


def _step(overlaps: Overlaps, norms: Norms, state: np.ndarray, stretch: np.ndarray, rho, missing):
    """rho and 1 - rho one layer on, each from the sum that keeps its digits, and their estimated relative error."""
    first = state[norms.first]
    second = first if norms.second is norms.first else state[norms.second]
    near = missing < 0.5
    if near.all() or not near.any():  # the usual case, without copies
        return _step_alike(overlaps, first, second, stretch, rho, missing, bool(near[0]))
    out = np.empty((3, rho.size))
    for which in (np.flatnonzero(near), np.flatnonzero(~near)):
        left = first[which]
        right = left if second is first else second[which]
        alike = bool(near[which[0]])
        out[:, which] = _step_alike(overlaps, left, right, stretch[which], rho[which], missing[which], alike)
    return out


def _step_alike(overlaps: Overlaps, first, second, stretch, rho, missing, near: bool):
    scale = overlaps.gain[first]
    if second is not first:  # the root of each: their product underflows at large s
        scale = np.sqrt(scale) * np.sqrt(overlaps.gain[second])
    if not near:
        value, error = overlaps.value(first, second, rho, missing)
        return value / scale, 1.0 - value / scale, error
    gap, error = overlaps.gap(first, second, rho, missing)
    lost = gap / scale
    if second is not first:
        low, high = np.sort([overlaps.s[first], overlaps.s[second]], axis=0)
        lost = lost + norm_mismatch(overlaps.activation, overlaps.dimension, low, high, stretch)
    return 1.0 - lost, lost, error
