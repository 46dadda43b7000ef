"""Real input for a proof, read from a file, and the shapes in which a network may want it."""

from __future__ import annotations

import wave
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.commands.csv_frames import CsvFrames
from streamrnn.errors import OptionError

Array = NDArray[Any]
NAME = "x"
"""Of the array in a .npz file that holds several."""


def read_example(path: Path) -> Array:
    """The array in a file: of numbers, not empty, finite.

    .npy and .npz (the array named x, or the only one) are taken as they are, a .csv is frames (n, values) as float32, a
    .wav is samples (n, channels) of 16 bits as float32 in [-1, 1).

    Raises:
        OptionError: it holds no such array.
        FrameError: a cell of a .csv is no number.
    """
    readers: dict[str, Callable[[Path], Array]] = {".npy": _npy, ".npz": _npz, ".csv": _csv, ".wav": _wav}
    if path.suffix not in readers:
        raise OptionError(f"an example must end in one of {', '.join(readers)}, got {path.name!r}")
    try:
        array = readers[path.suffix](path)
    except (ValueError, EOFError, zipfile.BadZipFile, wave.Error) as error:
        raise OptionError(f"{path.name} cannot be read: {error}") from error
    if array.dtype.kind not in "fiu" or not array.size or not array.ndim:
        raise OptionError(f"{path.name} must hold an array of numbers, got shape {array.shape} of {array.dtype}")
    if not np.isfinite(array).all():
        raise OptionError(f"{path.name} holds NaN or infinity, which no frame may")
    return array


def _npy(path: Path) -> Array:
    array: Array = np.load(path, allow_pickle=False)
    return array


def _npz(path: Path) -> Array:
    with np.load(path, allow_pickle=False) as arrays:
        names = list(arrays)
        if NAME not in names and len(names) != 1:
            raise OptionError(f"{path.name} must hold one array, or one named {NAME!r}; it holds {', '.join(names)}")
        array: Array = arrays[NAME if NAME in names else names[0]]
    return array


def _csv(path: Path) -> Array:
    frames = CsvFrames()
    block = frames.parse(path.read_text(encoding="utf-8", errors="replace").splitlines())
    frames.finish()
    return block.frames


def _wav(path: Path) -> Array:
    with wave.open(str(path), "rb") as file:
        if file.getsampwidth() != 2:
            raise OptionError(f"{path.name} must have samples of 16 bits, got {8 * file.getsampwidth()}")
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2")
        return samples.reshape(-1, file.getnchannels()).astype(np.float32) / np.float32(2**15)


def shapes_of(example: Array) -> Iterator[Array]:
    """Frames (n, values), or n samples, in the shapes that a network may take, likeliest first; whole ones as they are.

    Whole numbers, one a frame, come as token ids in the end.
    """
    if example.ndim > 2:
        yield example
        return
    is_whole = example.dtype.kind in "iu"
    rows = example if example.ndim == 2 else example[:, None]
    if not is_whole or rows.shape[1] > 1:
        real = np.asarray(rows, np.float32)
        yield from (real[None], real[:, None], np.ascontiguousarray(real.T)[None], real)
        if real.shape[1] == 1:
            yield from (real.T, real[:, 0])
    if rows.shape[1] == 1 and np.array_equal(rows, np.abs(np.rint(rows))):
        ids = rows[:, 0].astype(np.int64)
        yield from (ids[None], ids[:, None], ids)
