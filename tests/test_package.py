"""What `pip install` brings besides modules."""

import tomllib
from pathlib import Path

ROOT = Path(__file__).parents[1]


def test_committed_results_come_with_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    brought = {path for pattern in settings["package-data"]["training"] for path in (ROOT / "training").glob(pattern)}
    results = set((ROOT / "training" / "results").iterdir())
    assert results
    assert brought >= results
