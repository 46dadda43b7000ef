"""Judged text: what a language model needs for the parts of a corpus, streamed and offline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

import streamrnn
from training.checkpoint import Checkpoint
from training.streamed import outputs_of
from training.tbptt import run
from training.text.likelihood import bits, negative_log_likelihood


@dataclass(frozen=True)
class JudgedText:
    """One trained net and what was measured of it.

    Attributes:
        net, model, checkpoint: in PyTorch, in the engine, and how it was trained.
        streaming: bits per token of each part, from a session of the engine.
        offline: the same from PyTorch, each part at once.
        max_abs_difference: largest difference of any of their outputs.
    """

    net: nn.Module
    model: streamrnn.Model
    checkpoint: Checkpoint
    streaming: Mapping[str, float]
    offline: Mapping[str, float]
    max_abs_difference: float

    @classmethod
    def of(
        cls, net: nn.Module, model: streamrnn.Model, checkpoint: Checkpoint, parts: Mapping[str, Tensor]
    ) -> JudgedText:
        """Run parts, (n_tokens,) int64 each, from a fresh state each, and judge every token but the first."""
        streaming, offline, differences = {}, {}, []
        for name, ids in parts.items():
            outputs = torch.tensor(outputs_of(model, ids[:-1, None].numpy().astype(np.float32)))
            expected = run(net, ids[None, :-1])[0]
            streaming[name] = bits(float(negative_log_likelihood(outputs.double(), ids[1:])))
            offline[name] = bits(float(negative_log_likelihood(expected.double(), ids[1:])))
            differences.append(float((outputs - expected).abs().max()))
        return cls(net, model, checkpoint, streaming, offline, max(differences))

    @property
    def n_parameters(self) -> int:
        """Of the net."""
        return sum(parameter.numel() for parameter in self.net.parameters())

    @property
    def facts(self) -> dict[str, Any]:
        """Plain values for the evaluation file."""
        return {
            "streamed_bits": dict(self.streaming),
            "offline_bits": dict(self.offline),
            "n_parameters": self.n_parameters,
            "train_s": round(self.checkpoint.train_s, 1) or None,
            "seed": self.checkpoint.seed,
            "command": self.checkpoint.command,
        }
