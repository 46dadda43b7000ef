"""The tokens that a session generates, as they come, in blocking code."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Self

from streamrnn_client.drawing import Drawing, Token
from streamrnn_client.ledger import Ledger
from streamrnn_client.pending import Draw, no_answer
from streamrnn_client.sync.wire import Wire


class Tokens(Iterator[Token]):
    """Made by `Session.generate`; iterate over it. Not a generator, so that it is gone as soon as it is left."""

    def __init__(
        self, wire: Wire, ledger: Ledger, n: int, draw: Draw, begin: Callable[[], None], timeout_s: float | None
    ) -> None:
        self._wire = wire
        self._ledger = ledger
        self._asked = (n, draw)
        self._begin = begin
        self._timeout_s = timeout_s
        self._drawing: Drawing | None = None
        self._arrived: Iterator[Token] = iter(())
        self._is_closed = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Token:
        """The next token.

        Raises:
            WaitTimeoutError: none in time.
            StreamrnnClientError: the session could not generate, or has ended.
        """
        if self._is_closed:
            raise StopIteration
        if self._drawing is None:
            self._begin()
        with self._wire.lock:
            if self._drawing is None:
                self._drawing = Drawing(self._wire.dialogue, self._ledger, *self._asked)
            while True:
                for token in self._arrived:
                    return token
                self._wire.send()
                if self._drawing.over:
                    raise StopIteration
                self._until_ready(self._drawing)
                self._arrived = self._drawing.collect()

    def close(self) -> None:
        """No more is wanted; what is under way is read and dropped, and others may send frames again."""
        self._is_closed = True
        with self._wire.lock:
            if self._drawing is not None:
                self._drawing.close()

    def _until_ready(self, drawing: Drawing) -> None:
        seconds = self._wire.options.timeout_s("step", self._timeout_s)
        if not self._wire.wait(lambda: drawing.ready, seconds):
            head = drawing.head
            drawing.close()
            self._is_closed = True
            raise no_answer("step", seconds, head)
