"""Results as one tidy table each: a row for each number, and a first line that says where they came from."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd
import xarray as xr

from meanfield.files import atomic_path

from .job import Row

LONG_NAMES = {
    "symmetry": "symmetry of the hidden layers",
    "width": "capsules in a layer, $N$",
    "depth": "equivariant layers $L$",
    "sigma_w": r"weight scale $\sigma_w$",
    "seed": "seed of the weights and of the order of images; -1: a mean over networks at initialisation",
    "learning_rate": "learning rate",
    "step": "optimiser steps done",
    "epoch": "times that each image was seen",
    "layer": "layer $l$; -1: not of one layer",
    "quantity": "what was measured",
    "value": "its value",
}


def as_dataset(rows: Sequence[Row], attributes: dict[str, object]) -> xr.Dataset:
    """Rows as a dataset with the one dimension ``row``."""
    return _labelled(pd.DataFrame(list(rows), columns=list(Row._fields)), attributes)


def write(result: xr.Dataset, path: str | Path) -> None:
    """Save a result as CSV, whole or not at all. Its first line is ``# `` and the attributes in JSON."""
    with atomic_path(path) as temporary, temporary.open("w") as file:
        file.write(f"# {json.dumps(result.attrs)}\n")
        frame(result).to_csv(file, index=False, lineterminator="\n")


def read(path: str | Path) -> xr.Dataset:
    """Load what :func:`write` saved.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is not such a file.
    """
    with Path(path).open() as file:
        first = file.readline()
        try:
            attributes = json.loads(first.removeprefix("# "))
            table = pd.read_csv(file)
        except ValueError as error:
            raise ValueError(f"{path} must be a result of training, got {first[:60]!r} as its first line") from error
    if list(table.columns) != list(Row._fields):
        raise ValueError(f"{path} must have the columns {', '.join(Row._fields)}, got {', '.join(table.columns)}")
    return _labelled(table, attributes)


def frame(result: xr.Dataset) -> pd.DataFrame:
    """A result as a pandas table."""
    return pd.DataFrame({name: result[name].values for name in Row._fields})


def _labelled(table: pd.DataFrame, attributes: dict[str, object]) -> xr.Dataset:
    columns = {name: ("row", table[name].to_numpy(), {"long_name": LONG_NAMES[name]}) for name in Row._fields}
    return xr.Dataset(columns, attrs=attributes)
