"""PyTorch modules as chains of layers: which modules are known, and why the others are refused."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, cast

import numpy as np

from streamrnn.errors import UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.importers.layers import Layer
from streamrnn.model.kinds import Kind

if TYPE_CHECKING:
    import torch
    from torch import nn

NO_OPS = frozenset({"Dropout", "Dropout1d", "AlphaDropout", "FeatureAlphaDropout", "Identity"})
ACTIVATIONS: dict[str, Kind] = {
    "Tanh": "tanh",
    "Sigmoid": "sigmoid",
    "ReLU": "relu",
    "Softmax": "softmax",
    "LogSoftmax": "log_softmax",
}
REASONS = dict.fromkeys(("MultiheadAttention", "Transformer"), "attention reads frames that a stream no longer has")


def named(path: str, module: nn.Module) -> str:
    """A module for a message: its path and class."""
    return f"{type(module).__name__} at {path!r}" if path else f"the {type(module).__name__} itself"


def refuse(path: str, module: nn.Module, reason: str) -> UnsupportedError:
    """The error for a module that cannot be imported."""
    return UnsupportedError(f"{named(path, module)} cannot be streamed: {reason}", layer=path)


def array(tensor: torch.Tensor) -> FloatArray:
    """A tensor as float32, copied off the module."""
    import torch

    return np.array(tensor.detach().to("cpu", torch.float32).numpy(), np.float32, order="C")


def layers_of(module: nn.Module, path: str = "") -> list[Layer]:
    """The layers of a module and its children in the order of registration; no-ops and losses are left out.

    Raises:
        UnsupportedError: names the first module that cannot be imported, and the reason.
    """
    check_plain(module, path)
    kind = type(module).__name__
    if kind in NO_OPS or is_loss(module):
        return []
    if kind in ACTIVATIONS:
        return [_activation(module, path)]
    for known, read in _readers().items():
        if isinstance(module, known):
            return read(module, path)
    if kind == "Affine":
        return [_affine(module, path)]
    children = list(module.named_children())
    own = [name for name, _ in own_tensors(module)]
    if not children or (type(module).__module__.startswith("torch.nn") and not _is_container(module)):
        raise refuse(path, module, REASONS.get(kind, "it is no layer of a plain chain"))
    if own:
        raise refuse(path, module, f"its own tensor {own[0]!r} belongs to no layer that is known")
    return [layer for name, child in children for layer in layers_of(child, join(path, name))]


def join(path: str, name: str) -> str:
    """The path of a child."""
    return f"{path}.{name}" if path else name


def own_tensors(module: nn.Module) -> Iterator[tuple[str, torch.Tensor]]:
    """Parameters and buffers of the module itself, without its children's."""
    yield from module.named_parameters(recurse=False)
    yield from module.named_buffers(recurse=False)


def is_loss(module: nn.Module) -> bool:
    """Whether it is a loss, which a trained module may carry along."""
    return type(module).__module__ == "torch.nn.modules.loss"


def _is_container(module: nn.Module) -> bool:
    from torch import nn

    return isinstance(module, nn.Sequential | nn.ModuleList | nn.ModuleDict)


def check_plain(module: nn.Module, path: str) -> None:
    """Check that the module's tensors are what its forward uses.

    Raises:
        UnsupportedError: hooks, parametrizations, or tensors that are not floating-point or not initialised.
    """
    from torch.nn.utils import parametrize

    check_tensors(module, path)
    if module._forward_hooks or module._forward_pre_hooks:
        raise refuse(path, module, "it has forward hooks, which may change what it computes; remove them first")
    if parametrize.is_parametrized(module):
        raise refuse(path, module, "it is parametrized; remove the parametrizations first, keeping their weights")


def check_tensors(module: nn.Module, path: str) -> None:
    """Check that the module's own tensors are there, and stay as they are.

    Raises:
        UnsupportedError: they are not initialised, quantised or complex, or `max_norm` changes them.
    """
    from torch.nn.parameter import is_lazy

    tensors = dict(own_tensors(module))
    if any(is_lazy(tensor) for tensor in tensors.values()):
        raise refuse(path, module, "its sizes are not known yet; run one forward first")
    for name, tensor in tensors.items():
        if tensor.is_meta or tensor.is_quantized or tensor.is_complex():
            raise refuse(path, module, f"tensor {name!r} is {tensor.dtype} on {tensor.device}, expected float32")
    if getattr(module, "max_norm", None) is not None:
        raise refuse(path, module, "max_norm changes its table while it runs; set it to None after training")


def _readers() -> dict[type[nn.Module], Callable[[nn.Module, str], list[Layer]]]:
    from torch import nn

    return {nn.RNNBase: _recurrent, nn.Linear: _linear, nn.Embedding: _embedding}


def _activation(module: nn.Module, path: str) -> Layer:
    kind = ACTIVATIONS[type(module).__name__]
    dim = getattr(module, "dim", None)
    if kind in {"softmax", "log_softmax"} and dim not in {None, -1, 1, 2}:
        raise refuse(path, module, f"it runs over dimension {dim}, expected that of the features, the last (dim=-1)")
    return Layer(kind, path or kind)


def _linear(module: nn.Module, path: str) -> list[Layer]:
    linear = cast("nn.Linear", module)
    tensors = {"weight": array(linear.weight)}
    has_bias = linear.bias is not None
    if has_bias:
        tensors["bias"] = array(linear.bias)
    return [Layer("linear", path, linear.in_features, linear.out_features, tensors, bias=has_bias)]


def _embedding(module: nn.Module, path: str) -> list[Layer]:
    embedding = cast("nn.Embedding", module)
    n_tokens, size = embedding.weight.shape
    return [Layer("embedding", path, 1, size, {"weight": array(embedding.weight)}, n_tokens=n_tokens)]


def _affine(module: nn.Module, path: str) -> Layer:
    tensors = dict(own_tensors(module))
    shapes = {name: tuple(tensor.shape) for name, tensor in tensors.items()}
    if set(tensors) != {"scale", "shift"} or tensors["scale"].ndim != 1 or len(set(shapes.values())) != 1:
        raise refuse(path, module, f"an Affine has tensors scale (n,) and shift (n,), this one has {shapes}")
    n = shapes["scale"][0]
    return Layer("affine", path, n, n, {name: array(tensor) for name, tensor in tensors.items()})


def _recurrent(module: nn.Module, path: str) -> list[Layer]:
    rnn = cast("nn.RNNBase", module)
    kind = cast("Kind", {"RNN_TANH": "rnn", "RNN_RELU": "rnn"}.get(rnn.mode, rnn.mode.lower()))
    if rnn.bidirectional:
        raise refuse(path, module, "it is bidirectional, so each output needs the frames that come after it")
    if rnn.proj_size:
        raise refuse(path, module, f"proj_size={rnn.proj_size}: projections cannot be imported yet")
    layers = []
    for i in range(rnn.num_layers):
        names = ["weight_ih", "weight_hh", *(["bias_ih", "bias_hh"] if rnn.bias else [])]
        tensors = {name: array(getattr(rnn, f"{name}_l{i}")) for name in names}
        name = path or kind
        layers.append(
            Layer(
                kind,
                join(name, f"l{i}") if rnn.num_layers > 1 else name,
                tensors["weight_ih"].shape[1],
                rnn.hidden_size,
                tensors,
                bias=bool(rnn.bias),
                nonlinearity="relu" if rnn.mode == "RNN_RELU" else "tanh",
            )
        )
    return layers
