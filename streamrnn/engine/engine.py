"""The engine: models, their sessions, and the ticks that step them. Pure: no I/O, no clock, no threads.

Two ways to use it, which may be mixed: *direct* (`session.step`, `session.run`, `Engine.step_many`) steps at once;
*queued* (`Engine.push`, then `Engine.tick`) lets frames of many sessions form batches. The bits are the same.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Sequence

import numpy as np

from streamrnn.engine.batch import Batch
from streamrnn.engine.drift import StateNorms, norms_of
from streamrnn.engine.helpers import Helpers
from streamrnn.engine.lane import Lane
from streamrnn.engine.queued import Queued
from streamrnn.engine.session import Session
from streamrnn.engine.snapshot import Outline, outline_of
from streamrnn.engine.versions import Live, Swap, Versions
from streamrnn.errors import FrameError, OptionError, SessionClosedError, SnapshotError, UsageError
from streamrnn.kernels.packing import FloatArray
from streamrnn.kernels.warmup import warmup
from streamrnn.limits import Limits
from streamrnn.model.model import Model

_FLOAT32 = np.dtype(np.float32)
MIN_KEY_BYTES = 16


def _random_id() -> str:
    return secrets.token_hex(8)


class Engine(Queued):
    """Keeps sessions of several models. Not thread-safe: one thread uses it at a time.

    Args:
        limits: bounds; the arenas are sized by them when a model is added.
        make_id: makes the ids of sessions that are opened without one.
        helpers: threads for big batches, such as `ThreadPoolExecutor(1)` where `limits.max_threads` is 2; they must
            outlive the last call. The outputs are the same without them, bit for bit.
        snapshot_key: at least 16 secret bytes; snapshots are signed with them (HMAC-SHA256), others are not restored.

    Raises:
        OptionError: `limits.max_threads` is above 1 and there are no helpers, or the key is too short.
    """

    def __init__(
        self,
        limits: Limits | None = None,
        make_id: Callable[[], str] = _random_id,
        helpers: Helpers | None = None,
        snapshot_key: bytes | None = None,
    ) -> None:
        limits = limits or Limits()
        if limits.max_threads > 1 and helpers is None:
            expected = f"helpers, such as ThreadPoolExecutor({limits.max_threads - 1})"
            raise OptionError(f"max_threads is {limits.max_threads}: expected {expected}")
        if snapshot_key is not None and len(snapshot_key) < MIN_KEY_BYTES:
            raise OptionError(f"snapshot_key must have at least {MIN_KEY_BYTES} bytes, got {len(snapshot_key)}")
        super().__init__(limits, Versions(limits, helpers), make_id, snapshot_key)

    # ---- models

    def add_model(self, name: str, model: Model) -> None:
        """Serve `model` as `name`; compiles or loads the kernels if that was not done yet.

        Any model is taken, also one whose certificate failed: who embeds the engine decides by `model.certificate`. The
        server refuses such a one.

        Raises:
            OptionError: the name is empty or taken.
        """
        if not name or name in self._versions.newest:
            raise OptionError(f"a model name must be new and not empty, got {name!r}")
        warmup()
        self._versions.add(name, model)

    def replace_model(self, name: str, model: Model, live: Live = "pin") -> None:
        """Serve a newer version as `name`: new sessions get it at once.

        Args:
            name: of a model that is served.
            model: the newer version.
            live: what open sessions do. `pin`: finish on their version, which goes with the last of them. `carry`: go
                on with the newer one from the same state, which must have the same layout. `reset`: go on with it from
                the initial state. Numbering goes on, and frames that wait are stepped by the newer version.

        Raises:
            UnknownModelError: no model of that name.
            OptionError: open sessions cannot go on with it, or `live` is none of these; nothing has changed.
            CapacityError: more sessions would move, of several versions, than it has slots; nothing has changed.
        """
        movers = [session for session in self._sessions.values() if session.model_name == name]
        self._versions.replace(name, model, live, movers)
        self._batch = None  # it may hold one of them

    def move(self, session: Session, swap: Swap = "carry") -> None:
        """Let one session go on with the newest version of its model; nothing happens where it has it.

        Args:
            session: open.
            swap: as `live` of `replace_model`.

        Raises:
            OptionError: it cannot go on with it; nothing has changed.
            CapacityError: every slot of the newest version is held.
            SessionClosedError: it was closed.
        """
        if session.slot < 0:
            raise SessionClosedError(f"session {session.id!r} is closed")
        self._versions.move(session, swap)
        self._batch = None  # it may hold the session

    @property
    def models(self) -> dict[str, Model]:
        """The newest version of each model by name (a copy)."""
        return {name: lane.model for name, lane in self._versions.newest.items()}

    def versions(self, name: str) -> list[tuple[Model, int]]:
        """Every version of a model that is served or has sessions, oldest first, and how many sessions it has.

        Raises:
            UnknownModelError: no model of that name.
        """
        self._versions.of_name(name)
        return [(lane.model, lane.arena.n_slots - lane.arena.n_free) for lane in self._versions.of_all(name)]

    # ---- snapshots

    def outline(self, blob: bytes) -> Outline:
        """What a snapshot says of itself, compared with the models here: little work, however large it is.

        It may still be damaged or forged; `restore` finds that out.

        Raises:
            SnapshotError: it is none, is cut short, or is of no model of this engine.
        """
        found = outline_of(blob)
        lane = self._versions.of_digest(found.model_digest)
        if lane is None:
            raise SnapshotError(
                f"the snapshot is of model {found.model_digest[:12]}..., which this engine does not have"
            )
        expected = 4 * lane.model.program.state_size
        if found.n_payload != expected:
            raise SnapshotError(f"expected a state of {expected} bytes, got {found.n_payload}")
        return found

    # ---- stepping directly

    def step_many(
        self,
        sessions: Sequence[Session],
        x: FloatArray,
        out: FloatArray | None = None,
        times_us: Sequence[int | None] | None = None,
    ) -> FloatArray:
        """Step several sessions of one model by one frame each, in one kernel call per `max_batch` sessions.

        Args:
            sessions: n distinct sessions; the same ones as in the call before are checked at once.
            x: (n, input_size) float32, finite.
            out: (n, output_size) float32, written and returned; without it a new array is made.
            times_us: n times, as `time_us` of `Session.step`; those of sessions without a gap policy are not looked at.

        Returns:
            (n, output_size) float32.

        Raises:
            FrameError: wrong shape, dtype, values or times, or an `out` of the wrong form; no session was stepped.
            UsageError: none, one twice, or with frames waiting; sessions of several models, or of another engine.
            SessionClosedError: one was closed.
        """
        batch = self._batch
        if batch is None or self._n_pending or not batch.is_of(sessions):
            batch = self._new_batch(sessions)
        lane, shape = batch.lane, (batch.n, batch.lane.input_size)
        if x.__class__ is not np.ndarray or x.dtype != _FLOAT32 or x.shape != shape:
            got = f"{x.dtype} {x.shape}" if isinstance(x, np.ndarray) else type(x).__name__
            raise FrameError(f"expected a float32 array of shape {shape}, got {got}", input_size=lane.input_size)
        if out is not None:
            lane.check_out(out, (batch.n, lane.output_size))
        if batch.n_sided:
            return batch.step_sided(x, out, times_us)
        return batch.step(x, out)

    def _new_batch(self, sessions: Sequence[Session]) -> Batch:
        batch = Batch(sessions)
        if batch.lane not in self._versions.schedulers:
            raise UsageError("step_many: expected sessions of this engine, got those of another engine")
        self._batch = batch
        return batch

    # ---- drift

    def state_norms(self) -> dict[str, StateNorms]:
        """By model with open sessions, the mean and the largest root mean square of their states; for a gauge."""
        slots: dict[str, dict[Lane, list[int]]] = {}
        for session in self._sessions.values():
            slots.setdefault(session.model_name, {}).setdefault(session.lane, []).append(session.slot)
        return {name: norms_of(of_lanes.items()) for name, of_lanes in slots.items()}
