"""What a trained grid of complex numbers remembers on the copy task, and where: in its vortices, phases, magnitudes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr
from sklearn.linear_model import RidgeCV

from meanfield.checks import real_array, whole_number
from simulate.blocks import torch_seed

from .convolutional import ConvolutionalRNN
from .copy_task import BLANK, MEMORY, CopyTask
from .layer import affine
from .sequence import SequenceModel
from .vortices import winding_numbers

SEED = 0  # of the sequences
EXAMPLES = 64  # sequences over which recall is averaged
PENALTIES = np.logspace(-2.0, 4.0, 7)  # of the ridge regression, chosen by leave-one-out among the examples
TWISTS = ("alike", "smooth", "rough")


def decode(model: SequenceModel, task: CopyTask, examples: int = 2000, seed: int = SEED) -> xr.DataArray:
    """Share of the symbols that a linear decoder reads off from parts of the state, at the last step of the delay.

    The decoder is a ridge regression on each symbol at each of its positions, fitted to `examples` sequences and tested
    on a quarter as many others. What it finds is there to be read; what it does not find may be there in another form.

    Returns
    -------
    xarray.DataArray by `part` (winding numbers alone, phases, magnitudes) and `position` of the symbol
    """
    decoder, fresh = _fitted(model, task, examples, seed), _Delayed.of(model, task, examples // 4, seed)
    return xr.DataArray(
        [decoder.right(part, fresh).mean(0) for part in fresh.parts],
        {
            "part": list(fresh.parts),
            "position": ("position", np.arange(MEMORY), {"long_name": "position of the symbol"}),
        },
        ("part", "position"),
        attrs={"long_name": "share of symbols read off"},
    )


def after_twists(
    model: SequenceModel,
    task: CopyTask,
    angles,
    kinds: Sequence[str] = TWISTS,
    examples: int = 2000,
    seed: int = SEED,
) -> xr.DataArray:
    """Share of the symbols that is left after the phases were turned by a random field, right after the last symbol.

    The field is the same in all channels, and another for each sequence: one angle (``"alike"``), the longest waves of
    the grid in both directions (``"smooth"``), or an angle for every site (``"rough"``), Gaussian all. Magnitudes stay
    as they are at that moment. The first is a symmetry: as long as the input is zero it changes no magnitude and no
    winding number. What is left is read at the end of the delay by the decoders of :func:`decode`, which know
    undisturbed states only, and afterwards by the network's own readout.

    Parameters
    ----------
    angles : real array >= 0, their root mean square, radians
    kinds : of `TWISTS`
    examples : sequences that decoders are fitted to; a quarter as many others are disturbed

    Returns
    -------
    xarray.DataArray by `twist`, `angle` and `part` (winding numbers, phases, magnitudes, readout)
    """
    turns = real_array("angles", angles, minimum=0.0).ravel()
    if not kinds or not set(kinds) <= set(TWISTS):
        raise ValueError(f"kinds must be some of {', '.join(TWISTS)}, got {kinds!r}")
    decoder, shares = _fitted(model, task, examples, seed), []
    for kind in kinds:
        for angle in turns:
            turn = float(angle) * field_of_angles(kind, examples // 4, single_grid(model).side, seed)
            found = _Delayed.of(model, task, examples // 4, seed, turn=turn)
            shares.append([*(decoder.right(part, found).mean() for part in found.parts), found.recalled])
    return xr.DataArray(
        np.reshape(shares, (len(kinds), turns.size, -1)),
        {
            "twist": list(kinds),
            "angle": ("angle", turns, {"long_name": "turn of the phases, root mean square", "units": "rad"}),
            "part": [*found.parts, "readout"],
        },
        ("twist", "angle", "part"),
        attrs={"long_name": "share of symbols left"},
    )


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
    turns = real_array("angles", angles).ravel()
    same = torch.ones(EXAMPLES, 1, 1)
    shares = [_Delayed.of(model, task, EXAMPLES, seed, turn=float(turn) * same).recalled for turn in turns]
    return xr.DataArray(
        shares,
        {"angle": ("angle", turns, {"long_name": "turn of all phases", "units": "rad"})},
        "angle",
        attrs={"long_name": "share of symbols recalled"},
    )


def single_grid(model: SequenceModel) -> ConvolutionalRNN:
    """The grid of a model that is no stack.

    Raises
    ------
    ValueError
        When it is one, or has no grid.
    """
    layer = model.layer
    if not isinstance(layer, ConvolutionalRNN) or layer.n_models is not None:
        raise ValueError(f"model must be a single one on a grid, got {type(layer).__name__}, {layer.n_models} models")
    return layer


@dataclass(frozen=True)
class _Delayed:
    """Sequences at the end of their delay.

    Attributes
    ----------
    parts : of the states one step before the go token, (sequences, features)
    symbols : (sequences, positions)
    recalled : share of them that the network names afterwards
    """

    parts: dict[str, np.ndarray]
    symbols: np.ndarray
    recalled: float

    @classmethod
    @torch.no_grad()
    def of(
        cls,
        model: SequenceModel,
        task: CopyTask,
        count: int,
        seed: int,
        split: str = "test",
        turn: torch.Tensor | None = None,
    ) -> _Delayed:
        """Run `count` of them; `turn` (count, side, side) is added to the phases after the last symbol."""
        layer, go = single_grid(model), MEMORY + task.max_delay
        x, targets = (part[0] for part in task.batch(0, count, [seed], split=split))
        asked, last, answers = targets[:, MEMORY:], [], []
        # a layer keeps the states of all steps, which are many for all sequences at once
        for number, some in enumerate(x.split(EXAMPLES)):
            _, state = layer(some[:, :MEMORY])
            if turn is not None:
                state = _turned(layer, state, turn[number * EXAMPLES :][: len(some)])
            during, state = layer(some[:, MEMORY:go], state)
            last.append(state[0])
            outputs = torch.cat([during, layer(some[:, go:], state)[0]], 1)
            answers.append(affine(outputs, model.readout_weight, model.readout_bias).argmax(-1))
        states = layer.grid(torch.cat(last)).numpy()
        phase = np.angle(states)
        parts = {
            "winding numbers": winding_numbers(phase, periodic=layer.padding == "circular"),
            "phases": np.stack([np.cos(phase), np.sin(phase)], 1),
            "magnitudes": np.abs(states),
        }
        right = (torch.cat(answers) == asked)[asked != BLANK]
        features = {name: part.reshape(count, -1).astype(float) for name, part in parts.items()}
        return cls(features, x[:, :MEMORY].argmax(-1).numpy(), right.double().mean().item())


@dataclass(frozen=True)
class _Decoder:
    """Ridge regressions, one for each part of the states."""

    symbols: np.ndarray
    regressions: dict[str, RidgeCV]

    def right(self, part: str, found: _Delayed) -> np.ndarray:
        """Whether a symbol is named correctly, (sequences, positions)."""
        guesses = self.regressions[part].predict(found.parts[part])
        return self.symbols[guesses.reshape(*found.symbols.shape, -1).argmax(-1)] == found.symbols


def _fitted(model: SequenceModel, task: CopyTask, examples: int, seed: int) -> _Decoder:
    known = _Delayed.of(model, task, whole_number("examples", examples, 8), seed, "train")
    symbols = np.unique(known.symbols)
    one_hot = (known.symbols[..., None] == symbols).reshape(examples, -1).astype(float)
    fits = {
        part: RidgeCV(PENALTIES, alpha_per_target=True).fit(features, one_hot) for part, features in known.parts.items()
    }
    return _Decoder(symbols, fits)


def field_of_angles(kind: str, count: int, side: int, seed: int) -> torch.Tensor:
    """Gaussian angles of variance 1, (count, side, side) or constant along the last two.

    Raises
    ------
    ValueError
        For an unknown kind, or a seed that :func:`simulate.blocks.torch_seed` refuses.
    """
    if kind not in TWISTS:
        raise ValueError(f"kind must be one of {', '.join(map(repr, TWISTS))}, got {kind!r}")
    source = torch.Generator().manual_seed(torch_seed("seed", seed))
    if kind == "alike":
        return torch.randn(count, 1, 1, generator=source)
    if kind == "rough":
        return torch.randn(count, side, side, generator=source)
    along = 2.0 * torch.pi * torch.arange(side) / side
    waves = torch.stack([along.cos(), along.sin()])
    down, across = torch.randn(2, count, 2, generator=source) @ waves / 2.0**0.5
    return down[:, :, None] + across[:, None, :]


def _turned(layer: ConvolutionalRNN, state: torch.Tensor, turn: torch.Tensor) -> torch.Tensor:
    """A state (1, batch, features) with angles (batch, side, side) added to its phases."""
    turned = layer.grid(state) * torch.polar(torch.ones_like(turn), turn)[:, None]
    return torch.stack([turned.real, turned.imag], -4).flatten(-4)
