"""Endpoint: when an utterance is over, by Kaldi's rules."""

from __future__ import annotations

from streamrnn.decode.decoder import Facts
from streamrnn.decode.settings import EndpointSettings

RULES = ("rule1", "rule2", "rule3", "rule4", "rule5")
"""In the order in which they are tried."""


class Endpoint:
    """The rules of a model's rate; it has no state.

    Source: Kaldi `online2/online-endpoint.cc`, RuleActivated. We differ: silence is what was heard since the last frame
    with a symbol, so there is no list of silence phones, and no relative cost.
    """

    def __init__(self, settings: EndpointSettings | None, facts: Facts) -> None:
        """Take the rules; None: no utterance ever ends by itself.

        Raises:
            OptionError: a time is out of range, or the model's card has no rate.
        """
        self._rules: list[tuple[str, bool, int, int]] = []
        for name in RULES if settings is not None else ():
            rule = getattr(settings, name)
            silence = facts.frames(f"{name}.min_trailing_silence", rule.min_trailing_silence)
            length = facts.frames(f"{name}.min_utterance_length", rule.min_utterance_length)
            self._rules.append((name, rule.must_contain_nonsilence, silence, length))

    def rule(self, n_frames: int, n_silent: int) -> str:
        """Name the first rule that ends an utterance here, or give an empty text.

        Args:
            n_frames: since the utterance began.
            n_silent: of them, those since its last symbol; all of them where it has none.
        """
        has_speech = n_silent < n_frames
        for name, needs_speech, silence, length in self._rules:
            if n_silent >= silence and n_frames >= length and (has_speech or not needs_speech):
                return name
        return ""
