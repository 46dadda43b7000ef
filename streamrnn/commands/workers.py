"""The option `--workers`: what must go with it, and how the command becomes the supervisor."""

from __future__ import annotations

import os
import sys
import tempfile
from typing import IO, NoReturn

import msgspec
import typer

from streamrnn.server.workers.command import command_of
from streamrnn.server.workers.options import WorkersOptions

IN_MEMORY = "memory:"
STDIN = 0


def check_workers(options: WorkersOptions) -> None:
    """Check that the options go together.

    Raises:
        typer.BadParameter: they do not; says why.
    """
    if options.n_workers == 1:
        if options.admin_port is not None:
            raise typer.BadParameter("expected --workers of 2 or more with --admin-port, which answers for all of them")
        return
    if options.server.state is None and options.server.store in (None, IN_MEMORY):
        raise typer.BadParameter(
            "expected --state or --store with --workers: a client that comes back may meet another worker,"
            " which finds its session only in a store that all of them share"
        )


def become_supervisor(options: WorkersOptions) -> NoReturn:
    """Go on as the supervisor, under the same process id; it needs nothing of what this program has loaded."""
    with _unnamed_file() as told:
        told.write(msgspec.json.encode(options))
        told.seek(0)
        os.dup2(told.fileno(), STDIN)
    sys.stdout.flush()
    sys.stderr.flush()
    os.execv(sys.executable, command_of("streamrnn.server.workers"))


def _unnamed_file() -> IO[bytes]:
    """A file that only we have; in memory where the system can, for the file system may be read-only."""
    if sys.platform == "linux":
        return open(os.memfd_create("options"), "w+b")
    return tempfile.TemporaryFile()
