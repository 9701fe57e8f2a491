"""`import meanfield` is light, and loads its heavy parts on first use."""

import subprocess
import sys

import pytest

import meanfield

HEAVY = ("torch", "matplotlib", "sympy", "mpmath", "flint")


def run(code: str) -> str:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.strip()


def test_import_is_light():
    """Not at import, and not when the numerics are used, a user's callable included."""
    code = f"""
import sys
import numpy, meanfield
before = [name for name in {HEAVY} if name in sys.modules]
meanfield.phase_diagram([0.5, 1.5], ["U(1)", "O(4)"])
meanfield.trajectory(3, 1.5, 1.0, 0.5, activation=lambda r: numpy.tanh(r))
meanfield.gram_map(meanfield.as_gram(1.0, 0.5, 0.1), 1.5)
meanfield.singular_value_map([0.1, 0.1, 0.1], 1.0, 1.5)
print(before, [name for name in {HEAVY} if name in sys.modules])
"""
    assert run(code) == "[] []"


def test_parts_are_loaded_on_use():
    code = """
import sys, meanfield
assert "meanfield.precise" not in sys.modules
print(meanfield.precise.__name__, "mpmath" in sys.modules)
print(*(part.__name__ for part in (meanfield.field, meanfield.field_modes, meanfield.field_plots)))
"""
    parts = "meanfield.field meanfield.field_modes meanfield.field_plots"
    assert run(code) == f"meanfield.precise True\n{parts}"


def test_names():
    parts = {"certified", "field", "field_modes", "field_plots", "plots", "precise", "symbolic"}
    assert parts | set(meanfield.__all__) == set(dir(meanfield))
    for name in meanfield.__all__:
        assert getattr(meanfield, name) is not None
    with pytest.raises(AttributeError, match="module 'meanfield' has no attribute 'nonsense'"):
        meanfield.nonsense  # noqa: B018
