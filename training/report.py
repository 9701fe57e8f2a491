"""What a report tells of a run: its size beside the paper's, and what the checks of its claim found. As Markdown."""

from __future__ import annotations

import math
from collections.abc import Iterable

import xarray as xr

from .criteria import Check
from .experiments import EXPERIMENTS
from .extent import extent


def size_of_run(name: str, result: xr.Dataset) -> str:
    """What was trained, where and for how long, and beside it the preset `paper` where the run is smaller.

    Parameters
    ----------
    name : of the experiment
    result : a table of it, of any preset
    """
    describe = EXPERIMENTS[name].describe
    told, full = describe(result.attrs["settings"]), describe(EXPERIMENTS[name].presets["paper"].settings)
    # results may be older than the count of all calls
    seconds = result.attrs.get("seconds", result.attrs.get("seconds_of_last_call", math.nan))
    text = f"{told}; {result.attrs['device']}, {seconds / 60:.0f} min"
    unfinished, own = result.attrs.get("unfinished"), extent(name, result)
    if told == full and unfinished is None:
        return text
    label = "reduced" if unfinished is None else f"unfinished, after {unfinished:,} batches"
    label = "a part of the paper's, at its full size" if own is not None and own.whole else label
    return f"**{label}:** {text}. Preset `paper`: {full}"


def verdicts(checks: Iterable[Check]) -> str:
    """A list of what each check found, its verdict in bold."""
    return "\n".join(f"- {check.text}: {check.finding}: **{check.verdict}**" for check in checks)
