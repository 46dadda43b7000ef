"""From settings to a decoder: the one place that knows every kind."""

from __future__ import annotations

from streamrnn.decode.decoder import Decoder, Facts
from streamrnn.decode.sampler import Sampler
from streamrnn.decode.settings import SamplerSettings, Settings
from streamrnn.errors import OptionError


def make_decoder(settings: Settings, facts: Facts) -> Decoder:
    """A fresh decoder for sessions of a model.

    Raises:
        OptionError: a setting is out of range, or does not fit the model.
    """
    if isinstance(settings, SamplerSettings):
        return Sampler(settings, facts)
    raise OptionError(f"decoder: no decoder of {type(settings).__name__}")
