"""One peer in uvicorn, as fast as uvicorn offers it: `python -m benchmarks.peers.server NAME`; its port is printed."""

from __future__ import annotations

import argparse
import importlib
import socket

APPS = ("onnxruntime", "torch", "batching")
WEBSOCKETS = ("websockets-sansio", "wsproto")
"""Implementations in uvicorn, the faster one first; a third is deprecated, and no faster."""


def main() -> None:
    """Serve until stopped: uvloop, httptools, no compression, no access log."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.peers.server", description=__doc__)
    parser.add_argument("name", choices=APPS)
    parser.add_argument("--ws", choices=WEBSOCKETS, default=WEBSOCKETS[0], help="uvicorn's websocket implementation")
    arguments = parser.parse_args()
    import uvicorn  # comes with `make bench`

    app = importlib.import_module(f"benchmarks.peers.{arguments.name}_app").app
    config = uvicorn.Config(
        app,
        loop="uvloop",
        http="httptools",
        ws=arguments.ws,
        ws_per_message_deflate=False,
        log_level="warning",
        access_log=False,
        timeout_graceful_shutdown=1,
    )
    plug = socket.create_server(("127.0.0.1", 0), backlog=2048)
    print(f"port {plug.getsockname()[1]}", "ready", sep="\n", flush=True)  # who connects now waits in the backlog
    uvicorn.Server(config).run([plug])


if __name__ == "__main__":
    main()
