"""Compare what a server streamed with the offline PyTorch run of the same model over the same recording.

    streamrnn stream ws://localhost:8765 temp --csv FILE --columns value --rate max > outputs.jsonl
    python -m training.compare temp.safetensors --csv FILE --columns value --outputs outputs.jsonl

reads one JSON object a line, {"seq": 0, "y": [...]}, runs the whole recording through PyTorch layers at once, and
leaves with exit code 1 unless there is one output for every row, in order, each within the tolerance.
"""

from __future__ import annotations

import argparse
import csv
import json
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

import torch
from torch import Tensor

import streamrnn
from training.offline import Offline


def read_frames(path: Path, columns: Sequence[str]) -> Tensor:
    """Read the named columns of a CSV file with a header: (n_rows, n_columns) float32.

    Raises:
        ValueError: a column is missing or a cell holds no number.
    """
    with path.open(newline="", encoding="utf-8-sig") as file:
        rows = csv.DictReader(file)
        missing = [name for name in columns if name not in (rows.fieldnames or ())]
        if missing:
            raise ValueError(f"no column {missing[0]!r} in {path.name}; it has {', '.join(rows.fieldnames or ())}")
        return torch.tensor([[float(row[name]) for name in columns] for row in rows], dtype=torch.float32)


def read_outputs(lines: Iterable[str]) -> Tensor:
    """Read streamed outputs: (n_frames, output_size) float64.

    Raises:
        ValueError: a line is not of the form that `streamrnn stream` writes, or its seq is not the next.
    """
    outputs: list[list[float]] = []
    for line in lines:
        output = json.loads(line)
        if output["seq"] != len(outputs):
            raise ValueError(f"expected seq {len(outputs)}, got {output['seq']}")
        outputs.append(output["y"])
    return torch.tensor(outputs, dtype=torch.float64)


def compare(streamed: Tensor, offline: Tensor, tolerance: float) -> tuple[str, bool]:
    """Say in one line how far two runs are apart, and whether every output is there and within the tolerance."""
    if streamed.shape != offline.shape:
        return f"FAIL: {tuple(streamed.shape)} outputs streamed, {tuple(offline.shape)} expected", False
    errors = (streamed - offline.double()).abs().amax(dim=1)
    worst = int(errors.argmax())
    is_close = bool((errors <= tolerance).all())  # a NaN is not within any tolerance
    verdict = "ok" if is_close else "FAIL"
    error = float(errors[worst])
    line = f"{verdict}: {len(errors)} outputs, largest error {error:.3e} at seq {worst}, tolerance {tolerance:.0e}"
    return line, is_close


def main() -> int:
    """Compare the files named on the command line; 0 where they agree."""
    parser = argparse.ArgumentParser(
        prog="python -m training.compare", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("model", type=Path, help="the model file that was served")
    parser.add_argument("--csv", type=Path, required=True, help="the recording that was streamed, with a header")
    parser.add_argument("--columns", default="value", help="comma-separated columns of a frame (default: value)")
    parser.add_argument("--outputs", default="-", help="what `streamrnn stream` wrote (default: standard input)")
    parser.add_argument("--tolerance", type=float, default=1e-5, help="largest absolute error (default: 1e-5)")
    arguments = parser.parse_args()
    try:
        lines = sys.stdin if arguments.outputs == "-" else Path(arguments.outputs).read_text("utf-8").splitlines()
        streamed = read_outputs(lines)
        frames = read_frames(arguments.csv, arguments.columns.split(","))
        offline = Offline(streamrnn.load_model(arguments.model))(frames)
        line, is_close = compare(streamed, offline, arguments.tolerance)
    except (ValueError, KeyError, TypeError, OSError, streamrnn.errors.StreamrnnError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(line)
    return 0 if is_close else 1


if __name__ == "__main__":
    sys.exit(main())
