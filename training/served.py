"""The model file that a demo serves: the exported one, or one that is made for the occasion."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from training.options import Options


@contextmanager
def served_file(options: Options, export: Callable[[Options], None]) -> Iterator[Path]:
    """Give the recipe's model file; where there is none, export one into a folder that is gone afterwards."""
    if options.file.is_file():
        yield options.file
        return
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / options.file.name
        export(replace(options, file=path))
        yield path
