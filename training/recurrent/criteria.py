"""By what the claims about recurrent networks are judged; see `training.criteria`.

Learning rates and initialisations are selected by validation first, as in the paper. Intervals of differences are
Welch's: a seed gives two models the same batches, but weights that have nothing in common, so that which seed is paired
with which would be arbitrary. What they do share (batches; U(1) and generic(2) RNNs also their first function) can only
make such an interval too wide.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace

import numpy as np
import pandas as pd
import xarray as xr

from meanfield.symmetry import as_symmetry

from ..criteria import Check, Side
from .copy_task import MEMORY
from .job import PIXELS
from .rows import NOWHERE, by_encoder, by_model, last
from .selection import select
from .settings import symmetry_and_cell
from .tables import READINGS
from .training import SOLVED

STEPS = 1_000_000  # batches of the paper's copy tasks
STRETCH = 3.0  # powers of ten, far from any that a readout could make up for
LITTLE = 0.15  # powers of ten: a factor of 1.4
BURST = 10.0  # of a mean over an epoch; guessing costs log 10 = 2.3
WORST = np.finfo(float).max  # in place of a loss that is no longer a number
# Figure 6, Table 2: each U(1) model and its ordinary counterparts, of which the larger has more parameters
COUNTERPARTS = {"U(1) RNN 32": ("RNN 32", "RNN 64"), "U(1) GRU 32": ("GRU 32", "GRU 64")}


def lower_loss(table: pd.DataFrame) -> list[Check]:
    """Figure 6."""
    return _log_gains(table, [(other, ours) for ours, others in COUNTERPARTS.items() for other in others])


def controls(table: pd.DataFrame) -> list[Check]:
    """Of Figure 6 and of the longest delays, what the paper does not ask.

    Whether equivariance alone helps: generic(2) models against U(1) ones, same capsules and nonlinearity. Whether its
    start is what helps a U(1) GRU: a GRU that starts with b_z = 2 too, and with its own initial weights or with those
    of the U(1) GRU, whichever validation prefers, against one that does not, and against U(1).
    """
    pairs = (
        ("generic(2) RNN 32", "U(1) RNN 32"),
        ("generic(2) GRU 32", "U(1) GRU 32"),
        ("GRU 32", "GRU 32, b_z = 2"),
        ("GRU 32, b_z = 2", "U(1) GRU 32"),
    )
    return _log_gains(table, pairs)


def _log_gains(table: pd.DataFrame, pairs: Iterable[tuple[str, str]]) -> list[Check]:
    """Of every task, the pairs (worse, better) of which it has both."""
    checks = []
    for task in table.task.unique():
        loss = _final(table, task, "test_loss")
        checks += [_log_gain(task, loss, *pair) for pair in pairs if set(pair) <= set(loss)]
    return checks


def blank_rule(table: pd.DataFrame) -> list[Check]:
    """Appendix D.2.2: what it does to hold the blank token's weights at zero, to equivariant and to ordinary models."""
    checks = []
    for task in table.task.unique():
        loss = _final(table, task, "test_loss")
        for name in loss:
            if (trained := f"{name}, blank trained") not in loss:
                continue
            check = _log_gain(task, loss, trained, name)
            equivariant = name.startswith("U(1)")
            sides: tuple[tuple[Side, float], ...] = ((">", 0.0),) if equivariant else (("<", LITTLE), (">", -LITTLE))
            checks += [replace(check, side=side, bound=bound) for side, bound in sides]
    return checks


def readings(table: pd.DataFrame) -> list[Check]:
    """Appendix D.2.2: models that start with N(0, 0.001) as a deviation, and as a variance; both sides of the bound."""
    checks = []
    for task in table.task.unique():
        every = by_encoder(table, task)
        loss = _by_label(every, select(every), "test_loss")  # of each label one setting, unless a seed diverged
        for name in dict.fromkeys(label.rpartition(", ")[0] for label in loss):
            check = _log_gain(task, loss, *(f"{name}, {scheme}" for scheme in READINGS))
            checks += [replace(check, side="<", bound=LITTLE), replace(check, side=">", bound=-LITTLE)]
    return checks


def _log_gain(task: str, loss: dict[str, np.ndarray], worse: str, better: str) -> Check:
    return _gain(f"{task}: log10 loss, {worse} minus {better}", np.log10(loss[worse]), np.log10(loss[better]))


def _gain(text: str, first: np.ndarray, second: np.ndarray) -> Check:
    """First minus second, which must be above zero."""
    return Check(text, tuple(first), ">", 0.0, minus=tuple(second))


def only_one_solves(table: pd.DataFrame) -> list[Check]:
    """The copy task with the longest delays."""
    (task,) = table.task.unique()
    losses = _final(table, task, "test_loss")
    solved = {name: _solved(loss) for name, loss in losses.items()}
    ours = solved.pop("U(1) GRU 32")
    if not ours and _early(table):
        ours = np.nan
    # what models without a number did does not matter where another one solves it
    others = np.nansum(list(solved.values())) or sum(solved.values())
    if not others and _early(table):
        others = np.nan
    asked: tuple[tuple[str, float, Side, float], ...] = (
        (f"U(1) GRU 32, of {len(losses['U(1) GRU 32'])}", ours, ">", 0.5),
        (f"{', '.join(solved)} together, of {sum(len(losses[name]) for name in solved)}", others, "<", 0.5),
    )
    return [
        Check(f"{task}: seeds that solve it, {who}", (float(n),), side, bound, True) for who, n, side, bound in asked
    ]


def _solved(losses: np.ndarray) -> float:
    """Seeds that solve the task; NaN for a model that selection leaves out."""
    return float((losses < SOLVED).sum()) if np.isfinite(losses).any() else np.nan


def as_large(table: pd.DataFrame) -> list[Check]:
    """Figure 7 at equal numbers of weights: against the smallest ordinary model with no less."""
    (task,) = table.task.unique()
    accuracy = _final(table, task, "test_accuracy")
    weights, kinds = (table.groupby("model")[column].first() for column in ("parameters", "kind"))
    checks = []
    for name, _, cell, _ in _equivariant(table, accuracy):
        larger = [other for other in accuracy if kinds[other] == cell and weights[other] >= weights[name]]
        if larger:
            other = min(larger, key=weights.__getitem__)
            text = f"{task}: accuracy, {name} ({weights[name]:,} weights) minus {other} ({weights[other]:,})"
            checks.append(_gain(text, accuracy[name], accuracy[other]))
    return checks


def more_accurate(table: pd.DataFrame) -> list[Check]:
    """Figure 7, Table 3: at each hidden size, and at each number of weights."""
    return [*_accuracy_gains(table, lambda _, cell: cell), *as_large(table)]


def accurate_by_symmetry(table: pd.DataFrame) -> list[Check]:
    """What the paper does not ask: against generic weights, with the same capsules and nonlinearity."""
    return _accuracy_gains(table, lambda symmetry, cell: f"generic({as_symmetry(symmetry).capsule_dimension}) {cell}")


def _accuracy_gains(table: pd.DataFrame, counterpart: Callable[[str, str], str]) -> list[Check]:
    """Each equivariant model against the one of its size whose kind `counterpart` (symmetry, cell) names."""
    (task,) = table.task.unique()
    accuracy = _final(table, task, "test_accuracy")
    checks = []
    for name, symmetry, cell, size in _equivariant(table, accuracy):
        if (other := f"{counterpart(symmetry, cell)} {size}") in accuracy:
            checks.append(_gain(f"{task}: accuracy, {name} minus {other}", accuracy[name], accuracy[other]))
    return checks


def _equivariant(table: pd.DataFrame, names: Iterable[str]) -> Iterator[tuple[str, str, str, int]]:
    """Name, symmetry, cell and hidden size of each equivariant model, but for controls, whose names tell more."""
    models = table.groupby("model")[["kind", "hidden_size"]].first()
    for name in names:
        kind, size = models.loc[name]
        symmetry, cell = symmetry_and_cell(kind)
        if symmetry.startswith(("U(1)", "O(")) and name == f"{kind} {size}":
            yield name, symmetry, cell, size


def bursts(table: pd.DataFrame) -> list[Check]:
    """What the paper does not ask: each ordinary model's worst epoch with ReLUs, and with tanh at the same rate.

    And how much the recurrent weights of an RNN with ReLUs would stretch a state over all pixels, in powers of ten.
    """
    (task,) = table.task.unique()
    steps = PIXELS[task.split()[-1]]
    losses = table[table.quantity == "train_loss"].assign(value=lambda rows: rows.value.fillna(WORST))
    worst = losses.groupby(["model", "activation", "seed"], sort=False).value.max().clip(upper=WORST)
    checks = []
    for name in losses.model.unique():
        relu, tanh = worst[name, "relu"], worst[name, "tanh"]
        count = f"{name}, {{}}, seeds of {len(relu)} whose training loss has an epoch with a mean above {BURST:g}"
        checks += [
            Check(count.format("relu"), (float((relu > BURST).sum()),), ">", 0.5, True),
            Check(count.format("tanh"), (float((tanh > BURST).sum()),), "<", 0.5, True),
        ]
        own = table[(table.model == name) & (table.activation == "relu") & (table.quantity == "spectral_radius")]
        if len(own):
            text = f"{name}, relu, log10 of the spectral radius to the power of the {steps} steps, after training"
            checks.append(Check(text, tuple(steps * np.log10(own.value)), ">", STRETCH, True))
    return checks


def lasting_pairs(table: pd.DataFrame) -> list[Check]:
    """Figures 12 and 13, beside the same grids before training; of a single one, as the paper's, its numbers count."""
    trained, untrained = (table[table.step == step] for step in (table.step.max(), table.step.min()))
    loss = trained[trained.quantity == "test_loss"].set_index("seed").value.fillna(WORST)
    decided = loss.mask((loss >= SOLVED) & _early(table))
    told, told_before = (each[each.quantity == "read_off"].set_index("seed").value for each in (trained, untrained))
    lasting, lasting_before = _lasting(trained), _lasting(untrained)
    text = "vortices kept from step to step beyond chance"
    gains: tuple[tuple[str, pd.Series], ...] = (
        (
            "share of symbols that winding numbers tell at the end of the delay, minus before training",
            told - told_before,
        ),
        (f"{text}, least channel", lasting.min(axis=1, skipna=False)),
        (f"{text}, mean of channels, minus before training", (lasting - lasting_before).mean(axis=1, skipna=False)),
    )
    alone = len(loss) == 1
    return [
        Check(f"test cross-entropy, largest {loss.max():.3g}", tuple(decided), "<", SOLVED, True),
        *(Check(text, tuple(gain), ">", 0.0, alone) for text, gain in gains),
    ]


def _lasting(rows: pd.DataFrame) -> pd.DataFrame:
    """Share of vortices that are kept, beyond chance, from the last symbol to the go token, (seeds, channels).

    NaN for a channel without any.
    """
    during = (rows.channel != NOWHERE) & (rows.time >= MEMORY - 1) & (rows.time < _go(rows))
    kept, chance = (
        rows[during & (rows.quantity == name)].pivot_table(index="seed", columns="channel", values="value")
        for name in ("kept", "chance")
    )
    channels = rows.channel[rows.channel != NOWHERE].unique()
    return (kept - chance).reindex(index=rows.seed.unique(), columns=channels if channels.size else [0])


def _go(rows: pd.DataFrame) -> int:
    """When the go token comes: the step after the last one of the delay, at which symbols are read off."""
    return int(rows[rows.quantity == "read_off"].time.iloc[0]) + 1


def _early(table: pd.DataFrame) -> bool:
    """Whether training stopped so early that a task which is not solved decides nothing."""
    return bool(table.step.max() < STEPS)


def _final(table: pd.DataFrame, task: str, quantity: str) -> dict[str, np.ndarray]:
    """The last value of each seed, by the models' names, with the settings that validation selects.

    NaN for every seed of a model that has no setting in which all seeds trained: what is asked of it stays undecided.
    """
    every = by_model(table, task)
    return _by_label(every, select(every), quantity)


def _by_label(every: xr.Dataset, chosen: xr.Dataset, quantity: str) -> dict[str, np.ndarray]:
    """The last value of each seed of those chosen; NaN for each seed of a model of which none is."""
    ordered, found = last(chosen, quantity).sortby("seed"), {}
    for label in dict.fromkeys(every.label.values.tolist()):
        own = ordered.values[ordered.label.values == label]
        found[label] = own if own.size else np.full(len(set(every.seed.values[every.label.values == label])), np.nan)
    return found
