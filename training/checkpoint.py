"""Checkpoints: what `train` leaves for `evaluate` and `export`, in a folder that git ignores."""

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from training.fit import History


class CheckpointMissing(FileNotFoundError):
    """There is no trained net yet; the text says which command makes one."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(frozen=True)
class Checkpoint:
    """A trained net and how it came about.

    Attributes:
        weights: the net's state_dict.
        arguments: what the net's class is built with.
        seed: of the run.
        command: that makes this checkpoint again.
        history: losses of each epoch.
        figures: what training measured, by name.
        train_s: seconds that it took, by the clock.
    """

    weights: dict[str, Tensor]
    arguments: dict[str, Any]
    seed: int
    command: str
    history: History
    figures: dict[str, float]
    train_s: float = 0.0

    def save(self, path: Path) -> None:
        """Write to `path`, making its folder."""
        path.parent.mkdir(parents=True, exist_ok=True)
        torch.save({**vars(self), "history": asdict(self.history)}, path)

    @classmethod
    def load(cls, path: Path, recipe: str) -> "Checkpoint":
        """Read a checkpoint that `recipe` wrote; nothing in the file is executed.

        Raises:
            CheckpointMissing: there is none at `path`.
        """
        if not path.is_file():
            raise CheckpointMissing(f"{path} not found; make it with: python -m training.recipes.{recipe} train")
        parts = torch.load(path, weights_only=True)
        return cls(**{**parts, "history": History(**parts["history"])})
