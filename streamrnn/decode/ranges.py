"""Ranges of settings: the one sentence that says which value is out of which range."""

from __future__ import annotations

import math

from streamrnn.errors import OptionError


def check_range(name: str, value: float, low: float, high: float) -> None:
    """Check that a setting is finite and `low .. high`, both included.

    Raises:
        OptionError: it is not; it names the field.
    """
    if not (low <= value <= high and math.isfinite(value)):
        raise OptionError(f"decoder: expected {name} of {low:g} .. {high:g}, got {value}", field=name)


def check_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Check that a setting is one of a few words.

    Raises:
        OptionError: it is not; it names the field.
    """
    if value not in choices:
        raise OptionError(f"decoder: expected {name} {' or '.join(choices)}, got {value!r}", field=name)
