"""Command line: ``python -m benchmarks``, or ``make bench``, which sets one thread."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import tyro

from meanfield.command_line import finish
from meanfield.files import atomic_path, require_writable

from . import correlation_map, fixed_points, recurrent, samplers, training, trajectories
from .machine import machine
from .record import FULL, QUICK, Job, Scale
from .report import LEGEND, as_json, first_calls, table, targets


@dataclass
class Bench:
    """Time the three packages against what one would use instead, all in one run."""

    quick: bool = False
    """Small sizes: to see that it runs. Its times mean nothing."""
    out: Path = Path("results/benchmarks.json")
    """Where all samples go."""
    peers: Path = Path(".venv-peers")
    """Virtual environment with neural-tangents (make bench-peers); left out where there is none."""

    def run(self) -> None:
        require_writable(self.out)
        scale = QUICK if self.quick else FULL
        where, jobs = machine(), []
        for job in _jobs(scale, self.peers):
            print(f"timed: {job.name}", file=sys.stderr, flush=True)
            jobs.append(job)
        after = " ".join(f"{load:.2f}" for load in os.getloadavg())
        print("\n\n".join(filter(None, self._text(jobs, where, after))))
        with atomic_path(self.out) as path:
            path.write_text(as_json(jobs, where, after))
        print(f"\nwrote {self.out}")

    def _text(self, jobs: list[Job], where: dict[str, str], after: str) -> Iterator[str]:
        yield table(jobs)
        yield "\n".join(LEGEND)
        missing = f"neural-tangents is left out: {self.peers} is no virtual environment (make bench-peers makes it)"
        yield first_calls(jobs, "neural-tangents") or missing
        yield targets(jobs)
        if float(after.split()[0]) > 1.5:  # this run itself makes 1
            yield "The machine was at work on other things: its absolute figures, wall and CPU, are not an idle one's."
        yield "\n".join([*(f"{name}: {value}" for name, value in where.items()), f"load average after: {after}"])


def _jobs(scale: Scale, environment: Path) -> Iterator[Job]:
    yield from correlation_map.jobs(scale)
    yield from trajectories.jobs(scale, environment)
    yield from fixed_points.jobs(scale)
    yield from samplers.jobs(scale)
    yield from training.jobs(scale)
    yield from recurrent.jobs(scale)


def main() -> int:
    """Run the command line; bad values end with a message and exit code 2."""
    return finish(tyro.cli(Bench, prog="python -m benchmarks"))


if __name__ == "__main__":
    sys.exit(main())
