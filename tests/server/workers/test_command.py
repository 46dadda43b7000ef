"""How a module is run in a process of its own: with the modules of this one, whatever lies in the folder."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from streamrnn.server.workers.command import command_of

CODE = "from streamrnn.server.workers.command import command_of; import sys; print(command_of('here', '1')[1:])"


@pytest.mark.parametrize(("flags", "expected"), [(["-P"], ["-P", "-m", "here", "1"]), ([], ["-m", "here", "1"])])
def test_the_working_directory_comes_first_only_where_it_does_here(
    tmp_path: Path, flags: list[str], expected: list[str]
) -> None:
    root = str(Path(__file__).resolve().parents[3])
    done = subprocess.run(
        [sys.executable, *flags, "-c", CODE],
        cwd=tmp_path, env=os.environ | {"PYTHONPATH": root}, capture_output=True, text=True, check=True,
    )  # fmt: skip
    assert done.stdout == f"{expected}\n"


def test_a_file_that_lies_about_is_not_imported(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "msgspec.py").write_text("raise SystemExit(99)")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [path for path in sys.path if path])
    done = subprocess.run(command_of("streamrnn.server.workers"), input=b"{}", capture_output=True)
    assert done.returncode != 99 and b"ValidationError" in done.stderr
