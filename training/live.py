"""A recipe's demo: the real server in a child process, a real websocket client, outputs shown as they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from pathlib import Path
from typing import TypeVar

import numpy as np
import streamrnn_client
from numpy.typing import NDArray

from streamrnn.commands.demonstration.server import ChildServer

Floats = NDArray[np.float32]
Show = Callable[[int, Floats, "streamrnn_client.Output"], None]
"""Takes a frame's seq, the frame, and its output; prints or draws."""
Frame = TypeVar("Frame")
"""What a session's `stream` takes: values, or `Timed` values."""


def serve_and_play(models: dict[str, Path], play: Callable[[streamrnn_client.Client], Awaitable[None]]) -> None:
    """Serve model files by their names, connect a client, and let `play` use it.

    Raises:
        InternalError: the server did not start.
    """

    async def run(url: str) -> None:
        async with streamrnn_client.connect(url) as client:
            await play(client)

    with ChildServer(models) as server:
        print(f"serving {', '.join(models)} at {server.url}")
        asyncio.run(run(server.url))


async def play_frames(
    client: streamrnn_client.Client,
    model: str,
    frames: Floats,
    show: Show,
    hz: float = float("inf"),
    window: int = 64,
    decoder: str = "none",
) -> None:
    """Stream frames (n, input_size) through a session of its own, `hz` a second; `show` each output as it comes.

    With the decoder `model`, outputs bring the events that the model's card asks for.
    """
    session = await client.open(model, window=window, decoder=decoder)
    async for output in session.stream(paced(frames, hz), window=window):
        show(output.seq, frames[output.seq], output)
    await session.close()


async def paced(frames: Iterable[Frame], hz: float) -> AsyncIterator[Frame]:
    """Yield each frame when it is due, `hz` a second; infinite: at once."""
    loop = asyncio.get_running_loop()
    began_s = loop.time()
    for n, frame in enumerate(frames):
        due_s = began_s + n / hz - loop.time()
        if due_s > 0:
            await asyncio.sleep(due_s)
        yield frame
