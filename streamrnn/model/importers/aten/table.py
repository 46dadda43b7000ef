"""The table of operations: which function replays an ATen operation, and what it is told of the call."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import Symbol


@dataclass(frozen=True)
class Call:
    """One operation of a graph.

    Attributes:
        op: as `aten.linear`.
        trace: on which it is replayed.
        shape: of its (first) result.
        layer: path of the layer that makes it, for the names of nodes; empty for the module itself.
        is_written: whether cells of one step are written out, since their states are handed back changed.
    """

    op: str
    trace: Trace
    shape: tuple[int, ...]
    layer: str
    is_written: bool = False


class Refused:
    """A value that cannot be had, and why; it only matters if an output needs it."""

    def __init__(self, error: UnsupportedError) -> None:
        self.error = error


Handler = Callable[..., Any]
"""Takes a `Call`, then what the operation takes: symbols, arrays, numbers; gives a symbol, an array or a tuple."""

HANDLERS: dict[str, Handler] = {}
"""By name, with the overload (`aten.max.dim`) or without (`aten.relu`)."""

REASONS: dict[str, str] = {
    **dict.fromkeys(
        ("cumsum", "cumprod", "logcumsumexp"),
        "its figures grow with every frame without end; a mean over the time can be streamed",
    ),
    **dict.fromkeys(("cummax", "cummin"), "only the largest value of all frames so far (amax over the time) is known"),
    **dict.fromkeys(
        ("scaled_dot_product_attention", "_native_multi_head_attention", "_transformer_encoder_layer_fwd"),
        "attention reads frames that a stream no longer has",
    ),
    **dict.fromkeys(
        ("sort", "argsort", "topk", "argmax", "argmin", "median", "kthvalue"),
        "positions and order statistics are for what reads the outputs, not for the net",
    ),
    **dict.fromkeys(
        ("eq", "ne", "masked_scatter", "masked_select", "nonzero"),
        "whether two computed values are equal is a matter of rounding; which is larger can be streamed",
    ),
    **dict.fromkeys(("rand", "randn", "rand_like", "randn_like", "bernoulli", "randint"), "its outputs are random"),
    **dict.fromkeys(
        ("conv_transpose1d", "conv_transpose2d", "upsample_nearest1d", "upsample_linear1d", "upsample_nearest2d"),
        "more steps come out than go in; leave it to what reads the outputs",
    ),
    **dict.fromkeys(("stft", "_fft_r2c", "fft_rfft"), "write the transform as a convolution with its filters"),
    **dict.fromkeys(
        ("embedding_renorm", "embedding_renorm_"),
        "max_norm changes its table while it runs; set it to None after training",
    ),
    "instance_norm": "it runs over the time, so it needs the frames that come after",
    "flip": "it turns the time round, so it needs the frames that come after",
}
"""Why operations that people use are not in the table."""

UNKNOWN = "this operation is not known"


H = TypeVar("H", bound=Handler)


def op(*names: str) -> Callable[[H], H]:
    """Let a function replay the operations of these names, ATen's where they have no other's before a colon."""

    def put(handler: H) -> H:
        for name in names:
            full = name.replace(":", ".") if ":" in name else f"aten.{name}"
            assert full not in HANDLERS
            HANDLERS[full] = handler
        return handler

    return put


def find(target: str) -> Handler:
    """The handler of an operation, as `aten.max.dim`.

    Raises:
        UnsupportedError: there is none; says why.
    """
    name = target.rpartition(".")[0]
    if (handler := HANDLERS.get(target, HANDLERS.get(name))) is not None:
        return handler
    raise UnsupportedError(REASONS.get(name.removeprefix("aten."), UNKNOWN))


def constant(value: Any, what: str) -> Any:
    """A value that must not depend on the input.

    Raises:
        UnsupportedError: it does.
    """
    if isinstance(value, Symbol):
        raise UnsupportedError(f"its {what} is computed from the input, expected one that stays as it is")
    return value
