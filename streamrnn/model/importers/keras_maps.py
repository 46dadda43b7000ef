"""Keras activations: by name, as layers and as operations, on symbols; and the maps inside cells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from streamrnn.model.importers.keras_call import Call
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol
from streamrnn.model.kinds import MapKind
from streamrnn.model.spec import Activation

SINGLE: dict[str, Activation] = {
    "linear": Activation("linear_map", 1.0),
    "relu": Activation("relu"),
    "relu6": Activation("clamp", 0.0, 6.0),
    "leaky_relu": Activation("leaky_relu", 0.2),
    "elu": Activation("elu", 1.0),
    "celu": Activation("elu", 1.0),
    "gelu": Activation("gelu"),
    "silu": Activation("silu"),
    "swish": Activation("silu"),
    "mish": Activation("mish"),
    "tanh": Activation("tanh"),
    "sigmoid": Activation("sigmoid"),
    "hard_sigmoid": Activation("hard_sigmoid", 1.0 / 6.0, 0.5),
    "hard_silu": Activation("hard_swish"),
    "hard_swish": Activation("hard_swish"),
    "hard_tanh": Activation("clamp", -1.0, 1.0),
    "softplus": Activation("softplus", 1.0),
    "softsign": Activation("softsign"),
    "exponential": Activation("exp"),
}
"""Activations that are one map, which a cell may have too."""


def _minus(trace: Trace, x: Symbol, shift: float = 0.0) -> Symbol:
    return trace.map("linear_map", x, -1.0, shift)


def _hard_shrink(trace: Trace, x: Symbol, threshold: float = 0.5) -> Symbol:
    above = trace.map("thresholded_relu", x, threshold)
    return trace.binary("sub", above, trace.map("thresholded_relu", _minus(trace, x), threshold))


def _squareplus(trace: Trace, x: Symbol, b: float = 4.0) -> Symbol:
    root = trace.map("sqrt", trace.map("linear_map", trace.map("square", x), 1.0, b))
    return trace.map("linear_map", trace.binary("add", x, root), 0.5)


COMPOSED: dict[str, Callable[[Trace, Symbol], Symbol]] = {
    "selu": Trace.selu,
    "log_sigmoid": Trace.log_sigmoid,
    "tanh_shrink": Trace.tanh_shrink,
    "soft_shrink": Trace.soft_shrink,
    "hard_shrink": _hard_shrink,
    "squareplus": _squareplus,
    "glu": Trace.glu,
    "softmax": lambda trace, x: trace.softmax("softmax", x, -1),
    "log_softmax": lambda trace, x: trace.softmax("log_softmax", x, -1),
}
"""Activations made of several nodes, or that look at all channels."""


def activated(call: Call, x: Symbol, key: str = "activation") -> Symbol:
    """x behind the activation that the layer's configuration names.

    Raises:
        UnsupportedError: the activation is not known.
    """
    wanted = call.config.get(key)
    if isinstance(wanted, dict) and wanted.get("class_name") in LAYERS and _is_of_keras(wanted):
        inner = Call(call.trace, wanted["class_name"], wanted["config"], name=call.name, args=[x])
        return LAYERS[wanted["class_name"]](inner)
    name = "linear" if wanted is None else wanted
    if name == "linear":
        return x
    if isinstance(name, str) and name in COMPOSED:
        return COMPOSED[name](call.trace, x)
    found = cell_activation(call, key)
    return call.trace.map(found.kind, x, found.alpha, found.beta)


def cell_activation(call: Call, key: str) -> Activation:
    """The map inside a cell that its configuration names.

    Raises:
        UnsupportedError: it is not one map.
    """
    wanted = call.config.get(key)
    name = "linear" if wanted is None else wanted
    if not isinstance(name, str) or name not in SINGLE:
        shown = name.get("config", name) if isinstance(name, dict) else name
        raise call.refuse(f"its {key} {shown!r} is not known here")
    return SINGLE[name]


def _is_of_keras(config: Any) -> bool:
    return str(config.get("module")).split(".")[0] == "keras"


def _mapped(kind: MapKind, alpha: str) -> Callable[[Call], Symbol]:
    def handle(call: Call) -> Symbol:
        return call.trace.map(kind, call.x, float(call.config[alpha]), name=call.name)

    return handle


def _relu(call: Call) -> Symbol:
    """`x` above the threshold, at most `max_value`; below, `slope * (x - threshold)`."""
    trace, x = call.trace, call.x
    slope, threshold = (float(call.config.get(key) or 0.0) for key in ("negative_slope", "threshold"))
    largest = call.config.get("max_value")
    if slope and not threshold and largest is None:
        return trace.map("leaky_relu", x, slope, name=call.name)
    y = trace.map("thresholded_relu", x, threshold) if threshold else x
    if largest is not None:
        y = trace.map("clamp", y, 0.0, float(largest), name=call.name)
    elif not threshold:
        y = trace.map("relu", y, name=call.name)
    if not slope:
        return y
    below = trace.map("relu", _minus(trace, x, threshold))
    return trace.binary("sub", y, trace.map("linear_map", below, slope))


def _softmax(call: Call) -> Symbol:
    axis = call.config.get("axis", -1)
    if isinstance(axis, list | tuple):
        if len(axis) != 1:
            raise call.refuse(f"it runs over the axes {axis}, expected one")
        axis = axis[0]
    kind = "log_softmax" if call.kind == "LogSoftmax" else "softmax"
    return call.trace.softmax(kind, call.x, int(axis), name=call.name)  # type: ignore[arg-type]


def _gelu(call: Call) -> Symbol:
    return call.trace.map("gelu_tanh" if call.config.get("approximate") else "gelu", call.x, name=call.name)


def _prelu(call: Call) -> Symbol:
    (slope,) = call.variables(True)
    assert slope is not None
    if call.x.stream is not None and call.x.stream >= 1 and slope.shape[call.x.stream - 1] != 1:
        raise call.refuse("its slopes change along the time; share them with shared_axes=[1]")
    return call.trace.prelu(call.x, slope[None], name=call.name)


LAYERS: dict[str, Callable[[Call], Symbol]] = {
    "Activation": lambda call: activated(call, call.x),
    "ReLU": _relu,
    "LeakyReLU": _mapped("leaky_relu", "negative_slope"),
    "ELU": _mapped("elu", "alpha"),
    "Softmax": _softmax,
    "PReLU": _prelu,
}
"""Activation layers."""


def _named(name: str) -> Callable[[Call], Symbol]:
    def handle(call: Call) -> Symbol:
        if name in COMPOSED:
            return COMPOSED[name](call.trace, call.x)
        one = SINGLE[name]
        return call.trace.map(one.kind, call.x, one.alpha, one.beta, name=call.name)

    return handle


OPERATIONS: dict[str, Callable[[Call], Symbol]] = {
    **{name: _named(name.lower()) for name in ("Relu", "Relu6", "Sigmoid", "Tanh", "Silu", "Mish", "Softplus",
                                              "Softsign", "Selu")},
    "HardSigmoid": _named("hard_sigmoid"),
    "HardSilu": _named("hard_silu"),
    "HardTanh": _named("hard_tanh"),
    "LogSigmoid": _named("log_sigmoid"),
    "TanhShrink": _named("tanh_shrink"),
    "Exp": _named("exponential"),
    "ReLU": _relu,
    "LeakyRelu": _mapped("leaky_relu", "negative_slope"),
    "Elu": _mapped("elu", "alpha"),
    "Gelu": _gelu,
    "Softmax": _softmax,
    "LogSoftmax": _softmax,
    "SoftShrink": lambda call: call.trace.soft_shrink(call.x, float(call.config.get("threshold", 0.5))),
    "HardShrink": lambda call: _hard_shrink(call.trace, call.x, float(call.config.get("threshold", 0.5))),
    "Squareplus": lambda call: _squareplus(call.trace, call.x, float(call.config.get("b", 4))),
    "Glu": lambda call: call.trace.glu(call.x, int(call.config.get("axis", -1))),
}  # fmt: skip
"""Activations called as operations (`keras.ops.relu(x)`)."""
