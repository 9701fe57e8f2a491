"""Moments of many networks, gathered block by block in constant memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from .scale import power_of_two


@dataclass(frozen=True)
class Moments:
    """How many values there were, their mean, and sums of powers 2, 3 and 4 of their distances from it.

    Powers are of distances in a `unit`, a power of two about as large as the largest value: those of values as small or
    as large as float64 numbers can be are then none too small or large. A variance may be.

    Blocks are merged by the pairwise update of Chan, Golub and LeVeque (1983) and Pébay (2008), which keeps the
    relative accuracy of small variances.
    """

    count: int
    mean: np.ndarray
    powers: np.ndarray  # (3, ...)
    unit: np.ndarray

    @classmethod
    def of(cls, values: np.ndarray) -> Moments:
        """From one row for each network."""
        largest = np.abs(values).max(axis=0)
        unit = power_of_two(np.where(largest > 0.0, largest, np.finfo(float).tiny))
        scaled = values / unit
        mean = scaled.mean(axis=0)
        distance = scaled - mean
        return cls(len(values), mean * unit, np.stack([(distance**power).sum(axis=0) for power in (2, 3, 4)]), unit)

    def __add__(self, other: Moments) -> Moments:
        a, b = self.count, other.count
        n = a + b
        unit = np.maximum(self.unit, other.unit)
        step = other.mean / unit - self.mean / unit
        (a2, a3, a4), (b2, b3, b4) = self._in(unit), other._in(unit)
        m4 = (
            a4
            + b4
            + step**4 * a * b * (a * a - a * b + b * b) / n**3
            + 6.0 * step**2 * (a * a * b2 + b * b * a2) / n**2
            + 4.0 * step * (a * b3 - b * a3) / n
        )
        m3 = a3 + b3 + step**3 * a * b * (a - b) / n**2 + 3.0 * step * (a * b2 - b * a2) / n
        m2 = a2 + b2 + step**2 * a * b / n
        mean = (self.mean / unit + step * (b / n)) * unit
        return Moments(n, mean, np.stack([m2, m3, m4]), unit)

    def _in(self, unit: np.ndarray) -> list[np.ndarray]:
        """Powers in a unit at least as large as this one's own."""
        ratio = self.unit / unit
        return [value * ratio**power for value, power in zip(self.powers, (2, 3, 4), strict=True)]

    @property
    def variance(self) -> np.ndarray:
        """Unbiased variance of one network's value; inf, or 0, where it is no float64 number."""
        return self._squared(self.powers[0] / (self.count - 1))

    @property
    def standard_error(self) -> np.ndarray:
        """Of the mean."""
        return np.sqrt(self.powers[0] / (self.count - 1) / self.count) * self.unit

    @property
    def variance_error(self) -> np.ndarray:
        """Standard error of the variance, from the fourth moment; inf, or 0, where it is no float64 number."""
        n, second, fourth = self.count, self.powers[0] / self.count, self.powers[2] / self.count
        return self._squared(np.sqrt(np.maximum(fourth - second**2 * (n - 3) / (n - 1), 0.0) / n))

    def _squared(self, value: np.ndarray) -> np.ndarray:
        """A value in squares of the unit."""
        with np.errstate(over="ignore"):
            return value * self.unit * self.unit


def merge(left: Mapping[str, Moments], right: Mapping[str, Moments]) -> dict[str, Moments]:
    """Moments of several quantities, quantity by quantity."""
    return {name: left[name] + right[name] for name in left}
