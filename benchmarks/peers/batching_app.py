"""FastAPI + micro-batches: messages of all websockets are collected for 10 ms into one call of onnxruntime."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.nets import Array
from benchmarks.peers.batcher import Batcher
from benchmarks.peers.graph import load, zeros

WAIT_S = 0.010
MAX_SIZE = 64
"""Of a batch; a bigger one hardly makes a frame cheaper, and would wait for its timer at any load."""

State = tuple[Array, Array]
"""h and c of one session, (1, 1, 128) each."""

run = load()
app = FastAPI()


def step_many(asked: Sequence[tuple[bytes, State]]) -> list[tuple[bytes, State]]:
    """The outputs and new states of sessions, stacked for one call and taken apart after it."""
    x = np.frombuffer(b"".join([frame for frame, _ in asked]), np.float32).reshape(1, len(asked), -1)
    h = np.concatenate([h for _, (h, _) in asked], axis=1)
    c = np.concatenate([c for _, (_, c) in asked], axis=1)
    y, h, c = run(None, {"x": x, "h": h, "c": c})
    return [(y[i].tobytes(), (h[:, i : i + 1], c[:, i : i + 1])) for i in range(len(asked))]


batcher = Batcher(step_many, WAIT_S, MAX_SIZE)


@app.websocket("/")
async def step_in_batches(socket: WebSocket) -> None:
    """Answer each frame of 64 floats with an output of 16, at most one of a session in a batch."""
    await socket.accept()
    state = (zeros(), zeros())
    try:
        while True:
            y, state = await batcher.ask((await socket.receive_bytes(), state))
            await socket.send_bytes(y)
    except WebSocketDisconnect:
        pass
