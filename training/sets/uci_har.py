"""UCI HAR, a subset: 2.56 s of a phone's motion sensors at the waist, in six activities; not for shipping."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from training.data import DataMissing, DataSet

UCI_HAR = DataSet(
    name="uci_har",
    source="https://github.com/mokch/0814_edu at d734da85448aa58986800d67ac296b0183555553 (data/UCI HAR Dataset)",
    licence="CC BY 4.0 by the UCI page; the original README forbids commercial use: do not ship what is made from it",
    attribution="Human Activity Recognition Using Smartphones, J. Reyes-Ortiz, D. Anguita, A. Ghio, L. Oneto, X. Parra",
)
FILE = "uci_har_subset.npz"
RATE_HZ = 50
N_FRAMES = 128
CHANNELS = tuple(f"{kind}_{axis}" for kind in ("body_acc", "body_gyro", "total_acc") for axis in "xyz")
"""Acceleration without gravity in g, rotation in rad/s, acceleration with gravity in g."""
ACTIVITIES = ("walking", "walking upstairs", "walking downstairs", "sitting", "standing", "lying")
N_VALIDATION = 400

Part = Literal["train", "validation", "test"]


@dataclass(frozen=True, eq=False)
class Windows:
    """Windows of one part.

    Attributes:
        x: (n, 128, 9) float32 by `CHANNELS`.
        activity: (n,) int64, index into `ACTIVITIES`.
    """

    x: NDArray[np.float32]
    activity: NDArray[np.int64]


def har_windows(folder: Path, part: Part) -> Windows:
    """Load a part: the last 400 of the published training windows validate, and other people are tested.

    Raises:
        DataMissing: the file is not there.
    """
    path = folder / FILE
    if not path.is_file():
        raise DataMissing(UCI_HAR, FILE, "the folder uci_har/")
    name = "test" if part == "test" else "train"
    with np.load(path) as arrays:
        x, activity = arrays[f"X_{name}"], arrays[f"y_{name}"].astype(np.int64) - 1
    kept = {
        "train": slice(0, len(x) - N_VALIDATION),
        "validation": slice(len(x) - N_VALIDATION, None),
        "test": slice(None),
    }
    return Windows(x[kept[part]], activity[kept[part]])
