"""The option `--model NAME=FILE`, which may be given several times."""

from __future__ import annotations

from pathlib import Path

import typer


def parse_model(text: str) -> tuple[str, Path]:
    """Split NAME=FILE.

    Raises:
        typer.BadParameter: it is not of that form, or the file is not there.
    """
    name, _, file = text.partition("=")
    if not name or not file:
        raise typer.BadParameter(f"expected NAME=FILE, such as temp=model.safetensors, got {text!r}")
    path = Path(file)
    if not path.is_file():
        raise typer.BadParameter(f"expected a model file for {name!r}, there is none at {file!r}")
    return name, path


def parse_models(texts: list[str]) -> dict[str, Path]:
    """Read every NAME=FILE; a name may stand once."""
    models: dict[str, Path] = {}
    for text in texts:
        name, path = parse_model(text)
        if name in models:
            raise typer.BadParameter(f"expected each name once, {name!r} stands twice")
        models[name] = path
    return models
