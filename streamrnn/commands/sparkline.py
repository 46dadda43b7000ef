"""Numbers as bars, one character each."""

BARS = "▁▂▃▄▅▆▇█"


def bar_of(level: float) -> str:
    """A bar for a level of 0 .. 1; nothing for 0."""
    return " " if level <= 0.0 else BARS[min(len(BARS) - 1, int(level * len(BARS)))]
