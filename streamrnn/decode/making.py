"""From settings to a decoder: the one place that knows every kind."""

from __future__ import annotations

from streamrnn.decode.alarms import AnomalyDecoder
from streamrnn.decode.ctc import CtcDecoder
from streamrnn.decode.decoder import Decoder, Facts
from streamrnn.decode.labels import LabelDecoder
from streamrnn.decode.sampler import Sampler
from streamrnn.decode.settings import (
    AnomalyDecoding,
    CtcSettings,
    LabelSettings,
    SamplerSettings,
    Settings,
    SpeakerSettings,
)
from streamrnn.decode.speakers import SpeakerDecoder


def make_decoder(settings: Settings, facts: Facts) -> Decoder:
    """A fresh decoder for sessions of a model.

    Raises:
        OptionError: a setting is out of range, or does not fit the model.
    """
    match settings:
        case LabelSettings():
            return LabelDecoder(settings, facts)
        case CtcSettings():
            return CtcDecoder(settings, facts)
        case SamplerSettings():
            return Sampler(settings, facts)
        case AnomalyDecoding():
            return AnomalyDecoder(settings, facts)
        case SpeakerSettings():
            return SpeakerDecoder(settings, facts)
