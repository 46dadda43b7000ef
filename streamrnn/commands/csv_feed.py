"""Frames of rows: a CSV file, or a pipe that goes on."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

from streamrnn.commands.csv_frames import CsvFrames
from streamrnn.commands.feed import blocks_of
from streamrnn.commands.latency import Latency
from streamrnn.commands.pace import Pace
from streamrnn.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from streamrnn_client import Session


class CsvFeed:
    """Rows of a file that is open, when they are due.

    Args:
        file: its descriptor.
        frames: how its rows are read.
        pace: when they are due.
    """

    def __init__(self, file: int, frames: CsvFrames, pace: Pace) -> None:
        self._file = file
        self._frames = frames
        self._pace = pace

    async def frames(self, session: Session, latency: Latency) -> AsyncIterator[NDArray[np.float32]]:
        """Yield each frame when it is due, and note that in `latency`.

        Raises:
            OptionError: rows of another size than the model's frames.
        """
        started_ns, n, first_time_s, size = 0, 0, 0.0, session.input.size
        async for block in blocks_of(self._file, self._frames):
            if block.frames.shape[1] != size:
                got = f"{block.frames.shape[1]} columns; {self._frames.describe()}; see --columns"
                raise OptionError(f"the model takes {size} values a frame, got {got}")
            for i, frame in enumerate(block.frames):
                now_ns = time.perf_counter_ns()
                if n == 0:
                    started_ns, first_time_s = now_ns, block.times_s[0] if block.times_s else 0.0
                since_first_s = block.times_s[i] - first_time_s if block.times_s else 0.0
                due_ns = now_ns if self._pace.is_max else started_ns + int(self._pace.due_s(n, since_first_s) * 1e9)
                if due_ns > now_ns:
                    await asyncio.sleep((due_ns - now_ns) / 1e9)
                latency.send(due_ns)
                n += 1
                yield frame
