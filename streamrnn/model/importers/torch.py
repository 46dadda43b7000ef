"""Models from PyTorch: from a module, proved against its own forward, or from a state dict and a spec."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import msgspec

from streamrnn.model.card import Card
from streamrnn.model.importers.parity import N_FRAMES, certify, find_match
from streamrnn.model.importers.state_dict import from_state_dict
from streamrnn.model.importers.torch_calls import calls_of, example_calls, one_thread
from streamrnn.model.importers.torch_readings import readings_of
from streamrnn.model.model import Model
from streamrnn.model.narrowing import with_narrowing
from streamrnn.model.trial import draw_frames

if TYPE_CHECKING:
    from torch import nn

__all__ = ["from_state_dict", "from_torch"]


def from_torch(module: nn.Module, *, card: Card | None = None, example: Any = None, is_forced: bool = False) -> Model:
    """The model that computes what `module` computes in eval mode, one frame at a time.

    The order of the layers, the activations in between and the way the module is called are guessed, and each guess is
    run against the module's own forward; the one that agrees is taken, with its errors in `card.certificate`, and with
    those that narrow weights would add.

    Args:
        module: its layers are among those of `docs/reference/importing.md`; not modified.
        card: description; its certificate is replaced.
        example: the argument of one call, or the tuple of them, with the frames of one sequence in a batch of one; only
            calls of its shape are tried, on it and on frames of its mean and deviation.
        is_forced: keep the closest guess where none agrees; its certificate then says that it failed.

    Raises:
        OptionError: the example has no place for one sequence of frames.
        UnsupportedError: a layer cannot be streamed (named, with the reason), or no guess agrees with the forward.
    """
    import torch

    drafts = readings_of(module)
    first = next(drafts)
    node = first.spec.nodes[0]
    is_token = node.n_tokens > 0
    if example is None:
        calls, like = list(calls_of(module, node.size, is_token)), None
    else:
        calls, like = example_calls(module, example, node.size, is_token)
    with one_thread():
        match = find_match(itertools.chain([first], drafts), calls, like, is_forced)
        model = Model(match.draft.spec, match.draft.tensors)
        certificate = certify(model, match, f"torch {torch.__version__}", like, is_forced)
    frames = draw_frames(model, N_FRAMES, 3, like)
    return with_narrowing(model.with_card(msgspec.structs.replace(card or Card(), certificate=certificate)), frames)
