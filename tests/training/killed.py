"""A child process that trains, killed at random moments."""

import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import torch

CHILD = """
import sys
from pathlib import Path
{imports}
from training.runner import run
run({job!r}, Path(sys.argv[1]), every=0.0)
"""


def killed(job, imports: str, checkpoint: Path, longest: float, seed: int) -> list[int]:
    """SIGKILL twice, up to so many seconds after the child wrote a checkpoint; the steps that were saved."""
    code, steps = CHILD.format(imports=imports, job=job), []
    for moment in np.random.default_rng(seed).uniform(0.02, longest, 2):
        before = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        child = subprocess.Popen([sys.executable, "-c", code, str(checkpoint)])
        while not checkpoint.exists() or checkpoint.stat().st_mtime_ns == before:
            assert child.poll() is None
            time.sleep(0.01)
        time.sleep(moment)
        child.send_signal(signal.SIGKILL)
        assert child.wait() == -signal.SIGKILL  # it was still at work
        steps.append(torch.load(checkpoint, weights_only=True)["step"])
    return steps
