"""What a silence leaves of what a network has stored: how its states after some blanks depend on those before."""

from __future__ import annotations

import math

import torch
import xarray as xr

from meanfield.checks import whole_number

from ..table import frame, weights
from .copy_task import BLANK, MEMORY, TOKENS, CopyTask
from .presets import PRESETS
from .sequence import SequenceModel
from .stacking import stack

KEPT = math.exp(-1.0)  # what is left of a difference that counts as kept
SEED = 0  # of the symbols


def silence_gains(models: SequenceModel, blanks: int, *, examples: int = 16, seed: int = SEED) -> xr.DataArray:
    """Singular values of d h^{t+T} / d h^t over T blanks, for states h^t right after ten symbols.

    By how much differences of two states grow or shrink over the silence, direction by direction. An equivariant layer
    whose blank has no input weights keeps what moves states along the group's orbit: for U(1) one of its directions,
    i h, becomes i h' and changes as the state does.

    Parameters
    ----------
    models : a stack, trained on the copy task or not
    blanks : T
    examples : sequences of symbols, test examples of the copy task
    seed : of these

    Returns
    -------
    xarray.DataArray (model, example, direction), the largest first

    Raises
    ------
    ValueError
        For a single model, and for numbers that are no integers >= 1.
    """
    layer, count = models.layer, models.layer.n_models
    if count is None:
        raise ValueError("models must be a stack, got a single one; stack([model]) makes one")
    blanks, examples = whole_number("blanks", blanks, 1), whole_number("examples", examples, 1)
    x, _ = CopyTask(0).batch(0, examples, [seed], layer.encoder.device, "test")
    with torch.no_grad():
        _, start = layer(x[0, :, :MEMORY].to(layer.encoder.dtype).expand(count, -1, -1, -1))
    # a copy of each state for each component of its end, whose gradient is a row of the Jacobian
    features = layer.features
    before = start.repeat_interleave(features, 1).requires_grad_()
    silent = start.new_zeros(count, examples * features, blanks, TOKENS)
    silent[..., BLANK] = 1.0
    _, after = layer(silent, before)
    rows = torch.eye(features).to(after).repeat(examples, 1).expand(count, -1, -1)
    (jacobian,) = torch.autograd.grad(after, before, rows)
    gains = torch.linalg.svdvals(jacobian.unflatten(1, (examples, features)))
    long_name = f"singular values of $\\partial h^{{t+{blanks}}}/\\partial h^t$ over blanks"
    return xr.DataArray(gains.cpu().numpy(), dims=("model", "example", "direction"), attrs={"long_name": long_name})


def directions_kept(gains: xr.DataArray, share: float = KEPT) -> xr.DataArray:
    """How many directions keep more than a `share` of a difference, (model,), the mean over examples."""
    kept = (gains > share).sum("direction").mean("example")
    return kept.assign_attrs(long_name=f"directions that keep more than {share:.2g} of a difference")


def trained_models(result: xr.Dataset, label: str) -> SequenceModel:
    """The stack of all settings of a model, in the preset's order, from a result that has its trained weights.

    Of most presets these are its seeds; of those with several learning rates or starts of a model all of them.

    Parameters
    ----------
    label : the model's name in the result, as ``"U(1) RNN 32"``

    Raises
    ------
    ValueError
        When the result has no such model, or no weights of it.
    """
    known = frame(result).model.unique().tolist()
    if label not in known:
        raise ValueError(f"label must be one of {', '.join(known)}, got {label!r}")
    prefix = f"{label} "
    kept = {name.removeprefix(prefix): each for name, each in weights(result).items() if name.startswith(prefix)}
    if not kept:
        raise ValueError(f"result must have trained weights of {label}, got none: this run did not keep them")
    parts = PRESETS[result.attrs["experiment"]][result.attrs["preset"]].parts
    models = stack(
        [each.build(TOKENS, every_step=True) for part in parts for each in part.settings if each.name == label]
    )
    with torch.no_grad():
        for name, parameter in models.named_parameters():
            parameter.copy_(torch.from_numpy(kept[name]))
    return models
