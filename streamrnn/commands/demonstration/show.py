"""The whole demo: start the server, show, measure, stop, check, and say what came of it."""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

import streamrnn
from streamrnn import Model, bundled
from streamrnn.commands.demonstration.check import faults_of
from streamrnn.commands.demonstration.faults import Findings, Recording
from streamrnn.commands.demonstration.scene import Moment, Scene
from streamrnn.commands.demonstration.server import ChildServer
from streamrnn.commands.demonstration.sessions import Floats, Load, Played, play, play_all, write
from streamrnn.commands.demonstration.spoken import Spoken, listen
from streamrnn.commands.demonstration.view import View, view_of
from streamrnn.commands.latency import Latency
from streamrnn.commands.loop import run_punctually
from streamrnn.decode import AnomalyScore, AnomalySettings
from streamrnn.errors import InternalError

if TYPE_CHECKING:
    from streamrnn_client import Client

SENSOR, TEXT, SPEECH = "temperature_anomaly", "char_lm", "digits"
N_SENSORS = 8
N_SESSIONS = 16
LIVE_HZ = 300.0
TEXT_HZ = 40.0
PROMPT = "ROMEO:\n"
PACED = Load(LIVE_HZ, window=64)
SINGLE = Load(float("inf"), window=32)
CHUNKED = Load(float("inf"), window=256, chunk=64)
N_FRAMES = {PACED: 900, SINGLE: 1000, CHUNKED: 4000}
"""Frames of each session in the measured parts, a few seconds each."""
TIMEOUT_S = 50.0


@dataclass
class Row:
    """One line of the table: what was done in which mode, and what was measured."""

    mode: str
    n_sessions: int
    latency: Latency
    mean_batch: float


@dataclass
class Result:
    """Everything that the sessions sent and got, and the table's rows."""

    played: list[Played] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    alarms: list[int] = field(default_factory=list)


def show(console: Console) -> int:
    """Run the demo and return its exit code."""
    started_s = time.monotonic()
    models = {name: streamrnn.load_model(bundled.path(name)) for name in (SENSOR, TEXT, SPEECH)}
    spoken = Spoken.read(bundled.path("digits_recording"), bundled.path("digits_words"))
    recording = Recording.read(bundled.path("temperature_recording"))
    console.print("starting `streamrnn serve` with three bundled models ...")
    with ChildServer({name: bundled.path(name) for name in models}) as server:
        console.print(f"ready at {server.url} after {server.ready_s:.1f} s (a first start compiles the kernels)")
        try:
            result = run_punctually(_play(server, models[SENSOR], recording, spoken, console))
        except TimeoutError:
            raise InternalError(
                f"not done within {TIMEOUT_S:g} s; the server's log ends:\n{server.log_tail()}"
            ) from None
        problems = [] if server.is_alive else [f"the server died; its log ends:\n{server.log_tail()}"]
        status = server.stop()
    if status != 0:
        problems.append(f"the server stopped with exit status {status}")
    findings = Findings.judge(recording.faults, result.alarms)
    problems += [f"the {fault.kind} at frame {fault.first} was not found" for fault in findings.missed]
    if spoken.heard != spoken.words:
        problems.append(f"heard {' '.join(spoken.heard)!r}, said was {' '.join(spoken.words)!r}")
    problems += faults_of(models, result.played)
    _report(console, result, findings, len(recording.faults), spoken, time.monotonic() - started_s)
    for problem in problems:
        console.print(f"WRONG: {problem}", style="bold red")
    return 1 if problems else 0


async def _play(server: ChildServer, model: Model, recording: Recording, spoken: Spoken, console: Console) -> Result:
    import streamrnn_client

    result = Result()
    values = recording.values
    sensors = [np.roll(values, -i * len(values) // N_SESSIONS, axis=0) for i in range(N_SESSIONS)]
    async with asyncio.timeout(TIMEOUT_S), streamrnn_client.connect(server.url) as client:
        await _live(client, server, model, recording, spoken, sensors[:N_SENSORS], console, result)
        console.print("measuring, with nothing drawn ...")
        for load, n_sessions, mode in (
            (PACED, N_SENSORS, f"{PACED.hz:g} frames/s a session"),
            (SINGLE, N_SESSIONS, f"as fast as answered, {SINGLE.window} in flight a session"),
            (CHUNKED, N_SESSIONS, f"the same, {CHUNKED.chunk} in a message, {CHUNKED.window} in flight"),
        ):
            before = server.metrics()
            frames = [sensor[: N_FRAMES[load]] for sensor in sensors[:n_sessions]]
            played = await play_all(client, SENSOR, frames, load)
            result.played += played
            result.rows.append(Row(mode, n_sessions, _merged(played), _mean_batch(before, server.metrics())))
    return result


async def _live(
    client: Client,
    server: ChildServer,
    model: Model,
    recording: Recording,
    spoken: Spoken,
    sensors: list[Floats],
    console: Console,
    result: Result,
) -> None:
    """The shown part: the first sensor in full view, the others, the sound and the text beside it."""
    scene = Scene(len(sensors), recording.faults, recording.times, Latency(), spoken=spoken)
    view = view_of(scene, console)
    n_chars = int(len(recording.values) / LIVE_HZ * TEXT_HZ) - len(PROMPT)

    def on_text(text: str) -> None:
        scene.text += text
        view.update()

    before = server.metrics()
    view.start()
    try:
        shown = play(client, SENSOR, sensors[0], PACED, scene.latency, on_output=_scored(model, recording, scene, view))
        others = play_all(client, SENSOR, sensors[1:], PACED)
        text = write(client, TEXT, PROMPT, n_chars, TEXT_HZ, on_text)
        speech = listen(client, SPEECH, spoken, view.update)
        first, rest, written, said = await asyncio.gather(shown, others, text, speech)
    finally:
        view.stop()
    batch = _mean_batch(before, server.metrics())
    played = [first, *rest]
    result.played += [*played, written, said]
    result.alarms = scene.alarms
    result.rows.append(Row(f"live: {LIVE_HZ:g} frames/s a session, while shown", len(played), _merged(played), batch))
    hz = len(said.frames) / said.latency.seconds
    result.rows.append(Row(f"live: speech, {hz:.0f} frames/s as it was spoken", 1, said.latency, batch))
    result.rows.append(Row(f"live: text, {TEXT_HZ:g} frames/s, 1 in flight", 1, written.latency, batch))


def _scored(model: Model, recording: Recording, scene: Scene, view: View) -> Any:
    """Return what takes each output of the shown sensor: score it, put it into the scene, show it."""
    settings = msgspec.convert(model.card.provenance["anomaly"], AnomalySettings)
    score = AnomalyScore(settings)
    forecast = float(recording.values[0, 0])

    def on_output(seq: int, y: Any) -> None:
        nonlocal forecast
        value = float(recording.values[seq, 0])
        verdict = score.frame(value, float(y[0]))
        scene.see(Moment(seq, value, forecast, verdict.score, verdict.flag), verdict.onset)
        forecast = (float(y[0]) - settings.shift) / settings.scale
        view.update()

    return on_output


def _merged(played: list[Played]) -> Latency:
    whole = Latency(started_ns=played[0].latency.started_ns)
    for one in played:
        whole.merge(one.latency)
    return whole


def _mean_batch(before: dict[str, float], after: dict[str, float]) -> float:
    """Sessions stepped in one kernel call, on average, between two readings of /metrics."""
    n_stepped, n_ticks = (
        after[f"streamrnn_batch_sessions_{name}"] - before[f"streamrnn_batch_sessions_{name}"]
        for name in ("sum", "count")
    )
    return n_stepped / max(1.0, n_ticks)


def _report(
    console: Console, result: Result, findings: Findings, n_faults: int, spoken: Spoken, seconds: float
) -> None:
    table = Table(title="measured at the client, frame by frame, over a websocket", title_justify="left")
    table.add_column("mode")
    for heading in ("sessions", "frames", "p50 ms", "p99 ms", "frames/s", "mean batch"):
        table.add_column(heading, justify="right")
    for row in result.rows:
        latency = row.latency
        table.add_row(
            row.mode,
            str(row.n_sessions),
            f"{latency.n_frames:,}",
            f"{latency.percentile_ms(50):.3f}",
            f"{latency.percentile_ms(99):.3f}",
            f"{latency.frames_per_s:,.0f}",
            f"{row.mean_batch:.2f}",
        )
    console.print(table)
    n_outputs = sum(len(played.outputs) for played in result.played)
    console.print(
        f"{len(findings.found)} of {n_faults} injected faults found, {findings.n_false} false alarms; "
        f"{len(spoken.heard)} words heard of {len(spoken.words)} spoken; "
        f"{n_outputs:,} outputs compared with the embedded engine, bit for bit; {seconds:.0f} s in all"
    )
