"""What `pip install` brings besides modules."""

import ast
import re
import subprocess
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
    names -= {"triton"}  # which PyTorch for CUDA brings; without it there is no GPU whose kernels would need it
    needed = {name_of(distributions[name][0]) for name in names}
    assert needed - set(lent) <= set().union(*map(required, extras))


def test_all_that_is_required_is_pinned():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pinned = {name_of(line) for line in lines if "==" in line}
    settings = project()
    wanted = {name_of(each) for part in settings["optional-dependencies"].values() for each in part}
    wanted |= set(map(name_of, settings["dependencies"]))
    assert wanted - {"goldstone-propagation"} == pinned


@pytest.mark.parametrize(
    ("program", "missing", "told"),
    [
        ("import simulate", "torch", "simulate needs torch: pip install goldstone-propagation[simulate]"),
        ("import simulate", "psutil", "simulate needs psutil: pip install goldstone-propagation[simulate]"),
        ("import training", "torch", "training needs torch: pip install goldstone-propagation[training]"),
        ("import training.recurrent", "pandas", "training needs pandas: pip install goldstone-propagation[training]"),
        ("import training", "filelock", "training needs filelock: pip install goldstone-propagation[training]"),
        (
            "import simulate; simulate.load_images()",
            "sklearn",
            "the digits need scikit-learn: pip install goldstone-propagation[simulate]",
        ),
        (
            "from training.data import Source, load; load(Source('mnist'))",
            "pooch",
            "a download needs pooch: pip install goldstone-propagation[training]",
        ),
    ],
)
def test_without_an_extra_it_is_named(program, missing, told):
    code = f"import sys; sys.modules[{missing!r}] = None; {program}"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert done.stderr.splitlines()[-1] == f"ImportError: {told}"


@pytest.mark.parametrize("package", ["simulate", "training"])
def test_a_command_line_without_torch_names_the_extra(package):
    code = f"import runpy, sys; sys.modules['torch'] = None; runpy.run_module({package!r}, run_name='__main__')"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    told = f"ImportError: {package} needs torch: pip install goldstone-propagation[{package}]"
    assert done.stderr.splitlines()[-1] == told


def test_a_dask_scheduler_without_dask_is_exit_code_2():
    code = "import sys; sys.modules['distributed'] = None; from training.__main__ import main; sys.exit(main())"
    command = [sys.executable, "-c", code, "run", "figure5a", "--executor", "tcp://127.0.0.1:1"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 2
    told = "error: a dask scheduler needs distributed: pip install goldstone-propagation[dask]\n"
    assert done.stderr == told
