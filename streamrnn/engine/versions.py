"""The lanes of an engine: of each name the newest version, and older ones for as long as they have sessions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, get_args

from streamrnn.engine.helpers import Helpers
from streamrnn.engine.lane import Lane
from streamrnn.engine.scheduler import Scheduler
from streamrnn.engine.session import Session
from streamrnn.errors import CapacityError, OptionError, UnknownModelError
from streamrnn.limits import Limits
from streamrnn.model.model import Model

Swap = Literal["carry", "reset"]
"""What becomes of the state of a session that goes on with a newer version: copied, or as before the first frame."""
Live = Literal["pin", "carry", "reset"]
"""What open sessions do when a newer version comes: finish on theirs, or go on with it."""


class Versions:
    """Lanes and their schedulers.

    Attributes:
        newest: the lane of each name that new sessions get.
        schedulers: of every lane that may have sessions, in the order in which they are ticked.
    """

    def __init__(self, limits: Limits, helpers: Helpers | None) -> None:
        self._limits = limits
        self._helpers = helpers
        self.newest: dict[str, Lane] = {}
        self.schedulers: dict[Lane, Scheduler] = {}

    def add(self, name: str, model: Model) -> None:
        """Give new sessions of `name` a lane of `model`."""
        before = self.newest.get(name)
        lane = self.newest[name] = Lane(name, model, self._limits, self._helpers)
        self.schedulers[lane] = Scheduler(lane, self._limits.max_run_frames)
        if before is not None:
            self.drop_if_done(before)

    def replace(self, name: str, model: Model, live: Live, sessions: Sequence[Session]) -> None:
        """Make `model` the newest version of a name, and let the name's open sessions do as `live` says.

        Raises:
            UnknownModelError, OptionError, CapacityError: as `Engine.replace_model`; nothing has changed.
        """
        n_slots = self.of_name(name).arena.n_slots
        if live == "pin":
            self.add(name, model)
            return
        if live not in get_args(Live):
            raise OptionError(f"live: expected {', '.join(get_args(Live))}, got {live!r}")
        for lane in {session.lane for session in sessions}:
            check_swap(lane.model, model, live)
        if len(sessions) > n_slots:
            raise CapacityError(f"{len(sessions)} sessions exceed the limit of {n_slots}", max_sessions=n_slots)
        self.add(name, model)
        for session in sessions:
            self.move(session, live)

    def move(self, session: Session, swap: Swap) -> None:
        """Let an open session go on with the newest version of its model.

        Raises:
            OptionError, CapacityError: as `Engine.move`; nothing has changed.
        """
        old, new = session.lane, self.of_name(session.model_name)
        check_swap(old.model, new.model, swap)
        if old is new:
            return
        slot = new.arena.take()
        if swap == "carry":
            new.arena.rows[slot] = old.arena.rows[session.slot]
        session.settle()
        self.schedulers[old].remove(session)
        if session.queue.n_frames:
            self.schedulers[new].add(session)
        old.arena.release(session.enter(new, slot))
        if swap == "reset" and session.side is not None:
            session.side.start()
        self.drop_if_done(old)

    def of_name(self, name: str) -> Lane:
        """The newest lane of a name.

        Raises:
            UnknownModelError: there is none.
        """
        lane = self.newest.get(name)
        if lane is None:
            known = ", ".join(sorted(self.newest)) or "none"
            raise UnknownModelError(f"no model named {name!r}; the models are: {known}", model=name)
        return lane

    def of_digest(self, digest: str) -> Lane | None:
        """A lane of the model with that digest, a newest one first."""
        lanes = (*self.newest.values(), *self.schedulers)
        return next((lane for lane in lanes if lane.model.digest == digest), None)

    def of_all(self, name: str) -> list[Lane]:
        """The lanes of a name, oldest first."""
        return [lane for lane in self.schedulers if lane.name == name]

    def drop_if_done(self, lane: Lane) -> None:
        """Forget a lane that is superseded and has no sessions, parked ones among them."""
        is_held = lane.n_parked or lane.arena.n_free < lane.arena.n_slots
        if self.newest[lane.name] is not lane and not is_held:
            self.schedulers.pop(lane, None)


def check_swap(old: Model, new: Model, swap: Swap) -> None:
    """Check that a session of `old` can go on with `new`.

    Raises:
        OptionError: frames or outputs have another form, or, where the state is carried, states have another layout;
            says what differs.
    """
    if swap not in get_args(Swap):
        raise OptionError(f"swap: expected {', '.join(get_args(Swap))}, got {swap!r}")
    for what in ("input_size", "n_tokens", "output_size"):
        was, becomes = getattr(old, what), getattr(new, what)
        if was != becomes:
            raise OptionError(f"expected a version with the same {what}: {was}, got {becomes}")
    if swap == "carry" and old.program.regions != new.program.regions:
        was, becomes = (
            ", ".join(f"{region.name} {region.size}" for region in model.program.regions) or "none"
            for model in (old, new)
        )
        raise OptionError(f"carry: expected a version with the same state, {was}; got {becomes}")
