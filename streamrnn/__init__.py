"""Keep recurrent networks running: one session per live stream, its whole state one row that is never lost."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from streamrnn.errors import StreamrnnError

if TYPE_CHECKING:
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
    from streamrnn.kernels.warmup import warmup
    from streamrnn.limits import Limits
    from streamrnn.model.card import Card
    from streamrnn.model.file import load_model
    from streamrnn.model.frontend.attach import with_frontend
    from streamrnn.model.frontend.frontend import Frontend
    from streamrnn.model.importers.keras import from_keras
    from streamrnn.model.importers.onnx.importer import from_onnx
    from streamrnn.model.importers.rtneural import from_rtneural
    from streamrnn.model.importers.torch import from_state_dict, from_torch
    from streamrnn.model.model import Model
    from streamrnn.model.spec import Activation, Head, Node, Spec

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


_HOMES = {
    "Activation": "model.spec",
    "AudioInput": "audio.audio_input",
    "Card": "model.card",
    "Engine": "engine.engine",
    "Frontend": "model.frontend.frontend",
    "Gaps": "engine.gaps",
    "Generation": "decode.generation",
    "Head": "model.spec",
    "Hypothesis": "engine.beam",
    "Limits": "limits",
    "Model": "model.model",
    "Node": "model.spec",
    "Output": "engine.output",
    "Reframer": "audio.reframer",
    "Resampler": "audio.resampler",
    "Session": "engine.session",
    "Skipped": "engine.overload",
    "Spec": "model.spec",
    "beam_search": "engine.beam",
    "from_keras": "model.importers.keras",
    "from_onnx": "model.importers.onnx.importer",
    "from_rtneural": "model.importers.rtneural",
    "from_state_dict": "model.importers.torch",
    "from_torch": "model.importers.torch",
    "load_model": "model.file",
    "warmup": "kernels.warmup",
    "with_frontend": "model.frontend.attach",
}
"""Where each name lives: it is loaded on its first use, for what keeps no network running, such as the supervisor of
workers and tools over a store, should not load a compiler. The importers need torch or onnx besides."""
_ROOMS = frozenset({"audio", "decode", "engine", "kernels", "limits", "model", "stores", "wire"})


def __getattr__(name: str) -> Any:
    """Load a name on first use."""
    if name in _ROOMS:
        return import_module(f"streamrnn.{name}")
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    found = globals()[name] = getattr(import_module(f"streamrnn.{_HOMES[name]}"), name)
    return found


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})
