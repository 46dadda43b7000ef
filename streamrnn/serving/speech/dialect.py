"""What a speech protocol says: how its messages are read, and how what was heard is told in it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, Protocol

from streamrnn.audio.samples import Encoding
from streamrnn.decode.event import Event
from streamrnn.serving.speech.clock import Clock
from streamrnn.wire.codec import Buffer

Order = Literal["end", "restart", "stop", "nothing"]
"""`end`: the recording is over; `restart`: it is, and another one goes on from it; `stop`: it is, for the server stops;
`nothing`: the message asked for no answer."""


class Dialect(Protocol):
    """One connection's protocol. It keeps what is not told yet, and the settings that the client has sent.

    Attributes:
        name: of the protocol.
        encoding: of the samples.
        rate_hz: of the samples.
        phrases: the only ones that the client expects, or none.
        is_single: the connection ends with the recording.
        farewell: messages that follow the last result of a recording that the client has ended.
    """

    name: str
    encoding: Encoding
    rate_hz: float
    phrases: tuple[str, ...]
    is_single: bool
    farewell: tuple[str, ...]

    def read(self, payload: Buffer, is_text: bool) -> Buffer | Order:
        """The samples in a message, or what it asks for.

        Raises:
            MalformedError, OptionError: it is none that the protocol knows, or a setting is out of range.
        """
        ...

    def begin(self, clock: Clock) -> None:
        """A recording begins; its frames have these times."""
        ...

    def hear(self, event: Event) -> list[str]:
        """Take an event of the recording, and return the messages that tell of it at once."""
        ...

    def answer(self) -> list[str]:
        """Return the messages due for a chunk of samples whose frames have all been heard."""
        ...

    def end(self, events: Sequence[Event]) -> list[str]:
        """Take the last events of the recording, and return the messages that end it."""
        ...
