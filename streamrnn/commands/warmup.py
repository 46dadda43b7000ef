"""`streamrnn warmup`: compile the kernels into the cache, so that a server is ready at once."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Annotated

import typer


def warmup(
    cache_dir: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Keep the compiled kernels here (default: $STREAMRNN_CACHE_DIR, else the user's cache).",
        ),
    ] = None,
) -> None:
    """Compile every kernel, or load it from the cache, and say how long it took.

    The kernels serve every model, so this needs no model and is done once per machine and version, for example while an
    image is built. A server that finds them there is ready in a second or two.

    Example: streamrnn warmup --cache-dir build/kernels
    """
    if cache_dir is not None:
        # The kernels find their cache when they are imported, which is over by now: a child starts afresh.
        command = [sys.executable, "-m", "streamrnn", "warmup"]
        environment = os.environ | {"STREAMRNN_CACHE_DIR": str(cache_dir)}
        raise typer.Exit(subprocess.run(command, env=environment, check=False).returncode)
    import streamrnn

    done = streamrnn.warmup()
    where = str(done.cache_directory) if done.cache_directory else "no usable directory, nothing was kept"
    typer.echo(f"{done.n_kernels} kernels ready in {done.seconds:.2f} s: {done.n_compiled} compiled, ", nl=False)
    typer.echo(f"{done.n_kernels - done.n_compiled} loaded")
    typer.echo(f"cache: {where}")
