"""Draws tokens from a session's outputs, so that it can be fed with its own."""

from __future__ import annotations

import hashlib
import math
import struct

import numpy as np

from streamrnn.decode.decoder import Facts, Floats
from streamrnn.decode.event import Event
from streamrnn.decode.generation import Generation
from streamrnn.decode.settings import SamplerSettings
from streamrnn.errors import OptionError, SnapshotError

_HEAD = struct.Struct("<BBqqqdqqq")
_INPUTS = ("log", "probability", "logit")


class Sampler:
    """Remembers the last output; once armed, has the token of the next frame drawn from it at any time.

    Args:
        settings: which part of the output, and what it is.
        facts: of the model.

    Attributes:
        next_token: to be fed as frame `next_seq`; -1: it is not armed.

    Raises:
        OptionError: a setting does not fit the model.
    """

    def __init__(self, settings: SamplerSettings, facts: Facts) -> None:
        if settings.input not in _INPUTS:
            raise OptionError(f"decoder: input: expected {', '.join(_INPUTS)}, got {settings.input!r}")
        self._first, self._end = facts.part(settings.head)
        self._input = settings.input
        self._labels = facts.labels if len(facts.labels) == self._end - self._first else ()
        self._last: Floats | None = None
        self._generation: Generation | None = None
        self._end_seq = 0
        self.next_seq = 0
        self.next_token = -1

    def arm(self, seq: int, generation: Generation) -> None:
        """Draw the token of frame `seq`, the first of a generation, from the last output.

        Raises:
            OptionError: there is no output yet.
        """
        if self._last is None:
            raise OptionError("generate: expected a session that has seen a frame since its state was new")
        self._generation, self._end_seq = generation, seq + generation.n
        self._draw(seq)

    def disarm(self) -> None:
        """Draw no more; the last output stays."""
        self._generation, self._end_seq, self.next_seq, self.next_token = None, 0, 0, -1

    def feed(self, seq: int, xs: Floats, ys: Floats) -> list[Event]:
        """Take frames and their outputs, as `Decoder.feed`; a frame that was drawn here is an event."""
        self._last = ys[-1, self._first : self._end].copy()
        if self._generation is None or seq != self.next_seq:
            return []
        token = self.next_token
        cause = "stop" if token == self._generation.stop else "length" if seq + 1 >= self._end_seq else ""
        if cause:
            self.disarm()
        else:
            self._draw(seq + 1)
        text = self._labels[token] if self._labels else ""
        return [Event("token", seq, text=text, token=token, cause=cause)]

    def finish(self, seq: int) -> list[Event]:
        """Nothing is open."""
        return []

    def reset(self) -> None:
        """Be as one that has seen nothing."""
        self.disarm()
        self._last = None

    def state(self) -> bytes:
        """All of the above."""
        run = self._generation or Generation(1)
        head = _HEAD.pack(
            self._last is not None, self._generation is not None, self._end_seq, self.next_seq, self.next_token,
            run.temperature, run.top_k, run.seed, -1 if run.stop is None else run.stop,
        )  # fmt: skip
        return head + (b"" if self._last is None else self._last.astype("<f4").tobytes())

    def restore(self, state: bytes) -> None:
        """Go on from a state."""
        size = self._end - self._first
        if len(state) < _HEAD.size or len(state) != _HEAD.size + 4 * size * bool(state[0]):
            raise SnapshotError("the snapshot's decoder: not a state of this sampler")
        has_last, is_armed, end_seq, next_seq, token, temperature, top_k, seed, stop = _HEAD.unpack_from(state)
        if is_armed and not (has_last and 0 <= token < size and 0 <= next_seq < end_seq):
            raise SnapshotError("the snapshot's decoder: not a state of a sampler")
        try:
            run = Generation(max(1, end_seq - next_seq), temperature, top_k, seed, None if stop < 0 else stop)
        except OptionError as error:
            raise SnapshotError(f"the snapshot's decoder: {error}") from error
        self._last = np.frombuffer(state, "<f4", offset=_HEAD.size).astype(np.float32) if has_last else None
        self._generation = run if is_armed else None
        self._end_seq, self.next_seq, self.next_token = end_seq, next_seq, token

    def _draw(self, seq: int) -> None:
        assert self._last is not None and self._generation is not None
        self.next_seq, self.next_token = seq, self._drawn(seq, self._last, self._generation)

    def _drawn(self, seq: int, last: Floats, run: Generation) -> int:
        scores = np.nan_to_num(last.astype(np.float64), nan=-math.inf, posinf=1e30)
        if self._input == "probability":
            scores = np.log(np.maximum(scores, 1e-300))
        order = np.argsort(-scores, kind="stable")
        if run.temperature == 0.0 or scores[order[0]] == -math.inf:
            return int(order[0])
        kept = order[: run.top_k or len(order)]
        weights = np.exp((scores[kept] - scores[kept[0]]) / run.temperature)
        digest = hashlib.blake2b(struct.pack("<qq", run.seed, seq), digest_size=8).digest()
        point = (int.from_bytes(digest, "little") >> 11) / 2**53 * weights.sum()
        return int(kept[min(np.searchsorted(np.cumsum(weights), point, side="right"), len(kept) - 1)])
