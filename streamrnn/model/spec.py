"""What a model is: a graph of named nodes over one frame, and the tensors it needs.

The value of a node is a matrix of `steps` sub-steps by `size` channels. Mostly there is one sub-step; a model that
strides over its input (audio, say) takes all that one output needs as one frame, and its nodes count the steps of
their own rate in it. A node reads nodes before it; `previous` reads another node's value at the frame before, which is
how a net written by hand keeps a hidden state. Equations, gate order and tensor names are PyTorch's.
"""

from __future__ import annotations

from typing import Literal

import msgspec

from streamrnn.errors import SpecError
from streamrnn.model.kinds import Kind, MapKind

MAX_SIZE = 2**24
"""Largest size of a node and number of tokens: float32 holds no larger token ids exactly."""

Shape = tuple[int, ...]


class Activation(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """A map inside a recurrent cell, with its parameters as in a node of that kind."""

    kind: MapKind
    alpha: float = 0.0
    beta: float = 0.0


class Head(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A named part of an output: the next `size` of its values."""

    name: str
    size: int


class Node(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """One value of the graph: float32 (steps, size) a frame.

    What the kinds compute, beside the maps of `kinds`; "at each step" means that the steps do not mix.

    - `input`, `previous`, `constant` (a tensor, the same at each step), `embedding` (a row for the token).
    - `linear`, `affine` (`x * scale + shift`), `prelu`, softmaxes, norms over the channels: at each step.
    - `add` and the other binary ones: of two values of one shape. `concat`: channels of values with as many steps.
    - `slice` (channels from `start` on), `gather` (channels `index`).
    - `concat_steps`; `slice_steps` (every `stride`-th step from `start` on); `fold` ((steps, size) to one step, steps
      outermost) and its inverse `unfold`: within a frame.
    - `conv` (PyTorch's cross-correlation), `max_pool`, `mean_pool` over windows of `kernel` steps, `dilation` apart,
      every `stride` steps. Without `pads` they go on over the frames: the newest tap of the last window of a frame lies
      `lag` steps before the frame's last step, and before the first frame there are zeros (for `max_pool`: the
      smallest float32). With `pads` they look at this frame alone.
    - `delay`: the value `lag` steps ago, zeros at first.
    - `rnn`, `lstm`, `gru`: a recurrent cell over the steps; `min_gru` (Feng et al. 2024): `h += z * (n - h)` with
      `z = sigmoid(W_z x)`, `n = W_n x`; `diagonal`: `h = decay * h + x`, where `is_complex` with `decay_re` and
      `decay_im`, its values and inputs then being all real parts, then all imaginary ones (LRU, S5); `ssm` (the
      selective scan of Mamba) of inputs x, delta, B, C: `h = exp(delta A) h + delta B x`, `y = C h + D x`.
    - `running_mean`, `running_max`, `running_stats` (mean, then deviation, of all steps so far), `running_norm`
      (`(x - mean) / sqrt(variance + eps)`): over all steps since the session began.

    Attributes:
        name: unique; its tensors are called `name.weight` and so on.
        size: channels. Of some kinds it follows from the input or a tensor, and is checked.
        inputs: names of the nodes it reads, all listed before it (`previous` may name a later one).
        steps: sub-steps in a frame.
        n_tokens: `input` of token ids in [0, n_tokens), size 1; 0 for a dense input. `embedding`: rows of its table.
        bias: whether the layers and cells that may have bias tensors have them.
        nonlinearity: of `rnn`, where it has no `activations`.
        reset: of `gru`, whether r acts after (PyTorch, cuDNN) or before the matmul (Cho et al. 2014).
        activations: of a cell, in place of its own: `rnn` (f,), `gru` (gates, candidate), `lstm` (gates, candidate,
            output).
        cell_size: of `lstm` with a projection: hidden units, of which `weight_hr` makes `size` values (`proj_size`).
        peepholes: of `lstm`, whether the gates i, f, o see the cell state through `peephole` (3 * units,).
        coupled: of `lstm`, whether f = 1 - i; its gates are then i, g, o.
        clip: of a cell: the largest magnitude of what goes into an activation; 0 for no bound.
        initial: whether a cell starts from tensors `initial_h` (and `initial_c`), else from zeros.
        kernel, stride, dilation, lag, pads, pad_mode: of what looks at windows of steps.
        groups: of `conv` and `group_norm`.
        hold: steps, counted from the first frame, that a node with a state ignores: it stays as it was, a window sees
            zeros in their place. So what comes from before a look-ahead is complete is never remembered.
        start, index: of `slice`, `slice_steps`, `gather`.
        alpha, beta: of maps.
        eps: of the norms.
        is_complex: of `diagonal`.
        exact: whether its weights stay float32 in every precision (filters of an audio front end).
    """

    name: str
    kind: Kind
    size: int
    inputs: tuple[str, ...] = ()
    n_tokens: int = 0
    bias: bool = True
    nonlinearity: Literal["tanh", "relu"] = "tanh"
    reset: Literal["after", "before"] = "after"
    steps: int = 1
    activations: tuple[Activation, ...] = ()
    cell_size: int = 0
    peepholes: bool = False
    coupled: bool = False
    clip: float = 0.0
    initial: bool = False
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    groups: int = 1
    lag: int = 0
    hold: int = 0
    pads: tuple[int, int] | None = None
    pad_mode: Literal["zeros", "reflect", "edge"] = "zeros"
    start: int = 0
    index: tuple[int, ...] = ()
    alpha: float = 0.0
    beta: float = 0.0
    eps: float = 0.0
    is_complex: bool = False
    exact: bool = False


class Spec(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """The graph. The first node is the only `input`; the value of `output` is answered for each frame.

    Attributes:
        nodes: each reads nodes before it.
        output: name of the node whose (steps, size) values are an output, step after step.
        heads: named parts of an output of one step, in order; none where it is one value.
        delay: frames by which the outputs come behind the frames that they belong to.
    """

    nodes: tuple[Node, ...]
    output: str
    heads: tuple[Head, ...] = ()
    delay: int = 0

    def node(self, name: str) -> Node:
        """The node of that name.

        Raises:
            SpecError: there is none.
        """
        for node in self.nodes:
            if node.name == name:
                return node
        raise SpecError(f"no node named {name!r}; the nodes are {', '.join(n.name for n in self.nodes)}")


def input_size(spec: Spec, node: Node) -> int:
    """Channels of what `node` reads (its inputs together)."""
    return sum(spec.node(name).size for name in node.inputs)
