"""Truncated backpropagation through time: gradients stop at the window's edge, the state goes on.

Source: Williams and Peng, "An efficient gradient-based algorithm for on-line training of recurrent network
trajectories", Neural Computation 2(4), 1990; the variant that steps and truncates by the same number of frames.
"""

from collections.abc import Callable, Iterator
from typing import TypeAlias

import torch
from torch import Tensor, nn

State: TypeAlias = Tensor | tuple[Tensor, ...] | None
"""What a recurrent module carries from frame to frame: h, or (h, c), or None for zeros."""

Loss: TypeAlias = Callable[[Tensor, Tensor], Tensor]
"""(output, target) -> scalar, a mean over frames."""


def detach(state: State) -> State:
    """Give the same numbers cut off from the graph that made them."""
    if state is None:
        return None
    if isinstance(state, Tensor):
        return state.detach()
    return tuple(part.detach() for part in state)


def window_slices(n_frames: int, window_frames: int) -> Iterator[slice]:
    """Cut 0 .. n_frames into windows in order; the last one may be shorter.

    Raises:
        ValueError: `window_frames` is not positive.
    """
    if window_frames < 1:
        raise ValueError(f"a window has at least 1 frame, not {window_frames}")
    for start in range(0, n_frames, window_frames):
        yield slice(start, min(start + window_frames, n_frames))


def fold(sequence: Tensor, n_lanes: int) -> Tensor:
    """Cut one long sequence into lanes that are trained side by side.

    Args:
        sequence: (n_frames, ...).
        n_lanes: 1 .. n_frames; frames that do not fill the last row of lanes are dropped.

    Returns:
        (n_lanes, n_frames // n_lanes, ...), each lane contiguous in time.
    """
    lane_frames = sequence.shape[0] // n_lanes
    return sequence[: n_lanes * lane_frames].reshape(n_lanes, lane_frames, *sequence.shape[1:])


def windows(net: nn.Module, x: Tensor, window_frames: int) -> Iterator[tuple[slice, Tensor]]:
    """Run a net window by window, its state carried and detached between windows.

    Args:
        net: called as net(x, state) -> (output, state), batch first.
        x: (n_lanes, n_frames, ...).
        window_frames: frames in a window, >= 1.

    Yields:
        The window's slice of time and its output (n_lanes, window frames, ...).
    """
    state: State = None
    for window in window_slices(x.shape[1], window_frames):
        output, state = net(x[:, window], detach(state))
        yield window, output


def run(net: nn.Module, x: Tensor, window_frames: int = 1024) -> Tensor:
    """Give the output of a whole sequence without gradients: (n_lanes, n_frames, ...), in evaluation mode."""
    was_training = net.training
    net.eval()
    with torch.no_grad():
        outputs = [output for _, output in windows(net, x, window_frames)]
    net.train(was_training)
    return torch.cat(outputs, dim=1)


def train_epoch(
    net: nn.Module,
    x: Tensor,
    target: Tensor,
    optimiser: torch.optim.Optimizer,
    loss: Loss,
    window_frames: int,
    clip_norm: float,
    after_window: Callable[[], None] = lambda: None,
) -> float:
    """Train on every window of (x, target) once, in order, one optimiser step a window.

    Args:
        net: called as net(x, state) -> (output, state), batch first; its parameters are updated in place.
        x: (n_lanes, n_frames, ...).
        target: (n_lanes, n_frames, ...), the wanted output of each frame.
        optimiser: over the net's parameters.
        loss: a mean over the frames of a window.
        window_frames: frames that gradients flow back through, >= 1.
        clip_norm: bound of the gradient's 2-norm over all parameters, > 0.
        after_window: called after each step, for the progress bar and the learning rate.

    Returns:
        The mean loss of a frame.

    Raises:
        FloatingPointError: the gradient is not finite; the parameters keep their last finite values.
    """
    net.train()
    total = 0.0
    for window, output in windows(net, x, window_frames):
        value = loss(output, target[:, window])
        optimiser.zero_grad(set_to_none=True)
        value.backward()  # type: ignore[no-untyped-call]
        norm = nn.utils.clip_grad_norm_(net.parameters(), clip_norm)
        if not torch.isfinite(norm):
            raise FloatingPointError(f"gradient norm is {norm.item()} in frames {window.start} .. {window.stop}")
        optimiser.step()
        total += value.item() * (window.stop - window.start)
        after_window()
    return total / x.shape[1]
