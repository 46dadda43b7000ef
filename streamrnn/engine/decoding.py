"""A session's decoder: what it was made from, so that another can be made like it, and what it found last."""

from __future__ import annotations

from typing import TYPE_CHECKING

from streamrnn.decode.decoder import Decoder, Facts
from streamrnn.decode.event import Event
from streamrnn.decode.making import make_decoder
from streamrnn.decode.sampler import Sampler
from streamrnn.decode.settings import SamplerSettings, Settings, settings_of
from streamrnn.engine.generating import check_draws
from streamrnn.errors import OptionError
from streamrnn.kernels.packing import FloatArray

if TYPE_CHECKING:
    from streamrnn.model.model import Model


class Decoding:
    """Of a session that was opened with a decoder.

    Args:
        settings: of the decoder.
        model: whose outputs it sees.

    Raises:
        OptionError: as `make_decoder`.

    Attributes:
        events: found in the last outputs that were told.
    """

    __slots__ = ("_model", "decoder", "events", "settings")

    def __init__(self, settings: Settings, model: Model) -> None:
        if isinstance(settings, SamplerSettings):
            check_draws(settings, model)
        self.settings = settings
        self._model = model
        self.decoder: Decoder = make_decoder(settings, facts_of(model))
        self.events: tuple[Event, ...] = ()

    @property
    def sampler(self) -> Sampler | None:
        """The decoder, if it is one that draws tokens."""
        return self.decoder if isinstance(self.decoder, Sampler) else None

    @property
    def is_generating(self) -> bool:
        """Whether the next frame is a token that it has drawn."""
        sampler = self.sampler
        return sampler is not None and sampler.next_token is not None

    def feed(self, seq: int, xs: FloatArray, ys: FloatArray) -> tuple[Event, ...]:
        """Take frames `seq ..`, xs (n, input_size), and their outputs ys (n, output_size)."""
        self.events = tuple(self.decoder.feed(seq, xs, ys))
        return self.events

    def reset(self) -> None:
        """The state was reset."""
        self.decoder.reset()

    def copy(self, model: Model | None = None) -> Decoding:
        """One that goes on from the same state, on the same or a newer version of the model."""
        twin = Decoding(self.settings, model or self._model)
        twin.decoder.restore(self.decoder.state())
        return twin


def facts_of(model: Model) -> Facts:
    """What a decoder may know of a model."""
    heads, first = {}, 0
    for head in model.heads:
        heads[head.name] = (first, first + head.size)
        first += head.size
    return Facts(
        input_size=model.input_size,
        output_size=model.output_size,
        labels=tuple(model.labels),
        heads=heads,
        rate_hz=model.card.rate_hz,
        delay=model.delay,
    )


def chosen_settings(chosen: Settings | str | None, model: Model) -> Settings | None:
    """The settings that a session gets: those given, or with `model` those in the model's card, if it has some.

    Raises:
        OptionError: those in the card are not valid.
    """
    if chosen is None or not isinstance(chosen, str):
        return chosen
    if chosen != "model":
        raise OptionError(f"decoder: expected settings, 'model' or None, got {chosen!r}")
    return settings_of(model.card.decoder) if model.card.decoder else None
