"""The `streamrnn` command line: what each command is called, and how errors leave."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from importlib.metadata import version
from typing import Annotated

try:
    import typer
except ImportError:  # the embedded engine needs no command line
    sys.exit("error: the command line needs its extras: pip install 'streamrnn[server,cli]'")

from streamrnn.commands import convert, demo, generate, inspect, serve, stream, warmup
from streamrnn.errors import OptionError, StreamrnnError

HELP = """Keep recurrent networks running, one live state per session.

Start with `streamrnn demo`, which shows everything at once. Then:

    streamrnn convert model.pt model.safetensors --spec spec.json

    streamrnn serve --model temp=model.safetensors

    streamrnn stream ws://localhost:8765 temp --csv recording.csv
"""

app = typer.Typer(
    name="streamrnn",
    help=HELP,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)
for command in (
    *(demo.demo, serve.serve, stream.stream, generate.generate),
    *(inspect.inspect, convert.convert, warmup.warmup),
):
    app.command()(command)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"streamrnn {version('streamrnn')}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version and leave.", callback=_print_version, is_eager=True)
    ] = False,
) -> None:
    """Options that stand before the command."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command and return its exit code: 0 done, 1 failed, 2 wrong arguments, 130 interrupted.

    Every error that is ours, or that a server sent, is one line on stderr: `error [code]: what was expected`.
    """
    try:
        app(args=arguments, prog_name="streamrnn")
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    except StreamrnnError as error:
        return _fail(error.code, error.message, 2 if isinstance(error, OptionError) else 1)
    except OSError as error:
        return _fail("io", f"{error.filename}: {error.strerror}" if error.filename else str(error), 1)
    except Exception as error:
        if os.environ.get("STREAMRNN_TRACEBACK"):
            raise
        code, message = _described(error)
        return _fail(code, message, 2 if code == OptionError.code else 1)
    return 0


def _fail(code: str, message: str, exit_code: int) -> int:
    print(f"error [{code}]: {message}", file=sys.stderr)
    return exit_code


def _described(error: Exception) -> tuple[str, str]:
    """Return code and message: those of the client package, which has its own tree, else `internal`."""
    client = sys.modules.get("streamrnn_client")
    if client is not None and isinstance(error, client.StreamrnnClientError):
        return str(error.code), str(error)
    return "internal", f"{type(error).__name__}: {error} (a bug; with STREAMRNN_TRACEBACK=1 it shows where)"
