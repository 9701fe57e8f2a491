"""The recurrent experiments: the copy task (Figure 6, Table 2), permuted images (Figure 7, Table 3), vortices (Figures
12 and 13)."""

from __future__ import annotations

from functools import partial

import xarray as xr
from matplotlib.axes import Axes

from ..experiment import Experiment
from ..table import frame
from . import criteria, plots
from .comparison import comparison
from .presets import PRESETS, describe
from .rows import NOWHERE, by_model
from .selection import select, summarise


def plot_copy(result: xr.Dataset, ax: Axes, part: int = 0) -> Axes:
    """Cross-entropy of every seed with the settings that validation selects; dotted, without memory. As Figure 6.

    `part` counts the result's tasks, from 0.
    """
    table = frame(result)
    task = list(table.task.unique())[part]
    chance = result.attrs["settings"]["parts"][part]["loss_without_memory"]
    plots.seeds(select(by_model(table, task)), ax, chance=chance)
    return _titled(ax, task)


def plot_accuracy(result: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy of every seed."""
    table = frame(result)
    (task,) = table.task.unique()
    return _titled(plots.seeds(select(by_model(table, task)), ax, "test_accuracy"), task)


def plot_parameters(result: xr.Dataset, ax: Axes) -> Axes:
    """Accuracy against the number of parameters, as Figure 7."""
    table = frame(result)
    (task,) = table.task.unique()
    ax = plots.versus_parameters(summarise(select(by_model(table, task))), ax)
    ax.set_ylabel("test accuracy")
    return _titled(ax, task)


def plot_vortices(result: xr.Dataset, ax: Axes, quantity: str = "positive") -> Axes:
    """Vortices of each channel along a test sequence, after training (lines) and before (dotted)."""
    table = frame(result)
    own = table[(table.quantity == quantity) & (table.channel != NOWHERE)]
    for (channel, step), counts in own.groupby(["channel", "step"]):
        trained = step == own.step.max()
        label = f"channel {channel}" if trained else None
        ax.plot(counts.time, counts.value, color=f"C{channel}", ls="-" if trained else ":", lw=1.0, label=label)
    ax.set_xlabel("step of the sequence")
    ax.set_ylabel({"positive": "vortices of winding +1", "kept": "share still there one step later"}[quantity])
    ax.legend(frameon=False, fontsize="small")
    return _titled(ax, str(own.task.iloc[0]))


def _titled(ax: Axes, task: str) -> Axes:
    ax.set_title(task, fontsize="medium")
    return ax


RECURRENT: dict[str, Experiment] = {
    "figure6": Experiment(
        "On the copy task U(1) RNNs and GRUs reach lower losses than ordinary ones, even larger ones.",
        "95 % interval over seeds (Welch's) of log10 of the test cross-entropy, RNN 32 and RNN 64 minus U(1) RNN 32, "
        "GRU 32 and GRU 64 minus U(1) GRU 32, above 0, with the learning rates that validation selects. Written after "
        "a first run of three seeds whose differences were paired by the seeds' numbers, which means nothing and "
        "decided some of the verdicts",
        criteria.lower_loss,
        (partial(plot_copy, part=0), partial(plot_copy, part=1)),
        PRESETS["figure6"],
        describe,
        comparison,
    ),
    "copy200": Experiment(
        "With the longest delays the U(1) GRU is the only model of which a seed solves the copy task (test "
        "cross-entropy below 1e-4).",
        "at least one seed of U(1) GRU 32 solves it, and none of any other model; open as long as none does within "
        "fewer batches than the paper's million",
        criteria.only_one_solves,
        (plot_copy,),
        PRESETS["copy200"],
        describe,
        comparison,
    ),
    "figure7": Experiment(
        "On permuted sequential MNIST equivariant models are more accurate than ordinary ones, of the same hidden size "
        "and of any number of parameters.",
        "95 % interval over seeds (Welch's) of test accuracy above 0: O(k) RNN minus RNN and U(1) GRU minus GRU at "
        "each hidden size, and minus the smallest RNN or GRU with no fewer parameters (the latter asked after a first "
        "run)",
        criteria.more_accurate,
        (plot_accuracy, plot_parameters),
        PRESETS["figure7"],
        describe,
        comparison,
    ),
    "figure12": Experiment(
        "A U(1) RNN on a grid learns the copy task with a fixed delay, and vortices that appear while it stores the "
        "symbols outlast the delay.",
        "test cross-entropy below 1e-4 (open with fewer batches than the paper's million); at the end of the delay a "
        "linear decoder reads more of the symbols off from winding numbers alone than before training; over the delay, "
        "in every channel, more vortices are kept from step to step than would be by chance at their density; and on "
        "the mean of the channels more beyond chance than before training. The paper shows one model, which leaves no "
        "interval. Written after runs with seed 0 and two criteria that an untrained grid could meet: this one is for "
        "another seed",
        criteria.lasting_pairs,
        (plot_vortices, partial(plot_vortices, quantity="kept")),
        PRESETS["figure12"],
        describe,
    ),
}
