"""Compiled functions, kept on disk until any source of this package changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

from numba import njit
from numba.core.caching import CompileResultCacheImpl, FunctionCache, InTreeCacheLocator, UserWideCacheLocator


@cache
def source_stamp() -> str:
    """Digest of all sources of the package.

    Numba's own stamp is that of one file, so a change in a function that is called from another file would go unseen.
    """
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()


class _InTree(InTreeCacheLocator):  # type: ignore[misc]
    def get_source_stamp(self) -> str:
        return source_stamp()


class _UserWide(UserWideCacheLocator):  # type: ignore[misc]
    def get_source_stamp(self) -> str:
        return source_stamp()


class _Impl(CompileResultCacheImpl):  # type: ignore[misc]
    _locator_classes = (_InTree, _UserWide)


class _Cache(FunctionCache):  # type: ignore[misc]
    _impl_class = _Impl


def compiled(function: Callable[..., Any]) -> Any:
    """Compile a function at its first call, or take it from the disk."""
    dispatcher = njit(error_model="numpy", nogil=True)(function)
    dispatcher._cache = _Cache(function)
    return dispatcher
