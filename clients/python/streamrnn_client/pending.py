"""What was sent and is not answered yet."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from streamrnn_client.errors import StreamrnnClientError, WaitTimeoutError
from streamrnn_client.messages import Fork, Message


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


@dataclass(slots=True, eq=False)
class PendingFrames(Pending):
    """Frames `seq .. seq + n - 1` of one message; its value is the list of their outputs' bytes.

    The frames themselves are kept until answered, so that they can be sent again on another connection. `doomed` frames
    stand behind a refused one: the server will refuse them too, and their seqs are given to later frames.
    """

    seq: int = 0
    payloads: list[bytes] = field(default_factory=list)
    outputs: list[bytes] = field(default_factory=list)
    doomed: bool = False

    @property
    def n(self) -> int:
        return len(self.payloads)


@dataclass(slots=True, eq=False)
class PendingAsk(Pending):
    """Any other message: `open`, `restore`, `fork`, `reset`, `flush`, `snapshot`, `close`.

    An `abandoned` ask has nobody waiting: a session that it opens is closed at once.
    """

    message: Message = field(default_factory=Message)
    abandoned: bool = False

    @property
    def of(self) -> str:
        return self.message.type

    @property
    def source(self) -> int | None:
        """The handle that is copied, if this is a `fork`."""
        return self.message.handle if isinstance(self.message, Fork) else None


def no_answer(of: str, after_s: float, pending: Pending | None = None) -> WaitTimeoutError:
    """What a shell raises when it waits no longer; `of` is `connect`, `open`, `step` or another message."""
    seq = pending.seq if isinstance(pending, PendingFrames) else None
    return WaitTimeoutError(f"expected an answer to {of} within {after_s:g} s", of=of, after_s=after_s, seq=seq)
