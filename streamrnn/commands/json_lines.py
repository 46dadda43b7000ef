"""Outputs and events as JSON, one object a line."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, TextIO

from streamrnn.commands.latency import Latency

if TYPE_CHECKING:
    from streamrnn_client import Output, OutputEvent, Session


FIND_NOTHING = ("", "sampler")
"""Decoders that find no events in frames that are sent."""


class JsonLines:
    """Writes what comes, in order.

    Args:
        out: where to.
        has_outputs: whether outputs are written; None: where the session has no decoder.
        n_together: outputs that may wait to be written together.
    """

    def __init__(self, out: TextIO, has_outputs: bool | None, n_together: int) -> None:
        self._out = out
        self._has_outputs = has_outputs
        self._n_together = n_together
        self._heads: Sequence[Any] = ()
        self._lines: list[str] = []
        self._n = 0

    def begin(self, session: Session, latency: Latency) -> None:
        """Learn the heads, and whether there is a decoder."""
        self._heads = session.heads if len(session.heads) > 1 else ()
        if self._has_outputs is None:
            self._has_outputs = session.decoder in FIND_NOTHING

    def take(self, output: Output) -> None:
        """Its line, and one for each of its events."""
        if self._has_outputs:
            self._lines.append(to_json(output.seq, output.y, self._heads))
        self._lines += [event_json(event) for event in output.events]
        self._n += 1
        if self._n >= self._n_together:
            self.tell()

    def tell(self) -> None:
        """Write what waits."""
        self._n = 0
        if self._lines:
            self._out.write("".join(self._lines))
            self._out.flush()
            self._lines.clear()

    def end(self) -> None:
        """Write what waits."""
        self.tell()


def to_json(seq: int, y: Any, heads: Sequence[Any] = ()) -> str:
    """Write one output as a line; nine digits give back each float32 exactly, and what is not finite is null.

    With `heads` (each with a name and a size) its values stand by head.
    """
    values = ["null" if value - value != 0 else f"{value:.9g}" for value in y.tolist()]
    if not heads:
        return f'{{"seq":{seq},"y":[{",".join(values)}]}}\n'
    parts, start = [], 0
    for head in heads:
        parts.append(f"{json.dumps(head.name)}:[{','.join(values[start : start + head.size])}]")
        start += head.size
    return f'{{"seq":{seq},"y":{{{",".join(parts)}}}}}\n'


def event_json(event: OutputEvent) -> str:
    """Write one event as a line: its seq and kind, and what else it tells."""
    found: dict[str, Any] = {"seq": event.seq, "kind": event.kind}
    if event.text:
        found["text"] = event.text
    if event.token >= 0:
        found["token"] = event.token
    if event.score:
        found["score"] = round(event.score, 6)
    if event.cause:
        found["cause"] = event.cause
    if event.words:
        found["words"] = [[word.text, word.first_seq, word.last_seq, round(word.score, 6)] for word in event.words]
    return json.dumps(found, ensure_ascii=False, separators=(",", ":")) + "\n"
