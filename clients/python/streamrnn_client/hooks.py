"""Which hook of the caller's wants to hear of what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from streamrnn_client.line import Told
from streamrnn_client.messages import GoAway
from streamrnn_client.news import Reconnected, SessionEvent
from streamrnn_client.options import Options


def hook_of(told: Told, options: Options) -> Callable[[], None] | None:
    """The call that tells it, or None where nobody asked to be told."""
    if isinstance(told, GoAway) and options.on_go_away is not None:
        return partial(options.on_go_away, told.deadline_ms / 1000)
    if isinstance(told, SessionEvent) and options.on_event is not None:
        return partial(options.on_event, told)
    if isinstance(told, Reconnected) and options.on_reconnect is not None:
        return partial(options.on_reconnect, told)
    return None
