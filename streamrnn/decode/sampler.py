"""Sampler: tokens drawn from a session's outputs, one for the next frame, until enough are drawn."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from streamrnn.decode.decoder import Facts, Floats
from streamrnn.decode.draw import draw, softmax, uniform
from streamrnn.decode.event import Event
from streamrnn.decode.generation import Generation
from streamrnn.decode.posteriors import INPUTS
from streamrnn.decode.ranges import check_choice, check_range
from streamrnn.decode.record import MAX_SEQ, Record, check_state, read_record, write_record
from streamrnn.decode.settings import SamplerSettings
from streamrnn.errors import UsageError


class _State(Record, tag="sampler1"):
    """What a frame changes.

    Attributes:
        last: the head's last known output, little-endian float32; empty: none was seen.
        generation: the one that runs, or None.
        n_left: tokens that it may still take, the next one among them.
        next_token: the token of frame `next_seq`, None: no generation runs.
        next_seq: the frame that it is drawn for.
        score: probability that the model gave the next token.
    """

    last: bytes = b""
    generation: Generation | None = None
    n_left: int = 0
    next_token: int | None = None
    next_seq: int = 0
    score: float = 0.0


class Sampler:
    """A decoder that draws: armed for frame `next_seq`, it says which token that frame must be.

    A token is told (event `token`) when its frame passes by; whoever owns the session makes that frame. Its score is
    the probability that the model itself gave it, without temperature and top_k. An output that holds NaN or +inf is
    passed over: the next draw is from the last one that did not. Where frames go missing and `next_seq` is among them,
    its token was not taken: the generation is over, without an event.
    """

    effort = 0

    def __init__(self, settings: SamplerSettings, facts: Facts) -> None:
        """Start afresh.

        Raises:
            OptionError: there is no such head or input.
        """
        check_choice("input", settings.input, INPUTS)
        self._is_probability = settings.input == "probability"
        self._first, self._end = facts.part(settings.head)
        self._names = facts.names(settings.head)
        self._now = _State()

    @property
    def next_token(self) -> int | None:
        """The token that frame `next_seq` must be; None: no generation runs."""
        return self._now.next_token

    @property
    def next_seq(self) -> int:
        """The frame that `next_token` is for."""
        return self._now.next_seq

    def arm(self, seq: int, generation: Generation) -> None:
        """Draw the token of frame `seq` from the last output; a generation that runs is replaced.

        Raises:
            UsageError: no output was seen since the beginning or the last reset.
            OptionError: the stop token is none of the model's.
        """
        if generation.stop >= len(self._names):
            check_range("stop", generation.stop, -1, len(self._names) - 1)
        if not self._now.last:
            raise UsageError("generate: expected at least one frame before, to draw the first token from its output")
        self._now.generation, self._now.n_left = generation, generation.n
        self._draw(seq)

    def disarm(self) -> None:
        """Stop the generation that runs, if one does."""
        self._now = _State(self._now.last)

    def feed(self, seq: int, xs: Floats, ys: Floats) -> list[Event]:
        """Take frames and their outputs, as `Decoder.feed`."""
        events: list[Event] = []
        for at, y in enumerate(ys[:, self._first : self._end], seq):
            if self._logs(y) is not None:
                self._now.last = y.astype("<f4").tobytes()
            if self._now.next_token is not None and at >= self._now.next_seq:
                self._pass(at, events)
        return events

    def finish(self, seq: int) -> list[Event]:
        """A generation that runs is over, without an event; what comes is heard anew."""
        self.reset()
        return []

    def reset(self) -> None:
        """Be as one that has seen nothing."""
        self._now = _State()

    def state(self) -> bytes:
        """Everything that `feed` changes, and the generation that runs."""
        return write_record(self._now)

    def restore(self, state: bytes) -> None:
        """Go on from a state; on an error nothing has changed.

        Raises:
            SnapshotError: it is none of a decoder with these settings.
        """
        now, n = read_record(state, _State), len(self._names)
        is_known = len(now.last) == 4 * n and self._logs(np.frombuffer(now.last, "<f4")) is not None
        check_state(is_known or not now.last, "an output")
        if now.generation is None:
            check_state(write_record(_State(now.last)) == state, "a generation")
        else:
            is_drawn = now.next_token is not None and 0 <= now.next_token < n and 0.0 <= now.score <= 1.0
            check_state(is_known and is_drawn and 0 <= now.next_seq <= MAX_SEQ, "a generation")
            check_state(1 <= now.n_left <= now.generation.n and now.generation.stop < n, "a generation")
        self._now = now

    def _pass(self, at: int, events: list[Event]) -> None:
        """Frame `at` went by, the armed one or one beyond it."""
        now = self._now
        token, generation = now.next_token, now.generation
        assert token is not None and generation is not None
        if at > now.next_seq:
            self.disarm()
            return
        now.n_left -= 1
        cause = "stop" if token == generation.stop else "" if now.n_left else "length"
        events.append(Event("token", at, self._names[token], now.score, token, cause))
        if cause:
            self.disarm()
        else:
            self._draw(at + 1)

    def _draw(self, seq: int) -> None:
        now, logs = self._now, self._logs(np.frombuffer(self._now.last, "<f4"))
        generation = now.generation
        assert logs is not None and generation is not None
        u = uniform(generation.seed, seq)
        token = draw(logs, generation.temperature, generation.top_k, u)
        now.next_seq, now.next_token, now.score = seq, token, min(float(softmax(logs)[token]), 1.0)

    def _logs(self, y: Floats) -> NDArray[np.float64] | None:
        """An output of the head as logits, (n,) float64, or None where it is unknown."""
        values = y.astype(np.float64)
        if self._is_probability:
            with np.errstate(divide="ignore"):
                values = np.log(np.maximum(values, 0.0))
        top = float(values.max())
        return values if -math.inf < top < math.inf else None
