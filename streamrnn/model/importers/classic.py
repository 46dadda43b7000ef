"""The recurrence written by hand, as the tutorials have it: `i2h` and `i2o` over concat(input, hidden)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.layers import Draft, DraftBuilder, Layer, described
from streamrnn.model.kinds import Kind
from streamrnn.model.spec import Node


def classic_draft(
    parts: Mapping[str, Layer],
    heads: Sequence[Layer] = (),
    *,
    hidden: Kind | None = "tanh",
    reads: Literal["previous", "new"] = "previous",
    input_first: bool = True,
) -> Draft:
    """`h = f(i2h(x, h))`, or `f(i2h(x) + h2h(h))`; output from `i2o(x, h)` or `h2o(h)`, then `heads`.

    Args:
        parts: linear layers by name: `i2h` with `i2o` or `h2o`, perhaps `h2h`.
        heads: layers after the output.
        hidden: the activation f.
        reads: whether the output reads the hidden state before or after this step.
        input_first: the order in concat(x, h).

    Raises:
        UnsupportedError: the sizes do not fit.
    """
    hidden_size, is_split = parts["i2h"].size, "h2h" in parts
    input_size = parts["i2h"].input_size - (0 if is_split else hidden_size)
    if input_size < 1:
        raise UnsupportedError(
            f"layer 'i2h' reads {parts['i2h'].input_size} values and gives {hidden_size}: "
            "expected it to read the input and the hidden state"
        )
    builder = DraftBuilder(input_size)
    previous = builder.add(Node("hidden", "previous", hidden_size))

    def joined(state: str) -> str:
        order = ("input", state) if input_first else (state, "input")
        return builder.add(Node("combined", "concat", input_size + hidden_size, order))

    if is_split:
        sides = builder.add_layer(parts["i2h"], "input"), builder.add_layer(parts["h2h"], previous)
        h = builder.add(Node("sum", "add", hidden_size, sides))
    else:
        h = builder.add_layer(parts["i2h"], combined := joined(previous))
    h = builder.add_layer(Layer(hidden, "hidden_new"), h) if hidden else h
    builder.point(previous, h)
    source = previous if reads == "previous" else h
    if "h2o" in parts:
        output = builder.add_layer(parts["h2o"], source)
    else:
        is_read = reads == "previous" and not is_split
        output = builder.add_layer(parts["i2o"], combined if is_read else joined(source))
    for head in heads:
        output = builder.add_layer(head, output)
    after = "".join(f", {described(head)}" for head in heads)
    return builder.draft(f"h = {hidden or 'linear'}(i2h), output from the {reads} h{after}", output)
