"""What a run is asked for, and how its sessions are spread over connections and lines."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np

from benchmarks.load import packets
from benchmarks.load.arrivals import Kind, Phase, Schedule, room, schedule
from benchmarks.load.board import Lines
from benchmarks.load.sockets import LoadError

Dialect = Literal["streamrnn", "raw", "echo"]
MAX_MESSAGES_PER_S = 200_000
MAX_FRAMES_PER_S = 2_000_000
"""What a closed loop has room for; it ends early beyond."""


@dataclass(frozen=True)
class Load:
    """One run.

    Attributes:
        url: of the server.
        model: its name there.
        n_sessions: in all, spread evenly over `n_connections`.
        hz: frames a second of each session, in the open loop.
        phases: rates and times of an open loop that changes; empty: `hz` for `duration_s`.
        batch: `single`, `columns` or `chunk:K`.
        window: messages under way on each line, in the closed loop.
        warm_s: time at the start that no figure counts.
        grace_s: how long answers are waited for at the end.
        give_up_ms: a message that could not be sent for so long is left out; 0: it is sent, however late.
        max_unanswered: messages that a line leaves unanswered; later ones wait, until they are given up; 0: any.
        send_buffer_bytes: of each socket; 0: the system's.
        dialect: `echo` sends our messages to a bare echo.
        overload, queue_frames: what `open` asks for; None: what the server says.
        input_size, output_size: where the server does not tell them.
    """

    url: str = "ws://127.0.0.1:8765"
    model: str = "net"
    n_sessions: int = 1
    n_connections: int = 1
    hz: float = 100.0
    phases: tuple[Phase, ...] = ()
    arrivals: Kind = "constant"
    batch: str = "single"
    loop: Literal["open", "closed"] = "open"
    window: int = 1
    duration_s: float = 10.0
    warm_s: float = 1.0
    grace_s: float = 5.0
    give_up_ms: float = 0.0
    dialect: Dialect = "streamrnn"
    overload: Literal["reject", "drop_oldest", "skip_output"] = "reject"
    queue_frames: int | None = None
    input_size: int = 0
    output_size: int = 0
    n_tokens: int = 0
    deadline_ms: float = 10.0
    send_buffer_bytes: int = 0
    max_unanswered: int = 0
    seed: int = 0
    model_file: Path | None = None
    n_checked_frames: int = 0

    def __post_init__(self) -> None:
        """Refuse what cannot be run.

        Raises:
            LoadError: says what was expected.
        """
        if not 1 <= self.n_connections <= self.n_sessions:
            raise LoadError(f"expected 1 to {self.n_sessions} connections, got {self.n_connections}")
        if self.dialect == "raw" and (self.n_connections != self.n_sessions or self.batch != "single"):
            raise LoadError("expected one session a connection and single frames with the raw dialect")
        if self.hz <= 0 or self.duration_s <= 0 or self.window < 1:
            raise LoadError("expected a rate, a duration and a window above 0")
        if self.batch not in ("single", "columns") and self.chunk < 1:
            raise LoadError(f"expected batch single, columns or chunk:K, got {self.batch!r}")

    @property
    def chunk(self) -> int:
        """Frames of one session in a message."""
        kind, _, count = self.batch.partition(":")
        return int(count) if kind == "chunk" and count.isdigit() else (0 if count or kind == "chunk" else 1)

    @property
    def session_counts(self) -> list[int]:
        """Sessions of each connection."""
        each, more = divmod(self.n_sessions, self.n_connections)
        return [each + (c < more) for c in range(self.n_connections)]

    @property
    def widths(self) -> list[int]:
        """Sessions of each line."""
        return self.session_counts if self.batch == "columns" else [1] * self.n_sessions

    @property
    def total_s(self) -> float:
        """How long it sends, the warm start included."""
        return self.warm_s + (sum(phase.duration_s for phase in self.phases) or self.duration_s)

    def with_sizes(self, input_size: int, output_size: int, n_tokens: int) -> Load:
        """The same with sizes that the server told."""
        return replace(self, input_size=input_size, output_size=output_size, n_tokens=n_tokens)


def base_of(load: Load) -> packets.Values:
    """The frame of each session, but for its first value; see `packets.base_rows`."""
    return packets.base_rows(load.n_sessions, load.input_size, load.seed, load.n_tokens)


def lines_of(load: Load) -> Lines:
    """Who sends what."""
    base = base_of(load)
    counts = load.session_counts
    if load.batch == "columns":
        starts = np.concatenate([[0], np.cumsum(counts)])
        made = [packets.frames_packet(base[a:b]) for a, b in pairwise(starts)]
        return Lines(made, range(load.n_connections), counts, 1)
    handles = [handle for count in counts for handle in range(count)]
    connections = [c for c, count in enumerate(counts) for _ in range(count)]
    if load.dialect == "raw":
        made = [packets.raw_packet(row) for row in base]
    else:
        made = [packets.frame_packet(handle, row, load.chunk) for handle, row in zip(handles, base, strict=True)]
    return Lines(made, connections, [1] * load.n_sessions, load.chunk)


def schedule_of(load: Load) -> Schedule:
    """When each message leaves; in a closed loop, how many may."""
    n_lines = len(load.widths)
    if load.loop == "closed":
        frames = load.chunk * load.n_sessions / n_lines
        rate_hz = min(MAX_MESSAGES_PER_S, MAX_FRAMES_PER_S / frames)
        # Twice the even share: lines do not keep step.
        return room(n_lines, int(2 * rate_hz * load.total_s / n_lines) + 16)
    return schedule(n_lines, load.arrivals, phases_of(load), load.seed)


def phases_of(load: Load) -> Sequence[Phase]:
    """Rates of messages; the warm start has that of the first phase."""
    phases = load.phases or (Phase(load.hz, load.duration_s),)
    warm = (Phase(phases[0].rate_hz, load.warm_s),) if load.warm_s else ()
    return [Phase(phase.rate_hz / load.chunk, phase.duration_s) for phase in (*warm, *phases)]
