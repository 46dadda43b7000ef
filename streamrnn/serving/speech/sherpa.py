"""The protocol of sherpa-onnx's online websocket server: float samples in, a JSON result whenever it changes.

Source: k2-fsa/sherpa-onnx `sherpa-onnx/csrc/online-websocket-server-impl.cc`, `OnlineRecognizerResult::AsJsonString` in
`sherpa-onnx/csrc/online-recognizer.cc`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from streamrnn.audio.samples import Encoding
from streamrnn.decode.event import Event
from streamrnn.serving.speech.clock import Clock
from streamrnn.serving.speech.dialect import Order
from streamrnn.wire.codec import Buffer

RATE_HZ = 16000.0
DONE = b"Done"


class Sherpa:
    """One connection's side of sherpa-onnx's protocol, see `Dialect`."""

    name = "sherpa"
    encoding: Encoding = "float32"
    rate_hz = RATE_HZ
    phrases: tuple[str, ...] = ()
    is_single = False
    farewell: tuple[str, ...] = ("Done!",)

    def __init__(self) -> None:
        self.begin(Clock(1.0))

    def read(self, payload: Buffer, is_text: bool) -> Buffer | Order:
        """The samples in a message, or what it asks for; other text than `Done` is passed over, as by the original."""
        if not is_text:
            return payload
        return "end" if payload == DONE else "nothing"

    def begin(self, clock: Clock) -> None:
        """A recording begins; its frames have these times."""
        self._clock = clock
        self._segment = 0
        self._start_s = clock.begun_s

    def hear(self, event: Event) -> list[str]:
        """A result for each change; an utterance that has ended is a segment, and another begins."""
        if event.kind not in ("partial", "final"):
            return []
        is_final = event.kind == "final"
        told = [self._result(event, is_final, False)]
        if is_final:
            self._segment += 1
            self._start_s = self._clock.of_output(event.seq + 1)
        return told

    def answer(self) -> list[str]:
        """Nothing: results are not bound to chunks."""
        return []

    def end(self, events: Sequence[Event]) -> list[str]:
        """The last result, which says so; without a word where the last utterance has ended before."""
        finals = [event for event in events if event.kind == "final"]
        last = finals.pop() if finals else Event("final", 0)
        told = [message for event in finals for message in self.hear(event)]
        told.append(self._result(last, True, True))
        self.begin(Clock(1.0))
        return told

    def _result(self, event: Event, is_final: bool, is_eof: bool) -> str:
        times_s = [max(0.0, self._clock.of_frame(word.first_seq) - self._start_s) for word in event.words]
        tokens = [json.dumps(f" {word.text}", ensure_ascii=False) for word in event.words]
        fields = {
            "text": json.dumps(event.text, ensure_ascii=False),
            "tokens": f"[{', '.join(tokens)}]",
            "timestamps": f"[{', '.join([f'{time_s:.2f}' for time_s in times_s])}]",
            "ys_probs": "[]",
            "lm_probs": "[]",
            "context_scores": "[]",
            "segment": str(self._segment),
            "words": "[]",
            "start_time": f"{self._start_s:.2f}",
            "is_final": "true" if is_final else "false",
            "is_eof": "true" if is_eof else "false",
        }
        return "{ " + ", ".join([f'"{name}": {text}' for name, text in fields.items()]) + "}"
