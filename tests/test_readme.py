"""The README's example prints what the README says."""

import doctest
from pathlib import Path


def test_readme_example():
    readme = Path(__file__).parents[1] / "README.md"
    result = doctest.testfile(str(readme), module_relative=False)
    assert result.attempted >= 4
    assert result.failed == 0
