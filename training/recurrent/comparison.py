"""Tables 2 and 3 beside our runs: numbers of one model next to each other, though not of one task, as Markdown."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import xarray as xr

from ..table import frame
from .presets import PRESETS
from .rows import by_model
from .selection import select, summarise, welch
from .tables import COPY, PAPER_RESULTS, PSMNIST

# experiment -> the paper's numbers, and the task of each kind of model they belong to
PRINTED = {"figure6": COPY, "figure7": PSMNIST}


def comparison(result: xr.Dataset) -> str:
    """Every model's mean and standard deviation over seeds, the paper's and ours; then Welch's tests between models."""
    table, name = frame(result), result.attrs["experiment"]
    lines = [
        "| task here | model | parameters | chosen | paper | here | seeds | solved |",
        "|---|---|---|---|---|---|---|---|",
    ]
    tests = []
    for task in table.task.unique():
        chosen = select(by_model(table, task))
        summary = summarise(chosen)
        for group in summary.group.values:
            own = summary.sel(group=group)
            ours = f"{_number(own['mean'].item())} +- {_number(own['std'].item())}"
            cells = (
                task,
                group,
                f"{own.parameters.item():,}",
                _settings(chosen, group),
                _printed(name, str(group)),
                ours,
            )
            lines.append(f"| {' | '.join(map(str, cells))} | {own.seeds.item()} | {own.solved.item()} |")
        tests += list(_tests(task, welch(chosen)))
    return "\n".join([*lines, "", "Welch's two-sided t-tests: " + "; ".join(tests) + ".", ""])


def _printed(experiment: str, model: str) -> str:
    """The paper's number of a model, and the task it is of; accuracies in per cent there, as fractions here."""
    for (task, kind, size, k), (mean, spread) in PAPER_RESULTS.items():
        if task == PRINTED.get(experiment) and model == f"{kind.replace('k', str(k)) if k else kind} {size}":
            if task == PSMNIST:
                return f"{mean / 100:.4f} +- {spread / 100:.4f} (psMNIST)"
            return f"{_number(mean)} +- {_number(spread)} ({_paper_task(model)})"
    return ""


def _paper_task(model: str) -> str:
    """The task at which the preset ``"paper"`` of Figure 6 trains a model."""
    return next(
        part.task for part in PRESETS["figure6"]["paper"].parts if model in {each.name for each in part.settings}
    )


def _settings(chosen: xr.Dataset, model: str) -> str:
    """What validation selected."""
    own = chosen.isel(model=int(np.flatnonzero(chosen.label.values == model)[0]))
    return f"{own.recurrent.item()}, {own.encoder.item()}, {own.learning_rate.item():g}"


def _tests(task: str, found: xr.Dataset) -> Iterator[str]:
    for pair, p in zip(found.pair.values, found.p.values, strict=True):
        yield f"{task}, {pair}: p = {p:.2g}"


def _number(value: float) -> str:
    return f"{value:.3g}"
