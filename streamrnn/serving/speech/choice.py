"""Which model hears the clients of a speech protocol, and which protocol a path speaks."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote

import msgspec

from streamrnn.decode.settings import CtcSettings, Settings, kind_of
from streamrnn.errors import UnknownModelError
from streamrnn.model.model import Model
from streamrnn.serving.speech.dialect import Dialect
from streamrnn.serving.speech.sherpa import Sherpa
from streamrnn.serving.speech.vosk import Vosk

DIALECTS: Mapping[str, type[Dialect]] = {"vosk": Vosk, "sherpa": Sherpa}
"""Protocols by their names, which are paths too."""
CTC = kind_of(CtcSettings())
UNKNOWN = "[unk]"
"""Stands in Vosk's phrase lists for any other word."""
WANTED = "a model that takes samples, with rate_hz and a ctc decoder in its card"


class Speech(NamedTuple):
    """What a connection speaks, and which model hears it."""

    dialect: str
    model: str


def speech_of(path: str, own: str | None, models: Mapping[str, Model], chosen: str | None) -> Speech | None:
    """What a websocket on a path speaks: None stands for our own protocol, or for no page at all.

    Args:
        path: without what follows a question mark.
        own: the protocol of the port, where it has one of its own on `/`.
        models: those that are served, by name.
        chosen: the one that hears where the path names none; None: the only one that can.

    Raises:
        UnknownModelError: there is no such model, or more than one.
    """
    first, _, name = path.removeprefix("/").partition("/")
    dialect = own if path == "/" else first
    if dialect is None or dialect not in DIALECTS:
        return None
    return Speech(dialect, hearing(models, unquote(name) or chosen))


def hearing(models: Mapping[str, Model], name: str | None) -> str:
    """The name of the model that hears: `name`, or the only one that can.

    Raises:
        UnknownModelError: there is no such model, or more than one.
    """
    able = sorted(served for served, model in models.items() if can_hear(model))
    if name is not None:
        if name not in able:
            raise UnknownModelError(f"expected {WANTED}: {_listed(able)}, got {name[:100]!r}")
        return name
    if len(able) != 1:
        raise UnknownModelError(f"expected one served model, or --speech NAME, that is {WANTED}: {_listed(able)}")
    return able[0]


def can_hear(model: Model) -> bool:
    """Whether a model takes samples and its card has what it takes to make words of them."""
    card = model.card
    return bool(card.rate_hz) and card.decoder.get("kind") == CTC and model.input_channels == 1 and not model.n_tokens


def samples_hz(model: Model) -> float:
    """Samples a second that a model takes, which can hear."""
    return round((model.card.rate_hz or 0.0) * model.input_steps, 6)


def _listed(names: list[str]) -> str:
    return f"there are {', '.join(names)}" if names else "there is none"


def limited_to(settings: Settings, phrases: tuple[str, ...]) -> Settings | None:
    """Decoder settings that hear only the words of some phrases; None where a decoder cannot do that."""
    if not isinstance(settings, CtcSettings) or not settings.word_separator or settings.beam < 2:
        return None
    words = {word for phrase in phrases for word in phrase.split() if word != UNKNOWN}
    return msgspec.structs.replace(settings, words=tuple(sorted(words))) if words else None
