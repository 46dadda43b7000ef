"""A connection in memory: bytes both ways, late and in pieces, until it is cut at some byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from random import Random

from tests.simulation.clock import Clock

_HEAD = struct.Struct(">I")


class Direction:
    """One way of a cable: messages go in whole, bytes travel, messages come out whole or not at all."""

    def __init__(self, clock: Clock, random: Random, take: Callable[[bytes], None], cut: Callable[[], None]) -> None:
        self._clock = clock
        self._random = random
        self._take = take
        self._cut = cut
        self._under_way = bytearray()
        self._inbox = bytearray()
        self._is_moving = False
        self.cut_after: int | None = None
        self.is_over = False
        self.stalled_until_ns = 0

    @property
    def n_under_way(self) -> int:
        """Bytes that have not arrived."""
        return len(self._under_way)

    def put(self, message: bytes) -> None:
        """Send a message."""
        if not self.is_over:
            self._under_way += _HEAD.pack(len(message)) + message
            self._move_soon()

    def _move_soon(self) -> None:
        if not self._is_moving:
            self._is_moving = True
            stalled_ms = max(0, self.stalled_until_ns - self._clock.now_ns) / 1e6
            self._clock.after(stalled_ms + self._random.choice((0.05, 0.2, 1.0, 5.0)), self._move)

    def _move(self) -> None:
        """A segment of any size arrives; the cut comes at its very byte."""
        self._is_moving = False
        if self.is_over:
            return
        n_bytes = self._random.randint(1, max(1, len(self._under_way))) if self._random.random() < 0.4 else 1 << 30
        segment = bytes(self._under_way[:n_bytes])
        del self._under_way[: len(segment)]
        is_cut = self.cut_after is not None and self.cut_after <= len(segment)
        if self.cut_after is not None:
            segment = segment[: self.cut_after]
            self.cut_after -= len(segment)
        self._inbox += segment
        self._hand_over()
        if is_cut and not self.is_over:
            self._cut()
        elif self._under_way:
            self._move_soon()

    def _hand_over(self) -> None:
        while len(self._inbox) >= _HEAD.size and not self.is_over:
            (size,) = _HEAD.unpack_from(self._inbox)
            if len(self._inbox) < _HEAD.size + size:
                return
            message = bytes(self._inbox[_HEAD.size : _HEAD.size + size])
            del self._inbox[: _HEAD.size + size]
            self._take(message)


class Cable:
    """Two directions. Once it is cut each side hears of it, in its own time; what was under way is gone."""

    def __init__(
        self,
        clock: Clock,
        random: Random,
        to_server: Callable[[bytes], None],
        to_client: Callable[[bytes], None],
    ) -> None:
        self._clock = clock
        self._random = random
        self.up = Direction(clock, random, to_server, self.cut)
        self.down = Direction(clock, random, to_client, self.cut)
        self.on_server_end: Callable[[], None] = _nothing
        self.on_client_end: Callable[[], None] = _nothing
        self.is_cut = False

    def cut(self) -> None:
        """End it without a word: one side may go on for a while in the belief that it stands."""
        if self.is_cut:
            return
        self.is_cut = self.up.is_over = self.down.is_over = True
        for tell in (self.on_server_end, self.on_client_end):
            self._clock.after(self._random.choice((0.0, 0.1, 50.0)), tell)


def _nothing() -> None:
    """Nobody is there."""
