"""The number of examples that the running test has tried."""

from collections import Counter

EXAMPLES: Counter[tuple[int, str]] = Counter()
"""By law and cell."""


def tried(law: int, cell: str) -> None:
    """Count one example."""
    EXAMPLES[law, cell] += 1
