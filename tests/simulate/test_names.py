"""What help() and tab completion show of the package."""

from inspect import Parameter, isfunction, signature

import pytest

import simulate

FUNCTIONS = [name for name in simulate.__all__ if isfunction(getattr(simulate, name))]


def test_completion_shows_what_is_offered():
    assert dir(simulate) == sorted(simulate.__all__)
    assert issubclass(simulate.PartialResultWarning, UserWarning)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_signature_shows_every_argument_and_its_default(name):
    arguments = signature(getattr(simulate, name)).parameters.values()
    assert Parameter.VAR_KEYWORD not in {argument.kind for argument in arguments}
    assert "np." not in repr([argument.default for argument in arguments])
