"""A command line made of commands, for ``python -m simulate`` and ``python -m training``."""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Any

import tyro


def run_command(commands: Mapping[str, Callable[..., Any]], prog: str) -> int:
    """Read the arguments and run what they name; bad values, and missing extras, end with a message and exit code 2."""
    command = tyro.extras.subcommand_cli_from_dict(dict(commands), prog=prog)
    try:
        return command.run()
    except (ValueError, OSError, OverflowError, MemoryError, RuntimeError, ImportError) as error:
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2
