"""How long a call takes, on a machine that may be doing other things."""

from __future__ import annotations

import gc
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from statistics import median
from typing import TypeVar

T = TypeVar("T")

_SHORTEST = 0.01  # seconds: calls are repeated until a sample takes this long
_MOST = 15  # samples


@dataclass(frozen=True)
class Timing:
    """Seconds per call: the first call (which fills caches and compiles), and samples taken after it.

    `wall` is what a user waits. `cpu` is the process's own time, which other programs on the machine disturb much less.
    A call that is slow is made once, and its only sample is the first call.
    """

    first: float
    wall: tuple[float, ...]
    cpu: tuple[float, ...]

    @property
    def wall_median(self) -> float:
        return median(self.wall)

    @property
    def cpu_median(self) -> float:
        return median(self.cpu)

    @property
    def cpu_min(self) -> float:
        return min(self.cpu)


def measure(function: Callable[[], T], budget: float, finish: Callable[[], object] = int) -> tuple[T, Timing]:
    """The result of `function`, and its time from 3 to 15 samples in about `budget` seconds.

    `finish` waits for what the calls of a sample have only begun, as on a GPU.
    """
    result, wall, cpu = _sample(function, 1, finish)
    if wall > budget:
        return result, Timing(wall, (wall,), (cpu,))
    first, wall = wall, _sample(function, 1, finish)[1]
    number = math.ceil(_SHORTEST / wall)
    samples = min(_MOST, max(3, int(budget / (number * wall))))
    walls, cpus = zip(*(_sample(function, number, finish)[1:] for _ in range(samples)), strict=True)
    return result, Timing(first, walls, cpus)


def _sample(function: Callable[[], T], number: int, finish: Callable[[], object]) -> tuple[T, float, float]:
    """The result, and the mean wall and CPU time of `number` calls without garbage collection in between."""
    collecting = gc.isenabled()
    gc.disable()
    try:
        wall, cpu = time.perf_counter(), time.process_time()
        for _ in range(number):
            result = function()
        finish()
        cpu, wall = time.process_time() - cpu, time.perf_counter() - wall
    finally:
        if collecting:
            gc.enable()
    return result, wall / number, cpu / number
