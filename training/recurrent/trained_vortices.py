"""A trained grid of complex numbers at work on the copy task, Appendix D.3: its states, its vortices, its memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr

from meanfield.checks import real_array

from ..table import frame, weights
from .convolutional import ConvolutionalRNN
from .copy_task import BLANK, MEMORY, TOKENS, CopyTask
from .layer import affine
from .sequence import SequenceModel
from .settings import GRID, Setting
from .vortices import census

SEED = 0  # of the sequence that is looked at
EXAMPLES = 64  # sequences over which recall is averaged


def trained_model(result: xr.Dataset) -> tuple[SequenceModel, CopyTask]:
    """The model and the task of a result of Figure 12.

    Raises
    ------
    ValueError
        When the result has no trained weights of a grid.
    """
    kept = weights(result)
    if "layer.kernel" not in kept:
        raise ValueError(f"result must have trained weights of a grid, got those of {', '.join(kept) or 'nothing'}")
    size, (part,) = int(frame(result).hidden_size.iloc[0]), result.attrs["settings"]["parts"]
    model = Setting(GRID, size, channels=kept["layer.kernel"].shape[2]).build(TOKENS, every_step=True)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            parameter.copy_(torch.from_numpy(kept[name][0]))
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


@torch.no_grad()
def recall(model: SequenceModel, task: CopyTask, angles, seed: int = SEED) -> xr.DataArray:
    """Share of the symbols that are recalled when all phases are turned by one angle after the last symbol.

    The turn leaves every magnitude and every vortex where it is, and by Eq. (60) each later state is turned alike until
    the next input that is not zero. Only the readout, which has no symmetry, and the input can tell.

    Parameters
    ----------
    angles : real array, radians

    Returns
    -------
    xarray.DataArray by `angle`
    """
    layer = model.layer
    turns = real_array("angles", angles).ravel()
    x, targets = (part[0] for part in task.batch(0, EXAMPLES, [seed], split="test"))
    _, last = layer(x[:, :MEMORY])
    asked, shares = targets[:, MEMORY:] != BLANK, []
    for turn in turns:
        real, imaginary = layer.capsules(last).unbind(-2)
        turned = torch.complex(real, imaginary) * complex(np.exp(1j * turn))
        output, _ = layer(x[:, MEMORY:], torch.stack([turned.real, turned.imag], -2).flatten(-2))
        answers = affine(output, model.readout_weight, model.readout_bias).argmax(-1)
        shares.append((answers == targets[:, MEMORY:])[asked].double().mean().item())
    return xr.DataArray(
        shares,
        {"angle": ("angle", turns, {"long_name": "turn of all phases", "units": "rad"})},
        "angle",
        attrs={"long_name": "share of symbols recalled"},
    )
