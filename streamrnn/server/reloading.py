"""The models are read again while the server serves: new sessions get what is new, open ones keep what they have."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping

from streamrnn.engine.engine import Engine
from streamrnn.model.model import Model
from streamrnn.server.admission import newer_of

log = logging.getLogger("streamrnn.server")

Load = Callable[[], Mapping[str, Model]]


class Reloader:
    """Replaces the models of one server; whatever goes wrong is logged, and those that are served go on.

    Args:
        load: reads them; called in a thread. None: there is nothing to read again.
        models: those that are served, updated in place.
        engine: steps them.
        is_forced: a model whose certificate failed may take another's place, too.
        settle: called before one is replaced: no tick may be under way then.
    """

    def __init__(
        self,
        load: Load | None,
        models: dict[str, Model],
        engine: Engine,
        is_forced: bool,
        settle: Callable[[], object],
    ) -> None:
        self._load = load
        self._models = models
        self._engine = engine
        self._is_forced = is_forced
        self._settle = settle
        self._is_at_it = False

    def begin(self, is_ready: bool) -> None:
        """Read them, from the loop; does nothing while that is under way, or while the server is not ready."""
        if self._load is None or self._is_at_it or not is_ready:
            log.warning("not reloading: %s", "no models to read again" if self._load is None else "not ready, or at it")
            return
        self._is_at_it = True
        arguments = (asyncio.get_running_loop(), self._load)
        threading.Thread(target=self._read, args=arguments, name="reload", daemon=True).start()

    def _read(self, loop: asyncio.AbstractEventLoop, load: Load) -> None:
        models: Mapping[str, Model] = {}
        fault: Exception | None = None
        try:
            models = load()
            for model in models.values():
                _ = model.digest  # computed here, not on the loop
        except Exception as raised:
            fault = raised
        try:
            loop.call_soon_threadsafe(self._replace, models, fault)
        except RuntimeError:
            log.debug("the loop ended before the models were read")

    def _replace(self, models: Mapping[str, Model], fault: Exception | None) -> None:
        self._is_at_it = False
        if fault is not None:
            log.error("not reloaded, the models that are served go on: %s", fault)
            return
        self._settle()
        newer = newer_of(self._models, models, self._is_forced)
        for name in newer:
            self._engine.replace_model(name, models[name])
            self._models[name] = models[name]
        log.info("reloaded: %s", ", ".join(sorted(newer)) or "nothing is new")
