"""How a module may be called: layouts of the frames, hidden states handed in, all steps or the last one handed back."""

from __future__ import annotations

import copy
import inspect
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import OptionError, UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.importers.torch_modules import array

if TYPE_CHECKING:
    import torch
    from torch import nn

Answers = dict[int, NDArray[np.float64]]
"""Outputs by step, flattened."""

INIT_METHODS = ("initHidden", "init_hidden", "initial_state", "init_state")


@dataclass(frozen=True)
class Call:
    """One convention; `run` takes frames (n, input_size) and the output size, and gives what the module answers."""

    name: str
    run: Callable[[FloatArray, int], Answers]


@contextmanager
def one_thread() -> Iterator[None]:
    """Let torch use one thread: with more, a step of a small cell waits for them far longer than it computes."""
    import torch

    n_threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        yield
    finally:
        torch.set_num_threads(n_threads)


def calls_of(module: nn.Module, input_size: int, is_token: bool) -> Iterator[Call]:
    """The conventions to try on copies of `module`, most likely first.

    Raises:
        UnsupportedError: the module cannot be copied.
    """
    n_required, n_most = arity(module)
    layouts = _layouts(input_size, is_token, is_batch_first(module))
    if n_required <= 1:
        for layout, shape in layouts.items():
            yield Call(f"module(x {layout})", _whole(module, shape, (), is_token))
    if n_required <= 2 and n_most >= 2:
        for layout, shape in layouts.items():
            for label, hidden in hiddens(module):
                yield Call(f"module(x {layout}, {label})", _whole(module, shape, (hidden,), is_token))
    if n_most >= 2:
        for layout, frame_shape in _frame_layouts(input_size, is_token).items():
            for label, hidden in hiddens(module):
                name = f"module(frame {layout}, {label}) stepwise"
                yield Call(name, _stepwise(module, frame_shape, hidden, is_token, is_spread=n_required > 2))


def example_calls(
    module: nn.Module, example: Any, input_size: int, is_token: bool
) -> tuple[list[Call], FloatArray | None]:
    """The calls that an example allows, and its frames (n, input_size).

    Raises:
        OptionError: it is no tensor, or not the frames of one sequence.
    """
    import torch

    x, *rest = example if isinstance(example, tuple | list) else (example,)
    if not isinstance(x, torch.Tensor) or not (is_token or x.shape[-1:] == (input_size,)):
        got = tuple(x.shape) if isinstance(x, torch.Tensor) else type(x).__name__
        raise OptionError(f"example: expected a tensor whose last dimension is {input_size}, got {got}")
    shape = tuple(x.shape)
    n_places = len(shape) if is_token else len(shape) - 1
    long = [i for i in range(n_places) if shape[i] != 1]
    if len(long) > 1:
        raise OptionError(f"example: expected the frames of one sequence (a batch of one), got shape {shape}")
    calls = []
    for i in long or range(n_places):
        layout = (*shape[:i], -1, *shape[i + 1 :])
        calls.append(Call(f"module(x {layout}, ...)".replace("-1", "T"), _whole(module, layout, tuple(rest), is_token)))
    if not long:
        hidden = (rest[0] if len(rest) == 1 else tuple(rest)) if rest else None
        run = _stepwise(module, shape, hidden, is_token, is_spread=len(rest) > 1)
        calls.append(Call(f"module(frame {shape}, hidden) stepwise", run))
    return calls, None if is_token else array(x).reshape(-1, input_size)


def arity(module: nn.Module) -> tuple[int, int]:
    """Positional arguments that the forward needs, and takes at most."""
    try:
        parameters = inspect.signature(module.forward).parameters.values()
    except (TypeError, ValueError):
        return 1, 1
    positional = [p for p in parameters if p.kind in {p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD}]
    has_rest = any(p.kind is p.VAR_POSITIONAL for p in parameters)
    return sum(p.default is p.empty for p in positional), len(positional) + (2 if has_rest else 0)


def is_batch_first(module: nn.Module) -> bool:
    """Whether a recurrent layer takes the batch before the time."""
    return any(getattr(child, "batch_first", False) for child in module.modules())


def _layouts(input_size: int, is_token: bool, is_batch_first: bool) -> dict[str, tuple[int, ...]]:
    """Shapes of a whole sequence, with -1 for its length."""
    i = input_size
    shapes: list[tuple[int, ...]] = [(-1, 1), (1, -1), (-1,)] if is_token else [(-1, 1, i), (1, -1, i), (-1, i)]
    if is_batch_first:
        shapes[:2] = reversed(shapes[:2])
    if not is_token and i == 1:
        shapes += [(1, -1), (-1,)]
    return {str(shape).replace("-1", "T"): shape for shape in shapes}


def _frame_layouts(input_size: int, is_token: bool) -> dict[str, tuple[int, ...]]:
    i = input_size
    shapes: list[tuple[int, ...]] = [(1,), (1, 1), ()] if is_token else [(1, i), (1, 1, i), (i,)]
    return {str(shape): shape for shape in shapes}


def _own_hidden(module: nn.Module) -> tuple[str, Any] | None:
    """The first hidden state that the module makes, with the call that makes it."""
    for name in INIT_METHODS:
        method = getattr(module, name, None)
        for args in ((), (1,)):
            if callable(method):
                with suppress(TypeError, RuntimeError, AttributeError):
                    return f"{name}({', '.join(map(str, args))})", method(*args)
    return None


def hiddens(module: nn.Module) -> Iterator[tuple[str, Any]]:
    """First hidden states to hand in: the module's own where it makes one, else None and zeros of known sizes."""
    import torch

    own = _own_hidden(module)
    if own is not None:
        yield own
        return
    yield "None", None
    states = [state for child in module.modules() if (state := _zeros_of(child, dtype_of(module))) is not None]
    for state in states:
        yield "zeros", state
    if len(states) > 1:
        yield "zeros of each cell", tuple(states)
    sizes = [size for size in (getattr(module, "hidden_size", None), _classic_size(module)) if isinstance(size, int)]
    for size in dict.fromkeys(sizes):
        yield f"zeros (1, {size})", torch.zeros(1, size, dtype=dtype_of(module))
        yield f"zeros ({size},)", torch.zeros(size, dtype=dtype_of(module))


def _zeros_of(layer: nn.Module, dtype: torch.dtype) -> Any:
    """The first state of a recurrent layer; None of another."""
    import torch
    from torch import nn

    if isinstance(layer, nn.RNNBase):
        n, is_lstm = layer.num_layers, layer.mode == "LSTM"
        h = torch.zeros(n, 1, layer.proj_size or layer.hidden_size, dtype=dtype)
        return (h, torch.zeros(n, 1, layer.hidden_size, dtype=dtype)) if is_lstm else h
    if isinstance(layer, nn.RNNCellBase):
        h = torch.zeros(1, layer.hidden_size, dtype=dtype)
        return (h, h.clone()) if isinstance(layer, nn.LSTMCell) else h
    return None


def _classic_size(module: nn.Module) -> int | None:
    return getattr(getattr(module, "i2h", None), "out_features", None)


def dtype_of(module: nn.Module) -> torch.dtype:
    """float64 where the module computes in it, else float32."""
    import torch

    is_double = any(parameter.dtype == torch.float64 for parameter in module.parameters())
    return torch.float64 if is_double else torch.float32


def own_copy(module: nn.Module) -> nn.Module:
    """A copy in eval mode, on the processor, of float32 or float64.

    Raises:
        UnsupportedError: it cannot be copied.
    """
    try:
        twin = copy.deepcopy(module)
    except Exception as error:
        raise UnsupportedError(
            f"{type(module).__name__} cannot be copied, and its forward is not run on the original: {error}"
        ) from error
    _drop_states(twin)
    return twin.to("cpu", dtype_of(module)).eval().requires_grad_(False)


def _drop_states(twin: nn.Module) -> None:
    """Let a recurrent layer of an `nn.Sequential` hand its output alone to the layer behind it.

    PyTorch would hand on the tuple of output and state, which none of its layers takes, so nothing else can be meant.
    """
    from torch import nn

    for chain in twin.modules():
        if type(chain).forward is not nn.Sequential.forward:
            continue
        layers = list(chain.children())
        for layer, following in pairwise(layers):
            kind = type(following)
            if isinstance(layer, nn.RNNBase | nn.Sequential) and (
                kind.__module__.startswith("torch.nn") or kind.__name__ == "Affine"
            ):
                layer.register_forward_hook(_output_alone)


def _output_alone(layer: nn.Module, args: Any, answer: Any) -> Any:
    """A forward hook: the first of a tuple."""
    return answer[0] if isinstance(answer, tuple) else answer


def _tensor(frames: FloatArray, shape: tuple[int, ...], module: nn.Module, is_token: bool) -> torch.Tensor:
    import torch

    x = torch.from_numpy(np.ascontiguousarray(frames)).reshape(shape)
    return x.long() if is_token else x.to(dtype_of(module))


def _first_tensor(answer: Any) -> NDArray[np.float64]:
    import torch

    while isinstance(answer, tuple | list) and answer:
        answer = answer[0]
    if not isinstance(answer, torch.Tensor):
        raise TypeError(f"it answered {type(answer).__name__}, expected a tensor or a tuple that starts with one")
    return np.asarray(answer.detach().to(torch.float64).numpy()).reshape(-1)


def _whole(
    module: nn.Module, shape: tuple[int, ...], rest: tuple[Any, ...], is_token: bool
) -> Callable[[FloatArray, int], Answers]:
    def run(frames: FloatArray, output_size: int) -> Answers:
        n = len(frames)
        first = _answer(module, frames, shape, rest, is_token)
        if first.size == n * output_size:
            return dict(enumerate(first.reshape(n, output_size)))
        if first.size != output_size:
            raise ValueError(f"it answered {first.size} values to {n} frames, expected {output_size} or {n} times that")
        answers = {n - 1: first}
        for length in (1, 2, 3, 5, 8, 13, 21, 34, 55, 89, 144):
            if length < n:
                answers[length - 1] = _answer(module, frames[:length], shape, rest, is_token)
        return answers

    return run


def _answer(
    module: nn.Module, frames: FloatArray, shape: tuple[int, ...], rest: tuple[Any, ...], is_token: bool
) -> NDArray[np.float64]:
    import torch

    twin = own_copy(module)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return _first_tensor(twin(_tensor(frames, shape, module, is_token), *rest))


def _stepwise(
    module: nn.Module, shape: tuple[int, ...], hidden: Any, is_token: bool, is_spread: bool
) -> Callable[[FloatArray, int], Answers]:
    import torch

    def run(frames: FloatArray, output_size: int) -> Answers:
        twin = own_copy(module)
        answers: Answers = {}
        state = hidden
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for t, frame in enumerate(frames):
                x = _tensor(frame, shape, module, is_token)
                answer = twin(x, *state) if is_spread and isinstance(state, tuple) else twin(x, state)
                if not isinstance(answer, tuple | list) or len(answer) < 2:
                    raise TypeError("it answered no hidden state to hand to the next step")
                answers[t] = _first_tensor(answer)
                if answers[t].size != output_size:
                    raise ValueError(f"it answered {answers[t].size} values to a frame, expected {output_size}")
                state = answer[1] if len(answer) == 2 else tuple(answer[1:])
        return answers

    return run
