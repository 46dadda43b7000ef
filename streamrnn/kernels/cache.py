"""The on-disk cache of compiled kernels: a private directory of ours, valid for one version of the kernel sources.

Numba's own cache keys an entry by the entry function's file alone and gives up where the directory cannot be written.
This one is stamped with all kernel sources, reads a read-only directory (an image with baked kernels), and treats every
I/O error or damaged file as a miss. The entries are pickles, so a directory that others may write is refused.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import stat
from collections.abc import Callable
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache

from streamrnn.kernels.simd import WIDTH

logger = logging.getLogger(__name__)


def cache_directory() -> Path:
    """Where compiled kernels are kept: `STREAMRNN_CACHE_DIR`, else `streamrnn` in the user's cache directory."""
    chosen = os.environ.get("STREAMRNN_CACHE_DIR")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "streamrnn"


@cache
def usable_directory() -> Path | None:
    """The cache directory, made 0700 where absent; None (with a log line) where it cannot be made or is not private."""
    path = cache_directory()
    try:
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
        status = path.stat()
    except OSError as error:
        logger.warning("kernels are compiled in memory only: no cache directory %s (%s)", path, error)
        return None
    if os.name == "posix":
        trusted = status.st_uid in {os.getuid(), 0}
        if not trusted or status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            logger.warning("kernels are compiled in memory only: others may write the cache directory %s", path)
            return None
    return path


@cache
def source_stamp() -> str:
    """Digest of all that the compiled code depends on beside numba and the CPU, which numba adds to its keys."""
    digest = hashlib.sha256(f"width {WIDTH}".encode())
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _Locator:
    """Tells numba's cache where the entries are and what they depend on."""

    def __init__(self, directory: Path, function: Callable[..., Any]) -> None:
        self._directory = str(directory)
        self._py_file = function.__code__.co_filename

    def get_cache_path(self) -> str:
        return self._directory

    def ensure_cache_path(self) -> None:
        """Nothing to do: a directory that cannot be written fails the write, which is a log line."""

    def get_source_stamp(self) -> str:
        return source_stamp()

    def get_disambiguator(self) -> str:
        return source_stamp()[:12]

    @classmethod
    def from_function(cls, function: Callable[..., Any], py_file: str) -> _Locator | None:
        directory = usable_directory()
        return None if directory is None else cls(directory, function)


class _Impl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's function cache in our directory; a failed read is a miss, a failed write is one log line."""

    _impl_class = _Impl

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except (OSError, EOFError, pickle.UnpicklingError, ValueError, KeyError, AttributeError, RuntimeError) as error:
            logger.warning("a damaged kernel cache in %s is ignored (%s)", self.cache_path, type(error).__name__)
            if not isinstance(error, OSError):
                with suppress(OSError):
                    self.flush()  # else the damaged index would fail every later write, and each start would compile
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except (OSError, EOFError, pickle.UnpicklingError) as error:
            logger.warning("the compiled kernel was not kept in %s (%s)", self.cache_path, error)


def kernel_cache(function: Callable[..., Any]) -> Any:
    """The cache for an entry kernel; one that keeps nothing where there is no usable directory."""
    return NullCache() if usable_directory() is None else KernelCache(function)
