"""Operations of `keras.ops` in a functional model: arithmetic, shapes, parts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from streamrnn.model.importers import keras_maps
from streamrnn.model.importers.keras_call import Call
from streamrnn.model.importers.tracing.maths import LARGEST
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.kinds import BinaryKind, MapKind


def operated(call: Call) -> Any:
    """What an operation gives.

    Raises:
        UnsupportedError: it is not known, or cannot be streamed.
    """
    handler = OPERATIONS.get(call.kind)
    if handler is None:
        raise call.refuse("this operation is not known")
    return handler(call)


def _binary(kind: BinaryKind) -> Callable[[Call], Symbol]:
    def handle(call: Call) -> Symbol:
        a, b = (value if isinstance(value, Symbol) else np.asarray(value) for value in call.args)
        return call.trace.binary(kind, a, b, name=call.name)

    return handle


def _mapped(kind: MapKind, alpha: float = 0.0) -> Callable[[Call], Symbol]:
    return lambda call: call.trace.map(kind, call.x, alpha, name=call.name)


def _power(call: Call) -> Symbol:
    if isinstance(call.args[1], Symbol) or not isinstance(call.args[0], Symbol):
        raise call.refuse("its exponent is computed")
    return call.trace.power(call.x, float(np.asarray(call.args[1])), name=call.name)


def _clip(call: Call) -> Symbol:
    least, largest = (call.config.get(key) for key in ("x_min", "x_max"))
    return call.trace.map(
        "clamp", call.x, -LARGEST if least is None else float(least),
        LARGEST if largest is None else float(largest), name=call.name,
    )  # fmt: skip


def _reduced(kind: str) -> Callable[[Call], Symbol]:
    def handle(call: Call) -> Symbol:
        axis = call.config.get("axis")
        dims = range(1, call.x.ndim) if axis is None else axis if isinstance(axis, list | tuple) else [axis]
        if axis is None or 0 in {d % call.x.ndim for d in dims}:
            raise call.refuse("it runs over the batch")
        return call.trace.reduce(kind, call.x, dims, bool(call.config.get("keepdims")), name=call.name)  # type: ignore[arg-type]

    return handle


def _part(call: Call) -> Symbol:
    """`x[...]` with slices, numbers, None and an ellipsis."""
    x, key = call.x, call.args[1]
    keys = list(key) if isinstance(key, list | tuple) else [key]
    if any(not isinstance(one, int | slice | type(None) | type(Ellipsis)) for one in keys):
        raise call.refuse(f"its index {keys} is not known")
    n_free = x.ndim - sum(one is not None and one is not Ellipsis for one in keys)
    if Ellipsis in keys:
        at = keys.index(Ellipsis)
        keys[at : at + 1] = [slice(None)] * n_free
    dim = 0
    for one in keys:
        if one is None:
            x = call.trace.unsqueeze(x, [dim])
        elif isinstance(one, int):
            x = call.trace.select(x, dim, one)
            continue
        elif one != slice(None):
            x = call.trace.slice(x, dim, one.start or 0, one.stop, one.step or 1)
        dim += 1
    return x


def _expanded(call: Call) -> Symbol:
    axis = call.config["axis"]
    return call.trace.unsqueeze(call.x, axis if isinstance(axis, list | tuple) else [axis])


def _squeezed(call: Call) -> Symbol:
    axis = call.config.get("axis")
    if axis is None:
        raise call.refuse("it says no axis, so the batch goes too")
    return call.trace.squeeze(call.x, axis if isinstance(axis, list | tuple) else [axis])


def _reshaped(call: Call) -> Symbol:
    shape = list(call.config["newshape"])
    return call.trace.reshape(call.x, [1 if shape[0] == -1 and -1 in shape[1:] else shape[0], *shape[1:]])


def _transposed(call: Call) -> Symbol:
    return call.trace.transpose(call.x, call.config.get("axes") or range(call.x.ndim)[::-1])


OPERATIONS: dict[str, Callable[[Call], Any]] = {
    **keras_maps.OPERATIONS,
    "Add": _binary("add"),
    "Subtract": _binary("sub"),
    "Multiply": _binary("mul"),
    "Divide": _binary("div"),
    "TrueDivide": _binary("div"),
    "Maximum": _binary("maximum"),
    "Minimum": _binary("minimum"),
    "Negative": lambda call: call.trace.map("linear_map", call.x, -1.0, name=call.name),
    "Absolute": _mapped("abs"),
    "Square": _mapped("square"),
    "Sqrt": _mapped("sqrt"),
    "Reciprocal": _mapped("reciprocal"),
    "Log": _mapped("log", float(np.finfo(np.float32).tiny)),
    "Power": _power,
    "Clip": _clip,
    "Mean": _reduced("mean"),
    "Sum": _reduced("sum"),
    "Max": _reduced("max"),
    "Min": _reduced("min"),
    "Concatenate": lambda call: call.trace.concat(call.xs, int(call.config.get("axis", -1))),
    "GetItem": _part,
    "ExpandDims": _expanded,
    "Squeeze": _squeezed,
    "Reshape": _reshaped,
    "Transpose": _transposed,
}
