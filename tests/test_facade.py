"""The names of the package are there when they are wanted, and cost nothing before."""

from __future__ import annotations

import subprocess
import sys

import pytest

import streamrnn


@pytest.mark.parametrize("name", streamrnn.__all__)
def test_every_name_is_there(name: str) -> None:
    found = getattr(streamrnn, name)
    assert found is getattr(sys.modules[found.__module__], found.__name__)
    assert name in dir(streamrnn)


def test_a_name_that_is_none() -> None:
    with pytest.raises(AttributeError, match="'streamrnn' has no attribute 'Motor'"):
        _ = streamrnn.Motor


def test_a_name_loads_what_it_needs_and_the_package_nothing() -> None:
    code = """
import sys, streamrnn, streamrnn.errors, streamrnn.limits
print({'numpy', 'numba', 'msgspec'} & sys.modules.keys())
streamrnn.Engine
print('numba' in sys.modules, streamrnn.decode.__name__)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\nTrue streamrnn.decode\n"
