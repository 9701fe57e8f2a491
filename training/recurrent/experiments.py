"""The recurrent experiments: the copy task (Figure 6, Table 2), permuted images (Figure 7, Table 3), vortices (Figures
12 and 13)."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import partial

import xarray as xr
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from ..data import CLASSES
from ..experiment import Experiment, Panel
from ..table import frame
from . import criteria, plots
from .comparison import comparison
from .presets import PRESETS, describe
from .rows import NOWHERE, by_encoder, by_model
from .selection import left_out, select, summarise


def plot_copy(result: xr.Dataset, ax: Axes, part: int = 0) -> Axes:
    """Cross-entropy of every seed with the settings that validation selects; dotted, without memory. As Figure 6.

    `part` counts the result's tasks, from 0. Models of which no setting can be selected are named below.
    """
    table = frame(result)
    task = list(table.task.unique())[part]
    chance = result.attrs["settings"]["parts"][part]["loss_without_memory"]
    every = by_model(table, task)
    chosen = select(every)
    plots.seeds(chosen, ax, chance=chance)
    if missing := left_out(every, chosen):
        ax.set_xlabel(f"left out, as seeds diverged: {', '.join(missing)}")
    unfinished = result.attrs.get("unfinished")
    return _titled(ax, task if unfinished is None else f"{task}, after {unfinished:,} batches")


def plot_readings(result: xr.Dataset, ax: Axes, part: int = 0) -> Axes:
    """Cross-entropy of every seed with each of its initial input weights; dotted, without memory."""
    told = result.attrs["settings"]["parts"][part]
    every = by_encoder(frame(result), told["task"])
    return _titled(plots.seeds(every, ax, chance=told["loss_without_memory"]), told["task"])


def copy_panels(result: xr.Dataset, plot: Callable[..., Axes] = plot_copy) -> tuple[Panel, ...]:
    """One for each of the result's tasks, as Figure 6 has two."""
    return tuple(partial(plot, part=part) for part in range(len(result.attrs["settings"]["parts"])))


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


def plot_bursts(result: xr.Dataset, ax: Axes) -> Axes:
    """Training loss of every seed, the mean of each epoch; guessing, dotted. Where there is no number, no dot."""
    table = frame(result).query("quantity == 'train_loss'")
    (task,) = table.task.unique()
    for color, ((model, activation), own) in enumerate(table.groupby(["model", "activation"], sort=False)):
        for number, (_, of_seed) in enumerate(own.groupby("seed")):
            epochs = range(1, len(of_seed) + 1)
            label = None if number else f"{model}, {activation}"
            ax.semilogy(epochs, of_seed.value, ".-", color=f"C{color}", lw=0.8, label=label)
    ax.axhline(math.log(CLASSES), color="0.6", ls=":", lw=0.8)
    ax.xaxis.set_major_locator(MaxNLocator(integer=True))
    ax.set_xlabel("epoch")
    ax.set_ylabel("training cross-entropy [nats]")
    ax.legend(frameon=False, fontsize="small")
    return _titled(ax, task)


def plot_vortices(result: xr.Dataset, ax: Axes, quantity: str = "positive") -> Axes:
    """Vortices along a test sequence, means over channels, of each seed's model: after training, and dotted before."""
    table = frame(result)
    own = table[(table.quantity == quantity) & (table.channel != NOWHERE)]
    for color, (seed, of_seed) in enumerate(own.groupby("seed")):
        for step, counts in of_seed.groupby("step"):
            trained, mean = step == own.step.max(), counts.groupby("time").value.mean()
            label = f"seed {seed}" if trained else None
            ax.plot(mean.index, mean, color=f"C{color}", ls="-" if trained else ":", lw=1.0, label=label)
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
        copy_panels,
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
    "symmetry": Experiment(
        "Beyond the paper: on its shorter copy task a U(1) RNN reaches lower losses than a generic(2) RNN, which has "
        "the same capsules and nonlinearity, more weights, and begins as the same function, each with the best of "
        "several learning rates.",
        "95 % interval over seeds (Welch's) of log10 of the test cross-entropy, generic(2) minus U(1), above 0, with "
        "the learning rates that validation selects. Written after `figure6 --preset short`, where both had U(1)'s "
        "rate and four of ten generic(2) RNNs ended without memory, for other seeds",
        criteria.controls,
        (plot_copy,),
        PRESETS["symmetry"],
        describe,
        comparison,
    ),
    "gru_symmetry": Experiment(
        "Beyond the paper: on the copy task with the longest delays a U(1) GRU reaches lower losses than a generic(2) "
        "GRU, which has the same capsules, gates and nonlinearity, more weights, and begins as the same function, each "
        "with the best of several learning rates. (Table 1 has uniform recurrent weights, these begin with identity.)",
        "95 % interval over seeds (Welch's) of log10 of the test cross-entropy, generic(2) minus U(1), above 0, with "
        "the learning rates that validation selects. Written after the runs of `copy200`, where U(1) GRUs are far "
        "ahead of ordinary ones, for other seeds",
        criteria.controls,
        (plot_copy,),
        PRESETS["gru_symmetry"],
        describe,
        comparison,
    ),
    "blank": Experiment(
        "On copy tasks U(1) models gain by the rule that the blank token's input weights are zero and stay so, which "
        "leaves their symmetry exact over the delay; ordinary models do not (Appendix D.2.2).",
        "95 % interval over seeds (Welch's) of log10 of the test cross-entropy, blank trained minus blank at zero: "
        "above 0 of U(1) RNN 32 and U(1) GRU 32, between -0.15 and 0.15 of RNN 32 and GRU 32",
        criteria.blank_rule,
        copy_panels,
        PRESETS["blank"],
        describe,
        comparison,
    ),
    "low_variance": Experiment(
        "Whether the N(0, 0.001) of the low-variance input weights (Appendix D.2.2) tells their variance or their "
        "standard deviation makes little difference to what models learn of copy tasks. (The paper does not say "
        "which.)",
        "95 % interval over seeds (Welch's) of log10 of the test cross-entropy, deviation minus variance of 0.001: "
        "between -0.15 and 0.15. Written after 10,000 batches of one U(1) RNN, for other seeds",
        criteria.readings,
        partial(copy_panels, plot=plot_readings),
        PRESETS["low_variance"],
        describe,
    ),
    "image_symmetry": Experiment(
        "Beyond the paper: on permuted images equivariant models are more accurate than generic ones, which have the "
        "same capsules and nonlinearity, more weights, and begin as the same function, each with the best of several "
        "learning rates.",
        "95 % interval over seeds (Welch's) of test accuracy, O(k) RNN minus generic(k) RNN and U(1) GRU minus "
        "generic(2) GRU, above 0, with the learning rates that validation selects",
        criteria.accurate_by_symmetry,
        (plot_accuracy,),
        PRESETS["image_symmetry"],
        describe,
        comparison,
    ),
    "bursts": Experiment(
        "Beyond the paper: with its settings an ordinary RNN on permuted MNIST, which has ReLUs, has bursts of its "
        "training loss, as training makes its recurrent weights stretch states and nothing bounds these; with tanh, "
        "which does, and all else the same it has none.",
        "the mean training loss of an epoch, largest of a run: above 10 (guessing: 2.3) in at least one seed with "
        "ReLUs, in none with tanh; and with ReLUs the spectral radius after training, to the power of a sequence's "
        "steps, above 1e3 in every seed. Written after the three seeds of `figure7 --preset short`, in one of which "
        "the radius had grown to 1.086 when the first burst came, for other seeds",
        criteria.bursts,
        (plot_bursts,),
        PRESETS["bursts"],
        describe,
    ),
    "figure12": Experiment(
        "A U(1) RNN on a grid learns the copy task with a fixed delay, and vortices that appear while it stores the "
        "symbols outlast the delay.",
        "test cross-entropy of every seed below 1e-4 (open with fewer batches than the paper's million); 95 % interval "
        "over seeds above 0 of: the share of symbols that a linear decoder reads off from winding numbers alone at the "
        "end of the delay, minus that before training; the share of vortices kept from step to step over the delay, "
        "minus that by chance at their density, in the channel where it is least; and on the mean of the channels, "
        "minus that before training. Of a single model, as the paper's, the number itself. Written after single runs "
        "of seeds 0 and 1, for others",
        criteria.lasting_pairs,
        (plot_vortices, partial(plot_vortices, quantity="kept")),
        PRESETS["figure12"],
        describe,
    ),
}
