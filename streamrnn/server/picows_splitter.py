"""A splitter whose frames are cut and unmasked by `picows`, in C; what is not right is judged by the splitter itself.

`picows` parses, answers and closes in one class that owns a socket. Here that class is given a wire that leads nowhere,
so that nothing is said which is not ours. Whatever it tries to send tells that it does not like a frame: from there on
the bytes are read by `Splitter`, and so the two agree about every fault, its reason and its place.
"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from picows import WSAutoPingStrategy, WSListener
from picows.picows import WSProtocol  # type: ignore[attr-defined]

from streamrnn.server.connection import Connection
from streamrnn.server.splitter import FIN, MAX_CONTROL_BYTES, PLAIN, Splitter, Step

BUFFER_BYTES = 8192
"""What the buffer of `picows` starts with. It doubles it for a longer frame, and never gives it back."""
MAX_KEPT_BYTES = 65536
"""A frame longer than this has the parser made anew once it is empty, so that its buffer is freed."""
PORTION_BYTES = 8192
"""Bytes to be parsed at once: 1,300 empty frames, which is below a slice of the backlog."""
MAX_HEAD_BYTES = 14
MAX_HELD_BYTES = 6 + MAX_CONTROL_BYTES
"""Of a frame that is not whole yet so much is kept: `picows` judges a close when it is whole, all else by its head."""
OPENING = (
    b"GET / HTTP/1.1\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Version: 13\r\n"
    b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
)
"""A handshake of ours, which takes `picows` to the frames; the client's own has been answered before."""
PLUG = SimpleNamespace(fileno=lambda: -1, setsockopt=lambda *option: None, getsockopt=lambda *option: 0)
"""A socket that is none: a write to it fails, and never reaches another connection."""
QUIET = logging.Logger("picows", logging.CRITICAL + 1)
"""Keeps to itself what a client does wrong: its connection tells it."""


class Wire:
    """Where `picows` believes to write: once to accept, and then to close because of what it does not like.

    Attributes:
        is_refused: the latter.
    """

    def __init__(self) -> None:
        self.is_refused = False

    def get_extra_info(self, name: str) -> object:
        """No addresses and no TLS."""
        return PLUG if name == "socket" else None

    def get_write_buffer_size(self) -> int:
        """Never empty, so that `picows` hands over bytes and does not send them itself."""
        return 1

    def write(self, chunk: bytes) -> None:
        """Note a close frame; the answer to our own handshake is no news."""
        self.is_refused = self.is_refused or chunk[0] == 0x88

    def close(self) -> None:
        """The connection closes itself."""


class Frames(WSListener):
    """Collects whole frames: first byte and payload.

    Attributes:
        queue: they.
        n_after: bytes behind the last of them.
    """

    def __init__(self) -> None:
        self.queue: deque[tuple[int, bytes]] = deque()
        self.n_after = 0

    def on_ws_frame(self, transport: object, frame: Any) -> None:
        """Take one."""
        reserved = frame.rsv1 << 6 | frame.rsv2 << 5 | frame.rsv3 << 4
        first = frame.msg_type | frame.fin << 7 | reserved
        self.queue.append((first, frame.get_payload_as_bytes()))
        self.n_after = frame.tail_size


class PicowsSplitter(Splitter):
    """See `Splitter`; must be made in the loop's thread."""

    __slots__ = ("_frames", "_get_space", "_held", "_is_grown", "_is_handed_over", "_update", "_wire")

    def __init__(self, max_size: int, max_fragments: int) -> None:
        super().__init__(max_size, max_fragments)
        self._frames = Frames()
        self._held = b""  # how the frame begins that is not whole yet
        self._is_handed_over = False
        self._begin()

    def _begin(self) -> None:
        frames = self._frames  # and not `self`: a circle of references would wait for the garbage collector
        self._wire = Wire()
        self._is_grown = False
        never = (False, 1, 1, WSAutoPingStrategy.PING_WHEN_IDLE, False)
        told = (None, None, False, lambda asked: frames, QUIET, True, None, *never, self._max_size, None, BUFFER_BYTES)
        inner: Any = WSProtocol(*told)
        inner.connection_made(self._wire)
        self._get_space: Callable[[int], memoryview] = inner.get_buffer
        self._update: Callable[[int], None] = inner.buffer_updated
        self._get_space(0)[: len(OPENING)] = OPENING
        self._update(len(OPENING))

    @property
    def is_empty(self) -> bool:
        """Whether the next byte begins a message."""
        return self._parts is None and self._rest is None and not (self._held or self.is_kept)

    @property
    def is_kept(self) -> bool:
        """Whether there may be another step without further bytes."""
        return bool(self._frames.queue) or self._at < len(self._chunk)

    def step(self) -> Step | None:
        """Take one frame, see `Splitter.step`."""
        if self._is_handed_over:
            return super().step()
        queue = self._frames.queue
        while not queue:
            if self._wire.is_refused:
                self._chunk, self._at = self._held + self._chunk[self._at :], 0
                self._held, self._is_handed_over = b"", True
                return super().step()
            if self._at == len(self._chunk):
                self._chunk, self._at = b"", 0
                if self._held:
                    self._judge_held()
                return None
            self._feed()
        first, payload = queue.popleft()
        opcode = first & 15
        if self._parts is None and first in PLAIN:
            return opcode, payload
        self._judge(first, opcode, len(payload))
        if first & FIN and opcode:
            return opcode, payload
        return self._join(first, opcode, payload)

    def _feed(self) -> None:
        """Let `picows` parse the next portion."""
        space = self._get_space(0)
        portion = self._chunk[self._at : self._at + min(len(space), PORTION_BYTES)]
        n_bytes = len(portion)
        space[:n_bytes] = portion
        self._at += n_bytes
        self._update(n_bytes)
        frames = self._frames
        if frames.queue:
            self._held = portion[n_bytes - frames.n_after :]
            self._is_grown = self._is_grown or len(frames.queue[0][1]) > MAX_KEPT_BYTES
        else:
            self._held += portion
        if self._wire.is_refused:
            return  # all of what is held will be read again
        self._held = self._held[:MAX_HELD_BYTES]
        if self._is_grown and not self._held:
            self._begin()

    def _judge_held(self) -> None:
        """Refuse a frame by its head alone, as far as that has come: `picows` lets some go on until they are whole."""
        self._chunk, self._at = self._held[:MAX_HEAD_BYTES], 0
        super().step()
        self._chunk, self._at, self._rest = b"", 0, None


class PicowsConnection(Connection):
    """A connection whose frames `picows` reads, every one of them."""

    __slots__ = ()
    splitter = PicowsSplitter
    is_short = False
