"""Every page is tried: its Python runs, its console lines run, and each `streamrnn serve` in it is really served.

The blocks of a page run in order, in a folder of its own. ```python and ```json with a file name after the language
are written to that file; ```console lines begin with "$ "; ```sh blocks need what a test does not have, and are only
checked for commands and options that do not exist. `pkill -9` kills the page's last server, and no other; the next one
takes its port.
"""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from streamrnn.cli import main
from streamrnn.commands.demonstration.server import free_port

ROOT = Path(__file__).resolve().parent.parent.parent
FOLDERS = ("docs", "docs/how-to", "docs/recipes", "docs/reference")
PAGES = [ROOT / "README.md", *sorted(page for folder in FOLDERS for page in (ROOT / folder).glob("*.md"))]
RUN_ELSEWHERE = ("connect-a-client.md",)  # tests/client/test_readme.py runs it
BLOCK = re.compile(r"^```(\w+)(?: (\S+))?\n(.*?)^```$", re.MULTILINE | re.DOTALL)
LINK = re.compile(r"\]\((?!https?:)([^)#]+)(?:#[^)]*)?\)")
SKIPPED = ("pip ", "export ", "make ")
KILL = 'pkill -9 -f "streamrnn serve"'
READY_TIMEOUT_S = 60


@dataclass(frozen=True)
class Block:
    """A fenced block: its language, the file it is for (or none), its text."""

    language: str
    file: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """The blocks of a page, in order."""
    return [Block(*found) for found in BLOCK.findall(page.read_text(encoding="utf-8"))]


def commands_of(block: Block) -> list[str]:
    """The command lines in a console or sh block."""
    lines = block.text.splitlines()
    if block.language == "console":
        return [line.removeprefix("$ ") for line in lines if line.startswith("$ ")]
    return [line.split("#")[0].strip() for line in lines] if block.language == "sh" else []


class Shell:
    """Runs console lines in a folder; servers stay up until the page ends, each on a port of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = 8765
        self._servers: list[subprocess.Popen[bytes]] = []
        self._is_port_taken = True
        bin_folder = str(Path(sys.executable).parent)
        self._env = os.environ | {"PATH": bin_folder + os.pathsep + os.environ["PATH"]}

    def here(self, text: str) -> str:
        """`text` with the address of the page's server in it."""
        return text.replace("localhost:8765", f"localhost:{self.port}")

    def run(self, line: str) -> None:
        """Run one line; a server is left running, and ready."""
        if line.startswith(SKIPPED):
            return
        if line.startswith("streamrnn serve"):
            self._serve(line)
            return
        if line == KILL:
            killed = self._servers.pop()
            killed.kill()
            killed.wait(15)
            self._is_port_taken = False
            return
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", self.here(line)],
            cwd=self.folder, env=self._env, capture_output=True, text=True, timeout=120,
        )  # fmt: skip
        assert done.returncode == 0, f"$ {line}\n{done.stdout}{done.stderr}"

    def _serve(self, line: str) -> None:
        if self._is_port_taken:
            self.port = free_port()
        self._is_port_taken = True
        command = [*shlex.split(line), f"--port={self.port}"]
        self._servers.append(subprocess.Popen(command, cwd=self.folder, env=self._env, stderr=subprocess.DEVNULL))
        end_s = time.monotonic() + READY_TIMEOUT_S
        while time.monotonic() < end_s and self._servers[-1].poll() is None:
            try:
                urllib.request.urlopen(f"http://localhost:{self.port}/v2/health/ready", timeout=5).close()
                return
            except (urllib.error.URLError, ConnectionError) as error:
                if isinstance(error, urllib.error.HTTPError):
                    error.close()
                time.sleep(0.1)
        raise AssertionError(f"$ {line}: not ready")

    def stop(self) -> None:
        """Stop every server as an operator would."""
        for server in self._servers:
            server.terminate()
        for server in self._servers:
            assert server.wait(15) == 0


@pytest.fixture
def shell(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shell]:
    """A shell in an empty folder that holds the project's own folders, as a clone does."""
    for name in ("streamrnn", "training"):
        (tmp_path / name).symlink_to(ROOT / name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    running = Shell(tmp_path)
    yield running
    running.stop()


@pytest.mark.parametrize("page", [page for page in PAGES if page.name not in RUN_ELSEWHERE], ids=lambda page: page.stem)
def test_a_page_does_what_it_says(page, shell):
    names = {"__name__": "__main__"}
    for block in blocks_of(page):
        if block.file:
            (shell.folder / block.file).write_text(block.text, encoding="utf-8")
        elif block.language == "python":
            exec(compile(shell.here(block.text), page.name, "exec"), names)
        elif block.language == "console":
            for line in commands_of(block):
                shell.run(line)


def streamrnn_commands() -> Iterator[list[str]]:
    """Every `streamrnn` command in any page, as words."""
    for page in PAGES:
        for block in blocks_of(page):
            for line in commands_of(block):
                yield from (found.split() for found in re.findall(r"(?:^|\| )streamrnn ([^|>]+)", line))


def test_commands_and_options_in_the_docs_exist(capsys):
    texts: dict[str, str] = {}
    for command, *words in streamrnn_commands():
        if command not in texts:
            assert main([command, "--help"]) == 0, command
            texts[command] = capsys.readouterr().out
        missing = [word for word in words if word.startswith("--") and word.split("=")[0] not in texts[command]]
        assert not missing, f"streamrnn {command} has no {missing}"
    assert {"serve", "stream", "inspect", "convert"} <= texts.keys()


def test_links_between_pages_lead_somewhere():
    broken = []
    for page in [*PAGES, *(ROOT / "docs").rglob("*.md")]:
        for target in LINK.findall(page.read_text(encoding="utf-8")):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert not broken, "\n" + "\n".join(broken)


def test_code_with_a_fault_would_be_found(tmp_path, shell):
    page = tmp_path / "page.md"
    page.write_text("```python\nassert 1 == 2\n```\n")
    with pytest.raises(AssertionError):
        test_a_page_does_what_it_says(page, shell)
    page.write_text("```console\n$ false\n```\n")
    with pytest.raises(AssertionError, match="false"):
        test_a_page_does_what_it_says(page, shell)
