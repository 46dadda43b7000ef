"""Early stopping: keep the weights that validated best and say when to give up."""

import copy
import math

from torch import Tensor, nn


class EarlyStopping:
    """Remembers the best validation loss and the weights that reached it.

    Attributes:
        best_loss: lowest loss seen, infinity before the first.
        best_epoch: its epoch, -1 before the first.
    """

    def __init__(self, patience_epochs: int) -> None:
        """Stop after `patience_epochs` (>= 1) epochs in a row without a new best."""
        if patience_epochs < 1:
            raise ValueError(f"patience is at least 1 epoch, not {patience_epochs}")
        self.patience_epochs = patience_epochs
        self.best_loss = math.inf
        self.best_epoch = -1
        self._epoch = -1
        self._weights: dict[str, Tensor] | None = None

    def observe(self, loss: float, net: nn.Module) -> bool:
        """Take one epoch's validation loss and the weights it was measured on; say whether to stop.

        A NaN is never a best.
        """
        self._epoch += 1
        if loss < self.best_loss:
            self.best_loss, self.best_epoch = loss, self._epoch
            self._weights = copy.deepcopy(net.state_dict())
        return self._epoch - self.best_epoch >= self.patience_epochs

    def restore(self, net: nn.Module) -> None:
        """Put the best weights back into `net`.

        Raises:
            RuntimeError: no epoch had a finite validation loss.
        """
        if self._weights is None:
            raise RuntimeError("no epoch gave a finite validation loss; nothing to restore")
        net.load_state_dict(self._weights)
