"""`streamrnn convert`: a model file from what PyTorch saved."""

from __future__ import annotations

import json
import pickle
import sys
import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from streamrnn.errors import ModelFileError, OptionError, SpecError, UnsupportedError

if TYPE_CHECKING:
    from streamrnn.model.card import Card
    from streamrnn.model.model import Model

PICKLED = (".pt", ".pth")
OURS = ".safetensors"


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="IN", exists=True, dir_okay=False, help="A .pt, .pth or .safetensors file.")
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The model file to write, ending in .safetensors.")],
    spec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="JSON that says which layers the tensors of a state_dict make.",
        ),
    ] = None,
    card: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="JSON with the model's name, units and so on."),
    ] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Load a whole pickled module, which runs code from the file.")
    ] = False,
) -> None:
    """Convert a trained network to a model file, and prove it against PyTorch where its module is there.

    A .pt or .pth file holds either a whole module (torch.save(module, ...)) or a state_dict, which needs --spec. Its
    classes are looked for in the current directory too. A .safetensors model file is read, checked and written anew.

    Example: streamrnn convert detector.pt detector.safetensors --trust-pickle

    Example: streamrnn convert weights.pt detector.safetensors --spec spec.json
    """
    if target.suffix != OURS:
        raise typer.BadParameter(f"expected a file name ending in {OURS}, got {target.name!r}", param_hint="OUT")
    given = _read_card(card)
    if source.suffix == OURS:
        model = _reread(source, spec, given)
    elif source.suffix in PICKLED:
        model = _from_pickle(source, spec, given, trust_pickle)
    else:
        endings = ", ".join((*PICKLED, OURS))
        message = f"expected a file ending in one of {endings}, got {source.name!r}; nothing else can be read"
        raise typer.BadParameter(message, param_hint="IN")
    model.save(target)
    error = model.card.certificate.get("max_abs_error")
    proof = f", largest error to PyTorch {error:.2e}" if isinstance(error, float) else ""
    losses = "".join(
        f"; {name} weights would change outputs by up to {loss['max_abs_error']:.2g}"
        for name in ("bfloat16", "int8")
        if isinstance(loss := model.card.certificate.get(name), dict)
    )
    typer.echo(
        f"{target}: {model.n_parameters:,} parameters, {model.input_size} in, {model.output_size} out, "
        f"{model.state_bytes:,} state bytes a session{proof}{losses}"
    )


def _read_card(path: Path | None) -> Card | None:
    if path is None:
        return None
    import msgspec

    from streamrnn.model.card import Card

    try:
        return msgspec.json.decode(path.read_bytes(), type=Card)
    except msgspec.MsgspecError as error:
        raise ModelFileError(f"{path} is not a model card: {error}") from error


def _reread(source: Path, spec: Path | None, card: Card | None) -> Model:
    import streamrnn
    from streamrnn.model.narrowing import with_narrowing

    if spec is None:
        model = streamrnn.load_model(source)
        return with_narrowing(model.with_card(card) if card else model)
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    try:
        tensors = load_file(source)
    except SafetensorError as error:
        raise ModelFileError(f"{source} is not a readable safetensors file: {error}") from error
    return _from_tensors(tensors, spec, card)


def _from_pickle(source: Path, spec: Path | None, card: Card | None, trusted: bool) -> Model:
    import streamrnn

    loaded = _load_pickle(source, trusted)
    if isinstance(loaded, dict):
        tensors = loaded.get("state_dict", loaded)
        if spec is None:
            names = ", ".join(list(tensors)[:6])
            raise OptionError(f"{source.name} holds a state_dict ({names}, ...), which needs --spec FILE")
        return _from_tensors(tensors, spec, card)
    return streamrnn.from_torch(loaded, card=card)


def _from_tensors(tensors: dict[str, Any], spec: Path, card: Card | None) -> Model:
    import streamrnn

    try:
        wanted = json.loads(spec.read_text(encoding="utf-8"))
    except ValueError as error:
        raise SpecError(f"{spec} is not JSON: {error}") from error
    if not isinstance(wanted, dict):
        raise SpecError(f'{spec} must hold an object, such as {{"layers": [{{"kind": "lstm", "name": "lstm"}}]}}')
    return streamrnn.from_state_dict(tensors, wanted, card=card)


def _load_pickle(source: Path, trusted: bool) -> Any:
    """Load tensors safely; a whole module only when that is wanted, since unpickling it runs code."""
    try:
        import torch
    except ImportError:
        raise UnsupportedError("reading .pt and .pth needs PyTorch: pip install 'streamrnn[import]'") from None
    sys.path.append("")  # a pickle names classes of the user's own modules
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # torch warns of files that are then refused anyway
            return torch.load(source, map_location="cpu", weights_only=not trusted)
    except pickle.UnpicklingError as error:
        if trusted or "weights" not in str(error).lower():
            raise ModelFileError(f"{source} is damaged or no file of torch.save: {error}") from error
        raise OptionError(
            f"{source.name} holds more than tensors, and unpickling runs code from the file: "
            "if you trust where it came from, add --trust-pickle"
        ) from None
    except (AttributeError, ModuleNotFoundError) as error:
        raise UnsupportedError(
            f"{source.name} was saved as a whole module, and its class is not found ({error}): "
            "run in the directory that has the class, or save module.state_dict() and give --spec"
        ) from None
    except (RuntimeError, EOFError, ValueError) as error:
        raise ModelFileError(f"{source} is damaged or no file of torch.save: {error}") from error
