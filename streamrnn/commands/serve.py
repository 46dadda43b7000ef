"""`streamrnn serve`: a websocket server for model files."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, cast

import typer

from streamrnn.commands.precision import parse_precision_name
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.model.precision import PrecisionName

if TYPE_CHECKING:
    from streamrnn.stores import Store

DEFAULT = Limits()
SESSIONS_FILE = "sessions.sqlite"


def parse_model(text: str) -> tuple[str, Path]:
    """Split NAME=FILE.

    Raises:
        typer.BadParameter: it is not of that form, or the file is not there.
    """
    name, _, file = text.partition("=")
    if not name or not file:
        raise typer.BadParameter(f"expected NAME=FILE, such as temp=model.safetensors, got {text!r}")
    path = Path(file)
    if not path.is_file():
        raise typer.BadParameter(f"expected a model file for {name!r}, there is none at {file!r}")
    return name, path


def parse_models(texts: list[str]) -> dict[str, Path]:
    """Read every NAME=FILE; a name may stand once."""
    models: dict[str, Path] = {}
    for text in texts:
        name, path = parse_model(text)
        if name in models:
            raise typer.BadParameter(f"expected each name once, {name!r} stands twice")
        models[name] = path
    return models


LOG_LEVELS = ("debug", "info", "warning", "error")


def parse_log_level(text: str) -> str:
    """Check a log level's name."""
    if text.lower() not in LOG_LEVELS:
        raise typer.BadParameter(f"expected one of {', '.join(LOG_LEVELS)}, got {text!r}")
    return text.lower()


def parse_transport(text: str) -> str:
    """Check a transport's name; whether its extra is installed is seen when the server is made."""
    from streamrnn.server.shells import TRANSPORTS

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
    files = parse_models(model)
    logging.basicConfig(level=log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s")
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
    import streamrnn
    from streamrnn.server.app import Server
    from streamrnn.server.listeners import SpeechOptions
    from streamrnn.server.running import run

    def load() -> dict[str, Model]:
        return {name: streamrnn.load_model(path, cast(PrecisionName, precision)) for name, path in files.items()}

    key = snapshot_key_file.read_bytes() if snapshot_key_file else None
    models = load()
    sessions = open_sessions(state, store)
    options = SpeechOptions(speech, vosk_port, sherpa_port)
    server = Server(
        models, host, port, limits, key, load, sessions, is_forced=force_unproven, speech=options, transport=transport
    )
    raise typer.Exit(run(server))


def open_sessions(state: Path | None, url: str | None) -> Store | None:
    """The store that --state or --store names, or None.

    Raises:
        OptionError, StoreError: it is none, or cannot be opened.
    """
    from streamrnn.stores import open_store

    if state is not None:
        state.mkdir(mode=0o700, parents=True, exist_ok=True)
        return open_store(state / SESSIONS_FILE)
    return open_store(url) if url is not None else None
