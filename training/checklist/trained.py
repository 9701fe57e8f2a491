"""What the committed results of trained networks say about the paper's claims: rows of `training.checklist`."""

from __future__ import annotations

from pathlib import Path

from .. import table
from ..experiments import EXPERIMENTS
from ..recurrent import selection, tables
from ..recurrent.rows import by_model
from .outcome import Outcome, Verdict

RESULTS = Path(__file__).parents[1] / "results"
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
    preset = _largest(name)
    if preset is None:
        return Outcome(claim, "", "not run yet", f"{name}: not run yet")
    result = table.read(RESULTS / f"{name}_{preset}.csv")
    checks = EXPERIMENTS[name].judge(table.frame(result))
    size = "the paper's size" if preset == "paper" else "a reduced size"
    return Outcome(
        claim,
        "; ".join(map(str, checks)),
        min((check.verdict for check in checks), key=_FROM_WORST.index),
        f"{name}: preset {preset}, {size}: {EXPERIMENTS[name].describe(result.attrs['settings'])}",
    )


def recurrent_table(task: str, name: str) -> Outcome:
    """Tables 2 and 3: the paper's means and standard deviations, and ours of the same models.

    A table of numbers is reached at the paper's size only: a reduced run leaves it open.
    """
    printed = {_named(*key[1:]): values for key, values in tables.PAPER_RESULTS.items() if key[0] == task}
    expected = "; ".join(f"{model}: {mean:g} +- {spread:g}" for model, (mean, spread) in printed.items())
    preset = _largest(name)
    if preset is None:
        return Outcome(expected, "", "not run yet", f"{name}: not run yet")
    found = table.frame(table.read(RESULTS / f"{name}_{preset}.csv"))
    told = []
    for each in found.task.unique():
        summary = selection.summarise(selection.select(by_model(found, each)))
        for group, mean, spread in zip(
            summary.group.values, summary["mean"].values, summary["std"].values, strict=True
        ):
            told.append(f"{each}, {group}: {mean:.3g} +- {spread:.2g}")
    return Outcome(expected, "; ".join(told), "undecided", f"preset {preset}; compare at the paper's size only")


def _named(model: str, size: int, k: int | None) -> str:
    return f"{model.replace('k', str(k)) if k else model} {size}"


def _largest(name: str) -> str | None:
    """The largest preset that has a committed table."""
    found = [preset for preset in EXPERIMENTS[name].presets if (RESULTS / f"{name}_{preset}.csv").is_file()]
    return found[-1] if found else None
