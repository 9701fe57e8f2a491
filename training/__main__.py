"""Command line: ``python -m training list | run | report | summarise``."""

from __future__ import annotations

import sys

import tyro

from .commands import COMMANDS


def main() -> int:
    """Run the command line; bad values end with a message and exit code 2."""
    command = tyro.extras.subcommand_cli_from_dict(COMMANDS, prog="python -m training")
    try:
        return command.run()
    except (ValueError, OSError, RuntimeError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    sys.exit(main())
