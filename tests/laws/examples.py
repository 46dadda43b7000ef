"""The number of examples tried so far in the running test."""

from collections import Counter

EXAMPLES: Counter[tuple[int, str]] = Counter()
"""By law and cell."""


def tried(law: int, cell: str) -> None:
    """Count one example."""
    EXAMPLES[law, cell] += 1
