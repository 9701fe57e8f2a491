"""What is sampled: an ensemble, its inputs, and the numbers of a run, checked once for all samplers."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
import xarray as xr

from meanfield import Ensemble
from meanfield.checks import one_dimensional, real_array, sigma_w_array, whole_number
from meanfield.symmetry import Symmetry

from .devices import as_device, as_dtype
from .provenance import provenance

LARGEST_SEED = 2**64 - 1  # a result's attributes hold it, and netCDF has no larger integers


def flag(name: str, value) -> bool:
    """True or False, and nothing that merely counts as one, as "no" does.

    Raises
    ------
    ValueError
        Naming the argument otherwise.
    """
    if not isinstance(value, bool | np.bool_):
        raise ValueError(f"{name} must be True or False, got {value!r}")
    return bool(value)


def checked_seed(seed) -> int:
    """A seed as a plain integer.

    Raises
    ------
    ValueError
        When it is no whole number, negative, or larger than 2^64 - 1.
    """
    if whole_number("seed", seed, 0) > LARGEST_SEED:
        raise ValueError(f"seed must be at most 2^64 - 1, got {seed}")
    return int(seed)


@dataclass(frozen=True)
class Setup:
    """One run's description, made of plain values, so that it can be sent to another process.

    Attributes
    ----------
    directions : (inputs, features), unit vectors
    group_elements : (inputs, D, D), or None
    sigma_w : (points,)
    d_0 : (inputs,)
    The others are those of :func:`simulate.sample_networks`.
    """

    ensemble: Ensemble
    directions: np.ndarray
    group_elements: np.ndarray | None
    width: int
    depth: int
    seed: int
    sigma_w: np.ndarray
    d_0: np.ndarray
    dtype: str
    device: str
    tf32: bool

    @classmethod
    def create(
        cls,
        ensemble: Ensemble,
        inputs,
        *,
        width: int,
        depth: int,
        seed: int = 0,
        sigma_w=None,
        d_0=1.0,
        group_elements=None,
        dtype: str = "float32",
        device: str = "auto",
        tf32: bool = False,
    ) -> Setup:
        """Check the arguments of :func:`simulate.sample_networks`.

        Raises
        ------
        ValueError
            Naming the argument that is out of range or of the wrong shape.
        """
        if not isinstance(ensemble, Ensemble):
            raise ValueError(f"ensemble must be a meanfield.Ensemble, got {ensemble!r}")
        sigma_w = sigma_w_array(ensemble.sigma_w if sigma_w is None else sigma_w, ensemble.activation)
        sigma_w = one_dimensional("sigma_w", sigma_w)
        as_dtype(dtype)
        directions = _directions(inputs)
        seed = checked_seed(seed)
        return cls(
            ensemble=ensemble,
            directions=directions,
            group_elements=_group_elements(group_elements, len(directions), ensemble.symmetry),
            width=whole_number("width", width, 1),
            depth=whole_number("depth", depth, 0),
            seed=seed,
            sigma_w=sigma_w,
            d_0=_starts(d_0, len(directions)),
            dtype=dtype,
            device=str(as_device(device)),
            tf32=flag("tf32", tf32),
        )

    @property
    def symmetry(self) -> Symmetry:
        return self.ensemble.symmetry

    @property
    def generic(self) -> Symmetry:
        """Weights without the symmetry, of the same capsules: those that an asymmetry mixes in."""
        return Symmetry("generic", self.symmetry.capsule_dimension)

    @property
    def rows(self) -> int:
        """Rows of a Gram matrix: inputs times capsule dimension."""
        return len(self.directions) * self.symmetry.capsule_dimension

    @property
    def result_bytes(self) -> int:
        """Size of one network's results."""
        return 8 * self.sigma_w.size * (self.depth + 1) * (self.rows**2 + len(self.directions))

    def tensor(self, array: np.ndarray) -> torch.Tensor:
        """The array as the run's tensors are: its precision, on its device."""
        return torch.from_numpy(array).to(dtype=as_dtype(self.dtype), device=self.device)

    def dataset(self, gram: np.ndarray, d: np.ndarray, sampler: str) -> xr.Dataset:
        """Label the results (network, sigma_w, layer, ...) of a sampler."""
        leading = ("network", "sigma_w", "layer")
        return xr.Dataset(
            {
                "gram": ((*leading, "row", "column"), gram, {"long_name": "Gram matrix, rows (input, component)"}),
                "d": ((*leading, "input"), d, {"long_name": "pre-activation order parameter $d^l$"}),
            },
            coords=self.coordinates,
            attrs={**self.attributes, "sampler": sampler},
        )

    @property
    def coordinates(self) -> dict:
        return {
            "sigma_w": ("sigma_w", self.sigma_w, {"long_name": r"weight scale $\sigma_w$"}),
            "layer": np.arange(self.depth + 1),
        }

    @property
    def attributes(self) -> dict:
        """What was sampled, and with what."""
        return {
            "symmetry": str(self.symmetry),
            "activation": self.ensemble.activation.name,
            "sigma_b": self.ensemble.sigma_b,
            "asymmetry": self.ensemble.asymmetry,
            "width": self.width,
            "seed": self.seed,
            "d_0": float(self.d_0[0]) if np.all(self.d_0 == self.d_0[0]) else self.d_0.tolist(),
            "dtype": self.dtype,
            "tf32": int(self.tf32),
            "device": self.device,
            **provenance(),
        }


def cosine(inputs) -> float:
    """Cosine of the angle between the first two inputs: their overlap after a random input layer.

    Raises
    ------
    ValueError
        When an input is zero, or `inputs` is no array of finite numbers (inputs, features).
    """
    first, second = _directions(inputs)[:2]
    return float(np.clip(first @ second, -1.0, 1.0))  # of an input with itself it may round to more than one


def _directions(inputs) -> np.ndarray:
    inputs = real_array("inputs", inputs)
    if inputs.ndim != 2:
        raise ValueError(f"inputs must have shape (inputs, features), got {inputs.shape}")
    largest = np.abs(inputs).max(axis=1, keepdims=True)
    if not largest.all():
        raise ValueError(f"inputs must not contain a zero vector, got one at index {int(np.argmin(largest))}")
    # a power of two, so that squares stay in range and not a bit of an ordinary direction changes
    inputs = np.ldexp(inputs, -np.frexp(largest)[1])
    return inputs / np.sqrt(np.sum(inputs**2, axis=1, keepdims=True))


def _starts(d_0, inputs: int) -> np.ndarray:
    """d_0 of each input, (inputs,)."""
    starts = real_array("d_0", d_0, minimum=0.0, strict=True)
    if starts.shape not in ((), (inputs,)):
        raise ValueError(f"d_0 must be a number, or one for each of the {inputs} inputs, got shape {starts.shape}")
    return np.broadcast_to(starts, (inputs,)).copy()


def _group_elements(group_elements, inputs: int, symmetry: Symmetry) -> np.ndarray | None:
    if group_elements is None:
        return None
    k = symmetry.capsule_dimension
    full = (inputs, k, k)
    wanted = f"group_elements must be orthogonal matrices, one for each input, of shape (inputs, D, D) = {full}"
    if symmetry.family == "U(1)":
        wanted += "; simulate.plane_rotation(2, angle) is that of e^(i angle)"
    try:
        shape = np.shape(group_elements)
    except ValueError as error:
        raise ValueError(f"{wanted}; got matrices of unequal shapes") from error
    if shape != full:
        raise ValueError(f"{wanted}; got shape {shape}")
    elements = real_array("group_elements", group_elements)
    if not np.allclose(elements @ elements.swapaxes(1, 2), np.eye(k), rtol=0.0, atol=1e-12):
        raise ValueError(f"{wanted}; got one that is not orthogonal")
    return elements
