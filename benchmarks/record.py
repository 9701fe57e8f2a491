"""What a benchmark run is made of: its size, and what it found."""

from __future__ import annotations

from dataclasses import dataclass

from .timing import Timing


@dataclass(frozen=True)
class Scale:
    """How much work the jobs are given."""

    depth: int  # layers of a trajectory
    side: int  # sigma_w, and rho, of a grid of trajectories
    pairs: int  # input pairs at one sigma_w
    points: int  # sigma_w of a phase diagram
    sigma_w: tuple[float, ...]  # at which the correlation map is timed
    samples: int  # pairs, or sigma_w, on which slow peers are timed and errors measured
    budget: float  # seconds of samples for one timing
    full: bool  # whether this is the size that the targets are stated for


FULL = Scale(depth=100, side=50, pairs=1000, points=10_000, sigma_w=(0.5, 1.5, 3.0), samples=5, budget=3.0, full=True)
QUICK = Scale(depth=4, side=6, pairs=50, points=50, sigma_w=(1.5,), samples=2, budget=0.05, full=False)


@dataclass(frozen=True)
class Entry:
    """One way of doing a job: its time, how many of the job's units one call does, and its largest error."""

    who: str
    timing: Timing
    error: float | None  # None for what is random
    units: int = 1

    @property
    def cpu(self) -> float:
        """Median CPU seconds per unit."""
        return self.timing.cpu_median / self.units

    @property
    def cpu_min(self) -> float:
        return self.timing.cpu_min / self.units

    @property
    def wall(self) -> float:
        return self.timing.wall_median / self.units


@dataclass(frozen=True)
class Target:
    """Stated for one call (`seconds`), or for how many times faster than each peer named by `than` (`ratio`)."""

    seconds: float | None = None
    ratio: float | None = None
    than: str = ""


@dataclass(frozen=True)
class Job:
    """One job done by this repository's code (`ours`) and in other ways (`peers`). Times and ratios are per `unit`."""

    name: str
    unit: str
    ours: Entry
    peers: tuple[Entry, ...] = ()
    target: Target | None = None

    def ratio(self, peer: Entry) -> float:
        """How many times less CPU time ours takes."""
        return peer.cpu / self.ours.cpu
