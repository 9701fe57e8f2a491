"""Many models of one shape as one program."""

from __future__ import annotations

from collections.abc import Sequence
from copy import deepcopy
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from .layer import Recurrent
from .sequence import SequenceModel

Module = TypeVar("Module", bound=nn.Module)
HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")


def stack(models: Sequence[Module]) -> Module:
    """Models of one shape as one model whose parameters have an axis (models,) in front.

    The models may differ in their initial weights and in whether a token is frozen, in nothing else. All are run by one
    batched product a step.

    Raises
    ------
    ValueError
        For no sequence, no models, models that are neither layers (:class:`Recurrent`) nor :class:`SequenceModel`, or
        that differ in class, attributes or shapes, in the type, place or mode of their parameters, or in whether these
        are trained; for models with parametrizations or hooks, which act on a single one.
    """
    if not isinstance(models, Sequence | nn.ModuleList):
        raise ValueError(f"models must be a sequence of models, got {type(models).__name__}")
    if not len(models):
        raise ValueError("models must not be empty, got none")
    for model in models:
        if not isinstance(model, Recurrent | SequenceModel):
            raise ValueError(f"models must be recurrent layers or SequenceModel, got {type(model).__name__}")
        if any(map(_has_extras, model.modules())):
            raise ValueError(
                "models must have no parametrizations and no hooks, which act on one model; remove them first"
            )
    kinds = {_kind(model) for model in models}
    if len(kinds) > 1:
        raise ValueError(f"models must be alike to be stacked, got {' and '.join(sorted(kinds))}")
    if any(map(_stacked, models)):
        raise ValueError("models must be single ones, got a stack")
    stacked = _with_tensors(models[0], {name: torch.stack(each) for name, each in _named_tensors(models)})
    for own, *parts in zip(*(_layers(each) for each in (stacked, *models)), strict=True):
        own._frozen = tuple(token for part in parts for token in part._frozen)
    return stacked


def unstack(models: Module) -> list[Module]:
    """The single models of a stack.

    Raises
    ------
    ValueError
        When it is a single one.
    """
    if not _stacked(models):
        raise ValueError(f"models must be a stack, got a single {type(models).__name__}")
    tensors = {**dict(models.named_parameters()), **dict(models.named_buffers())}
    count = len(next(iter(tensors.values())))
    singles = [_with_tensors(models, {name: each[i] for name, each in tensors.items()}) for i in range(count)]
    for i, single in enumerate(singles):
        for layer in _layers(single):
            layer._frozen = layer._frozen[i : i + 1]
    return singles


def _layers(model: nn.Module) -> list[Recurrent]:
    return [part for part in model.modules() if isinstance(part, Recurrent)]


def _stacked(model: nn.Module) -> bool:
    return any(layer.n_models is not None for layer in _layers(model))


def _named_tensors(models: Sequence[nn.Module]):
    each = [{**dict(model.named_parameters()), **dict(model.named_buffers())} for model in models]
    for name in each[0]:
        yield name, [tensors[name].detach() for tensors in each]


def _with_tensors(model: Module, tensors: dict[str, torch.Tensor]) -> Module:
    """A copy of a model with other parameters and buffers."""
    copied = deepcopy(model)
    for name, tensor in tensors.items():
        path, _, leaf = name.rpartition(".")
        owner = copied.get_submodule(path)
        value, parameter = tensor.detach().clone(), owner._parameters.get(leaf)
        setattr(owner, leaf, value if parameter is None else nn.Parameter(value, parameter.requires_grad))
    return copied


def _has_extras(part: nn.Module) -> bool:
    return is_parametrized(part) or any(getattr(part, name) for name in HOOKS)


def _kind(model: nn.Module) -> str:
    """Everything that models in a stack must share."""
    shapes = ", ".join(f"{name} {_told(tensor)}" for name, tensor in model.named_parameters())
    return f"{', '.join(map(_options, model.modules()))}; {shapes}"


def _options(part: nn.Module) -> str:
    """Its class and attributes but for what concerns initial weights, a user's own attributes too."""
    public = sorted(name for name in vars(part) if not name.startswith("_") and name not in ("schemes", "update_bias"))
    return f"{type(part).__name__}({', '.join(f'{name}={getattr(part, name)}' for name in public)})"


def _told(parameter: nn.Parameter) -> str:
    held = "" if parameter.requires_grad else ", not trained"
    return f"{tuple(parameter.shape)} {parameter.dtype} {parameter.device}{held}"
