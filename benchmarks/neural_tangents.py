"""Runs neural-tangents in the environment where it is installed, and reads what it found."""

from __future__ import annotations

import json
import os
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from .record import Scale
from .timing import Timing

_ROOT = Path(__file__).resolve().parent.parent
# one thread, no search for accelerators, none of TensorFlow's start-up messages
_SETTINGS = {
    "XLA_FLAGS": "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1",
    "OMP_NUM_THREADS": "1",
    "JAX_PLATFORMS": "cpu",
    "TF_CPP_MIN_LOG_LEVEL": "3",
}


@dataclass(frozen=True)
class Found:
    """One result: c (..., depth, 1) and Delta (..., depth, rho) of layers 1..depth, and the time of a call."""

    job: str
    nodes: int
    sigma_w: float | None
    c: np.ndarray
    delta: np.ndarray
    timing: Timing

    @property
    def who(self) -> str:
        return f"neural-tangents, {self.nodes} nodes"


def neural_tangents(environment: Path, scale: Scale) -> list[Found]:
    """Its results, or none where `environment` is not a virtual environment.

    Raises
    ------
    RuntimeError
        With what it wrote to stderr, if it fails.
    """
    python = environment.resolve() / "bin" / "python"
    if not python.exists():
        return []
    arguments = [str(scale.depth), str(scale.side), str(scale.budget)]
    done = subprocess.run(
        [str(python), "-W", "ignore", "-m", "benchmarks.neural_tangents_peer", *arguments],
        capture_output=True,
        text=True,
        cwd=_ROOT,
        env=os.environ | _SETTINGS,
    )
    if done.returncode != 0:
        raise RuntimeError(f"neural-tangents in {environment} failed:\n{done.stderr[-2000:]}")
    return [_read(entry) for entry in json.loads(done.stdout)]


def _read(entry: dict) -> Found:
    timing = entry["timing"]
    return Found(
        job=entry["job"],
        nodes=entry["nodes"],
        sigma_w=entry["sigma_w"],
        c=np.array(entry["c"]),
        delta=np.array(entry["delta"]),
        timing=Timing(timing["first"], tuple(timing["wall"]), tuple(timing["cpu"])),
    )
