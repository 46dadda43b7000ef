"""Keras 3 archives (`.keras`): the configuration and the variables, read without Keras."""

from __future__ import annotations

import io
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from streamrnn.errors import ModelFileError, UnsupportedError
from streamrnn.kernels.packing import FloatArray

CONFIG, METADATA, VARIABLES = "config.json", "metadata.json", "model.weights.h5"
LAYERS = ("layers", "_layer_checkpoint_dependencies")
"""Where a model keeps the variables of its layers; the second is what the first releases wrote."""
MAX_GROWTH = 1100
"""How many times its size on disk a member or a tensor may have: deflate does not reach more than 1032."""

Config = dict[str, Any]


@dataclass(frozen=True)
class Weights:
    """What an archive holds for one object: its own variables in order, and those of its parts.

    Attributes:
        name: of the layer, empty where the file does not say it.
        variables: float32, in the order in which the layer made them.
        parts: by the name of the attribute, such as `cell`, or of the class, such as `lstm_1`.
    """

    name: str = ""
    variables: tuple[FloatArray, ...] = ()
    parts: dict[str, Weights] = field(default_factory=dict)

    def part(self, *path: str) -> Weights:
        """What is held for a part of a part; nothing where it has no variables."""
        found = self
        for name in path:
            found = found.parts.get(name, NOTHING)
        return found


NOTHING = Weights()


@dataclass(frozen=True)
class Archive:
    """A saved model: its configuration, its variables (and their file), and the release of Keras that wrote it."""

    config: Config
    weights: Weights
    file: bytes
    version: str


def read_archive(path: str | Path | io.BytesIO) -> Archive:
    """Read a `.keras` file, or the folder that `save(zipped=False)` writes; or an archive in memory.

    Raises:
        ModelFileError: it is damaged or no such archive; OSError where it cannot be read.
        UnsupportedError: it was written by Keras 2.
    """
    members = _members(path if isinstance(path, io.BytesIO) else Path(path))
    try:
        config = json.loads(members[CONFIG])
        version = str(json.loads(members.get(METADATA, b"{}")).get("keras_version", ""))
        weights = _weights(members[VARIABLES])
    except KeyError as error:
        raise ModelFileError(f"{path}: {error.args[0]!r} is missing; expected a Keras 3 archive (.keras)") from None
    except (ValueError, OSError, RuntimeError) as error:
        raise ModelFileError(f"{path}: damaged: {error}") from None
    if version.startswith("2."):
        raise UnsupportedError(f"{path} was written by Keras {version}; load it with Keras 3 and save it again")
    return Archive(config, weights, members[VARIABLES], version)


def _members(path: Path | io.BytesIO) -> dict[str, bytes]:
    if isinstance(path, Path) and path.is_dir():
        return {name: (path / name).read_bytes() for name in (CONFIG, METADATA, VARIABLES) if (path / name).is_file()}
    try:
        with zipfile.ZipFile(path) as archive:
            found = {info.filename: info for info in archive.infolist()}
            chosen = [found[name] for name in (CONFIG, METADATA, VARIABLES) if name in found]
            for info in chosen:
                if info.file_size > MAX_GROWTH * max(info.compress_size, 1):
                    raise ModelFileError(f"{path}: {info.filename!r} claims {info.file_size} bytes, which it is not")
            try:
                return {info.filename: archive.read(info) for info in chosen}
            except OSError as error:  # a place before the file's start, say
                raise zipfile.BadZipFile(str(error)) from error
    except (zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
        raise ModelFileError(f"{path}: {error}; expected a Keras 3 archive (.keras)") from None


def _weights(blob: bytes) -> Weights:
    import h5py

    with h5py.File(io.BytesIO(blob), "r") as file:
        return _tree(file, len(blob))


def _tree(group: Any, n_bytes: int) -> Weights:
    """An HDF5 group; links that lead out of the file are not followed."""
    import h5py

    name = ""
    variables: tuple[FloatArray, ...] = ()
    parts: dict[str, Weights] = {}
    for key in group:
        if not isinstance(group.get(key, getlink=True), h5py.HardLink):
            raise ModelFileError(f"{group.name}/{key} is a link, which Keras never writes")
        held = group[key]
        if not isinstance(held, h5py.Group):
            continue
        if key == "vars":
            name = str(held.attrs.get("name", ""))
            order = sorted((str(i) for i in held), key=int)
            variables = tuple(_variable(held[i], n_bytes) for i in order)
        else:
            parts[key] = _tree(held, n_bytes)
    return Weights(name, variables, parts)


def _variable(dataset: Any, n_bytes: int) -> FloatArray:
    if dataset.external or dataset.is_virtual or dataset.nbytes > MAX_GROWTH * n_bytes:
        raise ModelFileError(f"{dataset.name} is not held in the file itself")
    value = np.asarray(dataset[()])
    if str(dataset.attrs.get("dtype", "")) == "bfloat16":
        value = (value.view(np.uint16).astype(np.uint32) << np.uint32(16)).view(np.float32).reshape(dataset.shape)
    return np.array(value, np.float32, order="C")


def by_layer(layers: Sequence[Config], weights: Weights) -> dict[str, Weights]:
    """What is held for each layer of a model, by the layer's name.

    The file names layers by their class, counted (`lstm`, `lstm_1`), and tells their own names beside it; where it does
    not, they are counted as Keras counts them.
    """
    held = next((weights.parts[key] for key in LAYERS if key in weights.parts), NOTHING).parts
    named = {part.name: part for part in held.values()}
    if "" not in named and len(named) == len(held):
        return named
    found: dict[str, Weights] = {}
    counts: dict[str, int] = {}
    for layer in layers:
        key = snake(layer["class_name"])
        n = counts[key] = counts.get(key, -1) + 1
        found[layer["config"]["name"]] = held.get(key if not n else f"{key}_{n}", NOTHING)
    return found


def counted(configs: Sequence[Config], weights: Weights) -> list[Weights]:
    """What is held for each of a list of parts, which the file names by their class, counted."""
    found: list[Weights] = []
    counts: dict[str, int] = {}
    for config in configs:
        key = snake(config["class_name"])
        n = counts[key] = counts.get(key, -1) + 1
        found.append(weights.part(key if not n else f"{key}_{n}"))
    return found


def snake(name: str) -> str:
    """A class's name as Keras writes it in paths: `SimpleRNNCell` is `simple_rnn_cell`."""
    name = re.sub(r"\W+", "", name)
    name = re.sub("(.)([A-Z][a-z]+)", r"\1_\2", name)
    return re.sub("([a-z])([A-Z])", r"\1_\2", name).lower()
