"""`python -m streamrnn.server.workers`: the supervisor, with its options as JSON on standard input."""

from __future__ import annotations

import asyncio
import logging
import os
import sys

import msgspec

from streamrnn.server.workers.faults import told
from streamrnn.server.workers.options import LOG_FORMAT, WorkersOptions
from streamrnn.server.workers.supervisor import Supervisor


def main() -> int:
    """Run a server of several workers; returns its exit status."""
    options = msgspec.json.decode(sys.stdin.buffer.read(), type=WorkersOptions)
    with open(os.devnull, "rb") as nothing:
        os.dup2(nothing.fileno(), sys.stdin.fileno())
    logging.basicConfig(level=options.log_level.upper(), format=LOG_FORMAT)

    async def run() -> int:
        return await Supervisor(options).run()

    return told("supervisor", lambda: asyncio.run(run()))


if __name__ == "__main__":
    sys.exit(main())
