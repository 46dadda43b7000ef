"""A micro-batcher as many servers have one: what is asked within a time goes into one call."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import Generic, TypeVar

Question = TypeVar("Question")
Answer = TypeVar("Answer")


class Batcher(Generic[Question, Answer]):
    """Collects questions until the first of them has waited `wait_s`, or `max_size` are there.

    Args:
        answer: of questions, in order; one answer each.
        wait_s: how long the first question of a batch waits for others.
        max_size: of a batch, at least 1; a full one does not wait.
    """

    def __init__(self, answer: Callable[[Sequence[Question]], Sequence[Answer]], wait_s: float, max_size: int) -> None:
        self._answer = answer
        self._wait_s = wait_s
        self._max_size = max_size
        self._waiting: list[tuple[Question, asyncio.Future[Answer]]] = []
        self._timer: asyncio.TimerHandle | None = None

    async def ask(self, question: Question) -> Answer:
        """The answer to a question, once its batch has run.

        Raises:
            Exception: what the call of its batch raised.
        """
        loop = asyncio.get_running_loop()
        answered: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((question, answered))
        if len(self._waiting) >= self._max_size:
            self._flush()
        elif self._timer is None:
            self._timer = loop.call_later(self._wait_s, self._flush)
        return await answered

    def _flush(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        batch, self._waiting = self._waiting, []
        try:
            answers = self._answer([question for question, _ in batch])
            if len(answers) != len(batch):
                raise RuntimeError(f"expected {len(batch)} answers, got {len(answers)}")
        except Exception as error:  # whoever waits must hear of it, else it waits for ever
            for _, answered in batch:
                if not answered.done():
                    answered.set_exception(error)
            return
        for (_, answered), answer in zip(batch, answers, strict=True):
            if not answered.done():  # who has left has cancelled
                answered.set_result(answer)
