"""The machine code of the tiles and of the cells' ends, read. Run as a program, it prints one JSON object for each.

Arguments: none for every tile that is used and every cell, or SESSIONS PANELS for one tile of float32 weights. The loop
over k is the run of lines between a label and a jump back to it that holds the fused multiply-adds.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from typing import Any

from numba import njit

from streamrnn.kernels import cells, matmul, ops
from streamrnn.kernels.jit import OPTIONS
from streamrnn.kernels.opcodes import Precision
from streamrnn.kernels.simd import GROUP_SIZE, WIDTH
from streamrnn.kernels.tile import VECTORS_PER_PANEL, make_tile

SIGNATURE = f"void({', '.join(['intp'] * 9)})"
FMA = re.compile(r"\bvfn?m(?:add|sub)\d+ps\b|\bfmla\b")
SCALAR = re.compile(r"\bv?(?:f?n?m?add|f?n?m?sub|mul|div|sqrt)\d*s[sd]\b")
STACK = re.compile(r"\((?:%rsp|%rbp)[,)]|\[sp\b")
REGISTER = {16: "%zmm", 8: "%ymm", 4: "%xmm"}


def shapes() -> Iterator[tuple[int, int, Precision]]:
    """Sessions, panels and precision of every tile that `matmul` uses."""
    for precision in Precision:
        yield from ((1, n_panels, precision) for n_panels in range(1, GROUP_SIZE + 1))
    for n_panels in {1, 2, 4} if matmul.SLICE_PANELS == 4 else {1}:
        for n_sessions in range(2, matmul.MAX_TILE_SESSIONS + 1):
            yield n_sessions, n_panels, Precision.FLOAT32


def assembly(n_sessions: int, n_panels: int, precision: Precision) -> str:
    """What LLVM makes of one tile."""
    tile = make_tile(n_sessions, n_panels, precision)

    def call(rows, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k):
        tile(rows, offset, init, init_stride, out, out_stride, weights, row_bytes, n_k)

    compiled = njit(SIGNATURE, **OPTIONS)(call)
    (text,) = compiled.inspect_asm().values()
    return str(text)


def inner_loop(text: str) -> list[str]:
    """The instructions of the loop over k."""
    lines = [line.split("#")[0].strip() for line in text.splitlines()]
    labels = {line[:-1]: i for i, line in enumerate(lines) if line.endswith(":")}
    loops = []
    for i, line in enumerate(lines):
        words = line.split()
        start = labels.get(words[-1]) if len(words) > 1 and words[0][0] in "jb" else None
        if start is not None and start < i and any(FMA.search(each) for each in lines[start:i]):
            loops.append(lines[start + 1 : i + 1])
    (loop,) = loops
    return loop


def facts(n_sessions: int, n_panels: int, precision: Precision) -> dict[str, Any]:
    """What a test wants to know of a tile's inner loop."""
    loop = inner_loop(assembly(n_sessions, n_panels, precision))
    fmas = [line for line in loop if FMA.search(line)]
    return {
        "tile": f"{n_sessions} x {n_panels}, {precision.name}",
        "n_vectors": n_sessions * n_panels * VECTORS_PER_PANEL,
        "n_fmas": len(fmas),
        "n_full": sum(REGISTER[WIDTH] in line or "fmla" in line for line in fmas),
        "on_stack": [line for line in loop if STACK.search(line)],
        "n_instructions": len(loop),
    }


CELLS: dict[Any, int] = {
    cells.lstm_update: 5,
    cells.gru_update: 4,
    cells.gru_reset: 4,
    cells.gru_before_update: 4,
    cells.ssm_update: 10,
    ops.apply_tanh: 3,
    ops.apply_sigmoid: 3,
}
"""The element-wise ends of the cells, and how many arguments (intp) they take."""


def cell_facts(cell: Any) -> dict[str, Any]:
    """How much of a cell's arithmetic is on whole registers."""
    function = njit(f"void({', '.join(['intp'] * CELLS[cell])})", **OPTIONS)(cell.py_func)
    (text,) = function.inspect_asm().values()
    lines = [line.split("#")[0].strip() for line in str(text).splitlines()]
    return {
        "cell": cell.py_func.__name__,
        "n_divisions": sum("divps" in line and REGISTER[WIDTH] in line for line in lines),
        "n_fmas": sum(bool(FMA.search(line)) and REGISTER[WIDTH] in line for line in lines),
        "scalar": [line for line in lines if SCALAR.search(line)],
    }


if __name__ == "__main__":
    if sys.argv[1:]:
        print(json.dumps(facts(int(sys.argv[1]), int(sys.argv[2]), Precision.FLOAT32)))
    else:
        for shape in shapes():
            print(json.dumps(facts(*shape)))
        for cell in CELLS:
            print(json.dumps(cell_facts(cell)))
