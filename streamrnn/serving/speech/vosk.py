"""Vosk's websocket protocol: one JSON reply to each chunk of samples, and one to the end.

Results are laid out as Vosk's recogniser writes them, keys in alphabetical order and numbers with six digits, since
clients that look for a piece of text exist.

Source: alphacep/vosk-server `websocket/asr_server.py`; alphacep/vosk-api `src/recognizer.cc`, `src/json.h`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from math import isfinite
from typing import Any

from streamrnn.audio.samples import Encoding
from streamrnn.decode.event import Event, Word
from streamrnn.errors import MalformedError, OptionError
from streamrnn.serving.speech.clock import Clock
from streamrnn.serving.speech.dialect import Order
from streamrnn.wire.codec import Buffer

DEFAULT_HZ = 8000.0
MAX_PHRASES = 10_000
NOTHING = '{"text": ""}'
"""The result of a recording without a sample, as Vosk writes that one."""
EXPECTED = 'expected {"config": {...}}, {"eof": 1} or {"reset": 1} as text, or 16-bit samples as bytes'


class Vosk:
    """One connection's side of Vosk's protocol, see `Dialect`."""

    name = "vosk"
    encoding: Encoding = "int16"
    is_single = True
    farewell: tuple[str, ...] = ()

    def __init__(self) -> None:
        self.rate_hz = DEFAULT_HZ
        self.phrases: tuple[str, ...] = ()
        self._has_words = True
        self._n_alternatives = 0
        self._clock: Clock | None = None
        self._ended: list[Event] = []
        self._partial = ""

    def read(self, payload: Buffer, is_text: bool) -> Buffer | Order:
        """The samples in a message, or what it asks for; raises MalformedError and OptionError."""
        if not is_text:
            return payload
        try:
            message = json.loads(bytes(payload))
        except (ValueError, RecursionError) as fault:
            raise MalformedError(f"{EXPECTED}; got text that is no JSON") from fault
        if not isinstance(message, dict):
            raise MalformedError(EXPECTED)
        if "config" in message:
            self._configure(message["config"])
            return "nothing"
        if message.get("eof"):
            return "end"
        if message.get("reset"):
            return "restart"
        raise MalformedError(EXPECTED)

    def begin(self, clock: Clock) -> None:
        """A recording begins; its frames have these times."""
        self._clock = clock

    def hear(self, event: Event) -> list[str]:
        """Keep what an event tells until its chunk is answered."""
        if event.kind == "final":
            self._ended.append(event)
            self._partial = ""
        elif event.kind == "partial":
            self._partial = event.text
        return []

    def answer(self) -> list[str]:
        """One reply: the utterances that have ended in the chunk, as one, or else the present one so far."""
        if not self._ended:
            return [_dump({"partial": self._partial})]
        return [self._result()]

    def end(self, events: Sequence[Event]) -> list[str]:
        """One reply: what was not told yet."""
        for event in events:
            self.hear(event)
        reply = NOTHING if self._clock is None and not self._n_alternatives else self._result()
        self._clock, self._partial = None, ""
        return [reply]

    def _result(self) -> str:
        ended, self._ended = self._ended, []
        text = " ".join([event.text for event in ended if event.text])
        words = [word for event in ended for word in event.words]
        if not self._n_alternatives:
            told = [self._plain(word, has_conf=True) for word in words] if self._has_words else []
            return _dump({"result": told, "text": text} if told else {"text": text})
        score = sum(event.score for event in ended) / len(ended) if ended else 1.0
        found: dict[str, Any] = {"confidence": float(score), "text": text}
        if self._has_words and words:
            found["result"] = [self._plain(word, has_conf=False) for word in words]
        return _dump({"alternatives": [found]})

    def _plain(self, word: Word, has_conf: bool) -> dict[str, Any]:
        assert self._clock is not None
        start_s, end_s = self._clock.of_frame(word.first_seq), self._clock.of_frame(word.last_seq + 1)
        plain: dict[str, Any] = {"end": end_s, "start": start_s, "word": word.text}
        return plain | {"conf": float(word.score)} if has_conf else plain

    def _configure(self, config: Any) -> None:
        """Take settings; all or none."""
        if not isinstance(config, dict):
            raise MalformedError(f"config: expected an object, got {type(config).__name__}")
        rate_hz = _number("sample_rate", config.get("sample_rate", self.rate_hz))
        n_alternatives = _number("max_alternatives", config.get("max_alternatives", self._n_alternatives))
        phrases = config.get("phrase_list")
        if phrases is None:
            phrases = self.phrases
        if not isinstance(phrases, list | tuple) or len(phrases) > MAX_PHRASES:
            raise OptionError(f"phrase_list: expected a list of at most {MAX_PHRASES} strings")
        if not all(isinstance(phrase, str) for phrase in phrases):
            raise OptionError("phrase_list: expected a list of strings")
        if rate_hz <= 0:
            raise OptionError(f"sample_rate: expected more than 0 Hz, got {rate_hz:g}")
        self.rate_hz, self._n_alternatives, self.phrases = rate_hz, int(n_alternatives), tuple(phrases)
        self._has_words = bool(config.get("words", self._has_words))


def _number(name: str, value: Any) -> float:
    """A number of the settings; as in Vosk it may stand as text."""
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        number = float("nan")
    if not isfinite(number) or number < 0:
        raise OptionError(f"{name}: expected a number of at least 0, got {str(value)[:40]!r}")
    return number


def _dump(value: Any, depth: int = 1) -> str:
    """JSON in the layout of Vosk's own writer."""
    if isinstance(value, dict):
        pad = "  " * depth
        lines = [f'{pad}"{key}" : {_dump(value[key], depth + 1)}' for key in sorted(value)]
        return "{\n" + ",\n".join(lines) + "\n" + pad[2:] + "}"
    if isinstance(value, list):
        return "[" + ", ".join([_dump(item, depth + 1) for item in value]) + "]"
    if isinstance(value, float):
        return f"{value:.6f}"
    return json.dumps(value, ensure_ascii=False)
