"""`streamrnn inspect`: what is in a model file, and what a step of it costs."""

from __future__ import annotations

import json
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from streamrnn.commands.certificate_text import certificate_lines
from streamrnn.commands.node_text import kind_text, options_of
from streamrnn.commands.precision import parse_precision_name
from streamrnn.commands.time_text import time_lines
from streamrnn.model.precision import PrecisionName

if TYPE_CHECKING:
    from streamrnn.model.model import Model

MEASURE_S = 0.3
RUN_FRAMES = 64


def inspect(
    file: Annotated[Path, typer.Argument(metavar="FILE", exists=True, dir_okay=False, help="A model file.")],
    precision: Annotated[
        str,
        typer.Option(callback=parse_precision_name, metavar="NAME", help="Keep weights as float32, bfloat16 or int8."),
    ] = "float32",
    measure: Annotated[bool, typer.Option("--measure/--no-measure", help="Also time steps on this machine.")] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead.")] = False,
) -> None:
    """Show a model's time contract, certificate, layers, state, card and program, and a step's time beside its limit.

    The time contract says what a frame is (steps of values), what an output is, and how far it comes behind. The
    certificate says how far the model is from the network it was converted from, and on which frames that was tried.

    Example: streamrnn inspect temperature.safetensors
    """
    import streamrnn

    model = streamrnn.load_model(file, cast(PrecisionName, precision))
    facts = facts_of(model) | ({"measured": measured(model)} if measure else {})
    typer.echo(json.dumps(facts, indent=2) if as_json else as_text(file.name, facts, model))


def facts_of(model: Model) -> dict[str, Any]:
    """Return everything that the file says, as plain values."""
    import msgspec

    from streamrnn.kernels.opcodes import N_IN, N_OUT, OPCODE, Op

    program, certificate = model.program, model.certificate
    return {
        "digest": model.digest,
        "input": {
            "size": model.input_size,
            "kind": model.input_kind,
            "n_tokens": model.n_tokens,
            "steps": model.input_steps,
            "channels": model.input_channels,
        },
        "output": {
            "size": model.output_size,
            "steps": model.output_steps,
            "heads": [{"name": head.name, "size": head.size} for head in model.spec.heads],
            "delay": model.delay,
        },
        "rate_hz": model.card.rate_hz,
        "certificate": certificate.plain() | {"fault": certificate.fault},
        "n_parameters": model.n_parameters,
        "state_bytes": model.state_bytes,
        "layers": [_layer(model, i) for i in range(len(model.spec.nodes))],
        "state": [{"name": region.name, "offset": region.offset, "size": region.size} for region in program.regions],
        "program": [
            {"op": Op(row[OPCODE]).name, "n_in": int(row[N_IN]), "n_out": int(row[N_OUT])} for row in program.table
        ],
        "precision": model.precision,
        "n_macs": program.n_macs,
        "weight_bytes": program.weights.nbytes,
        "card": msgspec.to_builtins(model.card),
    }


def _layer(model: Model, index: int) -> dict[str, Any]:
    node = model.spec.nodes[index]
    own = [tensor for name, tensor in model.tensors.items() if name.rpartition(".")[0] == node.name]
    return {
        "name": node.name,
        "kind": kind_text(node),
        "options": options_of(node),
        "reads": list(node.inputs),
        "size": node.size,
        "steps": node.steps,
        "n_parameters": sum(tensor.size for tensor in own),
    }


def measured(model: Model) -> dict[str, Any]:
    """Time `session.step` of one frame (median) and `session.run` per frame, beside their limit, all in us."""
    import numpy as np

    import streamrnn
    from streamrnn.commands.machine import limit_of

    streamrnn.warmup()
    engine = streamrnn.Engine(limits=streamrnn.Limits(max_sessions=1))
    engine.add_model("measured", model)
    session = engine.open("measured")
    frame, frames = (np.zeros(shape, np.float32) for shape in (model.input_size, (RUN_FRAMES, model.input_size)))
    step_us = _median_us(lambda: session.step(frame))
    run_us = _median_us(lambda: session.run(frames)) / RUN_FRAMES
    limit = limit_of(model)
    return {"step_us": step_us, "run_us_per_frame": run_us, "limit_us": limit.step_us, "limit": limit.describe()}


def _median_us(call: Any) -> float:
    times_ns: list[int] = []
    end_ns = time.perf_counter_ns() + int(MEASURE_S * 1e9)
    while (started_ns := time.perf_counter_ns()) < end_ns or not times_ns:
        call()
        times_ns.append(time.perf_counter_ns() - started_ns)
    return sorted(times_ns)[len(times_ns) // 2] / 1e3


def as_text(title: str, facts: dict[str, Any], model: Model) -> str:
    """Lay the facts of a model out for people."""
    layers = [
        (layer["name"], layer["kind"], ", ".join(layer["reads"]), _size(layer), f"{layer['n_parameters']:,}")
        for layer in facts["layers"]
    ]
    ops = [(str(i), op["op"], f"{op['n_in']:,}", f"{op['n_out']:,}") for i, op in enumerate(facts["program"])]
    parts = [
        f"{title}: {_ports(facts)}",
        *(f"  {label:<12}{value}" for label, value in _totals(facts)),
        "time",
        *(f"  {label:<12}{value}" for label, value in time_lines(model)),
        "certificate",
        *(f"  {label:<12}{value}" for label, value in certificate_lines(model.certificate)),
        "layers",
        *_columns([("name", "kind", "reads", "size", "parameters"), *layers]),
        "program",
        *_columns([("#", "op", "in", "out"), *ops]),
        *_card_lines({key: value for key, value in facts["card"].items() if key != "certificate"}),
    ]
    return "\n".join(parts)


def _ports(facts: dict[str, Any]) -> str:
    port = facts["input"]
    given = f"one of {port['n_tokens']} tokens" if port["kind"] == "token" else f"{port['size']} float32"
    return f"{given} in, {facts['output']['size']} float32 out, per frame"


def _totals(facts: dict[str, Any]) -> Iterable[tuple[str, str]]:
    state = ", ".join(f"{region['name']} {region['size']}" for region in facts["state"])
    yield "parameters", f"{facts['n_parameters']:,}"
    yield "state", f"{facts['state_bytes']:,} bytes a session ({state or 'none'})"
    yield "step", f"{facts['n_macs']:,} MACs, {facts['weight_bytes']:,} bytes of {facts['precision']} weights"
    if times := facts.get("measured"):
        yield "limit", times["limit"]
        yield "measured", f"{times['step_us']:.2f} us a lone step, {times['run_us_per_frame']:.2f} us a frame in a run"
    yield "digest", facts["digest"]


def _size(layer: dict[str, Any]) -> str:
    return f"{layer['size']:,}" if layer["steps"] == 1 else f"{layer['steps']:,} x {layer['size']:,}"


def _columns(rows: Sequence[Sequence[str]]) -> list[str]:
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    padded = (zip(row, widths, strict=True) for row in rows)
    return ["  " + "  ".join(cell.ljust(width) for cell, width in row).rstrip() for row in padded]


def _card_lines(card: dict[str, Any]) -> list[str]:
    lines = []
    for key, value in card.items():
        if isinstance(value, dict):
            lines.append(f"card.{key}")
            lines += [f"  {name}: {_brief(item)}" for name, item in value.items()]
        else:
            lines.append(f"card.{key}: {_brief(value)}")
    return lines


def _brief(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return text if len(text) <= 160 else text[:157] + "..."
