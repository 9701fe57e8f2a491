"""Spoken names of symmetries, and the capsule dimension they stand for."""

import pytest

from meanfield import Symmetry, as_symmetry


@pytest.mark.parametrize(
    ("name", "family", "dimension", "spoken"),
    [
        ("U(1)", "U(1)", 2, "U(1)"),
        ("SO(2)", "U(1)", 2, "U(1)"),
        ("u ( 1 )", "U(1)", 2, "U(1)"),
        ("O(1)", "O", 1, "O(1)"),
        (" o(48) ", "O", 48, "O(48)"),
        ("Generic(3)", "generic", 3, "generic(3)"),
    ],
)
def test_names(name, family, dimension, spoken):
    symmetry = as_symmetry(name)
    assert symmetry == Symmetry(family, dimension)
    assert str(symmetry) == spoken
    assert as_symmetry(symmetry) is symmetry
    assert as_symmetry(str(symmetry)) == symmetry


def test_what_they_keep():
    """O(k) keeps the anisotropy of a capsule; U(1) and generic have a phase between two inputs."""
    keeps = {name: as_symmetry(name).keeps_anisotropy for name in ("U(1)", "O(1)", "O(2)", "O(7)", "generic(7)")}
    assert keeps == {"U(1)": False, "O(1)": False, "O(2)": True, "O(7)": True, "generic(7)": False}
    phase = {name: as_symmetry(name).has_phase for name in ("U(1)", "O(1)", "O(2)", "generic(1)", "generic(2)")}
    assert phase == {"U(1)": True, "O(1)": False, "O(2)": False, "generic(1)": False, "generic(2)": True}
