"""A thread that reads lines as they arrive and hands blocks of frames to an event loop.

`os.read` returns what is there, so a live pipe is answered line by line and a file goes in blocks of many lines. It is
a daemon thread, not the loop's executor: a read of a silent pipe cannot be cancelled and must not hold up the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import threading
from collections.abc import AsyncIterator, Iterator

from streamrnn.commands.csv_frames import Block, CsvFrames

READ_BYTES = 64 * 1024
AHEAD_BLOCKS = 4


def read_lines(file: int) -> Iterator[list[str]]:
    """Yield the whole lines that each read completes; the last may lack its newline."""
    rest = b""
    while piece := os.read(file, READ_BYTES):
        *whole, rest = (rest + piece).split(b"\n")
        if whole:
            yield [line.decode("utf-8", "replace") for line in whole]
    if rest:
        yield [rest.decode("utf-8", "replace")]


async def blocks_of(file: int, frames: CsvFrames) -> AsyncIterator[Block]:
    """Yield blocks with at least one frame, read and parsed in a thread that stays at most a few blocks ahead.

    Raises:
        StreamrnnError: as `CsvFrames.parse` does, after the frames before the fault.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Block | Exception | None] = asyncio.Queue()
    room = threading.Semaphore(AHEAD_BLOCKS)

    def put(item: Block | Exception | None) -> None:
        room.acquire()
        with contextlib.suppress(RuntimeError):  # the loop has ended, nobody reads on
            loop.call_soon_threadsafe(queue.put_nowait, item)

    def read() -> None:
        try:
            for lines in read_lines(file):
                block = frames.parse(lines)
                if len(block.frames):
                    put(block)
            frames.finish()
        except Exception as error:
            put(error)
        else:
            put(None)

    threading.Thread(target=read, name="streamrnn-feed", daemon=True).start()
    while (item := await queue.get()) is not None:
        room.release()
        if isinstance(item, Exception):
            raise item
        yield item
