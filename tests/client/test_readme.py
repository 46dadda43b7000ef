"""The client's README and how-to: every example runs against a real server, every row of the table is true."""

from __future__ import annotations

import contextlib
import io
import re
from pathlib import Path

import pytest
import streamrnn_client
from streamrnn_client import StreamrnnClientError

from tests.client.conftest import LocalServer

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "clients" / "python" / "README.md"
HOW_TO = ROOT / "docs" / "how-to" / "connect-a-client.md"
ADDRESS = "ws://localhost:8765"


def examples() -> list[tuple[str, str]]:
    """Each example by the heading over it."""
    found = []
    for page in (README, HOW_TO):
        heading = ""
        for part in re.split(r"^(#+ [^\n]*|```python\n.*?^```$)", page.read_text(encoding="utf-8"), flags=re.M | re.S):
            if part.startswith("#"):
                heading = part.lstrip("# ")
            elif part.startswith("```python\n"):
                found.append((f"{page.stem}: {heading}", part.removeprefix("```python\n").removesuffix("```")))
    return found


def test_there_are_examples() -> None:
    assert len(examples()) >= 10


@pytest.mark.parametrize(("name", "source"), examples(), ids=[name for name, _ in examples()])
def test_the_example_runs(name: str, source: str, server: LocalServer) -> None:
    assert ADDRESS in source
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        exec(compile(source.replace(ADDRESS, server.url), name, "exec"), {"__name__": "__main__"})
    assert said.getvalue().strip(), "an example shows something"


def rows() -> list[tuple[str, str, str, str]]:
    text = README.read_text(encoding="utf-8")
    return re.findall(r"^\| `(\w+Error)` \| `(\w+)` \| (\w+) \| ([\w ]+) \|", text, re.M)


@pytest.mark.parametrize(("name", "code", "scope", "retryable"), rows())
def test_the_table_of_errors_is_true(name: str, code: str, scope: str, retryable: str) -> None:
    kind = getattr(streamrnn_client, name)
    if name == "WaitTimeoutError":
        error = kind("late", of="step", after_s=1)
    elif name == "BatchError":
        failed = streamrnn_client.FrameError("bad")
        error = kind([None], [failed])
        assert not error.retryable
        assert kind([None], [streamrnn_client.QueueFullError("full")]).retryable
    else:
        error = kind("said")
    assert (error.code, error.scope) == (code, scope)
    if not retryable.startswith("if"):
        assert error.retryable is (retryable == "yes")


def test_the_table_of_errors_is_whole() -> None:
    leaves = {
        name
        for name in streamrnn_client.__all__
        if isinstance(kind := getattr(streamrnn_client, name), type)
        and issubclass(kind, StreamrnnClientError)
        and (not kind.__subclasses__() or "connection_lost" in kind.code)
    }
    assert {name for name, *_ in rows()} == leaves
