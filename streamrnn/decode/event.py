"""What a decoder finds in a session's outputs: events, each of one frame."""

from __future__ import annotations

from typing import Literal, get_args

import msgspec

Kind = Literal["label", "keyword", "partial", "final", "anomaly", "clear", "speaker", "token"]
"""`label`: the class has changed. `keyword`: one was heard. `partial`: the transcript so far; `final`: of an utterance
that has ended. `anomaly`: one begins; `clear`: it is over. `speaker`: who talks is known, or has changed; without a
name, nobody is near. `token`: the frame was drawn here."""

KINDS = get_args(Kind)


class Word(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One word of a transcript, from the frame that began it to the one that ended it.

    Attributes:
        text: the word.
        first_seq, last_seq: frames, both included.
        score: confidence, 0 .. 1.
    """

    text: str
    first_seq: int
    last_seq: int
    score: float = 0.0


class Event(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One event.

    Attributes:
        kind: see `Kind`.
        seq: the frame with whose output it was known.
        text: label, keyword, transcript, speaker's name, or the token's label.
        score: 0 .. 1 where there is one: probability, similarity, anomaly score.
        token: id of a token, or index of a label; -1: none.
        cause: of a `final` what ended the utterance: an endpoint rule, `finish` or `length`; of a `clear` at the end of
            the recording `finish`; of the last `token` why it is the last one: `stop` or `length`.
        words: of a `final`, and of a `partial` as far as they are known.
    """

    kind: Kind
    seq: int
    text: str = ""
    score: float = 0.0
    token: int = -1
    cause: str = ""
    words: tuple[Word, ...] = ()
