"""Per-session post-processing with explicit state: what turns a model's outputs into events."""

from streamrnn.decode.anomaly import AnomalyScore, AnomalySettings, Verdict
from streamrnn.decode.decoder import Decoder, Facts
from streamrnn.decode.event import KINDS, Event, Kind, Word
from streamrnn.decode.generation import Generation
from streamrnn.decode.making import make_decoder
from streamrnn.decode.sampler import Sampler
from streamrnn.decode.settings import (
    AnomalyDecoding,
    CtcSettings,
    EndpointSettings,
    LabelSettings,
    Rule,
    SamplerSettings,
    Settings,
    SpeakerSettings,
    encode_settings,
    parse_settings,
    plain_of,
    settings_of,
)

__all__ = [
    "KINDS",
    "AnomalyDecoding",
    "AnomalyScore",
    "AnomalySettings",
    "CtcSettings",
    "Decoder",
    "EndpointSettings",
    "Event",
    "Facts",
    "Generation",
    "Kind",
    "LabelSettings",
    "Rule",
    "Sampler",
    "SamplerSettings",
    "Settings",
    "SpeakerSettings",
    "Verdict",
    "Word",
    "encode_settings",
    "make_decoder",
    "parse_settings",
    "plain_of",
    "settings_of",
]
