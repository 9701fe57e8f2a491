"""Where a result came from."""

from __future__ import annotations

import platform
import subprocess
from functools import lru_cache
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("goldstone-propagation", "numpy", "torch", "xarray")


def provenance() -> dict[str, str]:
    """Versions of what computed a result, and the commit where the code lies in a git checkout."""
    return dict(_found())


@lru_cache(maxsize=1)
def _found() -> dict[str, str]:
    # once for a process: it asks git, and the code that runs is the code that was loaded
    versions = {f"version_{name.replace('-', '_')}": version(name) for name in PACKAGES}
    return {"version_python": platform.python_version(), **versions, **_commit()}


def _commit() -> dict[str, str]:
    try:
        found = subprocess.run(
            ["git", "-C", str(Path(__file__).parent), "rev-parse", "HEAD"], capture_output=True, text=True, timeout=5
        )
    except OSError:
        return {}
    return {"commit": found.stdout.strip()} if found.returncode == 0 else {}
