"""Models from the graph of a module's forward: each way to call it is tried, traced, and proved against itself."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from streamrnn.errors import OptionError, UnsupportedError
from streamrnn.kernels.packing import FloatArray
from streamrnn.model.card import Card
from streamrnn.model.importers.aten.table import Refused
from streamrnn.model.importers.proof import Original, prove
from streamrnn.model.importers.torch_calls import dtype_of, own_copy
from streamrnn.model.importers.torch_contract import Contract, NoCallError, Options, contracts_of
from streamrnn.model.importers.torch_graph import Walk, as_array, export, first_line
from streamrnn.model.importers.torch_modules import check_tensors
from streamrnn.model.importers.torch_states import Leaf, leaves_of, states_of
from streamrnn.model.importers.tracing.graph import ChangedStateError, Traced
from streamrnn.model.importers.tracing.layers import Trace
from streamrnn.model.importers.tracing.symbol import MisreadError, Symbol
from streamrnn.model.model import Model
from streamrnn.model.spec import MAX_SIZE

if TYPE_CHECKING:
    from torch import nn
    from torch.export import ExportedProgram

Array = NDArray[Any]
READING = "the graph of its forward"
MOST_ROWS = 2**20
"""Most steps of an example that are tried."""


def import_graph(module: nn.Module, *, card: Card | None, example: Any, options: Options) -> Model:
    """The model of the way to call `module` that is meant, traced and proved.

    The first call that the forward takes decides, unless a layer of it runs along another dimension. Where another
    call is possible too and would make another model, the caller is asked.

    Raises:
        OptionError: the example or an option is no such thing.
        NoCallError: the forward took no call.
        UnsupportedError: names the layer and the reason; or two calls may be meant.
    """
    for path, child in module.named_modules():
        check_tensors(child, path)
    misread: UnsupportedError | None = None
    faults: dict[str, str] = {}
    found: list[Reading] = []
    taken: set[str] = set()
    for contract in contracts_of(module, example, options):
        if found and contract.stream is None:
            break
        if contract.call in taken:
            continue
        answer = _tried(module, contract)
        if isinstance(answer, str):
            faults.setdefault(contract.call, answer)
            continue
        taken.add(contract.call)
        try:
            found.append(_read(module, contract, answer))
        except MisreadError as error:
            misread = misread or error
        except UnsupportedError as error:
            if not found:
                raise _with_hint(error, contract, options) from error
    if found:
        _check_alike(found)
        return _proved(module, found[0], card, example)
    raise misread or _no_call(module, example, faults)


def _with_hint(error: UnsupportedError, contract: Contract, options: Options) -> UnsupportedError:
    """The refusal, and how to say that the call is another one."""
    if replace(options, is_forced=False) != Options():
        return error
    return UnsupportedError(
        f"{error.message}. It was called as {contract.call}; if that is not meant, give example= and time_dim=",
        **error.fields,
    )


def _check_alike(found: Sequence[Reading]) -> None:
    first = found[0]
    for other in found[1:]:
        ours, theirs = first.traced.draft, other.traced.draft
        same = ours.spec == theirs.spec and all(np.array_equal(t, theirs.tensors[k]) for k, t in ours.tensors.items())
        if not same:
            raise UnsupportedError(
                f"{first.contract.call} and {other.contract.call} are both possible and make different models; say "
                "which dimension is the time (time_dim), or give an example"
            )


def _tried(module: nn.Module, contract: Contract) -> Any:
    """The module's answer to a call, or why there is none."""
    import torch

    twin = own_copy(module)
    with torch.no_grad(), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        try:
            return twin(contract.frames(module), *contract.rest)
        except Exception as error:
            return f"{type(error).__name__}: {first_line(error)}"


def _no_call(module: nn.Module, example: Any, faults: dict[str, str]) -> OptionError | UnsupportedError:
    lines = "".join(f"\n  {call}: {fault}" for call, fault in list(faults.items())[:8])
    if example is not None:
        return OptionError(
            f"example: {type(module).__name__} takes no frames of its shape in a sequence of another length. Calls "
            f"tried:{lines or ' none'}"
        )
    return NoCallError(
        f"{type(module).__name__} takes no frames as its layers have them. Calls tried:{lines or ' none'}\n"
        "Give example=, the argument of one call, or the tuple of them"
    )


@dataclass(frozen=True)
class Outputs:
    """Which leaves of a module's answer are heads, and which are new states.

    Attributes:
        heads: places among the leaves, by name.
        states: places of new states, by the places of the states among the leaves of the other arguments.
    """

    heads: dict[str, int]
    states: dict[int, int]


@dataclass(frozen=True)
class Reading:
    """A module called in one way, and what came of it."""

    contract: Contract
    traced: Traced
    outputs: Outputs
    answered: Sequence[Leaf]


def _read(module: nn.Module, contract: Contract, answer: Any) -> Reading:
    """Trace the graph of one call.

    Raises:
        MisreadError: the call is not meant so.
        UnsupportedError: names what cannot be streamed.
    """
    given, answered = leaves_of(contract.rest), leaves_of(answer)
    states = states_of(module, contract, given, answered)
    program = export(own_copy(module), (contract.frames(module), *contract.rest))
    try:
        return _traced(program, contract, given, answered, states)
    except ChangedStateError:
        return _traced(program, contract, given, answered, states, is_written=True)


def _traced(
    program: ExportedProgram, contract: Contract, given: Sequence[Leaf], answered: Sequence[Leaf],
    states: dict[int, int], is_written: bool = False,
) -> Reading:  # fmt: skip
    trace = Trace(READING)
    x = trace.input(contract.shape, contract.stream, MAX_SIZE if contract.is_token else 0)
    symbols = {} if contract.stream is not None else _state_symbols(trace, contract, given, states)
    inputs = [x, *(symbols.get(i, leaf.value) for i, leaf in enumerate(given))]
    results = Walk(program, trace, inputs, is_written).run()
    for place in states.values():
        value = results[place]
        if contract.stream is not None and isinstance(value, Symbol) and value.ids is None:
            raise MisreadError(f"{contract.call}: output {answered[place].name!r} is no last state of a cell as it is")
    heads = _heads(answered, results, set(states.values()))
    traced = trace.finish(
        {name: _symbol(results[place]) for name, place in heads.items()},
        {_state_name(i): _symbol(results[place]) for i, place in states.items() if i in symbols},
        contract.options.frame_steps if contract.stream is not None else 0,
    )
    return Reading(contract, traced, Outputs(heads, states), answered)


def _proved(module: nn.Module, reading: Reading, card: Card | None, example: Any) -> Model:
    import torch

    contract = reading.contract
    answer = _answering(module, contract, reading.outputs)
    original = Original(f"torch {torch.__version__}", answer, contract.call)
    return prove(
        reading.traced, original, card=card, like=_like(reading.traced, example), is_forced=contract.options.is_forced
    )


def _state_symbols(
    trace: Trace, contract: Contract, given: Sequence[Leaf], states: dict[int, int]
) -> dict[int, Symbol]:
    symbols = {}
    for i in states:
        value = as_array(given[i].value)
        if np.any(value):
            raise UnsupportedError(
                f"{contract.call}: its first state {contract.rest_text} is not zeros, but a stream begins with zeros"
            )
        symbols[i] = trace.state(_state_name(i), value.shape)
    return symbols


def _state_name(i: int) -> str:
    return f"state_{i}"


def _symbol(value: Any) -> Symbol:
    if isinstance(value, Refused):
        raise value.error
    if not isinstance(value, Symbol):
        raise UnsupportedError("an output does not depend on the frames")
    return value


def _heads(answered: Sequence[Leaf], results: Sequence[Any], states: set[int]) -> dict[str, int]:
    """Outputs that are no states: those handed back, or the last states of cells where there is more than them."""
    import torch

    found = [
        i for i, value in enumerate(results)
        if i not in states and value is not None and not isinstance(value, int | float | str | torch.Tensor)
    ]  # fmt: skip
    own = [i for i in found if not (isinstance(results[i], Symbol) and results[i].ids is not None)]
    chosen = own or found or sorted(states)[:1]
    return {_head_name(answered[i]): i for i in chosen}


def _head_name(leaf: Leaf) -> str:
    return leaf.name if leaf.path and isinstance(leaf.path[0], str) else f"output_{leaf.name}"


def _answering(
    module: nn.Module, contract: Contract, outputs: Outputs
) -> Callable[[Sequence[Array]], Sequence[Sequence[Array]]]:
    """Runs copies of the module, the states handed on."""
    import torch
    from torch.utils import _pytree

    def run(inputs: Sequence[Array]) -> Sequence[Sequence[Array]]:
        twin, rest, found = own_copy(module), contract.rest, []
        with torch.no_grad(), warnings.catch_warnings():
            warnings.simplefilter("ignore")
            for x in inputs:
                frames = torch.from_numpy(np.ascontiguousarray(x))
                frames = frames.long() if contract.is_token else frames.to(dtype_of(module))
                leaves = leaves_of(twin(frames, *rest))
                found.append([leaves[i].value.double().numpy() for i in outputs.heads.values()])
                if contract.stream is None and outputs.states:
                    values, tree = _pytree.tree_flatten(rest)
                    for i, place in outputs.states.items():
                        values[i] = leaves[place].value
                    rest = _pytree.tree_unflatten(values, tree)
        return found

    return run


def _like(traced: Traced, example: Any) -> FloatArray | None:
    """The steps of the example, as rows."""
    if example is None:
        return None
    x = example[0] if isinstance(example, tuple | list) else example
    return traced.input.rows(as_array(x))[:MOST_ROWS].astype(np.float32)
