"""All committed results in one table: what the paper claims, what was run, what was found. Generated, never typed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import xarray as xr

from . import table
from .experiments import EXPERIMENTS
from .presets import PRESETS

HEAD = """# Results of trained networks

Made from the tables in this folder by `python -m training summarise`. Each table's first line holds its provenance
(settings, seeds, versions, device, commit, seconds). A check agrees when its 95 % interval over seeds is wholly on the
right side of its bound, contradicts when it is wholly on the wrong one, and is undecided otherwise; the bounds were
written down before the runs (`training/criteria.py`). What the paper leaves open is in `training/conventions.py`.

| figure | the paper's claim | what was run here | what was found |
|---|---|---|---|
"""


def summary(folder: Path) -> str:
    """The table as Markdown, a row for each figure and preset that has a result in the folder."""
    return HEAD + "".join(f"| {' | '.join(row)} |\n" for row in _rows(folder))


def _rows(folder: Path) -> Iterator[tuple[str, ...]]:
    for name, experiment in EXPERIMENTS.items():
        found = [preset for preset in PRESETS[name] if (folder / f"{name}_{preset}.csv").is_file()]
        for preset in found:
            result = table.read(folder / f"{name}_{preset}.csv")
            checks = "<br>".join(map(str, experiment.judge(table.frame(result))))
            yield f"{name} ({preset})", result.attrs["claim"], _run(name, preset, result), checks
        if not found:
            yield name, experiment.claim, "not run yet", ""


def _run(name: str, preset: str, result: xr.Dataset) -> str:
    """The size of a run, and beside it the paper's where it is smaller."""
    told = result.attrs["settings"]
    text = f"{_size(told)}; {result.attrs['device']}, {result.attrs['seconds_of_last_call'] / 60:.0f} min"
    return text if preset == "paper" else f"**reduced:** {text}. Paper: {_size(PRESETS[name]['paper'].__dict__)}"


def _size(settings: dict) -> str:
    width = f"N = {settings['width']}" if settings["width"] else f"N D = {settings['components']}"
    depths = ", ".join(map(str, settings["depths"]))
    points = "" if settings["sigma_w"] is None else f", {len(settings['sigma_w'])} sigma_w"
    return f"{settings['data']}, {width}, L = {depths}{points}, {settings['seeds']} seeds, {settings['epochs']} epochs"
