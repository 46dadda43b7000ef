"""Keep recurrent networks running: one session per live stream, its whole state one row that is never lost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamrnn.audio.audio_input import AudioInput
from streamrnn.audio.reframer import Reframer
from streamrnn.audio.resampler import Resampler
from streamrnn.decode.generation import Generation
from streamrnn.engine.beam import Hypothesis, beam_search
from streamrnn.engine.engine import Engine
from streamrnn.engine.gaps import Gaps
from streamrnn.engine.output import Output
from streamrnn.engine.overload import Skipped
from streamrnn.engine.session import Session
from streamrnn.errors import StreamrnnError
from streamrnn.kernels.warmup import warmup
from streamrnn.limits import Limits
from streamrnn.model.card import Card
from streamrnn.model.file import load_model
from streamrnn.model.frontend.attach import with_frontend
from streamrnn.model.frontend.frontend import Frontend
from streamrnn.model.model import Model
from streamrnn.model.spec import Activation, Head, Node, Spec

if TYPE_CHECKING:
    from streamrnn.model.importers.keras import from_keras
    from streamrnn.model.importers.onnx.importer import from_onnx
    from streamrnn.model.importers.rtneural import from_rtneural
    from streamrnn.model.importers.torch import from_state_dict, from_torch

__version__ = "0.1.0"

__all__ = [
    "Activation",
    "AudioInput",
    "Card",
    "Engine",
    "Frontend",
    "Gaps",
    "Generation",
    "Head",
    "Hypothesis",
    "Limits",
    "Model",
    "Node",
    "Output",
    "Reframer",
    "Resampler",
    "Session",
    "Skipped",
    "Spec",
    "StreamrnnError",
    "beam_search",
    "from_keras",
    "from_onnx",
    "from_rtneural",
    "from_state_dict",
    "from_torch",
    "load_model",
    "warmup",
    "with_frontend",
]


def __getattr__(name: str) -> Any:
    """Load the importers on first use: they need torch or onnx, which serving never does."""
    if name == "from_onnx":
        from streamrnn.model.importers.onnx.importer import from_onnx

        return from_onnx
    if name in {"from_torch", "from_state_dict"}:
        from streamrnn.model.importers import torch as importer

        return getattr(importer, name)
    if name in {"from_keras", "from_rtneural"}:
        module = import_module(f"streamrnn.model.importers.{name.removeprefix('from_')}")
        return getattr(module, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
