"""The tables of `benchmarks.kernels`, and what its figures are held to."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from benchmarks.report import Table

Step = dict[str, Any]

CPP_US = {
    "LSTM 16/32": 0.43, "LSTM 40/64": 1.86, "LSTM 64/128": 5.8, "LSTM 80/256": 25.0,
    "GRU 16/32": 0.20, "GRU 40/64": 0.99, "GRU 64/128": 4.3, "GRU 80/256": 17.0,
}  # fmt: skip
"""One step of a C++ reference (fixed-size templates, AVX2) on a core with a multiply-add peak of 50 GMAC/s."""
CPP_PEAK_GMACS = 50.0
RIVALS = ("torch cell", "torch module", "onnxruntime", "openvino")


class Figures:
    """The steps of one run, found by net, batch and chunk."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = {(step["net"], step["n_sessions"], step["n_frames"]): step for step in steps}
        self.nets = list(dict.fromkeys(step["net"] for step in steps))
        self.batches = sorted({step["n_sessions"] for step in steps})

    def step(self, net: str, n_sessions: int = 1, n_frames: int = 1) -> Step:
        """The figures of one measurement."""
        return self._steps[net, n_sessions, n_frames]

    def has(self, net: str) -> bool:
        """Whether a net was measured."""
        return net in self.nets


def us(step: Step, name: str) -> float:
    """Median of a contender."""
    return float(step["us"][name]["median"])


def gmacs(step: Step, name: str = "kernel") -> float:
    """Multiply-adds a contender does, 1e9 a second."""
    return float(step["n_sessions"] * step["n_frames"] * step["n_macs"] / us(step, name) / 1e3)


def times(step: Step, name: str) -> float | None:
    """How many times longer a rival takes than our call from Python."""
    return us(step, name) / us(step, "streamrnn") if name in step["us"] else None


def scaled_cpp_us(step: Step) -> float | None:
    """The C++ reference on a core with this run's multiply-add peak."""
    known = CPP_US.get(step["net"])
    return None if known is None else known * CPP_PEAK_GMACS / float(step["peak_gmacs"])


def _ratio(value: float | None) -> str:
    return "" if value is None else f"{value:.1f}x"


def _quartiles(step: Step, name: str) -> str:
    spread = step["us"][name]
    return f"{spread['median']:.3f} ({spread['q1']:.3f} to {spread['q3']:.3f})"


def tables_of(figures: dict[str, Any]) -> list[Table]:
    """All tables, the machine first and what was held to last."""
    found = Figures(figures["steps"])
    return [
        _machine(figures, found),
        _alone(found),
        _python(found),
        _batches(found, 1),
        _batches(found, 50),
        _chunks(found),
        _narrow(found),
        _losses(figures["losses"]),
        _threads(figures["threads"]),
        Table("Held to", ["what", "wanted", "seen", ""], [list(row) for row in held(figures, found)]),
    ]


def _machine(figures: dict[str, Any], found: Figures) -> Table:
    peaks = [step["peak_gmacs"] for step in figures["steps"]]
    rows = [["float32 multiply-adds, GMAC/s", f"{min(peaks):.1f}", f"{max(peaks):.1f}"]]
    for level in figures["levels"]:
        size = "" if level["bytes"] is None else f" of {level['bytes'] // 1024} KiB"
        rows.append(
            [f"reading {level['name']}{size}, GB/s", f"{level['slowest_gb_s']:.0f}", f"{level['fastest_gb_s']:.0f}"]
        )
    return Table("One core of this machine, as this run saw it", ["", "lowest", "highest"], rows)


def _alone(found: Figures) -> Table:
    rows = []
    for net in found.nets:
        step = found.step(net)
        cpp = scaled_cpp_us(step)
        rows.append(
            [
                net,
                _quartiles(step, "kernel"),
                f"{step['limit_us']:.3f}",
                f"{100 * step['limit_us'] / us(step, 'kernel'):.0f} %",
                "" if cpp is None else f"{cpp:.3f}",
                f"{gmacs(step):.1f}",
                f"{step['max_abs_difference']:.0e}",
            ]
        )
    columns = ["net", "kernel us (quartiles)", "limit us", "of limit", "C++ us, scaled", "GMAC/s", "max diff to peers"]
    return Table("One session, one frame, in the kernel", columns, rows)


def _python(found: Figures) -> Table:
    rows = []
    for net in found.nets:
        step = found.step(net)
        ours = us(step, "streamrnn")
        rows.append(
            [
                net,
                _quartiles(step, "streamrnn"),
                f"{ours - us(step, 'kernel'):.2f}",
                *(f"{us(step, name):.1f}" if name in step["us"] else "" for name in RIVALS),
                *(_ratio(times(step, name)) for name in RIVALS),
            ]
        )
    columns = ["net", "session.step us", "over kernel", *(f"{name} us" for name in RIVALS)]
    return Table("One session, one frame, from Python", [*columns, *(f"/ {name}" for name in RIVALS)], rows)


def _batches(found: Figures, n_frames: int) -> Table:
    rows = []
    for net in found.nets:
        steps = [found.step(net, n, n_frames) for n in found.batches]
        shares = (f"{gmacs(step):.0f} ({100 * gmacs(step) / step['peak_gmacs']:.0f} %)" for step in steps)
        best = (_ratio(min(r for name in RIVALS if (r := times(step, name)) is not None)) for step in steps)
        rows.append([net, *shares, *best])
    columns = ["net", *(f"batch {n}" for n in found.batches), *(f"/ best peer, {n}" for n in found.batches)]
    frames = "one frame" if n_frames == 1 else f"chunks of {n_frames} frames"
    return Table(f"Batches, {frames}: GMAC/s in the kernel (of the multiply-add peak)", columns, rows)


def _chunks(found: Figures) -> Table:
    rows = []
    for net in found.nets:
        step = found.step(net, 1, 50)
        a_frame, single = us(step, "kernel") / 50, us(step, "kernel, single steps")
        rows.append([net, f"{a_frame:.3f}", f"{single:.3f}", f"{single / a_frame:.2f}x"])
    return Table(
        "A chunk of 50 frames of one session, in the kernel", ["net", "us a frame", "single step us", "gain"], rows
    )


def _narrow(found: Figures) -> Table:
    rows = []
    for net in found.nets:
        row = [net, f"{found.step(net)['weight_bytes'] / 1024:.0f}"]
        for n in (1, 32):
            step = found.step(net, n)
            row.append(f"{us(step, 'kernel'):.3f}")
            for precision in ("bfloat16", "int8"):
                narrow = us(step, f"kernel, {precision}")
                row.append(f"{narrow:.3f} ({us(step, 'kernel') / narrow:.2f}x)")
        rows.append(row)
    columns = [
        "net",
        "KiB of float32",
        "float32 us",
        "bfloat16 us",
        "int8 us",
        "batch 32: float32 us",
        "bfloat16 us",
        "int8 us",
    ]
    return Table("Narrow weights, one frame, in the kernel (and how much faster)", columns, rows)


def _losses(losses: list[dict[str, Any]]) -> Table:
    rows = [
        [
            f"{loss['model']}, {loss['precision']}",
            f"{loss['max_abs_error']:.2g}",
            f"{loss['rms_error']:.2g}",
            f"{loss['rms_output']:.3g}",
            "" if loss["other_argmax"] is None else f"{100 * loss['other_argmax']:.2f} %",
            str(loss["n_frames"]),
        ]
        for loss in losses
    ]
    columns = ["bundled model", "largest error", "rms error", "rms output", "other likeliest output", "frames"]
    return Table("What narrow weights change in the bundled models' outputs", columns, rows)


def _threads(threads: dict[str, Any]) -> Table:
    one, two = (threads["us"][n]["median"] for n in ("1", "2"))
    row = [f"{threads['net']}, {threads['n_sessions']} sessions", f"{one:.0f}", f"{two:.0f}", f"{one / two:.2f}x"]
    return Table("engine.step_many over threads", ["", "one thread us", "two threads us", "gain"], [row])


Row = tuple[str, str, str, str]


def _row(what: str, wanted: float, seen: float, unit: str, at_most: bool = False) -> Row:
    is_met = seen <= wanted if at_most else seen >= wanted
    sign = "at most" if at_most else "at least"
    return what, f"{sign} {wanted:.3g}{unit}", f"{seen:.3g}{unit}", "met" if is_met else "MISSED"


def held(figures: dict[str, Any], found: Figures) -> Iterator[Row]:
    """Everything that the kernels are held to, as far as its net was measured."""
    for net in ("LSTM 64/128", "LSTM 80/256", "GRU 64/128", "GRU 80/256"):
        if found.has(net):
            step = found.step(net, 32)
            share = 100 * gmacs(step) / step["peak_gmacs"]
            yield _row(f"{net}, batch 32: of the multiply-add peak", 80, share, " %")
    for net in CPP_US:
        if found.has(net):
            step = found.step(net)
            cpp = scaled_cpp_us(step)
            assert cpp is not None
            yield _row(f"{net} in the kernel: the C++ reference, scaled", cpp, us(step, "kernel"), " us", at_most=True)
    for net in ("LSTM 64/128", "LSTM 80/256", "GRU 64/128", "GRU 80/256"):
        if found.has(net):
            step = found.step(net)
            yield _row(f"{net} in the kernel: of its limit", 75, 100 * step["limit_us"] / us(step, "kernel"), " %")
    yield from _held_to_rivals(found)
    yield from _held_to_narrow_and_chunks(found)
    yield from _held_to_dispatch(found)


def _held_to_rivals(found: Figures) -> Iterator[Row]:
    wanted = {"16/32": (10, 20), "40/64": (8, 15), "64/128": (4, 8), "80/256": (2.5, 3)}
    for kind in ("LSTM", "GRU"):
        for sizes, (onnxruntime, torch) in wanted.items():
            if found.has(net := f"{kind} {sizes}"):
                step = found.step(net)
                yield _row(f"{net}: session.step beside onnxruntime", onnxruntime, times(step, "onnxruntime") or 0, "x")
                fastest = min(times(step, name) or 0 for name in ("torch cell", "torch module"))
                yield _row(f"{net}: session.step beside torch's faster form", torch, fastest, "x")


def _held_to_narrow_and_chunks(found: Figures) -> Iterator[Row]:
    for net, gain in (("LSTM 128/512", 2.0), ("LSTM 80/256", 1.4)):
        if found.has(net):
            step = found.step(net)
            yield _row(f"{net}: int8 beside float32", gain, us(step, "kernel") / us(step, "kernel, int8"), "x")
    if found.has("LSTM 64/128"):
        step = found.step("LSTM 64/128", 1, 50)
        gain = 50 * us(step, "kernel, single steps") / us(step, "kernel")
        yield _row("LSTM 64/128: chunk of 50 beside single steps", 1.4, gain, "x")


def _held_to_dispatch(found: Figures) -> Iterator[Row]:
    for net in ("LSTM 16/32", "LSTM 64/128"):
        if found.has(net):
            for n in found.batches:
                step = found.step(net, n)
                allowed = 2.0 + (0.1 * n if n > 1 else 0)
                over = us(step, "streamrnn") - us(step, "kernel")
                yield _row(f"{net}: {step['api']} of {n} over the kernel", allowed, over, " us", at_most=True)
