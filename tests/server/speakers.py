"""Clients of other speech servers, played from a recording of what they send and of what they are sent."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from websockets.asyncio.client import ClientConnection, connect

from tests.server.clients import PATIENCE_S

RECORDINGS = json.loads((Path(__file__).parent / "recordings" / "speech_protocols.json").read_text(encoding="utf-8"))
TYPES: dict[str, type | tuple[type, ...]] = {"text": str, "number": float, "whole": int, "flag": bool}


async def play(name: str, port: int, payload: bytes, path: str | None = None) -> list[Any]:
    """Be a published client: connect, send all samples as it does, and return every reply as an object or text."""
    recording = RECORDINGS[name]
    sample_bytes = {"int16": 2, "float32": 4}[recording["encoding"]]
    n_bytes = recording["chunk_samples"] * sample_bytes
    chunks = [payload[start : start + n_bytes] for start in range(0, len(payload), n_bytes)]
    place = recording["path"] if path is None else path
    async with connect(f"ws://localhost:{port}{place}") as ws:
        if recording["begin"]:
            await ws.send(recording["begin"])
        talk = _in_turns if recording["answers_each_chunk"] else _both_ways
        replies = await talk(ws, chunks, recording)
        if recording["close_code"]:
            await asyncio.wait_for(ws.wait_closed(), PATIENCE_S)
            assert ws.close_code == recording["close_code"]
    for reply in replies:
        assert reply == recording["last"] or any(has_shape(reply, shape) for shape in recording["replies"]), reply
    return replies


async def _in_turns(ws: ClientConnection, chunks: list[bytes], recording: Any) -> list[Any]:
    """Wait for a reply to each chunk, as Vosk's clients do."""
    replies = []
    for message in [*chunks, recording["end"]]:
        await ws.send(message)
        replies.append(json.loads(await asyncio.wait_for(ws.recv(), PATIENCE_S)))
    return replies


async def _both_ways(ws: ClientConnection, chunks: list[bytes], recording: Any) -> list[Any]:
    """Send and receive independently, as sherpa-onnx's clients do, up to the last message."""

    async def listen() -> list[Any]:
        replies: list[Any] = []
        async for message in ws:
            if message == recording["last"]:
                return [*replies, message]
            replies.append(json.loads(message))
        raise AssertionError(f"closed without {recording['last']}")

    listening = asyncio.create_task(listen())
    for chunk in chunks:
        await ws.send(chunk)
        await asyncio.sleep(0)
    await ws.send(recording["end"])
    return await asyncio.wait_for(listening, PATIENCE_S)


def has_shape(found: Any, shape: Any) -> bool:
    """Whether a reply has these keys and no others, with values of these types."""
    if isinstance(shape, dict):
        return (
            isinstance(found, dict)
            and found.keys() == shape.keys()
            and all(has_shape(found[key], shape[key]) for key in shape)
        )
    if isinstance(shape, list):
        return isinstance(found, list) and (bool(shape) or not found) and all(has_shape(i, shape[0]) for i in found)
    return type(found) is TYPES[shape]
