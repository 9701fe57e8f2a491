"""Maps of labelled arrays: paired by the names of dimensions, whatever their order."""

import numpy as np
import pytest
import xarray as xr

import meanfield

C = xr.DataArray([0.1, 0.5, 0.9], dims="layer", coords={"layer": [0, 1, 2]})
SIGMA_W = xr.DataArray([1.2, 2.0, 1.5], dims="sigma_w", coords={"sigma_w": [1.2, 2.0, 1.5]})


def test_every_pair_is_that_of_its_labels():
    lengths = meanfield.length_map(C, SIGMA_W, "O(3)")
    overlaps = meanfield.correlation_map(0.4 * C, (C, 1.2 * C), sigma_w=SIGMA_W)
    assert lengths.dims == overlaps.dims == ("layer", "sigma_w")  # as many of each, so that only names tell
    for layer, c in enumerate(C.values):
        for sigma_w in SIGMA_W.values:
            at = {"layer": layer, "sigma_w": sigma_w}
            assert lengths.sel(at).item() == pytest.approx(meanfield.length_map(c, sigma_w, "O(3)"), rel=1e-13)
            one = meanfield.correlation_map(0.4 * c, (c, 1.2 * c), sigma_w)
            assert overlaps.sel(at).item() == pytest.approx(one, rel=1e-13)


def test_order_of_dimensions_does_not_matter():
    grid = C + 0.01 * SIGMA_W
    xr.testing.assert_allclose(
        meanfield.length_map(grid.transpose("sigma_w", "layer"), SIGMA_W).transpose("layer", "sigma_w"),
        meanfield.length_map(grid, SIGMA_W),
        rtol=1e-13,
    )


def test_an_ensemble_hands_labels_on():
    found = meanfield.Ensemble("U(1)", "tanh", 1.5).length_map(C)
    assert found.dims == ("layer",)
    np.testing.assert_allclose(found, meanfield.length_map(C.values, 1.5), rtol=1e-14)
    assert list(found.layer) == [0, 1, 2]


def test_plain_numbers_stay_plain():
    assert isinstance(meanfield.length_map(0.5, 1.5), float)
    assert isinstance(meanfield.correlation_map([0.1], 0.5, 1.5), np.ndarray)


def test_what_cannot_be_paired_is_refused():
    with pytest.raises(ValueError, match=r"sigma_w must be one number or an xarray.DataArray .* got shape \(3,\)"):
        meanfield.length_map(C, [1.0, 2.0, 3.0])
    with pytest.raises(ValueError, match=r"c must be one number or an xarray.DataArray .* got shape \(3,\)"):
        meanfield.correlation_map(0.1, (C, [0.1, 0.2, 0.3]), 1.5)
    with pytest.raises(ValueError, match="layer"):
        meanfield.correlation_map(0.1 * C, C.assign_coords(layer=[3, 4, 5]), 1.5)
    with pytest.raises(ValueError, match=r"c must be >= 0, got -0\.1"):
        meanfield.length_map(-C, 1.5)
