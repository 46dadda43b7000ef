"""A log that clients cannot flood: of lines that say the same of another client only the first few are written."""

from __future__ import annotations

import logging

MOST = 10
"""Lines of one kind that are written in a period."""
PERIOD_S = 10.0


class Repeats(logging.Filter):
    """Lets ten lines of one template through in ten seconds, and says with the next one how many there were.

    A template is the text before its arguments are put in, so its kinds are as many as there are calls in the code.
    """

    def __init__(self) -> None:
        super().__init__()
        self._kinds: dict[str, tuple[float, int]] = {}

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether the line is written; the first of a period is told what the last one left out."""
        template = record.msg if isinstance(record.msg, str) else type(record.msg).__name__
        begun_s, n_lines = self._kinds.get(template, (record.created, 0))
        if not 0.0 <= record.created - begun_s < PERIOD_S:
            if n_lines > MOST:
                record.msg, record.args = f"{record.getMessage()} (and {n_lines - MOST} more like those before)", None
            begun_s, n_lines = record.created, 0
        self._kinds[template] = (begun_s, n_lines + 1)
        return n_lines < MOST
