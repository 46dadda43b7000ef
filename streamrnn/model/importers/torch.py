"""Models from PyTorch: from a module, proved against its own forward, or from a state dict and a spec."""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from streamrnn.errors import OptionError, UnsupportedError
from streamrnn.model.card import Card
from streamrnn.model.importers.parity import N_FRAMES, certify, find_match
from streamrnn.model.importers.state_dict import from_state_dict
from streamrnn.model.importers.torch_calls import calls_of, example_calls, one_thread
from streamrnn.model.importers.torch_contract import NoCallError, Options
from streamrnn.model.importers.torch_readings import readings_of, takes_more
from streamrnn.model.importers.torch_tracing import import_graph
from streamrnn.model.model import Model
from streamrnn.model.narrowing import with_narrowing
from streamrnn.model.trial import draw_frames

if TYPE_CHECKING:
    from torch import nn

__all__ = ["from_state_dict", "from_torch"]


def from_torch(
    module: nn.Module,
    *,
    card: Card | None = None,
    example: Any = None,
    time_dim: int | Literal["frame"] | None = None,
    states: Mapping[str, int | str] | None = None,
    frame_steps: int = 0,
    is_forced: bool = False,
) -> Model:
    """The model that computes what `module` computes in eval mode, one frame at a time.

    How simple layers are joined and the way the module is called are guessed, and each guess is run against the
    module's own forward; where no guess agrees, the graph of the forward is traced with `torch.export` and proved in
    the same way. The errors stand in `card.certificate`, with those that narrow weights would add.

    Args:
        module: its layers and operations are among those of `docs/reference/importing.md`; not modified.
        card: description; its certificate is replaced.
        example: the argument of one call, or the tuple of them, with the frames of one sequence in a batch of one; only
            calls of its shape are tried, on it and on frames of its mean and deviation.
        time_dim: which dimension of the first argument is the time, or "frame" where each call takes one whole frame;
            inferred where it can be.
        states: which output is the new value of an argument, by the argument's name: a place among the outputs or a
            key; an empty mapping says that no argument is a state. Inferred where it can be.
        frame_steps: steps of the time in a frame; by default as few as an output needs.
        is_forced: keep the graph, or the closest guess, where none agrees; its certificate then says that it failed.

    Raises:
        OptionError: the example has no place for one sequence of frames, or an option names what is not there.
        UnsupportedError: what cannot be streamed is named, with the reason.
    """
    options = Options(time_dim, states, frame_steps, is_forced)
    with one_thread():
        if replace(options, is_forced=False) != Options() or (example is None and takes_more(module)):
            return import_graph(module, card=card, example=example, options=options)
        try:
            return _by_readings(module, card, example)
        except (OptionError, UnsupportedError) as unread:
            try:
                return import_graph(module, card=card, example=example, options=options)
            except UnsupportedError as refusal:
                if is_forced:
                    return _by_readings(module, card, example, is_forced)
                if not isinstance(refusal, NoCallError):
                    raise
                if isinstance(unread, OptionError):
                    raise unread from None
                both = f"{unread.message}. Its graph cannot be had either: {refusal.message}"
                raise UnsupportedError(both, **unread.fields) from None


def _by_readings(module: nn.Module, card: Card | None, example: Any, is_forced: bool = False) -> Model:
    """The model of the first guess that agrees with the forward."""
    import torch

    drafts = readings_of(module)
    first = next(drafts)
    node = first.spec.nodes[0]
    is_token = node.n_tokens > 0
    if example is None:
        calls, like = list(calls_of(module, node.size, is_token)), None
    else:
        calls, like = example_calls(module, example, node.size, is_token)
    match = find_match(itertools.chain([first], drafts), calls, like, is_forced)
    model = Model(match.draft.spec, match.draft.tensors)
    certificate = certify(model, match, f"torch {torch.__version__}", like, is_forced)
    frames = draw_frames(model, N_FRAMES, 3, like)
    return with_narrowing(model.with_card(msgspec.structs.replace(card or Card(), certificate=certificate)), frames)
