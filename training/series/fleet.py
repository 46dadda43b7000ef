"""A fleet of engines as a model hears it, and what a linear regression makes of the same sensors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sklearn.linear_model import LinearRegression

from training.data import data_folder
from training.options import Options
from training.series.remaining import clipped
from training.sets.cmapss import CHANNELS, CMAPSS, Run, runs_to_judge, train_runs

MOST_CYCLES = 125.0
"""Remaining cycles count as at most this: an engine as good as new shows nothing of its age."""
WINDOW_CYCLES = 30
QUICK_RUNS = 12


@dataclass(frozen=True, eq=False)
class Fleet:
    """All engines, and the channels that say anything: those that are not constant in training."""

    train: list[Run]
    validation: list[Run]
    test: list[Run]
    channels: NDArray[np.int64]

    @classmethod
    def load(cls, options: Options) -> Fleet:
        """Load the engines; with --quick a few of each part."""
        folder = data_folder(CMAPSS, options.data)
        (train, validation), test = train_runs(folder), runs_to_judge(folder)
        rows = np.concatenate([run.channels for run in train])
        varies = np.flatnonzero(rows.std(0) > 1e-6 * np.maximum(1.0, np.abs(rows.mean(0))))
        n = QUICK_RUNS if options.quick else len(test)
        return cls(train[:n], validation[:n], test[:n], varies)

    def frames(self, run: Run) -> NDArray[np.float32]:
        """Give what the model hears of an engine: (n_cycles, n_channels) float32."""
        return run.channels[:, self.channels].astype(np.float32)

    def names(self) -> tuple[str, ...]:
        """The channels' names."""
        return tuple(CHANNELS[i] for i in self.channels)


def wear(run: Run) -> NDArray[np.float64]:
    """Give the remaining cycles (n_cycles,) that a model is to tell: at most 125."""
    return clipped(run.remaining, MOST_CYCLES)


def by_regression(fleet: Fleet) -> NDArray[np.float64]:
    """Give what a linear regression over the last 30 cycles' sensors says of each test engine, within 0 .. 125."""
    x, y = [], []
    for run in fleet.train:
        frames, left = fleet.frames(run), wear(run)
        for stop in range(WINDOW_CYCLES, len(frames) + 1):
            x.append(frames[stop - WINDOW_CYCLES : stop].ravel())
            y.append(left[stop - 1])
    regression = LinearRegression().fit(np.array(x), np.array(y))
    last = np.array([fleet.frames(run)[-WINDOW_CYCLES:].ravel() for run in fleet.test])
    return np.asarray(np.clip(regression.predict(last), 0.0, MOST_CYCLES))
