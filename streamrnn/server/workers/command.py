"""The command that runs a module of ours in a process of its own."""

from __future__ import annotations

import os
import sys


def command_of(module: str, *arguments: str) -> list[str]:
    """Program and arguments for `python -m MODULE`, which imports what this process would.

    `-m` puts the working directory before all packages. Where this process does not have it there, as the installed
    command has not, files that happen to lie there must not take the place of modules.
    """
    has_folder = bool({"", os.getcwd()} & set(sys.path))
    return [sys.executable, *([] if has_folder else ["-P"]), "-m", module, *arguments]
