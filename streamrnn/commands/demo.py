"""`streamrnn demo`: a server, a client, three trained models and a table, in under a minute."""

from __future__ import annotations

import typer

LOG_WIDTH = 120


def demo() -> None:
    """Show a server and a client at work: sensors with faults to find, spoken digits, and a text that writes itself.

    Starts `streamrnn serve` with three bundled models on a free port, streams a recording of a sensor to one and one of
    a voice to another, and writes text with the third, live, over a websocket. Then it measures, checks every output
    against the engine in this process bit for bit, and ends with a table. Exits with 1 if anything was wrong: an output
    missing or different, a fault not found, a word not heard, a server that died. Takes about half a minute; needs no
    PyTorch and no network.

    Example: streamrnn demo
    """
    from rich.console import Console

    from streamrnn.commands.demonstration import show

    console = Console(highlight=False, markup=False, emoji=False)
    if not console.is_terminal:
        console = Console(highlight=False, markup=False, emoji=False, width=LOG_WIDTH)
    raise typer.Exit(show.show(console))
