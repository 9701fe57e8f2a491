"""A trained grid of complex numbers at work on the copy task, Appendix D.3: its states and its vortices."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr

from ..table import frame, weights
from .copy_task import MEMORY, TOKENS, CopyTask
from .rows import NOWHERE
from .sequence import SequenceModel
from .settings import GRID, Setting
from .vortex_memory import SEED, decode, single_grid
from .vortices import census


def trained_model(result: xr.Dataset, seed: int | None = None) -> tuple[SequenceModel, CopyTask]:
    """The model of one seed, of the first if left out, and the task of a result of Figure 12.

    Raises
    ------
    ValueError
        When the result has no trained weights of a grid, or none of that seed.
    """
    kept = weights(result)
    if "layer.kernel" not in kept:
        raise ValueError(f"result must have trained weights of a grid, got those of {', '.join(kept) or 'nothing'}")
    rows, (part,) = frame(result), result.attrs["settings"]["parts"]
    size, seeds = int(rows.hidden_size.iloc[0]), rows.seed.unique().tolist()
    if seed is not None and seed not in seeds:
        raise ValueError(f"seed must be one of {', '.join(map(str, seeds))}, got {seed!r}")
    if len(kept["layer.kernel"]) != len(seeds):
        raise ValueError(f"result must have weights of its {len(seeds)} seeds, got {len(kept['layer.kernel'])} models")
    number = 0 if seed is None else seeds.index(seed)
    model = Setting(GRID, size, channels=kept["layer.kernel"].shape[2]).build(TOKENS, every_step=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(kept[name][number]))
    return model, CopyTask(part["max_delay"], part["fixed_delay"])


@torch.no_grad()
def states(model: SequenceModel, task: CopyTask, seed: int = SEED) -> np.ndarray:
    """Hidden states during one test sequence.

    Parameters
    ----------
    model : a single one, with a :class:`ConvolutionalRNN`
    seed : of the sequence

    Returns
    -------
    complex array (channels, steps, rows, columns)

    Raises
    ------
    ValueError
        When the model has no grid, or is a stack.
    """
    layer = single_grid(model)
    x, _ = task.batch(0, 1, [seed], split="test")
    output, _ = layer(x[0])
    return layer.grid(output[0]).transpose(0, 1).numpy()


def counts(model: SequenceModel, task: CopyTask, seed: int = SEED) -> Iterator[tuple[str, int, int, float]]:
    """(quantity, channel, step of the sequence, value): of :func:`~training.recurrent.vortices.census` and `decode`.

    Where a quantity does not exist (the share of vortices kept, without vortices) there is nothing. `read_off`, the
    share of symbols that the winding numbers tell at the end of the delay, is of all channels together.
    """
    periodic = single_grid(model).padding == "circular"
    for channel, of_channel in enumerate(states(model, task, seed)):
        found = census(of_channel, periodic=periodic)
        for quantity in ("positive", "negative", "kept", "chance"):
            for time, value in enumerate(found[quantity].values):
                if np.isfinite(value):
                    yield quantity, channel, time, float(value)
    read_off = decode(model, task, seed=seed).sel(part="winding numbers").mean()
    yield "read_off", NOWHERE, MEMORY + task.max_delay - 1, float(read_off)
