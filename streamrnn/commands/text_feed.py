"""Frames of text: one character, or one word, each as the id of a label."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from streamrnn.commands.latency import Latency
from streamrnn.commands.pace import Pace
from streamrnn.errors import OptionError

if TYPE_CHECKING:
    from streamrnn_client import Session


def tokens_of(text: str, labels: tuple[str, ...], n_tokens: int) -> list[int]:
    """The ids of a text's tokens: its characters where each label is one, else its words.

    Args:
        text: what is to be read.
        labels: of the model, in the order of the ids.
        n_tokens: ids that a frame may hold.

    Raises:
        OptionError: the model takes no tokens or does not name them, or something in the text is no token.
    """
    if not n_tokens or len(labels) < n_tokens:
        raise OptionError("expected a model that takes tokens and has a label for each")
    ids = {label: i for i, label in reversed(list(enumerate(labels[:n_tokens])))}
    is_of_characters = all(len(label) <= 1 for label in ids)
    found = []
    for token in text if is_of_characters else text.split():
        if token not in ids:
            raise OptionError(f"{token!r} is no token of the model; it has {' '.join(map(repr, list(ids)[:20]))} ...")
        found.append(ids[token])
    return found


class TextFeed:
    """A text, one token a frame.

    Args:
        text: what is sent.
        pace: when its tokens are due.
    """

    def __init__(self, text: str, pace: Pace) -> None:
        self._text = text
        self._pace = pace

    async def frames(self, session: Session, latency: Latency) -> AsyncIterator[NDArray[np.float32]]:
        """Yield each frame when it is due, and note that in `latency`.

        Raises:
            OptionError: as `tokens_of`.
        """
        tokens, started_ns = tokens_of(self._text, session.labels, session.input.n_tokens), time.perf_counter_ns()
        for n, token in enumerate(tokens):
            now_ns = time.perf_counter_ns()
            due_ns = now_ns if self._pace.is_max else started_ns + int(self._pace.due_s(n, float(n)) * 1e9)
            if due_ns > now_ns:
                await asyncio.sleep((due_ns - now_ns) / 1e9)
            latency.send(due_ns)
            yield np.array([token], np.float32)
