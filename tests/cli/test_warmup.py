"""`warmup` fills the cache once and says what it found there; `--bake` leaves a directory for an image."""

import os
import re
import shutil
import stat
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from streamrnn.cli import main

AS_NOBODY = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]
READS_ALL = ["--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search"]
"""Where the interpreter stands in root's home, nobody needs this to run it; it adds no right to write."""


def warmup(*options, before=(), **env):
    """Run the command; kernels compiled, what it printed, what it logged."""
    command = [*before, sys.executable, "-m", "streamrnn", "warmup", *map(str, options)]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    n_kernels, n_compiled, n_loaded = map(
        int, re.search(r"(\d+) kernels ready in .* s: (\d+) compiled, (\d+) loaded", done.stdout).groups()
    )
    assert n_kernels == n_compiled + n_loaded
    return n_compiled, done.stdout, done.stderr


@pytest.fixture(scope="module")
def baked():
    """A directory of an image, in folders that all may enter, and what was printed when it was baked."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        directory = Path(folder) / "opt" / "kernels"
        umask = os.umask(0o077)
        try:
            n_compiled, text, log = warmup("--bake", directory)
        finally:
            os.umask(umask)
        assert n_compiled > 0
        yield directory, text, log


@pytest.fixture(scope="module")
def as_nobody():
    """The words before a command that run it as the user 65534, who may write nothing here."""
    if not hasattr(os, "getuid") or os.getuid() != 0:
        pytest.skip("only root can become another user")
    if shutil.which("setpriv") is None:
        pytest.skip("needs setpriv")
    for words in (AS_NOBODY, AS_NOBODY + READS_ALL):
        if subprocess.run([*words, sys.executable, "-c", "import streamrnn"], capture_output=True).returncode == 0:
            return words
    pytest.skip("another user cannot run this interpreter")


def test_bake_says_how_to_use_it(baked):
    directory, text, _ = baked
    assert f"set STREAMRNN_CACHE_DIR={directory}" in text
    assert "read-only" in text
    assert re.search(r"for the CPU \S+ with vectors of (4|8|16) lanes; another CPU compiles", text)


@pytest.mark.skipif(os.name != "posix", reason="POSIX permissions")
def test_what_is_baked_is_for_all_to_read_and_for_its_owner_to_write(baked):
    directory, _, log = baked
    assert stat.S_IMODE(directory.stat().st_mode) == stat.S_IMODE(directory.parent.stat().st_mode) == 0o755
    modes = {stat.S_IMODE(entry.stat().st_mode) for entry in directory.iterdir()}
    assert modes == {0o644}
    assert ("serves the user" in log) == (os.getuid() != 0)
    assert "closed to others" not in log


def test_what_is_baked_is_loaded(baked):
    directory = baked[0]
    n_compiled, text, log = warmup(STREAMRNN_CACHE_DIR=str(directory))
    assert (n_compiled, log) == (0, "")
    assert f"cache: {directory}" in text
    assert warmup("--bake", directory)[0] == 0


def test_another_user_loads_it_and_cannot_write_it(baked, as_nobody):
    directory = baked[0]
    n_compiled, _, log = warmup(before=as_nobody, STREAMRNN_CACHE_DIR=str(directory))
    assert (n_compiled, log) == (0, "")
    touch = subprocess.run([*as_nobody, "touch", str(directory / "x")], capture_output=True, text=True)
    assert "Permission denied" in touch.stderr


def test_a_folder_that_is_closed_to_others_is_noted(baked, tmp_path):
    closed = tmp_path / "closed"
    closed.mkdir(mode=0o700)
    shutil.copytree(baked[0], closed / "kernels")
    _, _, log = warmup("--bake", closed / "kernels")
    assert f"{closed} is closed to others" in log


def make_file(place):
    place.write_text("")


def make_shared(place):
    place.mkdir()
    place.chmod(0o777)


def make_home(place):
    place.mkdir(mode=0o700)
    (place / ".profile").write_text("")


@pytest.mark.parametrize(
    ("make", "expected"),
    [
        (make_file, "expected a directory that can be written"),
        (make_shared, "nobody else may write"),
        (make_home, "expected an empty directory or one of kernels"),
    ],
)
def test_a_place_that_cannot_be_baked_is_left_as_it_was(tmp_path, capsys, make, expected):
    place = tmp_path / "place"
    make(place)
    mode = place.stat().st_mode
    assert main(["warmup", "--bake", str(place)]) == 2
    message = capsys.readouterr().err
    assert message.startswith("error [bad_option]: ")
    assert expected in message
    assert place.stat().st_mode == mode


def test_a_directory_that_another_user_cannot_write_is_said_so(baked, as_nobody):
    command = [*as_nobody, sys.executable, "-m", "streamrnn", "warmup", "--bake", str(baked[0])]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 2
    assert "error [bad_option]: expected a directory that can be written" in done.stderr


def test_a_directory_that_keeps_nothing_is_an_error(tmp_path, monkeypatch, capsys):
    """As where the disk is full: the kernels are compiled, and a fresh process finds none."""
    from streamrnn.commands import warmup as command

    monkeypatch.setattr(command, "_start", lambda directory: command.Start(2, 2, 6.0, "znver3", 8))
    assert main(["warmup", "--bake", str(tmp_path / "kernels")]) == 2
    assert "2 of 2 had to be compiled again" in capsys.readouterr().err
