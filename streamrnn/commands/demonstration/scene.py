"""What there is to see while the demo runs, kept apart from how it is shown."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field

from streamrnn.commands.demonstration.faults import Fault
from streamrnn.commands.demonstration.spoken import Spoken
from streamrnn.commands.latency import Latency

COLUMN_FRAMES = 10
MAX_COLUMNS = 400


@dataclass(frozen=True)
class Moment:
    """One frame of the shown sensor: what was measured, what the frame before had forecast, and the verdict."""

    seq: int
    value: float
    forecast: float
    score: float
    flag: bool


@dataclass
class Column:
    """Neighbouring moments, shown as one character."""

    value: float = 0.0
    forecast: float = 0.0
    score: float = 0.0
    flag: bool = False
    is_faulty: bool = False
    n: int = 0

    def add(self, moment: Moment, is_faulty: bool) -> None:
        """Take one more: means of value and forecast, the highest score."""
        self.n += 1
        self.value += (moment.value - self.value) / self.n
        self.forecast += (moment.forecast - self.forecast) / self.n
        self.score = max(self.score, moment.score)
        self.flag |= moment.flag
        self.is_faulty |= is_faulty


@dataclass
class Scene:
    """Grows while outputs arrive."""

    n_sensors: int
    faults: tuple[Fault, ...]
    times: tuple[str, ...]
    latency: Latency
    now: Moment | None = None
    columns: deque[Column] = field(default_factory=lambda: deque(maxlen=MAX_COLUMNS))
    alarms: list[int] = field(default_factory=list)
    text: str = ""
    spoken: Spoken | None = None

    def see(self, moment: Moment, onset: bool) -> None:
        """Take the next frame of the shown sensor; `onset`: an alarm begins with it."""
        self.now = moment
        if moment.seq % COLUMN_FRAMES == 0 or not self.columns:
            self.columns.append(Column())
        self.columns[-1].add(moment, self.fault_at(moment.seq) is not None)
        if onset:
            self.alarms.append(moment.seq)

    def fault_at(self, seq: int) -> Fault | None:
        """The fault whose time an alarm at `seq` falls into."""
        return next((fault for fault in self.faults if fault.holds(seq)), None)

    def describe_alarm(self, seq: int) -> str:
        """Say what an alarm found."""
        fault = self.fault_at(seq)
        what = f"found: {fault.kind}, after {seq - fault.first} frames" if fault else "a false alarm"
        return f"{self.times[seq]}  frame {seq:4d}  {what}"
