"""Trying a model out: random frames that suit it, and its outputs to them without an engine."""

from __future__ import annotations

import numpy as np

from streamrnn.kernels.packing import FloatArray, aligned_zeros
from streamrnn.kernels.plan import Call, Plan
from streamrnn.kernels.runner import run_program
from streamrnn.kernels.warmup import warmup
from streamrnn.model.model import Model


def play(model: Model, frames: FloatArray, chunk: int) -> FloatArray:
    """The outputs (n, output_size) of a fresh session to `frames` (n, input_size), `chunk` frames a kernel call."""
    warmup()
    program = model.program
    arena = aligned_zeros(1, max(program.state_size, 1))
    arena[0, : program.state_size] = program.initial_state
    slots = np.zeros(1, np.int64)
    call = Call(Plan(program.table, program.weights, arena, slots.copy(), program.work_size, 1))
    ys = np.empty((len(frames), 1, model.output_size), np.float32)
    for start in range(0, len(frames), chunk):
        x = np.ascontiguousarray(frames[start : start + chunk, None, :], np.float32)
        run_program(call.aim(slots, x, ys[start : start + chunk]))
    return ys[:, 0]


def draw_frames(model: Model, n: int, seed: int, like: FloatArray | None = None) -> FloatArray:
    """Random frames (n, input_size): token ids, else normal values with half the frames three times as large.

    They have the mean and deviation of the frames `like` (m, input_size) where given; else, where the first layer is a
    normaliser, those that it takes to 0 and 1.
    """
    rng = np.random.default_rng(seed)
    node = model.input_node
    if node.n_tokens:
        return rng.integers(0, node.n_tokens, (n, 1)).astype(np.float32)
    frames = rng.standard_normal((n, model.input_size)) * rng.choice([1.0, 3.0], (n, 1))
    first = next((other for other in model.spec.nodes[1:] if other.inputs == (node.name,)), None)
    if like is not None and len(like) > 1:
        deviation = like.std(0, dtype=np.float64)
        frames = like.mean(0, dtype=np.float64) + frames * np.where(deviation == 0, 1.0, deviation)
    elif first is not None and first.kind == "affine" and node.steps == 1:
        scale, shift = (model.tensors[f"{first.name}.{short}"].astype(np.float64) for short in ("scale", "shift"))
        frames = (frames - shift) / np.where(scale == 0, 1.0, scale)
    return np.asarray(frames, np.float32)
