"""Reports: a table for people and a JSON file for everything else, from the same figures."""

import json
import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Line:
    """One row of a report.

    Attributes:
        figure: what was measured, with its unit.
        values: one for each column; None where a column has no such figure.
    """

    figure: str
    values: tuple[float | int | str | None, ...]


def show(title: str, columns: Sequence[str], lines: Sequence[Line], note: str = "") -> None:
    """Print a table, and under it a note in plain words."""
    table = Table("figure", title=title, title_justify="left")
    for column in columns:
        table.add_column(column, justify="right")
    for line in lines:
        table.add_row(line.figure, *(_text(value) for value in line.values))
    console = Console()
    console.print(table)
    if note:
        console.print(note, markup=False, soft_wrap=True)


def _text(value: float | int | str | None) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


def versions() -> dict[str, str]:
    """Give the versions that figures may depend on."""
    return {"python": platform.python_version(), "torch": str(torch.__version__), "numpy": np.__version__}


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write an evaluation file, keys in the order given, floats rounded to 6 places."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(_rounded(content), indent=2, allow_nan=False) + "\n", encoding="ascii")
    print(f"wrote {path.name}")


def _rounded(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {key: _rounded(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_rounded(inner) for inner in value]
    return round(value, 6) if isinstance(value, float) else value


def as_columns(columns: Sequence[str], lines: Sequence[Line]) -> dict[str, dict[str, Any]]:
    """Give the lines of a table as column -> figure -> value, leaving out what has no value."""
    return {
        column: {line.figure: line.values[i] for line in lines if line.values[i] is not None}
        for i, column in enumerate(columns)
    }
