"""The bundled recording: a machine's temperature with injected faults, made here and not measured anywhere.

`python -m training.series.recordings` writes streamrnn/bundled/temperature_recording.csv again, byte for byte. The
series has the scale, the 5-minute cadence and the noise of a healthy machine in the NAB series that the model was
trained on, and not one of its values: a load that wanders and is now and then reduced, a housing that follows it
slowly, and a sensor with noise.
"""

import argparse
import math
import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from pathlib import Path

from training.data import PROJECT_ROOT

DEFAULT_PATH = PROJECT_ROOT / "streamrnn" / "bundled" / "temperature_recording.csv"
DEFAULT_SEED = 20260105
N_FRAMES = 4032
FIRST_TIME = datetime(2026, 1, 5)
CADENCE = timedelta(minutes=5)
FRAMES_PER_DAY = 288


@dataclass(frozen=True)
class Fault:
    """One injected fault: `kind` from frame `first` on for `n_frames` frames.

    Kinds: `drop` (the machine trips: it cools towards the hall, then starts again), `overheat` (cooling is lost: the
    temperature runs away, then recovers), `stuck` (the sensor repeats its last value).
    """

    kind: str
    first: int
    n_frames: int

    @property
    def last(self) -> int:
        """The last frame that carries the fault's name."""
        return self.first + self.n_frames - 1


FAULTS = (
    Fault("drop", 1150, 60),
    Fault("stuck", 1720, 72),
    Fault("overheat", 2290, 54),
    Fault("drop", 2880, 48),
    Fault("stuck", 3330, 60),
    Fault("overheat", 3760, 60),
)


@dataclass(frozen=True)
class Row:
    """One frame of the recording: its time, the value in degrees Fahrenheit, the fault's kind or an empty text."""

    time: datetime
    value: float
    fault: str


def record(seed: int = DEFAULT_SEED, n_frames: int = N_FRAMES, faults: tuple[Fault, ...] = FAULTS) -> list[Row]:
    """Make a recording; the same arguments give the same rows.

    Args:
        seed: of Python's Mersenne Twister, whose `random()` never changes between versions.
        n_frames: 1 or more.
        faults: in order of time, not overlapping.
    """
    noise, rows, stuck_at = random.Random(seed + 1), [], 0.0
    by_frame = {frame: fault for fault in faults for frame in range(fault.first, fault.last + 1)}
    housing: float | None = None
    for frame, load in zip(range(n_frames), _load(random.Random(seed)), strict=False):
        fault = by_frame.get(frame)
        target, lag_frames = _driven(load, fault, frame)
        housing = target if housing is None else housing + (target - housing) / lag_frames
        daily = math.sin(2.0 * math.pi * frame / FRAMES_PER_DAY)
        value = housing + _normal(noise) * (0.66 + 0.12 * daily)
        if fault is not None and fault.kind == "stuck":
            value = stuck_at
        stuck_at = value
        rows.append(Row(FIRST_TIME + frame * CADENCE, round(value, 3), fault.kind if fault else ""))
    return rows


def _driven(load: float, fault: Fault | None, frame: int) -> tuple[float, float]:
    """Give the temperature the housing is drawn to and its lag in frames, under the fault if there is one."""
    if fault is None or fault.kind == "stuck":
        return load, 6.0
    recovering = frame > fault.first + fault.n_frames * 2 // 3
    if recovering:
        return load, 4.0
    if fault.kind == "drop":
        return 45.0, 8.0
    return load + 32.0, 14.0


def _load(rng: random.Random) -> Iterator[float]:
    """Yield what the housing would settle at: a slow wander around 86, a day's rhythm, and hours of reduced load."""
    wander, reduction, left = 0.0, 0.0, 0
    frame = 0
    while True:
        wander += -wander / 150.0 + 0.50 * _normal(rng)
        if left > 0:
            left -= 1
        elif rng.random() < 1.0 / 250.0:
            left, reduction = 18 + int(rng.random() * 40), 4.0 + 7.0 * rng.random()
        rhythm = 2.0 * math.sin(2.0 * math.pi * (frame / FRAMES_PER_DAY - 0.3))
        yield 86.0 + wander + rhythm - (reduction if left > 0 else 0.0)
        frame += 1


def _normal(rng: random.Random) -> float:
    """Draw a nearly normal number (mean 0, variance 1): the sum of twelve uniforms less six.

    No logarithm or cosine takes part, so that no mathematics library can change the last digit of the recording.
    """
    return sum(rng.random() for _ in range(12)) - 6.0


def to_csv(rows: list[Row]) -> str:
    """Write rows as csv text with the columns timestamp,value,fault and Unix line ends."""
    lines = [f"{row.time:%Y-%m-%d %H:%M:%S},{row.value:.3f},{row.fault}" for row in rows]
    return "\n".join(["timestamp,value,fault", *lines, ""])


def main() -> None:
    """Write the recording to the path given on the command line."""
    parser = argparse.ArgumentParser(prog="python -m training.series.recordings", description=__doc__.split("\n\n")[0])
    parser.add_argument("--out", type=Path, default=DEFAULT_PATH, help="csv file to write (default: the bundled one)")
    parser.add_argument("--seed", type=int, default=DEFAULT_SEED, help="default: %(default)s, the bundled recording")
    arguments = parser.parse_args()
    rows = record(arguments.seed)
    arguments.out.write_text(to_csv(rows), encoding="ascii", newline="\n")
    print(f"{arguments.out.name}: {len(rows)} rows, {sum(bool(row.fault) for row in rows)} of them in a fault")


if __name__ == "__main__":
    main()
