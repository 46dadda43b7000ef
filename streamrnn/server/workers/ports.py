"""Ports that several processes listen on: chosen and held by one that does not listen itself."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace

from streamrnn.errors import OptionError
from streamrnn.server.listeners import SpeechOptions
from streamrnn.server.options import ServerOptions


@contextmanager
def held(options: ServerOptions) -> Iterator[ServerOptions]:
    """Hold the ports of a server while the block runs; yields its options with the numbers that were chosen.

    A socket that is bound and does not listen gets no connections, but keeps the port from everybody without
    SO_REUSEPORT and from other users, also while no worker listens.

    Raises:
        OptionError: this system has no SO_REUSEPORT.
        OSError: a port cannot be bound, or somebody listens on it.
    """
    if not hasattr(socket, "SO_REUSEPORT"):
        raise OptionError("several workers share a port with SO_REUSEPORT, which this system does not have")
    with ExitStack() as stack:
        port = _hold(stack, options.host, options.port)
        speech = {name: _hold(stack, options.host, asked) for name, asked in options.speech.ports().items()}
        own = SpeechOptions(options.speech.model, speech.get("vosk"), speech.get("sherpa"))
        yield replace(options, port=port, speech=own)


def _hold(stack: ExitStack, host: str, port: int) -> int:
    """Bind a port at every address of the host; returns its number."""
    found = socket.getaddrinfo(host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    for family, _, _, _, (address, _, *scope) in dict.fromkeys(found):
        if port:
            with _bound(family, (address, port, *scope), is_shared=False):
                pass  # somebody who listens with SO_REUSEPORT, too, would share clients with us unnoticed
        plug = stack.enter_context(_bound(family, (address, port, *scope), is_shared=True))
        port = plug.getsockname()[1]
    return port


def _bound(family: socket.AddressFamily, address: tuple[object, ...], *, is_shared: bool) -> socket.socket:
    plug = socket.socket(family, socket.SOCK_STREAM)
    try:
        plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        if is_shared:
            plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        if family == socket.AF_INET6:
            plug.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        plug.bind(address)
    except OSError as fault:
        plug.close()
        raise OSError(fault.errno, f"cannot listen on {address[0]} port {address[1]}: {fault.strerror}") from None
    return plug
