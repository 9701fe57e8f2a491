"""The machine a run was made on, and the versions that ran."""

from __future__ import annotations

import os
import platform
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from simulate.provenance import commit, processor

_PACKAGES = ("goldstone-propagation", "numpy", "scipy", "xarray", "mpmath")
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def machine() -> dict[str, str]:
    """Processors, threads, load averages (1, 5 and 15 minutes) before the run, versions, commit and time."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "processor": processor(),
        "processors": str(os.cpu_count()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load_average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        **{name: os.environ.get(name, "not set") for name in _THREADS},
        "python": platform.python_version(),
        **{name: version(name) for name in _PACKAGES},
        "torch": str(torch.__version__),
        "commit": commit(),
    }
