"""Phase diagrams: one labelled table, with the numbers of the functions underneath, and no point without a status."""

import numpy as np
import pytest
import xarray as xr

from meanfield import ConvergenceWarning, depth_scales, fixed_point, phase_diagram
from tests.meanfield.independent import own_tanh

SIGMA_W = np.array([0.3, 0.999, 1.0, 1.001, 1.5, 30.0])
NUMBERS = (
    "c_star",
    "d_star",
    "chi_c",
    "xi_c",
    "chi_delta",
    "xi_delta",
    "chi_jacobian",
    "chi_gram",
    "xi_gram",
    "residual",
)


def test_one_symmetry():
    table = phase_diagram(SIGMA_W, "O(4)", "tanh")
    scales = depth_scales(SIGMA_W, "O(4)", "tanh")
    assert table.sizes == {"sigma_w": 6}
    assert table.attrs == {"symmetry": "O(4)", "activation": "tanh"}
    np.testing.assert_array_equal(table.sigma_w, SIGMA_W)
    np.testing.assert_array_equal(table.c_star, fixed_point(SIGMA_W, "O(4)").c)
    np.testing.assert_array_equal(table.d_star, SIGMA_W**2 * table.c_star)
    for name in ("chi_c", "xi_c", "chi_delta", "xi_delta", "chi_jacobian", "chi_gram", "xi_gram"):
        np.testing.assert_array_equal(table[name], getattr(scales, name))
    assert table.phase.values.tolist() == ["unbroken", "unbroken", "critical", "broken", "broken", "broken"]
    assert table.converged.all()
    assert set(table.status.values) == {"converged"}
    assert np.abs(table.residual).max() < 1e-14
    assert set(NUMBERS) < set(table.data_vars)
    assert all("long_name" in table[name].attrs for name in (*NUMBERS, "sigma_w", "error_estimate"))


def test_many_symmetries():
    """U(1) and O(2) differ in chi_gram alone; larger capsules remember longer."""
    symmetries = ["U(1)", "O(1)", "O(2)", "O(8)", "generic(8)"]
    table = phase_diagram(SIGMA_W, symmetries, "erf")
    assert table.sizes == {"symmetry": 5, "sigma_w": 6}
    assert table.symmetry.values.tolist() == symmetries
    for symmetry in symmetries:
        row = table.sel(symmetry=symmetry)
        np.testing.assert_array_equal(row.xi_delta, depth_scales(SIGMA_W, symmetry, "erf").xi_delta)
    same = table.drop_vars(["chi_gram", "xi_gram"])
    xr.testing.assert_equal(same.sel(symmetry="U(1)", drop=True), same.sel(symmetry="O(2)", drop=True))
    xr.testing.assert_equal(same.sel(symmetry="O(8)", drop=True), same.sel(symmetry="generic(8)", drop=True))
    chi_gram = table.chi_gram
    assert (chi_gram.sel(symmetry=["U(1)", "generic(8)"]) == 0.0).all()
    assert chi_gram.sel(symmetry="O(1)").isnull().all()
    assert (chi_gram.sel(symmetry="O(8)") > 0.0).all()
    broken = table.sel(sigma_w=1.5)
    assert (
        broken.xi_delta.sel(symmetry="O(1)")
        < broken.xi_delta.sel(symmetry="U(1)")
        < broken.xi_delta.sel(symmetry="O(8)")
    )


def test_points_without_a_fixed_point_are_marked():
    with pytest.warns(ConvergenceWarning, match="2 of 4"):
        table = phase_diagram([0.5, 1.0, 1.5, 2.0], "O(3)", "linear")
    assert table.status.values.tolist() == ["converged", "converged", "no fixed point", "no fixed point"]
    assert table.converged.values.tolist() == [True, True, False, False]
    assert table.phase.values.tolist() == ["unbroken", "critical", "", ""]
    for name in ("c_star", "chi_c", "xi_delta", "chi_jacobian", "chi_gram"):
        assert table[name].isnull().values.tolist() == [False, False, True, True]


def test_a_single_number_is_a_table_of_one():
    table = phase_diagram(1.5)
    assert table.sizes == {"sigma_w": 1}
    assert table.xi_delta.item() == pytest.approx(22.4649, abs=1e-4)


def test_error_estimate():
    assert phase_diagram([0.5, 1.5]).error_estimate.values.tolist() == [0.0, 1e-12]
    user = phase_diagram([1.2, 1.5], "O(3)", own_tanh)
    assert user.attrs["activation"] == "own_tanh"
    assert (user.error_estimate < 1e-10).all()


def test_it_can_be_saved(tmp_path):
    table = phase_diagram([0.5, 1.5], ["U(1)", "O(4)"])
    table.to_netcdf(tmp_path / "phase.nc", engine="netcdf4")
    with xr.open_dataset(tmp_path / "phase.nc", engine="netcdf4") as read:
        np.testing.assert_array_equal(read.xi_delta, table.xi_delta)
        assert read.phase.values.tolist() == table.phase.values.tolist()
