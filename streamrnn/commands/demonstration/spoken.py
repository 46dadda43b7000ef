"""The spoken part of the demo: a recording streamed as it was spoken, and the words that come back."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from streamrnn.commands.demonstration.sessions import Floats, Played
from streamrnn.commands.latency import Latency
from streamrnn.commands.listening import loudness_of
from streamrnn.commands.pace import Pace
from streamrnn.commands.sound import Recording
from streamrnn.commands.sound_feed import SoundFeed

if TYPE_CHECKING:
    from streamrnn_client import Client

MAX_LEVELS = 400
TAIL_S = 1.5
WINDOW_FRAMES = 64


@dataclass
class Spoken:
    """What there is to see of a recording while it is heard.

    Attributes:
        recording: the sound.
        words: what was said, in order.
        levels: loudness of the last frames, 0 .. 1.
        partial: the words of the present utterance.
        finals: those of utterances that have ended: when, in seconds, and what.
        latency: of its frames.
    """

    recording: Recording
    words: tuple[str, ...]
    levels: deque[float] = field(default_factory=lambda: deque(maxlen=MAX_LEVELS))
    partial: str = ""
    finals: list[tuple[float, str]] = field(default_factory=list)
    latency: Latency = field(default_factory=Latency)

    @classmethod
    def read(cls, wav: Path, words: Path) -> Spoken:
        """Read a recording, and the words that were said in it, in order, from a text."""
        return cls(Recording.read(wav), tuple(words.read_text("utf-8").split()))

    @property
    def heard(self) -> tuple[str, ...]:
        """The words that came back, in order."""
        return tuple(word for _, text in self.finals for word in text.split())


async def listen(client: Client, model: str, spoken: Spoken, on_change: Callable[[], None]) -> Played:
    """Stream the recording at the pace at which it was spoken, and keep every output and event."""
    session = await client.open(model, window=WINDOW_FRAMES, decoder="model")
    latency = spoken.latency
    frames: list[Any] = []
    outputs: list[Any] = []
    events: list[Any] = []
    latency.started_ns = time.perf_counter_ns()

    def hear(samples: Floats) -> None:
        spoken.levels.append(loudness_of(samples))

    feed = SoundFeed(spoken.recording, Pace.parse("realtime"), TAIL_S, hear)
    source = _kept(feed.frames(session, latency), frames)
    async for output in session.stream(source, window=WINDOW_FRAMES):
        latency.answer()
        outputs.append(output.y)
        events += output.events
        for event in output.events:
            spoken.partial = event.text if event.kind == "partial" else ""
            if event.kind == "final":
                spoken.finals.append((event.seq / session.rate_hz, event.text))
        on_change()
    await session.close()
    return Played(model, np.array(frames, np.float32), np.array(outputs, np.float32), latency, tuple(events))


async def _kept(frames: AsyncIterator[Any], kept: list[Any]) -> AsyncIterator[Any]:
    async for frame in frames:
        kept.append(frame)
        yield frame
