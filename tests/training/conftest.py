"""Fixtures of the training tests: real data where it is, and PyTorch's global settings put back."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

from training.data import DataMissing, DataSet, data_folder
from training.sets.nab import NAB
from training.sets.tinyshakespeare import TINYSHAKESPEARE


def folder_or_skip(data_set: DataSet) -> Path:
    """Find a data set; without it the test is skipped, saying so, but fails where CI=true."""
    try:
        return data_folder(data_set)
    except DataMissing as error:
        if os.environ.get("CI") == "true":
            pytest.fail(f"CI must have the data: {error}")
        pytest.skip(str(error))


@pytest.fixture
def nab() -> Path:
    return folder_or_skip(NAB)


@pytest.fixture
def tinyshakespeare() -> Path:
    return folder_or_skip(TINYSHAKESPEARE)


@pytest.fixture(autouse=True)
def torch_as_it_was() -> Iterator[None]:
    """A recipe sets threads and determinism for its process; other tests must not feel it."""
    n_threads, is_deterministic = torch.get_num_threads(), torch.are_deterministic_algorithms_enabled()
    yield
    torch.set_num_threads(n_threads)
    torch.use_deterministic_algorithms(is_deterministic)
