"""What the generator takes for an output among other messages."""

from __future__ import annotations

import socket

from benchmarks.workers import Plug


def test_acknowledgements_are_passed_over_wherever_the_bytes_are_cut() -> None:
    long, short = b"\x82\x7e\x00\xc8" + bytes(200), b"\x82\x05" + bytes(5)
    sent = short + long + short + short + long + short
    for cut in range(1, len(sent)):
        ours, theirs = socket.socketpair()
        plug = Plug.__new__(Plug)
        plug.plug, plug.reply_bytes, plug._rest = ours, 200, b""
        with ours, theirs:
            theirs.sendall(sent[:cut])
            if cut >= sent.index(long) + len(long):
                plug.receive()
            theirs.sendall(sent[cut:])
            if cut < sent.index(long) + len(long):
                plug.receive()
            plug.receive()
            assert short.startswith(plug._rest)
