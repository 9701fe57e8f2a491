"""The trained figures of the paper, and experiments beyond it: what is run, what is claimed, how it is drawn."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from simulate.devices import as_device
from simulate.provenance import gpu, provenance

from . import criteria, plots
from .experiment import Experiment, Size, command_to_run
from .presets import PRESETS, describe
from .recurrent.experiments import RECURRENT
from .recurrent.presets import PRESETS as RECURRENT_SIZES
from .runner import CHECKPOINT, run_all
from .table import as_dataset, require_place, write
from .work import claimed, left

ONSET = (
    f"95 % interval over seeds of (a) mean test accuracy at sigma_w > {criteria.BROKEN}, U(1) minus generic(2) and "
    f"O(4) minus generic(4), above 0.10; (b) the same mean minus that at sigma_w < {criteria.UNBROKEN}, U(1) and O(4), "
    "above 0.30"
)

_PAIRS = tuple(partial(plots.plot_transition, symmetries=pair) for pair in criteria.PARTNERS.items())

_DEEP: dict[str, Experiment] = {
    "figure3": Experiment(
        "Equivariant networks of 100 layers train on Fashion-MNIST from sigma_w = 1 on, where the symmetry breaks; "
        "generic ones with the same nonlinearity train poorly.",
        ONSET,
        criteria.onset,
        _PAIRS,
        PRESETS["figure3"],
        describe,
    ),
    "figure4": Experiment(
        "With depth, generic networks lose accuracy on Fashion-MNIST; O(4) does not degrade; larger groups do better.",
        "95 % interval over seeds of the accuracy lost from the shallowest to the deepest networks: O(4) below 0.05, "
        "generic(2) above 0.10, U(1) minus O(8) above 0",
        criteria.degradation,
        (plots.plot_depth,),
        PRESETS["figure4"],
        describe,
    ),
    "figure5a": Experiment(
        "Along training the Jacobian of the generic network collapses; that of the U(1) network stays healthy, and its "
        "protected component cannot vanish.",
        "95 % interval over seeds of log10 of the change from first to last step: |J|^2 of generic(2) below -1, of "
        "U(1) minus that of generic(2) above 1 (Welch's interval; written after a first run), protected component of "
        "U(1) above -1; effective rank at the end, U(1) minus generic(2), above 0",
        criteria.healthy,
        tuple(
            partial(plots.plot_along_training, quantities=each)
            for each in (("jacobian_norm", "jacobian_protected"), ("rank",))
        ),
        PRESETS["figure5a"],
        describe,
    ),
    "figure5b": Experiment(
        "The effective rank of an O(k) network's states is at least k at every layer; a generic one's collapses.",
        "lowest effective rank of any layer after training, over k, above 0.95 in every U(1) (k = 2), O(4) and O(8) "
        "network, and below 1.5 in every generic(2) network (written after a first run); the paper has one seed, which "
        "leaves no interval",
        criteria.floor,
        (plots.plot_rank_of_layers,),
        PRESETS["figure5b"],
        describe,
    ),
    "figure10": Experiment(
        "Generic networks gain modestly near sigma_w = 1 only; above it the order parameter is there without a gain.",
        "95 % interval over seeds of test accuracy: largest minus smallest sigma_w below 0.10; the sigma_w within 0.11 "
        "of 1 that is best for the other seeds minus largest above 0",
        criteria.edge,
        (partial(plots.plot_transition, symmetries=("generic(4)",)),),
        PRESETS["figure10"],
        describe,
    ),
    "figure11": Experiment("As Figure 3, on MNIST.", ONSET, criteria.onset, _PAIRS, PRESETS["figure11"], describe),
    "epsilon": Experiment(
        "Beyond the paper: what keeps O(4) networks of 100 layers from training below the transition is Adam's "
        "epsilon. Where their first gradients exceed it they train, in the unbroken phase as well; generic ones do "
        "not.",
        "95 % interval over seeds of test accuracy: O(4) in the same initial networks at one sigma_w below the "
        f"transition, {criteria.COMPARED}, smallest minus largest epsilon above 0.30; O(4) where first gradients, by "
        "theory, exceed epsilon minus where they are below epsilon/10^6 above 0.30; O(4) minus generic(2) where they "
        "exceed it above 0.10. Written after trials with one and two seeds at sigma_w = 0.7 and 0.8",
        criteria.epsilon,
        tuple(partial(plots.plot_epsilon, symmetry=each) for each in PRESETS["epsilon"]["paper"].symmetries),
        PRESETS["epsilon"],
        describe,
    ),
    "rotation": Experiment(
        "Beyond the paper: what keeps U(1) networks of 100 layers from training below the transition, where Adam's "
        "epsilon does not, is that one step turns the phase of the whole network by more than a radian. With smaller "
        "steps they train, and so do O(2) networks, whose weights cannot turn a capsule.",
        f"95 % interval over seeds of mean test accuracy at sigma_w < {criteria.UNBROKEN}: U(1), smallest minus "
        "largest learning rate, above 0.15; O(2) minus U(1) at the largest learning rate above 0.15. Written after "
        "trials with three seeds at sigma_w = 0.7 and 1.5, in smaller batches",
        criteria.rotation,
        tuple(partial(plots.plot_rates, symmetry=each) for each in PRESETS["rotation"]["paper"].symmetries),
        PRESETS["rotation"],
        describe,
    ),
    "learning_rate": Experiment(
        "Beyond the paper: with smaller steps than the paper's generic networks of 100 layers train as well, just "
        "above the transition. U(1) networks are ahead of them at the paper's learning rate, and still at a tenth of "
        "it.",
        f"95 % interval over seeds of test accuracy: generic(2) at sigma_w = {criteria.EDGE}, learning rate "
        f"{criteria.SMALLER:g} minus 1e-3, above 0.15; mean at sigma_w > 1, U(1) minus generic(2), above 0.10 at 1e-3 "
        f"and above 0 at {criteria.SMALLER:g}. Written after trials with two seeds of generic(2) on digits",
        criteria.learning_rate,
        tuple(partial(plots.plot_rates, symmetry=each) for each in PRESETS["learning_rate"]["paper"].symmetries),
        PRESETS["learning_rate"],
        describe,
    ),
    "collapse": Experiment(
        "Beyond the paper: what symmetry protects. At the paper's learning rate networks of 100 layers lose most of"
        " their rank within 100 steps, generic ones down to one direction, U(1) and O(4) ones down to about k at "
        "the least. From there and with a tenth of the rate the latter learn, and generic ones do not, though they "
        "train at that rate from the start.",
        "of all networks at the switch: U(1) and O(4) have an effective rank below half of what it was, and above "
        "0.75 k (images that do not fill the orbit evenly make it less than k), generic(2) and generic(4) one below"
        " 1.5; the latter's test accuracy at the end below 0.20 in every network; 95 % interval over seeds of mean "
        "test accuracy over sigma_w: generic, smaller rate from the start minus after the larger one, above 0.30; "
        "after the larger rate, U(1) minus generic(2) and O(4) minus generic(4), above 0.30 (Welch's intervals). "
        "Written after trials with two and three seeds on digits",
        criteria.collapse,
        tuple(partial(plots.plot_collapse, symmetries=pair) for pair in criteria.PARTNERS.items()),
        PRESETS["collapse"],
        describe,
    ),
    "jacobian": Experiment(
        "Beyond the paper: whether a network of 100 layers learns, after too large steps or without them, is told by "
        "the Jacobian that it then has, whatever its symmetry; and that of an equivariant network does not get lost.",
        f"every network: test accuracy at the end below {criteria.LEARNED} where its squared Jacobian per unit at the "
        f"switch is below {criteria.LOST:g}, and above {criteria.LEARNED} where it is from {criteria.LEFT[0]:g} to "
        f"{criteria.LEFT[1]:g}; that Jacobian of every U(1) and O(4) network above {criteria.LOST:g}. Written after "
        "`collapse`, for seeds and weight scales that are not its",
        criteria.jacobian,
        (plots.plot_jacobian,),
        PRESETS["jacobian"],
        describe,
    ),
    "symmetric_start": Experiment(
        "Beyond the paper: at the paper's learning rate U(1) networks of 100 layers train because their layers stay "
        "equivariant, and not because of what they begin with. Generic(2) networks that begin as U(1) networks, with "
        "the same function, do no better than others: some dozens of steps make them asymmetric enough to lose the "
        "phase within 100 layers.",
        "95 % interval (Welch's) of mean test accuracy over sigma_w at learning rate 1e-3: U(1) minus generic(2) with "
        "U(1)'s initial weights above 0.10; generic(2) with U(1)'s initial weights minus with generic ones below 0.10",
        criteria.symmetric_start,
        (partial(plots.plot_symmetric_start, sigma_w=1.5, learning_rate=1e-3),),
        PRESETS["symmetric_start"],
        describe,
    ),
    "own_rate": Experiment(
        "Beyond the paper: Figure 3 above the transition, with the learning rate that suits each kind of network and "
        "sigma_w best. Generic networks gain by it, and equivariant ones are still ahead.",
        "95 % interval over seeds of mean test accuracy over sigma_w, at each with the learning rate that is best for "
        "the other seeds: generic(2) and generic(4), minus at 1e-3, above 0.10; U(1) minus generic(2) and O(4) minus "
        "generic(4) above 0 (Welch's intervals). Written after `learning_rate`, with three seeds of U(1) and "
        "generic(2) and one epoch",
        criteria.own_rate,
        tuple(partial(plots.plot_own_rate, symmetries=pair) for pair in criteria.PARTNERS.items()),
        PRESETS["own_rate"],
        describe,
    ),
}

EXPERIMENTS: dict[str, Experiment] = _DEEP | RECURRENT


def run_experiment(
    name: str,
    preset: str = "quick",
    *,
    out: str | Path | None = None,
    work: str | Path | None = None,
    data_dir: str | None = None,
    device: str = "cpu",
    executor: Executor | None = None,
    time_budget: float = math.inf,
    progress: Callable[[float, float], object] | None = None,
) -> xr.Dataset:
    """Run one figure of the paper, or go on with it.

    Parameters
    ----------
    name : of `EXPERIMENTS`
    preset : ``"quick"``, ``"cpu"``, ``"paper"``, or another of the experiment's `presets`: `training.presets` and
        `training.recurrent.presets` say what each is
    out : file for the table, see :func:`training.table.write`; None writes none
    work : folder for checkpoints, of no other run; None keeps none
        At the end, once the table is written, they are removed, and the folder unless something else is in it.
    data_dir : folder with IDX files, for presets on MNIST or Fashion-MNIST; None downloads them
    device : ``"cpu"``, ``"cuda"``, ``"cuda:i"`` or ``"auto"``
    executor : runs stacks side by side: threads, processes, or dask.distributed's ``client.get_executor()``
    time_budget : seconds after which every stack is saved and the run stops
    progress : called with the floating-point operations newly done, and with those in all

    Returns
    -------
    xarray.Dataset
        A table over ``row``: see :class:`training.job.Row` and :class:`training.recurrent.rows.Row`. Rows of `c`,
        `c_se` and `c_star`, the order parameter at initialisation, have seed -1. Trained weights, of experiments that
        keep them (of one shape, in the order of the settings), are variables of their own, of copy tasks named after
        the model, too, as in ``"U(1) RNN 32 layer.recurrent"``: see :func:`training.table.weights`.

    Raises
    ------
    FileNotFoundError
        When `data_dir` is no folder; as :func:`training.data.load`.
    Interrupted
        When the time is up; the same call goes on.
    ValueError
        For an unknown name or preset, a time budget that is no number or negative, a file `out` that cannot be written,
        and a folder `work` that another run is using; as :func:`training.data.load` and
        :func:`simulate.devices.as_device`.
    """
    _, size = find(name, preset)
    # a worker on a cluster has a working directory of its own
    data_dir = None if data_dir is None else str(Path(data_dir).absolute())
    if data_dir is not None and not Path(data_dir).is_dir():  # also where no image is asked for
        raise FileNotFoundError(f"data_dir must be a folder, got {data_dir}, which is none")
    if not isinstance(time_budget, float | int) or not time_budget >= 0.0:  # nor is NaN
        raise ValueError(f"time_budget must be >= 0, got {time_budget!r}")
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise ValueError(f"executor must be one of concurrent.futures, or like one, got {executor!r}")
    out, work = (None if path is None else Path(path) for path in (out, work))
    if out is not None:
        require_place(out)
    deadline, place = time.time() + time_budget, str(as_device(device))
    jobs = size.jobs(data_dir, place)
    step = None if progress is None else partial(_tell, progress, sum(job.work for job in jobs))
    with claimed(work) as own:
        own.where = {"device": place, **gpu(place), **provenance()}
        outcomes = run_all(jobs, work, executor, deadline, step)
        rows = size.table([row for outcome in outcomes for row in outcome.rows], place)
        weights = _joined(outcome.arrays for outcome in outcomes)
        result = as_dataset(rows, _told(name, preset) | size.images(data_dir) | own.where | own.calls, weights)
        if out is not None:
            write(result, out)
        own.remove()
    return result


def so_far(
    name: str,
    preset: str,
    work: str | Path,
    *,
    data_dir: str | None = None,
    weights: bool = False,
) -> xr.Dataset:
    """What a run of recurrent networks that was stopped has measured, up to the last test that all of it has made.

    Parameters
    ----------
    name, preset, data_dir : of :func:`run_experiment`
    work : the folder that the run has left, which stays as it is
    weights : whether to keep the weights that all have now, which may be some steps past the last test of all

    Returns
    -------
    xarray.Dataset
        A table as that of the whole run, whose attribute `unfinished` is the step that it ends with, and
        `weights_after` the steps that the weights of each model are from.

    Raises
    ------
    FileNotFoundError
        When there is no such folder, or not every stack has begun.
    ValueError
        For another experiment, or a run whose stacks have not all made a test; as :func:`run_experiment`.
    """
    _, size = find(name, preset)
    if name not in RECURRENT:
        raise ValueError(
            f"name must be of recurrent networks, one of {', '.join(RECURRENT)}, got {name!r}, which is of deep ones: "
            "they have a table at their end only"
        )
    if any(setting.is_grid for part in RECURRENT_SIZES[name][preset].parts for setting in part.settings):
        raise ValueError(f"name must be of networks without a grid, got {name!r}: vortices are counted at the end only")
    work = Path(work).absolute()
    options = {"preset": preset, "results": work.parent} | ({} if data_dir is None else {"data_dir": data_dir})
    if not work.is_dir():
        raise FileNotFoundError(
            f"no run of {name} --preset {preset} was stopped in {work.parent}: it was not started there, or has ended; "
            f"`{command_to_run(name, options)}` starts it, or tells of its end"
        )
    where = left(work)
    device = str(where.get("device", "cpu"))  # by which networks were shared out; none is needed here
    jobs = size.jobs(data_dir, device)
    files = [work / CHECKPOINT.format(number) for number in range(len(jobs))]
    begun, again = sum(file.is_file() for file in files), options | ({} if device == "cpu" else {"device": device})
    if begun < len(files):
        raise FileNotFoundError(
            f"of the {len(files)} stacks of networks of the run in {work} {begun} have begun, and a table needs all; "
            f"`{command_to_run(name, again)}` goes on with it"
        )
    stopped = [_restored(job, file) for job, file in zip(jobs, files, strict=True)]
    found = [training.outcome().rows for training in stopped]
    step = min(max((row.step for row in rows), default=0) for rows in found)
    if not step:
        raise ValueError(
            f"not all stacks of networks of the run in {work} have made a test, and a table ends with the last of all; "
            f"`{command_to_run(name, again)}` goes on with it"
        )
    rows = size.table([row for rows in found for row in rows if row.step <= step], device)
    told = _told(name, preset) | size.images(data_dir) | where | {"unfinished": step}
    if not weights:
        return as_dataset(rows, told)
    return as_dataset(rows, told | _steps(stopped), _joined(training.weights() for training in stopped))


def _restored(job: Any, checkpoint: Path) -> Any:
    """A job's training where it was stopped, on the CPU."""
    training = replace(job, device="cpu").start()
    training.restore(checkpoint)
    return training


def _steps(stopped: Sequence[Any]) -> dict[str, dict[str, list[int]]]:
    """After how many steps the weights of each model are."""
    found: dict[str, set[int]] = {}
    for training in stopped:
        for setting in training.settings:
            found.setdefault(setting.name, set()).add(training.step)
    return {"weights_after": {label: sorted(steps) for label, steps in found.items()}}


def _joined(stacks: Iterable[Mapping[str, np.ndarray]]) -> dict[str, np.ndarray]:
    """Arrays over the networks of each stack, as arrays over those of all stacks that have one of a name."""
    found: dict[str, list[np.ndarray]] = {}
    for arrays in stacks:
        for name, values in arrays.items():
            found.setdefault(name, []).append(values)
    return {name: np.concatenate(values) for name, values in found.items()}


def _told(name: str, preset: str) -> dict[str, object]:
    """What a result's first line says of the experiment."""
    experiment, size = find(name, preset)
    return {
        "experiment": name,
        "preset": preset,
        "claim": experiment.claim,
        "criterion": experiment.criterion,
        "settings": size.settings,
    }


def find(name: str, preset: str) -> tuple[Experiment, Size]:
    """An experiment and one of its sizes.

    Raises
    ------
    ValueError
        For an unknown name or preset.
    """
    if not isinstance(name, str) or name not in EXPERIMENTS:
        raise ValueError(f"name must be one of {', '.join(EXPERIMENTS)}, got {name!r}")
    presets = EXPERIMENTS[name].presets
    if not isinstance(preset, str) or preset not in presets:
        raise ValueError(f"preset must be one of {', '.join(presets)}, got {preset!r}")
    return EXPERIMENTS[name], presets[preset]


def _tell(progress: Callable[[float, float], object], total: float, done: float) -> None:
    progress(done, total)
