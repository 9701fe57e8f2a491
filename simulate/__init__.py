"""Sampled random networks, to check the mean-field theory against.

>>> import meanfield, simulate
>>> ensemble = meanfield.Ensemble("U(1)", "tanh", sigma_w=1.5)
>>> images = simulate.load_images().features([0, 10])
>>> means = simulate.ensemble_statistics(ensemble, images, width=64, depth=10, n_networks=100)
>>> # c, d, Delta, phi and Gram matrices by layer: means and variances, with standard errors
"""

try:
    import psutil as _psutil  # noqa: F401
    import torch as _torch  # noqa: F401
except ModuleNotFoundError as error:
    raise ImportError(f"simulate needs {error.name}: pip install goldstone-propagation[simulate]") from error

from .blocks import PartialResultWarning
from .collective import sample_collective
from .data import Images, load_images, read_idx
from .ensemble_statistics import ensemble_statistics
from .figure2 import figure2, plot_figure2
from .figure9 import figure9, plot_figure9
from .jacobians import sample_jacobians
from .modules import equivariance_error, measure
from .observables import summary
from .sampling import plane_rotation, sample_networks

__all__ = [
    "Images",
    "PartialResultWarning",
    "ensemble_statistics",
    "equivariance_error",
    "figure2",
    "figure9",
    "load_images",
    "measure",
    "plane_rotation",
    "plot_figure2",
    "plot_figure9",
    "read_idx",
    "sample_collective",
    "sample_jacobians",
    "sample_networks",
    "summary",
]


def __dir__() -> list[str]:
    return sorted(__all__)
