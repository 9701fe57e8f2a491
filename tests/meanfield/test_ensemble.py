"""An ensemble is a description: its methods are the package's functions, and it can be compared and used as a key."""

import dataclasses
import inspect

import numpy as np
import pytest
import xarray as xr

import meanfield
from meanfield import Ensemble


def test_methods_are_the_functions():
    ensemble = Ensemble("generic(3)", "erf", 1.7)
    names = {"sigma_w": 1.7, "symmetry": "generic(3)", "activation": "erf"}
    assert ensemble.length_map(0.4) == meanfield.length_map(0.4, **names)
    assert ensemble.correlation_map(0.2, (0.4, 0.3)) == meanfield.correlation_map(0.2, (0.4, 0.3), **names)
    gram = meanfield.as_gram(0.5, 0.2, 0.3)
    np.testing.assert_array_equal(ensemble.gram_map(gram), meanfield.gram_map(gram, **names))
    assert ensemble.fixed_point().c == meanfield.fixed_point(**names).c
    assert ensemble.depth_scales().xi_delta == meanfield.depth_scales(**names).xi_delta
    for start in ({"delta": 0.3, "phi": 0.2}, {"one_minus_rho": 1e-9}, {}):
        expected = meanfield.trajectory(3, c=0.5, **start, **names)
        xr.testing.assert_identical(ensemble.trajectory(3, 0.5, **start), expected)


OTHERS = {
    "overlap_series": (0.4,),
    "jacobian_trajectory": (3, 0.7),
    "fluctuations": ([16, 32],),
    "fluctuation_trajectory": (2, 16, None, 0.7),
    "overlap_depth_scale": ([16, 32],),
    "overlap_fluctuations": (2, 16, 0.4, None, 0.1),
    "phase_diffusion": (2, 16, 0.4, None, 0.1),
    "readable_depth": (64, 0.9),
    "singular_value_map": ([0.1, 0.05, -0.02], 0.4),
    "matrix_correlation_map": (np.diag([0.1, 0.05, 0.02]), 0.4),
    "matrix_gram_map": (np.diag([0.3, 0.2, 0.1])[None, None],),
    "anisotropy_trajectory": (2, np.diag([0.3, 0.2, 0.1])),
}


@pytest.mark.parametrize("name", OTHERS)
def test_more_methods_are_the_functions(name):
    """sigma_w stands among the positional arguments of every function: here it is given by name, as the others are."""
    function, arguments = getattr(meanfield, name), OTHERS[name]
    names = {"sigma_w": 1.7, "symmetry": "O(3)", "activation": "erf"}
    others = [key for key in inspect.signature(function).parameters if key not in names]
    expected = function(**dict(zip(others, arguments, strict=False)), **names)
    found = getattr(Ensemble("O(3)", "erf", 1.7), name)(*arguments)
    same = xr.testing.assert_identical if isinstance(found, xr.Dataset) else np.testing.assert_array_equal
    same(found, expected)


def test_every_function_of_one_sigma_w_is_a_method():
    asked = {"sigma_w", "symmetry", "activation"}
    functions = {name: getattr(meanfield, name) for name in meanfield.__all__}
    wanted = {
        name
        for name, function in functions.items()
        if inspect.isfunction(function) and asked <= set(inspect.signature(function).parameters)
    }
    assert wanted - {name for name in dir(Ensemble) if not name.startswith("_")} == {"phase_diagram"}


def test_names_are_read_once():
    ensemble = Ensemble("SO(2)", "tanh", 2)
    assert ensemble.symmetry is not None
    assert str(ensemble.symmetry) == "U(1)"
    assert ensemble.activation is meanfield.NAMED_ACTIVATIONS["tanh"]
    assert ensemble.sigma_w == 2.0
    assert isinstance(ensemble.sigma_w, float)
    assert repr(ensemble) == "Ensemble('U(1)', 'tanh', sigma_w=2)"
    assert repr(Ensemble()) == "Ensemble('U(1)', 'tanh', sigma_w=1.5)"


def test_next_to_the_transition_it_does_not_look_critical():
    near = Ensemble(sigma_w=1 + 1e-9)
    for described in (near, near.fixed_point(), near.depth_scales()):
        assert "sigma_w=1.000000001" in repr(described)


def test_value_semantics():
    assert Ensemble("O(2)", "tanh", 1.5) == Ensemble("O(2)", meanfield.as_activation("tanh"), np.float64(1.5))
    assert Ensemble("O(2)") != Ensemble("U(1)")
    assert Ensemble("O(2)", sigma_w=1.5) != Ensemble("O(2)", sigma_w=1.6)
    assert {Ensemble("O(2)"): 1}[Ensemble("O(2)")] == 1
    with pytest.raises(dataclasses.FrozenInstanceError):
        Ensemble().sigma_w = 2.0  # type: ignore[misc]
    assert dataclasses.replace(Ensemble("O(3)"), sigma_w=2.0) == Ensemble("O(3)", sigma_w=2.0)
