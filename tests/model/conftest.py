"""PyTorch on one thread: on more, the steps of small cells wait for threads that the other tests hold."""

from __future__ import annotations

import contextlib

with contextlib.suppress(ImportError):
    import torch

    torch.set_num_threads(1)
