"""How many examples a law tries for each cell, and how many the running test has tried."""

from collections import Counter

from hypothesis import settings

EXAMPLES: Counter[tuple[int, str]] = Counter()
"""By law and cell."""

a_quarter = settings(max_examples=settings().max_examples // 4)
"""A quarter of the profile's examples: there are ninety pairs of law and cell."""


def tried(law: int, cell: str) -> None:
    """Count one example."""
    EXAMPLES[law, cell] += 1
