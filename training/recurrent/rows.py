"""Results of recurrent models as rows of a table, and as arrays over models."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import pandas as pd
import xarray as xr

from .settings import Setting

TESTS = 50  # in a table, about
NOWHERE = -1  # channel and time of what concerns a whole model


class Row(NamedTuple):
    """One number of a result. `train_loss` is a mean since the step before.

    `model` is :attr:`~training.recurrent.Setting.name`. `channel` and `time` (step of a sequence) are those of a count
    of vortices, otherwise -1.
    """

    task: str
    model: str
    kind: str
    hidden_size: int
    recurrent: str
    encoder: str
    activation: str
    learning_rate: float
    seed: int
    parameters: int
    channel: int
    time: int
    step: int
    quantity: str
    value: float


MODEL = ("model", "kind", "hidden_size", "recurrent", "encoder", "activation", "learning_rate", "seed", "parameters")
LONG_NAMES = {
    "train_loss": "training cross-entropy",
    "validation_loss": "validation cross-entropy",
    "test_loss": "test cross-entropy",
    "validation_accuracy": "validation accuracy",
    "test_accuracy": "test accuracy",
    "spectral_radius": "spectral radius",
    "parameters": "trainable real parameters",
}


def row(task: str, setting: Setting, parameters: int, step: int, quantity: str, value: float, *place: int) -> Row:
    """A row of a model; `place` is channel and time."""
    model = (setting.name, setting.kind, setting.hidden_size, setting.recurrent, setting.encoder, setting.activation)
    channel, time = place or (NOWHERE, NOWHERE)
    return Row(
        task, *model, setting.learning_rate, setting.seed, parameters, channel, time, int(step), quantity, float(value)
    )


def rows(task: str, settings: Iterable[Setting], result: xr.Dataset) -> list[Row]:
    """:meth:`Training.result <training.recurrent.Training.result>` of these settings as rows.

    Of long runs every so many tests, about `TESTS` in all and always the last, so that a table stays small; the means
    of the training loss are over the longer times then.
    """
    found, result = [], _fewer(result)
    for number, setting in enumerate(settings):
        own = result.isel(model=number)
        for quantity, values in own.data_vars.items():
            # what is measured once is measured at the end
            steps = own.step.values if values.ndim else own.step.values[-1:]
            for step, value in zip(steps, np.atleast_1d(values.values), strict=True):
                found.append(row(task, setting, int(own.parameters), step, str(quantity), value))
    return found


def _fewer(result: xr.Dataset) -> xr.Dataset:
    """Every n-th test and the last one."""
    steps = result.step.values
    every = -(-len(steps) // TESTS)
    if every <= 1:
        return result
    kept = np.unique([*range(every - 1, len(steps), every), len(steps) - 1])
    # each mean is over the steps since the test before
    sums = np.add.reduceat(result.train_loss.values * np.diff(steps, prepend=0), np.append(0, kept[:-1] + 1), axis=-1)
    fewer = result.isel(step=kept)
    return fewer.assign(train_loss=fewer.train_loss.copy(data=sums / np.diff(steps[kept], prepend=0)))


def by_model(table: pd.DataFrame, task: str) -> xr.Dataset:
    """Losses and accuracies of one task as arrays over models and steps.

    Parameters
    ----------
    table : of rows, see :class:`Row`
    task : one of its tasks

    Returns
    -------
    xarray.Dataset
        Each quantity (model, step), or (model,) where there is one of each model, NaN for models that do not have it;
        what describes a model as coordinates of `model`, and its name as `label`.

    Raises
    ------
    ValueError
        When there is no such task.
    """
    own = table[(table.task == task) & (table.channel == NOWHERE) & (table.time == NOWHERE)]
    if own.empty:
        raise ValueError(f"task must be one of {', '.join(map(repr, table.task.unique()))}, got {task!r}")
    models = own[list(MODEL)].drop_duplicates().reset_index(drop=True)
    data = {}
    for quantity, values in own.groupby("quantity", sort=False):
        wide = values.pivot(index=list(MODEL), columns="step", values="value")
        array = wide.reindex(pd.MultiIndex.from_frame(models))
        named = {"long_name": LONG_NAMES[str(quantity)]}
        once = array.shape[1] == 1 and own.step.nunique() > 1
        data[str(quantity)] = (
            xr.DataArray(array.to_numpy()[:, 0], dims="model", attrs=named)
            if once
            else xr.DataArray(array.to_numpy(), {"step": array.columns.to_numpy()}, ("model", "step"), attrs=named)
        )
    described = {("label" if key == "model" else key): ("model", models[key].to_numpy()) for key in MODEL}
    found = xr.Dataset(data).assign_coords(described)
    found.parameters.attrs["long_name"] = LONG_NAMES["parameters"]
    found.step.attrs["long_name"] = "batches"
    return found


def by_encoder(table: pd.DataFrame, task: str) -> xr.Dataset:
    """:func:`by_model`, in whose labels the models' initial input weights count: as ``"U(1) RNN 32, standard"``."""
    found = by_model(table, task)
    names = [f"{label}, {encoder}" for label, encoder in zip(found.label.values, found.encoder.values, strict=True)]
    return found.assign_coords(label=("model", names))


def last(results: xr.Dataset, name: str) -> xr.DataArray:
    """A quantity of each model (model,) at the last step."""
    values = results[name]
    return values.isel(step=-1) if "step" in values.dims else values
