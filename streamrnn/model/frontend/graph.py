"""A front end as nodes and tensors.

A frame of the input is one hop of samples. What a window touches is kept as whole hops, joined and cut, so that the
window itself is a value: less its mean, it goes through two matrices (pre-emphasis, window shape and DFT in one, made
in float64) to the real and the imaginary part of the spectrum. One convolution that folds the mean into its filters too
would do with fewer nodes, and was rejected: the lowest bins of a quiet recording with an offset are then differences of
large numbers, and so is the energy of the window. All products are `exact`: narrow weights would move the features of
every model.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from streamrnn.kernels.packing import FloatArray
from streamrnn.model.frontend.filters import Matrix, cosine_transform, dft, difference, mel_filters
from streamrnn.model.frontend.frontend import Frontend
from streamrnn.model.kinds import Kind
from streamrnn.model.spec import Node

PREFIX = "frontend."
"""Of the names of its nodes, but for the input."""
RUNNING_EPS = 1e-5
"""Added to the running variance."""


def frontend_nodes(
    frontend: Frontend, steps: int = 1, input_name: str = "input"
) -> tuple[tuple[Node, ...], dict[str, FloatArray], str, int]:
    """The nodes of a front end, the input first.

    Args:
        frontend: its choices.
        steps: hops in a frame; the output has as many steps.
        input_name: of the input (steps * hop samples of one channel, float32, in [-1, 1] unless it says otherwise).

    Returns:
        The nodes, their tensors, the name of the node with the features (steps, size), and the delay in frames. What
        it gives in the first `delay` frames comes from before the first sample.
    """
    graph = _Graph(frontend, steps, input_name)
    output, delay = graph.write()
    return tuple(graph.nodes), graph.tensors, output, delay


class _Graph:
    """Nodes in order, each of `steps` steps, with their tensors."""

    def __init__(self, frontend: Frontend, steps: int, input_name: str) -> None:
        self.frontend = frontend
        self.steps = steps
        self.nodes = [Node(input_name, "input", 1, steps=steps * frontend.hop)]
        self.tensors: dict[str, FloatArray] = {}

    def write(self) -> tuple[str, int]:
        features = self._static(self._window())
        delay = self.frontend.n_hops - 1 if self.frontend.align == "snip_edges" else 0
        if self.frontend.delta_order:
            features = self._differences(features, delay)
            delay = self.frontend.delay
        if extra := -delay % self.steps:  # so that whole frames come behind, and not parts of them
            features = self._node("aligned", "delay", features, lag=extra, hold=delay)
            delay += extra
        return self._normalised(features, delay), delay // self.steps

    def _node(
        self,
        name: str,
        kind: Kind,
        *inputs: str,
        size: int | None = None,
        tensors: Mapping[str, Matrix] | None = None,
        **fields: int | float | bool,
    ) -> str:
        """Add a node, of its input's size unless said otherwise, and return its name."""
        name = PREFIX + name
        if size is None:
            size = next(node.size for node in self.nodes if node.name == inputs[0])
        choices = {"steps": self.steps} | fields
        self.nodes.append(Node(name, kind, size, inputs, **choices))  # type: ignore[arg-type]
        for short, value in (tensors or {}).items():
            self.tensors[f"{name}.{short}"] = np.ascontiguousarray(value, np.float32)
        return name

    def _linear(self, name: str, source: str, weight: Matrix) -> str:
        """Add a product with a matrix (n_out, n_in)."""
        return self._node(
            name, "linear", source, size=len(weight), tensors={"weight": weight}, bias=False, exact=True
        )  # fmt: skip

    def _window(self) -> str:
        """Add the nodes that end in one window of samples a step."""
        frontend, hop = self.frontend, self.frontend.hop
        newest = self._node("hop", "fold", self.nodes[0].name, size=self.steps * hop, steps=1)
        if self.steps > 1:
            newest = self._node("hops", "unfold", newest, size=hop)
        hops = [newest]
        for n in range(1, frontend.n_hops):
            hops.insert(0, self._node(f"hop_{n}", "delay", hops[0], lag=1))
        span = newest if len(hops) == 1 else self._node("span", "concat", *hops, size=hop * len(hops))
        start = 0 if frontend.align == "snip_edges" else hop * len(hops) - frontend.window_size
        window = self._node("window", "slice", span, size=frontend.window_size, start=start)
        if not frontend.remove_dc:
            return window
        ones = np.ones((frontend.window_size, 1))
        mean = self._linear("mean", window, ones.T / len(ones))
        return self._node("centred", "sub", window, self._linear("means", mean, ones))

    def _static(self, window: str) -> str:
        """Add the nodes from a window to its features."""
        frontend = self.frontend
        filters = mel_filters(frontend) if frontend.n_mels else np.eye(frontend.n_fft // 2 + 1)
        bins = np.flatnonzero(filters.any(axis=0))
        real, imaginary = (
            self._node(f"{part}_power", "square", self._linear(part, window, matrix))
            for part, matrix in zip(("real", "imaginary"), dft(frontend, bins), strict=True)
        )
        features = self._node("power", "add", real, imaginary)
        if not frontend.use_power:
            features = self._node("magnitude", "sqrt", features)
        if frontend.n_mels:
            features = self._linear("mel", features, filters[:, bins])
        features = self._log("log", features)
        energy = self._energy(window) if frontend.use_energy else None
        if frontend.n_ceps:
            rows = cosine_transform(frontend)[int(frontend.use_energy) :]
            if not len(rows):
                assert energy is not None
                return energy
            features = self._linear("cepstra", features, rows)
        if energy is None:
            return features
        return self._node("static", "concat", energy, features, size=frontend.n_static)

    def _energy(self, window: str) -> str:
        """Add the energy of the window, before pre-emphasis and shape."""
        weight = np.full((1, self.frontend.window_size), self.frontend.input_scale**2)
        squares = self._node("squares", "square", window)
        return self._log("energy", self._linear("raw_energy", squares, weight))

    def _log(self, name: str, source: str) -> str:
        if self.frontend.log == "none":
            return source
        logs = self._node(name, "log", source, alpha=self.frontend.log_floor)
        return logs if self.frontend.log == "log" else self._node(f"{name}10", "linear_map", logs, alpha=1 / np.log(10))

    def _differences(self, features: str, delay: int) -> str:
        """Add the differences; before the first frame, as in Kaldi, there are frames like the first.

        A window sees zeros there, so the first frame is taken off all: it is the one in which a value that is one
        throughout was not one a step before. The slopes of a constant are zero, so nothing is lost.
        """
        frontend, size = self.frontend, self.frontend.n_static
        one = self._node("one", "constant", size=size, tensors={"value": np.ones(size)})
        later = self._node("later", "delay", one, lag=1, hold=delay)
        is_first = self._node("is_first", "sub", one, later)
        first = self._node("first_alone", "mul", features, is_first)
        first = self._node("first", "diagonal", first, hold=delay, tensors={"decay": np.ones(size)})
        relative = self._node("relative", "sub", features, first)
        ahead = frontend.delta_order * frontend.delta_window
        blocks = [self._node("now", "delay", features, lag=ahead, hold=delay)]
        for order in range(1, frontend.delta_order + 1):
            weights = np.tile(difference(order, frontend.delta_window), (size, 1, 1))
            block = self._node(
                f"delta_{order}", "conv", relative, tensors={"weight": weights}, bias=False, exact=True,
                groups=size, kernel=weights.shape[2], lag=ahead - order * frontend.delta_window, hold=delay,
            )  # fmt: skip
            blocks.append(block)
        return self._node("with_deltas", "concat", *blocks, size=frontend.size)

    def _normalised(self, features: str, delay: int) -> str:
        frontend = self.frontend
        if frontend.normalisation == "fixed":
            scale = 1.0 / np.array(frontend.std)
            fixed = {"scale": scale, "shift": -np.array(frontend.mean) * scale}
            return self._node("normalised", "affine", features, tensors=fixed)
        if frontend.normalisation == "running":
            return self._node("normalised", "running_norm", features, eps=RUNNING_EPS, hold=delay)
        return features
