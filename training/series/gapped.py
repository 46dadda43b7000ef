"""Airports with missing hours through the engine, which holds them by its gap policy, and through PyTorch."""

from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn

import streamrnn
from training.sequences import answer
from training.series.observations import frames, held
from training.sets.weather import Station

HOUR_US = 3_600_000_000


def streamed(model: streamrnn.Model, airports: list[Station]) -> list[NDArray[np.float32]]:
    """Stream each airport's year through a session of one engine; (n_rows, 9) each, missing rows held by the engine."""
    engine = streamrnn.Engine(limits=streamrnn.Limits(max_sessions=len(airports)))
    engine.add_model("model", model)
    outputs = []
    for station in airports:
        session = engine.open("model", station.airport, gaps=streamrnn.Gaps("hold", period_us=HOUR_US))
        xs, us = frames(station), times_us(station)
        breaks = np.flatnonzero(np.diff(us) != HOUR_US) + 1
        runs = zip(np.split(xs, breaks), np.split(us, breaks), strict=True)
        outputs.append(np.concatenate([session.run(part, time_us=int(when[0])) for part, when in runs]))
    return outputs


def times_us(station: Station) -> NDArray[np.int64]:
    """Give each row's time in microseconds."""
    return station.hours.astype("datetime64[us]").astype(np.int64)


def offline(net: nn.Module, station: Station) -> NDArray[np.float32]:
    """Run an airport's year through PyTorch at once, (n_rows, 9): missing rows held as the engine holds them."""
    rows, places = held(station)
    heads: Any = answer(net, torch.as_tensor(frames(station)[rows])[None])
    return torch.cat(list(heads.values()), -1)[0].numpy()[places]
