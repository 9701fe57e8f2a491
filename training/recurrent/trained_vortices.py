"""A trained grid of complex numbers at work on the copy task, Appendix D.3: its states, its vortices, its memory."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import torch
import xarray as xr
from sklearn.linear_model import RidgeCV

from meanfield.checks import real_array, whole_number

from ..table import frame, weights
from .convolutional import ConvolutionalRNN
from .copy_task import BLANK, MEMORY, TOKENS, CopyTask
from .layer import affine
from .rows import NOWHERE
from .sequence import SequenceModel
from .settings import GRID, Setting
from .vortices import census, winding_numbers

SEED = 0  # of the sequence that is looked at
EXAMPLES = 64  # sequences over which recall is averaged
PENALTIES = np.logspace(-2.0, 4.0, 7)  # of the ridge regression, chosen by leave-one-out among the examples


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
    layer = _grid(model)
    x, _ = task.batch(0, 1, [seed], split="test")
    output, _ = layer(x[0])
    return layer.grid(output[0]).transpose(0, 1).numpy()


def counts(model: SequenceModel, task: CopyTask, seed: int = SEED) -> Iterator[tuple[str, int, int, float]]:
    """(quantity, channel, step of the sequence, value): of :func:`~training.recurrent.vortices.census` and `decode`.

    Where a quantity does not exist (the share of vortices kept, without vortices) there is nothing. `read_off`, the
    share of symbols that the winding numbers tell at the end of the delay, is of all channels together.
    """
    periodic = _grid(model).padding == "circular"
    for channel, of_channel in enumerate(states(model, task, seed)):
        found = census(of_channel, periodic=periodic)
        for quantity in ("positive", "negative", "kept", "chance"):
            for time, value in enumerate(found[quantity].values):
                if np.isfinite(value):
                    yield quantity, channel, time, float(value)
    read_off = decode(model, task, seed=seed).sel(part="winding numbers").mean()
    yield "read_off", NOWHERE, MEMORY + task.max_delay - 1, float(read_off)


@torch.no_grad()
def decode(model: SequenceModel, task: CopyTask, examples: int = 2000, seed: int = SEED) -> xr.DataArray:
    """Share of the symbols that a linear decoder reads off from parts of the state, at the last step of the delay.

    The decoder is a ridge regression on each symbol at each of its positions, fitted to `examples` sequences and tested
    on a quarter as many others. What it finds is there to be read; what it does not find may be there in another form.

    Returns
    -------
    xarray.DataArray by `part` (winding numbers alone, phases, magnitudes) and `position` of the symbol
    """
    whole_number("examples", examples, 8)
    (known, told), (fresh, asked) = (
        _at_the_end_of_the_delay(model, task, count, seed, split)
        for count, split in ((examples, "train"), (examples // 4, "test"))
    )
    symbols = np.unique(told)
    one_hot = (told[..., None] == symbols).reshape(examples, -1).astype(float)
    shares = []
    for part, features in known.items():
        guesses = RidgeCV(PENALTIES, alpha_per_target=True).fit(features, one_hot).predict(fresh[part])
        shares.append((symbols[guesses.reshape(*asked.shape, -1).argmax(-1)] == asked).mean(0))
    return xr.DataArray(
        shares,
        {"part": list(known), "position": ("position", np.arange(MEMORY), {"long_name": "position of the symbol"})},
        ("part", "position"),
        attrs={"long_name": "share of symbols read off"},
    )


def _at_the_end_of_the_delay(
    model: SequenceModel, task: CopyTask, count: int, seed: int, split: str
) -> tuple[dict[str, np.ndarray], np.ndarray]:
    """Parts of the states one step before the go token, (sequences, features), and symbols (sequences, positions)."""
    layer = _grid(model)
    x, _ = (part[0] for part in task.batch(0, count, [seed], split=split))
    # a layer keeps the states of all steps, which are many for all sequences at once
    last = torch.cat([layer(some[:, : MEMORY + task.max_delay])[1][0] for some in x.split(EXAMPLES)])
    states = layer.grid(last).numpy()
    phase = np.angle(states)
    parts = {
        "winding numbers": winding_numbers(phase, periodic=layer.padding == "circular"),
        "phases": np.stack([np.cos(phase), np.sin(phase)], 1),
        "magnitudes": np.abs(states),
    }
    return {name: part.reshape(count, -1).astype(float) for name, part in parts.items()}, x[:, :MEMORY].argmax(
        -1
    ).numpy()


def _grid(model: SequenceModel) -> ConvolutionalRNN:
    layer = model.layer
    if not isinstance(layer, ConvolutionalRNN) or layer.n_models is not None:
        raise ValueError(f"model must be a single one on a grid, got {type(layer).__name__}, {layer.n_models} models")
    return layer


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
