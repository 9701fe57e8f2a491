"""The machine a run was made on, and the versions that ran."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from importlib.metadata import version

import torch

from simulate.provenance import provenance

_MORE = ("scipy", "mpmath")  # packages beside those of every result
_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")


def machine() -> dict[str, str]:
    """Processors, threads, load averages (1, 5 and 15 minutes) before the run, versions, commit and time."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "processors": str(os.cpu_count()),
        "gpu": torch.cuda.get_device_name() if torch.cuda.is_available() else "none",
        "load_average": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        **{name: os.environ.get(name, "not set") for name in _THREADS},
        **{f"version_{name}": version(name) for name in _MORE},
        **provenance(),
    }
