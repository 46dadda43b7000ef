"""Whatever a world does to clients, servers, networks and the store: no output is lost, doubled or different."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamrnn_client.ledger import Ledger

from streamrnn.engine.sessions import Sessions
from streamrnn.serving import verbs
from streamrnn.serving.checkpoints import Checkpoints
from streamrnn.serving.ring import Ring
from streamrnn.stores import MemoryStore
from tests.simulation.world import Report, simulate

N_WORLDS, N_PARTS = 2000, 8
N_SOAK = 20_000
N_FAULTY = 1000
"""Worlds in which a bug must show itself; most do in the first ten."""


def faults_of(reports: list[Report]) -> list[str]:
    return [f"seed {report.seed}: {fault}" for report in reports for fault in report.faults]


@pytest.mark.parametrize("part", range(N_PARTS))
def test_no_output_is_lost_doubled_or_different(part: int) -> None:
    """A seed alone makes its world again: `python -m tests.simulation SEED`."""
    reports = [simulate(seed) for seed in range(part, N_WORLDS, N_PARTS)]
    assert faults_of(reports) == []
    names = ("n_crashes", "n_cuts", "n_replayed", "n_generated")
    assert all(sum(getattr(report, name) for report in reports) for name in names)


def test_a_seed_makes_the_same_world_each_time() -> None:
    assert simulate(7) == simulate(7)


@pytest.mark.soak
@pytest.mark.parametrize("part", range(N_PARTS))
def test_twenty_thousand_worlds(part: int) -> None:
    reports = [simulate(seed) for seed in range(N_WORLDS + part, N_WORLDS + N_SOAK, N_PARTS)]
    names = ("n_outputs", "n_crashes", "n_cuts", "n_reconnects", "n_replayed")
    print(f"{len(reports)} worlds:", ", ".join(f"{n[2:]} {sum(getattr(r, n) for r in reports)}" for n in names))
    assert faults_of(reports) == []


# ---- bugs put in on purpose, each of which must be found


def steps_duplicates(patch: pytest.MonkeyPatch) -> None:
    """A frame that was taken before is stepped again, in place of the next one."""
    push = verbs._push

    def careless(hub: Any, peer: Any, hosted: Any, message: Any, now_ns: int) -> None:
        if hosted.session is not None and message.seq < hosted.session.next_seq:
            message = type(message)(message.handle, hosted.session.next_seq, message.payload, message.n)
        push(hub, peer, hosted, message, now_ns)

    patch.setattr(verbs, "_push", careless)


def forgets_the_ring(patch: pytest.MonkeyPatch) -> None:
    """What a client missed is not sent again."""
    patch.setattr(Ring, "between", lambda self, seq, end_seq: iter(()))


def saves_one_frame_too_many(patch: pytest.MonkeyPatch) -> None:
    """The client is told that more is durable than is."""
    settle = Checkpoints._settle

    def boastful(self: Any, capture: Any, is_fenced: bool, now_ns: int) -> None:
        capture.next_seq += 1
        settle(self, capture, is_fenced, now_ns)

    patch.setattr(Checkpoints, "_settle", boastful)


def fences_nobody(patch: pytest.MonkeyPatch) -> None:
    """The store takes whatever it is given."""
    save = MemoryStore.save

    def open_handed(self: Any, records: Any, now_s: float) -> list[str]:
        for record in records:
            self.delete([(record.session_id, 2**62)])
        return save(self, records, now_s)

    patch.setattr(MemoryStore, "save", open_handed)


def gives_outputs_twice(patch: pytest.MonkeyPatch) -> None:
    """The client does not pass over the outputs that it has."""
    answer = Ledger.answer

    def trusting(self: Any, seq: int, outputs: Any, *rest: Any) -> None:
        self.answered_seq = min(self.answered_seq, seq - 1)
        answer(self, seq, outputs, *rest)

    patch.setattr(Ledger, "answer", trusting)


def forgets_what_was_drawn(patch: pytest.MonkeyPatch) -> None:
    """A session that comes back amid a generation does not go on with it."""
    patch.setattr(Sessions, "_restored", _restored_idle)


def _restored_idle(self: Any, *args: Any) -> Any:
    session = RESTORED(self, *args)
    session.stop_generating()
    return session


RESTORED = Sessions._restored


def numbers_by_what_was_asked(patch: pytest.MonkeyPatch) -> None:
    """The client takes a generation that has ended early for one of full length."""
    patch.setattr(Ledger, "_look_for_ends", lambda self, events: None)


BUGS = [
    *(steps_duplicates, forgets_the_ring, saves_one_frame_too_many, fences_nobody, gives_outputs_twice),
    *(forgets_what_was_drawn, numbers_by_what_was_asked),
]


@pytest.mark.parametrize("bug", BUGS, ids=lambda bug: bug.__name__)
def test_a_bug_is_found(bug: Callable[[pytest.MonkeyPatch], None]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        bug(patch)
        for seed in range(N_FAULTY):
            if simulate(seed).faults:
                break
        else:
            pytest.fail(f"{bug.__doc__} Nobody noticed in {N_FAULTY} worlds.")
    print(f"{bug.__name__}: found in world {seed}")
