"""`streamrnn warmup`: compile the kernels into the cache, so that a server is ready at once."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Annotated, NamedTuple

import typer

from streamrnn.errors import OptionError

START = """
import json
import streamrnn
from streamrnn.kernels.cache import cpu_name
from streamrnn.kernels.simd import WIDTH
done = streamrnn.warmup()
print(json.dumps([done.n_kernels, done.n_compiled, done.seconds, cpu_name(), WIDTH]))
"""
READABLE_FOLDER, READABLE_FILE = 0o755, 0o644
"""Modes of a baked directory and its entries: all may read, the owner alone may write."""


class Start(NamedTuple):
    """What the warm-up of a fresh process did."""

    n_kernels: int
    n_compiled: int
    seconds: float
    cpu: str
    width: int
    """Lanes of its vectors."""


def warmup(
    bake: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Keep the kernels in this directory of a container image, for any user to read."
        ),
    ] = None,
) -> None:
    """Compile every kernel, or load it from the cache, and say how long it took.

    The cache is $STREAMRNN_CACHE_DIR, else in the user's cache directory. The kernels serve every model, so this needs
    no model and is done once per machine and version. A server that finds them there is ready within a second.

    Example: streamrnn warmup --bake /opt/kernels
    """
    if bake is not None:
        _bake(bake.absolute())
        return
    import streamrnn

    done = streamrnn.warmup()
    _print_done(done.n_kernels, done.n_compiled, done.seconds)
    typer.echo(f"cache: {done.cache_directory or 'no usable directory, nothing was kept'}")


def _print_done(n_kernels: int, n_compiled: int, seconds: float) -> None:
    n_loaded = n_kernels - n_compiled
    typer.echo(f"{n_kernels} kernels ready in {seconds:.2f} s: {n_compiled} compiled, {n_loaded} loaded")


def _bake(directory: Path) -> None:
    """Fill `directory` with the kernels, open it to readers, and prove that a fresh process loads them all."""
    from streamrnn.kernels.cache import ENTRY_SUFFIX

    _prepare(directory)
    done = _start(directory)
    directory.chmod(READABLE_FOLDER)
    for entry in directory.glob(f"*{ENTRY_SUFFIX}"):
        entry.chmod(READABLE_FILE)
    again = _start(directory)
    if again.n_compiled:
        raise OptionError(
            f"expected a directory that keeps the kernels; {again.n_compiled} of {again.n_kernels} had to be compiled "
            f"again with {directory}",
            n_compiled=again.n_compiled,
        )
    _print_done(done.n_kernels, done.n_compiled, done.seconds)
    typer.echo(f"baked: {directory}; a fresh process loads all of it in {again.seconds:.2f} s")
    typer.echo(f"to use it, set STREAMRNN_CACHE_DIR={directory}; the directory may then be read-only")
    typer.echo(
        f"it is for the CPU {done.cpu} with vectors of {done.width} lanes; another CPU compiles the kernels again, "
        "in memory or, where it may write the directory, into its own entry"
    )
    for note in _notes(directory):
        typer.echo(f"note: {note}", err=True)


def _prepare(directory: Path) -> None:
    """Make the directory, or check that it is one that may be filled and opened to readers.

    Raises:
        OptionError: it cannot be written, others may write it, or it holds other files.
    """
    from streamrnn.kernels.cache import ENTRY_SUFFIX, is_private

    umask = os.umask(0o022)  # parents that are made here are open to readers, too
    try:
        directory.mkdir(parents=True, exist_ok=True)
        status = directory.stat()
        with tempfile.TemporaryFile(dir=directory):
            pass
        others = sorted(path.name for path in directory.iterdir() if ENTRY_SUFFIX not in path.name)
    except OSError as error:
        raise OptionError(f"expected a directory that can be written, {directory}: {error.strerror}") from error
    finally:
        os.umask(umask)
    if not is_private(status):
        raise OptionError(f"expected a directory of this user that nobody else may write, got {directory}")
    if others:
        raise OptionError(f"expected an empty directory or one of kernels, {directory} holds {others[0]!r}")


def _start(directory: Path) -> Start:
    """Warm up a fresh process; this one's kernels have found their cache when they were imported."""
    child = subprocess.run(
        [sys.executable, "-c", START],
        env=os.environ | {"STREAMRNN_CACHE_DIR": str(directory)},
        stdout=subprocess.PIPE,
        check=False,
        umask=0o022,
    )
    if child.returncode != 0:
        raise typer.Exit(1)  # the child has said why
    return Start(*json.loads(child.stdout))


def _notes(directory: Path) -> list[str]:
    """What may keep another user from loading the kernels."""
    if os.name != "posix":
        return []
    notes = [
        f"only its owner can reach the directory, since {parent} is closed to others"
        for parent in directory.parents
        if not parent.stat().st_mode & stat.S_IXOTH
    ]
    if os.getuid() != 0:
        notes.append(f"it serves the user {os.getuid()} only; a directory that root has baked serves every user")
    return notes
