"""Tables 2 and 3 beside our runs: numbers of one model next to each other, though not of one task, as Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

import numpy as np
import xarray as xr

from ..table import frame
from .presets import PRESETS
from .rows import by_model
from .selection import holm, left_out, select, summarise, welch
from .tables import COPY, PSMNIST, paper_results
from .training import TEST_BATCH

# which of the paper's tables an experiment reproduces
PRINTED = {"figure6": COPY, "figure7": PSMNIST}


def comparison(result: xr.Dataset) -> str:
    """Every model's mean and standard deviation over seeds, the paper's and ours; then Welch's tests between models.

    The paper's losses also times the size of a test batch, by which they may have been divided (`tables`).
    """
    table, name = frame(result), result.attrs["experiment"]
    images = "test_accuracy" in set(table.quantity)
    told = f"{'accuracy' if images else 'loss'}, mean +- SD over seeds"
    chosen = "chosen: recurrent start, input start, learning rate"
    head = ["task here", "model", "parameters", chosen, f"paper: {told}", f"here: {told}", "seeds"]
    head += [] if images else ["solved"]
    lines, tests = [_row(head), _row(["---"] * len(head))], []
    for task in table.task.unique():
        every = by_model(table, task)
        selected = select(every)
        summary = summarise(selected)
        for group in map(str, summary.group.values):
            own = summary.sel(group=group)
            ours = _number(own["mean"].item(), own["std"].item())
            cells = [task, group, f"{own.parameters.item():,}", _settings(selected, group), _printed(name, group), ours]
            lines.append(_row([*cells, str(own.seeds.item()), *([] if images else [str(own.solved.item())])]))
        for label in left_out(every, selected):
            cells = [task, label, "", "none: seeds diverged", _printed(name, label)]
            lines.append(_row(cells + [""] * (len(head) - len(cells))))
        tests += list(_tests(task, welch(selected)))
    return "\n".join([*lines, "", _told(tests, "accuracies" if images else "losses themselves"), ""])


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _printed(experiment: str, model: str) -> str:
    """The paper's number of a model, the task it is of, and of a loss what it may have been before it was divided."""
    if experiment not in PRINTED:
        return ""
    paper = paper_results(PRINTED[experiment])
    if model not in paper.group.values:
        return ""
    mean, std = (float(paper[name].sel(group=model)) for name in ("mean", "std"))
    told = f"{_number(mean, std)} ({_paper_task(experiment, model)})"
    if PRINTED[experiment] != COPY:
        return told
    return f"{told}; times {TEST_BATCH}: {_number(TEST_BATCH * mean, TEST_BATCH * std)}"


def _paper_task(experiment: str, model: str) -> str:
    """The task at which the preset ``"paper"`` trains a model."""
    parts = PRESETS[experiment]["paper"].parts
    return next(part.task for part in parts if model in {each.name for each in part.settings})


def _settings(chosen: xr.Dataset, model: str) -> str:
    """What validation selected."""
    own = chosen.isel(model=int(np.flatnonzero(chosen.label.values == model)[0]))
    return f"{own.recurrent.item()}, {own.encoder.item()}, {own.learning_rate.item():g}"


def _tests(task: str, found: xr.Dataset) -> Iterator[tuple[str, float]]:
    for pair, p in zip(found.pair.values, found.p.values, strict=True):
        if math.isfinite(p):
            yield f"{task}, {pair}", p


def _told(tests: Sequence[tuple[str, float]], what: str) -> str:
    """All tests in a sentence, and beside each p what it is among so many."""
    if not tests:
        return "One seed of each model: nothing to test."
    adjusted = holm([p for _, p in tests])
    parts = [f"{pair}: p = {p:.2g} ({of_all:.2g})" for (pair, p), of_all in zip(tests, adjusted, strict=True)]
    count = f"{len(tests)} pairs, in brackets p adjusted for that many by Holm's method"
    return f"Welch's two-sided t-tests of the {what}, {count}: {'; '.join(parts)}."


def _number(mean: float, std: float) -> str:
    return f"{mean:.3g} +- {std:.2g}" if math.isfinite(std) else f"{mean:.3g}"
