"""What the committed results of trained networks say about the paper's claims: rows of `training.checklist`."""

from __future__ import annotations

from pathlib import Path

from . import table
from .checklist_outcome import Outcome, Verdict
from .experiments import EXPERIMENTS
from .presets import PRESETS
from .recurrent import tables

RESULTS = Path(__file__).parent / "results"
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
    presets = [preset for preset in PRESETS[name] if (RESULTS / f"{name}_{preset}.csv").is_file()]
    if not presets:
        return Outcome(claim, "", "not run yet", f"{name}: not run yet")
    result = table.read(RESULTS / f"{name}_{presets[-1]}.csv")
    checks = EXPERIMENTS[name].judge(table.frame(result))
    size = "the paper's size" if presets[-1] == "paper" else "a reduced size"
    return Outcome(
        claim,
        "; ".join(map(str, checks)),
        min((check.verdict for check in checks), key=_FROM_WORST.index),
        f"{name}: preset {presets[-1]}, {size}, seeds: {result.attrs['settings']['seeds']}",
    )


def recurrent_figure(name: str, claim: str) -> Outcome:
    """A figure of trained recurrent networks: nothing judges their results yet."""
    if any(RESULTS.glob(f"{name}_*")):
        return Outcome(claim, "", "undecided", "there are results, which nothing here judges yet")
    return Outcome(claim, "", "not run yet")


def recurrent_table(task: str, name: str) -> Outcome:
    """Tables 2 and 3: the paper's means and standard deviations."""
    told = []
    for (row_task, model, size, k), (mean, spread) in tables.PAPER_RESULTS.items():
        if row_task == task:
            told.append(f"{model.replace('k', str(k)) if k else model}, N = {size}: {mean:g} +- {spread:g}")
    return recurrent_figure(name, "; ".join(told))
