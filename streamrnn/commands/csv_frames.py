"""Lines of CSV become frames, block by block, as they arrive."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import FrameError, OptionError


@dataclass(frozen=True)
class Block:
    """Frames that arrived together.

    `frames` is (n_frames, n_columns) float32; `times_s` holds each row's time in seconds, or nothing if none is read.
    """

    frames: NDArray[np.float32]
    times_s: list[float] = field(default_factory=list)


class CsvFrames:
    """Chooses columns by the first rows, then turns every further row into one frame.

    Args:
        columns: names (or numbers from 1) of those that make a frame; none: every column whose first value is a number.
        has_header: whether the first row holds names; None: it does when none of its cells is a number.
        reads_times: whether to find and read a time column.
        time_column: its name; none: the first column whose first value is an ISO 8601 date.
    """

    def __init__(
        self,
        columns: Sequence[str] = (),
        has_header: bool | None = None,
        *,
        reads_times: bool = False,
        time_column: str | None = None,
    ) -> None:
        self.wanted = tuple(columns)
        self.has_header = has_header
        self.reads_times = reads_times
        self.time_column = time_column
        self.names: tuple[str, ...] = ()
        self.chosen: tuple[int, ...] = ()
        self.n_rows = 0
        self._time_index: int | None = None
        self._fault: FrameError | None = None

    def parse(self, lines: Sequence[str]) -> Block:
        """Turn whole lines into a block; blank lines are skipped. A faulty row ends the block and is raised next time.

        Raises:
            OptionError: a wanted column does not exist, no column holds numbers, or there is no time column.
            FrameError: a cell that should hold a number (or a time) does not; the message names row and column.
        """
        self._raise_fault()
        rows = [row for row in csv.reader(lines) if row]
        if rows and not self.names:
            rows = self._name_columns(rows)
        if rows and not self.chosen:
            self._choose_columns(rows[0])
        frames = np.empty((len(rows), len(self.chosen)), np.float32)
        times_s: list[float] = []
        for i, row in enumerate(rows):
            self.n_rows += 1
            try:
                frames[i] = [self._number(row, column) for column in self.chosen]
                if self._time_index is not None:
                    times_s.append(self._time_s(row, self._time_index))
            except FrameError as fault:
                self._fault = fault
                return Block(frames[:i], times_s[:i])
        return Block(frames, times_s)

    def finish(self) -> None:
        """Say that there are no more lines.

        Raises:
            FrameError: the last block ended at a faulty row, or there was no row at all.
        """
        self._raise_fault()
        if not self.n_rows:
            raise FrameError("expected at least one row of numbers, got none")

    def describe(self) -> str:
        """Name the columns that exist, and those that make a frame."""
        chosen = ", ".join(self.names[i] for i in self.chosen)
        return f"the columns are: {', '.join(self.names)}" + (f"; chosen: {chosen}" if chosen else "")

    def _raise_fault(self) -> None:
        if self._fault is not None:
            raise self._fault

    def _name_columns(self, rows: list[list[str]]) -> list[list[str]]:
        first = [cell.strip().lstrip("\ufeff") for cell in rows[0]]
        is_header = self.has_header if self.has_header is not None else not any(_is_number(cell) for cell in first)
        self.names = tuple(first) if is_header else tuple(str(i + 1) for i in range(len(first)))
        return rows[1:] if is_header else rows

    def _choose_columns(self, first: list[str]) -> None:
        if self.reads_times:
            self._time_index = self._find_time(first)
        if self.wanted:
            self.chosen = tuple(self._index(name) for name in self.wanted)
        else:
            numeric = (i for i, cell in enumerate(first) if _is_number(cell))
            self.chosen = tuple(i for i in numeric if i != self._time_index)
        if not self.chosen:
            raise OptionError(f"expected a column of numbers; {self.describe()}")

    def _index(self, name: str) -> int:
        if name in self.names:
            return self.names.index(name)
        if name.isdigit() and 1 <= int(name) <= len(self.names):
            return int(name) - 1
        raise OptionError(f"no column {name!r}; {self.describe()}")

    def _find_time(self, first: list[str]) -> int:
        if self.time_column is not None:
            return self._index(self.time_column)
        for i, cell in enumerate(first):
            if not _is_number(cell) and _is_date(cell):
                return i
        raise OptionError(f"realtime needs a column of times, or a rate in Hz instead; {self.describe()}")

    def _number(self, row: list[str], column: int) -> float:
        try:
            return float(row[column])
        except (ValueError, IndexError):
            raise self._cell_fault(row, column, "a number") from None

    def _time_s(self, row: list[str], column: int) -> float:
        try:
            cell = row[column].strip()
            return float(cell) if _is_number(cell) else _seconds(cell)
        except (ValueError, IndexError):
            raise self._cell_fault(row, column, "a time (ISO 8601, or seconds)") from None

    def _cell_fault(self, row: list[str], column: int, expected: str) -> FrameError:
        got = repr(row[column]) if column < len(row) else f"a row of {len(row)} cells"
        name = self.names[column]
        message = f"row {self.n_rows}, column {name}: expected {expected}, got {got}"
        return FrameError(message, row=self.n_rows, column=name)


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _seconds(cell: str) -> float:
    """Read ISO 8601; a time without a zone is UTC, so that no hour is missing or doubled in it."""
    moment = datetime.fromisoformat(cell.strip())
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


def _is_date(cell: str) -> bool:
    try:
        _seconds(cell)
    except ValueError:
        return False
    return True
