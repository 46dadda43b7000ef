"""Two nets of speech in their real sizes, with random weights, as PyTorch modules and as the ONNX files made of them.

RNNoise (its net since 2024, which reads 65 features of 10 ms) takes a whole sequence; Silero's voice activity
detector takes 512 samples at 16 kHz behind the last 64, and its state is handed in and out.
"""

from __future__ import annotations

import io
import warnings

import torch
from torch import nn
from torch.nn import functional

SAMPLES, BEFORE = 512, 64
"""Of the detector: new samples in a frame, and old ones that it sees again."""


class RnnoiseShape(nn.Module):
    """(1, T, 65) to gains (1, T - 4, 32) and voice (1, T - 4, 1)."""

    def __init__(self, n_features: int = 65, n_conv: int = 128, n: int = 384, n_bands: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(n_features, n_conv, 3)
        self.conv2 = nn.Conv1d(n_conv, n, 3)
        self.gru1 = nn.GRU(n, n, batch_first=True)
        self.gru2 = nn.GRU(n, n, batch_first=True)
        self.gru3 = nn.GRU(n, n, batch_first=True)
        self.gain = nn.Linear(4 * n, n_bands)
        self.voice = nn.Linear(4 * n, 1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Gains of the bands and the chance of voice at each step but the first four."""
        x = torch.tanh(self.conv1(x.transpose(1, 2)))
        x = torch.tanh(self.conv2(x)).transpose(1, 2)
        a, _ = self.gru1(x)
        b, _ = self.gru2(a)
        c, _ = self.gru3(b)
        joined = torch.cat([x, a, b, c], -1)
        return torch.sigmoid(self.gain(joined)), torch.sigmoid(self.voice(joined))


class SileroShape(nn.Module):
    """(1, 576) and a state (2, 1, 128) to the chance of voice (1, 1) and the state."""

    def __init__(self, n: int = 128) -> None:
        super().__init__()
        self.stft = nn.Conv1d(1, 258, 256, 128, bias=False)
        self.encoder = nn.Sequential(
            nn.Conv1d(129, 128, 3, 1, 1), nn.ReLU(),
            nn.Conv1d(128, 64, 3, 2, 1), nn.ReLU(),
            nn.Conv1d(64, 64, 3, 2, 1), nn.ReLU(),
            nn.Conv1d(64, n, 3, 1, 1), nn.ReLU(),
        )  # fmt: skip
        self.lstm = nn.LSTM(n, n, batch_first=True)
        self.head = nn.Conv1d(n, 1, 1)

    def forward(self, x: torch.Tensor, state: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """One call is one frame."""
        x = functional.pad(x.unsqueeze(1), (0, BEFORE), "reflect")
        x = self.stft(x)
        real, imaginary = x[:, :129], x[:, 129:]
        x = self.encoder(torch.sqrt(real**2 + imaginary**2))
        x, (h, c) = self.lstm(x.transpose(1, 2), (state[:1], state[1:]))
        x = torch.sigmoid(self.head(torch.relu(x).transpose(1, 2)))
        return x.mean(2), torch.cat([h, c])


def rnnoise_shape(dynamo: bool = False) -> tuple[nn.Module, bytes]:
    """The module, seeded, and its ONNX file with the time left open."""
    torch.manual_seed(0)
    module = RnnoiseShape().eval().requires_grad_(False)
    example = (torch.randn(1, 40, 65),)
    if dynamo:
        shapes = {"x": {1: torch.export.Dim("time")}}
        return module, exported(module, example, dynamo=True, dynamic_shapes=shapes, output_names=["gain", "voice"])
    axes = {"x": {1: "time"}, "gain": {1: "time_out"}, "voice": {1: "time_out"}}
    return module, exported(module, example, input_names=["x"], output_names=["gain", "voice"], dynamic_axes=axes)


def silero_shape(dynamo: bool = False) -> tuple[nn.Module, bytes]:
    """The module, seeded, and its ONNX file, whose input and state have fixed shapes."""
    torch.manual_seed(0)
    module = SileroShape().eval().requires_grad_(False)
    example = (torch.randn(1, BEFORE + SAMPLES), torch.zeros(2, 1, 128))
    names = {"input_names": ["x", "state"], "output_names": ["voice", "stateN"]}
    return module, exported(module, example, dynamo=dynamo, **names)


def exported(module: nn.Module, example: tuple[torch.Tensor, ...], dynamo: bool = False, **options: object) -> bytes:
    """A module as the bytes of an ONNX file, by one of PyTorch's two exporters."""
    buffer = io.BytesIO()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of the one that it will go, of the other that packages it can do without miss
        extra = {"verbose": False} if dynamo else {}
        torch.onnx.export(module, example, buffer, dynamo=dynamo, **extra, **options)  # type: ignore[arg-type]
    return buffer.getvalue()
