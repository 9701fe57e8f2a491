import numpy as np
import pytest
from scipy import stats

from simulate.streaming import Moments, merge

VALUES = np.random.default_rng(0).exponential(size=(48, 3)) + np.array([0.0, 1.0, 1e6])


def streamed(values, size):
    parts = [Moments.of(values[first : first + size]) for first in range(0, len(values), size)]
    total = parts[0]
    for part in parts[1:]:
        total = total + part
    return total


def test_moments_of_blocks_are_the_moments_of_all():
    for size in (1, 7, 16):
        total = streamed(VALUES, size)
        assert total.count == 48
        np.testing.assert_allclose(total.mean, VALUES.mean(axis=0), rtol=1e-14)
        np.testing.assert_allclose(total.powers[0] * total.unit**2 / 48, stats.moment(VALUES, 2), rtol=1e-9)
        np.testing.assert_allclose(total.powers[1] * total.unit**3 / 48, stats.moment(VALUES, 3), rtol=1e-7)
        np.testing.assert_allclose(total.powers[2] * total.unit**4 / 48, stats.moment(VALUES, 4), rtol=1e-9)


def test_errors():
    total = streamed(VALUES, 16)
    np.testing.assert_allclose(total.variance, VALUES.var(axis=0, ddof=1), rtol=1e-9)
    np.testing.assert_allclose(total.standard_error, stats.sem(VALUES, axis=0), rtol=1e-9)


def test_error_of_the_variance_against_many_repetitions():
    draws = np.random.default_rng(1).exponential(size=(400, 4000))
    stated = Moments.of(draws).variance_error
    assert np.isclose(np.sqrt(np.mean(stated**2)), draws.var(axis=0, ddof=1).std(), rtol=0.05)


def test_merge_goes_quantity_by_quantity():
    left, right = ({"a": Moments.of(part), "b": Moments.of(2.0 * part)} for part in np.split(VALUES, 2))
    both = merge(left, right)
    np.testing.assert_allclose(both["b"].mean, 2.0 * VALUES.mean(axis=0), rtol=1e-14)


def test_error_of_the_variance_of_a_few_values_by_hand():
    """sqrt((m_4 - (n-3)/(n-1) m_2^2)/n) for -1, 0, 0, 2: mean 1/4, m_2 = 19/16, m_4 = 757/256."""
    values = np.array([[-1.0], [0.0], [0.0], [2.0]])
    distance = values - 0.25
    assert np.isclose((distance**4).mean(), 757 / 256)
    np.testing.assert_allclose(Moments.of(values).variance_error, np.sqrt((757 / 256 - (19 / 16) ** 2 / 3) / 4))


@pytest.mark.parametrize("exponent", [-1000, -600, -300, 300, 600, 1000])
def test_values_of_any_size_have_the_errors_of_the_same_values_in_another_unit(exponent):
    """To the last bit where they are float64 numbers, in units that are powers of two."""
    plain, scaled = streamed(VALUES, 16), streamed(np.ldexp(VALUES, exponent), 16)
    for name in ("mean", "standard_error"):
        np.testing.assert_allclose(getattr(scaled, name), np.ldexp(getattr(plain, name), exponent), rtol=0.0)
    with np.errstate(over="ignore"):
        for name in ("variance", "variance_error"):
            expected = np.ldexp(getattr(plain, name), 2 * exponent)
            np.testing.assert_allclose(getattr(scaled, name), expected, rtol=0.0)


def test_blocks_of_different_sizes_are_merged():
    """A block of zeros, or of values that vanish beside others."""
    parts = [np.zeros((3, 2)), np.full((2, 2), 1e-200), np.array([[1e150, 1e-150], [3e150, 3e-150]])]
    total = Moments.of(parts[0]) + Moments.of(parts[1]) + Moments.of(parts[2])
    unit = np.array([1e150, 1e-150])
    values = np.array([0.0, 0.0, 0.0, 0.0, 0.0, 1.0, 3.0])
    np.testing.assert_allclose(total.mean / unit, values.mean(), rtol=1e-15)
    np.testing.assert_allclose(total.standard_error / unit, stats.sem(values), rtol=1e-14)
    nothing = Moments.of(parts[0]) + Moments.of(parts[0])
    assert not nothing.mean.any()
    assert not nothing.variance_error.any()
