"""What the committed results of trained networks say about the paper's claims: rows of `training.checklist`.

Of an experiment the largest preset that has a result counts, and of copy tasks also what was run of them at the paper's
settings, whole or for fewer batches.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from .. import table
from ..criteria import Check
from ..experiments import EXPERIMENTS
from ..extent import Extent, extent
from ..places import COMMITTED, find
from ..recurrent import selection, tables
from ..recurrent.rows import by_model
from ..recurrent.training import TEST_BATCH
from .outcome import Outcome, Verdict

SEEDS = {tables.COPY: 10, tables.PSMNIST: 3}  # of the paper's tables
_FROM_WORST: tuple[Verdict, ...] = ("contradicts", "undecided", "not run yet", "agrees")


def trained(*names: str) -> Outcome:
    """A figure by its experiments; the worst verdict counts."""
    parts = [_experiment(name) for name in names]
    return Outcome(
        " ".join(EXPERIMENTS[name].claim for name in names),
        "; ".join(part.found for part in parts if part.found),
        min((part.verdict for part in parts), key=_FROM_WORST.index),
        "; ".join(part.note for part in parts),
    )


class _Part(NamedTuple):
    """A run of some of the paper's copy tasks at its settings, beside the largest preset that has a result."""

    extent: Extent
    result: xr.Dataset

    @property
    def label(self) -> str:
        batches, whole = self.extent.batches, self.extent.whole
        return "the paper's size" if whole else f"the paper's settings, after {batches:,} batches"


def _experiment(name: str) -> Outcome:
    claim = EXPERIMENTS[name].claim
    result = _largest(name)
    if result is None:
        return Outcome(claim, "", "not run yet", f"{name}: not run yet")
    preset, parts = result.attrs["preset"], _parts(name)
    checks, of_parts = _judged(name, result), [(part, _judged(name, part.result)) for part in parts]
    whole = [check for part, own in of_parts if part.extent.whole for check in own]
    smaller = [*checks, *(check for part, own in of_parts if not part.extent.whole for check in own)]
    # what a part of the paper's size answers is not asked of smaller runs
    counted = [*whole, *(check for check in smaller if _asked(check) not in map(_asked, whole))]
    size = "the paper's size" if preset == "paper" else "a reduced size"
    sizes = [f"{name}: preset {preset}, {size}: {_described(name, result)}"]
    return Outcome(
        claim,
        "; ".join([*(f"{part.label}: {check}" for part, own in of_parts for check in own), *map(str, checks)]),
        min((check.verdict for check in counted), key=_FROM_WORST.index),
        "; ".join([*sizes, *(f"{part.label}: {_described(name, part.result)}" for part in parts)]),
    )


def _judged(name: str, result: xr.Dataset) -> list[Check]:
    return EXPERIMENTS[name].judge(table.frame(result))


def _asked(check: Check) -> str:
    """What a check asks, whatever the task."""
    return check.text.rpartition(": ")[2]


def _described(name: str, result: xr.Dataset) -> str:
    return EXPERIMENTS[name].describe(result.attrs["settings"])


def recurrent_table(task: str, name: str) -> Outcome:
    """Tables 2 and 3: the paper's means and standard deviations, and ours of the same models.

    A reduced run leaves a table of numbers open. Of the paper's size it agrees when no model's mean differs by Welch's
    test, at 5 % for all models together; where only a part is of that size, it contradicts when that differs.
    """
    printed = tables.paper_results(task)
    expected = "; ".join(_told(printed, group) for group in map(str, printed.group.values))
    result = _largest(name)
    if result is None:
        return Outcome(expected, "", "not run yet", f"{name}: not run yet")
    preset, told, p = result.attrs["preset"], [], []
    for part in _parts(name):
        for each, ours in _summaries(part.result):
            shared = ours.sel(group=np.isin(ours.group, printed.group))
            told += [f"{each}, {part.label}, {_told(shared, group)}" for group in shared.group.values]
            p += _p_values(printed, shared, SEEDS[task]) if part.extent.whole else []
    for each, ours in _summaries(result):
        told += [f"{each}, {_told(ours, group)}" for group in ours.group.values]
        p += _p_values(printed, ours, SEEDS[task]) if preset == "paper" else []
    differs = bool(p) and min(p) <= 0.05 / len(p)
    verdict: Verdict = "contradicts" if differs else "agrees" if preset == "paper" else "undecided"
    size = "the paper's size" if preset == "paper" else "a reduced size: other numbers"
    notes = [f"{name}: preset {preset}, {size}"]
    notes += [f"where the size is the paper's, least p {min(p):.2g}"] if p else []
    notes += [_times(printed)] if task == tables.COPY else []
    return Outcome(expected, "; ".join(told), verdict, "; ".join(notes))


def _summaries(result: xr.Dataset) -> Iterator[tuple[str, xr.Dataset]]:
    """Mean and deviation of every model, of each task."""
    found = table.frame(result)
    for task in found.task.unique():
        yield task, selection.summarise(selection.select(by_model(found, task)))


def _times(printed: xr.Dataset) -> str:
    """The paper's losses before a division that they may have undergone (`training.recurrent.tables`)."""
    before = printed[["mean", "std"]] * TEST_BATCH
    losses = "; ".join(_told(before, group) for group in before.group.values)
    return f"the paper's losses times {TEST_BATCH}, by which it may have divided them: {losses}"


def _parts(name: str) -> list[_Part]:
    """Of each copy task the longest run at the paper's settings."""
    longest: dict[str, _Part] = {}
    largest = _largest(name)
    for preset in EXPERIMENTS[name].presets:
        path = COMMITTED / f"{name}_{preset}.csv"
        if largest is None or preset == largest.attrs["preset"] or not path.is_file():
            continue
        result = table.read(path)
        if (own := extent(name, result)) is not None:
            tasks = ", ".join(part["task"] for part in result.attrs["settings"]["parts"])
            longest[tasks] = max(longest.get(tasks, _Part(own, result)), _Part(own, result), key=_batches)
    return list(longest.values())


def _batches(part: _Part) -> int:
    return part.extent.batches


def _told(summary: xr.Dataset, group: str) -> str:
    own = summary.sel(group=group)
    return f"{group}: {own['mean'].item():.3g} +- {own['std'].item():.2g}"


def _p_values(printed: xr.Dataset, ours: xr.Dataset, seeds: int) -> list[float]:
    """Of two means each, one printed with its standard deviation over so many seeds, for the models that both have."""
    tests = [
        stats.ttest_ind_from_stats(
            theirs["mean"].item(), theirs["std"].item(), seeds,
            own["mean"].item(), own["std"].item(), own.seeds.item(), equal_var=False,
        )
        for theirs, own in (
            (each.sel(group=group) for each in (printed, ours))
            for group in printed.group.values
            if group in ours.group.values
        )
    ]  # fmt: skip
    return [float(test.pvalue) for test in tests]


def _largest(name: str) -> xr.Dataset | None:
    """The committed result of the largest preset that has one."""
    try:
        return table.read(find(name, folder=COMMITTED))
    except FileNotFoundError:
        return None
