"""The paper's trained figures as named experiments: what is run, what is claimed, and how it is drawn."""

from __future__ import annotations

import math
import shutil
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, Future, as_completed
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path

import xarray as xr
from matplotlib.axes import Axes

from meanfield.symmetry import as_symmetry
from simulate.devices import as_device
from simulate.provenance import provenance

from . import criteria, plots
from .conventions import WEIGHT_VARIANCE
from .data import Data, Source, load
from .job import NO_LAYER, Interrupted, Job, Progress, Row, run
from .order import order_parameter
from .presets import PRESETS, Preset
from .stack import Model, Shape
from .table import as_dataset

ON_CPU = 4  # models in a job: a CPU gains nothing from more, and jobs are what several processes share
ONSET = (
    f"95 % interval over seeds of (a) mean test accuracy at sigma_w > {criteria.BROKEN}, U(1) minus generic(2) and "
    f"O(4) minus generic(4), above 0.10; (b) the same mean minus that at sigma_w < {criteria.UNBROKEN}, U(1) and O(4), "
    "above 0.30"
)


@dataclass(frozen=True)
class Experiment:
    """One figure.

    Attributes
    ----------
    claim : what the paper says
    criterion : what would bear it out, in words
    judge : the same as a function of the table
    panels : functions (result, ax) that draw it
    """

    claim: str
    criterion: str
    judge: criteria.Judge
    panels: tuple[Callable[[xr.Dataset, Axes], Axes], ...]


_PAIRS = tuple(partial(plots.plot_transition, symmetries=pair) for pair in criteria.PARTNERS.items())

EXPERIMENTS: dict[str, Experiment] = {
    "figure3": Experiment(
        "Equivariant networks of 100 layers train on Fashion-MNIST from sigma_w = 1 on, where the symmetry breaks; "
        "generic ones with the same nonlinearity train poorly.",
        ONSET,
        criteria.onset,
        _PAIRS,
    ),
    "figure4": Experiment(
        "With depth, generic networks lose accuracy on Fashion-MNIST; O(4) does not degrade; larger groups do better.",
        "95 % interval over seeds of the accuracy lost from the shallowest to the deepest networks: O(4) below 0.05, "
        "generic(2) above 0.10, U(1) minus O(8) above 0",
        criteria.degradation,
        (plots.plot_depth,),
    ),
    "figure5a": Experiment(
        "Along training the Jacobian of the generic network collapses; that of the U(1) network stays healthy, and its "
        "protected component cannot vanish.",
        "95 % interval over seeds of log10 of the change from first to last step: |J|^2 of generic(2) below -1, "
        "protected component of U(1) above -1; effective rank at the end, U(1) minus generic(2), above 0",
        criteria.healthy,
        tuple(
            partial(plots.plot_along_training, quantities=each)
            for each in (("jacobian_norm", "jacobian_protected"), ("rank",))
        ),
    ),
    "figure5b": Experiment(
        "The effective rank of an O(k) network's states is at least k at every layer; a generic one's collapses.",
        "lowest effective rank of any layer after training, over k, above 0.95 in every U(1) (k = 2), O(4) and O(8) "
        "network; the paper has one seed, which leaves no interval",
        criteria.floor,
        (plots.plot_rank_of_layers,),
    ),
    "figure10": Experiment(
        "Generic networks gain modestly near sigma_w = 1 only; above it the order parameter is there without a gain.",
        "95 % interval over seeds of test accuracy: largest minus smallest sigma_w below 0.10; best sigma_w within "
        "0.11 of 1 minus largest above 0",
        criteria.edge,
        (partial(plots.plot_transition, symmetries=("generic(4)",)),),
    ),
    "figure11": Experiment("As Figure 3, on MNIST.", ONSET, criteria.onset, _PAIRS),
}


def run_experiment(
    name: str,
    preset: str = "quick",
    *,
    work: Path | None = None,
    data_dir: str | None = None,
    device: str = "cpu",
    executor: Executor | None = None,
    time_budget: float = math.inf,
    progress: Callable[[float, float], object] | None = None,
) -> xr.Dataset:
    """Run one figure of the paper, or go on with it.

    Parameters
    ----------
    name : ``"figure3"``, ``"figure4"``, ``"figure5a"``, ``"figure5b"``, ``"figure10"`` or ``"figure11"``
    preset : ``"quick"``, ``"cpu"`` or ``"paper"``, see `training.presets`
    work : folder for checkpoints, removed at the end; None keeps none
    data_dir : folder with IDX files, for the presets on MNIST or Fashion-MNIST; None downloads them
    device : as for :class:`training.job.Job`
    executor : runs stacks side by side: threads, processes, or dask.distributed's ``client.get_executor()``
    time_budget : seconds after which every stack is saved and the run stops
    progress : called with the floating-point operations newly done, and with those in all

    Returns
    -------
    xarray.Dataset
        A table over ``row``: see :class:`training.job.Row`. Rows of `c`, `c_se` and `c_star`, the order parameter at
        initialisation, have seed -1.

    Raises
    ------
    Interrupted
        When the time is up; the same call goes on.
    ValueError
        For an unknown name or preset; as :func:`training.data.load` and :func:`simulate.devices.as_device`.
    """
    if name not in EXPERIMENTS:
        raise ValueError(f"name must be one of {', '.join(EXPERIMENTS)}, got {name!r}")
    if preset not in PRESETS[name]:
        raise ValueError(f"preset must be one of {', '.join(PRESETS[name])}, got {preset!r}")
    start = time.time()
    size = PRESETS[name][preset]
    source = Source(size.data, None if size.data == "digits" else data_dir, size.train, size.test)
    data, place = load(source), str(as_device(device))
    jobs = plan(size, source, data, place)
    total = sum(job.cost * job.steps(len(data.train)) for job in jobs)
    step = None if progress is None else partial(_tell, progress, total)
    rows = _run_all(jobs, work, executor, start + time_budget, step)
    rows += _order_rows(size, place)
    # however the models were shared out among stacks
    rows.sort(key=lambda row: (size.symmetries.index(row.symmetry), row.depth, row.sigma_w, row.seed))
    attributes = {
        "experiment": name,
        "preset": preset,
        **{key: EXPERIMENTS[name].__dict__[key] for key in ("claim", "criterion")},
        "settings": asdict(size),
        "data": data.name,
        "data_canonical": data.canonical,
        "device": place,
        "seconds_of_last_call": round(time.time() - start, 1),
        **provenance(),
    }
    if work is not None:
        shutil.rmtree(work, ignore_errors=True)
    return as_dataset(rows, attributes)


def plan(size: Preset, source: Source, data: Data, device: str) -> list[Job]:
    """The stacks of an experiment."""
    jobs = []
    for symmetry in size.symmetries:
        for depth in size.depths:
            k = as_symmetry(symmetry).capsule_dimension
            width = size.width or _whole(size.components or 0, k, symmetry)
            shape = Shape(symmetry, width, depth, data.features)
            models = [
                Model(sigma_w, seed)
                for sigma_w in size.sigma_w or (fixed_variance_sigma_w(shape),)
                for seed in range(size.seeds)
            ]
            at_once = ON_CPU if device == "cpu" else len(models)
            for first in range(0, len(models), at_once):
                share = tuple(models[first : first + at_once])
                jobs.append(Job(source, shape, share, size.epochs, size.batch, size.measures, size.steps, device))
    return jobs


def fixed_variance_sigma_w(shape: Shape) -> float:
    """The sigma_w at which each weight (U(1): each complex one) has the variance of Figure 4."""
    inputs = shape.components if shape.group.family == "generic" else shape.width
    return math.sqrt(WEIGHT_VARIANCE * inputs)


def _whole(components: int, k: int, symmetry: str) -> int:
    if components % k:
        raise ValueError(f"components must be a multiple of {k} for {symmetry}, got {components}")
    return components // k


def _tell(progress: Callable[[float, float], object], total: float, done: float) -> None:
    progress(done, total)


def _run_all(
    jobs: Sequence[Job], work: Path | None, executor: Executor | None, deadline: float, progress: Progress | None
) -> list[Row]:
    """All stacks' rows, in the order of the jobs."""
    files = [None if work is None else work / f"stack_{number:03d}.pt" for number in range(len(jobs))]
    if executor is None:
        found = []
        for job, file in zip(jobs, files, strict=True):
            found += run(job, file, deadline=deadline, progress=progress)
        return found
    # another process cannot call back
    inside = progress if getattr(executor, "_threads", None) is not None else None
    futures: list[Future[list[Row]]] = [
        executor.submit(run, job, file, deadline=deadline, progress=inside)
        for job, file in zip(jobs, files, strict=True)
    ]
    return _gather(jobs, futures, progress if inside is None else None)


def _gather(jobs: Sequence[Job], futures: Sequence[Future[list[Row]]], progress: Progress | None) -> list[Row]:
    numbers = {future: number for number, future in enumerate(futures)}
    try:
        for future in as_completed(numbers):
            error = future.exception()
            if error is not None and not isinstance(error, Interrupted):
                raise error
            if progress is not None and error is None:
                job = jobs[numbers[future]]
                progress(job.cost * job.steps(len(load(job.source).train)))
    finally:
        for future in futures:
            future.cancel()
    # at the deadline every stack has saved its state by now, and the first result raises Interrupted
    return [row for future in futures for row in future.result()]


def _order_rows(size: Preset, device: str) -> list[Row]:
    if not size.order_networks:
        return []
    rows = []
    for symmetry in size.symmetries:
        assert size.width is not None
        assert size.sigma_w is not None
        for depth in size.depths:
            found = order_parameter(
                symmetry, size.sigma_w, width=size.width, depth=depth, n_networks=size.order_networks, device=device
            )
            for quantity, values in found.items():
                for sigma_w, value in zip(size.sigma_w, values.tolist(), strict=True):
                    rows.append(Row(symmetry, size.width, depth, sigma_w, -1, 0.0, 0, 0.0, NO_LAYER, quantity, value))
    return rows
