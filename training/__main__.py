"""Command line: ``python -m training list | run | report | so-far | summarise``."""

from __future__ import annotations

import sys

from meanfield.command_line import run_command

from .commands import COMMANDS


def main() -> int:
    """Run the command line."""
    return run_command(COMMANDS, prog="python -m training")


if __name__ == "__main__":
    sys.exit(main())
