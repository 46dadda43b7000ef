"""`python -m benchmarks.load`: one run against `--url`, or a preset that starts its servers itself."""

from __future__ import annotations

import importlib
import sys

from benchmarks.load.sockets import LoadError

PRESETS = ("steady", "gateway", "overload")


def main(arguments: list[str]) -> None:
    """Run what is asked for."""
    is_preset = bool(arguments) and arguments[0] in PRESETS
    module = importlib.import_module(f"benchmarks.load.{arguments[0] if is_preset else 'single'}")
    try:
        module.run(arguments[1:] if is_preset else arguments)
    except LoadError as fault:
        raise SystemExit(f"benchmarks.load: {fault}") from None


if __name__ == "__main__":
    main(sys.argv[1:])
