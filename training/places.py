"""Where results lie: a user's own in the working folder, and those that come with the package; reading one of them."""

from __future__ import annotations

import json
from dataclasses import MISSING, fields
from pathlib import Path
from typing import Any, cast

import xarray as xr

from . import experiments, table
from .recurrent.experiments import RECURRENT

COMMITTED = Path(__file__).parent / "results"
MINE = Path("results/training")


def mine() -> Path:
    """The folder of a user's own results: the working directory's, or that of the first folder above which has one.

    A notebook's working directory is its own folder, a command's mostly the folder above.
    """
    here = Path.cwd()
    return next((place / MINE for place in (here, *here.parents) if (place / MINE).is_dir()), here / MINE)


def committed(name: str) -> list[str]:
    """The presets of an experiment whose results come with the package, the smallest first."""
    return _presets(name, COMMITTED)


def own(name: str, folder: str | Path | None = None) -> list[str]:
    """The presets of an experiment of which a user has results, the smallest first; None looks in :func:`mine`."""
    return _presets(name, mine() if folder is None else Path(folder))


def _presets(name: str, folder: Path) -> list[str]:
    return [preset for preset in experiments.EXPERIMENTS[name].presets if (folder / f"{name}_{preset}.csv").exists()]


def whose(folder: Path) -> str:
    """Of the results in a folder."""
    return "committed" if folder.absolute() == COMMITTED else "your own"


def told(path: Path) -> str:
    """A result's file as one would type it here, and whose it is."""
    here = Path.cwd()
    short = path.relative_to(here) if path.is_relative_to(here) else path
    return f"{short} ({whose(path.parent)})"


def find(name: str, preset: str | None = None, folder: str | Path | None = None) -> Path:
    """The table of a run.

    Parameters
    ----------
    preset : None takes the largest that there is
    folder : None looks in :func:`mine`, then among those that come with the package

    Raises
    ------
    FileNotFoundError
        When there is none.
    ValueError
        For an unknown name or preset.
    """
    folders = (mine(), COMMITTED) if folder is None else (Path(folder).absolute(),)
    experiment, _ = experiments.find(name, preset or "quick")
    presets = list(experiment.presets)[::-1] if preset is None else [preset]
    paths = [place / f"{name}_{each}.csv" for each in presets for place in folders]
    for path in paths:
        if path.exists():
            return path
    wanted = f"{name}_{preset}.csv" if preset else f"result of {name}"
    there = f" (committed: {', '.join(committed(name))})" if committed(name) else ""
    raise FileNotFoundError(f"no {wanted} in {', '.join(map(str, folders))}: run it first{there}")


def read(name: str, path: str | Path) -> xr.Dataset:
    """The result of an experiment, as :func:`training.table.read`.

    Raises
    ------
    ValueError
        When it lacks what a report tells, or is another experiment's.
    """
    result = table.read(path)
    missing = [key for key in ("claim", "criterion", "settings", "device") if key not in result.attrs]
    if missing:
        raise ValueError(f"{path} must say in its first line its {', '.join(missing)}: run {name} again")
    if result.attrs.get("experiment", name) != name or ("task" in result) != (name in RECURRENT):
        raise ValueError(f"{path} must be a result of {name}, got one of {result.attrs.get('experiment', 'another')}")
    return result


def finished(name: str, preset: str, path: str | Path) -> xr.Dataset | None:
    """The result in a file, if it is whole and of this preset with the settings that it has now; None otherwise."""
    _, size = experiments.find(name, preset)
    try:
        result = read(name, path)
    except (OSError, ValueError):
        return None
    # results may be older than settings that had one value at first
    first = {each.name: each.default for each in fields(cast("Any", size)) if each.default is not MISSING}
    alike = _as_in_a_file(first | result.attrs["settings"]) == _as_in_a_file(size.settings)
    whole = alike and result.attrs.get("preset") == preset and "unfinished" not in result.attrs
    return result if whole else None


def _as_in_a_file(settings: dict) -> dict:
    return json.loads(json.dumps(settings))
