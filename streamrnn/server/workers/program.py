"""What one worker's process runs: `python -m streamrnn.server.workers.program`, its private line on standard input."""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import sys
from typing import TYPE_CHECKING

import msgspec

from streamrnn.server.workers.channel import MAX_LINE_BYTES, Ask, Page, Ready, line_of
from streamrnn.server.workers.faults import told
from streamrnn.server.workers.options import LOG_FORMAT, WorkerOptions

if TYPE_CHECKING:
    from streamrnn.server.app import Server

log = logging.getLogger("streamrnn.server")

STDIN = 0
_ASK = msgspec.json.Decoder(Ask)


def main() -> int:
    """Serve as one of several until told to stop, or until the supervisor is gone; returns the exit status."""
    line = socket.socket(fileno=os.dup(STDIN))
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), STDIN)
    with line.makefile("rb", buffering=0) as head:  # unbuffered: what follows is for the loop
        options = msgspec.json.decode(head.readline(), type=WorkerOptions)
    name = f"worker {options.number}"
    form = LOG_FORMAT.replace("%(message)s", f"{name}: %(message)s")
    logging.basicConfig(level=options.log_level.upper(), format=form)
    return told(name, lambda: _serve(options, line))


def _serve(options: WorkerOptions, line: socket.socket) -> int:
    from streamrnn.server.running import run

    server = options.server.make(options.number, opens_late=not options.is_alone)
    # Whoever stops all processes of a service at once, as systemd does, tells a worker twice: the supervisor does, too.
    return run(server, lambda: answer(server, line), heeds_second=False)


async def answer(server: Server, line: socket.socket) -> None:
    """Tell the supervisor when the server is ready, and give it pages; stop the server when it is gone."""
    from streamrnn.server import http

    reader, writer = await asyncio.open_unix_connection(sock=line, limit=MAX_LINE_BYTES)

    async def tell() -> None:
        await server.ready.wait()
        writer.write(line_of(Ready()))

    telling = asyncio.create_task(tell())
    try:
        while asked := await reader.readline():
            found = http.page(_ASK.decode(asked).path, "GET", server.front)
            page = Page(404, "") if found is None else Page(found.status_code, bytes(found.body).decode())
            writer.write(line_of(page))
    except OSError as fault:
        log.debug("the line to the supervisor broke: %s", fault)
    finally:
        telling.cancel()
    if not server.is_stopping:
        log.error("the supervisor is gone: stopping")
        server.begin_stop()


if __name__ == "__main__":
    sys.exit(main())
