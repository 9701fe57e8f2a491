"""Run the notebooks from a clean kernel and keep their outputs: ``python notebooks/run.py [--fast] [NAME ...]``.

With --fast the notebooks read NOTEBOOK_FAST=1 and choose smaller sizes; nothing is written back then.
"""

from __future__ import annotations

import argparse
import os
import sys
import time
from pathlib import Path

import nbformat
from nbclient import NotebookClient

FOLDER = Path(__file__).parent


def run(path: Path, fast: bool, timeout: float) -> nbformat.NotebookNode:
    """Execute one notebook in order from a clean kernel; an error in a cell is raised."""
    notebook = nbformat.read(path, as_version=4)
    previous = os.environ.get("NOTEBOOK_FAST")
    os.environ["NOTEBOOK_FAST"] = "1" if fast else "0"
    try:
        NotebookClient(
            notebook,
            timeout=timeout,
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
