"""A benchmark run as text and as JSON."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict

from .record import Job

HEAD = ("job", "per", "ours, CPU", "(least)", "wall", "error", "instead", "CPU", "wall", "error", "ratio")
_TARGET_HEAD = ("target", "wanted", "wall", "CPU", "reached")
_LEFT = {"job", "per", "instead", "target", "wanted", "reached", "stack", "task", "model"}

LEGEND = (
    "ratio: median CPU time of the other way over that of ours, per unit. CPU: time of the process itself, one",
    "thread; wall: what a user waits, which on a machine at work on other things says little. Errors of the theory:",
    "the largest relative one against meanfield.precise; for trajectories relative to c, over all layers (of the other",
    "ways, only where c is above 1e-30). Of training steps: of the loss after one step; of recurrent layers: of the",
    "states; both against the same in float64. What is random, or another model, has none.",
)


def table(jobs: Sequence[Job]) -> str:
    """One line for each job and peer."""
    rows: list[tuple[str, ...]] = []
    for job in jobs:
        ours = (job.name, job.unit, duration(job.ours.cpu), duration(job.ours.cpu_min), duration(job.ours.wall))
        own: tuple[str, ...] = (*ours, _error(job.ours.error))
        for peer in job.peers:
            theirs = (peer.who, duration(peer.cpu), duration(peer.wall), _error(peer.error), _ratio(job.ratio(peer)))
            rows.append((*own, *theirs))
            own = ("",) * len(own)
        if not job.peers:
            rows.append((*own, "", "", "", "", ""))
    return aligned(HEAD, rows)


def targets(jobs: Sequence[Job]) -> str:
    """The stated targets beside what was measured; empty when the run was not of their size."""
    rows = [row for job in jobs for row in _target_rows(job)]
    return aligned(_TARGET_HEAD, rows) if rows else ""


def as_json(jobs: Sequence[Job], machine: dict[str, str], load_after: str) -> str:
    """All samples of all timings, in seconds for a call."""
    found = [
        {
            "job": job.name,
            "unit": job.unit,
            "ours": asdict(job.ours),
            "peers": [{**asdict(peer), "ratio": job.ratio(peer)} for peer in job.peers],
            "target": job.target and asdict(job.target),
        }
        for job in jobs
    ]
    return json.dumps({"machine": machine, "load_average_after": load_after, "jobs": found}, indent=1) + "\n"


def _target_rows(job: Job):
    if job.target is None:
        return
    if job.target.seconds is not None:
        limit, call = job.target.seconds, job.ours.timing
        reached = "yes" if call.wall_median <= limit else "CPU time only" if call.cpu_median <= limit else "no"
        yield job.name, f"within {duration(limit)}", duration(call.wall_median), duration(call.cpu_median), reached
    if job.target.ratio is not None:
        for peer in job.peers:
            if peer.who.startswith(job.target.than):
                wall, cpu = peer.wall / job.ours.wall, job.ratio(peer)
                reached = "yes" if min(wall, cpu) >= job.target.ratio else "no"
                yield job.name, f"{_ratio(job.target.ratio)} times {peer.who}", _ratio(wall), _ratio(cpu), reached


def first_calls(jobs: Sequence[Job], who: str) -> str:
    """What peers that are compiled took once, before the calls in the table; empty when there are none."""
    rows = [
        (job.name, peer.who, duration(peer.timing.first))
        for job in jobs
        for peer in job.peers
        if peer.who.startswith(who)
    ]
    return aligned(("job", "instead", "first call"), rows) if rows else ""


def _ratio(ratio: float) -> str:
    return f"{ratio:,.0f}" if ratio >= 100.0 else f"{ratio:.3g}"


def _error(error: float | None) -> str:
    return "" if error is None else f"{error:.0e}"


def duration(seconds: float) -> str:
    """A time in the unit that suits it."""
    size, unit = (1.0, "s") if seconds >= 1.0 else (1e-3, "ms") if seconds >= 1e-3 else (1e-6, "us")
    return f"{seconds / size:.3g} {unit}"


def aligned(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """A table as text."""
    widths = [max(map(len, column)) for column in zip(head, *rows, strict=True)]

    def line(row: tuple[str, ...]) -> str:
        cells = (
            cell.ljust(width) if name in _LEFT else cell.rjust(width)
            for name, cell, width in zip(head, row, widths, strict=True)
        )
        return "  ".join(cells).rstrip()

    return "\n".join([line(head), line(tuple("-" * width for width in widths)), *map(line, rows)])
