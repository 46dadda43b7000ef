"""The option `--precision` of several commands."""

from __future__ import annotations

from typing import get_args

import typer

from streamrnn.model.precision import PrecisionName


def parse_precision_name(text: str) -> str:
    """Check a precision's name."""
    if text not in get_args(PrecisionName):
        raise typer.BadParameter(f"expected one of {', '.join(get_args(PrecisionName))}, got {text!r}")
    return text
