"""Activations and powers that are made of several maps, on symbols: the same for every framework."""

from __future__ import annotations

from streamrnn.model.importers.tracing.choosing import Choosing
from streamrnn.model.importers.tracing.symbol import Symbol

SELU_ALPHA, SELU_SCALE = 1.6732632423543772, 1.0507009873554805
"""Of self-normalising nets. Source: Klambauer et al. 2017."""


class Composed(Choosing):
    """What has no map of its own."""

    def selu(self, x: Symbol, alpha: float = SELU_ALPHA, scale: float = SELU_SCALE, name: str = "") -> Symbol:
        """`scale * elu(x, alpha)`."""
        if scale == 1.0:
            return self.map("elu", x, alpha, name=name)
        return self.map("linear_map", self.map("elu", x, alpha), scale, name=name)

    def celu(self, x: Symbol, alpha: float = 1.0, name: str = "") -> Symbol:
        """`alpha * elu(x / alpha)`."""
        if alpha != 1.0:
            x = self.map("linear_map", x, 1.0 / alpha)
        return self.selu(x, 1.0, alpha, name)

    def log_sigmoid(self, x: Symbol) -> Symbol:
        """`-softplus(-x)`."""
        return self.map("linear_map", self.map("softplus", self.map("linear_map", x, -1.0), 1.0), -1.0)

    def tanh_shrink(self, x: Symbol) -> Symbol:
        """`x - tanh(x)`."""
        return self.binary("sub", x, self.map("tanh", x))

    def soft_shrink(self, x: Symbol, bound: float = 0.5) -> Symbol:
        """`x` without what lies between `-bound` and `bound`."""
        return self.binary("sub", x, self.map("clamp", x, -bound, bound))

    def glu(self, x: Symbol, dim: int = -1) -> Symbol:
        """The first half along `dim`, gated by the sigmoid of the second."""
        half = x.shape[x.dim(dim)] // 2
        value, gate = self.split(x, dim, [half, half])
        return self.binary("mul", value, self.map("sigmoid", gate))
