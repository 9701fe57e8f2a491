"""A command line made of commands, for ``python -m meanfield``, ``simulate`` and ``training``."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

import tyro


def run_command(commands: Mapping[str, Callable[..., Any]], prog: str) -> int:
    """Read the arguments and :func:`finish` what they name."""
    return finish(tyro.extras.subcommand_cli_from_dict(dict(commands), prog=prog))


def finish(command: Any) -> int:
    """Run a command to its exit code; bad values, and missing extras, end with a message and exit code 2.

    Ctrl-C ends with 130, as a shell reports it.

    Its `run` returns the exit code, or None for 0.
    """
    try:
        code = command.run()
        sys.stdout.flush()
        return code or 0
    except (ValueError, OSError, OverflowError, MemoryError, RuntimeError, ImportError) as error:
        if isinstance(error, BrokenPipeError) and _reader_is_gone():
            return 0
        print(f"error: {str(error) or type(error).__name__}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print("interrupted", file=sys.stderr)
        return 130


def _reader_is_gone() -> bool:
    """Whether what is printed has no reader any more, as with ``| head``; then the rest of it goes nowhere."""
    try:
        print(flush=True)  # what was refused is not kept, so that there must be something to write
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return True
    return False
