"""`warmup` fills the cache once, and says what it found there."""

import os
import re
import subprocess
import sys


def warmup(*options, **env):
    command = [sys.executable, "-m", "streamrnn", "warmup", *map(str, options)]
    done = subprocess.run(command, env=os.environ | env, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr
    n_kernels, n_compiled, n_loaded = map(
        int, re.search(r"(\d+) kernels ready in .* s: (\d+) compiled, (\d+) loaded", done.stdout).groups()
    )
    assert n_kernels == n_compiled + n_loaded
    return n_compiled, done.stdout


def test_the_second_time_everything_is_loaded(tmp_path):
    folder = tmp_path / "kernels"
    n_compiled, text = warmup("--cache-dir", folder)
    assert n_compiled > 0
    assert f"cache: {folder}" in text
    assert warmup("--cache-dir", folder)[0] == 0
    assert warmup(STREAMRNN_CACHE_DIR=str(folder))[0] == 0
