"""What every benchmark writes: the machine, the versions, the command and the figures, as a table and as JSON."""

from __future__ import annotations

import json
import platform
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from statistics import median, quantiles
from typing import Any

import rich.table
from rich.console import Console

RESULTS = Path(__file__).parent / "results"
PACKAGES = (
    *("streamrnn", "numpy", "numba", "llvmlite", "websockets", "uvloop", "msgspec"),
    *("onnxruntime", "openvino", "torch"),
)


def _cpu_name() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.processor()
    return next(
        (line.split(":", 1)[1].strip() for line in lines if line.startswith("model name")), platform.processor()
    )


def _version(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None


def _module() -> str:
    path = Path(sys.argv[0])
    return f"benchmarks.{path.parent.name if path.stem == '__main__' else path.stem}"


def environment() -> dict[str, Any]:
    """The machine, the versions and the command of this run."""
    return {
        "cpu": _cpu_name(),
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "packages": {name: version for name in PACKAGES if (version := _version(name))},
        "command": " ".join(["python", "-m", _module(), *sys.argv[1:]]),
    }


def spread(values: Sequence[float]) -> dict[str, float]:
    """Median and quartiles of repeats."""
    low, _, high = quantiles(values, n=4) if len(values) > 1 else (values[0],) * 3
    return {"median": median(values), "q1": low, "q3": high, "n_repeats": len(values)}


def write(name: str, figures: Mapping[str, Any]) -> Path:
    """Write `results/NAME.json`; its path."""
    RESULTS.mkdir(exist_ok=True)
    path = RESULTS / f"{name}.json"
    path.write_text(json.dumps({"environment": environment(), **figures}, indent=2) + "\n")
    return path


@dataclass(frozen=True)
class Table:
    """A table of results; the first column is text, the others are numbers."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]


def show(table: Table) -> None:
    """Print a table."""
    drawn = rich.table.Table(title=table.title, title_justify="left")
    for index, column in enumerate(table.columns):
        drawn.add_column(column, justify="left" if index == 0 else "right")
    for row in table.rows:
        drawn.add_row(*row)
    Console(width=max(140, Console().width)).print(drawn)


def write_page(name: str, title: str, about: str, tables: Sequence[Table], plot: str) -> Path:
    """Write `results/NAME.md`: the tables and the plot, with the machine and the command; its path."""
    facts = environment()
    packages = ", ".join(f"{package} {version}" for package, version in facts["packages"].items())
    parts = [
        f"# {title}",
        about.strip(),
        f"`{facts['command']}` on {facts['cpu']}, {facts['system']}, Python {facts['python']}; {packages}.",
        f"![roofline]({plot})",
    ]
    for table in tables:
        lines = [table.columns, ["---" if i == 0 else "--:" for i in range(len(table.columns))], *table.rows]
        parts += [f"## {table.title}", "\n".join(f"| {' | '.join(line)} |" for line in lines)]
    path = RESULTS / f"{name}.md"
    path.write_text("\n\n".join(parts) + "\n")
    return path
