"""Repeats: what clients cause is told, and does not fill the disk."""

from __future__ import annotations

import logging

from streamrnn.server.repeats import MOST, PERIOD_S, Repeats


def line(created: float, template: str = "a slow reader: %d bytes", *args: object) -> logging.LogRecord:
    """A line of the log at some time."""
    record = logging.LogRecord("streamrnn.server", logging.WARNING, "here.py", 1, template, args or (5,), None)
    record.created = created
    return record


def test_of_lines_of_one_kind_the_first_few_are_written():
    repeats = Repeats()
    written = [repeats.filter(line(100.0 + i / 1000, "a slow reader: %d bytes", i)) for i in range(MOST + 90)]
    assert written == [True] * MOST + [False] * 90


def test_the_next_period_says_how_many_were_left_out():
    repeats = Repeats()
    for i in range(MOST + 90):
        repeats.filter(line(100.0, "a slow reader: %d bytes", i))
    late = line(100.0 + PERIOD_S, "a slow reader: %d bytes", 7)
    assert repeats.filter(late)
    assert late.getMessage() == "a slow reader: 7 bytes (and 90 more like those before)"
    again = line(101.0 + PERIOD_S, "a slow reader: %d bytes", 8)
    assert repeats.filter(again)
    assert again.getMessage() == "a slow reader: 8 bytes"


def test_other_lines_are_written_beside_a_flood():
    repeats = Repeats()
    for _ in range(1000):
        repeats.filter(line(100.0))
    assert repeats.filter(line(100.0, "stopping: %d connections"))


def test_a_clock_that_was_set_back_begins_a_period():
    repeats = Repeats()
    for _ in range(1000):
        repeats.filter(line(100.0))
    assert repeats.filter(line(50.0))
