"""The ports of one server: its own, and those on which another server's protocol is spoken."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

BACKLOG = 1024
Shell = Callable[[str | None], asyncio.BaseProtocol]
"""Makes a connection of a port; its argument is the speech protocol of that port, or None for our own."""


@dataclass(frozen=True)
class SpeechOptions:
    """How clients of other speech servers are heard.

    Attributes:
        model: the one that hears them where they name none; None: the only one that can.
        vosk_port: where `/` speaks Vosk's protocol; 0: a free one; None: nowhere.
        sherpa_port: the same for sherpa-onnx's.
    """

    model: str | None = None
    vosk_port: int | None = None
    sherpa_port: int | None = None

    def ports(self) -> dict[str, int]:
        """The ports by protocol, of those that have one."""
        asked = {"vosk": self.vosk_port, "sherpa": self.sherpa_port}
        return {name: port for name, port in asked.items() if port is not None}


class Listeners:
    """Open ports.

    Attributes:
        port: our own.
        speech_ports: by protocol.
    """

    def __init__(self) -> None:
        self._open: list[asyncio.Server] = []
        self.port = 0
        self.speech_ports: dict[str, int] = {}

    async def open(self, host: str, port: int, speech: SpeechOptions, shell: Shell) -> None:
        """Open all, or none.

        Raises:
            OSError: one cannot be bound.
        """
        try:
            self.port = await self._listen(host, port, shell, None)
            for name, speech_port in speech.ports().items():
                self.speech_ports[name] = await self._listen(host, speech_port, shell, name)
        except OSError:
            self.close()
            raise

    def close(self) -> None:
        """Take no connection any more; those that are open stay."""
        for listener in self._open:
            listener.close()

    async def _listen(self, host: str, port: int, shell: Shell, own: str | None) -> int:
        loop = asyncio.get_running_loop()
        listener = await loop.create_server(lambda: shell(own), host, port, backlog=BACKLOG)
        self._open.append(listener)
        bound: int = listener.sockets[0].getsockname()[1]
        return bound
