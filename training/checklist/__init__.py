"""The paper, item by item: every numbered equation, figure and table, where it is in the code and how it fares.

>>> from training.checklist import checklist
>>> table = checklist()  # doctest: +SKIP

Each row names the object that holds the item, a test, and a cheap check that is computed anew: by another route than
the library's, or, for trained networks, from the committed results. Nothing in it is typed but what the paper prints.
"""

from .contradictions import Inconsistency
from .items import ITEMS, Item, checklist, counts, inconsistencies
from .outcome import VERDICTS, Outcome

__all__ = ["ITEMS", "VERDICTS", "Inconsistency", "Item", "Outcome", "checklist", "counts", "inconsistencies"]
