"""Warnings that point at the line that called this package: Python shows a text only once for each line."""

from __future__ import annotations

import os
import sys
import warnings

_HERE = os.path.dirname(__file__) + os.sep


def warn(text: str, category: type[Warning]) -> None:
    """A warning of the first caller outside this package."""
    level, frame = 1, sys._getframe()
    while frame.f_code.co_filename.startswith(_HERE) and frame.f_back is not None:
        level, frame = level + 1, frame.f_back
    warnings.warn(text, category, stacklevel=level)
