"""Ports that are held for several listeners, with real sockets."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator

import pytest

from streamrnn.server.listeners import SpeechOptions
from streamrnn.server.options import ServerOptions
from streamrnn.server.workers.ports import held

FREE = ServerOptions({}, port=0, speech=SpeechOptions("hears", 0, 0))


@pytest.fixture
def plug() -> Iterator[socket.socket]:
    """A socket."""
    with socket.socket() as made:
        yield made


def test_free_ports_are_chosen_once_and_kept(plug: socket.socket) -> None:
    with held(FREE) as options:
        ports = {options.port, *options.speech.ports().values()}
        assert len(ports) == 3 and 0 not in ports
        assert options.speech.model == "hears"
        with pytest.raises(ConnectionRefusedError):
            plug.connect(("127.0.0.1", options.port))
        with pytest.raises(OSError, match="in use") as fault, socket.socket() as other:
            other.bind(("127.0.0.1", options.port))
        assert fault.value.errno == errno.EADDRINUSE
        with socket.socket() as shared:
            shared.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
            shared.bind(("127.0.0.1", options.port))
            shared.listen()
            plug.close()
            socket.create_connection(("127.0.0.1", options.port)).close()


@pytest.mark.parametrize("is_shared", [False, True])
def test_a_port_that_somebody_listens_on_is_refused(plug: socket.socket, is_shared: bool) -> None:
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    plug.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, is_shared)
    plug.bind(("127.0.0.1", 0))
    plug.listen()
    port = plug.getsockname()[1]
    with pytest.raises(OSError, match=f"cannot listen on 127.0.0.1 port {port}: Address"):
        held(ServerOptions({}, port=port)).__enter__()


def test_a_port_at_every_address_of_a_name() -> None:
    found = {address[0] for *_, address in socket.getaddrinfo("localhost", 0, type=socket.SOCK_STREAM)}
    with held(ServerOptions({}, host="localhost", port=0)) as options:
        for host in found:
            family = socket.AF_INET6 if ":" in str(host) else socket.AF_INET
            with pytest.raises(OSError, match="in use"), socket.socket(family) as other:
                other.bind((host, options.port))


def test_an_address_of_another_machine_is_refused() -> None:
    with pytest.raises(OSError, match=r"cannot listen on 192\.0\.2\.1 port 0: "):
        held(ServerOptions({}, host="192.0.2.1", port=0)).__enter__()
