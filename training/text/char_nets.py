"""The nets of characters: a small one that is bundled, a large one, and the mixture of both."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from training.checkpoint import Checkpoint
from training.fit import FitSettings
from training.tbptt import run
from training.text.likelihood import bits, negative_log_likelihood
from training.text.mixture_net import MixtureNet
from training.text.token_net import TokenNet

MIXED = "mixed"
SHARES = tuple(float(share) for share in np.arange(1, 11) / 20)
"""Of the small net in the mixture; which one is taken, the validation part says."""


@dataclass(frozen=True)
class Size:
    """One of the nets, and how it is trained."""

    net: dict[str, Any]
    fit: FitSettings
    n_lanes: int = 32
    n_threads: int = 1

    def quickly(self) -> Size:
        """The same, so small and so briefly trained that it serves for trying the path only."""
        fit = replace(self.fit, max_epochs=2, warmup_windows=0, average_decay=0.0)
        return replace(self, net={**self.net, "embedding_size": 8, "hidden_size": 16}, fit=fit)


SIZES = {
    "small": Size(
        {"embedding_size": 32, "hidden_size": 216, "dropout": 0.1},
        FitSettings(
            max_epochs=28,
            patience_epochs=4,
            window_frames=64,
            learning_rate=1.6e-2,
            warmup_windows=200,
            weight_decay=0.05,
            average_decay=0.995,
        ),
    ),
    "large": Size(
        {"embedding_size": 64, "hidden_size": 512, "dropout": 0.25, "weight_dropout": 0.25},
        FitSettings(
            max_epochs=15,
            patience_epochs=6,
            window_frames=64,
            learning_rate=6e-3,
            warmup_windows=200,
            weight_decay=0.08,
            average_decay=0.997,
        ),
        n_threads=2,
    ),
}
SIZE_NAMES = (*SIZES, MIXED)


def net_of(checkpoint: Checkpoint) -> TokenNet | MixtureNet:
    """Give the trained net, in evaluation mode."""
    arguments = checkpoint.arguments
    net = MixtureNet(**arguments) if "share" in arguments else TokenNet(**arguments)
    net.load_state_dict(checkpoint.weights)
    return net.eval()


def mix(large: Checkpoint, small: Checkpoint, ids: Tensor) -> tuple[MixtureNet, dict[str, Any], float]:
    """Give the best mixture of two trained nets, its arguments, and its bits per token of ids (n_tokens,)."""
    p, target = [run(net_of(one), ids[None, :-1])[0].double().exp() for one in (large, small)], ids[1:]
    tried = {
        share: bits(float(negative_log_likelihood(torch.log((1.0 - share) * p[0] + share * p[1]), target)))
        for share in SHARES
    }
    best = min(tried, key=lambda share: tried[share])
    arguments: dict[str, Any] = {"first": large.arguments, "second": small.arguments, "share": best}
    net = MixtureNet(**arguments)
    net.first.load_state_dict(large.weights)
    net.second.load_state_dict(small.weights)
    return net.eval(), arguments, tried[best]
