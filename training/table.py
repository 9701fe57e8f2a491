"""Results as one tidy table each: a row for each number, and a first line that says where they came from.

Trained weights, of the few experiments that keep them, lie beside the table in a file of numpy arrays.
"""

from __future__ import annotations

import hashlib
import json
import zlib
from collections.abc import Mapping, Sequence
from contextlib import suppress
from io import StringIO
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
import pandas as pd
import xarray as xr

from meanfield.files import atomic_path, require_writable

from .job import Row
from .recurrent.rows import Row as RecurrentRow

WEIGHT = "weight_"  # begins the names of trained weights among a result's variables

LONG_NAMES = {
    "symmetry": "symmetry of the hidden layers",
    "width": "capsules in a layer, $N$",
    "depth": "equivariant layers $L$",
    "sigma_w": r"weight scale $\sigma_w$",
    "seed": "seed of the weights and of the order of images; -1: a mean over networks at initialisation",
    "learning_rate": "learning rate",
    "task": "task",
    "model": "model and hidden size",
    "kind": "kind of model",
    "hidden_size": "hidden size $N$",
    "recurrent": "initial recurrent weights",
    "encoder": "initial input weights",
    "activation": "activation of ordinary models",
    "parameters": "trainable real parameters",
    "channel": "channel of the grid; -1: not of one channel",
    "time": "step of the sequence; -1: not of one step",
    "step": "optimiser steps done",
    "epoch": "times that each image was seen",
    "layer": "layer $l$; -1: not of one layer",
    "quantity": "what was measured",
    "value": "its value",
    "epsilon": "Adam's epsilon",
    "symmetric": "share of the initial weights' variance with a symmetry that the layers lack",
}


COLUMNS = (Row._fields, RecurrentRow._fields)
FLOATS = ("sigma_w", "learning_rate", "epoch", "value", "epsilon", "symmetric")
TEXTS = {"symmetry", "task", "model", "kind", "recurrent", "encoder", "activation", "quantity"}


def as_dataset(
    rows: Sequence[Any], attributes: dict[str, object], weights: Mapping[str, np.ndarray] | None = None
) -> xr.Dataset:
    """Rows of one type as a dataset with the one dimension ``row``; `weights` with dimensions of their own."""
    return _labelled(pd.DataFrame(list(rows), columns=list(rows[0]._fields)), attributes, weights or {})


def write(result: xr.Dataset, path: str | Path) -> None:
    """Save a result as CSV, whole or not at all. Its first line is ``# `` and the attributes in JSON.

    Trained weights go into ``.npz`` beside it. Checksums of both are among the attributes.

    Raises
    ------
    ValueError
        As :func:`require_place`.
    """
    path = Path(path)
    require_place(path)
    kept: dict[str, Any] = weights(result)  # Any: numpy's stubs read the keywords as options
    table, beside = frame(result), path.with_suffix(".npz")
    body = table.to_csv(index=False, lineterminator="\n")
    told = result.attrs | {"rows": len(table), "sha256": _sha256(body.encode())}
    if not kept:
        _write_text(path, told, body)
        beside.unlink(missing_ok=True)  # of an earlier result
        return
    with atomic_path(beside) as temporary:
        np.savez_compressed(temporary, **kept)
        # in this order a process that is killed in between leaves a table that says which weights it lacks, and not
        # weights that stand in the way of the run that makes them anew
        _write_text(path, told | {"weights_sha256": _sha256(temporary.read_bytes())}, body)


def _write_text(path: Path, told: dict, body: str) -> None:
    with atomic_path(path) as temporary:
        temporary.write_text(f"# {json.dumps(told)}\n{body}", newline="\n")


def require_place(path: Path) -> None:
    """Refuse a file for a result that cannot be written, or beside which somebody's ``.npz`` would be lost.

    Raises
    ------
    ValueError
        Unless it ends in .csv and can be written, and there is no ``.npz`` beside it but that of a result in its place.
    """
    require_writable(path, [".csv"])
    beside = path.with_suffix(".npz")
    if beside.exists() and not path.exists():
        raise ValueError(f"out must have no other file in the way, got {path}, beside which {beside.name} is")


def _sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def read(path: str | Path) -> xr.Dataset:
    """Load what :func:`write` saved.

    Raises
    ------
    FileNotFoundError
        When there is no such file.
    ValueError
        When it is not such a file, or not a whole one.
    """
    raw = Path(path).read_bytes()
    try:
        first, _, rest = raw.decode().partition("\n")
        attributes, table = dict(json.loads(first.removeprefix("# "))), _exactly(rest)
    except (ValueError, TypeError) as error:
        raise ValueError(f"{path} must be a result of training, got a file that begins with {raw[:60]!r}") from error
    if not rest.endswith("\n"):
        raise ValueError(f"{path} must be a whole result, got one that ends within a row")
    # results may be older than these, as than their count of rows
    wanted, beside = attributes.pop("sha256", None), attributes.pop("weights_sha256", None)
    if wanted is not None and _sha256(rest.replace("\r\n", "\n").encode()) != wanted:
        raise ValueError(f"{path} must be a result as it was written, got one with other numbers")
    known = len(table.columns)
    if tuple(table.columns) == Row._fields[:known] and set(Row._fields[known:]) <= set(Row._field_defaults):
        table = table.assign(**{name: Row._field_defaults[name] for name in Row._fields[known:]})  # older than these
    _check(path, table, attributes.pop("rows", len(table)))  # results may be older than their count
    return _labelled(table, attributes, _weights_beside(Path(path), beside))


def _exactly(text: str) -> pd.DataFrame:
    """CSV as a table, with floats as Python reads them: the parser of pandas before 3.1 is wrong in the last digits."""
    table = pd.read_csv(StringIO(text), dtype=dict.fromkeys(FLOATS, object))
    for name in table.columns.intersection(FLOATS):
        with suppress(ValueError):  # no number, which is said later
            table[name] = table[name].to_numpy(object).astype(float)
    return table


def _check(path: str | Path, table: pd.DataFrame, rows: int) -> None:
    """Whether it has all rows, of one of the two kinds, with numbers where numbers belong."""
    if tuple(table.columns) not in COLUMNS:
        wanted = " or ".join(", ".join(fields) for fields in COLUMNS)
        raise ValueError(f"{path} must have the columns {wanted}, got {', '.join(table.columns)}")
    if table.empty or len(table) != rows:
        raise ValueError(f"{path} must have {rows or 'some'} rows, got {len(table)}")
    for name, values in table.items():
        if (name not in TEXTS) != pd.api.types.is_numeric_dtype(values):
            raise ValueError(f"{path} must have {'text' if name in TEXTS else 'numbers'} in the column {name}")


def frame(result: xr.Dataset) -> pd.DataFrame:
    """A result as a pandas table."""
    return pd.DataFrame({name: values.values for name, values in result.data_vars.items() if values.dims == ("row",)})


def weights(result: xr.Dataset) -> dict[str, np.ndarray]:
    """A result's trained weights, by the names of the model's parameters."""
    named = {str(name): values.values for name, values in result.data_vars.items()}
    return {name.removeprefix(WEIGHT): values for name, values in named.items() if name.startswith(WEIGHT)}


def _weights_beside(path: Path, wanted: str | None) -> dict[str, np.ndarray]:
    file = path.with_suffix(".npz")
    if wanted is not None and not file.exists():
        raise ValueError(f"{path} must have its trained weights beside it, got no {file.name}")
    if not file.exists():
        return {}
    if wanted is not None and _sha256(file.read_bytes()) != wanted:
        raise ValueError(f"{file} must be the trained weights of {path.name}, got others or a damaged file")
    try:
        # numpy leaves a damaged file open that it opens itself
        with file.open("rb") as stream, np.load(stream, allow_pickle=False) as found:
            return dict(found)
    except (ValueError, OSError, EOFError, BadZipFile, zlib.error) as error:
        raise ValueError(f"{file} must be a whole file of numpy arrays; the run that made {path} makes it") from error


def _labelled(table: pd.DataFrame, attributes: dict[str, object], arrays: Mapping[str, np.ndarray]) -> xr.Dataset:
    columns = {name: ("row", table[name].to_numpy(), {"long_name": LONG_NAMES[name]}) for name in map(str, table)}
    kept = {
        f"{WEIGHT}{name}": ([f"{name}_{axis}" for axis in range(array.ndim)], array, {"long_name": f"trained {name}"})
        for name, array in arrays.items()
    }
    return xr.Dataset(columns | kept, attrs=attributes)
