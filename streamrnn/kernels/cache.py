"""The on-disk cache of compiled kernels: a private directory of ours, valid for one version of the kernel sources.

Numba's own cache keys an entry by the entry function's file alone and gives up where the directory cannot be written.
This one is stamped with all kernel sources, reads a read-only directory (an image with baked kernels), and treats every
I/O error or damaged file as a miss. Each entry is one file of its own, so starts that race, and hosts of different CPUs
that share a directory, take nothing from each other. The entries are pickles, so what others may write is refused.
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

import llvmlite
import numba
from llvmlite import binding
from numba.core.caching import CompileResultCacheImpl, FunctionCache, NullCache
from numba.core.serialize import dumps

from streamrnn.kernels.simd import WIDTH

logger = logging.getLogger(__name__)

ENTRY_SUFFIX = ".kernel"
_DIGEST_BYTES = 32


def cache_directory() -> Path:
    """Where compiled kernels are kept: `STREAMRNN_CACHE_DIR`, else `streamrnn` in the user's cache directory."""
    chosen = os.environ.get("STREAMRNN_CACHE_DIR")
    if chosen:
        return Path(chosen).absolute()
    base = os.environ.get("XDG_CACHE_HOME") or Path("~/.cache").expanduser()
    return Path(base) / "streamrnn"


def is_private(status: os.stat_result) -> bool:
    """Whether a file or directory belongs to this process's user or to root, and its owner alone may write it."""
    if os.name != "posix":
        return True
    return status.st_uid in {os.getuid(), 0} and not status.st_mode & (stat.S_IWGRP | stat.S_IWOTH)


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
    if not is_private(status):
        logger.warning("kernels are compiled in memory only: others may write the cache directory %s", path)
        return None
    return path


def cpu_name() -> str:
    """The CPU that kernels are compiled for, as LLVM calls it; `NUMBA_CPU_NAME` overrides."""
    return str(numba.config.CPU_NAME or binding.get_host_cpu_name())


@cache
def source_stamp() -> str:
    """Digest of all that the compiled code depends on beside the CPU, which numba adds to its keys."""
    digest = hashlib.sha256(f"numba {numba.__version__} llvmlite {llvmlite.__version__} width {WIDTH}".encode())
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


class _EntryFiles:
    """One file for each entry, named after its whole key: complete, or absent.

    Numba's `IndexDataCacheFile` keeps an index for each function. Of two processes that rewrite it at once one loses
    its entry, or finds its key on the code that the other compiled for another CPU (`test_cache_races.py`).
    """

    def __init__(self, directory: str, base_name: str) -> None:
        self._directory = Path(directory)
        self._base_name = base_name

    def _path(self, key: Any) -> Path:
        name = hashlib.sha256(repr((source_stamp(), key)).encode()).hexdigest()[:32]
        return self._directory / f"{self._base_name}-{name}{ENTRY_SUFFIX}"

    def load(self, key: Any) -> Any:
        """What was saved under `key`; None where nothing was.

        Raises:
            OSError: the file cannot be read, or others may write it.
            ValueError: the file is not, byte for byte, what was saved under this name.
        """
        path = self._path(key)
        try:
            with path.open("rb") as file:
                status, content = os.fstat(file.fileno()), file.read()
        except FileNotFoundError:
            return None
        if not is_private(status):
            raise PermissionError(f"others may write {path.name}")
        digest, payload = content[:_DIGEST_BYTES], content[_DIGEST_BYTES:]
        if digest != _digest(path, payload):
            raise ValueError(f"{path.name} is damaged")
        return pickle.loads(payload)

    def save(self, key: Any, compiled: Any) -> None:
        """Write the entry beside its place and move it there, so that no reader sees half of it."""
        path, payload = self._path(key), dumps(compiled)
        draft = path.with_name(f"{path.name}.{os.urandom(8).hex()}")
        try:
            # The mode is explicit: a umask of 0 would leave a file that `load` refuses.
            descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o644)
            with open(descriptor, "wb") as file:
                file.write(_digest(path, payload) + payload)
            draft.replace(path)
        except BaseException:
            with suppress(OSError):
                draft.unlink()
            raise

    def flush(self) -> None:
        """Forget every entry of this function; numba calls it when a dispatcher recompiles."""
        for path in self._directory.glob(f"{self._base_name}-*{ENTRY_SUFFIX}"):
            path.unlink(missing_ok=True)


def _digest(path: Path, payload: bytes) -> bytes:
    return hashlib.sha256(path.name.encode() + payload).digest()


class _Impl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_Locator,)


class KernelCache(FunctionCache):  # type: ignore[misc]
    """Numba's function cache in our directory; a failed read is a miss, a failed write is one log line."""

    _impl_class = _Impl

    def __init__(self, function: Callable[..., Any]) -> None:
        super().__init__(function)
        self._cache_file = _EntryFiles(self.cache_path, self._impl.filename_base)

    def load_overload(self, sig: Any, target_context: Any) -> Any:
        try:
            return super().load_overload(sig, target_context)
        except Exception as error:  # whatever is wrong with an entry, compiling it anew is right
            logger.warning("an entry of the kernel cache %s is ignored: %s", self.cache_path, error)
            return None

    def save_overload(self, sig: Any, data: Any) -> None:
        try:
            super().save_overload(sig, data)
        except OSError as error:
            logger.warning("the compiled kernel was not kept in %s (%s)", self.cache_path, error)


def kernel_cache(function: Callable[..., Any]) -> Any:
    """The cache for an entry kernel; one that keeps nothing where there is no usable directory."""
    return NullCache() if usable_directory() is None else KernelCache(function)
