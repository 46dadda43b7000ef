"""Fit by batches: steps on whole sequences drawn on the fly, with validation, early stopping and a progress bar."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from training.fit import FitSettings, History, learning_rate_share
from training.stopping import EarlyStopping

Net = TypeVar("Net", bound=nn.Module)


def fit_batches(
    net: Net,
    loss: Callable[[Net], Tensor],
    validate: Callable[[Net], float],
    settings: FitSettings,
    n_steps: int,
    show: bool = True,
) -> History:
    """Train `net` in place and leave the best validated weights in it.

    Args:
        net: in training mode when `loss` is called, in evaluation mode for `validate`.
        loss: draws a batch, and gives the net's loss of it.
        validate: net -> validation loss, lower is better.
        settings: see `FitSettings`; a window is a step, its frames those of a sequence.
        n_steps: optimiser steps in an epoch.
        show: draw a progress bar.

    Raises:
        FloatingPointError: the gradient is not finite; the parameters keep their last finite values.
    """
    optimiser = torch.optim.AdamW(
        net.parameters(), lr=settings.learning_rate, weight_decay=settings.weight_decay, fused=True
    )
    decay = get_ema_multi_avg_fn(settings.average_decay)  # type: ignore[no-untyped-call]
    averaged = AveragedModel(net, multi_avg_fn=decay)
    kept = cast(Net, averaged.module) if settings.average_decay else net
    stopping, history, total = EarlyStopping(settings.patience_epochs), History(), n_steps * settings.max_epochs
    schedule = torch.optim.lr_scheduler.LambdaLR(optimiser, lambda step: learning_rate_share(step, total, settings))
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), disable=not show) as progress:
        task = progress.add_task("training", total=total)
        for epoch in range(settings.max_epochs):
            net.train()
            train_loss = 0.0
            for _ in range(n_steps):
                train_loss += step(net, loss(net), optimiser, settings.clip_norm) / n_steps
                schedule.step()
                averaged.update_parameters(net)
                progress.advance(task)
            validation_loss = validate(kept.eval())
            history.train_loss.append(train_loss)
            history.validation_loss.append(validation_loss)
            stop = stopping.observe(validation_loss, kept)
            best = f"best {stopping.best_loss:.4f}"
            progress.update(task, description=f"epoch {epoch}: {train_loss:.4f} / {validation_loss:.4f}, {best}")
            if stop:
                break
    stopping.restore(net)
    history.best_epoch = stopping.best_epoch
    return history


def step(net: nn.Module, loss: Tensor, optimiser: torch.optim.Optimizer, clip_norm: float) -> float:
    """Take one optimiser step down the gradient of `loss`, and give its value.

    Raises:
        FloatingPointError: the gradient is not finite.
    """
    optimiser.zero_grad(set_to_none=True)
    loss.backward()  # type: ignore[no-untyped-call]
    norm = nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
    if not torch.isfinite(norm):
        raise FloatingPointError(f"gradient norm is {norm.item()}")
    optimiser.step()
    return loss.item()
