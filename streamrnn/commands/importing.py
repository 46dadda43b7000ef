"""Which importer reads which file, and what of the command line each is told."""

from __future__ import annotations

import importlib.util
import json
import os
import zipfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from streamrnn.commands.example import Array, shapes_of
from streamrnn.commands.pickled import load_pickle
from streamrnn.errors import ModelFileError, OptionError, SpecError, StreamrnnError, UnsupportedError

if TYPE_CHECKING:
    from streamrnn.model.card import Card
    from streamrnn.model.model import Model

TimeAxis = int | Literal["frame"]
ELSE_ONNX = "saved with torch.save, or an .onnx file of it"


@dataclass(frozen=True)
class Wish:
    """What the user says of the file beside its name; each is an option of `convert`."""

    spec: Path | None = None
    card: Card | None = None
    is_trusted: bool = False
    example: Array | None = None
    time_axis: TimeAxis | None = None
    frame_steps: int = 0
    states: dict[str, str] = field(default_factory=dict)
    is_forced: bool = False

    def given(self) -> set[str]:
        """The options that say something, by their names on the command line."""
        flags = {
            "--spec": self.spec is not None,
            "--trust-pickle": self.is_trusted,
            "--example": self.example is not None,
            "--time-axis": self.time_axis is not None,
            "--frame-steps": self.frame_steps > 0,
            "--state": bool(self.states),
            "--force": self.is_forced,
        }
        return {name for name, is_given in flags.items() if is_given}


def read_model(source: Path, wish: Wish) -> Model:
    """The model that a file holds, read by its ending.

    Raises:
        OptionError: the ending is none that can be read, an option does not suit it, or one is missing.
        UnsupportedError: a package is missing (names the extra), or the importer refuses the model.
        ModelFileError, SpecError: the file, or the spec, is damaged or does not fit.
    """
    if source.suffix not in READERS:
        raise OptionError(f"expected a file ending in one of {', '.join(ENDINGS)}, got {source.name!r}")
    reader, taken = READERS[source.suffix]
    if strangers := sorted(wish.given() - taken):
        raise OptionError(f"{strangers[0]} says nothing of a {source.suffix} file")
    return reader(source, wish)


def _from_safetensors(source: Path, wish: Wish) -> Model:
    """A model file anew, with another card or as it is; or bare tensors with a spec."""
    import streamrnn
    from streamrnn.model.narrowing import with_narrowing

    if wish.spec is None:
        model = streamrnn.load_model(source)
        return with_narrowing(model.with_card(_with_proof(wish.card, model)) if wish.card else model)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(source)
    except SafetensorError as error:
        raise ModelFileError(f"{source} is not a readable safetensors file: {error}") from error
    return _from_tensors(tensors, wish.spec, wish.card)


def _with_proof(card: Card, model: Model) -> Card:
    """Another card does not make a proof undone."""
    import msgspec

    return msgspec.structs.replace(card, certificate=model.card.certificate)


def _from_pickle(source: Path, wish: Wish) -> Model:
    _need("torch", source, "PyTorch")
    if _is_torchscript(source):
        raise UnsupportedError(
            f"{source.name} is a TorchScript archive, whose graph is not read: convert the module that it was made of, "
            f"{ELSE_ONNX}"
        )
    loaded = load_pickle(source, wish.is_trusted)
    if not isinstance(loaded, dict):
        if wish.spec is not None:
            raise OptionError(f"--spec is for a state_dict, but {source.name} holds a whole module")
        return _from_module(loaded, wish)
    tensors = loaded.get("state_dict", loaded)
    if wish.spec is None:
        names = ", ".join(list(tensors)[:6])
        raise OptionError(f"{source.name} holds a state_dict ({names}, ...), which needs --spec FILE")
    if strangers := sorted(wish.given() - {"--spec", "--trust-pickle"}):
        raise OptionError(f"{strangers[0]} says nothing of a state_dict: there is no forward to follow or to try")
    return _from_tensors(tensors, wish.spec, wish.card)


def _from_export(source: Path, wish: Wish) -> Model:
    raise UnsupportedError(
        f"{source.name} is an archive of torch.export, in which recurrent layers are written out for one length: "
        f"convert the module that it was made of, {ELSE_ONNX}"
    )


def _from_module(module: Any, wish: Wish) -> Model:
    import torch

    import streamrnn

    examples = [torch.from_numpy(shape) for shape in _shapes(wish)]
    states = {name: int(place) if place.isdigit() else place for name, place in wish.states.items()}
    options = _said(time_dim=wish.time_axis, states=states or None, frame_steps=wish.frame_steps or None)
    return _first(streamrnn.from_torch, module, wish, examples, options)


def _from_onnx(source: Path, wish: Wish) -> Model:
    import streamrnn

    _need("onnx", source)
    axis = "call" if wish.time_axis == "frame" else wish.time_axis
    options = _said(time_axis=axis, states=wish.states or None, frame_steps=wish.frame_steps or None)
    return _first(streamrnn.from_onnx, source, wish, list(_shapes(wish)), options)


def choose_keras_backend() -> None:
    """Let Keras compute with what is installed, where no one chose and its default, TensorFlow, is not there.

    Keras reads the choice as it is imported, and writes its default into a file of the user's, so that what stands
    there need not be anyone's choice. Without a backend the model could be compared with nothing.
    """
    if "KERAS_BACKEND" in os.environ:
        return
    try:
        folder = Path(os.environ.get("KERAS_HOME", Path.home() / ".keras"))
        written = str(json.loads((folder / "keras.json").read_text(encoding="utf-8"))["backend"])
    except (OSError, ValueError, KeyError, TypeError):
        written = "tensorflow"
    installed = [name for name in (written, "torch", "jax") if importlib.util.find_spec(name)]
    if installed:
        os.environ["KERAS_BACKEND"] = installed[0]


def _from_keras(source: Path, wish: Wish) -> Model:
    import streamrnn

    _need("h5py", source)
    choose_keras_backend()
    examples = [] if wish.example is None else [wish.example]
    return _first(streamrnn.from_keras, source, wish, examples, _said(frame_steps=wish.frame_steps or None))


def _from_rtneural(source: Path, wish: Wish) -> Model:
    import streamrnn

    model: Model = streamrnn.from_rtneural(source, card=wish.card)
    return model


def _shapes(wish: Wish) -> Iterator[Array]:
    return iter(()) if wish.example is None else shapes_of(wish.example)


def _said(**options: Any) -> dict[str, Any]:
    """Options that say something; an importer has defaults of its own."""
    return {name: value for name, value in options.items() if value is not None}


def _first(
    importer: Callable[..., Model], source: Any, wish: Wish, examples: Sequence[Any], options: dict[str, Any]
) -> Model:
    """The model by the first shape of the example with which it can be proved; by force, if it must be, without proof.

    Raises:
        StreamrnnError: what the importer says of the likeliest shape.
    """
    faults: list[StreamrnnError] = []
    for forced in [{}, {"is_forced": True}] if wish.is_forced else [{}]:
        for example in examples or [None]:
            try:
                return importer(source, card=wish.card, example=example, **options, **forced)
            except (OptionError, UnsupportedError) as fault:
                faults.append(fault)
    raise next((fault for fault in faults if isinstance(fault, UnsupportedError)), faults[0])


def _need(package: str, source: Path, name: str = "") -> None:
    """Raises `UnsupportedError` where a package is not installed."""
    if importlib.util.find_spec(package) is None:
        raise UnsupportedError(f"reading {source.suffix} needs {name or package}: pip install 'streamrnn[import]'")


def _is_torchscript(source: Path) -> bool:
    try:
        with zipfile.ZipFile(source) as archive:
            return any("/code/" in name for name in archive.namelist())
    except (zipfile.BadZipFile, OSError):
        return False


def _from_tensors(tensors: dict[str, Any], spec: Path, card: Card | None) -> Model:
    import streamrnn

    try:
        wanted = json.loads(spec.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError(f"{spec} is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise SpecError(f'{spec} must hold an object, such as {{"layers": [{{"kind": "lstm", "name": "lstm"}}]}}')
    return streamrnn.from_state_dict(tensors, wanted, card=card)


GRAPH = {"--example", "--time-axis", "--frame-steps", "--state", "--force"}
READERS: dict[str, tuple[Callable[[Path, Wish], Model], set[str]]] = {
    ".pt": (_from_pickle, {"--spec", "--trust-pickle", *GRAPH}),
    ".pth": (_from_pickle, {"--spec", "--trust-pickle", *GRAPH}),
    ".pt2": (_from_export, {"--trust-pickle", *GRAPH}),  # refused with what to do
    ".onnx": (_from_onnx, GRAPH),
    ".keras": (_from_keras, {"--example", "--frame-steps", "--force"}),
    ".json": (_from_rtneural, set()),
    ".safetensors": (_from_safetensors, {"--spec"}),
}
"""By the ending of a file: what reads it, and which options say something of it."""

ENDINGS = tuple(ending for ending in READERS if ending != ".pt2")
"""Of files that can be converted."""
