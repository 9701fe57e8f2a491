"""What the recurrent layers share, which stand where `nn.RNN` or `nn.GRU` would.

All are called like those: ``output, last = layer(x, hx)``. Their features are the real numbers of the hidden state,
component-major: [Re h; Im h] for U(1) as in Eq. (62), the first components of all capsules, then the second ones, ...
for O(k). :meth:`Recurrent.capsules` gives the components an axis of their own.

A stack of models of one shape (`stack`) has a leading axis (models,) in all parameters, in `output` and in `last`.

What they share with those: weights are tied, the same at every step; `output` and `last` may be changed in place (not
a stack's, which keeps its states), x may be of one sequence without a batch, a batch may be empty. What they do not:
`batch_first` is True unless it is said, the third argument is the symmetry or the nonlinearity (a GRU's candidate has a
ReLU unless it is said), there is one layer in one direction, and there is no `num_layers`, `bidirectional`, `dropout`,
`device` or `dtype` to give (``layer.to(...)`` moves it). There are no packed sequences, no gradients of gradients
(asking for them is an error), and no `torch.func` (grad, vmap, jvp), forward-mode derivatives, batched gradients or
`torch.jit` through the loop over time, whose backward pass is written by hand. Under `torch.autocast` they compute in
the type of their parameters. `torch.compile` and `torch.export` take them, for all lengths at once: to these the loop
over time is one operation (:mod:`training.recurrent.opaque`).

The loop over time is Python's, which on a CPU costs little next to the products. On an NVIDIA GPU it is one kernel for
float32 numbers and 16, 32 or 64 units, without gates also 128, which are ordinary ones or capsules of two components
that the weights mix, if Triton is there, as it is with PyTorch for CUDA (:mod:`training.recurrent.fused`). All else
launches some kernels at every step, as a loop of one's own would, unless a CUDA graph holds them, as in
:class:`training.recurrent.Training`. A compiled layer launches them, too.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from torch import nn

from meanfield.checks import whole_number
from simulate.setup import flag

from .initial import check_schemes, encoder_
from .steps import portions


def affine(x: torch.Tensor, weight: torch.Tensor, bias: torch.Tensor | None = None) -> torch.Tensor:
    """x W^T + b for x (..., steps, batch, in), W (..., out, in), b (..., out); a stack may share its x."""
    if weight.ndim == 2:
        return nn.functional.linear(x, weight, bias)
    models, flat = len(weight), x.flatten(-3, -2)
    parts = portions(flat.shape[-2], weight[0].numel()) if x.is_cuda else 1
    flat = flat.expand(models, -1, -1)
    if parts > 1:  # the gradients of weights are then sums over as many products
        flat = flat.unflatten(1, (parts, -1)).flatten(0, 1)
        weight = weight.unsqueeze(1).expand(-1, parts, -1, -1).flatten(0, 1)
        bias = None if bias is None else bias.unsqueeze(1).expand(-1, parts, -1).flatten(0, 1)
    product = flat @ weight.mT if bias is None else torch.baddbmm(bias.unsqueeze(-2), flat, weight.mT)
    return product.view(models, *x.shape[-3:-1], weight.shape[-2])


class Recurrent(nn.Module, ABC):
    """What all layers share: shapes, the encoder E, and its column that may be kept at zero.

    Parameters
    ----------
    input_size : d_in
    hidden_size : N, the number of capsules (of units for the ordinary layers)
    components : D, real numbers in a capsule
    recurrent : ``"uniform"`` or ``"identity"``
        Neither begins in the broken phase: with the first a state that is left to itself dies within some dozens of
        steps, with the second it fades slowly (:func:`~training.recurrent.initial.initial_sigma_w`).
    encoder : ``"standard"``, ``"variance 0.001"`` or ``"deviation 0.001"``
        See `initial`. It concerns the weights into the hidden state (for gated layers into the candidate); the gates'
        input weights are always standard.
    frozen_token : int, optional
        The encoder's column of this input is zero and stays so: the paper's rule for the blank token of the copy task.
        It counts as a parameter, as in the paper's tables.
    batch_first : bool
        Whether x is (batch, steps, input_size), or (steps, batch, input_size).
    generator : torch.Generator, optional
        Of the initial weights; torch's own by default.

    Raises
    ------
    ValueError
        For sizes below 1, an unknown scheme, or a frozen token that is no input.
    """

    encoder_mask: torch.Tensor

    def __init__(
        self, input_size: int, hidden_size: int, components: int, recurrent: str, encoder: str,
        frozen_token: int | None, batch_first: bool,
    ) -> None:  # fmt: skip
        super().__init__()
        check_schemes(recurrent, encoder)
        self.input_size = whole_number("input_size", input_size, 1)
        self.hidden_size = whole_number("hidden_size", hidden_size, 1)
        self.components, self.batch_first = components, flag("batch_first", batch_first)
        self.schemes = recurrent, encoder
        self.encoder = nn.Parameter(torch.empty(components * hidden_size, input_size))
        if frozen_token is not None and not 0 <= whole_number("frozen_token", frozen_token, 0) < input_size:
            raise ValueError(f"frozen_token must be below input_size = {input_size}, got {frozen_token}")
        self._frozen: tuple[int | None, ...] = (frozen_token,)  # one for each model of a stack
        self.register_buffer("encoder_mask", self._mask())

    def reset_parameters(self, generator: torch.Generator | None = None) -> None:
        """Initial weights once more, other ones; also after `to_empty`, of a layer that was made on the meta device.

        Raises
        ------
        ValueError
            For a stack: its models have initial weights of their own.
        """
        if self.n_models is not None:
            raise ValueError("reset_parameters must be called of a single model, got a stack: unstack it")
        self.encoder_mask.copy_(self._mask())
        self._draw(generator)

    @abstractmethod
    def _draw(self, generator: torch.Generator | None) -> None:
        """All initial weights. In which order belongs to what committed results were trained from."""

    def _mask(self) -> torch.Tensor:
        """(1, input_size), of a stack (models, 1, input_size): zero for the token that is frozen."""
        masks = torch.ones(len(self._frozen), 1, self.input_size)
        for mask, token in zip(masks, self._frozen, strict=True):
            if token is not None:
                mask[:, token] = 0.0
        return masks if self.n_models is not None else masks[0]

    @property
    def features(self) -> int:
        """Real numbers of the hidden state, D N."""
        return self.components * self.hidden_size

    @property
    def n_models(self) -> int | None:
        """Models in the stack; None for a single one."""
        return len(self.encoder) if self.encoder.ndim == 3 else None

    def extra_repr(self) -> str:
        """The sizes, the kind, what is not as it is by default, and the number of models in a stack."""
        kinds = [getattr(self, name) for name in ("symmetry", "nonlinearity") if hasattr(self, name)]
        return self._told(self.hidden_size, *kinds)

    def _told(self, *kinds: object) -> str:
        told = [self.input_size, *kinds]
        if set(self._frozen) != {None}:
            told.append(f"frozen_token={', '.join(map(str, self._frozen))}")
        if not self.batch_first:
            told.append("batch_first=False")
        return ", ".join(map(str, told if self.n_models is None else [*told, f"{self.n_models} models"]))

    def _load_from_state_dict(self, state_dict, prefix, *rest) -> None:
        """As a module's own, but with the token that this layer freezes, or none: not that of the saved one."""
        saved, own, (*_, errors) = state_dict.get(f"{prefix}encoder_mask"), self._mask(), rest
        if saved is None or saved.is_meta or saved.shape != own.shape or torch.equal(saved.to(own), own):
            super()._load_from_state_dict(state_dict, prefix, *rest)
            return
        errors.append(f"state_dict must be of a layer with the same frozen_token, got another {prefix}encoder_mask")

    def capsules(self, states: torch.Tensor) -> torch.Tensor:
        """States (..., features) as (..., D, N); ``.flatten(-2)`` is the way back."""
        if states.shape[-1:] != (self.features,):
            raise ValueError(f"states must have {self.features} features in the last axis, got {tuple(states.shape)}")
        return states.unflatten(-1, (self.components, self.hidden_size))

    def forward(self, x: torch.Tensor, hx: torch.Tensor | None = None) -> tuple[torch.Tensor, torch.Tensor]:
        """Hidden states for sequences of inputs.

        Parameters
        ----------
        x : (batch, steps, input_size), or (steps, batch, input_size) without `batch_first`
            A single model also takes one sequence, (steps, input_size). A stack takes x for all its models, or with
            one more axis in front for each its own.
        hx : h^0, (1, batch, features), for one sequence (1, features), for a stack (models, batch, features)
            Zero by default.

        Returns
        -------
        output : h^1 to h^steps, shaped as x with `features` last (a stack's with its models first)
        last : h^steps, shaped as `hx`

        Raises
        ------
        ValueError
            For other shapes, and an x or hx that is no tensor or not of the parameters' type.
        """
        self._check(x)
        self._check_start(hx, x)
        if x.ndim == 2:
            batch = 0 if self.batch_first else 1
            output, last = self.forward(x.unsqueeze(batch), None if hx is None else hx.unsqueeze(-2))
            return output.squeeze(batch), last.squeeze(-2)
        models = self.n_models
        if self.batch_first:
            x = x.transpose(-3, -2)
        if hx is None:
            hx = x.new_zeros(models or 1, x.shape[-2], self.features)
        states = self._computed(x, hx[0] if models is None else hx)
        if models is None:
            states = states.clone()  # what the backward pass needs is not the caller's to change
        last = (states[-1:] if models is None else states[:, -1]).clone()
        return states.transpose(-3, -2) if self.batch_first else states, last

    def _check(self, x: torch.Tensor) -> None:
        self._check_type("x", x)
        models = self.n_models
        axes, told = ((2, 3), "2 or 3 axes") if models is None else ((3, 4), f"3 axes, or 4, first {models} models")
        fits = x.ndim in axes and x.shape[-1] == self.input_size and (x.ndim < 4 or len(x) == models)
        if not fits or not x.shape[-2 if self.batch_first or x.ndim == 2 else -3]:
            raise ValueError(
                f"x must have {told}, the last of them input_size = {self.input_size}, and at least one step, "
                f"got shape {tuple(x.shape)}"
            )

    def _check_start(self, hx: torch.Tensor | None, x: torch.Tensor) -> None:
        if hx is None:
            return
        self._check_type("hx", hx)
        batch = () if x.ndim == 2 else (x.shape[-3 if self.batch_first else -2],)
        shape = (self.n_models or 1, *batch, self.features)
        if hx.shape != shape:
            raise ValueError(f"hx must have the shape {shape}, got {tuple(hx.shape)}")

    def _check_type(self, name: str, value: torch.Tensor) -> None:
        if not isinstance(value, torch.Tensor):
            raise ValueError(f"{name} must be a tensor, got {type(value).__name__}")
        own = self.encoder.dtype
        if not own.is_floating_point:
            raise ValueError(f"parameters must be real, as the components of capsules are, got {own}")
        if value.dtype == own or (value.is_floating_point() and _autocast(value)):
            return
        ways = f"{name}.to({own})" if not value.is_complex() else f"torch.cat([{name}.real, {name}.imag], -1)"
        if value.is_floating_point():
            ways += f" or layer.to({value.dtype})"
        raise ValueError(f"{name} must be of the parameters' type {own}, got {value.dtype}; {ways} converts it")

    def _computed(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """The states, in the parameters' own type where autocast would mix it with another one."""
        if not _autocast(x):
            return self._states(x, start)
        with torch.autocast(x.device.type, enabled=False):
            return self._states(x.to(self.encoder.dtype), start.to(self.encoder.dtype))

    @abstractmethod
    def _states(self, x: torch.Tensor, start: torch.Tensor) -> torch.Tensor:
        """(..., steps, batch, features) from (..., steps, batch, input_size) and (..., batch, features)."""

    def _encoder(self) -> torch.Tensor:
        return self.encoder * self.encoder_mask

    @torch.no_grad()
    def _draw_encoder(self, generator: torch.Generator | None) -> None:
        """Zero for the frozen token."""
        encoder_(self.encoder, self.schemes[1], self.hidden_size, generator)
        self.encoder.mul_(self.encoder_mask)


def _autocast(x: torch.Tensor) -> bool:
    """Whether it is on for x."""
    kind = x.device.type
    # "meta" tensors, for one, know of no such thing. torch 2.11 cannot trace that question, and of what is compiled
    # only these have none; `torch.compiler.assume_constant_result` would import the compiler, which takes seconds
    known = kind != "meta" if torch.compiler.is_compiling() else torch.amp.is_autocast_available(kind)
    return known and torch.is_autocast_enabled(kind)
