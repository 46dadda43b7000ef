"""Processes that start at once on one cache directory: hosts of several CPUs and vector widths, beside each other.

The races are run on a tiny kernel, which brings the writes close together, and once on the real ones.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from pathlib import Path

import pytest
from llvmlite import binding

from streamrnn.kernels.cache import cpu_name
from streamrnn.kernels.simd import WIDTH

ROOT = Path(__file__).resolve().parents[2]
ON_X86 = platform.machine().lower() in {"x86_64", "amd64"}
OTHER_CPUS = [name for name in ("haswell", "znver3", "skylake") if name != cpu_name()][:2] if ON_X86 else []
THIS_HOST: dict[str, str] = {}
OTHER_WIDTH = {"STREAMRNN_VECTOR_WIDTH": "8" if WIDTH == 4 else "4"}
HOSTS = [THIS_HOST, OTHER_WIDTH, *({"NUMBA_CPU_NAME": name} for name in OTHER_CPUS)]
"""Each as the environment that makes this host pass for it. It can run the code of all: only LLVM's choices differ."""
NAMED_CPU = {"NUMBA_CPU_NAME": "x86-64-v3", "NUMBA_CPU_FEATURES": "", "STREAMRNN_VECTOR_WIDTH": "8"}
"""What the docs tell to set where one image serves several kinds of CPU."""
RUNS_NAMED_CPU = ON_X86 and all(binding.get_host_cpu_features().get(name) for name in ("avx2", "fma", "bmi2", "lzcnt"))

TINY = """
import json, sys
from streamrnn.kernels import jit

@jit.entry("int64(int64)")
def triple(a):
    return 3 * a

print("up", flush=True)
sys.stdin.readline()
triple.compile("int64(int64)")
print(json.dumps([sum(triple.stats.cache_misses.values()), triple(14)]))
"""
REAL = """
import hashlib, json, sys
import streamrnn
from tests.laws.nets import CELLS, random_frames, random_model
from tests.laws.test_laws import engine_of

print("up", flush=True)
sys.stdin.readline()
done = streamrnn.warmup()
digest = hashlib.sha256()
for cell in CELLS:
    model = random_model(cell, 3, 20)
    engine = engine_of(model)
    digest.update(engine.open("m").run(random_frames(model, 20)).tobytes())
    digest.update(engine.step_many([engine.open("m") for _ in range(5)], random_frames(model, 5)).tobytes())
print(json.dumps([done.n_compiled, digest.hexdigest()]))
"""


def start_at_once(command, directory, hosts):
    """Kernels compiled and what was computed, for each host; all begin together. None may log anything."""
    pipe = subprocess.PIPE
    environment = {**os.environ, "STREAMRNN_CACHE_DIR": str(directory)}
    children = [
        subprocess.Popen(
            command, cwd=ROOT, env={**environment, **host}, stdin=pipe, stdout=pipe, stderr=pipe, text=True
        )
        for host in hosts
    ]
    for child in children:
        child.stdout.readline()
    for child in children:
        child.stdin.write("go\n")
        child.stdin.flush()
    found = []
    for child in children:
        out, log = child.communicate(timeout=240)
        assert (child.returncode, log) == (0, "")
        found.append(json.loads(out))
    compiled, computed = zip(*found, strict=True)
    return compiled, set(computed)


@pytest.fixture
def tiny(tmp_path):
    """The command that compiles or loads the tiny kernel."""
    source = tmp_path / "tiny.py"
    source.write_text(TINY)
    return [sys.executable, str(source)]


def test_each_cpu_and_width_has_an_entry_of_its_own(tiny, tmp_path):
    place = tmp_path / "cache"
    for n, host in enumerate(HOSTS, start=1):
        assert start_at_once(tiny, place, [host]) == ((1,), {42})
        assert len(list(place.iterdir())) == n
    assert start_at_once(tiny, place, HOSTS) == ((0,) * len(HOSTS), {42})


@pytest.mark.parametrize("is_there", [True, False])
def test_starts_that_race_lose_no_entry(tiny, tmp_path, is_there):
    place = tmp_path / "deep" / "cache"
    if is_there:
        place.mkdir(parents=True, mode=0o700)
    _, computed = start_at_once(tiny, place, HOSTS * 2)
    assert computed == {42}
    assert len(list(place.iterdir())) == len(HOSTS)
    assert start_at_once(tiny, place, HOSTS) == ((0,) * len(HOSTS), {42})


@pytest.mark.skipif(not ON_X86, reason="the name of an x86 CPU")
def test_a_named_cpu_makes_the_cache_blind_to_the_host():
    code = "from numba.core.registry import cpu_target as it; print(it.target_context.codegen().magic_tuple()[1:])"
    command, environment = [sys.executable, "-c", code], {**os.environ, **NAMED_CPU}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == "('x86-64-v3', '')\n"


def test_the_real_kernels_of_several_hosts_race_and_give_the_same_bits(tmp_path):
    real, place = [sys.executable, "-c", REAL], tmp_path / "cache"
    hosts = [THIS_HOST, OTHER_WIDTH, *([NAMED_CPU] if RUNS_NAMED_CPU else [])]
    compiled, cold = start_at_once(real, place, [THIS_HOST, *hosts])
    assert len(cold) == 1
    assert min(compiled) > 0
    assert len(list(place.iterdir())) == max(compiled) * len(hosts)
    assert start_at_once(real, place, hosts) == ((0,) * len(hosts), cold)
