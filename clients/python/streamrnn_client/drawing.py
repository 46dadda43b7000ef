"""The tokens of one `generate` call: asked for in messages of at most a window, told in order. No I/O, no waiting."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import NamedTuple

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import MalformedError, OptionError
from streamrnn_client.floats import Vector, vector
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import PLAIN, Draw, PendingFrames

MAX_PROMPT_CHUNK = 64
MAX_TOKEN = 2**31 - 1
MAX_SEED = 2**53 - 1


class Token(NamedTuple):
    """A token that the server drew and stepped as frame `seq`.

    `text` is its label, or its id where the model has no labels; `score` the probability that the model gave it before
    temperature and `top_k`; `y` the output that followed it.
    """

    seq: int
    token: int
    text: str
    score: float
    y: Vector


class Drawing:
    """At most `n` tokens. The next message goes once the one before has all its outputs: nobody knows where it ends.

    While it stands nobody else may send frames to the session, for they would come between.

    Args:
        n: at least 1.
        draw: how; the stop token is told too, and is the last.
        waiter: called when there is something to collect.

    Raises:
        OptionError: `n` is out of range, or the session has no sampler.
        UsageError: another one stands.
    """

    def __init__(
        self, dialogue: Dialogue, ledger: Ledger, n: int, draw: Draw, waiter: Callable[[], None] | None = None
    ) -> None:
        if not isinstance(n, int) or n < 1:
            raise OptionError(f"expected n of at least 1, got {n!r}")
        self._dialogue = dialogue
        self._ledger = ledger
        self._draw = draw
        self._waiter = waiter
        self._n_left = n
        self._n_told = 0
        self._pending: PendingFrames | None = None
        ledger.take_turn(self)
        self._ask()

    @property
    def head(self) -> PendingFrames | None:
        """The message whose outputs come next."""
        return self._pending

    @property
    def ready(self) -> bool:
        """`collect` has a token or an error to give, or all is over."""
        pending = self._pending
        return pending is None or pending.done or len(pending.outputs) > self._n_told

    @property
    def over(self) -> bool:
        """Every token was told."""
        return self._pending is None

    def collect(self) -> Iterator[Token]:
        """The tokens that have arrived, in order; asks for more behind the last one of a message.

        Raises:
            StreamrnnClientError: the session could not generate, or has ended.
        """
        while (pending := self._pending) is not None:
            while self._n_told < len(pending.outputs):
                yield self._told(pending, self._n_told)
            if not pending.done:
                return
            self._pending, self._n_told = None, 0
            if pending.error is not None:
                self.close()
            pending.result()
            self._n_left -= pending.n
            if self._n_left > 0 and _cause(pending) != "stop":
                self._ask()
            else:
                self.close()

    def close(self) -> None:
        """No more is wanted; what is under way will be read and dropped."""
        if self._pending is not None:
            self._dialogue.abandon(self._pending)
        self._pending, self._n_left = None, 0
        self._ledger.leave_turn(self)

    def _ask(self) -> None:
        limit = self._ledger.opened.max_queue_frames or self._dialogue.options.max_chunk_frames
        try:
            self._pending = self._dialogue.generate(self._ledger, min(self._n_left, limit), self._draw)
        except Exception:
            self.close()
            raise
        self._pending.waiter = self._waiter

    def _told(self, pending: PendingFrames, i: int) -> Token:
        self._n_told += 1
        skip = pending.skip_of(i)
        if skip is not None:
            self.close()
            raise skip
        seq = pending.seq + i
        for event in pending.marks.get(i, PLAIN).events:
            if event.kind == "token":
                return Token(seq, event.token, event.text, event.score, vector(pending.outputs[i]))
        self.close()
        raise MalformedError(f"an output for seq {seq}, which was to be a token, without one")


def draw_of(temperature: float, top_k: int, seed: int, stop: int | str | None, labels: Sequence[str]) -> Draw:
    """How tokens are drawn.

    Raises:
        OptionError: a value out of range, or a stop that is no label.
    """
    if isinstance(temperature, bool) or not isinstance(temperature, int | float) or not 0 <= temperature < math.inf:
        raise OptionError(f"expected a temperature of at least 0, got {temperature!r}")
    if isinstance(stop, str):
        if stop not in labels:
            raise OptionError(f"expected stop as a label of the model, got {stop!r}")
        stop = labels.index(stop)
    checked = -1 if stop is None else stop
    for name, value, low, high in (
        ("top_k", top_k, 0, MAX_TOKEN),
        ("seed", seed, 0, MAX_SEED),
        ("stop", checked, -1, MAX_TOKEN),
    ):
        if not isinstance(value, int) or isinstance(value, bool) or not low <= value <= high:
            raise OptionError(f"expected {name} as an integer of {low} to {high}, got {value!r}")
    return Draw(float(temperature), top_k, seed, checked)


def frames_of(prompt: str | Iterable[int], labels: Sequence[str]) -> list[list[float]]:
    """A prompt as frames of one token each: ids, or a text whose characters are labels.

    Raises:
        OptionError: a character is no label of the model.
    """
    if not isinstance(prompt, str):
        return [[float(token)] for token in prompt]
    ids = {label: i for i, label in enumerate(labels)}
    frames = []
    for place, character in enumerate(prompt):
        if character not in ids:
            raise OptionError(f"expected a prompt of the model's labels; character {place} is {character!r}")
        frames.append([float(ids[character])])
    return frames


def prompt_chunk(ledger: Ledger) -> int:
    """Frames of a prompt in one message."""
    return min(ledger.opened.max_queue_frames or MAX_PROMPT_CHUNK, MAX_PROMPT_CHUNK)


def _cause(pending: PendingFrames) -> str:
    events = pending.marks.get(pending.n - 1, PLAIN).events
    return next((event.cause for event in events if event.kind == "token"), "")
