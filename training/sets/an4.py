"""CMU AN4: spelled names, numbers and addresses of 84 speakers, as 13 cepstra a frame, 100 frames a second."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet

AN4 = DataSet(
    name="an4",
    source="https://github.com/cphazen/Machine-Learning-Project-ASR at 5e478f0ee6c5b060edf702acdd563948cad5545f",
    licence="CMU permissive (BSD-style)",
    attribution="CMU AN4 speech database, Carnegie Mellon University, 1991",
)
RATE_HZ = 100.0
N_CEPSTRA = 13

File = Literal["train", "test"]
Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class Utterance:
    """One utterance: its name (`an251-fash-b`), its speaker (`fash`), features (n_frames, 13) float32."""

    name: str
    speaker: str
    features: NDArray[np.float32]


def an4_utterances(folder: Path, file: File) -> list[Utterance]:
    """Load one official part, in the order of the names; no speaker is in both.

    Raises:
        DataMissing: the file is not there.
    """
    path = folder / f"an4_mfcc_{file}.npz"
    if not path.is_file():
        raise DataMissing(AN4, path.name, "the folder an4/")
    with np.load(path, allow_pickle=False) as arrays:
        names, offsets, features = arrays["ids"], arrays["offsets"], arrays["features"]
    return [
        Utterance(str(name), str(name).split("-")[1], features[offsets[i] : offsets[i + 1]])
        for i, name in enumerate(names)
    ]


def by_speaker(utterances: list[Utterance]) -> dict[Part, list[Utterance]]:
    """Part the utterances within each speaker: the last two are the test, the one before is validation."""
    parts: dict[Part, list[Utterance]] = {"train": [], "validation": [], "test": []}
    for speaker in sorted({one.speaker for one in utterances}):
        own = [one for one in utterances if one.speaker == speaker]
        parts["train"] += own[:-3]
        parts["validation"] += own[-3:-2]
        parts["test"] += own[-2:]
    return parts
