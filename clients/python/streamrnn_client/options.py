"""What `connect` may be told, checked once."""

from __future__ import annotations

import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TypedDict

from streamrnn_client.errors import OptionError
from streamrnn_client.news import Reconnected, SessionEvent


class OptionArgs(TypedDict, total=False):
    """The keyword arguments of `connect`; see `Options`."""

    encoding: str
    check: bool
    headers: Mapping[str, str]
    ssl: ssl.SSLContext | None
    on_go_away: Callable[[float], None] | None
    on_event: Callable[[SessionEvent], None] | None
    on_reconnect: Callable[[Reconnected], None] | None
    reconnect: bool
    reconnect_first_s: float
    reconnect_max_s: float
    reconnect_timeout_s: float
    max_replay_bytes: int
    connect_timeout_s: float
    open_timeout_s: float
    step_timeout_s: float
    close_timeout_s: float
    ping_interval_s: float
    ping_timeout_s: float
    max_send_bytes: int
    max_chunk_frames: int
    max_receive_bytes: int


@dataclass(frozen=True)
class Options:
    """Options of one client. Each `timeout_s` is the default of the calls that wait; each call may say its own.

    Raises:
        OptionError: a value out of range.
    """

    encoding: str = "msgpack"
    """`msgpack` or `json`."""
    check: bool = True
    """Refuse a bad frame here, before it is sent, with the server's error; False lets the server judge."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """More HTTP headers for the handshake, such as Authorization."""
    ssl: ssl.SSLContext | None = None
    """For `wss:` addresses; None means the system's certificates."""
    on_go_away: Callable[[float], None] | None = None
    """Called once with the seconds left, when the server says that it stops. It must not block."""
    on_event: Callable[[SessionEvent], None] | None = None
    """Called when a session is parked, comes back, or frames of it are skipped. It must not block."""
    on_reconnect: Callable[[Reconnected], None] | None = None
    """Called when a lost connection was made anew and its sessions resumed. It must not block."""
    reconnect: bool = True
    """Make a lost connection anew, resume its sessions, send again what they lack; False: a loss ends the client."""
    reconnect_first_s: float = 0.1
    """The first attempt after a loss is at once; before the second lies this much, half of it by chance."""
    reconnect_max_s: float = 5.0
    """Each further wait is twice the one before, up to this."""
    reconnect_timeout_s: float = 60.0
    """Since the loss; then everything pending fails with `ConnectionLostError`."""
    max_replay_bytes: int = 4 * 1024 * 1024
    """Most memory that a session takes for frames that are answered and not durable: beyond, the oldest are forgotten,
    and the session is lost if the server should need them."""
    connect_timeout_s: float = 10.0
    open_timeout_s: float = 10.0
    """For `open`, `restore` and `fork`."""
    step_timeout_s: float = 30.0
    """For `step`, `step_many`, each output of `stream`, `reset`, `flush`, `snapshot` and `close`."""
    close_timeout_s: float = 5.0
    ping_interval_s: float = 20.0
    """Silence of the server after which it is pinged."""
    ping_timeout_s: float = 20.0
    """Further silence after which the connection counts as lost."""
    max_send_bytes: int = 4 * 1024 * 1024
    """Largest message sent: beyond its own limit the server ends the connection, so the message is refused here."""
    max_chunk_frames: int = 4096
    """Most frames in one message sent, for the same reason."""
    max_receive_bytes: int = 64 * 1024 * 1024
    """Largest message accepted."""

    def __post_init__(self) -> None:
        if self.encoding not in ("msgpack", "json"):
            raise OptionError(f"expected encoding 'msgpack' or 'json', got {self.encoding!r}")
        for name, value in vars(self).items():
            if name.endswith(("_s", "_bytes", "_frames")) and not (isinstance(value, int | float) and value > 0):
                raise OptionError(f"expected {name} above 0, got {value!r}")

    def timeout_s(self, of: str, said_s: float | None) -> float:
        """How long to wait for the answer to `of`: what the call said, else the default."""
        if said_s is not None:
            return said_s
        return self.open_timeout_s if of == "open" else self.step_timeout_s
