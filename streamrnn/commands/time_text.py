"""The time contract of a model for people: what a frame and an output are, and how far apart they come."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from streamrnn.model.model import Model


def time_lines(model: Model) -> Iterator[tuple[str, str]]:
    """Labels and texts, in order."""
    rate_hz, delay = model.card.rate_hz, model.delay
    yield "frame", "a token id" if model.n_tokens else _steps(model.input_steps, model.input_channels)
    heads = ", ".join(f"{head.name} {head.size}" for head in model.spec.heads)
    output = _steps(model.output_steps, model.output_size // model.output_steps)
    yield "output", f"{output}: {heads}" if heads else output
    if rate_hz:
        steps = f", {rate_hz * model.input_steps:g} steps" if model.input_steps > 1 else ""
        yield "rate", f"{rate_hz:.6g} frames{steps} a second"
    late = f" ({delay / rate_hz:.3g} s)" if rate_hz else ""
    frames = "1 frame" if delay == 1 else f"{delay} frames"
    yield "delay", f"{frames}{late}: output n belongs to frame n - {delay}" if delay else "none"


def _steps(n_steps: int, n_values: int) -> str:
    values = f"{n_values:,} value{'s' if n_values > 1 else ''}"
    return values if n_steps == 1 else f"{n_steps:,} steps of {values}"
