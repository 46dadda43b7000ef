"""One frame for each of several sessions, in one message: a gateway's columns."""

from __future__ import annotations

from collections.abc import Sequence

from streamrnn_client.dialogue import Dialogue
from streamrnn_client.errors import OptionError
from streamrnn_client.facts import SessionFacts
from streamrnn_client.floats import Matrix, Values, pack_rows, stack, vector
from streamrnn_client.losses import BatchError
from streamrnn_client.pending import PendingFrames


def send_one_each(
    dialogue: Dialogue, sessions: Sequence[SessionFacts], xs: Values, times_us: Sequence[int] | None = None
) -> list[PendingFrames]:
    """Send row i of `xs`, `(n_sessions, size)`, to session i, all in one message.

    Raises:
        OptionError: no session, or models of different sizes.
        FrameError: a bad row, or not as many rows as sessions; nothing was sent.
    """
    ledgers = [session._ledger for session in sessions]
    if len({(ledger.opened.input.size, ledger.opened.output.size) for ledger in ledgers}) != 1:
        raise OptionError("expected sessions of equal input and output size, at least one")
    if any(dialogue.table.ledgers.get(ledger.handle) is not ledger for ledger in ledgers if ledger.ended is None):
        raise OptionError("expected sessions of this client, got one of another")
    payloads = pack_rows(xs, ledgers[0].opened.input, check=dialogue.options.check)
    return dialogue.frames_of_many(ledgers, payloads, times_us)


def gather(pendings: Sequence[PendingFrames], sessions: Sequence[SessionFacts]) -> Matrix:
    """The outputs of `send_one_each`, `(n_sessions, output_size)`, once all are settled.

    Raises:
        BatchError: some failed; it holds the outputs of the others.
    """
    errors = [pending.error or pending.skip_of(0) for pending in pendings]
    outputs = [
        None if error is not None else vector(pending.value[0])
        for pending, session, error in zip(pendings, sessions, errors, strict=True)
    ]
    if any(error is not None for error in errors):
        raise BatchError(outputs, errors)
    return stack([output for output in outputs if output is not None])
