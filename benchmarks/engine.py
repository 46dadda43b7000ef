"""One step from Python, `session.step`, beside onnxruntime's `run` and PyTorch on the same weights in the same process.

Every peer's outputs are compared with ours before anything is timed; the repeats of all are interleaved.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from statistics import median
from typing import Any

import numpy as np
from numpy.typing import NDArray

import streamrnn
from benchmarks import report
from benchmarks.nets import Net, make_model, onnx_step

NETS = [Net(kind, *sizes) for kind in ("lstm", "gru") for sizes in ((16, 32), (40, 64), (64, 128), (80, 256))]
TOLERANCE = 1e-5

Frame = NDArray[np.float32]
Step = Callable[[Frame], Any]


def our_step(model: streamrnn.Model) -> Step:
    """`session.step` of a fresh session."""
    engine = streamrnn.Engine(streamrnn.Limits(max_sessions=1))
    engine.add_model("net", model)
    return engine.open("net").step


def onnxruntime_step(net: Net, model: streamrnn.Model) -> Step:
    """onnxruntime's `run`, one thread, the states fed back by hand as its users do."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    run = onnxruntime.InferenceSession(onnx_step(net, model), options, providers=["CPUExecutionProvider"]).run
    names = ["h", "c"] if net.kind == "lstm" else ["h"]
    feed: dict[str, Frame] = {name: np.zeros((1, 1, net.hidden_size), np.float32) for name in names}

    def step(x: Frame) -> Frame:
        feed["x"] = x.reshape(1, 1, -1)
        states = run(None, feed)
        feed.update(zip(names, states, strict=True))
        output: Frame = states[0]
        return output.reshape(-1)

    return step


def torch_step(net: Net, model: streamrnn.Model) -> Step:
    """PyTorch's cell, one thread, no gradients: the faster of its two forms for one step."""
    import torch

    torch.set_num_threads(1)
    cell = (torch.nn.LSTMCell if net.kind == "lstm" else torch.nn.GRUCell)(net.input_size, net.hidden_size)
    cell.load_state_dict({name.removeprefix("cell."): torch.from_numpy(t) for name, t in model.tensors.items()})
    zeros = torch.zeros(1, net.hidden_size)
    state: Any = (zeros, zeros) if net.kind == "lstm" else zeros

    @torch.inference_mode()
    def step(x: Frame) -> Frame:
        nonlocal state
        state = cell(torch.from_numpy(x)[None], state)
        hidden = state[0] if net.kind == "lstm" else state
        output: Frame = hidden[0].numpy()
        return output

    return step


def check(net: Net, ours: Step, peers: dict[str, Step], frames: Frame) -> float:
    """Largest difference of any peer's outputs from ours; stops the benchmark where it exceeds the tolerance."""
    expected = np.array([ours(x) for x in frames])
    worst = 0.0
    for name, step in peers.items():
        error = float(np.abs(np.array([step(x) for x in frames]) - expected).max())
        if not error < TOLERANCE:
            raise SystemExit(f"{net.name}: {name} differs from streamrnn by {error:.2g}, expected below {TOLERANCE}")
        worst = max(worst, error)
    return worst


def measure(steps: dict[str, Step], x: Frame, n_repeats: int, n_calls: int) -> dict[str, list[float]]:
    """Microseconds a call of each step, one figure a repeat, the steps taking turns."""
    times_us: dict[str, list[float]] = {name: [] for name in steps}
    for _ in range(n_repeats):
        for name, step in steps.items():
            started = time.perf_counter_ns()
            for _ in range(n_calls):
                step(x)
            times_us[name].append((time.perf_counter_ns() - started) / n_calls / 1e3)
    return times_us


def main() -> None:
    """Measure every net; print the table and write `results/engine.json`."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.engine", description=__doc__)
    parser.add_argument("--repeats", type=int, default=31)
    parser.add_argument("--calls", type=int, default=300, help="calls a repeat")
    arguments = parser.parse_args()
    rng = np.random.default_rng(0)
    results, rows = [], []
    for net in NETS:
        model = make_model(net)
        frames = rng.standard_normal((200, net.input_size)).astype(np.float32)
        peers = {"onnxruntime": onnxruntime_step(net, model), "torch cell": torch_step(net, model)}
        error = check(net, our_step(model), peers, frames)
        times_us = measure({"streamrnn": our_step(model), **peers}, frames[0], arguments.repeats, arguments.calls)
        ours = median(times_us["streamrnn"])
        ratios = {name: median(times_us[name]) / ours for name in peers}
        results.append(
            {
                "net": net.name,
                "max_abs_difference": error,
                "step_us": {name: report.spread(values) for name, values in times_us.items()},
                "times_slower_than_streamrnn": ratios,
            }
        )
        cells = [f"{median(times_us[name]):.1f}" for name in times_us]
        rows.append([net.name, *cells, *(f"{ratio:.1f}x" for ratio in ratios.values()), f"{error:.1e}"])
    columns = ["net", "streamrnn us", "onnxruntime us", "torch cell us", "/ onnxruntime", "/ torch cell", "max diff"]
    report.show("one step from Python (median)", columns, rows)
    print("written:", report.write("engine", {"steps": results}).name)


if __name__ == "__main__":
    main()
