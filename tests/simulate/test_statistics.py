import numpy as np
import pytest
from scipy import stats

from simulate.statistics import (
    Estimate,
    combine,
    deviation_limit,
    extrapolate,
    false_alarm_rate,
    mean_and_error,
    remainder,
)


def test_mean_and_error_against_scipy():
    values = np.random.default_rng(0).normal(size=(50, 3))
    mean, error = mean_and_error(values)
    np.testing.assert_allclose(mean, np.mean(values, axis=0), rtol=1e-14)
    np.testing.assert_allclose(error, stats.sem(values, axis=0), rtol=1e-13)


def test_one_network_has_no_error():
    with pytest.raises(ValueError, match=r"values must hold at least 2 independent networks, .* got 1"):
        mean_and_error(np.zeros((1, 3)))


def test_skewness_of_a_mean_is_the_samples_over_the_root_of_their_number():
    values = np.random.default_rng(0).exponential(size=(400, 2))
    expected = stats.skew(values, axis=0, bias=False) / 20.0
    np.testing.assert_allclose(Estimate.from_samples(values).skewness, expected, rtol=2e-2)


def test_combination_of_independent_estimates_matches_sampling():
    rng = np.random.default_rng(1)
    a, b = rng.exponential(size=(2, 100_000))
    both = combine([Estimate.from_samples(a[:, None]), Estimate.from_samples(b[:, None])], [2.0, -1.0])
    direct = Estimate.from_samples((2.0 * a - b)[:, None])  # the same sum, sample by sample
    assert both.value == pytest.approx(direct.value, rel=1e-12)
    assert both.standard_error == pytest.approx(direct.standard_error, rel=2e-2)
    assert both.skewness == pytest.approx(direct.skewness, rel=0.1)


def _at(width):
    value = 3.0 - 2.0 / width + 5.0 / width**2
    return Estimate(np.array([value]), np.array([0.1]), np.array([0.0]))


def test_extrapolation_leaves_what_it_says_and_the_remainder_finds_it():
    wide = extrapolate(_at(64), _at(128))
    left = -5.0 / (2.0 * 64**2)
    assert wide.value[0] - 3.0 == pytest.approx(left, rel=1e-9)
    assert wide.standard_error[0] == pytest.approx(np.sqrt(5.0) * 0.1)
    assert remainder(extrapolate(_at(16), _at(32)), wide).value[0] == pytest.approx(left, rel=1e-9)


def test_limit_is_students_quantile():
    # table value: t_{0.975} with 10 degrees of freedom
    assert deviation_limit(0.05, 1, 10) == pytest.approx(2.228139, abs=1e-6)
    assert deviation_limit(0.05, 5, 10) == pytest.approx(stats.t.ppf(1 - 0.005, 10))


@pytest.mark.parametrize("arguments", [(0.0, 1, 10), (1.0, 1, 10)])
def test_rate_out_of_range(arguments):
    with pytest.raises(ValueError, match="total_rate must be between 0 and 1"):
        deviation_limit(*arguments)


@pytest.mark.parametrize("arguments", [(0.1, 0, 10), (0.1, 1, 0)])
def test_nothing_to_compare(arguments):
    with pytest.raises(ValueError, match="must be at least 1"):
        deviation_limit(*arguments)


def _worst(values):
    mean, error = values.mean(axis=1), stats.sem(values, axis=1)
    return np.abs(mean / error).max(axis=-1)


@pytest.mark.parametrize("correlation", [0.0, 0.9])
def test_a_right_theory_fails_no_more_often_than_stated(correlation):
    """4000 runs of 10 comparisons from 24 networks: the limit holds, and is sharp where comparisons are independent."""
    rng = np.random.default_rng(2)
    runs, networks, comparisons, rate = 4000, 24, 10, 0.1
    values = np.sqrt(1 - correlation) * rng.normal(size=(runs, networks, comparisons))
    values += np.sqrt(correlation) * rng.normal(size=(runs, networks, 1))
    alarms = np.mean(_worst(values) > deviation_limit(rate, comparisons, networks - 1))
    noise = 4.0 * np.sqrt(rate * (1 - rate) / runs)
    assert alarms <= rate + noise
    if correlation == 0.0:
        assert alarms >= 1 - (1 - rate / comparisons) ** comparisons - noise
    else:
        assert alarms < 0.7 * rate


def test_skewed_samples_fail_as_often_as_estimated():
    """Exponential samples: the alarm rate is well above Student's, and the estimate follows it."""
    rng = np.random.default_rng(3)
    runs, networks, limit = 50_000, 200, 3.3
    values = rng.exponential(size=(runs, networks)) - 1.0
    mean, error = values.mean(axis=1), values.std(axis=1, ddof=1) / np.sqrt(networks)
    observed = np.mean(np.abs(mean / error) > limit)
    estimated = false_alarm_rate(limit, np.array([2.0 / np.sqrt(networks)]), networks - 1)
    student = 2 * stats.t.sf(limit, networks - 1)
    assert observed > 2.0 * student
    assert 0.5 < estimated / observed < 2.0


def test_estimated_rate_of_normal_means_is_what_the_limit_was_made_for():
    limit = deviation_limit(1e-5, 281, 767)
    assert false_alarm_rate(limit, np.zeros(281), 767) == pytest.approx(1e-5, rel=1e-9)
