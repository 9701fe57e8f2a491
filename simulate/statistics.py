"""Means over independent networks, extrapolation in the width, and what counts as a disagreement."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy import stats


def mean_and_error(values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean over the first axis, and its standard error s/sqrt(n).

    Raises
    ------
    ValueError
        For fewer than two values, which have no standard error.
    """
    require_networks("values", len(values))
    return values.mean(axis=0), values.std(axis=0, ddof=1) / math.sqrt(len(values))


def require_networks(name: str, count: int) -> None:
    """Refuse an argument with too few networks for a standard error.

    Raises
    ------
    ValueError
        For fewer than two.
    """
    if count < 2:
        raise ValueError(f"{name} must hold at least 2 independent networks, for a standard error, got {count}")


@dataclass(frozen=True)
class Estimate:
    """Estimates of several quantities: arrays of value, standard error, and third cumulant of the error."""

    value: np.ndarray
    standard_error: np.ndarray
    third_cumulant: np.ndarray

    @classmethod
    def from_samples(cls, values: np.ndarray) -> Estimate:
        """From one row for each network; rows are independent of each other."""
        mean, error = mean_and_error(values)
        return cls(mean, error, ((values - mean) ** 3).mean(axis=0) / len(values) ** 2)

    @property
    def skewness(self) -> np.ndarray:
        safe = np.where(self.standard_error > 0, self.standard_error, 1.0)
        return self.third_cumulant / safe**3


def combine(estimates: Sequence[Estimate], coefficients: Sequence[float]) -> Estimate:
    """sum_i a_i m_i of independent estimates; standard errors add in quadrature."""
    a = np.asarray(coefficients, float)
    return Estimate(
        np.tensordot(a, [e.value for e in estimates], axes=1),
        np.sqrt(np.tensordot(a**2, [e.standard_error**2 for e in estimates], axes=1)),
        np.tensordot(a**3, [e.third_cumulant for e in estimates], axes=1),
    )


def extrapolate(narrow: Estimate, wide: Estimate) -> Estimate:
    """2 m_{2N} - m_N from two widths N and 2N: what is left of m_N = m + b_1/N + b_2/N^2 + ... is -b_2/(2 N^2)."""
    return combine([wide, narrow], [2.0, -1.0])


def remainder(narrow: Estimate, wide: Estimate) -> Estimate:
    """An estimate of the -b_2/(2 N^2) that `wide` still contains, from extrapolations at (N/4, N/2) and (N, 2N).

    The first contains 16 times as much, so a fifteenth of the difference is what the second contains.
    """
    return combine([narrow, wide], [1.0 / 15.0, -1.0 / 15.0])


def deviation_limit(total_rate: float, comparisons: int, degrees_of_freedom: int) -> float:
    """|t| that each of several comparisons may reach so that all of them together exceed it at `total_rate` at most.

    Bonferroni's inequality, so the comparisons may be correlated; Student's t for the estimated standard errors.

    Raises
    ------
    ValueError
        For a rate outside (0, 1), or no comparison, or no degree of freedom.
    """
    if not 0.0 < total_rate < 1.0:
        raise ValueError(f"total_rate must be between 0 and 1, got {total_rate!r}")
    if comparisons < 1 or degrees_of_freedom < 1:
        raise ValueError(
            "comparisons and degrees_of_freedom must be at least 1, got "
            f"{comparisons} comparisons and {degrees_of_freedom} degrees of freedom"
        )
    return float(stats.t.isf(total_rate / (2.0 * comparisons), degrees_of_freedom))


def false_alarm_rate(limit: float, skewness: np.ndarray, degrees_of_freedom: int) -> float:
    """An upper estimate of the rate at which at least one of several right comparisons exceeds the limit.

    The tails of a studentised mean of skewness g deviate from Student's by exp(-+ g limit^3/3) (the leading term of its
    large deviations; g is that of the mean, the sample's over sqrt(n)); the union of all tails is their sum.
    """
    tails = np.cosh(np.asarray(skewness) * limit**3 / 3.0)
    return float(2.0 * stats.t.sf(limit, degrees_of_freedom) * tails.sum())
