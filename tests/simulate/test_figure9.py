from importlib import import_module

import numpy as np
import pytest
from matplotlib.figure import Figure

from simulate.figure9 import figure9, plot_figure9

SMALL = {"quick": True, "device": "cpu", "sigma_w": [0.8, 1.5, 2.0], "depths": [2, 10]}


def test_the_symmetry_protects_one_component():
    data = figure9(**SMALL)
    assert dict(data.protected.sizes) == {"model": 2, "layer": 2, "sigma_w": 3}
    equivariant, generic = data.sel(model="U(1)"), data.sel(model="generic(2)")
    np.testing.assert_allclose(equivariant.protected, equivariant.d, rtol=1e-12)
    np.testing.assert_allclose(equivariant.protected_se, equivariant.d_se, rtol=1e-10)
    deep = generic.sel(layer=10, sigma_w=[1.5, 2.0])
    assert np.all(deep.protected > 1.5 * deep.d)


@pytest.mark.parametrize("symmetry", ["U(1)", "O(4)"])
def test_linear_networks_in_closed_form(symmetry):
    """(D-1) sigma_w^(2L) for both models, at every width; a few networks carry the mean, so L is small."""
    data = figure9(symmetry, "linear", **(SMALL | {"depths": [1, 3]}))
    planes = {"U(1)": 1.0, "O(4)": 3.0}[symmetry]
    powers = planes * data.sigma_w ** (2.0 * data.layer)
    assert np.all(np.abs(data.protected - powers) <= 5.0 * data.protected_se)
    assert np.all(np.abs(data.d - powers) <= 5.0 * data.d_se)
    assert np.all(data.protected_se < 0.25 * powers)
    for layer in (1, 3):
        for told in data.protected_theory.sel(layer=layer):
            np.testing.assert_allclose(told, planes * data.sigma_w_line ** (2.0 * layer), rtol=1e-12)
    assert data.sigma_w_line.values[[0, -1]].tolist() == [0.8, 2.0]


def test_the_theory_in_closed_form():
    """f = 1 in three dimensions: d^L = sigma_w^2, and chi_J = 2 from layer 1 on."""
    data = figure9("O(3)", "saturated", **SMALL)
    line = 2.0 * data.sigma_w_line**2
    for layer in (2, 10):
        told = data.protected_theory.sel(layer=layer)
        np.testing.assert_allclose(told.sel(model="O(3)"), line, rtol=1e-12)
        np.testing.assert_allclose(told.sel(model="generic(3)"), line * 2.0 ** (layer - 1), rtol=1e-12)


def test_the_dataset_says_what_it_is(tmp_path):
    counted = []
    data = figure9(**SMALL, progress=counted.append)
    assert data.attrs["symmetry"] == "U(1), generic(2)"
    assert data.attrs["n_networks"] * 2 == sum(counted) == 64
    assert data.attrs["dtype"] == "float64"
    assert "version_torch" in data.attrs
    assert all(data[name].attrs["long_name"] for name in data)
    data.to_netcdf(tmp_path / "figure9.nc")


def test_every_model_of_every_seed_has_its_own(monkeypatch):
    module, seeds = import_module("simulate.figure9"), []
    right = module.sample_jacobians

    def recorded(*arguments, seed, **options):
        seeds.append(seed)
        return right(*arguments, seed=seed, **options)

    monkeypatch.setattr(module, "sample_jacobians", recorded)
    assert [figure9(**SMALL, seed=seed).attrs["seed"] for seed in range(3)] == [0, 1, 2]
    assert len(set(seeds)) == len(seeds) == 6


def test_the_plot():
    data = figure9(**SMALL)
    ax = Figure().subplots()
    assert plot_figure9(data, ax) is ax
    assert ax.get_yscale() == "log"
    labels = [text.get_text() for text in ax.get_legend().get_texts()]
    assert labels == ["$L = 2$", "$L = 10$", "U(1)", "generic(2)", data.d.attrs["long_name"]]
    drawn = [line.get_ydata() for line in ax.get_lines()]
    for model in range(2):
        for layer in range(2):
            for values in (data.protected[model, layer].values, data.protected_theory[model, layer].values):
                assert any(np.array_equal(values, y) for y in drawn)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"symmetry": "generic(2)"}, r"symmetry must be 'U\(1\)' or 'O\(k\)' with k >= 2, got 'generic\(2\)'"),
        ({"symmetry": "O(1)"}, r"symmetry must be 'U\(1\)' or 'O\(k\)' with k >= 2, got 'O\(1\)'"),
        ({"depths": []}, "depths must name at least one depth, got none"),
        ({"depths": [-1]}, "depths must be an integer >= 0, got -1"),
        ({"depths": [2, 2.5]}, "depths must be an integer >= 0, got 2.5"),
        ({"depths": 5}, "depths must be a sequence of integers, got 5"),
        ({"depths": [2, 3, 2]}, "depths must name each depth once, got 2, 3, 2"),
        ({"sigma_w": [-1.0]}, "sigma_w must be >= 0, got -1"),
    ],
)
def test_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        figure9(**(SMALL | options))
