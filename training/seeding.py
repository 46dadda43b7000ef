"""Seeds: one number fixes every source of chance of a run."""

import random

import numpy as np
import torch


def seed_everything(seed: int) -> torch.Generator:
    """Seed Python, NumPy and PyTorch, print the seed, and return a generator seeded alike.

    Args:
        seed: 0 .. 2**32 - 1.

    Returns:
        A generator of its own, for draws that must not move when something else draws from the global one.

    Raises:
        ValueError: the seed is outside its range.
    """
    if not 0 <= seed < 2**32:
        raise ValueError(f"a seed is 0 .. 2**32 - 1, not {seed}")
    print(f"seed {seed}")
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)
    torch.use_deterministic_algorithms(True)
    return torch.Generator().manual_seed(seed)
