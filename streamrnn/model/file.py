"""The model file: safetensors with the spec, the card and digests of these and of every tensor in its metadata."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

import msgspec
import numpy as np
import safetensors
import safetensors.numpy

from streamrnn.errors import ModelFileError, SpecError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.certificate import Certificate
from streamrnn.model.model import Model
from streamrnn.model.precision import PrecisionName
from streamrnn.model.spec import Spec

FORMAT_VERSION = 1
METADATA_KEY = "streamrnn"
DIGEST_KEY = "streamrnn.sha256"
"""Holds the SHA-256 (hex) of the text under `streamrnn`: a bit that flips in a name would fit the tensors still."""


class Header(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The JSON under `streamrnn` in the metadata."""

    version: int
    spec: Spec
    card: Card
    digests: dict[str, str]
    """SHA-256 (hex) of each tensor's bytes."""


class _SafetensorsHeader(msgspec.Struct, rename={"metadata": "__metadata__"}):
    """The part of safetensors' own header that we read; see https://github.com/huggingface/safetensors#format."""

    metadata: dict[str, str] = {}


class _Version(msgspec.Struct):
    version: int


def _digest(tensor: FloatArray) -> str:
    return hashlib.sha256(tensor.tobytes()).hexdigest()


def save_model(model: Model, path: str | Path) -> None:
    """Write `model` to `path`, through a temporary file beside it.

    Raises:
        ModelFileError: the card holds a value that no card may hold; nothing was written.
    """
    digests = {name: _digest(tensor) for name, tensor in model.tensors.items()}
    header = Header(FORMAT_VERSION, model.spec, model.card, digests)
    text = msgspec.json.encode(header)
    _read_header(text.decode(), path)  # types are checked only here: what is written must be what can be read
    metadata = {METADATA_KEY: text.decode(), DIGEST_KEY: hashlib.sha256(text).hexdigest()}
    blob = safetensors.numpy.save(model.tensors, metadata)
    target = Path(path)
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        partial.write_bytes(blob)
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)


def load_model(path: str | Path, precision: PrecisionName = "float32") -> Model:
    """Read and check a model file, its weights to be stepped in a precision.

    Raises:
        OptionError: there is no such precision.
        ModelFileError: it is no model file, is damaged, truncated or of a newer version, its tensors do not fit the
            spec (names the tensor), or its certificate cannot be read.
        OSError: it cannot be read.
    """
    blob = Path(path).read_bytes()
    try:
        tensors = safetensors.numpy.load(blob)
        top = msgspec.json.decode(blob[8 : 8 + int.from_bytes(blob[:8], "little")], type=_SafetensorsHeader)
    except (safetensors.SafetensorError, ValueError, KeyError, TypeError) as error:
        raise ModelFileError(f"{path} is not a readable safetensors file, or was cut short: {error}") from error
    header = _read_header(top.metadata.get(METADATA_KEY), path)
    for name, expected in header.digests.items():
        if name not in tensors:
            raise ModelFileError(f"{path}: tensor {name!r} is missing")
        if _digest(tensors[name]) != expected:
            raise ModelFileError(f"{path}: tensor {name!r} is damaged: its bytes do not match their digest")
    if unknown := sorted(set(tensors) - set(header.digests)):
        raise ModelFileError(f"{path}: tensor {unknown[0]!r} has no digest in the metadata")
    try:
        arrays = {name: np.asarray(tensor) for name, tensor in tensors.items()}
        model = Model(header.spec, arrays, header.card, precision)
        Certificate.of(header.card.certificate)
    except (SpecError, ModelFileError) as error:
        raise ModelFileError(f"{path}: {error.message}") from error
    if hashlib.sha256(top.metadata[METADATA_KEY].encode()).hexdigest() != top.metadata.get(DIGEST_KEY):
        raise ModelFileError(f"{path}: spec or card are damaged: their text does not match its digest")
    return model


def _read_header(text: str | None, path: str | Path) -> Header:
    if text is None:
        raise ModelFileError(f"{path} has no {METADATA_KEY!r} metadata: it holds tensors, not a streamrnn model")
    try:
        version = msgspec.json.decode(text, type=_Version).version
        if not 1 <= version <= FORMAT_VERSION:
            raise ModelFileError(f"{path} is of format version {version}, this release reads up to {FORMAT_VERSION}")
        return msgspec.json.decode(text, type=Header)
    except msgspec.MsgspecError as error:
        raise ModelFileError(f"{path}: the metadata cannot be read: {error}") from error
