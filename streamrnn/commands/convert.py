"""`streamrnn convert`: a model file from what another framework saved, with a certificate of how far the two differ."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import msgspec
import typer

from streamrnn.commands.certificate_text import NEVER, certificate_lines
from streamrnn.commands.example import read_example
from streamrnn.commands.importing import ENDINGS, TimeAxis, Wish, read_model
from streamrnn.commands.time_text import time_lines
from streamrnn.errors import ModelFileError

if TYPE_CHECKING:
    from streamrnn.model.card import Card
    from streamrnn.model.model import Model

OURS = ".safetensors"
TOLD = ("verdict", "framework", "random", "", "example", "narrow")
"""Lines of the certificate that are shown; `streamrnn inspect` shows all."""


def parse_axis(text: str | None) -> str | None:
    """Check the value of --time-axis."""
    if text is not None and text != "frame" and not text.removeprefix("-").isdigit():
        raise typer.BadParameter(f"expected the number of a dimension, or 'frame', got {text!r}")
    return text


def parse_states(texts: list[str]) -> dict[str, str]:
    """Read every IN=OUT; a name may stand once."""
    states: dict[str, str] = {}
    for text in texts:
        name, _, back = text.partition("=")
        if not name or not back or name in states:
            raise typer.BadParameter(f"expected IN=OUT, each IN once, got {text!r}", param_hint="--state")
        states[name] = back
    return states


def convert(
    source: Annotated[
        Path,
        typer.Argument(metavar="IN", exists=True, dir_okay=False, help=f"A file ending in {', '.join(ENDINGS)}."),
    ],
    target: Annotated[Path, typer.Argument(metavar="OUT", help="The model file to write, ending in .safetensors.")],
    example: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="Real input, tried beside random frames: .npy or .npz as the network takes it or (frames, values), "
            ".csv, .wav.",
        ),
    ] = None,
    spec: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            exists=True,
            dir_okay=False,
            help="JSON that says which layers the tensors of a state_dict make.",
        ),
    ] = None,
    time_axis: Annotated[
        str | None,
        typer.Option(
            callback=parse_axis,
            metavar="N",
            help="Dimension of the input that is time, from 0, or 'frame' where each call takes one frame.",
        ),
    ] = None,
    frame_steps: Annotated[
        int, typer.Option(min=0, metavar="N", help="Steps of the input in a frame (default: what one output needs).")
    ] = 0,
    state: Annotated[
        list[str] | None,
        typer.Option(
            metavar="IN=OUT",
            help="Input IN is a state, handed on from call to call as output OUT; may be given several times.",
        ),
    ] = None,
    name: Annotated[str | None, typer.Option(metavar="NAME", help="The model's name in its card.")] = None,
    card: Annotated[
        Path | None,
        typer.Option(metavar="FILE", exists=True, dir_okay=False, help="JSON with the model's name, units and so on."),
    ] = None,
    frontend: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Put an audio front end before the model, so that it takes samples."),
    ] = None,
    trust_pickle: Annotated[
        bool, typer.Option("--trust-pickle", help="Load a whole pickled module, which runs code from the file.")
    ] = False,
    force: Annotated[
        bool, typer.Option("--force", help="Write the model even if it differs from the original; it is marked so.")
    ] = False,
) -> None:
    """Convert a trained network to a model file, and prove it against the framework that it came from.

    Reads PyTorch modules and state_dicts (.pt, .pth), ONNX (.onnx), Keras 3 (.keras), RTNeural (.json) and safetensors.
    A whole pickled module needs --trust-pickle, and its class in the current directory; a state_dict needs --spec. A
    .safetensors model file is read, checked and written anew.

    Both are run on random frames, and on yours (--example), and the differences are kept in the file. A model that
    differs too much is not written.

    Example: streamrnn convert detector.onnx detector.safetensors --example recording.npy

    Example: streamrnn convert detector.pt detector.safetensors --trust-pickle

    Example: streamrnn convert weights.pt detector.safetensors --spec spec.json
    """
    if target.suffix != OURS:
        raise typer.BadParameter(f"expected a file name ending in {OURS}, got {target.name!r}", param_hint="OUT")
    axis: TimeAxis | None = "frame" if time_axis == "frame" else None if time_axis is None else int(time_axis)
    wish = Wish(
        spec=spec,
        card=_read_card(card),
        is_trusted=trust_pickle,
        example=read_example(example) if example is not None else None,
        time_axis=axis,
        frame_steps=frame_steps,
        states=parse_states(state or []),
        is_forced=force,
    )
    model = read_model(source, wish)
    if frontend is not None:
        model = _behind(model, frontend)
    if name:
        model = model.with_card(msgspec.structs.replace(model.card, name=name))
    model.save(target)
    _report(model, target)


def _read_card(path: Path | None) -> Card | None:
    from streamrnn.model.card import Card

    if path is None:
        return None
    try:
        return msgspec.json.decode(path.read_bytes(), type=Card)
    except msgspec.MsgspecError as error:
        raise ModelFileError(f"{path} is not a model card: {error}") from error


def _behind(model: Model, frontend: str) -> Model:
    """The model behind a front end, its certificate saying that the front end was not part of the comparison."""
    import streamrnn

    whole: Model = streamrnn.with_frontend(model, frontend)
    proof = model.certificate
    reading = f"{proof.reading}; behind the front end {frontend!r}, which was not there when it was compared"
    certificate = msgspec.structs.replace(proof, reading=reading.removeprefix("; ")).plain()
    return whole.with_card(msgspec.structs.replace(whole.card, certificate=certificate))


def _report(model: Model, target: Path) -> None:
    typer.echo(
        f"{target}: {model.n_parameters:,} parameters, {model.input_size} in, {model.output_size} out, "
        f"{model.state_bytes:,} state bytes a session"
    )
    certificate = model.certificate
    told = [line for line in certificate_lines(certificate) if line[0] in TOLD]
    for label, text in (*time_lines(model), *told):
        typer.echo(f"  {label:<12}{text}")
    if certificate.fault:
        typer.echo(
            f"WARNING: {target} was written by force, but its proof FAILED: {certificate.fault}. "
            "`streamrnn serve` refuses it unless it is told --force-unproven.",
            err=True,
        )
    elif certificate.passed is None:
        typer.echo(f"note: certificate {NEVER}; compare some outputs yourself", err=True)
    elif certificate.n_not_finite:
        typer.echo(
            f"note: {certificate.framework} answered NaN or infinity to {certificate.n_not_finite} random frames; "
            "the verdict is that of the other frames and of the example",
            err=True,
        )
