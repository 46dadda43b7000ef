"""How a program without the command line says what went wrong, in the form in which that says it."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable

from streamrnn.errors import OptionError, StreamrnnError


def told(name: str, run: Callable[[], int]) -> int:
    """Run, and return its exit status; an error of ours is one line `error [code]: NAME: message`, and 1, or 2."""
    try:
        return run()
    except StreamrnnError as fault:
        return _tell(fault.code, f"{name}: {fault.message}", 2 if isinstance(fault, OptionError) else 1)
    except OSError as fault:
        what = f"{fault.filename}: {fault.strerror}" if fault.filename else fault.strerror or str(fault)
        return _tell("io", f"{name}: {what}", 1)
    except KeyboardInterrupt:
        return 130
    except Exception as fault:
        if os.environ.get("STREAMRNN_TRACEBACK"):
            raise
        return _tell("internal", f"{name}: {type(fault).__name__}: {fault}", 1)


def _tell(code: str, message: str, status: int) -> int:
    print(f"error [{code}]: {message}", file=sys.stderr, flush=True)
    return status
