"""Steps of recurrent nets in the kernel and from Python, beside the machine's limits and other runtimes, in one run.

`python -m benchmarks.kernels` checks every contender's outputs against ours, then times all of them in turns, together
with the machine's multiply-add peak and the reading of the same weights. Writes `results/kernels.json`, `kernels.md`
and `kernels.svg`. All on one thread, but for the row of threads.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

import numpy as np

import streamrnn
from benchmarks import contenders, kernel_tables, losses, report, roofline
from benchmarks.contenders import Contender
from benchmarks.in_kernel import repeated
from benchmarks.machine import measure_levels
from benchmarks.nets import Array, Net, make_model
from benchmarks.timing import Calls, interleave, looped
from streamrnn.kernels import probe
from streamrnn.kernels.packing import aligned_zeros
from streamrnn.kernels.simd import WIDTH
from streamrnn.model.narrowing import NARROW

SIZES = ((16, 32), (40, 64), (64, 128), (80, 256), (128, 512))
NETS = [
    *(Net(kind, *sizes) for kind in ("rnn", "lstm", "gru") for sizes in SIZES),
    *(Net(kind, 128, 128, 2) for kind in ("rnn", "lstm", "gru")),
]
BATCHES = (1, 4, 32, 128)
CHUNKS = (1, 50)
TOLERANCE = 1e-5
N_CHECKED = 20
TURNS = 1000
BIG = Net("lstm", 80, 256)
BIG_BATCH = 128


def check(net: Net, ours: Contender, peers: dict[str, Contender], xs: list[Array]) -> float:
    """Largest difference of any peer's outputs from ours; stops the benchmark where it exceeds the tolerance."""
    worst = 0.0
    for x in xs:
        expected = ours.outputs(x)
        for name, peer in peers.items():
            error = float(np.abs(peer.outputs(x) - expected).max())
            if not error < TOLERANCE:
                raise SystemExit(
                    f"{net.name}: {name} differs from streamrnn by {error:.2g}, expected below {TOLERANCE}"
                )
            worst = max(worst, error)
    return worst


def machine_calls(weights: Array) -> dict[str, Calls]:
    """What the machine can do at most, as contenders: multiply-adds, and reading `weights` once a call."""
    scratch = aligned_zeros(probe.SCRATCH_SIZE)
    return {
        "peak": lambda n: probe.multiply_add(scratch, TURNS * n),
        "reading": lambda n: probe.read_weights(weights, n, scratch),
    }


def measure(net: Net, model: streamrnn.Model, n_sessions: int, n_frames: int, budget_ms: float) -> dict[str, Any]:
    """Check and time one net for one batch and chunk."""
    rng = np.random.default_rng(1)
    xs = [
        rng.standard_normal((n_frames, n_sessions, net.input_size)).astype(np.float32)
        for _ in range(-(-N_CHECKED // n_frames))
    ]
    ours = contenders.ours(model, n_frames, n_sessions)
    made = {name: make(net, model, n_frames, n_sessions) for name, make in contenders.PEERS.items()}
    peers = {name: peer for name, peer in made.items() if peer is not None}
    error = check(net, ours, peers, xs)

    calls: dict[str, Calls] = {"kernel": repeated(model, xs[0])[0]}
    if n_frames > 1:
        calls["kernel, single steps"] = repeated(model, xs[0][:1])[0]
    else:
        for precision in NARROW:
            calls[f"kernel, {precision}"] = repeated(model.with_precision(precision), xs[0])[0]
    calls |= {name: looped(each.call(xs[0])) for name, each in {"streamrnn": ours, **peers}.items()}
    calls |= machine_calls(model.program.weights)
    times_us = interleave(calls, budget_ms=budget_ms)
    return figures_of(net, model, n_sessions, n_frames, ours.name, error, times_us)


def figures_of(
    net: Net,
    model: streamrnn.Model,
    n_sessions: int,
    n_frames: int,
    api: str,
    error: float,
    times_us: dict[str, list[float]],
) -> dict[str, Any]:
    """The figures of one measurement, with the limit of that very run."""
    peak_us = median(times_us.pop("peak"))
    reading_us = median(times_us.pop("reading"))
    weight_bytes = model.program.weights.nbytes
    peak_gmacs = TURNS * probe.N_CHAINS * WIDTH / peak_us / 1e3
    return {
        "net": net.name,
        "n_sessions": n_sessions,
        "n_frames": n_frames,
        "n_macs": model.program.n_macs,
        "weight_bytes": weight_bytes,
        "peak_gmacs": peak_gmacs,
        "reading_us": reading_us,
        "limit_us": max(n_sessions * n_frames * model.program.n_macs / peak_gmacs / 1e3, reading_us),
        "api": api,
        "max_abs_difference": error,
        "us": {name: report.spread(values) for name, values in times_us.items()},
    }


def measure_threads(budget_ms: float) -> dict[str, Any]:
    """A big batch on one thread and split over two."""
    model = make_model(BIG)
    x = np.random.default_rng(2).standard_normal((BIG_BATCH, BIG.input_size)).astype(np.float32)
    with ThreadPoolExecutor(1) as helpers:
        calls: dict[str, Callable[[], object]] = {}
        for n_threads in (1, 2):
            limits = streamrnn.Limits(max_sessions=BIG_BATCH, max_threads=n_threads)
            engine = streamrnn.Engine(limits, helpers=helpers)
            engine.add_model("net", model)
            sessions = [engine.open("net") for _ in range(BIG_BATCH)]
            calls[f"{n_threads}"] = lambda e=engine, s=sessions: e.step_many(s, x)  # type: ignore[misc]
        first, second = (call() for call in calls.values())
        assert np.array_equal(np.asarray(first), np.asarray(second))
        times_us = interleave({name: looped(call) for name, call in calls.items()}, budget_ms=budget_ms)
    return {"net": BIG.name, "n_sessions": BIG_BATCH, "us": {n: report.spread(us) for n, us in times_us.items()}}


def chosen(names: Iterable[str]) -> list[Net]:
    """The nets whose names hold one of the words; all where there is none."""
    words = [name.lower() for name in names]
    return [net for net in NETS if not words or any(word in net.name.lower() for word in words)]


def main() -> None:
    """Measure all, show the tables, write the results."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.kernels", description=__doc__)
    parser.add_argument("--net", action="append", default=[], help="only nets whose name holds this, as 'LSTM 64/128'")
    parser.add_argument("--budget-ms", type=float, default=1000.0, help="time of one measurement (default 1000)")
    arguments = parser.parse_args()
    nets = chosen(arguments.net)
    levels = measure_levels()
    threads = measure_threads(arguments.budget_ms)  # before the peers, whose own threads may spin
    steps = []
    for net in nets:
        model = make_model(net)
        for n_sessions in BATCHES:
            for n_frames in CHUNKS:
                steps.append(measure(net, model, n_sessions, n_frames, arguments.budget_ms))
        print(f"measured {net.name}", flush=True)
    figures = {
        "levels": levels,
        "steps": steps,
        "threads": threads,
        "losses": losses.measure_losses(),
    }
    tables = kernel_tables.tables_of(figures)
    for table in tables:
        report.show(table)
    if not arguments.net:
        paths = (
            report.write("kernels", figures),
            report.write_page("kernels", "Kernels", __doc__ or "", tables, "kernels.svg"),
            roofline.draw(figures, report.RESULTS / "kernels.svg"),
        )
        print("written:", ", ".join(path.name for path in paths))


if __name__ == "__main__":
    main()
