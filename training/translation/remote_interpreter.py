"""The interpreter at the other end of a websocket: every token is a frame, a fork is a message."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import numpy as np
import streamrnn_client

from training.translation.interpreter import frames_of
from training.translation.translator import END, GO
from training.translation.vocabulary import Vocabulary


class RemoteInterpreter:
    """A session of a server, used as `training.translation.interpreter.Interpreter` is.

    Attributes:
        session: an open one of a `TranslatorStep`.
        vocabulary: of that model.
        max_tokens: most tokens said, END among them.
    """

    def __init__(self, session: streamrnn_client.Session, vocabulary: Vocabulary, max_tokens: int) -> None:
        self.session, self.vocabulary, self.max_tokens = session, vocabulary, max_tokens

    async def read(self, source: str) -> None:
        """Send a sentence, one frame a token; all may be on their way at once."""
        async for _ in self.session.stream(frames_of(self.vocabulary.source_tokens(source))):
            pass

    async def greedy(self) -> AsyncIterator[int]:
        """Say the likeliest token, send it back, and so on, END the last."""
        said = GO
        for _ in range(self.max_tokens):
            said = int(np.argmax(await self.session.step(frames_of([said])[0])))
            yield said
            if said == END:
                return

    async def beam(self, width: int, length_penalty: float) -> list[tuple[float, str]]:
        """Translations of what was read and their scores, the best first, by the rule of `streamrnn.beam_search`."""
        live = [(0.0, [GO], await self.session.fork())]
        ended: list[tuple[float, list[int]]] = []
        for n in range(1, self.max_tokens + 1):
            outputs = await asyncio.gather(*(one.step(frames_of(said[-1:])[0]) for _, said, one in live))
            choices = [
                (total + float(p), i, token)
                for i, ((total, _, _), output) in enumerate(zip(live, outputs, strict=True))
                for token, p in enumerate(output)
            ]
            best = sorted(choices, key=lambda choice: -choice[0])[: width - len(ended)]
            ended += [(total / n**length_penalty, live[i][1][1:]) for total, i, token in best if token == END]
            following = [
                (total, [*live[i][1], token], await live[i][2].fork()) for total, i, token in best if token != END
            ]
            await asyncio.gather(*(one.close() for _, _, one in live))
            live = following
            if not live:
                break
        ended += [(total / self.max_tokens**length_penalty, said[1:]) for total, said, _ in live]
        await asyncio.gather(*(one.close() for _, _, one in live))
        return [(score, self.vocabulary.text(said)) for score, said in sorted(ended, key=lambda one: -one[0])]
