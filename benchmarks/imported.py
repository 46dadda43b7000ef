"""Nets of speech in their real sizes, imported from ONNX, beside onnxruntime: `python -m benchmarks.imported`.

Both take the same stream, one frame a call, on one thread, and must give the same outputs before anything is timed. The
net of RNNoise looks at windows of frames and keeps the states of three GRUs, so for onnxruntime it is exported once
more, as its users would: one frame a call, all that it remembers handed in and out.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

import streamrnn
from benchmarks import report
from benchmarks.in_kernel import repeated
from benchmarks.nets import Array
from benchmarks.shapes import rnnoise_frames, rnnoise_shape, silero_shape
from benchmarks.timing import interleave, looped

N_CHECKED = 200
TOLERANCE = 1e-4


@dataclass(frozen=True)
class Imported:
    """A net in both engines.

    Attributes:
        states: inputs of onnxruntime's graph that are handed back, with the names of the outputs.
        shapes: of these inputs, and of `x`.
        n_late: frames until the first window is full; the net begins then, and the answers before are not compared.
        period_ms: what one frame stands for.
    """

    name: str
    model: streamrnn.Model
    graph: bytes
    states: dict[str, str]
    shapes: dict[str, tuple[int, ...]]
    n_late: int
    period_ms: float


def nets() -> list[Imported]:
    """The nets, imported: the import has compared each with its file."""
    _, whole = rnnoise_shape()
    stepped, shapes = rnnoise_frames()
    _, silero = silero_shape()
    gru = streamrnn.from_onnx(whole)
    lstm = streamrnn.from_onnx(silero)
    backs = {name: f"{name}_out" for name in shapes if name != "x"}
    return [
        Imported("RNNoise", gru, stepped, backs, shapes, gru.spec.delay, 10.0),
        Imported("Silero", lstm, silero, {"state": "stateN"}, {"x": (1, 576), "state": (2, 1, 128)}, 0, 32.0),
    ]


def onnxruntime_step(net: Imported) -> Callable[[Array], Array]:
    """onnxruntime's `run`, its states fed back by hand as its users do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(net.graph, options, providers=["CPUExecutionProvider"])
    run = session.run
    names = [port.name for port in session.get_outputs()]
    shown = [name for name in names if name not in net.states.values()]
    zeros = {name: np.zeros(net.shapes[name], np.float32) for name in net.states}
    feed, n_steps = dict(zeros), 0

    def step(frame: Array) -> Array:
        nonlocal n_steps
        feed["x"] = frame.reshape(net.shapes["x"])
        found = dict(zip(names, run(None, feed), strict=True))
        feed.update({name: found[back] for name, back in net.states.items()})
        if n_steps < net.n_late:
            feed.update({name: value for name, value in zeros.items() if name.startswith("h")})
        n_steps += 1
        return np.concatenate([found[name].ravel() for name in shown])

    return step


def ours_step(net: Imported) -> Callable[[Array], Array]:
    """`session.step`, as a user of the engine calls it."""
    engine = streamrnn.Engine()
    engine.add_model("net", net.model)
    step: Callable[[Array], Array] = engine.open("net").step
    return step


def check(net: Imported, frames: Array) -> float:
    """The largest difference between the two over a stream.

    Raises:
        SystemExit: it is above `TOLERANCE`.
    """
    ours, theirs = ours_step(net), onnxruntime_step(net)
    found = [np.array([step(frame).copy() for frame in frames])[net.n_late :] for step in (ours, theirs)]
    error = float(np.abs(found[0] - found[1]).max())
    if not error <= TOLERANCE:
        raise SystemExit(f"{net.name}: onnxruntime differs from streamrnn by {error:.2g}")
    return error


def measure(net: Imported, budget_ms: float) -> dict[str, Any]:
    """Microseconds a frame of each contender, after both were found equal."""
    rng = np.random.default_rng(0)
    frames = rng.standard_normal((N_CHECKED, net.model.input_size)).astype(np.float32)
    error = check(net, frames)
    ours, theirs, x = ours_step(net), onnxruntime_step(net), frames[0]
    kernel, _ = repeated(net.model, frames[:1, None].copy())
    calls = {
        "session.step": looped(lambda: ours(x)),
        "kernel": kernel,
        "onnxruntime": looped(lambda: theirs(x)),
    }
    times_us = interleave(calls, budget_ms=budget_ms)
    us = {name: report.spread(values) for name, values in times_us.items()}
    return {"net": net.name, "period_ms": net.period_ms, "max_abs_error": error, "us": us}


def main() -> None:
    """Check, measure, print the table and write `results/imported.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.imported", description=__doc__)
    parser.add_argument("--budget-ms", type=float, default=4000.0, help="about how long each net is timed")
    budget_ms = parser.parse_args().budget_ms
    found = [measure(net, budget_ms) for net in nets()]
    rows = []
    for figures in found:
        us = {name: spread["median"] for name, spread in figures["us"].items()}
        rows.append([
            figures["net"], f"{us['session.step']:.1f}", f"{us['kernel']:.1f}", f"{us['onnxruntime']:.1f}",
            f"{us['onnxruntime'] / us['session.step']:.2f}", f"{figures['max_abs_error']:.1e}",
            f"{figures['period_ms'] * 1e3 / us['session.step']:.0f}",
        ])  # fmt: skip
    columns = [
        "net",
        "session.step us",
        "in the kernel us",
        "onnxruntime us",
        "times faster",
        "difference",
        "x real time",
    ]
    report.show(report.Table("one frame of nets imported from ONNX, one thread", columns, rows))
    print("written:", report.write("imported", {"nets": found}).name)


if __name__ == "__main__":
    main()
