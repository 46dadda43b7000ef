"""What training leaves and what the other verbs begin with: the net in its checkpoint, with its learning curve."""

from __future__ import annotations

from typing import Any, TypeVar

from torch import nn

from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.fit import History
from training.options import Options

Net = TypeVar("Net", bound=nn.Module)


def keep(
    net: nn.Module,
    arguments: dict[str, Any],
    options: Options,
    history: History,
    figures: dict[str, float],
    train_s: float,
    loss_name: str,
) -> None:
    """Write checkpoint and learning curve, and say what was kept.

    Args:
        net: trained.
        arguments: what its class is built with.
        options: seed, command, and where to.
        history: losses of each epoch.
        figures: what the kept weights reach on the validation part, by name.
        train_s: seconds of training, by the clock.
        loss_name: of the curve's vertical axis, with its unit.
    """
    weights = net.state_dict()
    checkpoint = Checkpoint(weights, arguments, options.seed, options.command, history, figures, train_s)
    checkpoint.save(options.checkpoint)
    plot_history(history, options.curve, options.recipe, loss_name)
    measured = ", ".join(f"{name.replace('_', ' ')} {value:.4f}" for name, value in figures.items())
    print(f"kept epoch {history.best_epoch} after {train_s:.0f} s: {measured}")


def restore(net_class: type[Net], options: Options) -> tuple[Net, Checkpoint]:
    """Give the trained net, in evaluation mode, and its checkpoint.

    Raises:
        CheckpointMissing: it has not been trained.
    """
    checkpoint = Checkpoint.load(options.checkpoint, options.recipe)
    net = net_class(**checkpoint.arguments)
    net.load_state_dict(checkpoint.weights)
    return net.eval(), checkpoint


def n_parameters(net: nn.Module) -> int:
    """Count the numbers that training chose."""
    return sum(parameter.numel() for parameter in net.parameters())
