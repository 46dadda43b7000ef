"""One scheduler pass over all lanes, in three parts, so that the kernels may run in another thread."""

from __future__ import annotations

from collections.abc import Sequence

from streamrnn.engine.block import Stepped
from streamrnn.engine.output import Output
from streamrnn.engine.scheduler import Pick

Answer = Output | Stepped


class Tick:
    """Made by `Engine.begin_tick`; `run` may run in any thread, then `Engine.end_tick` gives the answers.

    In between nobody may touch the engine.

    Args:
        picks: what is stepped, in order.

    Attributes:
        n_macs: multiply-adds of all of it.
        n_frames: frames of all sessions together.
        n_sessions: how many are stepped.
    """

    __slots__ = ("_picks", "n_frames", "n_macs", "n_sessions")

    def __init__(self, picks: Sequence[Pick]) -> None:
        self._picks = picks
        self.n_frames = self.n_sessions = self.n_macs = 0
        for pick in picks:  # once a tick: sums over generators would take a microsecond
            n = pick.n_frames
            self.n_frames += n
            self.n_sessions += pick.n_sessions
            self.n_macs += n * pick.lane.n_macs

    def run(self) -> None:
        """Step everything."""
        for pick in self._picks:
            pick.run()

    def answers(self) -> list[Answer]:
        """What came of it, in order; the frames wait no longer."""
        answers: list[Answer] = []
        for pick in self._picks:
            answers += pick.answers()
        return answers


def flat(answers: Sequence[Answer]) -> list[Output]:
    """Answers with those of blocks as outputs of their sessions."""
    outputs: list[Output] = []
    for answer in answers:
        if isinstance(answer, Output):
            outputs.append(answer)
        else:
            rows = enumerate(zip(answer.sessions, answer.seqs, strict=True))
            outputs += [Output(session, seq, answer.ys[i : i + 1]) for i, (session, seq) in rows]
    return outputs
