"""`streamrnn stream`: send a recording, or a live pipe, to a served model and print each output as one JSON line."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from streamrnn.commands.csv_frames import CsvFrames
from streamrnn.commands.feed import blocks_of
from streamrnn.commands.latency import Latency
from streamrnn.commands.loop import run_punctually
from streamrnn.commands.pace import Pace
from streamrnn.commands.progress import Progress
from streamrnn.errors import OptionError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

BROKEN_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended: 128 + 13."""
INTERRUPTED = 130
FILE_CHUNK_FRAMES = 64
LEAST_WINDOW_FRAMES = 64


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    url: str
    model: str
    pace: Pace
    chunk_frames: int
    window_frames: int


def stream(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the server, such as ws://localhost:8765.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name under which the model is served.")],
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Recording to send, one frame a row."),
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read rows from standard input as they arrive.")] = False,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Columns of a frame, by name or number from 1 (default: those of numbers)."),
    ] = None,
    rate: Annotated[
        str, typer.Option(metavar="RATE", help="max, realtime (as the time column says) or frames per second.")
    ] = "max",
    speed: Annotated[float, typer.Option(metavar="X", help="With --rate realtime: so many times faster.")] = 1.0,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first row holds names (default: look).")
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --rate realtime: the column of times (default: the first of dates)."),
    ] = None,
    chunk: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Frames in one message (default: 64 for a file at max rate, else 1)."),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Most frames sent and not answered (default: 64, or two chunks)."),
    ] = None,
) -> None:
    """Stream frames to a served model; print {"seq": 0, "y": [...]} for each, in order.

    Where the model has several heads, "y" is an object of their values by name.

    Outputs go to standard output, progress and a summary of latencies to standard error. Latency runs from the moment a
    frame was due to the moment its output was read; at max rate a frame is due when it is taken from the file.

    Example: streamrnn stream ws://localhost:8765 temp --csv recording.csv --columns value --rate max > outputs.jsonl

    Example: tail -f sensor.csv | streamrnn stream ws://localhost:8765 temp --stdin --columns 2
    """
    if (csv is None) == (not stdin):
        raise typer.BadParameter("expected one source of frames: either --csv FILE or --stdin")
    pace = Pace.parse(rate, speed)
    chosen = tuple(name.strip() for name in columns.split(",")) if columns else ()
    frames = CsvFrames(chosen, header, reads_times=pace.is_realtime, time_column=time_column)
    chunk_frames = chunk or (FILE_CHUNK_FRAMES if csv is not None and pace.is_max else 1)
    wish = Wish(url, model, pace, chunk_frames, window or max(LEAST_WINDOW_FRAMES, 2 * chunk_frames))
    with csv.open("rb") if csv is not None else contextlib.nullcontext(sys.stdin.buffer) as source:
        raise typer.Exit(_run(wish, frames, source.fileno()))


def _run(wish: Wish, frames: CsvFrames, file: int) -> int:
    latency = Latency()
    exit_code = 0
    try:
        run_punctually(_stream(wish, frames, file, latency, sys.stdout))
    except BrokenPipeError:
        silence(sys.stdout)
        exit_code = BROKEN_PIPE
    except KeyboardInterrupt:
        exit_code = INTERRUPTED
    finally:
        if latency.n_frames:
            _summarise(wish, latency)
    return exit_code


def silence(out: TextIO) -> None:
    """Let the interpreter flush into nothing at exit instead of failing once more."""
    with contextlib.suppress(OSError, ValueError):
        os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())


def _summarise(wish: Wish, latency: Latency) -> None:
    mode = f"{wish.pace.describe()}, {wish.chunk_frames} in a message, at most {wish.window_frames} in flight"
    print(f"{latency.summary()}\nmode: {mode}", file=sys.stderr)
    if latency.n_in_flight:
        print(f"{latency.n_in_flight} frames were sent and not answered", file=sys.stderr)


async def _stream(wish: Wish, frames: CsvFrames, file: int, latency: Latency, out: TextIO) -> None:
    import streamrnn_client

    progress = Progress(sys.stderr)
    async with streamrnn_client.connect(wish.url) as client:
        session = await client.open(wish.model, window=wish.window_frames)
        source = _due(wish.pace, frames, file, session.input.size, latency)
        _announce(session.delay)
        latency.started_ns = time.perf_counter_ns()
        heads = session.heads if len(session.heads) > 1 else ()
        lines: list[str] = []
        async for output in session.stream(source, window=wish.window_frames, chunk=wish.chunk_frames):
            latency.answer()
            lines.append(to_json(output.seq, output.y, heads))
            if len(lines) >= wish.chunk_frames or not latency.n_in_flight:
                _write(out, lines)
                progress.show(latency.n_frames, latency.frames_per_s)
        _write(out, lines)
        progress.end()
        await session.close()


def _write(out: TextIO, lines: list[str]) -> None:
    if lines:
        out.write("".join(lines))
        out.flush()
        lines.clear()


def _announce(delay: int) -> None:
    if delay:
        print(f"the model looks ahead: output n belongs to frame n - {delay}", file=sys.stderr)


def to_json(seq: int, y: Any, heads: Sequence[Any] = ()) -> str:
    """Write one output as a line; nine digits give back each float32 exactly, and what is not finite is null.

    With `heads` (each with a name and a size) its values stand by head.
    """
    values = ["null" if value - value != 0 else f"{value:.9g}" for value in y.tolist()]
    if not heads:
        return f'{{"seq":{seq},"y":[{",".join(values)}]}}\n'
    parts, start = [], 0
    for head in heads:
        parts.append(f"{json.dumps(head.name)}:[{','.join(values[start : start + head.size])}]")
        start += head.size
    return f'{{"seq":{seq},"y":{{{",".join(parts)}}}}}\n'


async def _due(
    pace: Pace, frames: CsvFrames, file: int, size: int, latency: Latency
) -> AsyncIterator[NDArray[np.float32]]:
    """Yield each frame when it is due."""
    started_ns, n, first_time_s = 0, 0, 0.0
    async for block in blocks_of(file, frames):
        if block.frames.shape[1] != size:
            got = f"{block.frames.shape[1]} columns"
            raise OptionError(f"the model takes {size} values a frame, got {got}; {frames.describe()}; see --columns")
        for i, frame in enumerate(block.frames):
            now_ns = time.perf_counter_ns()
            if n == 0:
                started_ns, first_time_s = now_ns, block.times_s[0] if block.times_s else 0.0
            since_first_s = block.times_s[i] - first_time_s if block.times_s else 0.0
            due_ns = now_ns if pace.is_max else started_ns + int(pace.due_s(n, since_first_s) * 1e9)
            if due_ns > now_ns:
                await asyncio.sleep((due_ns - now_ns) / 1e9)
            latency.send(due_ns)
            n += 1
            yield frame
