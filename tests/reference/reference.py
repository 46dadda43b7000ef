"""One session of a spec: a matrix (steps, size) for each node, in the order of the nodes."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from streamrnn.model.spec import Node, Spec
from tests.reference.cells import LOWEST, STEPPED, initial_state
from tests.reference.maps import MAPS, Array, layer_norm, log_softmax, rms_norm, softmax

SOFTS = {"softmax": softmax, "log_softmax": log_softmax}
BINARY = {
    "add": np.add,
    "sub": np.subtract,
    "mul": np.multiply,
    "div": np.divide,
    "maximum": np.maximum,
    "minimum": np.minimum,
}
WINDOWED = {"conv", "max_pool", "mean_pool", "delay"}
PAD_MODES = {"reflect": "reflect", "edge": "edge"}


class Reference:
    """One session of a spec; `step` answers one frame."""

    def __init__(self, spec: Spec, tensors: Mapping[str, NDArray[np.float32]]) -> None:
        self.spec = spec
        self._weights = {node.name: self._of_node(node, tensors) for node in spec.nodes}
        self.reset()

    def _of_node(self, node: Node, tensors: Mapping[str, NDArray[np.float32]]) -> dict[str, Array]:
        """Its tensors by their short names, and zeros for the biases that it has none of."""
        prefix = f"{node.name}."
        found = {
            name.removeprefix(prefix): tensor.astype(np.float64)
            for name, tensor in tensors.items()
            if name.rpartition(".")[0] == node.name
        }
        if not node.bias:
            for weight, bias in ("weight", "bias"), ("weight_ih", "bias_ih"), ("weight_hh", "bias_hh"):
                if weight in found:
                    found[bias] = np.zeros(len(found[weight]))
        return found

    def reset(self) -> None:
        """As before the first frame."""
        nodes = self.spec.nodes
        self.before = {node.name: np.zeros((node.steps, node.size)) for node in nodes}
        self.n_seen = dict.fromkeys((node.name for node in nodes), 0)
        self.state = {node.name: self._initial(node) for node in nodes if node.kind in STEPPED}
        self.past = {node.name: self._nothing(node) for node in nodes if node.kind in WINDOWED and node.pads is None}

    def _initial(self, node: Node) -> dict[str, Array]:
        n_states = self.spec.node(node.inputs[2]).size if node.kind == "ssm" else 0
        return initial_state(node, self._weights[node.name], n_states)

    def _nothing(self, node: Node) -> Array:
        """What stands before the first step, as far back as a window reaches."""
        reach = node.lag + (node.kernel - 1) * node.dilation
        return np.full((reach, self.spec.node(node.inputs[0]).size), _fill(node))

    def step(self, x: NDArray[np.float32]) -> Array:
        """The output (output_size,) to a frame (input_size,)."""
        values: dict[str, Array] = {}
        for node in self.spec.nodes:
            if node.kind == "input":
                values[node.name] = x.astype(np.float64).reshape(node.steps, node.size)
            else:
                inputs = [] if node.kind == "previous" else [values[name] for name in node.inputs]
                values[node.name] = self._value(node, inputs)
            assert values[node.name].shape == (node.steps, node.size), node
        for node in self.spec.nodes:
            if node.kind == "previous":
                if self.n_seen[node.name] >= node.hold:
                    self.before[node.name] = values[node.inputs[0]]
                self.n_seen[node.name] += node.steps
        return values[self.spec.output].reshape(-1)

    def run(self, xs: NDArray[np.float32]) -> Array:
        """The outputs (n_frames, output_size) to frames (n_frames, input_size)."""
        return np.array([self.step(x) for x in xs])

    def _value(self, node: Node, inputs: list[Array]) -> Array:
        w = self._weights[node.name]
        if node.kind in MAPS:
            return MAPS[node.kind](inputs[0], node.alpha, node.beta)
        if node.kind in BINARY:
            return BINARY[node.kind](inputs[0], inputs[1])
        if node.kind in STEPPED:
            return self._stepped(node, inputs)
        if node.kind in WINDOWED:
            return self._windowed(node, inputs[0])
        if node.kind in SOFTS:
            return np.array([SOFTS[node.kind](row) for row in inputs[0]])
        match node.kind:
            case "linear":
                return inputs[0] @ w["weight"].T + w["bias"]
            case "affine":
                return inputs[0] * w["scale"] + w["shift"]
            case "prelu":
                return np.where(inputs[0] < 0, inputs[0] * w["slope"], inputs[0])
            case "layer_norm" | "group_norm":
                groups = node.groups if node.kind == "group_norm" else 1
                return np.array([layer_norm(row, node.eps, groups) for row in inputs[0]]) * w["weight"] + w["bias"]
            case "rms_norm":
                return np.array([rms_norm(row, node.eps) for row in inputs[0]]) * w["weight"] + w["bias"]
            case "embedding":
                return w["weight"][[int(inputs[0][0, 0])]]
            case "constant":
                return w["value"][None]
            case "previous":
                return self.before[node.name]
        return _arranged(node, inputs)

    def _stepped(self, node: Node, inputs: list[Array]) -> Array:
        """Step after step; the first `hold` steps leave the state as it was."""
        outputs, w = [], self._weights[node.name]
        for t in range(node.steps):
            y, state = STEPPED[node.kind](node, w, [values[t] for values in inputs], self.state[node.name])
            outputs.append(y)
            self.n_seen[node.name] += 1
            self.state[node.name] = self._initial(node) if self.n_seen[node.name] <= node.hold else state
        return np.array(outputs)

    def _windowed(self, node: Node, x: Array) -> Array:
        """Over the steps of this frame and of those before it, or of this frame alone."""
        taps = np.arange(node.kernel) * node.dilation
        if node.pads is None:
            x = x.copy()
            n_held = max(node.hold - self.n_seen[node.name], 0)
            x[:n_held] = _fill(node)
            self.n_seen[node.name] += len(x)
            n_before = len(self.past[node.name])
            x = np.concatenate([self.past[node.name], x])
            self.past[node.name] = x[len(x) - n_before :]
            first = node.stride - 1  # of the padded steps: where the window of the newest step `stride - 1` begins
        else:
            first, pads = 0, (node.pads, (0, 0))
            if node.pad_mode == "zeros":
                x = np.pad(x, pads, constant_values=_fill(node))
            else:
                x = np.pad(x, pads, mode=PAD_MODES[node.pad_mode])  # type: ignore[call-overload]
        windows = [x[first + s * node.stride + taps] for s in range(node.steps)]
        return np.array([self._of_window(node, window) for window in windows])

    def _of_window(self, node: Node, window: Array) -> Array:
        """Of taps (kernel, channels)."""
        match node.kind:
            case "delay":
                return window[0]
            case "max_pool":
                return window.max(0)
            case "mean_pool":
                return window.mean(0)
        w = self._weights[node.name]
        weights, parts = np.split(w["weight"], node.groups), np.split(window, node.groups, axis=1)
        products = [np.einsum("ock,kc->o", weight, part) for weight, part in zip(weights, parts, strict=True)]
        return np.concatenate(products) + w["bias"]


def _fill(node: Node) -> float:
    """What a window sees where there is nothing."""
    return LOWEST if node.kind == "max_pool" else 0.0


def _arranged(node: Node, inputs: list[Array]) -> Array:
    """The kinds that take values apart and put them together."""
    match node.kind:
        case "concat":
            return np.concatenate(inputs, axis=1)
        case "slice":
            return inputs[0][:, node.start : node.start + node.size]
        case "gather":
            return inputs[0][:, list(node.index)]
        case "concat_steps":
            return np.concatenate(inputs)
        case "slice_steps":
            return inputs[0][node.start :: node.stride][: node.steps]
        case _:
            assert node.kind in {"fold", "unfold"}
            return inputs[0].reshape(node.steps, node.size)
