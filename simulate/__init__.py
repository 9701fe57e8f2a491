"""Sampled random networks, to check the mean-field theory against.

>>> import meanfield, simulate
>>> ensemble = meanfield.Ensemble("U(1)", "tanh", sigma_w=1.5)
>>> images = simulate.load_images().features([0, 10])
>>> samples = simulate.sample_networks(ensemble, images, width=64, depth=10, n_networks=100)
>>> means = simulate.summary(samples)  # c, d, Delta, phi and Gram matrices by layer, with standard errors
"""

from .data import Images, load_images, read_idx
from .observables import summary
from .sampling import plane_rotation, sample_networks

__all__ = ["Images", "load_images", "plane_rotation", "read_idx", "sample_networks", "summary"]
