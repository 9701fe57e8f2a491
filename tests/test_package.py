"""What `pip install` brings besides modules."""

import ast
import re
import sys
import tomllib
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_committed_results_come_with_the_package():
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    brought = {path for pattern in settings["package-data"]["training"] for path in (ROOT / "training").glob(pattern)}
    results = set((ROOT / "training" / "results").iterdir())
    assert results
    assert brought >= results


def project() -> dict:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]


def name_of(requirement: str) -> str:
    """Of the distribution, as package indices compare names."""
    return re.match(r"[\w.-]+", requirement)[0].lower().replace("_", "-")


def required(extra: str) -> set[str]:
    """The distributions that an extra brings, with those that are always there."""
    found, settings = set(map(name_of, project()["dependencies"])), project()["optional-dependencies"]
    for requirement in settings.get(extra, []):
        inner = re.match(r"goldstone-propagation\[(.*)\]", requirement)
        found |= {name_of(requirement)} if inner is None else set().union(*map(required, inner[1].split(",")))
    return found


def imported(folder: Path) -> Iterator[str]:
    """Top-level names that the modules of a folder import, anywhere in them."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.Import):
                yield from (alias.name.split(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and not node.level:
                yield node.module.split(".")[0]


@pytest.mark.parametrize(
    ("folder", "extras", "lent"),
    [
        ("meanfield", ["certified"], ["cycler"]),  # matplotlib's, whose settings are made of it
        ("simulate", ["simulate"], ["ipywidgets", "ipython"]),  # of the extra notebooks
        ("training", ["training"], ["distributed"]),  # of the extra dask
    ],
)
def test_what_a_package_imports_is_what_its_extra_brings(folder, extras, lent):
    names = set(imported(ROOT / folder)) - sys.stdlib_module_names - {"meanfield", "simulate", "training"}
    distributions = packages_distributions()
    needed = {name_of(distributions[name][0]) for name in names}
    assert needed - set(lent) <= set().union(*map(required, extras))


def test_all_that_is_required_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {name_of(line) for line in lines if "==" in line}
    settings = project()
    wanted = {name_of(each) for part in settings["optional-dependencies"].values() for each in part}
    wanted |= set(map(name_of, settings["dependencies"]))
    assert wanted - {"goldstone-propagation"} == pinned
