"""What `open` may be told about a session, checked once; the server has its own say within its bounds."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypedDict, get_args

from streamrnn_client.errors import OptionError
from streamrnn_client.messages import Open

Overload = Literal["reject", "drop_oldest", "skip_output"]
Gap = Literal["none", "hold", "linear", "zero", "reset_after"]
MAX_WINDOW = 65536
MAX_S = 2**53 / 1_000_000

DEFAULT_WINDOW = 64


class SessionArgs(TypedDict, total=False):
    """The keyword arguments of `open`; see `SessionOptions`."""

    window: int | None
    overload: Overload
    park_s: float | None
    expire_s: float | None
    gap: Gap
    period_s: float
    reset_after_s: float
    decoder: str | Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class SessionOptions:
    """Options of one session.

    Raises:
        OptionError: a value out of range.
    """

    window: int | None = DEFAULT_WINDOW
    """Most frames that may be unanswered; None: as many as the server takes. It keeps as many outputs to give again,
    and saves them with each checkpoint: say what you need."""
    overload: Overload = "reject"
    """What becomes of frames beyond that: refused, or the oldest that wait are dropped, or stepped without output."""
    park_s: float | None = None
    """Silence after which the server keeps only the state; None: the server's."""
    expire_s: float | None = None
    """Time parked after which the session is forgotten; None: the server's."""
    gap: Gap = "none"
    """How missing samples are made up: by the last frame, a line, zeros, or a reset. Frames then bear times."""
    period_s: float = 0.0
    """From one frame to the next, in whole microseconds; needed with `gap`."""
    reset_after_s: float = 0.0
    """A longer gap resets the state; needed with `gap="reset_after"`."""
    decoder: str | Mapping[str, Any] = "none"
    """What finds events in the outputs: `none`, `model` for what the model's card says, or settings of your own."""

    def __post_init__(self) -> None:
        if self.overload not in get_args(Overload):
            raise OptionError(f"expected overload as one of {get_args(Overload)}, got {self.overload!r}")
        if self.gap not in get_args(Gap):
            raise OptionError(f"expected gap as one of {get_args(Gap)}, got {self.gap!r}")
        if self.window is not None and not (isinstance(self.window, int) and 1 <= self.window <= MAX_WINDOW):
            raise OptionError(f"expected a window of 1 to {MAX_WINDOW} frames, got {self.window!r}")
        for name in ("park_s", "expire_s", "period_s", "reset_after_s"):
            value: Any = getattr(self, name)
            if value is not None and not (isinstance(value, int | float) and 0 <= value < MAX_S):
                raise OptionError(f"expected {name} of at least 0, got {value!r}")
        if self.gap != "none" and _whole(self.period_s, 1_000_000) < 1:
            raise OptionError(f"expected period_s of at least a microsecond with gap={self.gap!r}")
        if self.gap == "reset_after" and _whole(self.reset_after_s, 1_000_000) < 1:
            raise OptionError("expected reset_after_s above 0 with gap='reset_after'")

    def message(self, model: str) -> Open:
        """The `open` that says them; its handle is yet to be chosen."""
        return Open(
            0,
            model,
            window=self.window,
            overload=self.overload,
            park_ms=None if self.park_s is None else _whole(self.park_s, 1000),
            expire_ms=None if self.expire_s is None else _whole(self.expire_s, 1000),
            gap=self.gap,
            period_us=_whole(self.period_s, 1_000_000),
            reset_after_us=_whole(self.reset_after_s, 1_000_000),
            decoder=self.decoder if isinstance(self.decoder, str) else json.dumps(dict(self.decoder)),
        )


def _whole(seconds: float, per_s: int) -> int:
    """In whole units; a wish above 0 stays one, since 0 means none."""
    return max(round(seconds * per_s), 1 if seconds > 0 else 0)
