"""Where results lie: a user's own in the working folder, and those that come with the package."""

from __future__ import annotations

from pathlib import Path

from . import experiments

COMMITTED = Path(__file__).parent / "results"
MINE = Path("results/training")


def find(name: str, preset: str | None = None, folder: str | Path | None = None) -> Path:
    """The table of a run.

    Parameters
    ----------
    preset : None takes the largest that there is
    folder : None looks among the user's own, then among those that come with the package

    Raises
    ------
    FileNotFoundError
        When there is none.
    ValueError
        For an unknown name or preset.
    """
    folders = (MINE, COMMITTED) if folder is None else (Path(folder),)
    experiment, _ = experiments.find(name, preset or "quick")
    presets = list(experiment.presets)[::-1] if preset is None else [preset]
    paths = [place / f"{name}_{each}.csv" for each in presets for place in folders]
    for path in paths:
        if path.exists():
            return path
    wanted = f"{name}_{preset}.csv" if preset else f"result of {name}"
    raise FileNotFoundError(f"no {wanted} in {', '.join(map(str, folders))}: run it first")
