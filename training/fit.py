"""Fit: epochs of truncated backpropagation with validation, early stopping and a progress bar."""

import math
from collections.abc import Callable
from dataclasses import dataclass, field

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.stopping import EarlyStopping
from training.tbptt import Loss, train_epoch


@dataclass(frozen=True)
class FitSettings:
    """How long and how fast to train.

    Attributes:
        max_epochs: upper bound; the learning rate falls to `final_share` of its start over these, as a cosine.
        patience_epochs: epochs without a better validation loss before stopping.
        window_frames: frames that gradients flow back through.
        learning_rate: of AdamW, after the warm-up.
        warmup_windows: optimiser steps over which the learning rate rises from 0.
        final_share: last learning rate as a share of the first, 0 .. 1.
        weight_decay: of AdamW.
        clip_norm: bound of the gradient's 2-norm.
        average_decay: weights are validated and kept as an exponential average with this decay a step, 0 .. 1;
            0 keeps the last weights themselves.
    """

    max_epochs: int
    patience_epochs: int
    window_frames: int
    learning_rate: float
    warmup_windows: int = 0
    final_share: float = 0.02
    weight_decay: float = 0.0
    clip_norm: float = 1.0
    average_decay: float = 0.0


@dataclass
class History:
    """Losses of each epoch, and which epoch's weights were kept."""

    train_loss: list[float] = field(default_factory=list)
    validation_loss: list[float] = field(default_factory=list)
    best_epoch: int = -1


EpochSource = Callable[[int], tuple[Tensor, Tensor]]
"""epoch -> (x, target), both (n_lanes, n_frames, ...); a new cut or a new augmentation each time, if wanted."""

RunEpoch = Callable[[int, torch.optim.Optimizer, Callable[[], None]], float]
"""(epoch, optimiser, after_step) -> mean training loss; calls after_step once for each optimiser step."""


def fit(
    net: nn.Module,
    epochs: EpochSource,
    loss: Loss,
    validate: Callable[[nn.Module], float],
    settings: FitSettings,
    show: bool = True,
) -> History:
    """Train `net` in place and leave the best validated weights in it.

    Args:
        net: called as net(x, state) -> (output, state), batch first.
        epochs: gives each epoch's frames; the number of windows must stay the same.
        loss: mean over frames.
        validate: net -> validation loss, lower is better.
        settings: see `FitSettings`.
        show: draw a progress bar.

    Raises:
        FloatingPointError: the gradient is not finite.
    """
    x, target = epochs(0)
    n_windows = math.ceil(x.shape[1] / settings.window_frames)

    def run_epoch(epoch: int, optimiser: torch.optim.Optimizer, after_step: Callable[[], None]) -> float:
        frames = epochs(epoch) if epoch else (x, target)
        return train_epoch(net, *frames, optimiser, loss, settings.window_frames, settings.clip_norm, after_step)

    return fit_steps(net, n_windows, run_epoch, validate, settings, show)


def fit_steps(
    net: nn.Module,
    n_steps: int,
    run_epoch: RunEpoch,
    validate: Callable[[nn.Module], float],
    settings: FitSettings,
    show: bool = True,
) -> History:
    """Train `net` in place, whatever an epoch is made of, and leave the best validated weights in it.

    Args:
        net: its parameters are updated in place.
        n_steps: optimiser steps of an epoch.
        run_epoch: trains on every frame of an epoch once.
        validate: net -> validation loss, lower is better.
        settings: see `FitSettings`; the length of windows is the epoch's own affair.
        show: draw a progress bar.
    """
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    decay = get_ema_multi_avg_fn(settings.average_decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(net, multi_avg_fn=decay)
    kept = averaged.module if settings.average_decay else net
    stopping, history = EarlyStopping(settings.patience_epochs), History()
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimiser, lambda step: learning_rate_share(step, n_steps * settings.max_epochs, settings)
    )
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), disable=not show) as progress:
        task = progress.add_task("training", total=n_steps * settings.max_epochs)

        def after_step() -> None:
            schedule.step()
            averaged.update_parameters(net)
            progress.advance(task)

        for epoch in range(settings.max_epochs):
            history.train_loss.append(run_epoch(epoch, optimiser, after_step))
            history.validation_loss.append(validate(kept))
            stop = stopping.observe(history.validation_loss[-1], kept)
            losses = f"{history.train_loss[-1]:.4f} / {history.validation_loss[-1]:.4f}"
            progress.update(task, description=f"epoch {epoch}: {losses}, best {stopping.best_loss:.4f}")
            if stop:
                break
    stopping.restore(net)
    history.best_epoch = stopping.best_epoch
    return history


def learning_rate_share(step: int, n_steps: int, settings: FitSettings) -> float:
    """Give the learning rate of a step (0 .. n_steps) as a share of its maximum: linear warm-up, then a cosine."""
    if step < settings.warmup_windows:
        return (step + 1) / settings.warmup_windows
    done = (step - settings.warmup_windows) / max(1, n_steps - settings.warmup_windows)
    return settings.final_share + (1.0 - settings.final_share) * 0.5 * (1.0 + math.cos(math.pi * min(1.0, done)))
