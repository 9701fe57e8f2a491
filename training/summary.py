"""All committed results in one table: what the paper claims, what was run, what was found. Generated, never typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from . import places, table
from .experiments import EXPERIMENTS
from .report import size_of_run

HEAD = """# Results of trained networks

Made from the tables in this folder by `python -m training summarise`. Each table's first line holds its provenance
(settings, seeds, versions, device, commit, seconds). A check agrees when its 95 % interval over seeds is wholly on the
right side of its bound, contradicts when it is wholly on the wrong one, and is undecided otherwise; where each network
counts, when all are on the right side, and contradicts when one is not. "Open" is what has no number: a task that may
yet be solved with the paper's number of batches, or a run that diverged. A verdict of a reduced run is about that run
and its smaller task, or its fewer batches; an unfinished one has the paper's task and settings, and is judged by the
last test that all its networks have made. The folder `unfinished` has one of Figure 6's RNNs on its way, with the
weights its networks had then, which the finished one, older than their being kept, lacks. Intervals of deep networks
are paired by seeds, except where the criterion says Welch's. Bounds were written down before the run that they judge,
but where their criterion says that it was written after a first one, or after trials: then the run is no independent
test of them. What the paper leaves open is in `training/conventions.py`: all grids of sigma_w and of depths are this
project's, as the paper's text gives none; widths, seeds and epochs of the preset `paper` are the paper's, where it
states them.

| figure | the paper's claim | what was run here | judged by | what was found |
|---|---|---|---|---|
"""
RECURRENT_HEAD = """
## Recurrent networks: the paper's numbers and ours

Tables 2 and 3 next to our runs. A reduced task is another task: its numbers say which model is better there, and cannot
be compared with the paper's. Losses are test cross-entropies per step, "solved" counts seeds below 1e-4; images have
accuracies. The paper's losses are probably too small by the 50 sequences of a test batch
(`training/recurrent/tables.py` says why), and stand here as printed, and times 50. "Chosen" are the initial recurrent
and input weights and the learning rate, the last of these by validation.
"""


def summary(folder: Path) -> str:
    """The table as Markdown, a row for each figure and preset that has a result in the folder."""
    # a bar within a cell would end it
    rows = ([cell.replace("|", "\\|") for cell in row] for row in _rows(folder))
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in rows) + _recurrent(folder)


def _recurrent(folder: Path) -> str:
    """The paper's tables of recurrent networks beside our runs, where there are any."""
    parts = []
    for name, experiment in EXPERIMENTS.items():
        if experiment.details is None:
            continue
        for preset in experiment.presets:
            path = folder / f"{name}_{preset}.csv"
            if path.is_file():
                parts.append(f"\n### {name} ({preset})\n\n{experiment.details(places.read(name, path))}")
    return "".join([RECURRENT_HEAD, *parts]) if parts else ""


def _rows(folder: Path) -> Iterator[tuple[str, ...]]:
    for name, experiment in EXPERIMENTS.items():
        found = [preset for preset in experiment.presets if (folder / f"{name}_{preset}.csv").is_file()]
        for preset in found:
            result = places.read(name, folder / f"{name}_{preset}.csv")
            checks = "<br>".join(map(str, experiment.judge(table.frame(result))))
            yield f"{name} ({preset})", result.attrs["claim"], size_of_run(name, result), experiment.criterion, checks
        if not found:
            yield name, experiment.claim, "not run yet", experiment.criterion, ""
