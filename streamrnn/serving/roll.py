"""A gateway's sessions as its `frames` messages name them: found once, then taken and answered as columns."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from streamrnn.engine.block import Stepped
from streamrnn.engine.group import Group
from streamrnn.errors import StreamrnnError
from streamrnn.serving.history import History
from streamrnn.serving.hosted import Hosted
from streamrnn.serving.life import LIVE
from streamrnn.serving.outbox import MAX_PAYLOAD_BYTES
from streamrnn.wire.messages import Frames, Outputs

if TYPE_CHECKING:
    from streamrnn.serving.hub import Hub
    from streamrnn.serving.peer import Peer

MIN_SESSIONS = 4
"""In a smaller message each frame goes its own way, which costs no more."""


class Roll:
    """Sessions of one connection whose frames come together.

    Nothing here is per frame and session: while the roll is whole, a message is one group of the engine, its answer is
    one message, and what the rings keep is that message's columns. Whatever happens to one of its sessions (a frame of
    its own, a reset, another connection, the end) takes it out by itself, see `Group.is_whole` and `History.n_rings`.

    Args:
        peer: the connection.
        handles: as the message has them.
        hosted: the sessions of these handles.
        group: the same in the engine.
    """

    __slots__ = ("_handles", "_history", "_hosted", "_n_collected", "_n_unmarked", "_peer", "group")

    def __init__(self, peer: Peer, handles: list[int], hosted: list[Hosted], group: Group) -> None:
        self._peer = peer
        self._handles = handles
        self._hosted = hosted
        self.group = group
        group.tag = self
        self._history = History(max(one.ring.max_frames for one in hosted))
        self._n_collected = -1
        self._n_unmarked = 0

    @classmethod
    def find(cls, hub: Hub, peer: Peer, handles: list[int], now_ns: int) -> Roll | None:
        """The roll of these handles; None where each frame must go its own way."""
        hosted = [one for handle in handles if (one := peer.sessions.get(handle)) is not None and not one.has_times]
        if len(hosted) < max(len(handles), MIN_SESSIONS):
            return None
        try:
            for one in hosted:
                if one.life != LIVE:
                    hub.stir(one, now_ns)
            group = hub.engine.group([one.session for one in hosted if one.session is not None])
        except StreamrnnError:
            return None
        if len(group) < len(handles) or 4 * len(group) * group.lane.output_size > MAX_PAYLOAD_BYTES:
            return None
        return cls(peer, handles, hosted, group)

    def is_of(self, handles: list[int]) -> bool:
        """Whether it is whole, and of these handles."""
        return self.group.is_whole and self._handles == handles

    def push(self, hub: Hub, message: Frames, now_ns: int) -> bool:
        """Queue the frames of a message; False: none of them, each must go its own way."""
        seqs = np.array(message.seqs, np.int64)
        if not hub.engine.push_group(self.group, seqs, message.payload, now_ns):
            return False
        hub.tally.n_frames += len(seqs)
        return True

    def answer(self, hub: Hub, stepped: Stepped) -> None:
        """Send and keep one output of each session; it is whole."""
        history, payload = self._history, stepped.ys.tobytes()
        if history.n_rings < len(self._hosted):
            for row, one in enumerate(self._hosted):
                one.ring.join(history, row)
        history.add(stepped.seqs, payload)
        if history.n_blocks == history.max_blocks:
            for one in self._hosted:
                one.ring.shed()
        if hub.has_store:
            self._mark(hub, stepped.seqs)
        hub.tally.n_outputs += len(stepped.seqs)
        self._peer.outbox.put(Outputs(self._handles, stepped.seqs, payload))
        hub.dirty[self._peer] = None

    def _mark(self, hub: Hub, seqs: list[int]) -> None:
        """Mark those that are due for a checkpoint; as long as nobody can be, nobody is looked at."""
        checkpoints = hub.checkpoints
        self._n_unmarked -= 1
        if self._n_unmarked > 0 and self._n_collected == checkpoints.n_collected:
            return
        for one, seq in zip(self._hosted, seqs, strict=True):
            if seq >= one.mark_seq:
                checkpoints.mark(one, seq + 1)
        self._n_collected = checkpoints.n_collected
        self._n_unmarked = min(one.mark_seq - seq for one, seq in zip(self._hosted, seqs, strict=True))
