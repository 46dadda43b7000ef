"""FastAPI + onnxruntime: a websocket's endpoint keeps the state and runs the graph for every message."""

from __future__ import annotations

import numpy as np
from fastapi import FastAPI, WebSocket, WebSocketDisconnect

from benchmarks.peers.graph import load, zeros

run = load()
app = FastAPI()


@app.websocket("/")
async def step_each(socket: WebSocket) -> None:
    """Answer each frame of 64 floats with an output of 16; a step is too short to hand to a thread."""
    await socket.accept()
    h, c = zeros(), zeros()
    try:
        while True:
            x = np.frombuffer(await socket.receive_bytes(), np.float32).reshape(1, 1, -1)
            y, h, c = run(None, {"x": x, "h": h, "c": c})
            await socket.send_bytes(y.tobytes())
    except WebSocketDisconnect:
        pass
