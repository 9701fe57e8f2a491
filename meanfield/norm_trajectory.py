"""The length map along the layers: c of many inputs, each distinct one once."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .activations import Activation
from .checks import LARGEST_S, layer_power, times_square
from .moments import gain_error, power_gain
from .trajectory_arguments import Start


@dataclass
class Norms:
    """c along the layers for the distinct (sigma_w, c, sigma_b), shape (depth + 1, m), and which one each input has."""

    sigma_w: np.ndarray
    sigma_b: np.ndarray
    c: np.ndarray
    log_c: np.ndarray
    error: np.ndarray
    first: np.ndarray
    second: np.ndarray

    @classmethod
    def iterate(cls, activation: Activation, dimension: int, depth: int, start: Start) -> Norms:
        each = [np.stack([start.sigma_w, c, start.sigma_b]).reshape(3, -1) for c in (start.c_1, start.c_2)]
        distinct, index = np.unique(np.concatenate(each, axis=1).T, axis=0, return_inverse=True)
        first, second = np.split(index.ravel(), 2)
        if np.array_equal(first, second):
            second = first
        sigma_w, start_c, sigma_b = distinct.T
        c, log_c, error = np.zeros((3, depth + 1, sigma_w.size))
        with np.errstate(divide="ignore"):  # what a random layer makes of a small d may underflow
            c[0], log_c[0] = start_c, np.log(start_c)
        if activation.is_saturated:  # c = 1 behind every layer
            c[1:] = 1.0
            return cls(sigma_w, sigma_b, c, log_c, error, first, second)
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            for layer in range(depth):
                gain = power_gain(activation, dimension, state_of(activation, sigma_w, c[layer], sigma_b))
                c[layer + 1] = layer_power(activation, sigma_w, c[layer], sigma_b) * gain
                growth = 2.0 * np.log(sigma_w) + np.log(gain)  # where c under- or overflows, too
                biased = (np.square(sigma_b) > 0.0) & (c[layer + 1] < np.inf)
                growth = np.where(biased, np.log(c[layer + 1]) - log_c[layer], growth)
                log_c[layer + 1] = log_c[layer] + growth
                # settled, or hopping between two floats (the second condition is for c that underflow; log c goes on)
                seen = any(np.array_equal(c[layer + 1], c[k]) for k in (layer, layer - 1) if k >= 0)
                if seen and np.all(np.abs(growth) < 1e-15):
                    c[layer + 2 :], log_c[layer + 2 :] = c[layer + 1], log_c[layer + 1]
                    break
        if not activation.guaranteed and depth:
            error[1:] = gain_error(activation, dimension, state_of(activation, sigma_w, c[:-1], sigma_b))
        return cls(sigma_w, sigma_b, c, log_c, error, first, second)

    def log_ratio(self, layer: int) -> np.ndarray:
        """|log(c_2/c_1)|, from c itself, since nearly equal floats differ exactly.

        0 where c under- or overflows: there f is linear to every digit, and the ratio has no effect.
        """
        return np.log1p(self._excess(layer))

    def stretch(self, layer: int) -> np.ndarray:
        """|log(s_2/s_1)|/2, of the ratio of the two radii."""
        weights, _ = self.shares(layer)
        return np.log1p(self._excess(layer) * np.minimum(*weights)) / 2.0

    def _excess(self, layer: int) -> np.ndarray:
        """By what the larger c exceeds the smaller one, over that."""
        c_1, c_2 = self.c[layer, self.first], self.c[layer, self.second]
        low, high = np.minimum(c_1, c_2), np.maximum(c_1, c_2)
        normal = (low > 0.0) & (high < np.inf)
        difference = np.subtract(high, low, out=np.zeros(low.shape), where=normal)
        with np.errstate(over="ignore"):
            return np.minimum(difference / np.where(normal, low, 1.0), np.finfo(float).max)

    def shares(self, layer: int) -> tuple[tuple[np.ndarray, np.ndarray], tuple[np.ndarray, np.ndarray]]:
        """sigma_w^2 c/s of both inputs, and sigma_b^2/s: what weights and biases contribute to their pre-activations.

        Either may be small, so each is formed by itself.
        """
        square, power = np.square(self.sigma_b), times_square(self.sigma_w, self.c[layer])
        with np.errstate(divide="ignore", over="ignore", invalid="ignore"):
            odds = np.where(square > 0.0, square / power, 0.0)
            weights, biases = 1.0 / (1.0 + odds), 1.0 / (1.0 + 1.0 / odds)
        return (weights[self.first], weights[self.second]), (biases[self.first], biases[self.second])


def state_of(activation: Activation, sigma_w: np.ndarray, c: np.ndarray, sigma_b: np.ndarray) -> np.ndarray:
    """s = sigma_w^2 c + sigma_b^2; a linear network that explodes stays the same beyond the largest one."""
    return np.minimum(layer_power(activation, sigma_w, c, sigma_b), LARGEST_S)


def norm_variables(norms: Norms, pair: bool) -> dict[str, np.ndarray]:
    if not pair:
        return {"c": norms.c[:, norms.first], "log_c": norms.log_c[:, norms.first]}
    return {
        "c_1": norms.c[:, norms.first],
        "c_2": norms.c[:, norms.second],
        "log_c_1": norms.log_c[:, norms.first],
        "log_c_2": norms.log_c[:, norms.second],
    }
