"""The server: a port, the pump behind it, warm-up, and a stop that finishes what was begun."""

from __future__ import annotations

import asyncio
import logging
import threading
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType

from streamrnn.engine.engine import Engine
from streamrnn.errors import OptionError
from streamrnn.kernels.warmup import warmup
from streamrnn.limits import Limits
from streamrnn.model.model import Model
from streamrnn.server import transports
from streamrnn.server.admission import admit
from streamrnn.server.backlog import Backlog
from streamrnn.server.connection import Connection
from streamrnn.server.front import STOPPING, Front
from streamrnn.server.keeper import Keeper
from streamrnn.server.line import Line
from streamrnn.server.listeners import Listeners, SpeechOptions
from streamrnn.server.pump import Pump, clock_ns
from streamrnn.server.reloading import Load, Reloader
from streamrnn.serving.hub import Hub
from streamrnn.serving.roster import OnTurn
from streamrnn.serving.speech.choice import hearing
from streamrnn.serving.timers import Timers
from streamrnn.stores.store import Store

log = logging.getLogger("streamrnn.server")

MIN_TICK_MS = 5
MAX_TICK_MS = 250
MAX_DUE = 64
"""Connections looked at in one loop iteration: thousands that came together are due together."""
READ_NS = 100_000_000
"""Time for which a stop reads what has come before it."""
SETTLE_S = 0.005
CLOSE_STORE_S = 1.0
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
        worker: its number, where it is one of several processes on one port: that is shared, and the metrics say which.
        opens_late: open the ports only when ready, as nobody should meet this one while others are.
        transport: what connections stand on, see `server.transports`; None: the default.

    Attributes:
        speech_ports: by protocol, once started.
        is_stopping: a stop was begun.

    Raises:
        OptionError: a model's name cannot be used on the wire, the key is too short, or there is no such transport.
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
        worker: int | None = None,
        opens_late: bool = False,
        transport: str | None = None,
    ) -> None:
        self._connection = transports.connection_of(transport or transports.DEFAULT)
        self.limits = limits or Limits()
        self.host = host
        self.port = port
        self.models = dict(models)
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
        self._reloader = Reloader(load, self.models, engine, is_forced, lambda: self.pump.join())
        self._store = store
        self._snapshot_key = snapshot_key
        self.front = Front(self.hub, self.models, self._speech.model, worker)
        self.connections: set[Connection] = set()
        self.shaking: dict[Connection, None] = {}
        self.status = 0
        self._opens_late = opens_late
        self._listeners = Listeners(is_shared=worker is not None)
        self.speech_ports = self._listeners.speech_ports
        self.is_stopping = False
        self.ready = asyncio.Event()
        self.stopped = asyncio.Event()

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
        self.pump = Pump(self._loop, self.hub)
        self.backlog = Backlog(self._loop, self.pump)
        limits = self.limits
        shortest_ms = min(
            *(limits.handshake_timeout_ms, limits.ping_interval_ms, limits.ping_timeout_ms),
            *(limits.park_ms, limits.expire_ms, limits.checkpoint_ms),
        )
        self._tick_s = min(max(shortest_ms // 4, MIN_TICK_MS), MAX_TICK_MS) / 1000
        self.timers: Timers[Line] = Timers()
        if self._store is not None:
            pump = self.pump
            pump.keeper = Keeper(self._loop, self.hub, self._store, self._snapshot_key, pump.do, pump.wake)
        self._clock_timer = self._loop.call_later(self._tick_s, self._look_at_clock)
        try:
            if not self._opens_late:
                await self._open_ports()
        except OSError:
            self._clock_timer.cancel()
            raise
        threading.Thread(target=self._warm_up, name="warm-up", daemon=True).start()

    async def serve(self) -> int:
        """Start, and return the exit status once stopped."""
        await self.start()
        return await self.finished()

    async def finished(self) -> int:
        """Wait until it is stopped, once started; the exit status."""
        await self.stopped.wait()
        if self.status != FORCED:
            await self.store_closed()
        return self.status

    def begin_stop(self) -> None:
        """Take no new work, tell every client, and stop at the deadline or when the last connection is gone."""
        self.pump.join()
        if self.is_stopping:
            return
        self.backlog.read(clock_ns() + READ_NS)
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
        self._reloader.begin(self.ready.is_set())

    def abort(self) -> None:
        """Drop every connection and stop at once."""
        self.begin_stop()
        for connection in list(self.connections):
            connection.abort()
        self._finish()

    def begin(self, connection: Connection) -> None:
        """A connection is here. Of those that do not come to an end of their handshake the oldest go."""
        self.connections.add(connection)
        self.shaking[connection] = None
        if len(self.shaking) > self.limits.max_handshakes:
            oldest = next(iter(self.shaking))
            del self.shaking[oldest]
            oldest.abort()

    def forget(self, connection: Connection) -> None:
        """A connection is gone."""
        self.connections.discard(connection)
        self.shaking.pop(connection, None)
        self.timers.drop(connection)
        if self.is_stopping:
            self._finish_if_empty()

    async def _open_ports(self) -> None:
        await self._listeners.open(self.host, self.port, self._speech, lambda own: self._connection(self, own))
        self.port = self._listeners.port

    def _end(self) -> None:
        """Step and answer all that waits, save it, and then end every session.

        A store that does not take it in half of the time that is left keeps nobody: clients go on from an older state.
        """
        self.pump.join()
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
        self.pump.join()
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
            self.pump.stop()
            if self._helpers is not None:
                self._helpers.shutdown(wait=False)
            self.stopped.set()
            log.info("stopped")

    def _look_at_clock(self) -> None:
        now_ns = clock_ns()
        due = self.timers.advance(now_ns, MAX_DUE)
        for connection in due:
            self.pump.do(connection.on_due, now_ns)
        self.pump.do(self._advance, now_ns)
        self._clock_timer = self._loop.call_later(0 if len(due) == MAX_DUE else self._tick_s, self._look_at_clock)

    def _advance(self, now_ns: int) -> None:
        self.hub.advance(now_ns)
        if self.hub.dirty or self.hub.errands:
            self.pump.wake()

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
            self._fail("warm-up failed", fault)
        elif not self.is_stopping:
            # Only now: adding a model compiles what is not compiled yet, which would keep the port shut.
            for name, model in self.models.items():
                self.hub.engine.add_model(name, model)
            self.front.unready_reason = None
            if self._opens_late:
                self._opening = self._loop.create_task(self._open_late())
            else:
                self._tell_ready()

    async def _open_late(self) -> None:
        try:
            await self._open_ports()
        except OSError as fault:
            self._fail("the port cannot be opened", fault)
            return
        if self.is_stopping:
            self._listeners.close()  # a stop began meanwhile
        else:
            self._tell_ready()

    def _tell_ready(self) -> None:
        self.ready.set()
        log.info("ready: %s", ", ".join(sorted(self.models)))

    def _fail(self, what: str, fault: Exception) -> None:
        log.error(what, exc_info=fault)
        self.status = FORCED
        self.begin_stop()
