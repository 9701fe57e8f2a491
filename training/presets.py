"""The sizes at which each figure is run. What the paper's text gives is in `paper`; the grids are ours (see
`training.conventions`)."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

from .conventions import BATCH


@dataclass(frozen=True)
class Preset:
    """One size of one figure.

    Attributes
    ----------
    data : ``"digits"``, ``"mnist"`` or ``"fashion-mnist"``
    symmetries, depths, sigma_w : every combination is trained
    width : N for all symmetries; where it is None, `components` = N D is given in its place
    sigma_w : None for weights of the fixed variance of Figure 4
    train, test : images used, from the first; None is all
    measures, steps : what `training.job` measures, and after which steps
    order_networks : networks for the order parameter; 0 leaves it out
    """

    data: str
    symmetries: tuple[str, ...]
    depths: tuple[int, ...]
    sigma_w: tuple[float, ...] | None
    seeds: int
    epochs: int
    width: int | None = None
    components: int | None = None
    train: int | None = None
    test: int | None = None
    batch: int = BATCH
    measures: tuple[str, ...] = ()
    steps: tuple[int, ...] = ()
    order_networks: int = 0


PAIRS = ("U(1)", "generic(2)", "O(4)", "generic(4)")
GRID = (0.6, 0.8, 0.9, 1.0, 1.1, 1.2, 1.4, 1.6, 2.0, 2.5)
FEW = (0.8, 1.0, 1.2, 1.6, 2.2)
ZOOM = (0.9, 0.94, 0.97, 1.0, 1.03, 1.06, 1.1, 1.15, 1.2, 1.3)
DOUBLING = (0, 1, 2, 5, 10, 20, 35, 50, 75, 100, 130, 160, 200, 235)

_figure3 = Preset("fashion-mnist", PAIRS, (100,), GRID, seeds=5, epochs=5, width=64, order_networks=100)
_figure4 = Preset(
    "fashion-mnist",
    ("generic(2)", "U(1)", "O(4)", "O(8)"),
    (10, 25, 50, 75, 100, 150),
    None,
    seeds=3,
    epochs=4,
    components=128,
)
_figure5a = Preset(
    "fashion-mnist",
    ("U(1)", "generic(2)"),
    (64,),
    (1.5,),
    seeds=5,
    epochs=1,
    width=64,
    measures=("jacobian", "rank_at_readout"),
    steps=DOUBLING,
)
_figure5b = Preset(
    "fashion-mnist",
    ("generic(2)", "U(1)", "O(4)", "O(8)"),
    (90,),
    (1.5,),
    seeds=1,
    epochs=1,
    width=128,
    measures=("rank_of_layers",),
    steps=(0, 235),
)
_figure10 = replace(_figure3, symmetries=("generic(4)",), sigma_w=ZOOM)
_figure11 = replace(_figure3, data="mnist")


def _small(full: Preset, **changes: Any) -> Preset:
    """Digits in small batches, which leave time for some steps."""
    return replace(full, **{"data": "digits", "seeds": 2, "batch": 64, **changes})


def _small_sweep(full: Preset, sigma_w: tuple[float, ...]) -> Preset:
    return _small(full, width=16, depths=(30,), epochs=4, order_networks=32, sigma_w=sigma_w)


# name -> preset -> Preset
PRESETS: dict[str, dict[str, Preset]] = {
    "figure3": {
        "quick": _small_sweep(_figure3, (0.7, 1.0, 1.3, 1.8)),
        "cpu": replace(_figure3, sigma_w=FEW, seeds=2, epochs=2),
        "paper": _figure3,
    },
    "figure4": {
        "quick": _small(_figure4, components=64, depths=(5, 15, 30), epochs=4),
        "cpu": replace(_figure4, depths=(10, 50, 100), epochs=2),
        "paper": _figure4,
    },
    "figure5a": {
        "quick": _small(_figure5a, width=16, depths=(20,), steps=(0, 2, 5, 10, 15, 23)),
        "cpu": replace(_figure5a, seeds=3),
        "paper": _figure5a,
    },
    "figure5b": {
        "quick": _small(_figure5b, seeds=1, width=24, depths=(30,), epochs=2, steps=(0, 46)),
        "cpu": _figure5b,
        "paper": _figure5b,
    },
    "figure10": {
        "quick": _small_sweep(_figure10, (0.9, 1.0, 1.1, 1.3)),
        "cpu": replace(_figure10, sigma_w=(0.9, 1.0, 1.06, 1.15, 1.3), seeds=2, epochs=2),
        "paper": _figure10,
    },
    "figure11": {
        "quick": _small_sweep(_figure11, (0.7, 1.0, 1.3, 1.8)),
        "cpu": replace(_figure11, sigma_w=FEW, seeds=2, epochs=2),
        "paper": _figure11,
    },
}
