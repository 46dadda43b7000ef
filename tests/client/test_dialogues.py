"""The golden dialogues: whatever the client did there, what the server answered settles it; nothing is left over."""

from __future__ import annotations

from typing import Any

import pytest
from streamrnn_client import messages as m
from streamrnn_client.codec import Codec
from streamrnn_client.errors import MalformedError, StreamrnnClientError
from streamrnn_client.intake import Intake
from streamrnn_client.pending import Draw, Pending, PendingAsk
from streamrnn_client.table import Table

from tests.client.test_codec import BY_PROTOCOL, named, vectors


class Replay:
    """A table that is told what the golden client sent, legal or not, in place of our own calls."""

    def __init__(self, codec: Codec) -> None:
        self.codec = codec
        self.table = Table()
        self.intake = Intake(self.table)
        self.asked: list[Pending] = []

    def sent(self, message: m.Message) -> None:
        match message:
            case m.Open() | m.Restore():
                self.opening(message.handle, message)
            case m.Fork():
                self.opening(message.new_handle, message)
            case m.Frame():
                self.frames(message.handle, message.seq, message.payload, message.n)
            case m.Generate() if message.handle in self.table.ledgers:
                ledger = self.table.ledgers[message.handle]
                ledger.next_seq = message.seq
                draw = Draw(message.temperature, message.top_k, message.seed, message.stop)
                self.asked.append(ledger.draw(draw, message.n))
            case m.Frames() if len(message.payload) % len(message.handles) == 0:
                row = len(message.payload) // len(message.handles)
                for i, (handle, seq) in enumerate(zip(message.handles, message.seqs, strict=True)):
                    self.frames(handle, seq, message.payload[i * row : (i + 1) * row], 1)
            case m.Reset() | m.Flush() | m.Snapshot() | m.Rollback() | m.Close():
                if message.handle in self.table.ledgers:
                    self.asked.append(self.table.ledgers[message.handle].ask(message))

    def opening(self, handle: int, message: m.Message) -> None:
        self.table.openings[handle] = PendingAsk(message=message)
        self.asked.append(self.table.openings[handle])

    def frames(self, handle: int, seq: int, payload: bytes, n: int) -> None:
        if handle in self.table.ledgers:
            ledger = self.table.ledgers[handle]
            ledger.next_seq = seq
            self.asked.append(ledger.take(payload, n))


def is_of_one_connection(dialogue: dict[str, Any]) -> bool:
    """Nothing is sent again in it: what our calls send again they send on a new connection, see `test_resuming`."""
    is_cut = any(step.get("event") == "cut" for step in dialogue["steps"])
    return not is_cut and "duplicate" not in dialogue["name"]


@pytest.mark.parametrize("dialogue", [d for d in vectors("dialogues") if is_of_one_connection(d)], ids=named)
def test_every_golden_answer_finds_what_it_answers(dialogue: dict[str, Any]) -> None:
    codec = BY_PROTOCOL[dialogue["sub_protocol"]]
    replay = Replay(codec)
    n_told = 0
    for step in dialogue["steps"]:
        if step["from"] == "client":
            try:
                replay.sent(codec.decode(bytes.fromhex(step["hex"])))
            except StreamrnnClientError as error:
                assert error.code == "malformed", "some golden clients send nonsense, to be refused"
        elif step["from"] == "server":
            payload = bytes.fromhex(step["hex"])
            message = codec.decode(payload)
            assert codec.decode(codec.encode(message)) == message
            n_told += 1
            if isinstance(message, m.Error) and message.of == "frames" and message.handle is None:
                with pytest.raises(MalformedError):
                    replay.intake.take(message)  # rows of unequal size, which our calls never send
                continue
            replay.intake.take(message)
            ended = isinstance(message, m.Error) and message.scope == "connection"
            assert (replay.table.over is not None) is ended
    assert n_told > 0
    assert all(pending.done for pending in replay.asked if replay.table.over is None)


def test_the_golden_outputs_are_the_running_sum() -> None:
    """The vectors' model, worked out by hand for one dialogue, so that payloads are compared and not only carried."""
    import struct

    dialogue = next(d for d in vectors("dialogues") if d["name"] == "one session")
    codec = BY_PROTOCOL[dialogue["sub_protocol"]]
    total = 0.0
    want: list[float] = []
    got: list[float] = []
    for step in dialogue["steps"]:
        message = codec.decode(bytes.fromhex(step["hex"]))
        if isinstance(message, m.Frame):
            for value in struct.unpack(f"<{message.n}f", message.payload):
                total = max(0.0, total + value)
                want.append(total)
        elif isinstance(message, m.Reset):
            total = 0.0
        elif isinstance(message, m.Output):
            got += struct.unpack(f"<{message.n}f", message.payload)
    assert got == want
    assert len(got) == 4
