"""Which sessions are being resumed on the present connection, and what became of that."""

from __future__ import annotations

from dataclasses import replace

from streamrnn_client.errors import StreamrnnClientError, TokenError
from streamrnn_client.ledger import Ledger
from streamrnn_client.messages import Open


class Resumption:
    """`asked` are handles whose `open` is under way, with the token it bears; `refused` may be asked again later."""

    def __init__(self) -> None:
        self.asked: dict[int, str] = {}
        self.refused_by: dict[int, StreamrnnClientError] = {}
        self.wrong: set[int] = set()
        self.again: list[Ledger] = []
        self.n_resumed = 0
        self.n_replayed = 0

    @property
    def done(self) -> bool:
        """Every session was resumed, or has ended."""
        return not (self.asked or self.refused_by or self.again)

    def begin(self) -> None:
        """The connection is lost: all begins anew on the next one."""
        self.asked.clear()
        self.refused_by.clear()
        self.wrong.clear()
        self.again.clear()
        self.n_resumed = self.n_replayed = 0

    def message(self, ledger: Ledger) -> Open:
        """The `open` that resumes a session: with the last token, or the one before where that was not the one."""
        self.refused_by.pop(ledger.handle, None)
        token = ledger.tokens[-1 if ledger.handle in self.wrong else 0]
        self.asked[ledger.handle] = token
        ledger.n_attempts += 1
        return replace(
            ledger.asked,
            resume_token=token,
            answered_seq=ledger.answered_seq,
            attempt=ledger.n_attempts,
            last_attempt=ledger.last_attempt,
        )

    def answered(self, handle: int) -> bool:
        """That `open` has its answer; False: there was none."""
        return self.asked.pop(handle, None) is not None

    def refused(self, ledger: Ledger, error: StreamrnnClientError) -> bool:
        """It was refused; True: for good."""
        if isinstance(error, TokenError) and ledger.handle not in self.wrong and len(ledger.tokens) > 1:
            self.wrong.add(ledger.handle)
            self.again.append(ledger)
            return False
        if error.retryable:
            self.refused_by[ledger.handle] = error
            return False
        return True

    def forget(self, ledger: Ledger) -> None:
        """It has ended."""
        self.asked.pop(ledger.handle, None)
        self.refused_by.pop(ledger.handle, None)
        self.again = [other for other in self.again if other is not ledger]
