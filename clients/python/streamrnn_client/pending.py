"""What was sent and is not answered yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from streamrnn_client.errors import SkippedError, StreamrnnClientError
from streamrnn_client.losses import WaitTimeoutError
from streamrnn_client.messages import Fork, Message, OutputEvent


@dataclass(slots=True, eq=False)
class Pending:
    """Settled exactly once, with a value or an error. `waiter` is the shell's, which calls it when that happens."""

    waiter: Callable[[], None] | None = None
    done: bool = False
    value: Any = None
    error: StreamrnnClientError | None = None

    def settle(self, value: Any) -> None:
        """The answer came."""
        assert not self.done, "settled twice"
        self.value = value
        self.done = True  # last: a thread without the lock may look at it

    def fail(self, error: StreamrnnClientError) -> None:
        """It will never come; `error` is kept as an instance of our own."""
        assert not self.done, "settled twice"
        self.error = error.again()
        self.done = True

    def result(self) -> Any:
        """The value.

        Raises:
            StreamrnnClientError: the answer was an error.
        """
        assert self.done, "not settled"
        if self.error is not None:
            raise self.error
        return self.value


class Mark(NamedTuple):
    """What was told with an output; where `is_stepped` is not None the frame was skipped and has none.

    `events` are of the frames that they name, all else is of the first.
    """

    filled: int = 0
    was_reset: bool = False
    is_stepped: bool | None = None
    events: tuple[OutputEvent, ...] = ()


PLAIN = Mark()


KEPT_BYTES = 200


class Kept:
    """Frames `seq .. end - 1` of one message, kept until the server cannot ask for them again.

    `payload` holds them all, which the server reads as `n` of one size. `n_bytes` is what keeping them takes, about.
    """

    __slots__ = ("_payload", "end", "is_answered", "n", "n_bytes", "seq", "time_us")

    def __init__(self, seq: int, n: int, payload: bytes, time_us: int | None = None) -> None:
        self.seq = seq
        self.end = seq + n
        self.n = n
        self._payload = payload
        self.n_bytes = KEPT_BYTES + len(payload)
        self.time_us = time_us
        self.is_answered = False

    @property
    def payload(self) -> bytes:
        """The frames' values."""
        return self._payload

    def renumber(self, seq: int) -> None:
        """They begin with frame `seq` now."""
        self.seq = seq
        self.end = seq + self.n

    def tail(self, seq: int, period_us: int) -> Kept:
        """Those of them from `seq` on."""
        n_passed = seq - self.seq
        time_us = None if self.time_us is None else self.time_us + n_passed * period_us
        tail = Kept(seq, self.n - n_passed, self.payload[len(self.payload) // self.n * n_passed :], time_us)
        tail.is_answered = self.is_answered
        return tail

    def pieces(self, limit: int, period_us: int) -> list[Kept]:
        """As messages of at most `limit` frames, if they are answered: then nobody waits for this one."""
        pieces: list[Kept] = []
        rest: Kept = self
        while rest.is_answered and rest.n > limit:
            behind = rest.tail(rest.seq + limit, period_us)
            head = Kept(rest.seq, limit, rest.payload[: len(rest.payload) // rest.n * limit], rest.time_us)
            head.is_answered = True
            pieces.append(head)
            rest = behind
        return [*pieces, rest]


class Draw(NamedTuple):
    """How the server draws tokens, as in `generate`: by the seed, the frame's seq and the output before it."""

    temperature: float = 1.0
    top_k: int = 0
    seed: int = 0
    stop: int = -1


class Drawn(Kept):
    """Frames of one `generate`: at most so many, until their outputs tell that there are fewer.

    The server needs nothing but how they are drawn. A part that `goes_on` is not even asked for: the server has begun.
    """

    __slots__ = ("draw", "goes_on")

    def __init__(self, seq: int, n: int, draw: Draw) -> None:
        super().__init__(seq, n, b"")
        self.draw = draw
        self.goes_on = False

    def shorten(self, end: int) -> None:
        """They end before frame `end`."""
        self.n -= self.end - end
        self.end = end

    def tail(self, seq: int, period_us: int) -> Kept:
        """Those of them from `seq` on, where the server is amid them."""
        tail = Drawn(seq, self.end - seq, self.draw)
        tail.goes_on, tail.is_answered = True, self.is_answered
        return tail

    def pieces(self, limit: int, period_us: int) -> list[Kept]:
        """Itself: the server draws all of it, or goes on with it."""
        return [self]


@dataclass(slots=True, eq=False)
class PendingFrames(Pending):
    """Frames of one message; its value is the list of their outputs' bytes, `b""` for one that was skipped.

    `doomed` frames stand behind a refused one: the server will refuse them too, and their seqs are given to later ones.
    """

    kept: Kept = field(default_factory=lambda: Kept(0, 0, b""))
    outputs: list[bytes] = field(default_factory=list)
    marks: dict[int, Mark] = field(default_factory=dict)
    doomed: bool = False

    @property
    def seq(self) -> int:
        """The first frame's."""
        return self.kept.seq

    @property
    def n(self) -> int:
        """How many frames."""
        return self.kept.n

    def skip_of(self, i: int) -> SkippedError | None:
        """Why the frame `i` of them has no output, if it has none."""
        is_stepped = self.marks.get(i, PLAIN).is_stepped
        if is_stepped is None:
            return None
        said = "the state has seen it" if is_stepped else "dropped unseen"
        return SkippedError(f"frame {self.seq + i} gets no output: {said}", is_stepped=is_stepped, seq=self.seq + i)

    def only_output(self) -> bytes:
        """The output of a message of one frame.

        Raises:
            StreamrnnClientError: it was refused or skipped.
        """
        skip = self.skip_of(0)
        if self.error is None and skip is not None:
            raise skip
        output: bytes = self.result()[0]
        return output


@dataclass(slots=True, eq=False)
class PendingAsk(Pending):
    """Any other message: `open`, `restore`, `fork`, `reset`, `flush`, `snapshot`, `rollback`, `close`.

    Inside a session it stands before the frame `position`. An `abandoned` ask has nobody waiting: a session that it
    opens is closed at once. `n_sent` counts the connections on which it was asked.
    """

    message: Message = field(default_factory=Message)
    abandoned: bool = False
    position: int = 0
    n_sent: int = 0

    @property
    def of(self) -> str:
        """The message's type."""
        return self.message.type

    @property
    def source(self) -> int | None:
        """The handle that is copied, if this is a `fork`."""
        return self.message.handle if isinstance(self.message, Fork) else None


Entry = Kept | PendingAsk
"""What a session sends, in order."""


def no_answer(of: str, after_s: float, pending: Pending | None = None) -> WaitTimeoutError:
    """What a shell raises when it waits no longer; `of` is `connect`, `open`, `step` or another message."""
    seq = pending.seq if isinstance(pending, PendingFrames) else None
    return WaitTimeoutError(f"expected an answer to {of} within {after_s:g} s", of=of, after_s=after_s, seq=seq)
