"""The machine a run was made on, and the versions that ran."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from simulate.provenance import commit

_PACKAGES = ("goldstone-propagation", "numpy", "scipy", "xarray", "mpmath", "torch")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def machine() -> dict[str, str]:
    """Processors, threads, load averages (1, 5 and 15 minutes) before the run, versions, commit and time."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "processors": str(os.cpu_count()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load_average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        **{name: os.environ.get(name, "not set") for name in _THREADS},
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "commit": commit(),
    }


def _processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()
