"""What the committed results of trained networks say about the paper's claims: rows of `training.checklist`.

Of an experiment the largest preset that has a result counts, and of copy tasks also what was run of them at the paper's
settings, whole or for fewer batches.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr
from scipy import stats

from .. import table
from ..criteria import Check
from ..experiments import EXPERIMENTS
from ..extent import Extent, extent
from ..places import COMMITTED
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


class _Run(NamedTuple):
    """A committed result, and how much of the paper's run it is."""

    result: xr.Dataset
    extent: Extent | None

    @property
    def complete(self) -> bool:
        return self.result.attrs["preset"] == "paper" and "unfinished" not in self.result.attrs

    @property
    def full_size(self) -> bool:
        """Whether what it has, all of the paper's run or a part, is as large as there."""
        return self.complete or (self.extent is not None and self.extent.whole)

    @property
    def size(self) -> str:
        if self.full_size:
            return "the paper's size" if self.complete else "a part at the paper's size"
        if self.extent is not None:
            return f"the paper's settings, after {self.extent.batches:,} batches"
        return "a reduced size"


def _experiment(name: str) -> Outcome:
    claim, runs = EXPERIMENTS[name].claim, _runs(name)
    if not runs:
        return Outcome(claim, "", "not run yet", f"{name}: not run yet")
    judged = [(run, check) for run in runs for check in EXPERIMENTS[name].judge(table.frame(run.result))]
    answered = {_asked(check) for run, check in judged if run.full_size}
    # what a run of the paper's size answers is not asked of smaller ones
    counted = [check for run, check in judged if run.full_size or _asked(check) not in answered]
    sizes = [
        f"preset {run.result.attrs['preset']}, {run.size}: {EXPERIMENTS[name].describe(run.result.attrs['settings'])}"
        for run in runs
    ]
    return Outcome(
        claim,
        "; ".join(str(check) if len(runs) == 1 else f"{run.size}: {check}" for run, check in judged),
        min((check.verdict for check in counted), key=_FROM_WORST.index),
        f"{name}: {'; '.join(sizes)}",
    )


def _asked(check: Check) -> str:
    """What a check asks, whatever the task."""
    return check.text.rpartition(": ")[2]


def recurrent_table(task: str, name: str) -> Outcome:
    """Tables 2 and 3: the paper's means and standard deviations, and ours of the same models.

    It contradicts when means of runs of the paper's size differ by Welch's test, at 5 % for all models together, and
    agrees when none does, of all models of the table; otherwise it is open.
    """
    printed, runs = tables.paper_results(task), _runs(name)
    expected = "; ".join(_told(printed, group) for group in printed.group.values)
    if not runs:
        return Outcome(expected, "", "not run yet", f"{name}: not run yet")
    told: list[str] = []
    p: dict[str, float] = {}
    for run in runs:
        found = table.frame(run.result)
        for each in found.task.unique():
            ours = selection.summarise(selection.select(by_model(found, each)))
            label = each if len(runs) == 1 else f"{each}, {run.size}"
            told += [f"{label}, {_told(ours, group)}" for group in ours.group.values]
            if run.full_size:
                p |= _p_values(printed, ours, SEEDS[task])
    missing = [str(group) for group in printed.group.values if group not in p]
    differs = bool(p) and min(p.values()) <= 0.05 / len(p)
    verdict: Verdict = "contradicts" if differs else "undecided" if missing else "agrees"
    notes = [f"preset {run.result.attrs['preset']}, {run.size}" for run in runs]
    notes += [f"of the paper's size, least p {min(p.values()):.2g}"] if p else []
    notes += [f"not compared: {', '.join(missing)}"] if p and missing else []
    notes += [_times(printed)] if task == tables.COPY else []
    return Outcome(expected, "; ".join(told), verdict, f"{name}: {'; '.join(notes)}")


def _times(printed: xr.Dataset) -> str:
    """The paper's losses before a division that they may have undergone (`training.recurrent.tables`)."""
    before = printed[["mean", "std"]] * TEST_BATCH
    losses = "; ".join(_told(before, group) for group in before.group.values)
    return f"the paper's losses times {TEST_BATCH}, by which it may have divided them: {losses}"


def _runs(name: str) -> list[_Run]:
    """The largest preset comes last, before it, of copy tasks, the longest run of each at the paper's settings."""
    presets = [preset for preset in EXPERIMENTS[name].presets if (COMMITTED / f"{name}_{preset}.csv").is_file()]
    results = [table.read(COMMITTED / f"{name}_{preset}.csv") for preset in presets]
    runs = [_Run(result, extent(name, result)) for result in results]
    if not runs or runs[-1].complete:
        return runs[-1:]
    longest: dict[tuple[str, ...], _Run] = {}
    for run in runs[:-1]:
        if run.extent is not None:
            tasks = tuple(part["task"] for part in run.result.attrs["settings"]["parts"])
            longest[tasks] = max(longest.get(tasks, run), run, key=_batches)
    return [*longest.values(), runs[-1]]


def _batches(run: _Run) -> int:
    return run.extent.batches if run.extent is not None else 0


def _told(summary: xr.Dataset, group: str) -> str:
    own = summary.sel(group=group)
    return f"{group}: {own['mean'].item():.3g} +- {own['std'].item():.2g}"


def _p_values(printed: xr.Dataset, ours: xr.Dataset, seeds: int) -> dict[str, float]:
    """Of two means each, one printed with its standard deviation over so many seeds, for the models that both have."""
    found = {}
    for group in ours.group.values[np.isin(ours.group, printed.group)]:
        theirs, own = printed.sel(group=group), ours.sel(group=group)
        test = stats.ttest_ind_from_stats(
            theirs["mean"].item(), theirs["std"].item(), seeds,
            own["mean"].item(), own["std"].item(), own.seeds.item(), equal_var=False,
        )  # fmt: skip
        found[str(group)] = float(test.pvalue)
    return found
