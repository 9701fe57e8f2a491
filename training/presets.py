"""The sizes at which each figure of deep networks is run. What the paper's text gives is in `paper`; the grids are ours
(see `training.conventions`)."""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass, replace
from typing import Any

from meanfield.symmetry import as_symmetry

from .conventions import ADAM_EPS, BATCH, LEARNING_RATE, WEIGHT_VARIANCE
from .criteria import EDGE, SMALLER
from .data import Source, load
from .experiment import counted
from .job import NO_LAYER, Job, Row
from .order import order_parameter
from .shape import Model, Shape

ON_CPU = 4  # models in a job: a CPU gains nothing from more, and jobs are what several processes share


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
    epsilons, learning_rates : Adam's, every one with every sigma_w
    symmetric : of generic(k) models, k >= 2: shares of their initial weights with the symmetry that they lack
    switch : as `training.job` has it: a step, and the learning rate from there on
    first_seed : the lowest seed
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
    epsilons: tuple[float, ...] = (ADAM_EPS,)
    learning_rates: tuple[float, ...] = (LEARNING_RATE,)
    switch: tuple[int, float] | None = None
    first_seed: int = 0
    symmetric: tuple[float, ...] = (0.0,)

    def jobs(self, data_dir: str | None, device: str) -> list[Job]:
        """The stacks to train; `device` is ``"cpu"`` or ``"cuda:i"``."""
        source = self._source(data_dir)
        features, jobs = load(source).features, []
        for symmetry in self.symmetries:
            for depth in self.depths:
                k = as_symmetry(symmetry).capsule_dimension
                width = self.width or _whole(self.components or 0, k, symmetry)
                shape = Shape(symmetry, width, depth, features)
                models = [
                    Model(sigma_w, seed, rate, epsilon=epsilon, symmetric=share)
                    for sigma_w in self.sigma_w or (fixed_variance_sigma_w(shape),)
                    for epsilon in self.epsilons
                    for rate in self.learning_rates
                    for share in self._shares(symmetry)
                    for seed in range(self.first_seed, self.first_seed + self.seeds)
                ]
                at_once = ON_CPU if device == "cpu" else len(models)
                for first in range(0, len(models), at_once):
                    share = tuple(models[first : first + at_once])
                    measured = self.measures, self.steps
                    jobs.append(Job(source, shape, share, self.epochs, self.batch, *measured, self.switch, device))
        return jobs

    def table(self, rows: list[Row], device: str) -> list[Row]:
        """All rows of the result: what the jobs measured, and the order parameter at initialisation.

        In the order of symmetry, depth, sigma_w, epsilon, learning rate, symmetric share and seed, however the models
        were shared out among stacks.
        """
        place = self.symmetries.index

        def order(row: Row) -> tuple:
            network = row.sigma_w, row.epsilon, row.learning_rate, row.symmetric, row.seed
            return place(row.symmetry), row.depth, *network

        return sorted(rows + self._order(device), key=order)

    def images(self, data_dir: str | None) -> dict[str, object]:
        """What the result's first line says of the images."""
        data = load(self._source(data_dir))
        return {"data": data.name, "data_canonical": data.canonical}

    @property
    def settings(self) -> dict:
        """All of it in plain values."""
        return asdict(self)

    @property
    def networks(self) -> int:
        """How many are trained."""
        optimisers = len(self.epsilons) * len(self.learning_rates)
        kinds = sum(len(self._shares(symmetry)) for symmetry in self.symmetries)
        return kinds * len(self.depths) * len(self.sigma_w or (0.0,)) * optimisers * self.seeds

    def _shares(self, symmetry: str) -> tuple[float, ...]:
        return self.symmetric if as_symmetry(symmetry).family == "generic" else (0.0,)

    def _source(self, data_dir: str | None) -> Source:
        return Source(self.data, None if self.data == "digits" else data_dir, self.train, self.test)

    def _order(self, device: str) -> list[Row]:
        if not self.order_networks:
            return []
        assert self.width is not None
        assert self.sigma_w is not None
        rows = []
        for symmetry in self.symmetries:
            for depth in self.depths:
                found = order_parameter(
                    symmetry, self.sigma_w, width=self.width, depth=depth, n_networks=self.order_networks, device=device
                )
                for quantity, values in found.items():
                    for sigma_w, value in zip(self.sigma_w, values.tolist(), strict=True):
                        place = symmetry, self.width, depth, sigma_w, -1, 0.0, 0, 0.0, NO_LAYER
                        rows.append(Row(*place, str(quantity), value))
        return rows


def fixed_variance_sigma_w(shape: Shape) -> float:
    """The sigma_w at which each weight (U(1): each complex one) has the variance of Figure 4."""
    inputs = shape.components if shape.group.family == "generic" else shape.width
    return math.sqrt(WEIGHT_VARIANCE * inputs)


def describe(settings: dict) -> str:
    """A preset, as a dictionary, in one line."""
    width = f"N = {settings['width']}" if settings["width"] else f"N D = {settings['components']}"
    depths = ", ".join(map(str, settings["depths"]))
    points = "" if settings["sigma_w"] is None else f", {len(settings['sigma_w'])} sigma_w"
    for name, told, usual in (
        ("epsilons", "Adam's epsilon", ADAM_EPS),
        ("learning_rates", "learning rates", LEARNING_RATE),
    ):
        values = settings.get(name, [usual])  # results may be older than the field
        if list(values) != [usual] or (name == "learning_rates" and settings.get("switch")):
            points += f", {told} {', '.join(f'{each:g}' for each in values)}"
    if settings.get("switch"):
        step, rate = settings["switch"]
        points += f" for {counted(step, 'step')}, then {rate:g}"
    shares = settings.get("symmetric", [0.0])
    if list(shares) != [0.0]:
        points += f", symmetric shares {', '.join(f'{each:g}' for each in shares)} of generic initial weights"
    first = f" from {settings['first_seed']} on" if settings.get("first_seed") else ""
    length = f"{counted(settings['seeds'], 'seed')}{first}, {counted(settings['epochs'], 'epoch')}"
    return f"{settings['data']}, {width}, L = {depths}{points}, {length}"


def _whole(components: int, k: int, symmetry: str) -> int:
    if components % k:
        raise ValueError(f"components must be a multiple of {k} for {symmetry}, got {components}")
    return components // k


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
_epsilon = replace(
    _figure3,
    symmetries=("O(4)", "U(1)", "generic(2)"),  # generic(4) takes four times as long
    sigma_w=(0.70, 0.76, 0.82, 0.88, 0.94),
    epsilons=(1e-16, 1e-12, 1e-8),
    order_networks=0,
)
_rotation = replace(
    _epsilon,
    symmetries=("U(1)", "O(2)"),
    sigma_w=(0.70, 0.76, 1.5),
    epsilons=(1e-16,),
    learning_rates=(1e-3, 3e-4, 1e-4),
)
_learning_rate = replace(
    _rotation,
    symmetries=("U(1)", "generic(2)"),
    sigma_w=(0.94, EDGE, 1.5),
    epsilons=(ADAM_EPS,),
    learning_rates=(1e-3, 1e-4, 1e-5),
)
_collapse = replace(
    _figure3,
    sigma_w=(EDGE, 1.5, 2.0),
    learning_rates=(1e-3, 1e-4),
    switch=(100, 1e-4),
    measures=("jacobian", "rank_at_readout"),
    steps=(0, 100),
    order_networks=0,
)
# none of the seeds and weight scales of `collapse`, after which its criterion was written
_jacobian = replace(_collapse, sigma_w=(1.25, 1.75, 1.9, 2.25), first_seed=5)
# seeds of no other run
_symmetric_start = replace(
    _learning_rate,
    sigma_w=(EDGE, 1.5),
    learning_rates=(1e-3, SMALLER),
    symmetric=(0.0, 0.9, 0.99, 1.0),
    measures=("asymmetry", "jacobian", "rank_at_readout"),
    steps=(0, 1, 3, 10, 30, 100, 235),
    first_seed=10,
)
_own_rate = replace(_figure3, sigma_w=(1.2, 1.6, 2.2), learning_rates=(1e-3, 3e-4, 1e-4, 3e-5), order_networks=0)


def _small(full: Preset, **changes: Any) -> Preset:
    """Digits in small batches, which leave time for some steps."""
    return replace(full, **{"data": "digits", "seeds": 2, "batch": 64, **changes})


def _small_sweep(full: Preset, sigma_w: tuple[float, ...]) -> Preset:
    return _small(full, width=16, depths=(30,), epochs=4, order_networks=32, sigma_w=sigma_w)


# name -> preset -> Preset
PRESETS: dict[str, dict[str, Preset]] = {
    "figure3": {
        "quick": _small_sweep(_figure3, (0.7, 1.0, 1.3, 1.8)),
        "cpu": replace(_figure3, sigma_w=FEW, seeds=3, epochs=2),
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
        "cpu": replace(_figure10, sigma_w=(0.9, 1.0, 1.06, 1.15, 1.3), seeds=3, epochs=2),
        "paper": _figure10,
    },
    "figure11": {
        "quick": _small_sweep(_figure11, (0.7, 1.0, 1.3, 1.8)),
        "cpu": replace(_figure11, sigma_w=FEW, seeds=3, epochs=2),
        "paper": _figure11,
    },
    "epsilon": {
        "quick": replace(_small_sweep(_epsilon, (0.76, 1.0)), epsilons=(1e-16, 1e-8), order_networks=0, depths=(100,)),
        "cpu": replace(_epsilon, seeds=3, epochs=1),
        "paper": _epsilon,
    },
    "rotation": {
        "quick": _small(_rotation, sigma_w=(0.76,), learning_rates=(1e-3, 1e-4), seeds=3, epochs=6),
        "cpu": replace(_rotation, seeds=3, epochs=1),
        "paper": _rotation,
    },
    "learning_rate": {
        "quick": _small(_learning_rate, sigma_w=(EDGE,), learning_rates=(1e-3, 1e-4), epochs=6),
        "cpu": replace(_learning_rate, seeds=3, epochs=1),
        "paper": _learning_rate,
    },
    "collapse": {
        "quick": _small(_collapse, width=32, sigma_w=(1.5,), switch=(40, 1e-4), steps=(0, 40), epochs=6),
        "cpu": replace(_collapse, seeds=3, epochs=1),
        "paper": _collapse,
    },
    "jacobian": {
        "quick": _small(_jacobian, width=32, sigma_w=(1.75,), switch=(40, 1e-4), steps=(0, 40), epochs=6),
        "cpu": replace(_jacobian, seeds=3, epochs=1),
        "paper": _jacobian,
    },
    "symmetric_start": {
        "quick": _small(
            _symmetric_start, width=32, sigma_w=(1.5,), learning_rates=(1e-3,), symmetric=(0.0, 1.0), epochs=6
        ),
        "cpu": replace(_symmetric_start, epochs=1),
        "paper": _symmetric_start,
    },
    "own_rate": {
        "quick": _small(_own_rate, width=32, sigma_w=(1.2,), learning_rates=(1e-3, 1e-4), epochs=6),
        "cpu": replace(_own_rate, seeds=3, epochs=2),
        "paper": _own_rate,
    },
}
