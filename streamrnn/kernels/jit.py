"""How every kernel is compiled: the options that keep the bits, in one place.

- `fastmath` stays off: it deletes NaN checks and reorders sums, and then a batch differs from a lone step.
- `error_model="numpy"`: the default puts a zero-division branch into every `/`.
- `nogil`: a tick may run in a worker thread while the event loop goes on.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from numba import njit

from streamrnn.kernels.cache import kernel_cache

OPTIONS: dict[str, Any] = {"nogil": True, "fastmath": False, "error_model": "numpy", "boundscheck": False}
INNER: dict[str, Any] = {**OPTIONS, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
"""Options of a function that only kernels call; entries into it from Python would double its compile time."""

ENTRIES: list[tuple[Any, str]] = []
"""Entry kernels with their only signature, for `warmup`."""


def inlined(function: Callable[..., Any]) -> Any:
    """A building block of a kernel: always inlined, so that vectors stay in registers."""
    return njit(forceinline=True, **INNER)(function)


def pasted(function: Callable[..., Any]) -> Any:
    """A part of a kernel that stands apart for its readers only; numba pastes it into its one caller before typing."""
    return njit(inline="always", **INNER)(function)


def outlined(function: Callable[..., Any]) -> Any:
    """A part of a kernel that is compiled once and called, to keep compile time and code size down.

    Nest few of them: numba optimises every function together with all that it calls, so each level costs again. That
    it is not inlined must be said: else it takes that from whichever function happens to call it first.
    """
    return njit(forceinline=False, **INNER)(function)


def entry(signature: str, nogil: bool = True) -> Callable[[Callable[..., Any]], Any]:
    """A kernel called from Python, of one signature: compiled or loaded from the cache by `warmup`, never at import.

    nogil: whether other Python threads may run meanwhile.
    """

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**{**OPTIONS, "nogil": nogil})(function)
        dispatcher._cache = kernel_cache(function)
        ENTRIES.append((dispatcher, signature))
        return dispatcher

    return decorate


def direct(dispatcher: Any) -> Callable[..., Any]:
    """The compiled form of an entry kernel, once it is ready: it takes its arguments' types for granted.

    A third sooner than a call through numba's dispatcher, and a crash where an argument is of another type.
    """
    (compiled,) = dispatcher.overloads.values()
    function: Callable[..., Any] = compiled.entry_point
    return function


def function_address(dispatcher: Any) -> int:
    """Where the compiled form of an entry kernel stands, once it is ready: a C function of its arguments."""
    (compiled,) = dispatcher.overloads.values()
    return int(compiled.library.get_pointer_to_function(compiled.fndesc.llvm_cfunc_wrapper_name))


def tool(signature: str) -> Callable[[Callable[..., Any]], Any]:
    """A kernel that no step needs: compiled or loaded when its module is imported, and unknown to `warmup`."""

    def decorate(function: Callable[..., Any]) -> Any:
        dispatcher = njit(**OPTIONS)(function)
        dispatcher._cache = kernel_cache(function)
        dispatcher.compile(signature)
        dispatcher.disable_compile()
        return dispatcher

    return decorate
