"""A server as plain values: what one process is told of it by another, before anything heavy is loaded."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, cast

from streamrnn.limits import Limits
from streamrnn.server.listeners import SpeechOptions

if TYPE_CHECKING:
    from streamrnn.model.model import Model
    from streamrnn.model.precision import PrecisionName
    from streamrnn.server.app import Server
    from streamrnn.stores import Store

SESSIONS_FILE = "sessions.sqlite"


@dataclass(frozen=True)
class ServerOptions:
    """What `streamrnn serve` is told, to be written as JSON and read by another process.

    Attributes:
        models: paths of model files, by the name that clients open.
        precision: how weights are kept, a `PrecisionName`.
        snapshot_key_file: path, whose bytes sign snapshots.
        state: folder of the file that keeps sessions; made where there is none.
        store: URL of the store that keeps them, see `open_store`; not with `state`.
        host, port, limits, is_forced, speech, transport: as `Server` takes them.
    """

    models: Mapping[str, str]
    host: str = "127.0.0.1"
    port: int = 8765
    limits: Limits = field(default_factory=Limits)
    precision: str = "float32"
    snapshot_key_file: str | None = None
    state: str | None = None
    store: str | None = None
    is_forced: bool = False
    speech: SpeechOptions = field(default_factory=SpeechOptions)
    transport: str | None = None

    def load(self) -> dict[str, Model]:
        """Read the model files.

        Raises:
            ModelError: one is none.
            OSError: one cannot be read.
        """
        from streamrnn.model.file import load_model

        return {name: load_model(path, cast("PrecisionName", self.precision)) for name, path in self.models.items()}

    def open_store(self) -> Store | None:
        """The store that `state` or `store` names, or None.

        Raises:
            OptionError, StoreError: it is none, or cannot be opened.
        """
        from streamrnn.stores import open_store

        if self.state is not None:
            folder = Path(self.state)
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            return open_store(folder / SESSIONS_FILE)
        return open_store(self.store) if self.store is not None else None

    def make(self, worker: int | None = None, *, opens_late: bool = False) -> Server:
        """The server, with its models read and its store open.

        Args:
            worker, opens_late: as `Server` takes them.

        Raises:
            StreamrnnError, OSError: models, key, store or transport are none, or cannot be read.
        """
        from streamrnn.server.app import Server

        key = Path(self.snapshot_key_file).read_bytes() if self.snapshot_key_file else None
        models = self.load()
        return Server(
            *(models, self.host, self.port, self.limits, key, self.load, self.open_store()),
            is_forced=self.is_forced,
            speech=self.speech,
            worker=worker,
            opens_late=opens_late,
            transport=self.transport,
        )
