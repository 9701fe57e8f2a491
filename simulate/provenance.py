"""Where a result came from."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

import torch

PACKAGES = ("goldstone-propagation", "numpy", "xarray")
UNKNOWN = "unknown"
PATIENCE = 20.0  # seconds for one answer of git


def provenance() -> dict[str, str]:
    """Versions of what computed a result, the :func:`processor`, and the :func:`commit` of this code."""
    return dict(_found())


@lru_cache(maxsize=1)
def _found() -> dict[str, str]:
    # once for a process: it asks git, and the code that runs is the code that was loaded
    versions = {f"version_{name.replace('-', '_')}": version(name) for name in PACKAGES}
    # torch's own word has the build, which the installed package's may lack
    versions |= {"version_python": platform.python_version(), "version_torch": str(torch.__version__)}
    return versions | {"processor": processor(), "commit": commit()}


def processor() -> str:
    """The name of the CPU, where the system tells it, or its architecture."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.machine()


def gpu(device: str) -> dict[str, str]:
    """The name of a CUDA device; nothing for a CPU."""
    place = torch.device(device)
    return {"gpu": torch.cuda.get_device_name(place)} if place.type == "cuda" else {}


def commit() -> str:
    """The commit of the checkout that this code lies in, ending in -dirty where tracked Python files have changed.

    ``"unknown"`` where there is none, or git does not answer: an installed package may lie inside the repository of
    somebody else's project, which does not track it.
    """
    try:
        _git("ls-files", "--error-unmatch", Path(__file__).name)
        dirty = _git("--no-optional-locks", "status", "--porcelain", "--untracked-files=no", "--", ":(top)*.py")
        return _git("rev-parse", "HEAD") + ("-dirty" if dirty else "")
    except (OSError, subprocess.SubprocessError):
        return UNKNOWN


def _git(*arguments: str) -> str:
    """What git says of the folder of this file; an error where it says no."""
    asked = ["git", "-C", str(Path(__file__).parent), *arguments]
    return subprocess.run(asked, capture_output=True, text=True, timeout=PATIENCE, check=True).stdout.strip()
