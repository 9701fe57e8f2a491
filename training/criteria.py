"""By what each figure's claim is judged: an effect, with its interval over seeds, and a bound.

Criteria were fixed before the runs that they judge; those which were not say so (`training.experiments`).

The intervals are Student's at 95 %, over seeds, or Welch's where two models are compared whose seeds have nothing in
common. Deep networks of one symmetry that differ in sigma_w or in their optimiser start from the same random numbers;
those of two symmetries share the order of images, and their generators' numbers, which fill weights of different
shapes. Pairing them by seed, as the first criteria do, is valid but arbitrary: such an interval has fewer degrees of
freedom, and happens to be wider or narrower. Treating them as independent, as Welch's does, neglects what the shared
numbers may do; over the seeds of the committed runs accuracies of two symmetries are not correlated.

A check agrees when the whole interval is on the right side of its bound, contradicts when it is on the wrong one, and
is undecided otherwise, as it is with a single seed.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
import pandas as pd
from scipy import stats

from meanfield.symmetry import as_symmetry

from .shape import Shape
from .vanishing import first_gradients

Judge = Callable[[pd.DataFrame], list["Check"]]
Side = Literal[">", "<"]
Verdict = Literal["agrees", "contradicts", "undecided"]
LEVEL = 0.95
BROKEN, UNBROKEN = 1.15, 0.95  # sigma_w clearly above, and below, the transition
COMPARED = 0.76  # sigma_w at which two values of Adam's epsilon are compared
EDGE = 1.06  # sigma_w just above the transition
SMALLER = 1e-4  # a learning rate below the paper's
PARTNERS = {"U(1)": "generic(2)", "O(4)": "generic(4)"}
# read off `collapse`: squared Jacobians per unit below which no network learned, and between which all did; the
# accuracy that divides them
LOST, LEFT, LEARNED = 1e-4, (1e-2, 1e5), 0.25


@dataclass(frozen=True)
class Check:
    """One statement: the mean of `values`, one for each seed, is on a side of `bound`; with `every`, each of them.

    With `minus`, values of another model's seeds, taken as independent of the first, it is the difference of the two
    means.
    """

    text: str
    values: tuple[float, ...]
    side: Side
    bound: float
    every: bool = False
    minus: tuple[float, ...] = ()

    @property
    def mean(self) -> float:
        return float(np.mean(self.values) - (np.mean(self.minus) if self.minus else 0.0))

    @property
    def half_width(self) -> float:
        """Of the interval; infinite for one seed, and none where every seed counts."""
        if self.every:
            return 0.0
        samples = [sample for sample in (self.values, self.minus) if sample]
        if min(map(len, samples)) < 2:
            return math.inf
        # Welch's; of a single sample it is Student's
        freedom = np.array([len(sample) - 1 for sample in samples])
        errors = np.array([np.var(sample, ddof=1) / len(sample) for sample in samples])
        variance = errors.sum()
        if variance == 0.0:
            return 0.0
        return float(stats.t.ppf((1.0 + LEVEL) / 2.0, variance**2 / (errors**2 / freedom).sum()) * math.sqrt(variance))

    @property
    def verdict(self) -> Verdict:
        if not self._finite:
            return "undecided"
        sign = 1.0 if self.side == ">" else -1.0
        if self.every:
            distance = min(sign * (value - self.bound) for value in self.values)
        else:
            distance = sign * (self.mean - self.bound)
        if abs(distance) <= self.half_width:
            return "undecided"
        return "agrees" if distance > 0 else "contradicts"

    @property
    def _finite(self) -> bool:
        return bool(np.isfinite((*self.values, *self.minus)).all())

    @property
    def finding(self) -> str:
        """The number that was found, and what it must be."""
        return f"{self._shown if self._finite else 'open'}, must be {self.side} {self.bound:g}"

    def __str__(self) -> str:
        return f"{self.text}: {self.finding}: {self.verdict}"

    @property
    def _shown(self) -> str:
        """The number that decides: the mean with its interval, or where each counts the worst."""
        if self.every:
            worst, name = (min(self.values), "smallest") if self.side == ">" else (max(self.values), "largest")
            return f"{worst:.3g}" + (f" (the {name} of {len(self.values)})" if len(self.values) > 1 else "")
        if math.isinf(self.half_width):
            return f"{self.mean:.3g} (one seed, no interval)"
        return f"{self.mean:.3g} +- {self.half_width:.3g}"


def onset(table: pd.DataFrame) -> list[Check]:
    """Figures 3 and 11."""
    accuracy = last(table, "accuracy")
    checks = []
    for symmetry, generic in PARTNERS.items():
        above = _over(accuracy, symmetry, accuracy.sigma_w > BROKEN)
        below = _over(accuracy, symmetry, accuracy.sigma_w < UNBROKEN)
        other = _over(accuracy, generic, accuracy.sigma_w > BROKEN)
        name = f"mean accuracy of {symmetry} at sigma_w > {BROKEN}"
        checks.append(Check(f"{name} minus that of {generic}", _tuple(above - other), ">", 0.10))
        checks.append(Check(f"{name} minus at sigma_w < {UNBROKEN}", _tuple(above - below), ">", 0.30))
    return checks


def degradation(table: pd.DataFrame) -> list[Check]:
    """Figure 4."""
    accuracy = last(table, "accuracy")
    shallow, deep = accuracy.depth.min(), accuracy.depth.max()

    def lost(symmetry: str) -> pd.Series:
        at = [_over(accuracy, symmetry, accuracy.depth == depth) for depth in (shallow, deep)]
        return at[0] - at[1]

    text = f"accuracy lost from L = {shallow} to {deep}"
    return [
        Check(f"{text}, O(4)", _tuple(lost("O(4)")), "<", 0.05),
        Check(f"{text}, generic(2)", _tuple(lost("generic(2)")), ">", 0.10),
        Check(f"{text}, U(1) minus O(8)", _tuple(lost("U(1)") - lost("O(8)")), ">", 0.0),
    ]


def healthy(table: pd.DataFrame) -> list[Check]:
    """Figure 5a."""

    def change(symmetry: str, quantity: str) -> tuple[float, ...]:
        mine = table[(table.quantity == quantity) & (table.symmetry == symmetry)]
        first, final = (mine[mine.step == step].set_index("seed").value for step in (mine.step.min(), mine.step.max()))
        ratio = final / first
        # a Jacobian may underflow to zero: that is no reason to stay undecided, and it counts as the least that did not
        least = ratio[ratio > 0.0].min() if (ratio > 0.0).any() else np.finfo(float).tiny
        return _tuple(np.log10(ratio.where(ratio != 0.0, least)))

    rank = last(table, "rank")
    everything = pd.Series(True, index=rank.index)
    ranks = {symmetry: _over(rank, symmetry, everything) for symmetry in ("U(1)", "generic(2)")}
    ours, other = (change(symmetry, "jacobian_norm") for symmetry in ranks)
    text = "log10 of the change of |J|^2"
    return [
        Check(f"{text}, generic(2)", other, "<", -1.0),
        Check(f"{text}, U(1) minus generic(2)", ours, ">", 1.0, minus=other),
        Check("log10 of the change of the protected component, U(1)", change("U(1)", "jacobian_protected"), ">", -1.0),
        Check(
            "effective rank at the end, U(1) minus generic(2)", _tuple(ranks["U(1)"] - ranks["generic(2)"]), ">", 0.0
        ),
    ]


def floor(table: pd.DataFrame) -> list[Check]:
    """Figure 5b, which the paper shows for one seed."""
    rank = last(table, "rank")
    text = "lowest effective rank of any layer"

    def lowest(symmetry: str) -> pd.Series:
        return rank[rank.symmetry == symmetry].groupby("seed").value.min()

    return [
        *(
            Check(f"{text} over k, {symmetry}", _tuple(lowest(symmetry) / k), ">", 0.95, every=True)
            for symmetry, k in (("U(1)", 2), ("O(4)", 4), ("O(8)", 8))
        ),
        Check(f"{text}, generic(2)", _tuple(lowest("generic(2)")), "<", 1.5, every=True),
    ]


def edge(table: pd.DataFrame) -> list[Check]:
    """Figure 10."""
    accuracy = last(table, "accuracy")
    lowest, highest = accuracy.sigma_w.min(), accuracy.sigma_w.max()
    at = {s: _over(accuracy, "generic(4)", accuracy.sigma_w == s) for s in (lowest, highest)}
    near = accuracy[(accuracy.sigma_w - 1.0).abs() <= 0.11].pivot(index="seed", columns="sigma_w", values="value")
    gain = _best_of_others(near) - at[highest]
    return [
        Check(f"accuracy at sigma_w = {highest:g} minus at {lowest:g}", _tuple(at[highest] - at[lowest]), "<", 0.10),
        Check(
            f"accuracy at the sigma_w near 1 that is best for other seeds, minus at {highest:g}", _tuple(gain), ">", 0.0
        ),
    ]


def _best_of_others(values: pd.DataFrame) -> pd.Series:
    """Each seed's value in the column that is best on the mean of the others: its own choice would favour a gain."""
    if len(values) < 2:
        return pd.Series(np.nan, index=values.index)
    return pd.Series({seed: values.at[seed, values.drop(index=seed).mean().idxmax()] for seed in values.index})


def epsilon(table: pd.DataFrame) -> list[Check]:
    """What Adam's epsilon does below the transition: whether first gradients larger than it are enough to train."""
    accuracy = last(table, "accuracy")
    sizes = relative_gradient(accuracy)
    felt, lost = sizes >= 1.0, sizes <= 1e-6
    one = accuracy.sigma_w == COMPARED
    least, most = accuracy.epsilon.min(), accuracy.epsilon.max()
    small, large = (_over(accuracy, "O(4)", one & (accuracy.epsilon == each)) for each in (least, most))
    trained, still, generic = (
        _over(accuracy, symmetry, where) for symmetry, where in (("O(4)", felt), ("O(4)", lost), ("generic(2)", felt))
    )
    text = f"accuracy of O(4) at sigma_w = {COMPARED}, epsilon {least:g} minus {most:g}"
    where = "first gradients above epsilon"
    return [
        Check(text, _tuple(small - large), ">", 0.30),
        Check(f"mean accuracy of O(4), {where} minus below epsilon/10^6", _tuple(trained - still), ">", 0.30),
        Check(f"mean accuracy, {where}, O(4) minus generic(2)", _tuple(trained - generic), ">", 0.10),
    ]


def rotation(table: pd.DataFrame) -> list[Check]:
    """What the learning rate does to U(1) networks below the transition, where O(2) ones cannot turn their output."""
    accuracy = last(table, "accuracy")
    below = accuracy.sigma_w < UNBROKEN
    least, most = accuracy.learning_rate.min(), accuracy.learning_rate.max()
    slow, fast = (below & (accuracy.learning_rate == rate) for rate in (least, most))
    turning, steady, real = (
        _over(accuracy, symmetry, where) for symmetry, where in (("U(1)", fast), ("U(1)", slow), ("O(2)", fast))
    )
    text = f"mean accuracy at sigma_w < {UNBROKEN}"
    return [
        Check(f"{text}, U(1), learning rate {least:g} minus {most:g}", _tuple(steady - turning), ">", 0.15),
        Check(f"{text}, learning rate {most:g}, O(2) minus U(1)", _tuple(real - turning), ">", 0.15),
    ]


def learning_rate(table: pd.DataFrame) -> list[Check]:
    """Whether it is the size of the steps that keeps generic networks from training, and what symmetry adds then."""
    accuracy = last(table, "accuracy")
    paper = accuracy.learning_rate == accuracy.learning_rate.max()
    smaller, above = accuracy.learning_rate == SMALLER, accuracy.sigma_w > 1.0
    edge = accuracy.sigma_w == EDGE
    slow, fast = (_over(accuracy, "generic(2)", edge & rate) for rate in (smaller, paper))

    def lead(rate: pd.Series) -> tuple[float, ...]:
        ours, generic = (_over(accuracy, symmetry, above & rate) for symmetry in ("U(1)", "generic(2)"))
        return _tuple(ours - generic)

    text = "mean accuracy at sigma_w > 1, U(1) minus generic(2), learning rate"
    largest = accuracy.learning_rate.max()
    return [
        Check(
            f"accuracy of generic(2) at sigma_w = {EDGE}, learning rate {SMALLER:g} minus {largest:g}",
            _tuple(slow - fast),
            ">",
            0.15,
        ),
        Check(f"{text} {largest:g}", lead(paper), ">", 0.10),
        Check(f"{text} {SMALLER:g}", lead(smaller), ">", 0.0),
    ]


def collapse(table: pd.DataFrame) -> list[Check]:
    """What is left of networks after too large steps, and what they learn from there with smaller ones."""
    accuracy, rank = last(table, "accuracy"), table[table.quantity == "rank"]
    largest, smallest = accuracy.learning_rate.max(), accuracy.learning_rate.min()
    start, switch = rank.step.min(), rank.step.max()
    after, only, checks = f"{largest:g} first", f"{smallest:g} only", []
    for symmetry, generic in PARTNERS.items():
        before, at = (
            _every(rank[(rank.symmetry == symmetry) & (rank.step == step) & (rank.learning_rate == largest)])
            for step in (start, switch)
        )
        lost = _every(rank[(rank.symmetry == generic) & (rank.step == switch) & (rank.learning_rate == largest)])
        fallen, careful = (accuracy[accuracy.learning_rate == rate] for rate in (largest, smallest))
        other = _over(fallen, generic, fallen.sigma_w > 0.0)
        trained = _over(careful, generic, careful.sigma_w > 0.0)
        ours = _over(fallen, symmetry, fallen.sigma_w > 0.0)
        k = as_symmetry(symmetry).capsule_dimension
        text = f"effective rank at step {switch}"
        checks += [
            Check(f"{text} over that at step {start}, {symmetry}", _tuple(at / before), "<", 0.5, every=True),
            Check(f"{text} over k, {symmetry}", _tuple(at / k), ">", 0.75, every=True),
            Check(f"{text}, {generic}", _tuple(lost), "<", 1.5, every=True),
            Check(
                f"accuracy of {generic}, {after}", _tuple(_every(fallen[fallen.symmetry == generic])), "<", 0.20, True
            ),
            Check(f"mean accuracy of {generic}, {only} minus {after}", _tuple(trained - other), ">", 0.30),
            Check(f"mean accuracy, {after}, {symmetry} minus {generic}", _tuple(ours), ">", 0.30, minus=_tuple(other)),
        ]
    return checks


def jacobian(table: pd.DataFrame) -> list[Check]:
    """Whether the Jacobian that a network has at the switch tells whether it learns from there."""
    networks = at_switch(table)
    equivariant = networks[networks.symmetry.isin(list(PARTNERS))]
    text = f"squared Jacobian at step {table[table.quantity == 'jacobian_norm'].step.max()}"
    low, high = LEFT
    lost, left = (
        _accuracies(networks, which) for which in (networks.jacobian < LOST, networks.jacobian.between(*LEFT))
    )
    return [
        Check(f"accuracy, {text} below {LOST:g}", lost, "<", LEARNED, every=True),
        Check(f"accuracy, {text} from {low:g} to {high:g}", left, ">", LEARNED, every=True),
        Check(f"{text}, {' and '.join(PARTNERS)}", _tuple(equivariant.jacobian), ">", LOST, every=True),
    ]


def _accuracies(networks: pd.DataFrame, which: pd.Series) -> tuple[float, ...]:
    """Of those networks; no number where there are none, or where the Jacobian of any is unknown."""
    known = networks.jacobian.notna().all()
    return _tuple(networks[which].accuracy) if known and which.any() else (math.nan,)


def at_switch(table: pd.DataFrame) -> pd.DataFrame:
    """All networks: their squared Jacobian per unit at the switch, `jacobian`, and their `accuracy` at the end.

    The switch is the last step at which Jacobians were measured.
    """
    network = ["symmetry", "sigma_w", "seed", "learning_rate"]
    norm = table[table.quantity == "jacobian_norm"]
    at = norm[norm.step == norm.step.max()].set_index(network).value
    return pd.DataFrame({"jacobian": at, "accuracy": last(table, "accuracy").set_index(network).value}).reset_index()


def _every(rows: pd.DataFrame) -> pd.Series:
    """Values of all networks."""
    return rows.set_index(["sigma_w", "seed"]).value


def symmetric_start(table: pd.DataFrame) -> list[Check]:
    """Whether it is what a network begins with that lets it train, or that its layers stay equivariant."""
    accuracy = last(table, "accuracy")
    largest = accuracy.learning_rate.max()
    fast = accuracy[accuracy.learning_rate == largest]

    def of(symmetry: str, share: float) -> tuple[float, ...]:
        return _tuple(_over(fast, symmetry, fast.symmetric == share))

    begun, ours, generic = of("generic(2)", 1.0), of("U(1)", 0.0), of("generic(2)", 0.0)
    text = f"mean accuracy at learning rate {largest:g}"
    return [
        Check(f"{text}, U(1) minus generic(2) that begin as U(1)", ours, ">", 0.10, minus=begun),
        Check(f"{text}, generic(2), beginning as U(1) minus beginning as generic", begun, "<", 0.10, minus=generic),
    ]


def own_rate(table: pd.DataFrame) -> list[Check]:
    """Figure 3 above the transition, where each kind of network has the learning rate that suits it best."""
    accuracy = last(table, "accuracy")
    largest = accuracy.learning_rate.max()
    checks = []
    for symmetry, generic in PARTNERS.items():
        ours, other = (_at_own_rate(accuracy[accuracy.symmetry == each]) for each in (symmetry, generic))
        usual = _over(accuracy, generic, accuracy.learning_rate == largest)
        text = f"mean accuracy of {generic} at its own learning rates minus at {largest:g}"
        checks.append(Check(text, _tuple(other - usual), ">", 0.10))
        text = f"mean accuracy, each at its own learning rates, {symmetry} minus {generic}"
        checks.append(Check(text, _tuple(ours), ">", 0.0, minus=_tuple(other)))
    return checks


def _at_own_rate(accuracy: pd.DataFrame) -> pd.Series:
    """Each seed's mean over sigma_w, at every one with the learning rate that is best for the other seeds.

    Best on the test images, as there is no validation set: a choice among few rates, open to both kinds of network.
    """
    at = [
        _best_of_others(rows.pivot(index="seed", columns="learning_rate", values="value"))
        for _, rows in accuracy.groupby("sigma_w")
    ]
    return pd.concat(at, axis=1).mean(axis=1, skipna=False)


def relative_gradient(rows: pd.DataFrame) -> pd.Series:
    """First gradients of hidden weights over Adam's epsilon, by theory: the geometric mean over layers, row by row.

    For the paper's batches, of independent images; of real ones they are about twice as large: see `first_gradients`.
    """

    def of(symmetry: str, width: int, depth: int, sigma_w: float, epsilon: float) -> float:
        return float(np.exp(np.log(first_gradients(Shape(symmetry, width, depth, 1), sigma_w)).mean()) / epsilon)

    keys = list(zip(rows.symmetry, rows.width, rows.depth, rows.sigma_w, rows.epsilon, strict=True))
    found = {key: of(*key) for key in set(keys)}
    return pd.Series([found[key] for key in keys], index=rows.index)


def last(table: pd.DataFrame, quantity: str) -> pd.DataFrame:
    """The rows of a quantity at the last step at which it was measured."""
    rows = table[table.quantity == quantity]
    return rows[rows.step == rows.step.max()]


def _over(rows: pd.DataFrame, symmetry: str, where: pd.Series) -> pd.Series:
    """Means for each seed."""
    return rows[where & (rows.symmetry == symmetry)].groupby("seed").value.mean()


def _tuple(values: pd.Series) -> tuple[float, ...]:
    return tuple(values.to_list())
