"""Slices that cut many items up: each item once, and no more at once than was asked for."""

import pytest

from meanfield.chunks import chunks


@pytest.mark.parametrize(
    ("count", "numbers_each", "at_once", "sizes"),
    [
        (7, 10, 35, [3, 3, 1]),
        (6, 10, 30, [3, 3]),
        (2, 10, 1000, [2]),
        (3, 100, 10, [1, 1, 1]),  # one item does not fit, and is taken all the same
        (0, 10, 35, []),
    ],
)
def test_chunks(count, numbers_each, at_once, sizes):
    items = list(range(count))
    parts = [items[part] for part in chunks(count, numbers_each, at_once)]
    assert [len(part) for part in parts] == sizes
    assert [item for part in parts for item in part] == items
