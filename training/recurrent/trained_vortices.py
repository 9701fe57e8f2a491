"""Vortices in the hidden state of a grid of complex numbers while it works on the copy task, Appendix D.3."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch

from .convolutional import ConvolutionalRNN
from .copy_task import CopyTask
from .sequence import SequenceModel
from .vortices import census

SEED = 0  # of the sequence that is looked at


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
    layer = model.layer
    if not isinstance(layer, ConvolutionalRNN) or layer.n_models is not None:
        raise ValueError(f"model must be a single one on a grid, got {type(layer).__name__}, {layer.n_models} models")
    x, _ = task.batch(0, 1, [seed], split="test")
    output, _ = layer(x[0])
    return layer.grid(output[0]).transpose(0, 1).numpy()


def counts(model: SequenceModel, task: CopyTask, seed: int = SEED) -> Iterator[tuple[str, int, int, float]]:
    """(quantity, channel, step of the sequence, value) of :func:`~training.recurrent.vortices.census`.

    Where a quantity does not exist (the share of vortices kept, without vortices) there is nothing.
    """
    layer = model.layer
    periodic = isinstance(layer, ConvolutionalRNN) and layer.padding == "circular"
    for channel, of_channel in enumerate(states(model, task, seed)):
        found = census(of_channel, periodic=periodic)
        for quantity in ("positive", "negative", "kept"):
            for time, value in enumerate(found[quantity].values):
                if np.isfinite(value):
                    yield quantity, channel, time, float(value)
