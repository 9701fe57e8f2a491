"""What the committed results of trained networks say about the paper's claims: rows of `training.checklist`."""

from __future__ import annotations

from collections.abc import Iterator

import xarray as xr
from scipy import stats

from .. import table
from ..experiments import EXPERIMENTS
from ..places import COMMITTED, find
from ..recurrent import selection, tables
from ..recurrent.rows import by_model
from .outcome import Outcome, Verdict

SEEDS = {tables.COPY: 10, tables.PSMNIST: 3}  # of the paper's tables
_FROM_WORST: tuple[Verdict, ...] = ("contradicts", "undecided", "not run yet", "agrees")


def trained(*names: str) -> Outcome:
    """A figure by its experiments, each at the largest preset that has a committed table; the worst verdict counts."""
    parts = [_experiment(name) for name in names]
    return Outcome(
        " ".join(EXPERIMENTS[name].claim for name in names),
        "; ".join(part.found for part in parts if part.found),
        min((part.verdict for part in parts), key=_FROM_WORST.index),
        "; ".join(part.note for part in parts),
    )


def _experiment(name: str) -> Outcome:
    claim = EXPERIMENTS[name].claim
    result = _largest(name)
    if result is None:
        return Outcome(claim, "", "not run yet", f"{name}: not run yet")
    preset = result.attrs["preset"]
    checks = EXPERIMENTS[name].judge(table.frame(result))
    size = "the paper's size" if preset == "paper" else "a reduced size"
    stopped = [
        f"at the paper's settings, stopped after {step:,} batches: {check}"
        for step, run in _stopped(name)
        for check in EXPERIMENTS[name].judge(table.frame(run))
    ]
    return Outcome(
        claim,
        "; ".join([*map(str, checks), *stopped]),
        min((check.verdict for check in checks), key=_FROM_WORST.index),
        f"{name}: preset {preset}, {size}: {EXPERIMENTS[name].describe(result.attrs['settings'])}",
    )


def recurrent_table(task: str, name: str) -> Outcome:
    """Tables 2 and 3: the paper's means and standard deviations, and ours of the same models.

    A reduced run leaves a table of numbers open. One of the paper's size agrees when no model's mean differs by Welch's
    test, at 5 % for all models together.
    """
    printed = tables.paper_results(task)
    expected = "; ".join(_told(printed, group) for group in map(str, printed.group.values))
    result = _largest(name)
    if result is None:
        return Outcome(expected, "", "not run yet", f"{name}: not run yet")
    found, preset = table.frame(result), result.attrs["preset"]
    told, p = [], []
    for step, run in _stopped(name):
        (part,) = run.attrs["settings"]["parts"]
        ours = selection.summarise(selection.select(by_model(table.frame(run), part["task"])))
        groups = [group for group in ours.group.values if group in printed.group.values]
        told += [f"{part['task']}, after {step:,} batches, {_told(ours, group)}" for group in groups]
    for each in found.task.unique():
        ours = selection.summarise(selection.select(by_model(found, each)))
        told += [f"{each}, {_told(ours, group)}" for group in map(str, ours.group.values)]
        p += [
            _p_value(printed, ours, group, SEEDS[task]) for group in printed.group.values if group in ours.group.values
        ]
    if preset != "paper":
        return Outcome(
            expected, "; ".join(told), "undecided", f"{name}: preset {preset}, a reduced size: other numbers"
        )
    verdict: Verdict = "agrees" if min(p) > 0.05 / len(p) else "contradicts"
    return Outcome(expected, "; ".join(told), verdict, f"{name}: preset paper, the paper's size; least p {min(p):.2g}")


def _stopped(name: str) -> Iterator[tuple[int, xr.Dataset]]:
    """Runs at the paper's settings that were stopped on their way, and after how many batches."""
    for preset in EXPERIMENTS[name].presets:
        path = COMMITTED / f"{name}_{preset}.csv"
        result = table.read(path) if path.is_file() else xr.Dataset()
        if (step := result.attrs.get("unfinished")) is not None:
            yield step, result


def _told(summary: xr.Dataset, group: str) -> str:
    own = summary.sel(group=group)
    return f"{group}: {own['mean'].item():.3g} +- {own['std'].item():.2g}"


def _p_value(printed: xr.Dataset, ours: xr.Dataset, group: str, seeds: int) -> float:
    """Of two means, one printed with its standard deviation over so many seeds."""
    theirs, own = printed.sel(group=group), ours.sel(group=group)
    test = stats.ttest_ind_from_stats(
        theirs["mean"].item(), theirs["std"].item(), seeds,
        own["mean"].item(), own["std"].item(), own.seeds.item(), equal_var=False,
    )  # fmt: skip
    return float(test.pvalue)


def _largest(name: str) -> xr.Dataset | None:
    """The committed result of the largest preset that has one."""
    try:
        return table.read(find(name, folder=COMMITTED))
    except FileNotFoundError:
        return None
