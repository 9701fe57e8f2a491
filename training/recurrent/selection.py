"""From many trained models to a table: the best setting by validation, solved seeds, and tests between models."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import xarray as xr
from scipy.stats import ttest_ind

from .rows import LONG_NAMES, last
from .training import SOLVED

ASTRAY = 100.0  # a cross-entropy, or none at all, of a model that went astray: guessing costs log 10 = 2.3


SWEPT = ("recurrent", "encoder", "activation", "learning_rate")  # what settings of one model differ in


def select(results: xr.Dataset) -> xr.Dataset:
    """For each model the setting whose validation is best on average over seeds, at the last step.

    Accuracy decides where there is one, cross-entropy otherwise. A setting with a diverged seed is never chosen; where
    all have one the model is left out. Cross-entropy tells, as weights that are not finite have an accuracy too. The
    test set has no say.

    Parameters
    ----------
    results : of one task, from :func:`training.recurrent.rows.by_model`

    Returns
    -------
    xarray.Dataset
        The models of the chosen settings, all their seeds.
    """
    by_accuracy = "validation_accuracy" in results
    loss = results.validation_loss.isel(step=-1).values
    score = results.validation_accuracy.isel(step=-1).values if by_accuracy else -loss
    score = np.where(loss < ASTRAY, score, np.nan)
    settings = list(zip(*(results[key].values.tolist() for key in ("label", *SWEPT)), strict=True))
    chosen = []
    for name in dict.fromkeys(results.label.values.tolist()):
        means = {
            setting: score[np.array([each == setting for each in settings])].mean()
            for setting in dict.fromkeys(settings)
            if setting[0] == name
        }
        finite = {setting: mean for setting, mean in means.items() if np.isfinite(mean)}
        if finite:
            chosen.append(max(finite, key=finite.__getitem__))
    return results.isel(model=[i for i, setting in enumerate(settings) if setting in chosen])


def left_out(every: xr.Dataset, selected: xr.Dataset) -> list[str]:
    """Names of the models that :func:`select` has left out: of each setting a seed diverged."""
    return list(dict.fromkeys(every.label.values[~np.isin(every.label, selected.label)].tolist()))


def summarise(results: xr.Dataset) -> xr.Dataset:
    """Mean and standard deviation over seeds of the last test, and how many seeds solved the copy task.

    Returns
    -------
    xarray.Dataset
        By `group` (the model's name): `mean`, `std` (with n - 1; NaN for one seed), `seeds`, `solved` (test
        cross-entropy below 1e-4), `diverged` (seeds that mean and std leave out) and `parameters`.
    """
    groups, names = _groups(results)
    finite = [values[np.isfinite(values)] for values in groups]
    seeds = np.array([len(values) for values in groups])
    loss, _ = _groups(results, "test_loss")
    sizes, _ = _groups(results, "parameters")
    data = {
        "mean": ([v.mean() if v.size else np.nan for v in finite], "mean over seeds"),
        "std": ([v.std(ddof=1) if v.size > 1 else np.nan for v in finite], "standard deviation over seeds"),
        "seeds": (seeds, "trained models"),
        "solved": ([int((v < SOLVED).sum()) for v in loss], f"seeds with test cross-entropy below {SOLVED:g}"),
        "parameters": ([values[0] for values in sizes], LONG_NAMES["parameters"]),
        "diverged": (seeds - [len(v) for v in finite], "seeds that diverged"),
    }
    return xr.Dataset(
        {name: ("group", np.asarray(values), {"long_name": text}) for name, (values, text) in data.items()},
        coords={"group": names},
        attrs=dict(results.attrs),
    )


def welch(results: xr.Dataset) -> xr.Dataset:
    """Welch's two-sided t-test between every two groups, of the last test.

    Returns
    -------
    xarray.Dataset
        `p` and `t` by `pair`; NaN where a group has fewer than two seeds that did not diverge.
    """
    groups, names = _groups(results)
    rows = []
    for i, j in combinations(range(len(names)), 2):
        a, b = (values[np.isfinite(values)] for values in (groups[i], groups[j]))
        test = ttest_ind(a, b, equal_var=False) if min(a.size, b.size) > 1 else (np.nan, np.nan)
        rows.append((f"{names[i]} - {names[j]}", *map(float, test)))
    pairs, t, p = zip(*rows, strict=True) if rows else ((), (), ())
    return xr.Dataset(
        {"t": ("pair", list(t), {"long_name": "Welch's t"}), "p": ("pair", list(p), {"long_name": "two-sided p"})},
        coords={"pair": list(pairs)},
    )


def holm(p: Sequence[float]) -> np.ndarray:
    """p of several tests adjusted so that the chance of a single error among them is kept: Holm's step-down method."""
    values = np.asarray(p, dtype=float)
    order = np.argsort(values)
    adjusted = np.empty_like(values)
    adjusted[order] = np.maximum.accumulate(values[order] * np.arange(len(values), 0, -1)).clip(max=1.0)
    return adjusted


def _groups(results: xr.Dataset, name: str | None = None) -> tuple[list[np.ndarray], list[str]]:
    """The last test of each model, accuracy where there is one, NaN if it diverged; or the variable `name`."""
    values = last(results, name or ("test_accuracy" if "test_accuracy" in results else "test_loss")).values
    if name is None:
        values = np.where(last(results, "test_loss") < ASTRAY, values, np.nan)
    labels = results.label.values
    names = list(dict.fromkeys(labels.tolist()))
    return [values[labels == each] for each in names], names
