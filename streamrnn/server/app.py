"""The server: a port, the pump behind it, warm-up, and a stop that finishes what was begun."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from streamrnn.engine.engine import Engine
from streamrnn.errors import OptionError
from streamrnn.kernels.warmup import warmup
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.server import shells
from streamrnn.server.admission import admit, newer_of
from streamrnn.server.front import STOPPING, Front
from streamrnn.server.keeper import Keeper
from streamrnn.server.listeners import Listeners, SpeechOptions
from streamrnn.server.pump import Pump, clock_ns
from streamrnn.server.shells import Shell, shell_of
from streamrnn.serving.hub import Hub
from streamrnn.serving.roster import OnTurn
from streamrnn.serving.speech.choice import hearing
from streamrnn.serving.timers import Timers
from streamrnn.stores.store import Store

log = logging.getLogger("streamrnn.server")

MIN_TICK_MS = 5
MAX_TICK_MS = 250
SETTLE_S = 0.005
CLOSE_STORE_S = 1.0
Load = Callable[[], Mapping[str, Model]]
FORCED = 1
"""Exit status after a second signal, or when warm-up failed."""


class Server:
    """Serves models over websockets on one port.

    Args:
        models: by the name that clients open.
        host: address to bind.
        port: 0 lets the system choose; read `port` after `start`.
        limits: bounds.
        snapshot_key: signs snapshots, see `Engine`.
        load: reads the models again for `reload`; called in a thread.
        store: where sessions outlive this server; it is owned by the server from here on, and closed with it.
        on_turn: told of every turn in a session's life, see `serving.roster`.
        is_forced: serve models whose certificate failed, too; else they are refused, here and by `reload`.
        speech: how clients of other speech servers are heard.
        transport: what connections stand on, see `server.shells`; None: the default.

    Attributes:
        speech_ports: by protocol, once started.
        is_stopping: a stop was begun.

    Raises:
        OptionError: a model's name cannot be used on the wire, the key is too short, or the transport is not there.
        UnprovenError: a model's certificate failed.
        UnknownModelError: `speech.model` is none that can hear.
    """

    def __init__(
        self,
        models: Mapping[str, Model],
        host: str = "127.0.0.1",
        port: int = 8765,
        limits: Limits | None = None,
        snapshot_key: bytes | None = None,
        load: Load | None = None,
        store: Store | None = None,
        on_turn: OnTurn | None = None,
        is_forced: bool = False,
        speech: SpeechOptions | None = None,
        transport: str | None = None,
    ) -> None:
        self._make_shell = shell_of(transport or shells.DEFAULT)
        self.limits = limits or Limits()
        self._load = load
        self._is_loading = False
        self.host = host
        self.port = port
        self.models = dict(models)
        self._is_forced = is_forced
        for name, model in self.models.items():
            if not 1 <= len(name) <= self.limits.max_id_chars:
                raise OptionError(f"a model name must have 1 to {self.limits.max_id_chars} characters, got {name!r}")
            admit(name, model, is_forced)
        self._speech = speech or SpeechOptions()
        if self._speech.model is not None:
            hearing(self.models, self._speech.model)
        n_helpers = self.limits.max_threads - 1
        self._helpers = ThreadPoolExecutor(n_helpers, "step") if n_helpers else None
        engine = Engine(limits=self.limits, helpers=self._helpers, snapshot_key=snapshot_key)
        self.hub = Hub(engine, self.limits, has_store=store is not None, on_turn=on_turn)
        self._store = store
        self._snapshot_key = snapshot_key
        self.front = Front(self.hub, self.models, self._speech.model)
        self.connections: set[Shell] = set()
        self.status = 0
        self._listeners = Listeners()
        self.speech_ports = self._listeners.speech_ports
        self.is_stopping = False

    async def __aenter__(self) -> Server:
        await self.start()
        await self.ready.wait()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, fault: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Open the ports, then compile the kernels in a thread: live at once, ready later.

        Raises:
            OSError: a port cannot be bound.
        """
        self._loop = asyncio.get_running_loop()
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()
        self.pump = Pump(self._loop, self.hub)
        limits = self.limits
        shortest_ms = min(
            *(limits.handshake_timeout_ms, limits.ping_interval_ms, limits.ping_timeout_ms),
            *(limits.park_ms, limits.expire_ms, limits.checkpoint_ms),
        )
        self._tick_s = min(max(shortest_ms // 4, MIN_TICK_MS), MAX_TICK_MS) / 1000
        self.timers: Timers[Shell] = Timers()
        if self._store is not None:
            self.pump.keeper = Keeper(self._loop, self.hub, self._store, self._snapshot_key, self.pump.wake)
        await self._listeners.open(self.host, self.port, self._speech, lambda own: self._make_shell(self, own))
        self.port = self._listeners.port
        self._clock_timer = self._loop.call_later(self._tick_s, self._look_at_clock)
        log.info("listening on %s port %d", self.host, self.port)
        for name, port in self.speech_ports.items():
            log.info("listening on %s port %d, which speaks %s", self.host, port, name)
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    async def serve(self) -> int:
        """Start, and return the exit status once stopped."""
        await self.start()
        await self.stopped.wait()
        if self.status != FORCED:
            await self.store_closed()
        return self.status

    def begin_stop(self) -> None:
        """Take no new work, tell every client, and stop at the deadline or when the last connection is gone."""
        if self.is_stopping:
            return
        self.is_stopping = True
        self.front.unready_reason = STOPPING
        log.info("stopping: %d connections, %d sessions", len(self.hub.peers), self.hub.n_sessions)
        self._listeners.close()
        drain_ms = self.limits.drain_ms
        deadline_ms = drain_ms - drain_ms // 4  # the rest is kept for the closing handshakes
        self.hub.drain(deadline_ms)
        self.pump.wake()
        self._settle_until_s = self._loop.time() + (deadline_ms + drain_ms // 8) / 1000
        self._end_timer = self._loop.call_later(deadline_ms / 1000, self._end)
        self._force_timer = self._loop.call_later(drain_ms / 1000, self.abort)
        self._finish_if_empty()

    async def stop(self) -> None:
        """Stop gracefully; returns when every connection is gone."""
        self.begin_stop()
        await self.stopped.wait()
        await self.store_closed()

    async def store_closed(self) -> None:
        """Wait a while for the store to take what is under way; what it does not is lost to it, not torn."""
        if self.pump.keeper is not None:
            await self._loop.run_in_executor(None, self.pump.keeper.join, CLOSE_STORE_S)

    def reload(self) -> None:
        """Read the models again, in a thread: new sessions get what is new, open ones finish on what they have.

        Whatever goes wrong is logged, and the models that are served go on; so does one whose new version is unproven.
        """
        if self._load is None or self._is_loading or not self.ready.is_set():
            log.warning("not reloading: %s", "no models to read again" if self._load is None else "not ready, or at it")
            return
        self._is_loading = True
        threading.Thread(target=self._load_again, args=(self._load,), name="reload", daemon=True).start()

    def abort(self) -> None:
        """Drop every connection and stop at once."""
        self.begin_stop()
        for connection in list(self.connections):
            connection.abort()
        self._finish()

    def forget(self, connection: Shell) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.timers.drop(connection)
        if self.is_stopping:
            self._finish_if_empty()

    def _end(self) -> None:
        """Step and answer all that waits, save it, and then end every session.

        A store that does not take it in half of the time that is left keeps nobody: clients go on from an older state.
        """
        self.hub.settle(clock_ns())
        self.pump.write()
        if self.pump.keeper is not None:
            self.pump.keeper.take()
        if not self.hub.is_settled and self._loop.time() < self._settle_until_s:
            self._end_timer = self._loop.call_later(SETTLE_S, self._end)
            return
        self.hub.end(clock_ns())
        self.pump.write()
        if not self.connections:
            self._finish()

    def _finish_if_empty(self) -> None:
        """Stop when the last connection is gone, and all that its sessions were is saved."""
        if self.connections:
            return
        if self.hub.is_settled:
            self._finish()
        else:
            self._end_timer.cancel()
            self._end()

    def _finish(self) -> None:
        if not self.stopped.is_set():
            if self.pump.keeper is not None:
                self.pump.keeper.take()
                self.pump.keeper.stop()
            self._end_timer.cancel()
            self._force_timer.cancel()
            self._clock_timer.cancel()
            if self._helpers is not None:
                self._helpers.shutdown(wait=False)
            self.stopped.set()
            log.info("stopped")

    def _look_at_clock(self) -> None:
        now_ns = clock_ns()
        for connection in self.timers.advance(now_ns):
            connection.on_due(now_ns)
        self.hub.advance(now_ns)
        if self.hub.dirty or self.hub.errands:
            self.pump.wake()
        self._clock_timer = self._loop.call_later(self._tick_s, self._look_at_clock)

    def _load_again(self, load: Load) -> None:
        models: Mapping[str, Model] = {}
        fault: Exception | None = None
        try:
            models = load()
            for model in models.values():
                _ = model.digest  # computed here, not on the loop
        except Exception as raised:
            fault = raised
        try:
            self._loop.call_soon_threadsafe(self._loaded_again, models, fault)
        except RuntimeError:
            log.debug("the loop ended before the models were read")

    def _loaded_again(self, models: Mapping[str, Model], fault: Exception | None) -> None:
        self._is_loading = False
        if fault is not None:
            log.error("not reloaded, the models that are served go on: %s", fault)
            return
        newer = newer_of(self.models, models, self._is_forced)
        for name in newer:
            self.hub.engine.replace_model(name, models[name])
            self.models[name] = models[name]
        log.info("reloaded: %s", ", ".join(sorted(newer)) or "nothing is new")

    def _warm_up(self) -> None:
        fault: Exception | None = None
        try:
            warmup()
        except Exception as raised:
            fault = raised
        try:
            self._loop.call_soon_threadsafe(self._warmed_up, fault)
        except RuntimeError:
            log.debug("the loop ended before warm-up did")

    def _warmed_up(self, fault: Exception | None) -> None:
        if fault is not None:
            log.error("warm-up failed", exc_info=fault)
            self.status = FORCED
            self.begin_stop()
        elif not self.is_stopping:
            # Only now: adding a model compiles what is not compiled yet, which would keep the port shut.
            for name, model in self.models.items():
                self.hub.engine.add_model(name, model)
            self.front.unready_reason = None
            self.ready.set()
            log.info("ready: %s", ", ".join(sorted(self.models)))
