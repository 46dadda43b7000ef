"""How a module takes its frames and its states: said by an example or options, else guessed from its layers."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from math import prod
from typing import TYPE_CHECKING, Any, Literal

from streamrnn.errors import OptionError, UnsupportedError
from streamrnn.model.importers.torch_calls import arity, dtype_of, hiddens

if TYPE_CHECKING:
    import torch
    from torch import nn

N_STEPS = 37
"""Steps of the sequence on which a graph is made, beyond what its layers look at: no size of a layer, most likely. Not
more, since PyTorch takes recurrent layers apart step by step to learn the shapes of their outputs.
"""
MOST_STEPS = 2**18
N_READERS = 6
"""Most layers that are asked how large a frame is."""

States = Mapping[str, int | str]
"""Which output is the new value of an argument: its place among the outputs, or its key."""


class NoCallError(UnsupportedError):
    """No call was found that the forward takes."""


@dataclass(frozen=True)
class Options:
    """What the caller says of the call; see `streamrnn.from_torch`."""

    time_dim: int | Literal["frame"] | None = None
    states: States | None = None
    frame_steps: int = 0
    is_forced: bool = False


@dataclass(frozen=True)
class Contract:
    """One way to call a module.

    Attributes:
        shape: of the first argument, with the steps of the trace.
        stream: which dimension is the time; None where each call takes one whole frame.
        rest: the other arguments, first states among them.
        is_token: whether the frames are token ids.
        options: of the caller.
        rest_text: what the other arguments are, for people.
    """

    shape: tuple[int, ...]
    stream: int | None
    rest: tuple[Any, ...]
    is_token: bool
    options: Options = field(default_factory=Options)
    rest_text: str = "state"

    @property
    def call(self) -> str:
        """For people: `module(x (T, 1, 3), state)`."""
        shape = str(tuple("T" if d == self.stream else n for d, n in enumerate(self.shape))).replace("'", "")
        rest = f", {self.rest_text}" if self.rest else ""
        return f"module(x {shape}{rest})" if self.stream is not None else f"module(frame {shape}{rest}) stepwise"

    def frames(self, module: nn.Module) -> torch.Tensor:
        """A first argument on which the graph is made."""
        import torch

        if self.is_token:
            return torch.zeros(self.shape, dtype=torch.long)
        generator = torch.Generator().manual_seed(0)
        return torch.randn(self.shape, generator=generator, dtype=dtype_of(module))


def contracts_of(module: nn.Module, example: Any, options: Options) -> Iterator[Contract]:
    """The ways to call a module that may be meant, most likely first.

    Raises:
        OptionError: the example or an option is no such thing.
        NoCallError: no layer says how large a frame is.
    """
    found = _of_example(module, example, options) if example is not None else _guessed(module, options)
    for contract in found:
        wanted, n = options.time_dim, len(contract.shape)
        if wanted is None or contract.stream == (None if wanted == "frame" else wanted % n if n else -1):
            yield contract


def _dim(d: int | str, n: int) -> int | None:
    return d % n if isinstance(d, int) and -n <= d < n else None


def n_steps_of(module: nn.Module, frame_steps: int = 0) -> int:
    """Steps on which the graph is made: far more than any layer looks at, a multiple of what an output needs."""
    stride, reach = 1, 0
    for child in module.modules():
        size = _last(getattr(child, "kernel_size", 1))
        dilation = _last(getattr(child, "dilation", 1))
        reach += (size - 1) * dilation * stride
        stride *= max(1, _last(getattr(child, "stride", 1)))
    unit = max(1, min(stride, MOST_STEPS // N_STEPS)) * max(1, frame_steps)
    return min(N_STEPS + -(-2 * reach // unit), max(N_STEPS, MOST_STEPS // unit)) * unit


def _last(value: Any) -> int:
    values = value if isinstance(value, tuple | list) else [value]
    numbers = [n for n in values if isinstance(n, int)]
    return max(numbers, default=1)


# From an example


def _of_example(module: nn.Module, example: Any, options: Options) -> Iterator[Contract]:
    import torch

    x, *rest = example if isinstance(example, tuple | list) else (example,)
    if not isinstance(x, torch.Tensor):
        raise OptionError(f"example: expected a tensor of frames first, got {type(x).__name__}")
    shape, is_token = tuple(x.shape), not x.is_floating_point()
    if len(shape) == 3 and all(n > 1 for n in shape):
        raise OptionError(f"example: expected the frames of one sequence (a batch of one), got shape {shape}")
    n_steps = n_steps_of(module, options.frame_steps)
    tail = tuple(_as_double(part, module) for part in rest)
    recurs = any(isinstance(child, torch.nn.RNNBase) for child in module.modules())
    for d in _places(module, shape, options):
        # Windows that only the forward knows of must not be longer than the sequence; the second is for those.
        for n in (n_steps, shape[d]) if recurs else (max(n_steps, 4 * shape[d]),):
            n = -(-n // n_steps) * n_steps
            yield Contract((*shape[:d], n, *shape[d + 1 :]), d, tail, is_token, options)
    if rest or options.time_dim == "frame":
        yield Contract(shape, None, tail, is_token, options)


def _places(module: nn.Module, shape: tuple[int, ...], options: Options) -> list[int]:
    """Dimensions that may be the time, most likely first."""
    if options.time_dim is not None:
        d = _dim(options.time_dim, len(shape))
        if d is None and options.time_dim != "frame":
            raise OptionError(f"time_dim: expected a dimension of {shape}, or 'frame', got {options.time_dim!r}")
        return [] if d is None else [d]
    usual = {1: [0], 2: [0, 1], 3: [0, 1, 2] if _is_sequence_first(module) else [1, 2, 0], 4: [2, 3, 1, 0]}
    order = usual.get(len(shape), list(range(len(shape))))
    return [d for d in order if shape[d] != 1] or order


def _as_double(value: Any, module: nn.Module) -> Any:
    """A value of the example, its tensors of the module's type."""
    import torch
    from torch.utils import _pytree

    def cast(part: Any) -> Any:
        is_real = isinstance(part, torch.Tensor) and part.is_floating_point()
        return part.detach().cpu().to(dtype_of(module)) if is_real else part

    return _pytree.tree_map(cast, value)


# Guessed


def _guessed(module: nn.Module, options: Options) -> Iterator[Contract]:
    n_required, n_most = arity(module)
    readers = list(_readers(module))
    if not readers:
        raise NoCallError("no layer says how many values a frame has; give example=, the argument of one call")
    rests = list(_rests(module, n_required, n_most))
    n_steps = n_steps_of(module, options.frame_steps)
    for text, rest in rests:
        for shape, is_token in _unique(shape for reader in readers for shape in _layouts(module, reader)):
            d = shape.index(-1)
            yield Contract((*shape[:d], n_steps, *shape[d + 1 :]), d, rest, is_token, options, text)
    for text, rest in rests:
        if rest or options.time_dim == "frame":
            for shape, is_token in _unique(shape for reader in readers for shape in _frame_layouts(reader)):
                yield Contract(shape, None, rest, is_token, options, text)


def _rests(module: nn.Module, n_required: int, n_most: int) -> Iterator[tuple[str, tuple[Any, ...]]]:
    """The other arguments, and what they are."""
    if n_required <= 1:
        yield "", ()
    states = [(text, state) for text, state in hiddens(module) if state is not None]
    if n_required <= 2 <= n_most:
        yield from ((text, (state,)) for text, state in states)
    if n_required > 2:
        yield from ((text, tuple(state)) for text, state in states if isinstance(state, tuple))


def _unique(found: Iterator[tuple[tuple[int, ...], bool]]) -> list[tuple[tuple[int, ...], bool]]:
    return list(dict.fromkeys(found))


Reader = tuple[Literal["tokens", "last", "channels"], int]
"""What the first layer may be: of tokens, or of a size as the last dimension or as channels before the time."""


def _readers(module: nn.Module) -> Iterator[Reader]:
    """How large a frame is, as the first few layers have it."""
    from torch import nn

    seen: dict[Reader, None] = {}
    for child in module.modules():
        if isinstance(child, nn.Embedding):
            seen[("tokens", child.num_embeddings)] = None
        elif isinstance(child, nn.Linear):
            seen[("last", child.in_features)] = None
        elif isinstance(child, nn.RNNBase | nn.RNNCellBase):
            seen[("last", child.input_size)] = None
        elif isinstance(child, nn.LayerNorm | nn.RMSNorm):
            seen[("last", prod(child.normalized_shape))] = None
        elif isinstance(child, nn.Conv1d):
            seen[("channels", child.in_channels)] = None
        elif isinstance(child, nn.BatchNorm1d):
            seen[("channels", child.num_features)] = None
            seen[("last", child.num_features)] = None
    yield from list(seen)[:N_READERS]


def _frame_layouts(reader: Reader) -> Iterator[tuple[tuple[int, ...], bool]]:
    """Shapes of one frame."""
    kind, n = reader
    shapes: list[tuple[int, ...]] = [(1,), (1, 1), ()] if kind == "tokens" else [(1, n), (1, 1, n), (n,)]
    if kind == "channels":
        shapes.append((1, n, 1))
    for shape in shapes:
        yield shape, kind == "tokens"


def _layouts(module: nn.Module, reader: Reader) -> Iterator[tuple[tuple[int, ...], bool]]:
    """Shapes of a whole sequence, with -1 for its steps."""
    kind, n = reader
    shapes: list[tuple[int, ...]]
    if kind == "channels":
        shapes = [(1, n, -1), (n, -1), (1, -1, n)]
    else:
        tail = () if kind == "tokens" else (n,)
        shapes = [(1, -1, *tail), (-1, *tail)]
        if _is_sequence_first(module):
            shapes.insert(0, (-1, 1, *tail))
        if kind == "last":
            shapes += [(1, n, -1), (n, -1)]
    if n == 1 and kind != "tokens":
        shapes += [(1, -1), (-1,)]
    for shape in shapes:
        yield shape, kind == "tokens"


def _is_sequence_first(module: nn.Module) -> bool:
    """Whether a recurrent layer takes the time before the batch: without one, the first of two is always the batch."""
    from torch import nn

    return any(isinstance(child, nn.RNNBase) and not child.batch_first for child in module.modules())
