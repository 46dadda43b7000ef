"""Compares the outputs of a few sessions with those of an embedded engine."""

from __future__ import annotations

from typing import Any

import numpy as np

import streamrnn
from benchmarks.load.packets import frames_of
from benchmarks.load.plan import base_of
from benchmarks.load.run import Played
from benchmarks.load.sockets import LoadError


def check(played: Played, model: streamrnn.Model) -> dict[str, Any]:
    """How many captured frames there are, whether all are equal bit for bit, and the largest difference.

    Raises:
        LoadError: nothing was captured, or outputs of the streamrnn dialect differ.
    """
    load, board = played.load, played.board
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=len(played.sampled) + 1))
    engine.add_model("net", model)
    base, n_frames, is_equal, error = base_of(load), 0, True, 0.0
    for row, session in zip(board.captured, played.sampled, strict=False):
        n = int(np.argmax(np.isnan(row[:, 0]))) if np.isnan(row[:, 0]).any() else len(row)
        if n:
            ys = engine.open("net").run(frames_of(base[session], n, load.n_tokens))
            is_equal = is_equal and np.array_equal(ys.view(np.uint32), row[:n].view(np.uint32))
            error = max(error, float(np.abs(ys - row[:n]).max()))
            n_frames += n
    if not n_frames:
        raise LoadError("expected outputs to check, got none")
    if load.dialect == "streamrnn" and not is_equal:
        raise LoadError(f"expected outputs equal to the embedded engine's, got a difference of {error:g}")
    return {"n_frames": n_frames, "is_bit_equal": is_equal, "max_abs_error": error}
