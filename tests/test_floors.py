"""Imports go only to lower floors, and only the server side does I/O, uses threads or reads a clock.

The floors are those of the design: errors and limits at the bottom, the command line at the top. Imports are read with
`ast`, so an import inside a function or under `TYPE_CHECKING` counts as well.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent

FLOORS = {
    "streamrnn.errors": -1,  # the ground: floor 0, and under its two neighbours
    "streamrnn.limits": 0,
    "streamrnn.bundled": 0,
    "streamrnn.kernels": 1,
    "streamrnn.wire": 1,
    "streamrnn.audio": 2,
    "streamrnn.model": 2,
    "streamrnn.decode": 2,
    "streamrnn.engine": 3,
    "streamrnn": 3,  # the embedding API: the facade over floors 0 to 3
    "streamrnn.serving": 4,
    "streamrnn.stores": 5,
    "streamrnn.server": 6,
    "streamrnn.commands": 7,
    "streamrnn.cli": 7,
    "streamrnn.__main__": 7,
}
"""Floor of every room; a module belongs to the longest name that holds it."""

OUTSIDERS = {
    "training": (
        *("streamrnn", "streamrnn.model", "streamrnn.decode", "streamrnn.audio", "streamrnn.bundled"),
        *("streamrnn.errors", "streamrnn.commands"),
    ),
    "clients": (),
}
"""Rooms beside the house, and the rooms of the house that each may import."""

IMPURE = frozenset(
    {"asyncio", "threading", "_thread", "multiprocessing", "concurrent", "subprocess", "signal"}
    | {"socket", "selectors", "select", "ssl", "time"}
)
IMPURE_FAULT = "does I/O, uses threads or reads a clock; only server, stores and the command line may"
MAY_BE_IMPURE = ("streamrnn.server", "streamrnn.stores", "streamrnn.cli", "streamrnn.commands")

EXCEPTIONS = {"streamrnn.kernels.warmup": {"time", "threading"}}
"""The warm-up times the compiler and lets one thread compile, before any frame flows."""

THIRD_PARTY = {
    "streamrnn.kernels": {"numpy", "numba", "llvmlite"},
    "streamrnn.wire": {"msgspec"},
    "streamrnn.model": {"numpy", "safetensors", "msgspec", "torch", "onnx", "onnxruntime", "h5py", "keras"},
    "streamrnn.audio": {"numpy"},
    "streamrnn.decode": {"numpy", "msgspec"},
    "streamrnn.engine": {"numpy", "msgspec"},
    "streamrnn": {"numpy"},
    "streamrnn.serving": {"numpy", "msgspec"},
    "streamrnn.stores": {"msgspec", "redis"},
    "streamrnn.server": {"numpy", "msgspec", "websockets", "uvloop", "picows", "prometheus_client"},
    "streamrnn.commands": {
        *("numpy", "msgspec", "safetensors", "typer", "rich", "torch", "streamrnn_client", "sounddevice"),
    },
    "streamrnn.cli": {"typer", "rich"},
    "clients": {"websockets", "msgpack", "numpy", "streamrnn_client"},
}
"""What each room may import of the world outside; `training` is free."""

LAZY = frozenset({"sounddevice", "torch", "onnx", "onnxruntime", "h5py", "keras", "streamrnn_client"})
"""Heavy or optional: within streamrnn never imported at module level."""


@dataclass(frozen=True)
class Import:
    """One imported module: where it stands, and whether it runs when the module is loaded."""

    target: str
    line: int
    at_load: bool


def room_of(module: str) -> str:
    """Return the longest known room that holds `module`."""
    rooms = [room for room in (*FLOORS, *OUTSIDERS) if module == room or module.startswith(room + ".")]
    return max(rooms, key=len)


def imports_of(source: str, package: str) -> Iterator[Import]:
    """Yield every module that `source` imports; relative names are resolved against `package`."""
    tree = ast.parse(source)
    lazy: set[ast.AST] = set()
    for node in ast.walk(tree):
        is_typing = isinstance(node, ast.If) and "TYPE_CHECKING" in ast.unparse(node.test)
        if is_typing or isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda):
            lazy.update(ast.walk(node))
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield Import(alias.name, node.lineno, node not in lazy)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            if node.level:
                parents = package.split(".")[: len(package.split(".")) - node.level + 1]
                base = ".".join([*parents, base] if base else parents)
            for alias in node.names:
                deeper = f"{base}.{alias.name}"
                yield Import(deeper if is_module(deeper) else base, node.lineno, node not in lazy)


def is_module(name: str) -> bool:
    """Tell whether a dotted name is a module of this tree."""
    path = ROOT / name.replace(".", "/")
    return name in FLOORS or path.with_suffix(".py").is_file() or path.is_dir()


def fault_of(module: str, found: Import) -> str | None:
    """Say what is wrong with an import that `module` makes, or None."""
    room, top = room_of(module), found.target.split(".")[0]
    if top == "streamrnn":
        return fault_inside(room, found)
    if top in ("training", "benchmarks", "tests", "clients"):
        return None if top == room else "is outside the house"
    if top in sys.stdlib_module_names:
        impure = room.startswith("streamrnn") and top in IMPURE and not module.startswith(MAY_BE_IMPURE)
        return IMPURE_FAULT if impure and top not in EXCEPTIONS.get(module, ()) else None
    if room in THIRD_PARTY or room in FLOORS:
        if top not in THIRD_PARTY.get(room, set()):
            return f"is not among what {room} may depend on"
        if top in LAZY and found.at_load and room in FLOORS:
            return "must be imported inside the function that needs it"
    return None


def fault_inside(room: str, found: Import) -> str | None:
    """Say what is wrong with an import of a module of the house from `room`, or None."""
    target = room_of(found.target)
    if room in OUTSIDERS:
        return None if target in OUTSIDERS[room] else f"is not open to {room}"
    if target == room or FLOORS[target] < FLOORS[room]:
        return None
    if FLOORS[room] == FLOORS["streamrnn.cli"] == FLOORS[target]:
        return None  # the command line is one room in several files
    if room == "streamrnn" and FLOORS[target] == FLOORS["streamrnn.engine"]:
        return None  # the facade names the engine
    return f"is on floor {FLOORS[target]}, not below floor {FLOORS[room]} of {room}"


def modules() -> Iterator[tuple[str, str, Path]]:
    """Yield (module, package, path) of each Python file that the rules hold for."""
    for top in ("streamrnn", "training", "clients"):
        for path in sorted((ROOT / top).rglob("*.py")):
            relative = path.relative_to(ROOT).with_suffix("")
            if "tests" in relative.parts or "build" in relative.parts:
                continue
            name = ".".join(relative.parts)
            is_package = path.name == "__init__.py"
            module = name.removesuffix(".__init__")
            yield module, module if is_package else module.rpartition(".")[0], path


def test_imports_go_only_down():
    faults = []
    for module, package, path in modules():
        for found in imports_of(path.read_text(encoding="utf-8"), package):
            fault = fault_of(module, found)
            if fault:
                faults.append(f"{path.relative_to(ROOT)}:{found.line}: {found.target} {fault}")
    assert not faults, "\n" + "\n".join(faults)


def test_every_module_of_the_house_has_a_floor():
    known = {room.split(".")[1] for room in FLOORS if "." in room}
    there = {path.stem for path in (ROOT / "streamrnn").iterdir() if path.suffix == ".py" or path.is_dir()}
    assert there - known <= {"__init__", "__pycache__"}


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("streamrnn.kernels.made_up", "from streamrnn.engine import Engine"),
        ("streamrnn.kernels.made_up", "from streamrnn import Engine"),
        ("streamrnn.kernels.made_up", "from streamrnn.wire import messages"),
        ("streamrnn.engine.made_up", "def f():\n    import time"),
        ("streamrnn.engine.made_up", "from asyncio import Queue"),
        ("streamrnn.engine.made_up", "from ..serving import hub"),
        ("streamrnn.serving.made_up", "import socket"),
        ("streamrnn.model.made_up", "import torch"),
        ("streamrnn.model.made_up", "import pandas"),
        ("streamrnn.errors", "import numpy"),
        ("streamrnn.server.made_up", "def f():\n    import streamrnn_client"),
        ("streamrnn.server.made_up", "from streamrnn import cli"),
        ("training.made_up", "from streamrnn.engine import Engine"),
        ("clients.made_up", "import streamrnn"),
        ("clients.made_up", "import msgspec"),
    ],
)
def test_a_violation_is_found(module, source):
    faults = [fault_of(module, found) for found in imports_of(source, module.rpartition(".")[0])]
    assert any(faults)


@pytest.mark.parametrize(
    ("module", "source"),
    [
        ("streamrnn.engine.made_up", "from streamrnn import errors"),
        ("streamrnn.engine.made_up", "import numpy as np\nfrom streamrnn.kernels import program"),
        ("streamrnn.model.made_up", "def f():\n    import torch"),
        ("streamrnn.model.made_up", "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    import torch"),
        ("streamrnn.server.made_up", "import asyncio, time\nfrom streamrnn.serving import hub"),
        ("streamrnn.commands.made_up", "def f():\n    import streamrnn_client"),
        ("training.made_up", "import torch, pandas\nimport streamrnn\nfrom streamrnn.model import spec"),
        ("clients.made_up", "import asyncio, msgpack"),
    ],
)
def test_what_is_allowed_passes(module, source):
    faults = [fault_of(module, found) for found in imports_of(source, module.rpartition(".")[0])]
    assert not any(faults)
