"""Every bound of the engine and the server in one frozen dataclass."""

from __future__ import annotations

from dataclasses import dataclass, fields

from streamrnn.errors import OptionError


@dataclass(frozen=True)
class Limits:
    """Bounds; the unit stands in the name. All are positive integers.

    Raises:
        OptionError: a value is not an integer of at least 1.
    """

    max_sessions: int = 1024
    """Slots of each lane's arena, fixed when the model is added."""
    max_batch: int = 256
    """Most slots stepped in one kernel call."""
    max_threads: int = 1
    """Most threads that one big batch is split over, the caller's among them."""
    max_queue_frames: int = 1024
    """Most frames waiting in one session."""
    max_fill_frames: int = 1024
    """Most frames made up for one gap; a longer one resets the state."""
    max_chunk_frames: int = 4096
    """Most frames in one message."""
    max_run_frames: int = 64
    """Most frames of a lone session stepped in one tick, so that a tick stays short; of those made up, one gap more."""
    max_message_bytes: int = 4 * 1024 * 1024
    """Largest websocket message accepted."""
    max_fields_bytes: int = 512 * 1024
    """Most bytes of a message beside its payload: lists and texts take longer to read than payloads."""
    max_decoder_bytes: int = 256 * 1024
    """Most bytes of a decoder, settings and state, in a snapshot that a client hands in."""
    max_fragments: int = 65536
    """Most fragments of one message."""
    message_timeout_ms: int = 30_000
    """Time in which a message must be whole, from its first byte."""
    max_connections: int = 16384
    """Most websockets open at once."""
    max_handshakes: int = 4096
    """Most connections before the end of their handshake; beyond, the one that has taken longest is dropped."""
    max_sessions_per_connection: int = 1024
    """Most handles open on one connection."""
    max_outbox_bytes: int = 8 * 1024 * 1024
    """Unsent bytes after which a slow reader is dropped."""
    max_id_chars: int = 128
    """Longest session id or model name on the wire."""
    max_waiting_bytes: int = 16 * 1024 * 1024
    """Bytes of samples that may wait on a connection which speaks another server's protocol."""
    max_ring_bytes: int = 64 * 1024
    """Bytes of outputs that are kept of one session to be sent again; bounds its `max_queue_frames` too."""
    park_ms: int = 60_000
    """Silence after which a session is parked: it keeps its state, but no slot."""
    expire_ms: int = 120_000
    """Time parked after which a session is forgotten, without a store."""
    expire_stored_ms: int = 24 * 3_600_000
    """The same where a store keeps it."""
    max_parked_sessions: int = 65536
    """Most sessions parked in memory; beyond, the longest parked are left to the store, or expire."""
    max_parked_bytes: int = 512 * 1024 * 1024
    """Bytes of states and outputs of parked sessions in memory; beyond, as beyond `max_parked_sessions`."""
    checkpoint_ms: int = 1000
    """Time from one checkpoint of what has changed to the next."""
    checkpoint_frames: int = 1024
    """Frames answered in one session after which a checkpoint is taken sooner."""
    handshake_timeout_ms: int = 10_000
    """Time in which a connection must finish its handshake."""
    ping_interval_ms: int = 20_000
    """Silence after which the server pings a connection."""
    ping_timeout_ms: int = 20_000
    """Time in which a ping must be answered."""
    drain_ms: int = 5_000
    """Time that a graceful stop waits for connections to close."""

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            if not isinstance(value, int) or isinstance(value, bool) or value < 1:
                raise OptionError(f"limit {field.name} must be an integer of at least 1, got {value!r}")
