"""`streamrnn serve`: a websocket server for model files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Annotated

import typer

from streamrnn.commands.named_models import parse_models
from streamrnn.commands.precision import parse_precision_name
from streamrnn.commands.workers import become_supervisor, check_workers
from streamrnn.limits import Limits
from streamrnn.server.listeners import SpeechOptions
from streamrnn.server.options import ServerOptions
from streamrnn.server.workers.options import LOG_FORMAT, MAX_WORKERS, WorkersOptions

DEFAULT = Limits()
LOG_LEVELS = ("debug", "info", "warning", "error")


def parse_log_level(text: str) -> str:
    """Check a log level's name."""
    if text.lower() not in LOG_LEVELS:
        raise typer.BadParameter(f"expected one of {', '.join(LOG_LEVELS)}, got {text!r}")
    return text.lower()


def parse_transport(text: str) -> str:
    """Check a transport's name; whether its extra is installed is seen when the server is made."""
    from streamrnn.server.transports import TRANSPORTS

    if text not in TRANSPORTS:
        raise typer.BadParameter(f"expected one of {', '.join(TRANSPORTS)}, got {text!r}")
    return text


def serve(
    model: Annotated[
        list[str],
        typer.Option(metavar="NAME=FILE", help="Serve FILE under NAME; may be given several times."),
    ],
    host: Annotated[
        str, typer.Option(metavar="ADDRESS", help="Address to listen on; 0.0.0.0 opens it to the network.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option(min=0, max=65535, metavar="N", help="Port to listen on; 0 takes a free one.")
    ] = 8765,
    log_level: Annotated[
        str, typer.Option(callback=parse_log_level, metavar="LEVEL", help="debug, info, warning or error.")
    ] = "info",
    max_sessions: Annotated[
        int, typer.Option(min=1, metavar="N", help="Sessions of each model that may be open at once.")
    ] = DEFAULT.max_sessions,
    max_connections: Annotated[
        int, typer.Option(min=1, metavar="N", help="Websockets open at once.")
    ] = DEFAULT.max_connections,
    max_batch: Annotated[
        int, typer.Option(min=1, metavar="N", help="Sessions stepped in one kernel call.")
    ] = DEFAULT.max_batch,
    max_threads: Annotated[
        int, typer.Option(min=1, metavar="N", help="Threads that one big batch is split over.")
    ] = DEFAULT.max_threads,
    precision: Annotated[
        str,
        typer.Option(
            callback=parse_precision_name,
            metavar="NAME",
            help="Keep weights as float32, bfloat16 or int8: narrow ones are faster where they leave a cache.",
        ),
    ] = "float32",
    snapshot_key_file: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Sign snapshots with the bytes of this file, at least 16, and restore no others.",
        ),
    ] = None,
    max_queue_frames: Annotated[
        int, typer.Option(min=1, metavar="N", help="Frames waiting in one session before it is told to slow down.")
    ] = DEFAULT.max_queue_frames,
    max_message_bytes: Annotated[
        int, typer.Option(min=1, metavar="N", help="Largest websocket message accepted.")
    ] = DEFAULT.max_message_bytes,
    state: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Keep sessions in a file in DIR, so that they outlive this server; made where there is none.",
        ),
    ] = None,
    store: Annotated[
        str | None,
        typer.Option(
            metavar="URL",
            help="Keep sessions in Valkey or Redis, such as redis://host:6379/0: any server over it resumes them.",
        ),
    ] = None,
    checkpoint_ms: Annotated[
        int, typer.Option(min=1, metavar="N", help="Save what has changed this often.")
    ] = DEFAULT.checkpoint_ms,
    checkpoint_frames: Annotated[
        int, typer.Option(min=1, metavar="N", help="Save sooner, once a session has answered so many frames.")
    ] = DEFAULT.checkpoint_frames,
    park_ms: Annotated[
        int, typer.Option(min=1, metavar="N", help="Silence after which a session gives its slot back.")
    ] = DEFAULT.park_ms,
    expire_ms: Annotated[
        int | None,
        typer.Option(
            min=1, metavar="N", help="Time parked after which a session is forgotten; two minutes, stored ones a day."
        ),
    ] = None,
    drain_ms: Annotated[
        int, typer.Option(min=1, metavar="N", help="On SIGTERM or Ctrl-C, wait this long for clients to finish.")
    ] = DEFAULT.drain_ms,
    speech: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="The model that hears clients of Vosk's and sherpa-onnx's protocols; the only one that can.",
        ),
    ] = None,
    vosk_port: Annotated[
        int | None,
        typer.Option(min=0, max=65535, metavar="N", help="Speak Vosk's protocol on this port, too; Vosk's is 2700."),
    ] = None,
    sherpa_port: Annotated[
        int | None,
        typer.Option(
            min=0, max=65535, metavar="N", help="Speak sherpa-onnx's protocol on this port, too; its own is 6006."
        ),
    ] = None,
    workers: Annotated[
        int,
        typer.Option(
            min=1,
            max=MAX_WORKERS,
            metavar="N",
            help="Serve with so many processes on the one port, one for a core; needs --state or --store.",
        ),
    ] = 1,
    admin_port: Annotated[
        int | None,
        typer.Option(
            min=0,
            max=65535,
            metavar="N",
            help="With --workers: answer for all on this port; 0 takes a free one.",
        ),
    ] = None,
    transport: Annotated[
        str,
        typer.Option(
            callback=parse_transport, metavar="NAME", help="Stand on websockets, or on picows (extra `fast`)."
        ),
    ] = "websockets",
    force_unproven: Annotated[
        bool,
        typer.Option(
            "--force-unproven", help="Serve models, too, whose certificate says that they failed their proof."
        ),
    ] = False,
) -> None:
    """Serve models over a websocket, one live session per client sequence.

    Answers frames as soon as every kernel is compiled (see `streamrnn warmup`); until then /v2/health/ready says 503.
    The same port answers GET /v2/health/live, /v2/health/ready, /v2/models and /metrics. SIGHUP reads the model files
    again: new sessions get what is new in them, open ones finish on what they have.

    A model file holds a certificate of how far it is from the network it came from (see `streamrnn inspect`). One that
    failed is refused, at the start and by SIGHUP; one that was never compared is served, and the log says so.

    With --state or --store a session outlives the server: it is saved as it goes, and a client that comes back after a
    crash or a restart goes on with the same outputs, bit for bit.

    Clients of Vosk's server and of sherpa-onnx's find their protocols under /vosk and /sherpa, and under / on ports of
    their own with --vosk-port and --sherpa-port, where a model is served whose card has a ctc decoder.

    Example: streamrnn serve --model temp=temperature.safetensors --model text=char_lm.safetensors --port 8765
    """
    limits = Limits(
        max_sessions=max_sessions,
        max_connections=max_connections,
        max_batch=max_batch,
        max_threads=max_threads,
        max_queue_frames=max_queue_frames,
        max_message_bytes=max_message_bytes,
        drain_ms=drain_ms,
        checkpoint_ms=checkpoint_ms,
        checkpoint_frames=checkpoint_frames,
        park_ms=park_ms,
        expire_ms=expire_ms or DEFAULT.expire_ms,
        expire_stored_ms=expire_ms or DEFAULT.expire_stored_ms,
    )
    if state is not None and store is not None:
        raise typer.BadParameter("expected --state or --store, got both")
    options = ServerOptions(
        models={name: str(path) for name, path in parse_models(model).items()},
        host=host,
        port=port,
        limits=limits,
        precision=precision,
        snapshot_key_file=str(snapshot_key_file) if snapshot_key_file else None,
        state=str(state) if state is not None else None,
        store=store,
        is_forced=force_unproven,
        speech=SpeechOptions(speech, vosk_port, sherpa_port),
        transport=transport,
    )
    several = WorkersOptions(options, workers, admin_port, log_level)
    check_workers(several)
    if workers > 1:
        become_supervisor(several)
    logging.basicConfig(level=log_level.upper(), format=LOG_FORMAT)
    from streamrnn.server.running import run

    raise typer.Exit(run(options.make()))
