"""Moments of many networks, gathered block by block in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Moments:
    """How many values there were, their mean, and sums of powers 2, 3 and 4 of their distances from it.

    Blocks are merged by the pairwise update of Chan, Golub and LeVeque (1983) and Pébay (2008), which keeps the
    relative accuracy of small variances.
    """

    count: int
    mean: np.ndarray
    powers: np.ndarray  # (3, ...)

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """From one row for each network."""
        mean = values.mean(axis=0)
        distance = values - mean
        return cls(len(values), mean, np.stack([(distance**power).sum(axis=0) for power in (2, 3, 4)]))

    def __add__(self, other: Moments) -> Moments:
        a, b = self.count, other.count
        n = a + b
        step = other.mean - self.mean
        m2, m3, m4 = self.powers + other.powers
        (a2, a3, _), (b2, b3, _) = self.powers, other.powers
        m4 = (
            m4
            + step**4 * a * b * (a * a - a * b + b * b) / n**3
            + 6.0 * step**2 * (a * a * b2 + b * b * a2) / n**2
            + 4.0 * step * (a * b3 - b * a3) / n
        )
        m3 = m3 + step**3 * a * b * (a - b) / n**2 + 3.0 * step * (a * b2 - b * a2) / n
        m2 = m2 + step**2 * a * b / n
        return Moments(n, self.mean + step * (b / n), np.stack([m2, m3, m4]))

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance of one network's value."""
        return self.powers[0] / (self.count - 1)

    @property
    def standard_error(self) -> np.ndarray:
        """Of the mean."""
        return np.sqrt(self.variance / self.count)

    @property
    def variance_error(self) -> np.ndarray:
        """Standard error of the variance, from the fourth moment."""
        n, second, fourth = self.count, self.powers[0] / self.count, self.powers[2] / self.count
        return np.sqrt(np.maximum(fourth - second**2 * (n - 3) / (n - 1), 0.0) / n)


def merge(left: Mapping[str, Moments], right: Mapping[str, Moments]) -> dict[str, Moments]:
    """Moments of several quantities, quantity by quantity."""
    return {name: left[name] + right[name] for name in left}
