"""The benchmark of servers: the peers compute what ours does, and the micro-batcher answers each its own."""

from __future__ import annotations

import asyncio
import os

import numpy as np
import pytest

from benchmarks.peers.batcher import Batcher

HOUR_S = 3600.0
PATIENCE_S = 30.0


def doubled(sizes):
    """A call that doubles each question and notes how many there were."""

    def answer(questions):
        sizes.append(len(questions))
        return [2 * question for question in questions]

    return answer


async def test_a_timer_flushes_a_lone_question():
    sizes = []
    batcher = Batcher(doubled(sizes), wait_s=0.001, max_size=100)
    assert await asyncio.wait_for(batcher.ask(21), PATIENCE_S) == 42
    assert await asyncio.wait_for(batcher.ask(4), PATIENCE_S) == 8
    assert sizes == [1, 1]


async def test_a_full_batch_does_not_wait_and_takes_its_timer_along():
    sizes = []
    batcher = Batcher(doubled(sizes), HOUR_S, max_size=4)
    for _ in range(2):
        answers = await asyncio.wait_for(asyncio.gather(*map(batcher.ask, range(4))), PATIENCE_S)
        assert answers == [0, 2, 4, 6]
        assert batcher._timer is None
    assert sizes == [4, 4]


async def test_every_session_gets_its_own_answers_in_order():
    rng = np.random.default_rng(0)
    questions = {session: rng.integers(0, 1000, size=int(rng.integers(1, 40))).tolist() for session in range(23)}
    sizes = []

    def answer(asked):
        sizes.append(len(asked))
        assert len({session for session, _, _ in asked}) == len(asked)  # its next frame needs the state of this one
        return [(session, total + number) for session, total, number in asked]

    batcher = Batcher(answer, wait_s=0.0, max_size=7)

    async def life(session):
        total = 0
        for number in questions[session]:
            whose, total = await batcher.ask((session, total, number))
            assert whose == session
        return total

    totals = await asyncio.wait_for(asyncio.gather(*map(life, questions)), PATIENCE_S)
    assert totals == [sum(numbers) for numbers in questions.values()]
    assert max(sizes) == 7 and sum(sizes) == sum(map(len, questions.values()))


@pytest.mark.parametrize("fault", ["raises", "too few answers"])
async def test_who_waits_hears_of_a_failed_batch_and_the_next_one_runs(fault):
    def answer(questions):
        if 13 in questions:
            if fault == "raises":
                raise ZeroDivisionError
            return []
        return questions

    batcher = Batcher(answer, HOUR_S, max_size=2)
    failed = await asyncio.wait_for(asyncio.gather(*map(batcher.ask, (13, 1)), return_exceptions=True), PATIENCE_S)
    assert {type(error) for error in failed} == {ZeroDivisionError if fault == "raises" else RuntimeError}
    assert await asyncio.wait_for(asyncio.gather(*map(batcher.ask, (2, 3))), PATIENCE_S) == [2, 3]


async def test_who_leaves_does_not_hold_the_others_up():
    batcher = Batcher(lambda questions: questions, HOUR_S, max_size=3)
    first, second = (asyncio.ensure_future(batcher.ask(question)) for question in (1, 2))
    await asyncio.sleep(0)
    first.cancel()
    assert await asyncio.wait_for(batcher.ask(3), PATIENCE_S) == 3
    assert await second == 2
    assert first.cancelled()


class TestServers:
    """The servers themselves, and what is shown of them."""

    @pytest.fixture(autouse=True)
    def _installed(self):
        for package in ("fastapi", "uvicorn", "httptools", "hdrh", "onnxruntime"):
            pytest.importorskip(package, reason="the peers come with `make bench`")

    @pytest.fixture(params=["onnxruntime", "torch", "batching"])
    def running(self, request):
        from benchmarks.peers.contenders import CONTENDERS, Running

        core = min(os.sched_getaffinity(0))
        with CONTENDERS[request.param].start(core) as (port, pid):
            yield Running(request.param, port, pid)

    def test_a_peer_computes_the_same_and_one_that_differs_stops_the_benchmark(self, running, monkeypatch):
        from benchmarks.nets import make_model
        from benchmarks.peers import contenders
        from benchmarks.serving import NET, OUTPUT_SIZE

        error = contenders.check(running)
        assert error is not None and error < contenders.TOLERANCE
        monkeypatch.setattr(contenders, "make_net", lambda: make_model(NET, OUTPUT_SIZE, seed=1))
        with pytest.raises(SystemExit, match="differs from streamrnn by"):
            contenders.check(running)

    def test_sessions_stacked_in_any_order_step_as_alone(self):
        from benchmarks.peers.batching_app import step_many
        from benchmarks.peers.graph import zeros
        from benchmarks.serving import make_net
        from streamrnn import Engine, Limits

        rng = np.random.default_rng(3)
        xs = rng.standard_normal((20, 5, 64)).astype(np.float32)
        states = [(zeros(), zeros()) for _ in range(5)]
        engine = Engine(Limits(max_sessions=5))
        engine.add_model("net", make_net())
        sessions = [engine.open("net") for _ in range(5)]
        for frames in xs:
            chosen = rng.permutation(5)[: rng.integers(1, 6)].tolist()
            answers = step_many([(frames[i].tobytes(), states[i]) for i in chosen])
            for i, (y, state) in zip(chosen, answers, strict=True):
                states[i] = state
                np.testing.assert_allclose(np.frombuffer(y, np.float32), sessions[i].step(frames[i]), atol=1e-5, rtol=0)

    def test_what_is_measured_stands_in_tables_and_plots(self, tmp_path):
        from benchmarks.peers import plot, scenarios, tables
        from benchmarks.peers.contenders import CONTENDERS

        latency = {"p50": 50.0, "p99": 90.0}
        row = {
            "achieved_frames_s": 1000.0, "offered_frames_s": 1000.0, "server_cpu_us": 10.0, "latency_us": latency,
            "frames": {"due": 100, "answered": 100}, "n_deadline_misses": 1,
            "generator": {"busy_share": 0.2, "send_lateness_us": {"p99": 5.0}},
        }  # fmt: skip
        slow = row | {"achieved_frames_s": 250.0, "frames": {"due": 100, "answered": 90}, "n_deadline_misses": 20}
        dead = row | {"achieved_frames_s": 0.0, "latency_us": None, "frames": {"due": 100, "answered": 0}}
        played = {name: slow if name == "onnxruntime" else dead if name == "torch" else row for name in CONTENDERS}
        figures = {
            "closed": [
                {"n_connections": 16, **scenarios.closed_figures(name, [each] * 2, [row] * 2)}
                for name, each in played.items()
            ],
            "open": [{"n_sessions": 16, **scenarios.open_figures(name, [each] * 2)} for name, each in played.items()],
        }
        made = tables.tables_of(figures)
        assert all(len(line) == len(table.columns) for table in made for line in table.rows)
        assert "4.0 times" in (tables.aim_of(figures) or "") and "MISSED" in (tables.aim_of(figures) or "")
        opened = {figure["contender"]: figure for figure in figures["open"]}
        assert opened["streamrnn"]["keeps_up"] and not opened["onnxruntime"]["keeps_up"]
        assert not opened["torch"]["keeps_up"]
        assert opened["onnxruntime"]["miss_share"]["median"] == pytest.approx(0.3)
        assert plot.draw(figures, tmp_path / "peers.svg").read_text().startswith("<?xml")
