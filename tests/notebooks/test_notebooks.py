"""Every notebook runs from a clean kernel, and what is committed of it was run in order and is small."""

from __future__ import annotations

import asyncio
import importlib.util
import os
import re
import time
from pathlib import Path
from queue import Empty

import nbformat
import pytest
import zmq.asyncio
from jupyter_client.session import Session

FOLDER = Path(__file__).parents[2] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.ipynb"))
CELL_SECONDS = 120


def _runner():
    spec = importlib.util.spec_from_file_location("notebook_runner", FOLDER / "run.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_there_are_notebooks():
    assert len(NOTEBOOKS) >= 2


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_runs_from_a_clean_kernel(path):
    notebook = _runner().run(path, fast=True, timeout=CELL_SECONDS)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))


@pytest.mark.notebook
def test_start_here_needs_no_widgets(monkeypatch, tmp_path):
    (tmp_path / "ipywidgets.py").write_text('raise ImportError("not installed")')
    paths = [str(tmp_path), *filter(None, [os.environ.get("PYTHONPATH")])]
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(paths))
    notebook = _runner().run(FOLDER / "00_start_here.ipynb", fast=True, timeout=CELL_SECONDS)
    (asked,) = (cell for cell in notebook.cells if "sliders = explorer()" in cell.source)
    assert "needs ipywidgets" in asked.outputs[0].text
    (static,) = (cell for cell in notebook.cells if cell.source.startswith("point = Point("))
    assert "image/png" in static.outputs[0].data


def test_a_reply_is_found_whose_sign_was_lost():
    """As it is to what waits when something else uses the socket just then."""
    patience = 20.0

    async def lose_one():
        with zmq.Context() as context, context.socket(zmq.PAIR) as kernel:
            kernel.bind("inproc://reply")
            with zmq.asyncio.Context(context).socket(zmq.PAIR) as socket:
                socket.connect("inproc://reply")
                session = Session()
                waiting = asyncio.ensure_future(_runner().Replies(socket, session).get_msg(patience))
                await asyncio.sleep(0.05)
                session.send(kernel, "execute_reply")
                zmq.Socket.shadow(socket.underlying).get(zmq.EVENTS)
                return (await waiting)["msg_type"]

    start = time.monotonic()
    assert asyncio.run(lose_one()) == "execute_reply"
    assert time.monotonic() - start < patience / 2


def test_no_reply_is_told_in_time():
    async def wait():
        with zmq.Context() as context, zmq.asyncio.Context(context).socket(zmq.PAIR) as socket:
            await _runner().Replies(socket, Session()).get_msg(0.1)

    with pytest.raises(Empty):
        asyncio.run(wait())


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_committed_outputs_were_run_in_order_and_are_small(path):
    notebook = nbformat.read(path, as_version=4)
    code = [cell for cell in notebook.cells if cell.cell_type == "code" and cell.source.strip()]
    assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1))
    for cell in code:
        for output in cell.outputs:
            assert output.output_type != "error"
            assert output.get("name") != "stderr", output.text  # a warning is no part of the story
            assert len(str(output)) < 300_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda p: p.stem)
def test_what_goes_beyond_the_paper_stands_in_a_box(path):
    notebook = nbformat.read(path, as_version=4)
    text = "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")
    marked = [line for line in text.splitlines() if re.search(r"(\*\*|^#).*beyond the paper", line, re.IGNORECASE)]
    assert [line for line in marked if not line.startswith("> **Beyond the paper.** ")] == []
