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
    label, text = _label(name, result), _sizes(name, result)
    return text if label is None else f"**{label}:** {text}"


def in_one_line(name: str, result: xr.Dataset) -> str:
    """:func:`size_of_run` without Markdown, with a label also where it is all of the preset `paper`."""
    return f"{_label(name, result) or 'size of preset `paper`'}: {_sizes(name, result)}"


def _label(name: str, result: xr.Dataset) -> str | None:
    """What a run is that is less than the preset `paper`."""
    unfinished, own = result.attrs.get("unfinished"), extent(name, result)
    if unfinished is None and _described(name, result) == _paper(name):
        return None
    if own is not None and own.whole:
        return "a part of the paper's, at its full size"
    return "reduced" if unfinished is None else f"unfinished, after {unfinished:,} batches"


def _sizes(name: str, result: xr.Dataset) -> str:
    # results may be older than the count of all calls
    seconds = result.attrs.get("seconds", result.attrs.get("seconds_of_last_call", math.nan))
    took = f"{seconds:.0f} s" if seconds < 60.0 else f"{seconds / 60:.0f} min"
    text = f"{_described(name, result)}; {result.attrs['device']}, {took}"
    return text if _label(name, result) is None else f"{text}. Preset `paper`: {_paper(name)}"


def _described(name: str, result: xr.Dataset) -> str:
    return EXPERIMENTS[name].describe(result.attrs["settings"])


def _paper(name: str) -> str:
    return EXPERIMENTS[name].describe(EXPERIMENTS[name].presets["paper"].settings)


def verdicts(checks: Iterable[Check]) -> str:
    """A list of what each check found, its verdict in bold."""
    return "\n".join(f"- {check.text}: {check.finding}: **{check.verdict}**" for check in checks)
