"""What docs/beyond_the_paper.md says is what committed results and notebooks print; CONTRIBUTING.md's map is whole."""

import json
import re
from pathlib import Path

import pytest

from training.experiments import EXPERIMENTS

ROOT = Path(__file__).parents[1]
TEXT = (ROOT / "docs" / "beyond_the_paper.md").read_text()
SOURCES = (ROOT / "training" / "results" / "README.md", *sorted((ROOT / "notebooks").glob("*.ipynb")))
INTERVAL = re.compile(r"(-?\d+(?:\.\d+)?(?:e-?\d+)?)\s*(?:±|\+-|\+/-)\s*(\d+(?:\.\d+)?(?:e-?\d+)?)")


def printed(path):
    """The text of a page, and of a notebook what its cells have printed."""
    if path.suffix == ".md":
        return path.read_text()
    outputs = (o for cell in json.loads(path.read_text())["cells"] for o in cell.get("outputs", []))
    parts = [o.get("text") or o["data"].get("text/markdown") or o["data"].get("text/plain", "") for o in outputs]
    return "\n".join(part if isinstance(part, str) else "".join(part) for part in parts)


def known():
    return {tuple(map(float, pair)) for path in SOURCES for pair in INTERVAL.findall(printed(path))}


def test_every_interval_was_measured():
    measured, told = known(), INTERVAL.findall(TEXT)
    assert len(told) > 10
    for pair in told:
        digits = [len(number.partition(".")[2]) for number in pair]
        rounded = {tuple(round(x, n) for x, n in zip(each, digits, strict=True)) for each in measured}
        assert tuple(map(float, pair)) in rounded, f"{' ± '.join(pair)} is in no result"


@pytest.mark.parametrize("target", re.findall(r"\]\((?!http)([^)]+)\)", TEXT))
def test_links_lead_somewhere(target):
    assert (ROOT / "docs" / target).exists()


def test_every_experiment_that_is_named_exists():
    named = [name for line in re.findall(r"Experiments:([^.]+)", TEXT) for name in re.findall(r"`(\w+)`", line)]
    assert len(named) > 5
    assert set(named) <= set(EXPERIMENTS)


@pytest.mark.parametrize("folder", ["meanfield", "simulate", "training", "training/recurrent"])
def test_every_module_is_in_the_map_of_contributing(folder):
    text = (ROOT / "CONTRIBUTING.md").read_text()
    here = text.split(f"Inside `{folder}`")[1].split("Inside `")[0]
    modules = {path.name for path in (ROOT / folder).glob("*.py")} - {"__init__.py"}
    assert modules <= set(re.findall(r"`(\w+\.py)`", here))
