"""Work on many items a few at a time, so that what is made of them meanwhile fits the memory, or the cache."""

from __future__ import annotations

from collections.abc import Iterator


def chunks(count: int, numbers_each: int, at_once: int) -> Iterator[slice]:
    """Slices that cut `count` items up in turn; none for count 0.

    Each has as many items as hold `at_once` numbers, with `numbers_each` an item, and at least one.
    """
    size = max(1, at_once // numbers_each)
    for first in range(0, count, size):
        yield slice(first, min(first + size, count))
