"""`streamrnn stream`: send a recording, sound, text or a live pipe to a served model, and print what comes back."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Protocol, TextIO

import typer

from streamrnn.commands.csv_feed import CsvFeed
from streamrnn.commands.csv_frames import CsvFrames
from streamrnn.commands.json_lines import JsonLines
from streamrnn.commands.latency import Latency
from streamrnn.commands.listening import Listening
from streamrnn.commands.loop import run_punctually
from streamrnn.commands.pace import Pace
from streamrnn.commands.progress import Progress
from streamrnn.commands.sound import Recording
from streamrnn.commands.sound_feed import SoundFeed
from streamrnn.commands.text_feed import TextFeed

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray
    from streamrnn_client import Output, Session

BROKEN_PIPE = 141
"""What a shell reports of a program that SIGPIPE ended: 128 + 13."""
INTERRUPTED = 130
FILE_CHUNK_FRAMES = 64
LEAST_WINDOW_FRAMES = 64
TAIL_S = 1.5
"""Silence behind a recording; a model of speech says the last word some time after it."""


class Feed(Protocol):
    """Where frames come from."""

    def frames(self, session: Session, latency: Latency) -> AsyncIterator[NDArray[np.float32]]:
        """Yield each frame when it is due, and note that in `latency`."""
        ...


class Report(Protocol):
    """Where outputs go."""

    def begin(self, session: Session, latency: Latency) -> None:
        """The session is open."""

    def take(self, output: Output) -> None:
        """One output, with its events."""

    def tell(self) -> None:
        """No more will come for a while: write what waits."""

    def end(self) -> None:
        """The last was taken."""


@dataclass(frozen=True)
class Wish:
    """What the user asked for."""

    url: str
    model: str
    pace: Pace
    chunk_frames: int
    window_frames: int
    decoder: str


def stream(
    url: Annotated[str, typer.Argument(metavar="URL", help="Address of the server, such as ws://localhost:8765.")],
    model: Annotated[str, typer.Argument(metavar="MODEL", help="Name under which the model is served.")],
    csv: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Recording to send, one frame a row."),
    ] = None,
    stdin: Annotated[bool, typer.Option("--stdin", help="Read rows from standard input as they arrive.")] = False,
    wav: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="Sound to send, 16-bit samples of any rate."),
    ] = None,
    mic: Annotated[bool, typer.Option("--mic", help="Send what the microphone hears (extra: mic), until Ctrl-C.")] = (
        False
    ),
    text: Annotated[
        str | None, typer.Option(metavar="TEXT", help="Text to send, a character (or word) of the labels a frame.")
    ] = None,
    columns: Annotated[
        str | None,
        typer.Option(metavar="A,B", help="Columns of a frame, by name or number from 1 (default: those of numbers)."),
    ] = None,
    rate: Annotated[
        str | None,
        typer.Option(
            metavar="RATE",
            help="max, realtime (as the time column says, or as it was spoken) or frames per second "
            "(default: max; realtime for sound that is shown live).",
        ),
    ] = None,
    speed: Annotated[float, typer.Option(metavar="X", help="With --rate realtime: so many times faster.")] = 1.0,
    header: Annotated[
        bool | None, typer.Option("--header/--no-header", help="Whether the first row holds names (default: look).")
    ] = None,
    time_column: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="With --rate realtime: the column of times (default: the first of dates)."),
    ] = None,
    tail: Annotated[
        float, typer.Option(min=0.0, metavar="S", help="With --wav: seconds of silence to send behind it.")
    ] = TAIL_S,
    chunk: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Frames in one message (default: 64 for a file at max rate, else 1)."),
    ] = None,
    window: Annotated[
        int | None,
        typer.Option(min=1, metavar="N", help="Most frames sent and not answered (default: 64, or two chunks)."),
    ] = None,
    decoder: Annotated[
        str | None,
        typer.Option(
            metavar="DECODER",
            help="What finds events in the outputs: model (as its card says), none, or settings as JSON "
            "(default: model for sound and text, none for rows).",
        ),
    ] = None,
    outputs: Annotated[
        bool | None,
        typer.Option("--outputs/--no-outputs", help="Print outputs, too (default: where there is no decoder)."),
    ] = None,
    live: Annotated[
        bool | None,
        typer.Option("--live/--no-live", help="Show it live (default: sound and text, in a terminal)."),
    ] = None,
) -> None:
    """Stream frames to a served model; print {"seq": 0, "y": [...]} for each, in order.

    Where the model has several heads, "y" is an object of their values by name. The events of a decoder are printed in
    place of the outputs: {"seq": 41, "kind": "final", "text": "four two", ...}.

    Outputs go to standard output, progress and a summary of latencies to standard error. Latency runs from the moment a
    frame was due to the moment its output was read; at max rate a frame is due when it is taken from the file.

    Example: streamrnn stream ws://localhost:8765 temp --csv recording.csv --columns value --rate max > outputs.jsonl

    Example: streamrnn stream ws://localhost:8765 digits --wav call.wav

    Example: streamrnn stream ws://localhost:8765 temp --csv recording.csv --columns value --decoder model

    Example: tail -f sensor.csv | streamrnn stream ws://localhost:8765 temp --stdin --columns 2
    """
    sources = [csv is not None, stdin, wav is not None, mic, text is not None]
    if sum(sources) != 1:
        raise typer.BadParameter("expected one source of frames: --csv FILE, --stdin, --wav FILE, --mic or --text TEXT")
    is_row = csv is not None or stdin
    is_live = live if live is not None else not is_row and sys.stdout.isatty()
    is_heard = wav is not None and is_live
    pace = Pace.parse(rate or ("realtime" if is_heard else "max"), speed)
    chunk_frames = chunk or (FILE_CHUNK_FRAMES if (csv is not None or wav is not None) and pace.is_max else 1)
    chosen_decoder = decoder or ("none" if is_row else "model")
    wish = Wish(url, model, pace, chunk_frames, window or max(LEAST_WINDOW_FRAMES, 2 * chunk_frames), chosen_decoder)
    report = Listening(sys.stdout) if is_live else JsonLines(sys.stdout, outputs, chunk_frames)
    on_sound = report.hear if isinstance(report, Listening) else None
    with csv.open("rb") if csv is not None else contextlib.nullcontext(sys.stdin.buffer) as source:
        feed: Feed
        if is_row:
            chosen = tuple(name.strip() for name in columns.split(",")) if columns else ()
            rows = CsvFrames(chosen, header, reads_times=pace.is_realtime, time_column=time_column)
            feed = CsvFeed(source.fileno(), rows, pace)
        elif text is not None:
            feed = TextFeed(text, pace)
        else:
            feed = SoundFeed(None if wav is None else Recording.read(wav), pace, tail, on_sound)
        raise typer.Exit(_run(wish, feed, report))


def _run(wish: Wish, feed: Feed, report: Report) -> int:
    latency = Latency()
    exit_code = 0
    try:
        run_punctually(_stream(wish, feed, latency, report))
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


async def _stream(wish: Wish, feed: Feed, latency: Latency, report: Report) -> None:
    import streamrnn_client

    progress = Progress(sys.stderr)
    async with streamrnn_client.connect(wish.url) as client:
        session = await client.open(wish.model, window=wish.window_frames, decoder=wish.decoder)
        if session.delay:
            print(f"the model looks ahead: output n belongs to frame n - {session.delay}", file=sys.stderr)
        latency.started_ns = time.perf_counter_ns()
        report.begin(session, latency)
        source = feed.frames(session, latency)
        try:
            async for output in session.stream(source, window=wish.window_frames, chunk=wish.chunk_frames):
                latency.answer()
                report.take(output)
                if not latency.n_in_flight:
                    report.tell()
                if isinstance(report, JsonLines):
                    progress.show(latency.n_frames, latency.frames_per_s)
        finally:
            report.end()
            progress.end()
        await session.close()
