"""The average of phi(x_1).phi(x_2) over two correlated capsules, the engine under every two-input map.

Pairs of inputs are given as flat arrays: `first` and `second` name the states (values of s = sigma_w^2 c) by their
index, `rho` is the overlap Delta/sqrt(c_1 c_2), and `one_minus_rho` is 1 - |rho|, kept apart because near rho = 1 it
is the number that carries the information.

The series sum_n a_n^2 rho^(2n+1) serves wherever its remainder is proven small: the coefficients are non-negative and
what they sum to at rho = 1, and the slope there, are known from one-input averages, so

    0 <= remainder of Delta'        <= rho^(2M+1) R,            R  = c' - sum_{n<M} a_n^2,
    0 <= remainder of c' - Delta'   <= min(R, (1 - rho) R'),    R' = (d Delta'/d rho)(1) - sum_{n<M} (2n+1) a_n^2

after M terms (for unequal norms with the geometric mean of the two remainders, by Cauchy and Schwarz). The differences
R and R' are good to rounding errors of their totals, which is enough at equal norms; at unequal ones, where
sqrt(R_1 R_2) counts, those that are rounding alone are bounded by a sum of positive terms (`meanfield.mixture`). Where
the series needs too many terms (large sigma_w with rho near 1), the named activations turn to the sum over pairs of
mixture components, and a user's function to direct quadrature of c' - Delta' (`meanfield.nearby`). Of one that breaks
the series gives Delta' only, and c' - Delta' is c' less that.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property

import numpy as np

from . import laguerre, mixture
from .activations import Activation
from .moments import aligned, gain_and_jacobian, power_gain
from .nearby import nearby_gap
from .saturated import saturated_map

_TOLERANCE = 3e-15
_ROUNDING = 4.0 * np.finfo(float).eps  # of c' and of the slope: what a difference of them may lack
_UNSURE = 1e-13  # of them: up to here a difference may be rounding
_GOOD = 1e-13  # digits enough of a user's function
_FIRST, _LAST = 128, 384  # terms of the series: for every state, and where that is not enough
_FEW = 128  # states that are all worth the longer series once one of them needs it
_BLOCK = 16
_EXPONENTS = np.arange(512.0)


class Series:
    """The coefficients a_n/sqrt(s) of an array of states, shape (m, terms), and what is missing after some of them."""

    def __init__(
        self,
        a: np.ndarray,
        gain: np.ndarray,
        slope: np.ndarray,
        bound: Callable[[np.ndarray, int, bool], np.ndarray] | None = None,
    ) -> None:
        """`bound` of some states, after a number of terms, of R/s or (True) of R'/s; None if there is none."""
        self.a, self.square, self._bound = a, a**2, bound
        self.gain, self._totals = gain, (gain, slope)
        self._sure: dict[tuple[int, bool], np.ndarray] = {}
        # lengths at which a sum may stop, and the remainders R/s and R'/s there, shape (m, lengths); rounding leaves
        # them up to a few 1e-16 of the total below zero
        terms = a.shape[1]
        self.lengths = [n for n in (16, 32, 64, 128, 256, 384) if n <= terms]
        stops = np.array(self.lengths) - 1
        odd = 2.0 * np.arange(terms) + 1.0
        self.rest = np.maximum(gain[:, None] - np.cumsum(self.square, axis=1)[:, stops], 0.0)
        self.rest_slope = np.maximum(slope[:, None] - np.cumsum(odd * self.square, axis=1)[:, stops], 0.0)

    @cached_property
    def tails(self) -> np.ndarray:
        """sum_{n >= j} a_n^2/s."""
        return _tails(self.square)

    def sum(self, first, second, rho, one_minus_rho, want_gap: bool) -> tuple[np.ndarray, np.ndarray]:
        """Delta' (or Delta'(1) - Delta') over sqrt(s_1 s_2) for rho >= 0, and a bound on its relative remainder."""
        # each total is at least the first term of its sum, or its value at the slope of the first term
        linear = self.square[first, 0] if first is second else np.abs(self.a[first, 0] * self.a[second, 0])
        enough = _TOLERANCE * (one_minus_rho if want_gap else rho) * linear
        for stop in range(len(self.lengths)):
            remainder = self._remainder(stop, first, second, rho, one_minus_rho, want_gap)
            if (remainder <= enough).all():
                break
        total = self._sum(self.lengths[stop], first, second, rho, one_minus_rho, want_gap)
        return total, np.divide(remainder, np.abs(total), out=np.zeros(total.shape), where=total != 0)

    def _remainder(self, stop, first, second, rho, one_minus_rho, want_gap):
        # at unequal norms sqrt(R_1 R_2) vanishes with the smaller one, and an error of that counts by its root
        sure = first is not second
        if want_gap:
            slope = self.sure_rest(stop, slope=True) if sure else self.rest_slope[:, stop]
            # compared with 1 - rho, a rounding error of c' may be much
            rest = self.rest[:, stop] + _ROUNDING * self._totals[0]
            return np.minimum(_of_both(rest, first, second), one_minus_rho * _of_both(slope, first, second))
        rest = self.sure_rest(stop) if sure else self.rest[:, stop]
        return _of_both(rest, first, second) * rho ** (2 * self.lengths[stop] + 1)

    def sure_rest(self, stop: int, slope: bool = False) -> np.ndarray:
        """R/s, or R'/s, of every state, not below the true one however small that is."""
        if (stop, slope) not in self._sure:
            total = self._totals[int(slope)]
            rest = (self.rest_slope if slope else self.rest)[:, stop] + _ROUNDING * total
            unsure = np.flatnonzero(rest < _UNSURE * total)
            if self._bound is not None and unsure.size:
                rest[unsure] = np.minimum(rest[unsure], self._bound(unsure, self.lengths[stop], slope))
            self._sure[stop, slope] = rest
        return self._sure[stop, slope]

    def _sum(self, length, first, second, rho, one_minus_rho, want_gap):
        x = rho * rho
        if not want_gap:
            if first is second:
                return rho * _polynomial(self.square[first, :length], x)
            return rho * _polynomial(self.a[first, :length] * self.a[second, :length], x)
        # 1 - rho^(2n+1) = (1 - rho) + rho (1 - rho^2) sum_{j<n} rho^(2j): positive terms only
        tails = self.tails[first] if first is second else _tails(self.a[first] * self.a[second])
        return one_minus_rho * (tails[:, 0] + rho * (2.0 - one_minus_rho) * _polynomial(tails[:, 1 : length + 1], x))


def _of_both(rest: np.ndarray, first: np.ndarray, second: np.ndarray) -> np.ndarray:
    # the root of each: at large s their product underflows
    return rest[first] if first is second else np.sqrt(rest[first]) * np.sqrt(rest[second])


def _tails(terms: np.ndarray) -> np.ndarray:
    return np.cumsum(terms[:, ::-1], axis=1)[:, ::-1]


def _polynomial(coefficients: np.ndarray, x: np.ndarray) -> np.ndarray:
    """sum_n coefficients[:, n] x^n, by powers within blocks and Horner's rule across them."""
    pairs, terms = coefficients.shape
    if pairs == 1:  # there the calls cost more than the numbers
        return coefficients @ x ** _EXPONENTS[:terms]
    whole = -(-terms // _BLOCK)
    if whole * _BLOCK != terms:
        coefficients = np.concatenate([coefficients, np.zeros((pairs, whole * _BLOCK - terms))], axis=1)
    powers = np.empty((pairs, _BLOCK))
    powers[:, 0] = 1.0
    powers[:, 1] = x
    for n in (2, 4, 8):
        np.multiply(powers[:, :n], (powers[:, n - 1] * x)[:, None], out=powers[:, n : 2 * n])
    sums = np.einsum("pbn,pn->pb", coefficients.reshape(pairs, whole, _BLOCK), powers)
    total, step = sums[:, -1], powers[:, -1] * x
    for b in range(whole - 2, -1, -1):
        total = total * step + sums[:, b]
    return total


class Overlaps:
    """Overlap averages between capsule states of one activation and dimension, for a flat array s of states."""

    def __init__(self, activation: Activation, dimension: int, s: np.ndarray) -> None:
        self.activation, self.dimension, self.s = activation, dimension, s
        if activation.is_saturated:
            self.gain = power_gain(activation, dimension, s)
            return
        if not activation.guaranteed:
            a, self.gain, slope = laguerre.expansion(activation, dimension, s)
            self._series = Series(a, self.gain, slope)
            self._check = Series(*laguerre.expansion(activation, dimension, s, laguerre.OTHER_PANELS))
            return
        self.gain, amplitude, angular = gain_and_jacobian(activation, dimension, s)
        self._slope = (amplitude + (dimension - 1) * angular) / dimension
        self._series = self._expand(np.arange(s.size), _FIRST)

    def _expand(self, states: np.ndarray, terms: int) -> Series:
        def bound(which: np.ndarray, length: int, slope: bool) -> np.ndarray:
            return mixture.remainder(self._mixture(states[which]), length, slope)

        a = mixture.coefficients(self._mixture(states), terms)
        return Series(a, self.gain[states], self._slope[states], bound)

    @cached_property
    def _longer(self) -> Series:
        return self._expand(np.arange(self.s.size), _LAST)

    def _mixture(self, states: np.ndarray) -> mixture.MixtureState:
        return mixture.mixture_state(self.activation, self.dimension, self.s[states])

    def value(self, first, second, rho, one_minus_rho) -> tuple[np.ndarray, np.ndarray]:
        """Delta'/sqrt(s_1 s_2), odd in rho, and an estimate of its relative error.

        Pass the same object as `first` and `second` for inputs of equal norm.
        """
        out, error = self._evaluate(first, second, np.abs(rho), one_minus_rho, want_gap=False)
        return np.sign(rho) * out, error

    def gap(self, first, second, rho, one_minus_rho) -> tuple[np.ndarray, np.ndarray]:
        """(Delta'(1) - Delta'(|rho|))/sqrt(s_1 s_2) and an estimate of its relative error."""
        return self._evaluate(first, second, np.abs(rho), one_minus_rho, want_gap=True)

    def steepening(self, state, rho, one_minus_rho) -> tuple[np.ndarray, np.ndarray]:
        """(1 - Delta'/c')/(1 - rho) - 1 >= 0 at equal norms, 0 < rho < 1: how much faster than linear ones inputs part.

        And an estimate of its relative error. Where it is small it is a sum of positive terms.
        """
        error = np.zeros(rho.shape)
        if self.activation.is_saturated:
            out, todo = np.empty(rho.shape), np.ones(rho.shape, bool)
        else:
            out, todo = self._steep_series(self._series, state, rho, one_minus_rho)
        if not self.activation.guaranteed:
            other, _ = self._steep_series(self._check, state, rho, one_minus_rho)
            error = np.divide(np.abs(other - out), np.abs(out), out=error, where=out != 0.0)
        for which, want_gap in ((todo & (rho < 0.5), False), (todo & (rho >= 0.5), True)):
            own, near = np.where(which)[0], (rho[which], one_minus_rho[which])
            of = state[own]
            found, lost = (self.gap if want_gap else self.value)(of, of, *near)
            scaled = found / self.gain[of]
            out[own] = scaled / near[1] - 1.0 if want_gap else (near[0] - scaled) / near[1]
            with np.errstate(divide="ignore"):
                error[own] = lost * scaled / near[1] / np.abs(out[own])
        return out, error

    def _steep_series(self, series: Series, state, rho, one_minus_rho) -> tuple[np.ndarray, np.ndarray]:
        """The same by a series, and where that leaves too much out."""
        spread = one_minus_rho * (2.0 - one_minus_rho)
        last = len(series.lengths) - 1
        total = _polynomial(series.tails[state, 1:], rho * rho)
        left_out = rho ** (2 * series.lengths[last]) * series.sure_rest(last, slope=True)[state]
        left_out = left_out + series.sure_rest(last)[state] * np.minimum(1.0 / spread, series.lengths[last])
        return rho * (2.0 - one_minus_rho) * total / self.gain[state], left_out > 1e-14 * total

    def _evaluate(self, first, second, rho, one_minus_rho, want_gap):
        if rho.size == 0:
            return np.empty(0), np.empty(0)
        if self.activation.is_saturated:
            both = saturated_map(self.dimension, rho, one_minus_rho)
            scale = np.sqrt(self.gain[first]) * np.sqrt(self.gain[second])
            return both[int(want_gap)] * scale, np.zeros(rho.size)
        if not self.activation.guaranteed:
            return self._of_user(first, second, rho, one_minus_rho, want_gap)
        out, error = self._series.sum(first, second, rho, one_minus_rho, want_gap)
        if error.max() > _TOLERANCE:
            for method in (self._longer_series, self._pair_sums):
                todo = np.flatnonzero(error > _TOLERANCE)
                if todo.size == 0:
                    break
                left = first[todo]
                right = left if first is second else second[todo]
                out[todo], error[todo] = method(left, right, rho[todo], one_minus_rho[todo], want_gap)
        return out, error

    def _change(self, out, first, second, rho, one_minus_rho, want_gap) -> np.ndarray:
        """By how much a second rule changes what the series of a user's function gives."""
        other, _ = self._check.sum(first, second, rho, one_minus_rho, want_gap)
        return np.divide(np.abs(out - other), np.abs(out), out=np.zeros(out.shape), where=out != 0)

    def _of_user(self, first, second, rho, one_minus_rho, want_gap):
        """Of a user's function: by the series, and by direct quadrature for the gap where that converges slowly, which
        gives Delta' through what they sum to at rho = 1. Where the function breaks, the series has Delta' alone.
        """
        sharp = bool(self.activation.breaks)
        out, error = self._series.sum(first, second, rho, one_minus_rho, want_gap and not sharp)
        error = error + self._change(out, first, second, rho, one_minus_rho, want_gap and not sharp)
        same = one_minus_rho == 0.0
        if not sharp and not ((error > _GOOD) & (rho > 0.5) & ~same).any():
            return out, error
        whole, whole_error = self._whole(first, second)
        if want_gap and sharp:
            out, lost = whole - out, error * np.abs(out) + whole_error
            error = np.divide(lost, np.abs(out), out=np.full(out.shape, np.inf), where=out != 0.0)
        out[same], error[same] = (0.0, 0.0) if want_gap else (whole[same], whole_error[same] / np.abs(whole[same]))
        if self.activation.more_breaks:
            return out, error
        for i in np.flatnonzero((error > _GOOD) & (rho > 0.5) & ~same):
            pair = float(self.s[first[i]]), float(self.s[second[i]])
            gap, gap_error = nearby_gap(self.activation, self.dimension, *pair, float(one_minus_rho[i]))
            value, lost = gap, gap_error * abs(gap)
            if not want_gap:
                value, lost = whole[i] - gap, lost + whole_error[i]
            if lost < error[i] * abs(value):
                out[i], error[i] = value, lost / abs(value)
        return out, error

    def _whole(self, first, second) -> tuple[np.ndarray, np.ndarray]:
        """Delta' of aligned inputs and its estimated error, both over sqrt(s_1 s_2), of a user's function."""
        if first is second:
            whole, other = self.gain[first], self._check.gain[first]
        else:
            whole, other = (
                aligned(self.activation, self.dimension, self.s[first], self.s[second], refine) for refine in (1, 2)
            )
        return whole, np.abs(whole - other) + np.finfo(float).eps * np.abs(whole)

    def _longer_series(self, first, second, rho, one_minus_rho, want_gap):
        if self.s.size <= _FEW:
            return self._longer.sum(first, second, rho, one_minus_rho, want_gap)
        states, index = np.unique(np.concatenate([first, second]), return_inverse=True)
        left, right = np.split(index, 2)
        if first is second:
            right = left
        return self._expand(states, _LAST).sum(left, right, rho, one_minus_rho, want_gap)

    def _pair_sums(self, first, second, rho, one_minus_rho, want_gap):
        left = self._mixture(first)
        right = left if first is second else self._mixture(second)
        sums = mixture.pair_sums(left, right, rho, one_minus_rho)
        return sums[int(want_gap)], np.zeros(rho.size)

    def weights(self, terms: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """a_n^2/c' of the only state, n < terms, what all later ones sum to at most, and an estimate of their error.

        The error is that of what sums to 1.
        """
        longest = _LAST if self.activation.guaranteed else laguerre.TERMS
        if terms > longest:
            raise ValueError(f"terms must be at most {longest} for {self.activation.name}, got {terms}")
        series = self._longer if self.activation.guaranteed else self._series
        weight = series.square[0] / self.gain[0]
        # positive terms, and a bound of the rest: 1 less their sum has no digits where they fall off fast
        end = series.sure_rest(len(series.lengths) - 1) / self.gain[0]
        after = _tails(np.append(weight[1:], end)[None])[0, :terms]
        if self.activation.guaranteed:
            return weight[:terms], after, np.zeros(terms)
        return weight[:terms], after, np.abs(weight - self._check.square[0] / self.gain[0])[:terms]
