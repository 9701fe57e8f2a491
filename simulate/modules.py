"""A user's own network: is it equivariant, and what does it transmit?

A network maps states to states. A state is a real tensor (inputs, N, D), N capsules of D components for each input; for
U(1) it may also be a complex tensor (inputs, N), and for O(1) and generic(1) a real one (inputs, N).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import numpy as np
import torch
import xarray as xr
from scipy.stats import ortho_group
from torch import nn

from meanfield.checks import whole_number
from meanfield.symmetry import Symmetry, as_symmetry

from .activations import on_tensors
from .devices import lacks_memory
from .gram import gram_matrix, mean_square, rescale, squares
from .observables import order_parameters
from .provenance import provenance
from .sampling import plane_rotation
from .scale import column, power_of_two, scaled_radial

Layer = Callable[[torch.Tensor], torch.Tensor]
_NORMS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)
_DROPS = (nn.RNNBase, nn.MultiheadAttention)  # have a dropout of their own


def measure(
    layers: Iterable[Layer], x: torch.Tensor, symmetry: str | Symmetry = "U(1)", activation="tanh"
) -> xr.Dataset:
    """Send inputs through a network's layers and measure its states like those of a sampled one.

    Parameters
    ----------
    layers : modules or functions
        Each maps the pre-activations z^l of a layer to those of the next, as z^{l+1} = W^l phi(z^l), Eq. (4). Biases
        break the symmetry: for them theory is :func:`meanfield.explicit_breaking`.

        Modules with dropout, or with batch or instance norm that keeps running statistics, must be in evaluation mode
        (``.eval()``): in training mode they draw random numbers, or the measurement changes what they keep. Inside of a
        function modules are not seen. Batch norm with ``track_running_stats=False`` is the same in both modes.
    x : tensor (inputs, N, D), or (inputs, N)
        z^0.
    symmetry : decides how capsules and phases are read
    activation : the phi after which c is measured, Eq. (6)
        As for :func:`meanfield.as_activation`, and also a function or module that takes tensors only, as ``torch.sin``
        or ``nn.Softsign()``. ``"linear"`` measures what the layers hand on as it is.

    Returns
    -------
    xarray.Dataset
        `gram` and `d` as from :func:`simulate.sample_networks`, with a single network, and `c`, Eq. (6); the width may
        change from layer to layer. Several networks go to :func:`simulate.summary` as
        ``xr.concat([measure(...), ...], "network", combine_attrs="drop_conflicts")``.

    Raises
    ------
    ValueError
        When a state is not a tensor of capsules of the symmetry's dimension, or not finite; for dropout, or norms with
        running statistics, in training mode.
    """
    symmetry, (name, f) = as_symmetry(symmetry), on_tensors(activation)
    given = list(layers) if isinstance(layers, Iterable) else [layers]
    if given == [layers] or not all(map(callable, given)):
        raise ValueError(f"layers must be a sequence of modules or functions, got {layers!r}")
    for index, each in enumerate(given):
        _require_evaluation(each, f"layers[{index}]")
    grams, ds, widths = [], [], []
    with torch.no_grad():
        for layer, state in enumerate(_states(given, x)):
            capsules = _capsules(state, symmetry, f"the state at layer {layer}")
            if len(capsules) != len(x):
                raise ValueError(f"the state at layer {layer} must be of all {len(x)} inputs, got {len(capsules)}")
            widths.append(capsules.shape[1])
            capsules = capsules.double().permute(1, 2, 0)[None, :, :, None]
            scale = power_of_two(capsules.abs().amax((1, 2)).cpu().numpy())
            capsules = capsules / column(scale, capsules)
            square = squares(capsules)
            activity, size = scaled_radial(f, capsules, square, scale)
            results = gram_matrix(activity), mean_square(square)
            grams.append(results[0].cpu().numpy())
            ds.append(results[1].cpu().numpy())
            rescale(grams[-1], ds[-1], size, scale)
    gram, d = (np.stack(values, axis=2) for values in (grams, ds))
    leading = ("network", "sigma_w", "layer")
    out = xr.Dataset(
        {
            "gram": ((*leading, "row", "column"), gram, {"long_name": "Gram matrix, rows (input, component)"}),
            "d": ((*leading, "input"), d, {"long_name": "pre-activation order parameter $d^l$"}),
        },
        coords={"layer": np.arange(len(widths)), "width": ("layer", widths)},
        attrs={"symmetry": str(symmetry), "activation": name, "sampler": "modules", **provenance()},
    )
    return out.assign(c=((*leading, "input"), order_parameters(out), {"long_name": "order parameter $c^l$"}))


def _states(layers: Iterable[Layer], x: torch.Tensor) -> Iterator[torch.Tensor]:
    yield x
    if isinstance(x, torch.Tensor):
        x = x.clone()  # a layer may work in place
    for layer in layers:
        x = layer(x)
        yield x


def equivariance_error(
    network: Layer, x: torch.Tensor, symmetry: str | Symmetry = "U(1)", *, n_elements: int = 8, seed: int = 0
) -> float:
    """How far a network is from commuting with its group, Eq. (2): max_g |f(g x) - g f(x)| / |f(x)|.

    Parameters
    ----------
    network : a module or function from states to states
        A module with dropout, or with batch or instance norm that keeps running statistics, must be in evaluation mode
        (``.eval()``): in training mode another network would answer each time. Inside of a function modules are not
        seen.

        One of flat states is wrapped: ``lambda z: f(z.flatten(1)).unflatten(1, (N, D))``. The layers of
        `training.recurrent` keep their states component-major, (D, N), so that their wrapper has to transpose; and
        their input is not turned with the state, so that it has to be zero::

            def network(z):
                batch, N, D = z.shape
                h = z.transpose(-1, -2).reshape(1, batch, D * N)
                _, last = layer(z.new_zeros(batch, steps, layer.input_size), h)
                return layer.capsules(last[0]).transpose(-1, -2)

    x : tensor (inputs, N, D), or (inputs, N)
    n_elements : int >= 1
        Group elements to try, uniformly distributed (in both components of O(k)). generic(k) has the element -1 only.
    seed : int >= 0

    Returns
    -------
    float
        The largest error over group elements and inputs, |.| over all components of one input's state. An equivariant
        network is left with its rounding, about eps times the square root of the product of chi_jacobian: in float32,
        with chi_jacobian = 2, of order 1 behind 50 layers. inf where f(x) = 0 and f(g x) is not. A network that maps
        all of these to 0 has error 0, whatever its weights are.

    Raises
    ------
    ValueError
        When a state is not a tensor of capsules of the symmetry's dimension, or not finite; when the network fails; for
        dropout, or norms with running statistics, in training mode.
    """
    symmetry = as_symmetry(symmetry)
    if not callable(network):
        raise ValueError(f"network must be a module or a function, got {network!r}")
    _require_evaluation(network, "network")
    capsules = _capsules(x, symmetry, "x")
    with torch.no_grad():
        plain = _capsules(_answer(network, x.clone()), symmetry, "network(x)").double()
        largest = plain.abs().amax((1, 2), keepdim=True)
        unit = torch.where(largest > 0.0, largest, 1.0)  # squares of states may under- and overflow where these do not
        plain = plain / unit
        size = plain.flatten(1).norm(dim=1)
        worst = torch.zeros_like(size)
        for g in _group_elements(symmetry, n_elements, seed):
            element = torch.from_numpy(g).to(x.device)
            turned = _answer(network, _like(capsules @ element.to(capsules).T, x))
            turned = _same_shape(_capsules(turned, symmetry, "network(x)"), plain).double() / unit
            worst = torch.maximum(worst, (turned - plain @ element.T).flatten(1).norm(dim=1))
    return float(torch.where(worst > 0, worst / size, worst).max())


def _require_evaluation(layer: Layer, name: str) -> None:
    """Refuse modules that answer one state with another each time, or that a look at their answer would change."""
    if not isinstance(layer, nn.Module):
        return
    for path, module in layer.named_modules():
        if module.training and _trains_otherwise(module):
            told = f"{type(module).__name__} {path!r}" if path else type(module).__name__
            raise ValueError(
                f"{name} must be in evaluation mode where training makes a difference (call .eval() first), "
                f"got {told} in training mode"
            )


def _trains_otherwise(module: nn.Module) -> bool:
    """Whether a module draws random numbers or updates running statistics in training mode."""
    if isinstance(module, _NORMS):
        return module.track_running_stats
    if isinstance(module, nn.modules.dropout._DropoutNd):
        return module.p > 0.0
    if isinstance(module, _DROPS):
        return module.dropout > 0.0
    return isinstance(module, nn.RReLU)


def _answer(network: Layer, x: torch.Tensor) -> torch.Tensor:
    """network(x); what it cannot take is told of in terms of states."""
    try:
        return network(x)
    except Exception as error:
        if lacks_memory(error):
            raise
        told = f"network must take states of shape {tuple(x.shape)} of {x.dtype}, as x is, got {error!r}"
        if x.ndim == 3:
            inside = f"lambda z: f(z.flatten(1)).unflatten(1, {tuple(x.shape[1:])})"
            told += f"; a module f of flat states is wrapped as {inside}"
        raise ValueError(told) from error


def _capsules(state: torch.Tensor, symmetry: Symmetry, name: str) -> torch.Tensor:
    """A state as a real tensor (inputs, N, D)."""
    k = symmetry.capsule_dimension
    if not isinstance(state, torch.Tensor):
        raise ValueError(f"{name} must be a torch tensor, got {type(state).__name__}")
    capsules = state
    if state.ndim == 2 and state.is_complex() and symmetry.family == "U(1)":
        capsules = torch.view_as_real(state.resolve_conj())
    elif state.ndim == 2 and k == 1:
        capsules = state[..., None]
    if capsules.ndim != 3 or capsules.shape[-1] != k or not capsules.is_floating_point() or not capsules.numel():
        raise ValueError(
            f"{name} must be a real tensor of shape (inputs, N, {k}) for {symmetry}, "
            f"got shape {tuple(state.shape)} of {state.dtype}{_axes_hint(state, k)}"
        )
    if not capsules.isfinite().all():
        raise ValueError(f"{name} must be finite, got infinities or NaN in it")
    return capsules


def _axes_hint(state: torch.Tensor, k: int) -> str:
    """How real numbers without an axis of their own for inputs, or for components, get one."""
    if state.ndim == 2 and state.shape[1] == k > 1:
        return " (the state of a single input needs [None])"
    if state.ndim == 2 and k > 1 and not state.is_complex() and state.shape[1] % k == 0:
        return f" (flat states, capsule by capsule, need .unflatten(1, (-1, {k})))"
    return ""


def _same_shape(turned: torch.Tensor, plain: torch.Tensor) -> torch.Tensor:
    if turned.shape != plain.shape:
        raise ValueError(
            f"network(x) must have one shape for all x, got {tuple(turned.shape)} and {tuple(plain.shape)}"
        )
    return turned


def _like(capsules: torch.Tensor, state: torch.Tensor) -> torch.Tensor:
    """The capsules in the layout of a state."""
    return torch.view_as_complex(capsules.contiguous()) if state.is_complex() else capsules.reshape(state.shape)


def _group_elements(symmetry: Symmetry, count: int, seed: int) -> Iterator[np.ndarray]:
    """Elements of the group, uniformly distributed."""
    k = symmetry.capsule_dimension
    rng = np.random.default_rng(whole_number("seed", seed, 0))
    for _ in range(whole_number("n_elements", count, 1)):
        if symmetry.family == "U(1)":
            yield plane_rotation(2, rng.uniform(0.0, 2.0 * np.pi))
        elif symmetry.keeps_anisotropy:
            yield ortho_group.rvs(k, random_state=rng)
        else:
            yield -np.eye(k)
