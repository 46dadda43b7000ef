"""The audio front end for training: what a session computes of a stream, in PyTorch and of whole recordings."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from streamrnn.model.frontend.frontend import Frontend, parse_frontend
from streamrnn.model.frontend.graph import PREFIX, RUNNING_EPS, frontend_nodes

TINY = 1e-30
"""Smallest square under a root, whose slope at 0 is infinite."""


class FrontendModule(nn.Module):
    """Features of whole recordings by the very matrices of the streamed front end; differentiable, without parameters.

    Feature j of a recording is output `j + delay` of a session that is fed the same samples.

    Attributes:
        frontend: its choices.
        delay: frames by which the session's outputs come later.
    """

    def __init__(self, chosen: str | Frontend) -> None:
        """Make the matrices.

        Args:
            chosen: a `Frontend`, or a name that `parse_frontend` knows.

        Raises:
            OptionError: there is no such front end.
        """
        super().__init__()
        self.frontend = parse_frontend(chosen)
        _, tensors, _, self.delay = frontend_nodes(self.frontend)
        for name, tensor in tensors.items():
            self.register_buffer(_buffer(name), torch.from_numpy(tensor), persistent=False)

    def n_frames(self, n_samples: int) -> int:
        """Features of a recording of `n_samples`: outputs of a session, less the delay."""
        return max(0, n_samples // self.frontend.hop - self.delay)

    def forward(self, samples: Tensor) -> Tensor:
        """Map samples (batch, n_samples) float32 in [-1, 1] to features (batch, n_frames(n_samples), size)."""
        features = self._static(self._windows(samples))
        if self.frontend.delta_order:
            features = self._with_differences(features)
        if self.frontend.normalisation == "fixed":
            return features * self._tensor("normalised.scale") + self._tensor("normalised.shift")
        return _running_norm(features) if self.frontend.normalisation == "running" else features

    def _tensor(self, name: str) -> Tensor:
        return self.get_buffer(_buffer(PREFIX + name))

    def _linear(self, name: str, x: Tensor) -> Tensor:
        return nn.functional.linear(x, self._tensor(f"{name}.weight"))

    def _windows(self, samples: Tensor) -> Tensor:
        """Windows (batch, n, window), less their means where that is chosen."""
        hop, window = self.frontend.hop, self.frontend.window_size
        samples = samples[:, : samples.shape[1] // hop * hop]
        if self.frontend.align == "causal":
            samples = nn.functional.pad(samples, (window - hop, 0))  # cut, where the window is the shorter one
        if samples.shape[1] < window:
            return samples.new_zeros(samples.shape[0], 0, window)
        windows = samples.unfold(1, window, hop)
        return windows - windows.mean(-1, keepdim=True) if self.frontend.remove_dc else windows

    def _static(self, windows: Tensor) -> Tensor:
        frontend = self.frontend
        power = self._linear("real", windows).square() + self._linear("imaginary", windows).square()
        features = power if frontend.use_power else power.clamp_min(TINY).sqrt()
        if frontend.n_mels:
            features = self._linear("mel", features)
        features = self._log(features)
        energy = [self._log(self._linear("raw_energy", windows.square()))] if frontend.use_energy else []
        if frontend.n_ceps:
            is_left = frontend.n_ceps > len(energy)
            features = self._linear("cepstra", features) if is_left else features[..., :0]
        return torch.cat([*energy, features], -1)

    def _log(self, values: Tensor) -> Tensor:
        match self.frontend.log:
            case "none":
                return values
            case "log10":
                return values.clamp_min(self.frontend.log_floor).log10()
            case _:
                return values.clamp_min(self.frontend.log_floor).log()

    def _with_differences(self, features: Tensor) -> Tensor:
        """Features and their differences, of the frames that have all the frames ahead; before the first are such."""
        order, width = self.frontend.delta_order, self.frontend.delta_window
        ahead = order * width
        n = features.shape[1] - ahead
        if n <= 0:
            return features.new_zeros(features.shape[0], 0, self.frontend.size)
        padded = torch.cat([features[:, :1].expand(-1, ahead, -1), features], 1)
        blocks = [features[:, :n]]
        for i in range(1, order + 1):
            weights = self._tensor(f"delta_{i}.weight")[0, 0]
            first = ahead - i * width
            blocks.append(padded[:, first : first + n + 2 * i * width].unfold(1, weights.numel(), 1) @ weights)
        return torch.cat(blocks, -1)


def _buffer(name: str) -> str:
    """Name of the buffer of a tensor: dots are not for buffers."""
    return name.replace(".", "_")


def _running_norm(features: Tensor) -> Tensor:
    """Each feature less the mean of all so far, over their deviation; in float64, since sums grow."""
    x = features.double()
    counts = torch.arange(1, x.shape[1] + 1, device=x.device)[:, None]
    mean = x.cumsum(1) / counts
    variance = (x.square().cumsum(1) / counts - mean.square()).clamp_min(0)
    return ((x - mean) / (variance + RUNNING_EPS).sqrt()).to(features.dtype)
