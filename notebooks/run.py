"""Run the notebooks from a clean kernel and keep their outputs: ``python notebooks/run.py [--fast] [NAME ...]``.

With --fast the notebooks read NOTEBOOK_FAST=1 and choose smaller sizes; nothing is written back then.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path
from queue import Empty

import nbformat
from jupyter_client.asynchronous import AsyncKernelClient
from jupyter_client.channels import AsyncZMQSocketChannel
from jupyter_client.manager import AsyncKernelManager
from nbclient import NotebookClient
from traitlets import Type

FOLDER = Path(__file__).parent
LOOK_AGAIN = 0.5  # seconds


class Replies(AsyncZMQSocketChannel):
    """The kernel's replies, looked for now and then and not only when there is a sign of one.

    While nbclient waits for a cell's end it answers widgets on the same socket, past what waits, and that can take the
    sign of a reply away: some cells that print into an Output widget then go on until their timeout.
    """

    async def get_msg(self, timeout: float | None = None) -> dict:  # type: ignore[override]
        """The next one, within so many seconds."""
        end = float("inf") if timeout is None else time.monotonic() + timeout
        while True:
            left = max(0.0, end - time.monotonic())
            try:
                return await super().get_msg(min(left, LOOK_AGAIN))
            except Empty:
                if left <= LOOK_AGAIN:
                    raise


class Client(AsyncKernelClient):
    """A client that gets them so."""

    shell_channel_class = Type(Replies)


class Manager(AsyncKernelManager):
    """Kernels with such clients."""

    client_factory = Type(Client)


def run(path: Path, fast: bool, timeout: float) -> nbformat.NotebookNode:
    """Execute one notebook in order from a clean kernel; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    previous = os.environ.get("NOTEBOOK_FAST")
    os.environ["NOTEBOOK_FAST"] = "1" if fast else "0"
    try:
        NotebookClient(
            notebook,
            timeout=timeout,
            kernel_manager_class=Manager,
            kernel_name="python3",
            resources={"metadata": {"path": str(path.parent)}},
            record_timing=False,
        ).execute()
    finally:
        if previous is None:
            del os.environ["NOTEBOOK_FAST"]
        else:
            os.environ["NOTEBOOK_FAST"] = previous
    return notebook


def save(notebook: nbformat.NotebookNode, path: Path) -> None:
    """Write a notebook without what differs from machine to machine."""
    notebook.metadata = nbformat.from_dict(
        {
            "kernelspec": {"display_name": "Python 3", "language": "python", "name": "python3"},
            "language_info": {"name": "python"},
        }
    )
    temporary = path.with_suffix(".tmp")
    nbformat.write(notebook, temporary)
    os.replace(temporary, path)


def main() -> None:
    """Command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("names", nargs="*", help="notebooks to run, all by default")
    parser.add_argument("--fast", action="store_true", help="smaller sizes, outputs not kept")
    parser.add_argument("--timeout", type=float, default=1800.0, help="seconds a cell may take")
    options = parser.parse_args()
    paths = [FOLDER / name for name in options.names] or sorted(FOLDER.glob("*.ipynb"))
    for path in paths:
        if not path.is_file():
            sys.exit(f"no notebook {path}")
        start = time.perf_counter()
        notebook = run(path, options.fast, options.timeout)
        if not options.fast:
            save(notebook, path)
        print(f"{path.name}: {time.perf_counter() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main()
