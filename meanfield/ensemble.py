"""One description of an ensemble of random networks, for theory, sampling and training alike."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from typing import TypeVar, cast

import xarray as xr

from .activations import Activation, as_activation
from .anisotropy import anisotropy_trajectory
from .checks import asymmetry_array, real_number, shortest, sigma_w_number
from .depth_scales import DepthScales, depth_scales
from .explicit_breaking import explicit_breaking
from .fixed_points import FixedPoint, fixed_point
from .fluctuations import fluctuation_trajectory, fluctuations
from .gram_map import gram_map
from .half_life import angle_half_life
from .jacobian import jacobian_trajectory
from .jacobian_spectrum import jacobian_spectrum
from .lyapunov import lyapunov_exponents
from .maps import correlation_map, length_map
from .matrix_order import matrix_correlation_map, matrix_gram_map, singular_value_map
from .overlap_depth import overlap_depth_scale
from .overlap_fluctuations import overlap_fluctuations
from .overlap_series import overlap_series
from .phase_diffusion import phase_diffusion, readable_depth
from .symmetry import Symmetry, as_symmetry
from .trajectory import trajectory

Method = TypeVar("Method", bound=Callable)


def _exact(method: Method) -> Method:
    """Of a method whose theory is that of networks without biases, and with the whole symmetry."""

    @wraps(method)
    def checked(ensemble: Ensemble, *args, **kwargs):
        if ensemble.sigma_b or ensemble.asymmetry:
            raise ValueError(
                f"sigma_b and asymmetry must be 0 for {method.__name__}, got {ensemble.sigma_b:g} and "
                f"{ensemble.asymmetry:g}; trajectory and explicit_breaking have them"
            )
        return method(ensemble, *args, **kwargs)

    return cast(Method, checked)


@dataclass(frozen=True)
class Ensemble:
    """Random networks z^{l+1} = W^l phi(z^l), Eq. (4), of one symmetry, activation and weight scale sigma_w.

    Names are read on construction: ``Ensemble("O(4)", "tanh", 1.5)``. The methods are the functions of `meanfield` at
    these values, as far as they ask for one sigma_w.

    There is no bias, unless `sigma_b` gives its scale: a constant that is added to a capsule prefers a direction, which
    breaks the symmetry. So does `asymmetry`, the share of the weights' variance that ignores it. For both see
    :func:`meanfield.explicit_breaking`; the methods whose theory needs the exact symmetry refuse them.

    Raises
    ------
    ValueError
        For an unknown symmetry or activation, or a sigma_w that is not one finite number >= 0; likewise for a bad
        sigma_b or asymmetry.
    """

    symmetry: Symmetry
    activation: Activation
    sigma_w: float
    sigma_b: float
    asymmetry: float

    def __init__(
        self,
        symmetry: str | Symmetry = "U(1)",
        activation="tanh",
        sigma_w: float = 1.5,
        sigma_b: float = 0.0,
        asymmetry: float = 0.0,
    ) -> None:
        object.__setattr__(self, "symmetry", as_symmetry(symmetry))
        object.__setattr__(self, "activation", as_activation(activation))
        object.__setattr__(self, "sigma_w", sigma_w_number(sigma_w, self.activation))
        object.__setattr__(self, "sigma_b", real_number("sigma_b", sigma_b, minimum=0.0))
        share = float(asymmetry_array(real_number("asymmetry", asymmetry), self.symmetry))
        object.__setattr__(self, "asymmetry", share)

    def __repr__(self) -> str:
        scales = {"sigma_w": self.sigma_w} | {
            name: value for name, value in (("sigma_b", self.sigma_b), ("asymmetry", self.asymmetry)) if value
        }
        numbers = ", ".join(f"{name}={shortest(value)}" for name, value in scales.items())
        return f"Ensemble({str(self.symmetry)!r}, {self.activation.name!r}, {numbers})"

    @_exact
    def length_map(self, c):
        """See :func:`meanfield.length_map`."""
        return length_map(c, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def correlation_map(self, delta, c):
        """See :func:`meanfield.correlation_map`."""
        return correlation_map(delta, c, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def gram_map(self, gram):
        """See :func:`meanfield.gram_map`."""
        return gram_map(gram, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def fixed_point(self) -> FixedPoint:
        """See :func:`meanfield.fixed_point`."""
        return fixed_point(self.sigma_w, self.symmetry, self.activation)

    @_exact
    def depth_scales(self) -> DepthScales:
        """See :func:`meanfield.depth_scales`."""
        return depth_scales(self.sigma_w, self.symmetry, self.activation)

    def trajectory(self, depth: int, c=None, delta=None, phi=0.0, one_minus_rho=None, *, d=None) -> xr.Dataset:
        """See :func:`meanfield.trajectory`."""
        return trajectory(
            depth,
            self.sigma_w,
            c,
            delta,
            phi,
            one_minus_rho,
            self.symmetry,
            self.activation,
            d=d,
            sigma_b=self.sigma_b,
            asymmetry=self.asymmetry,
        )

    def explicit_breaking(self) -> xr.Dataset:
        """See :func:`meanfield.explicit_breaking`."""
        return explicit_breaking(self.sigma_w, self.sigma_b, self.asymmetry, self.symmetry, self.activation)

    def angle_half_life(self, rho) -> xr.Dataset:
        """See :func:`meanfield.angle_half_life`."""
        return angle_half_life(self.sigma_w, rho, self.sigma_b, self.asymmetry, self.symmetry, self.activation)

    @_exact
    def overlap_series(self, c, *, terms: int = 32) -> xr.Dataset:
        """See :func:`meanfield.overlap_series`."""
        return overlap_series(c, self.sigma_w, self.symmetry, self.activation, terms=terms)

    @_exact
    def jacobian_trajectory(self, depth: int, d=1.0) -> xr.Dataset:
        """See :func:`meanfield.jacobian_trajectory`."""
        return jacobian_trajectory(depth, self.sigma_w, d, self.symmetry, self.activation)

    @_exact
    def jacobian_spectrum(self, depth: int, log_value) -> xr.Dataset:
        """See :func:`meanfield.jacobian_spectrum`."""
        return jacobian_spectrum(depth, self.sigma_w, log_value, self.symmetry, self.activation)

    @_exact
    def lyapunov_exponents(self, share) -> xr.Dataset:
        """See :func:`meanfield.lyapunov_exponents`."""
        return lyapunov_exponents(share, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def fluctuations(self, width) -> xr.Dataset:
        """See :func:`meanfield.fluctuations`."""
        return fluctuations(width, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def fluctuation_trajectory(self, depth: int, width, c=None, d=None) -> xr.Dataset:
        """See :func:`meanfield.fluctuation_trajectory`."""
        return fluctuation_trajectory(depth, width, self.sigma_w, c, d, self.symmetry, self.activation)

    @_exact
    def overlap_depth_scale(self, width) -> xr.Dataset:
        """See :func:`meanfield.overlap_depth_scale`."""
        return overlap_depth_scale(width, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def overlap_fluctuations(self, depth: int, width, c=None, d=None, delta=None, one_minus_rho=None) -> xr.Dataset:
        """See :func:`meanfield.overlap_fluctuations`."""
        start = c, d, delta, one_minus_rho
        return overlap_fluctuations(depth, width, self.sigma_w, *start, self.symmetry, self.activation)

    @_exact
    def phase_diffusion(self, depth: int, width, c=None, d=None, delta=None, one_minus_rho=None) -> xr.Dataset:
        """See :func:`meanfield.phase_diffusion`."""
        start = c, d, delta, one_minus_rho
        return phase_diffusion(depth, width, self.sigma_w, *start, self.symmetry, self.activation)

    @_exact
    def readable_depth(self, width, rho) -> xr.Dataset:
        """See :func:`meanfield.readable_depth`."""
        return readable_depth(width, self.sigma_w, rho, self.symmetry, self.activation)

    @_exact
    def singular_value_map(self, singular, c):
        """See :func:`meanfield.singular_value_map`."""
        return singular_value_map(singular, c, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def matrix_correlation_map(self, q, c):
        """See :func:`meanfield.matrix_correlation_map`."""
        return matrix_correlation_map(q, c, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def matrix_gram_map(self, gram):
        """See :func:`meanfield.matrix_gram_map`."""
        return matrix_gram_map(gram, self.sigma_w, self.symmetry, self.activation)

    @_exact
    def anisotropy_trajectory(self, depth: int, gram) -> xr.Dataset:
        """See :func:`meanfield.anisotropy_trajectory`."""
        return anisotropy_trajectory(depth, gram, self.sigma_w, self.symmetry, self.activation)
