"""The examples of the docstrings run, and print what they say."""

import doctest

import pytest

import meanfield

WITH_EXAMPLES = [name for name in meanfield.__all__ if ">>>" in (getattr(meanfield, name).__doc__ or "")]


def test_there_are_examples():
    assert {"trajectory", "overlap_fluctuations", "explicit_breaking"} <= set(WITH_EXAMPLES)
    assert len(WITH_EXAMPLES) >= 9


@pytest.mark.parametrize("name", WITH_EXAMPLES)
def test_examples_of_the_functions(name):
    (example,) = doctest.DocTestFinder(recurse=False).find(getattr(meanfield, name), name, globs={})
    result = doctest.DocTestRunner().run(example)
    assert result.attempted >= 2
    assert result.failed == 0


def test_example_of_the_package():
    result = doctest.testmod(meanfield)
    assert result.attempted >= 2
    assert result.failed == 0


def test_the_package_names_what_it_tells_to_call():
    told = [line for line in meanfield.__doc__.splitlines() if ":func:" in line or ":class:" in line]
    names = {part.split("`")[1] for line in told for part in line.split(":func:")[1:] + line.split(":class:")[1:]}
    assert len(names) >= 16
    assert names <= set(meanfield.__all__)
