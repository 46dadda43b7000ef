"""Speaker models: the trained nets of one checkpoint, by name, in PyTorch and as they are served."""

from __future__ import annotations

from dataclasses import dataclass

import torch

import streamrnn
from training.checkpoint import Checkpoint
from training.frontend import FrontendModule
from training.options import Options
from training.speech.speaker_fit import FRONTEND
from training.speech.speaker_net import Listener, SpeakerNet
from training.speech.speaker_trial import OfflineListener

SPOKEN = "fsdd"
"""The net that is served."""
CEPSTRA = "an4"
"""The net of AN4; all others hear samples of 8 kHz."""


@dataclass(frozen=True, eq=False)
class SpeakerModels:
    """Nets by the names that training gave them."""

    checkpoint: Checkpoint

    @classmethod
    def load(cls, options: Options) -> SpeakerModels:
        """Read what training left.

        Raises:
            CheckpointMissing: it left nothing.
        """
        return cls(Checkpoint.load(options.checkpoint, options.recipe))

    def net(self, name: str) -> SpeakerNet:
        """One net, ready to be judged."""
        net = SpeakerNet(**self.checkpoint.arguments[name])
        weights = self.checkpoint.weights.items()
        net.load_state_dict({key.removeprefix(f"{name}."): own for key, own in weights if key.startswith(f"{name}.")})
        return net.eval()

    def offline(self, name: str) -> OfflineListener:
        """One net over whole recordings."""
        return OfflineListener(self.net(name), None if name == CEPSTRA else FrontendModule(FRONTEND))

    def model(self, name: str, card: streamrnn.Card | None = None) -> streamrnn.Model:
        """One net as it is served: heads `embedding` and `speaker`, after each frame for all that was heard.

        Raises:
            UnsupportedError: the engine and PyTorch disagree.
        """
        net = self.net(name)
        n_features = net.normalise.scale.numel()
        noise = torch.randn(1, 64, n_features, generator=torch.Generator().manual_seed(0))
        example = (noise - net.normalise.shift) / net.normalise.scale  # as loud as what it was trained on
        model = streamrnn.from_torch(Listener(net), card=card, example=example)
        return model if name == CEPSTRA else streamrnn.with_frontend(model, FRONTEND)
