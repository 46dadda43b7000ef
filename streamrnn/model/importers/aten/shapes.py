"""What moves values and computes nothing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.model.importers.aten.table import REASONS, Call, constant, op
from streamrnn.model.importers.tracing.symbol import Symbol

MODES: dict[str, Literal["zeros", "reflect", "edge"]] = {
    "constant": "zeros", "reflect": "reflect", "replicate": "edge", "reflection_pad1d": "reflect",
    "replication_pad1d": "edge", "constant_pad_nd": "zeros",
}  # fmt: skip


@op(
    "contiguous", "clone", "dropout", "dropout_", "alpha_dropout", "feature_dropout", "feature_alpha_dropout", "detach",
    "alias", "lift_fresh_copy", "view_as", "type_as", "identity", "resolve_conj", "positive", "_assert_tensor_metadata",
)  # fmt: skip
def same(call: Call, x: Symbol, *_: Any, **__: Any) -> Symbol:
    """The value as it is."""
    return x


@op("to", "_to_copy", "float", "double", "long", "int")
def cast(call: Call, x: Symbol, *args: Any, **kwargs: Any) -> Symbol:
    """Another type of number; only tokens may become integers."""
    wanted = [str(value) for value in (*args, *kwargs.values()) if str(value).startswith("torch.")]
    if any("int" in name or "bool" in name for name in wanted) and x.node != "input":
        raise UnsupportedError("it rounds values to integers")
    return x


@op("view", "reshape", "_unsafe_view", "flatten", "unflatten", "squeeze", "unsqueeze", "_reshape_alias")
def reshape(call: Call, x: Symbol, *_: Any, **__: Any) -> Symbol:
    """The same values in another shape."""
    return call.trace.reshape(x, call.shape)


@op("expand", "expand_as", "broadcast_to")
def expand(call: Call, x: Symbol, *_: Any, **__: Any) -> Symbol:
    """Dimensions of length 1, repeated."""
    return call.trace.expand(x, call.shape)


@op("repeat", "tile")
def repeat(call: Call, x: Symbol, sizes: Sequence[int]) -> Symbol:
    """Dimensions, repeated."""
    x = call.trace.unsqueeze(x, range(max(0, len(sizes) - x.ndim)))
    sizes = [1] * (x.ndim - len(sizes)) + list(sizes)
    for d, n in enumerate(sizes):
        if n != 1 and x.shape[d] == 1:
            x = call.trace.expand(x, [n if i == d else m for i, m in enumerate(x.shape)])
        elif n != 1:
            x = call.trace.take(x, d, list(range(x.shape[d])) * n)
    return x


@op("repeat_interleave.self_int")
def repeat_interleave(call: Call, x: Symbol, n: int, dim: int | None = None, output_size: Any = None) -> Symbol:
    """Every place along a dimension `n` times."""
    if dim is None:
        raise UnsupportedError("it repeats the values of all dimensions; say which one")
    return call.trace.take(x, dim, np.repeat(np.arange(x.shape[x.dim(dim)]), n).tolist())


@op("transpose", "swapaxes", "swapdims")
def transpose(call: Call, x: Symbol, a: int, b: int) -> Symbol:
    """Two dimensions change places."""
    order = list(range(x.ndim))
    a, b = x.dim(a), x.dim(b)
    order[a], order[b] = b, a
    return call.trace.transpose(x, order)


@op("t", "numpy_T", "mT", "adjoint")
def turned(call: Call, x: Symbol) -> Symbol:
    """The last two dimensions change places."""
    return x if x.ndim < 2 else transpose(call, x, -2, -1)


@op("permute")
def permute(call: Call, x: Symbol, dims: Sequence[int]) -> Symbol:
    """Dimensions in another order."""
    return call.trace.transpose(x, dims)


@op("movedim", "moveaxis")
def movedim(call: Call, x: Symbol, source: Any, destination: Any) -> Symbol:
    """Dimensions moved to other places."""
    sources = [x.dim(d) for d in np.atleast_1d(source).tolist()]
    destinations = [x.dim(d) for d in np.atleast_1d(destination).tolist()]
    order = [d for d in range(x.ndim) if d not in sources]
    for to, d in sorted(zip(destinations, sources, strict=True)):
        order.insert(to, d)
    return call.trace.transpose(x, order)


@op("slice")
def cut(call: Call, x: Symbol, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Symbol:
    """Places from `start` to `end`."""
    return call.trace.slice(x, dim, start or 0, end, step)


@op("narrow")
def narrow(call: Call, x: Symbol, dim: int, start: int, length: int) -> Symbol:
    """`length` places from `start` on."""
    return call.trace.slice(x, dim, start, start + length)


@op("select")
def select(call: Call, x: Symbol, dim: int, index: int) -> Symbol:
    """One place."""
    dim = x.dim(dim)
    if dim == x.stream and index not in {-1, x.shape[dim] - 1} and x.shape[dim] > 1:
        raise UnsupportedError(
            f"frame {index} alone is taken; if the forward loops over the frames, give the module of one step, "
            "which takes a frame and the state and hands back the new state"
        )
    return call.trace.select(x, dim, index)


@op("index_select")
def index_select(call: Call, x: Symbol, dim: int, index: Any) -> Symbol:
    """Places of a list."""
    return call.trace.take(x, dim, [int(i) % x.shape[x.dim(dim)] for i in np.ravel(constant(index, "index"))])


@op("index.Tensor")
def index(call: Call, x: Symbol, indices: Sequence[Any]) -> Symbol:
    """Places of a list, along one dimension."""
    given = [(d, constant(value, "index")) for d, value in enumerate(indices) if value is not None]
    if len(given) != 1 or np.ndim(given[0][1]) != 1 or np.asarray(given[0][1]).dtype.kind != "i":
        raise UnsupportedError("it is indexed by more than one list of places")
    return index_select(call, x, *given[0])


@op("flip")
def flip(call: Call, x: Symbol, dims: Sequence[int]) -> Symbol:
    """The other way round, in what one step holds."""
    for d in (x.dim(d) for d in dims):
        if d == x.stream:
            raise UnsupportedError(REASONS["flip"])
        x = call.trace.take(x, d, list(range(x.shape[d]))[::-1])
    return x


@op("roll")
def roll(call: Call, x: Symbol, shifts: Sequence[int], dims: Sequence[int] = ()) -> Symbol:
    """Places pushed round, in what one step holds."""
    if not dims:
        raise UnsupportedError("it rolls over all dimensions; say which one")
    for shift, d in zip(shifts, dims, strict=True):
        x = call.trace.take(x, d, np.roll(np.arange(x.shape[x.dim(d)]), shift).tolist())
    return x


@op("split", "split_with_sizes")
def split(call: Call, x: Symbol, sizes: Any, dim: int = 0) -> tuple[Symbol, ...]:
    """Parts of given sizes, or of one size."""
    n = x.shape[x.dim(dim)]
    if isinstance(sizes, int):
        sizes = [min(sizes, n - start) for start in range(0, n, sizes)]
    return tuple(call.trace.split(x, dim, sizes))


@op("chunk")
def chunk(call: Call, x: Symbol, chunks: int, dim: int = 0) -> tuple[Symbol, ...]:
    """At most so many parts of one size."""
    return split(call, x, -(-x.shape[x.dim(dim)] // chunks), dim)


@op("unbind")
def unbind(call: Call, x: Symbol, dim: int = 0) -> tuple[Symbol, ...]:
    """Every place by itself."""
    return tuple(select(call, x, dim, i) for i in range(x.shape[x.dim(dim)]))


@op("cat", "concat", "concatenate")
def cat(call: Call, parts: Sequence[Any], dim: int = 0) -> Symbol:
    """Joined along a dimension; empty parts are left out."""
    kept = [part for part in parts if isinstance(part, Symbol) or np.size(part)]
    return call.trace.concat(kept, dim)


@op("stack")
def stack(call: Call, parts: Sequence[Any], dim: int = 0) -> Symbol:
    """Joined along a new dimension."""
    at = dim + len(call.shape) if dim < 0 else dim
    grown = [
        call.trace.unsqueeze(part, [at]) if isinstance(part, Symbol) else np.expand_dims(part, at) for part in parts
    ]
    return call.trace.concat(grown, at)


@op("pad", "constant_pad_nd", "reflection_pad1d", "replication_pad1d")
def pad(call: Call, x: Symbol, widths: Sequence[int], mode: Any = None, value: float | None = None) -> Symbol:
    """More places before and behind, of the last dimension first."""
    name = call.op.removeprefix("aten.")
    if name == "constant_pad_nd":
        mode, value = "constant", mode
    mode = (mode or "constant") if name == "pad" else name
    if mode not in MODES and mode != "constant_pad_nd":
        raise UnsupportedError(f"its padding is {mode!r}")
    for i, (before, behind) in enumerate(zip(widths[::2], widths[1::2], strict=True)):
        x = call.trace.pad(x, x.ndim - 1 - i, before, behind, MODES[mode], float(value or 0.0))
    return x


@op("zeros_like", "ones_like", "full_like", "new_zeros", "new_ones", "new_full", "empty_like", "new_empty")
def filled(call: Call, x: Symbol, *args: Any, **_: Any) -> Any:
    """A constant of a shape; what is empty is filled with zeros."""
    name = call.op.removeprefix("aten.")
    value = args[-1 if name == "full_like" else 1] if "full" in name else float("ones" in name)
    return np.full(call.shape, value, np.float32)
