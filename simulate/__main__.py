"""Command line: ``python -m simulate verify | run | figure2 | figure9 | glance``."""

from __future__ import annotations

import sys

from meanfield.command_line import run_command

from .commands import COMMANDS


def main() -> int:
    """Run the command line."""
    return run_command(COMMANDS, prog="python -m simulate")


if __name__ == "__main__":
    sys.exit(main())
