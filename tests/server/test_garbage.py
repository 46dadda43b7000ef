"""Garbage is collected in the end, whatever froze it; a server inside another program leaves the heap alone."""

from __future__ import annotations

import gc
import logging
import subprocess
import sys
import urllib.request
import weakref
from collections.abc import Iterator

import pytest

from streamrnn.engine.engine import Engine
from streamrnn.limits import Limits
from streamrnn.server.garbage import (
    FULL_IDLE_NS,
    FULL_NS,
    IDLE_NS,
    MIDDLE,
    NEVER,
    THAW_IDLE_NS,
    THAW_NS,
    YOUNG,
    Garbage,
)
from streamrnn.serving.hub import Hub


class Knot:
    """An object that only a collection can free."""

    def __init__(self) -> None:
        self.itself = self


@pytest.fixture
def hub() -> Hub:
    """One without models."""
    return Hub(Engine(Limits(max_sessions=1)), Limits(max_sessions=1))


@pytest.fixture
def garbage(hub: Hub) -> Iterator[Garbage]:
    """At work since time 0; the heap of the tests is as it was afterwards."""
    before = gc.get_threshold()
    with Garbage(hub) as found:
        found.begin(0)
        assert gc.get_threshold() == (YOUNG, MIDDLE, NEVER)
        assert gc.get_freeze_count() > 0
        yield found
    assert gc.get_threshold() == before
    assert gc.get_freeze_count() == 0


def knot() -> weakref.ref[Knot]:
    """A weak reference to garbage that has survived a look at the young."""
    held = Knot()
    gc.collect(0)
    gc.collect(1)
    return weakref.ref(held)


def test_garbage_that_has_grown_old_is_freed_when_the_server_is_idle(hub: Hub, garbage: Garbage) -> None:
    dead = knot()
    garbage.look(IDLE_NS)
    assert dead() is not None, "it is not time"
    garbage.look(FULL_IDLE_NS)
    assert dead() is None


def test_at_work_it_takes_longer(hub: Hub, garbage: Garbage) -> None:
    dead = knot()
    for now_ns in range(0, FULL_NS, FULL_IDLE_NS):
        hub.tally.n_frames += 1
        garbage.look(now_ns)
        assert dead() is not None
    hub.tally.n_frames += 1
    garbage.look(FULL_NS)
    assert dead() is None


def test_a_rush_is_looked_through_at_once(hub: Hub, garbage: Garbage) -> None:
    dead = knot()
    gc.collect(1)
    n_frozen = gc.get_freeze_count()
    hub.tally.n_frames += 1
    garbage.look(1)
    assert dead() is None
    assert gc.get_freeze_count() != n_frozen, "what has survived is frozen"


@pytest.mark.parametrize(("is_idle", "thaw_ns"), [(True, THAW_IDLE_NS), (False, THAW_NS)])
def test_what_was_frozen_alive_is_freed_in_the_end(hub: Hub, garbage: Garbage, is_idle: bool, thaw_ns: int) -> None:
    held = Knot()
    dead = weakref.ref(held)
    gc.collect(1)
    garbage.look(FULL_NS)
    del held
    hub.tally.turns["closed"] += 1
    for now_ns in range(FULL_NS, thaw_ns, FULL_NS):
        gc.collect(1)
        hub.tally.n_frames += not is_idle
        garbage.look(now_ns)
        assert dead() is not None, "it is frozen"
    hub.tally.n_frames += not is_idle
    garbage.look(thaw_ns)
    assert dead() is None


def test_nothing_is_looked_through_where_nothing_has_happened(hub: Hub, garbage: Garbage) -> None:
    n_before = sum(hub.tally.gc_pause_ns.counts)
    garbage.look(THAW_NS)
    assert sum(hub.tally.gc_pause_ns.counts) - n_before <= 1, "at most one that came by itself"


def test_every_pause_is_counted(hub: Hub, garbage: Garbage) -> None:
    before = sum(hub.tally.gc_pause_ns.counts)
    gc.collect()
    assert sum(hub.tally.gc_pause_ns.counts) > before
    assert hub.tally.gc_pause_ns.total > 0


async def test_a_server_inside_a_program_leaves_its_heap_alone(serve) -> None:
    before = gc.get_threshold(), gc.callbacks[:]
    server = await serve()
    assert (gc.get_threshold(), gc.callbacks[:], gc.get_freeze_count()) == (*before, 0)
    assert sum(server.hub.tally.gc_pause_ns.counts) == 0


PROGRAM = """
import logging, sys
from streamrnn.limits import Limits
from streamrnn.server.app import Server
from streamrnn.server.running import run
from tests.serving.house import MODELS
logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")
sys.exit(run(Server(MODELS, port=0, limits=Limits(drain_ms=200))))
"""


def test_a_program_of_its_own_has_frozen_and_counts() -> None:
    with subprocess.Popen([sys.executable, "-c", PROGRAM], stdout=subprocess.PIPE, text=True) as program:
        assert program.stdout is not None
        port = 0
        for line in program.stdout:
            if "port" in line:
                port = int(line.rsplit(maxsplit=1)[1])
            if "ready" in line:
                break
        n_pauses = 0.0
        while not n_pauses:
            with urllib.request.urlopen(f"http://127.0.0.1:{port}/metrics") as page:
                text = page.read().decode()
            n_pauses = float(text.partition("streamrnn_gc_pause_seconds_count ")[2].split()[0])
        program.terminate()
    assert program.returncode == 0


async def test_a_frame_is_not_logged_at_any_level(server, caplog: pytest.LogCaptureFixture) -> None:
    import numpy as np
    import streamrnn_client

    name = sorted(server.models)[0]
    async with streamrnn_client.connect(f"ws://127.0.0.1:{server.port}") as client:
        session = await client.open(name)
        x = np.zeros(session.input.size, np.float32)
        await session.step(x)
        caplog.set_level(logging.DEBUG)
        for log in ("streamrnn", "streamrnn.server", "streamrnn.serving"):
            caplog.set_level(logging.DEBUG, logger=log)
        for _ in range(5):
            await session.step(x)
        assert [record.name for record in caplog.records if record.name.startswith("streamrnn.")] == []
