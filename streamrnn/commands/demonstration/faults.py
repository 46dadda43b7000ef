"""The faults that were put into the bundled recording, and which of them the stream of verdicts found."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class Fault:
    """A fault of the recording: `kind`, in the frames `first` to `last`."""

    kind: str
    first: int
    last: int

    def holds(self, seq: int) -> bool:
        """Whether an alarm at `seq` counts as finding this fault; one after its end does not."""
        return self.first <= seq <= self.last


@dataclass(frozen=True)
class Recording:
    """Values (n_frames, 1) float32 with the faults in them."""

    values: NDArray[np.float32]
    times: tuple[str, ...]
    faults: tuple[Fault, ...]

    @classmethod
    def read(cls, path: Path) -> Recording:
        """Read a CSV file with the columns timestamp, value and fault."""
        with path.open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        faults, n = [], 0
        for kind, run in groupby(rows, key=lambda row: row["fault"]):
            length = len(list(run))
            if kind:
                faults.append(Fault(kind, n, n + length - 1))
            n += length
        values = np.array([[float(row["value"])] for row in rows], np.float32)
        return cls(values, tuple(row["timestamp"] for row in rows), tuple(faults))


@dataclass(frozen=True)
class Findings:
    """What the alarms are worth: faults found (with the first alarm of each), faults missed, and false alarms."""

    found: tuple[tuple[Fault, int], ...]
    missed: tuple[Fault, ...]
    n_false: int

    @classmethod
    def judge(cls, faults: Sequence[Fault], alarms: Sequence[int]) -> Findings:
        """Hold alarms (the seq of each onset) against the faults."""
        first = {fault: next((seq for seq in alarms if fault.holds(seq)), None) for fault in faults}
        found = tuple((fault, seq) for fault, seq in first.items() if seq is not None)
        missed = tuple(fault for fault, seq in first.items() if seq is None)
        n_false = sum(not any(fault.holds(seq) for fault in faults) for seq in alarms)
        return cls(found, missed, n_false)
