"""Fortnights of weather: what an epoch of training is drawn from."""

from collections.abc import Iterator

import torch
from torch import Tensor

from training.series.horizons import on_the_clock, truths
from training.series.observations import INPUTS, held
from training.sets.weather import Station


class Fortnights:
    """Epochs of fortnights from any airport and any time of the training months, a little warmer or colder than it was.

    Moved temperatures and pressures teach the net what changes, not what a September is like.
    """

    N_HOURS, N_WARM, BATCH_SIZE, N_BATCHES = 336, 24, 24, 3

    def __init__(self, airports: list[Station], generator: torch.Generator) -> None:
        """Take the airports."""
        clocks = [on_the_clock(station, truths(station, "train")) for station in airports]
        stops = [int(held(station)[1][station.part("train").stop - 1]) + 1 for station in airports]
        self.clocks = [(x[:stop], target[:stop]) for (x, target), stop in zip(clocks, stops, strict=True)]
        self.generator = generator

    def __call__(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, target), (24, 336, 13) and (24, 336, 3); a state that is still cold has no targets."""
        for _ in range(self.N_BATCHES):
            drawn = [self._piece() for _ in range(self.BATCH_SIZE)]
            x, target = (torch.stack(parts) for parts in zip(*drawn, strict=True))
            move = torch.randn(self.BATCH_SIZE, 1, 1, generator=self.generator) * 4.0
            press = torch.randn(self.BATCH_SIZE, 1, generator=self.generator) * 3.0
            x[..., :2] += move
            x[..., INPUTS.index("pressure")] += press
            target = target + move
            target[:, : self.N_WARM] = float("nan")
            yield x, target

    def _piece(self) -> tuple[Tensor, Tensor]:
        x, target = self.clocks[int(torch.randint(len(self.clocks), (1,), generator=self.generator))]
        first = int(torch.randint(len(x) - self.N_HOURS, (1,), generator=self.generator))
        return x[first : first + self.N_HOURS].clone(), target[first : first + self.N_HOURS]
