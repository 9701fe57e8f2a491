"""How much of the paper's own run of a copy task a result is: all of it for some of its models, or its beginning."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import xarray as xr

from .experiments import EXPERIMENTS


class Extent(NamedTuple):
    """Batches that a run has made, of those that the paper's has."""

    batches: int
    of: int

    @property
    def whole(self) -> bool:
        return self.batches == self.of


def extent(name: str, result: xr.Dataset) -> Extent | None:
    """The batches of a result that has nothing but the paper's copy tasks, models, rates, seeds and batch sizes.

    As far as its first line tells, which has a task's rates and models, and the number of its seeds. It may lack tasks
    and models, if no rate goes with them. None for any other result: reduced tasks, other learning rates, fewer seeds.

    Parameters
    ----------
    name : of the experiment
    """
    parts = result.attrs.get("settings", {}).get("parts", [])
    full = EXPERIMENTS[name].presets["paper"].settings.get("parts", [])
    pairs = [(own, next((part for part in full if _alike(own, part)), None)) for own in parts]
    found = [(_batches(own), _batches(part)) for own, part in pairs if part is not None]
    if not found or len(found) < len(parts):
        return None
    batches, of = min(found, key=lambda each: each[0] / each[1])
    return Extent(min(result.attrs.get("unfinished", batches), batches), of)


def _alike(own: Mapping[str, Any], part: Mapping[str, Any]) -> bool:
    """Whether a task is trained as the paper's, for however long."""
    same = ("task", "max_delay", "fixed_delay", "learning_rates", "seeds", "batch", "activations", "drop_at")
    alike = all(own.get(key) == part.get(key) for key in same)
    return own.get("max_delay") is not None and alike and set(own["models"]) <= set(part["models"])


def _batches(part: Mapping[str, Any]) -> int:
    return int(part["length"].split()[0])
