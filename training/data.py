"""Data folders, loaders and splits: what a recipe reads, with its source and licence beside it."""

import os
from dataclasses import dataclass
from pathlib import Path

VARIABLE = "STREAMRNN_DATA"
PROJECT_ROOT = Path(__file__).resolve().parent.parent


@dataclass(frozen=True)
class DataSet:
    """A data set we may train on: its folder's name, where it came from, and on what terms."""

    name: str
    source: str
    licence: str
    attribution: str


class DataMissing(FileNotFoundError):
    """A data set is not where it was looked for; the text names the file, the places tried and where to get it."""

    def __init__(self, data_set: DataSet, missing: str, tried: str) -> None:
        self.data_set = data_set
        self.missing = missing
        super().__init__(
            f"{missing} not found in {tried}; get the data set {data_set.name} from {data_set.source} "
            f"and name the folder that holds {data_set.name}/ with --data DIR or {VARIABLE}"
        )

    def __str__(self) -> str:
        return str(self.args[0])


def data_folder(data_set: DataSet, chosen: Path | None = None) -> Path:
    """Find the folder of one data set: `chosen`, else the environment variable, else `../shared/data`.

    Args:
        data_set: what is looked for.
        chosen: the folder given on the command line (it holds one folder for each data set), or None.

    Raises:
        DataMissing: the place that takes precedence does not hold the data set. A place named by the user is never
            silently replaced by the next one.
    """
    if chosen is not None:
        root, tried = chosen, f"--data {chosen}"
    elif os.environ.get(VARIABLE):
        root = Path(os.environ[VARIABLE])
        tried = f"{VARIABLE}={root}"
    else:
        root, tried = PROJECT_ROOT.parent / "shared" / "data", "../shared/data"
    folder = root / data_set.name
    if not folder.is_dir():
        raise DataMissing(data_set, f"folder {data_set.name}/", tried)
    return folder


def split_contiguous(n: int, train: float = 0.90, validation: float = 0.05) -> tuple[slice, slice, slice]:
    """Cut 0 .. n into train, validation and test, in that order, without gaps; the test part takes what is left.

    Args:
        n: number of frames.
        train: share of the first part, 0 .. 1.
        validation: share of the second part, 0 .. 1 - train.
    """
    first, second = round(n * train), round(n * (train + validation))
    return slice(0, first), slice(first, second), slice(second, n)
