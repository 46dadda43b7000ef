"""The settings of every decoder, as they stand in a model's card and in a client's `open`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from streamrnn.decode.anomaly import AnomalySettings
from streamrnn.errors import OptionError

MAX_SETTINGS_CHARS = 64 * 1024
"""Longest settings as JSON."""


class _Settings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True, tag_field="kind"):
    """Base of all settings; `kind` tells which they are."""


class LabelSettings(_Settings, frozen=True, tag="labels"):
    """Which class holds, or which keyword was said, from one posterior a label.

    A label's score is its probability, smoothed over the last `smooth_s` (mean of so many frames). In mode `keyword` a
    label fires when its score reaches `threshold`, is armed again below `release`, and no label fires within
    `refractory_s` of the last one. In mode `label` the label that holds changes when another one's score reaches
    `threshold`.

    Attributes:
        mode: `keyword` or `label`.
        head: part of the output; empty: all of it.
        input: what the outputs are: `log` probabilities, `probability` or `logit`s (of a softmax).
        threshold, release: 0 .. 1, release <= threshold.
        thresholds: by label, in place of `threshold`.
        smooth_s: of the mean; 0: none.
        refractory_s: at least 0.
        ignored: labels that never fire or hold, such as silence.
    """

    mode: str = "keyword"
    head: str = ""
    input: str = "log"
    threshold: float = 0.5
    release: float = 0.3
    thresholds: dict[str, float] = {}
    smooth_s: float = 0.0
    refractory_s: float = 0.0
    ignored: tuple[str, ...] = ()


class Rule(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One of Kaldi's endpoint rules: an utterance ends when all that it asks for is so.

    Attributes:
        must_contain_nonsilence: something was decoded.
        min_trailing_silence: seconds of silence since the last symbol.
        min_utterance_length: seconds since the utterance began.

    Source: Kaldi `online2/online-endpoint.h`, OnlineEndpointRule; of `max_relative_cost` a decoder without a lattice
    has nothing to say.
    """

    must_contain_nonsilence: bool = True
    min_trailing_silence: float = 0.0
    min_utterance_length: float = 0.0


class EndpointSettings(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The rules, by their names in Kaldi; the first that holds ends the utterance."""

    rule1: Rule = Rule(False, 5.0, 0.0)
    rule2: Rule = Rule(True, 0.5, 0.0)
    rule3: Rule = Rule(True, 1.0, 0.0)
    rule4: Rule = Rule(True, 2.0, 0.0)
    rule5: Rule = Rule(False, 0.0, 20.0)


class CtcSettings(_Settings, frozen=True, tag="ctc"):
    """Transcripts from the outputs of a network that was trained with CTC.

    Attributes:
        head: part of the output; empty: all of it.
        input: `log` probabilities, `probability` or `logit`s.
        blank: index of the blank.
        beam: hypotheses of the prefix beam search; 1: the greedy path.
        n_best_symbols: most symbols that a hypothesis is extended by in a frame; 0: all.
        separator: what stands between symbols in the text: a space where symbols are words, nothing where they are
            letters.
        word_separator: label of the symbol that parts words where symbols are letters; empty: symbols are words.
        words: with letters and a beam, only these words; empty: any.
        word_bonus: natural logarithm, added for each whole word of a hypothesis.
        endpoint: when an utterance ends; None: never by itself.
        partials: tell each change of the transcript.
        max_symbols: of an utterance; one more ends it.
    """

    head: str = ""
    input: str = "log"
    blank: int = 0
    beam: int = 1
    n_best_symbols: int = 0
    separator: str = " "
    word_separator: str = ""
    words: tuple[str, ...] = ()
    word_bonus: float = 0.0
    endpoint: EndpointSettings | None = EndpointSettings()
    partials: bool = True
    max_symbols: int = 1000


class AnomalyDecoding(_Settings, frozen=True, tag="anomaly"):
    """An anomaly score over the residuals of a next-value predictor, see `AnomalyScore`.

    Attributes:
        score: its settings.
        input_column: place of the observed value in a frame.
        output_column: place of its forecast in an output.
        level_quantile: 0: the threshold is `score.threshold`. Above 0 (and below 1) it is that running quantile of the
            scores so far (P-square), where that is higher.
    """

    score: AnomalySettings = AnomalySettings()
    input_column: int = 0
    output_column: int = 0
    level_quantile: float = 0.0


class SpeakerSettings(_Settings, frozen=True, tag="speakers"):
    """Who talks: the enrolled speaker whose embedding is nearest by cosine.

    Attributes:
        head: part of the output that is the embedding; empty: all of it.
        enrolled: embeddings by name, each as long as the head; of any length as vectors.
        threshold: cosine at and above which a speaker is told, -1 .. 1.
        hold_s: seconds for which another one must be nearest before that is told.
        min_s: seconds heard before anything is told.
    """

    head: str = ""
    enrolled: dict[str, tuple[float, ...]] = {}
    threshold: float = 0.5
    hold_s: float = 0.0
    min_s: float = 0.0


class SamplerSettings(_Settings, frozen=True, tag="sampler"):
    """Tokens drawn from the output, for `generate`; they and their draws are the session's.

    Attributes:
        head: part of the output; empty: all of it.
        input: `log` probabilities, `probability` or `logit`s.
    """

    head: str = ""
    input: str = "log"


Settings = LabelSettings | CtcSettings | AnomalyDecoding | SpeakerSettings | SamplerSettings


def parse_settings(text: str | bytes) -> Settings:
    """Read settings from JSON.

    Raises:
        OptionError: they are none, or too long; says where.
    """
    if len(text) > MAX_SETTINGS_CHARS:
        raise OptionError(f"decoder: expected settings of at most {MAX_SETTINGS_CHARS} characters, got {len(text)}")
    try:
        settings: Settings = msgspec.json.decode(text, type=Settings)
    except (msgspec.MsgspecError, ValueError) as fault:  # also those that a dataclass raises for itself
        raise OptionError(f"decoder: {fault}") from fault
    return settings


def settings_of(plain: Mapping[str, Any]) -> Settings:
    """Read settings from plain values, as a card holds them.

    Raises:
        OptionError: they are none; says where.
    """
    try:
        settings: Settings = msgspec.convert(dict(plain), type=Settings)
    except (msgspec.MsgspecError, ValueError, TypeError) as fault:
        raise OptionError(f"decoder: {fault}") from fault
    return settings


def plain_of(settings: Settings) -> dict[str, Any]:
    """The settings as plain values, for a card."""
    return dict(msgspec.to_builtins(settings))


def kind_of(settings: Settings) -> str:
    """Their `kind`."""
    return str(settings.__struct_config__.tag)


def encode_settings(settings: Settings) -> bytes:
    """The settings as JSON; the same settings give the same bytes."""
    return msgspec.json.encode(settings, order="deterministic")
