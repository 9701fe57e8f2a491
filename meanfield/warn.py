"""Warnings that point at the line that called these packages: Python shows a text only once for each line."""

from __future__ import annotations

import sys
import warnings

# matched by the modules' names: code that dataclasses generates has no file. contextlib's frames lie between a context
# manager and its caller
_PACKAGES = frozenset({"meanfield", "simulate", "training", "contextlib"})


def warn(text: str, category: type[Warning]) -> None:
    """A warning of the first caller outside meanfield, simulate and training."""
    level, frame = 1, sys._getframe()
    while frame.f_globals.get("__name__", "").partition(".")[0] in _PACKAGES and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
