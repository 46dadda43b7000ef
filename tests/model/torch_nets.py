"""Modules as people write them, for the importer that reads their graph."""

from __future__ import annotations

import torch
from torch import nn
from torch.nn import functional


def shaken(module):
    """The module in eval mode, the figures of its batch norms as after training."""
    for child in module.modules():
        if isinstance(child, nn.modules.batchnorm._BatchNorm):
            nn.init.normal_(child.running_mean)
            nn.init.uniform_(child.running_var, 0.5, 2.0)
            nn.init.normal_(child.weight)
            nn.init.normal_(child.bias)
    return module.eval()


class Residual(nn.Module):
    """As in TCNs: symmetric padding, cut at the end."""

    def __init__(self, n, dilation):
        super().__init__()
        self.cut = 2 * dilation
        self.one = nn.Conv1d(n, n, 3, padding=self.cut, dilation=dilation)
        self.two = nn.Conv1d(n, n, 3, padding=self.cut, dilation=dilation)

    def forward(self, x):
        y = torch.relu(self.one(x)[..., : -self.cut])
        return torch.relu(x + self.two(y)[..., : -self.cut].contiguous())


class Tcn(nn.Module):
    def __init__(self):
        super().__init__()
        self.first = nn.Conv1d(5, 8, 1)
        self.blocks = nn.Sequential(*(Residual(8, 2**i) for i in range(4)))
        self.head = nn.Linear(8, 2)

    def forward(self, x):
        return self.head(self.blocks(self.first(x)).transpose(1, 2))


class ConvGru(nn.Module):
    """Heads in a dict."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv1d(6, 10, 4, bias=False)
        self.gru = nn.GRU(10, 12, num_layers=2, batch_first=True)
        self.pitch, self.voice = nn.Linear(12, 5), nn.Linear(12, 1)

    def forward(self, x):
        y = self.conv(functional.pad(x.transpose(1, 2), (3, 0)))
        y, _ = self.gru(functional.leaky_relu(y, 0.2).transpose(1, 2))
        return {"pitch": self.pitch(y).log_softmax(-1), "voice": torch.sigmoid(self.voice(y))}


def separable(n_in, n_out, stride=1):
    return nn.Sequential(
        nn.ConstantPad1d((4, 0), 0.0),
        nn.Conv1d(n_in, n_in, 5, groups=n_in, stride=stride),
        nn.BatchNorm1d(n_in),
        nn.ReLU6(),
        nn.Conv1d(n_in, n_out, 1, bias=False),
        nn.BatchNorm1d(n_out),
        nn.Hardswish(),
    )


class Projected(nn.Module):
    def __init__(self):
        super().__init__()
        self.lstm = nn.LSTM(7, 16, num_layers=2, proj_size=6, batch_first=True)

    def forward(self, x):
        return self.lstm(x)[0]


class Speaker(nn.Module):
    """As x-vectors: valid dilated convolutions, then mean and deviation over the time."""

    def __init__(self):
        super().__init__()
        self.convs = nn.Sequential(nn.Conv1d(6, 12, 5), nn.ReLU(), nn.BatchNorm1d(12), nn.Conv1d(12, 9, 3, dilation=2))
        self.out = nn.Linear(18, 4)

    def forward(self, x):
        y = self.convs(x)
        return self.out(torch.cat([y.mean(2), y.std(2)], 1))


class Pooled(nn.Module):
    def __init__(self):
        super().__init__()
        self.gru, self.out = nn.GRU(4, 8, batch_first=True), nn.Linear(24, 3)

    def forward(self, x):
        y, h = self.gru(x)
        return self.out(torch.cat([y.mean(1), y.amax(1), h[-1]], -1)).softmax(-1)


class Ahead(nn.Module):
    """A look-ahead of 1 + 4 frames; the skip waits for it."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv1d(3, 8, 3, padding="same")
        self.two = nn.Conv1d(8, 3, 9, padding="same")

    def forward(self, x):
        return x + self.two(functional.elu(self.one(x)))


class Denoiser(nn.Module):
    """As RNNoise: valid convolutions, cells with concatenated skips, two heads."""

    def __init__(self):
        super().__init__()
        self.one, self.two = nn.Conv1d(10, 12, 3, padding="valid"), nn.Conv1d(12, 16, 3, padding="valid")
        self.grus = nn.ModuleList(nn.GRU(16, 16, batch_first=True) for _ in range(3))
        self.gains, self.vad = nn.Linear(64, 8), nn.Linear(64, 1)

    def forward(self, x, states=None):
        y = torch.tanh(self.two(torch.tanh(self.one(x.permute(0, 2, 1))))).permute(0, 2, 1)
        found, ys = [], [y]
        for i, gru in enumerate(self.grus):
            y, h = gru(y, None if states is None else states[i])
            found.append(h)
            ys.append(y)
        y = torch.cat(ys, -1)
        return torch.sigmoid(self.gains(y)), torch.sigmoid(self.vad(y)), found


class RawAudio(nn.Module):
    """Samples to features: strides of 4 * 4 * 2 samples."""

    def __init__(self):
        super().__init__()
        self.convs = nn.ModuleList([nn.Conv1d(1, 8, 8, 4), nn.Conv1d(8, 12, 8, 4), nn.Conv1d(12, 6, 4, 2)])
        self.norm = nn.LayerNorm(6)

    def forward(self, wave):
        y = wave.unsqueeze(1)
        for conv in self.convs:
            y = functional.gelu(conv(y))
        return self.norm(y.transpose(1, 2))


class VoiceFrame(nn.Module):
    """As Silero VAD: a window of samples a call, its spectrum by convolution, an LSTM whose state goes in and out."""

    def __init__(self):
        super().__init__()
        self.register_buffer("basis", torch.randn(66, 1, 64) / 8)
        self.encoder = nn.Sequential(
            nn.Conv1d(33, 24, 3, padding=1), nn.ReLU(), nn.Conv1d(24, 16, 3, stride=2, padding=1), nn.ReLU(),
            nn.Conv1d(16, 16, 3, stride=2, padding=1), nn.ReLU(),
        )  # fmt: skip
        self.cell = nn.LSTMCell(16, 16)
        self.head = nn.Sequential(nn.ReLU(), nn.Conv1d(16, 1, 1), nn.Sigmoid())

    def forward(self, x, state):
        x = functional.pad(x, (0, 16), "reflect").unsqueeze(1)
        both = functional.conv1d(x, self.basis, stride=32)
        y = self.encoder(torch.sqrt(both[:, :33] ** 2 + both[:, 33:] ** 2)).squeeze(-1)
        h, c = self.cell(y, (state[0], state[1]))
        return self.head(h.unsqueeze(-1)).squeeze(1).mean(1, keepdim=True), torch.stack([h, c])


class WaveNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.embed = nn.Embedding(17, 8)
        self.gates = nn.ModuleList(nn.Conv1d(8, 16, 2, dilation=2**i) for i in range(3))
        self.skips = nn.ModuleList(nn.Conv1d(8, 12, 1) for _ in range(3))
        self.out = nn.Conv1d(12, 17, 1)

    def forward(self, tokens):
        x, total = self.embed(tokens).transpose(1, 2), 0
        for i, (gate, skip) in enumerate(zip(self.gates, self.skips, strict=True)):
            a, b = gate(functional.pad(x, (2**i, 0))).chunk(2, 1)
            y = torch.tanh(a) * torch.sigmoid(b)
            total = total + skip(y)
            x = x + y
        return self.out(functional.relu(total)).transpose(1, 2)


class Stepwise(nn.Module):
    """Cells of one step, with a norm between; states as two arguments."""

    def __init__(self):
        super().__init__()
        self.gru, self.lstm = nn.GRUCell(5, 8), nn.LSTMCell(8, 6)
        self.norm, self.out = nn.LayerNorm(8), nn.Linear(6, 2)

    def forward(self, x, h, hc):
        h = self.gru(x, h)
        hc = self.lstm(functional.silu(self.norm(h)), hc)
        return self.out(hc[0]), h, hc


class NormedState(nn.Module):
    """The state is more than the cell's: it is normalised before it is handed on."""

    def __init__(self):
        super().__init__()
        self.cell, self.norm, self.out = nn.GRUCell(4, 6), nn.LayerNorm(6), nn.Linear(6, 2)

    def forward(self, x, h):
        h = self.norm(self.cell(x, h))
        return {"y": self.out(h), "h": h}


class Peeks(nn.Module):
    """The last h is read beside the cell that keeps it."""

    def __init__(self):
        super().__init__()
        self.cell, self.out = nn.LSTMCell(9, 5), nn.Linear(10, 2)

    def forward(self, x, h, c):
        new, c = self.cell(torch.cat([x, h], -1), (h, c))
        return self.out(torch.cat([new, h], -1)), new, c


class Cached(nn.Module):
    """A convolution whose last frames are handed in and back."""

    def __init__(self):
        super().__init__()
        self.conv, self.out = nn.Conv1d(4, 6, 5), nn.Linear(6, 2)

    def forward(self, x, cache):
        both = torch.cat([cache, x], -1)
        return self.out(self.conv(both).transpose(1, 2)), both[..., -4:]


class Framed(nn.Module):
    """Samples are cut into windows by the forward itself."""

    def __init__(self):
        super().__init__()
        self.up, self.gru = nn.Linear(40, 8), nn.GRU(8, 6, batch_first=True)

    def forward(self, wave):
        return self.gru(self.up(wave.unfold(-1, 40, 20) * torch.hann_window(40)))[0]


class Frequency(nn.Module):
    """Convolutions over time and frequency, causal in time; the frequencies become channels of a GRU."""

    def __init__(self):
        super().__init__()
        self.one = nn.Conv2d(1, 4, (2, 3), stride=(1, 2), padding=(0, 1))
        self.two = nn.Conv2d(4, 6, (1, 3), groups=2)
        self.gru, self.out = nn.GRU(6 * 4, 10, batch_first=True), nn.Linear(10, 12)

    def forward(self, x):  # (1, T, 12)
        y = functional.pad(x.unsqueeze(1), (0, 0, 1, 0))
        y = functional.celu(self.two(functional.mish(self.one(y))), 0.7)
        y = y.permute(0, 2, 1, 3).flatten(2)
        return self.out(self.gru(y)[0]) * x


class Norms(nn.Module):
    """Norms and rarer operations at each step."""

    def __init__(self):
        super().__init__()
        self.up, self.rms, self.group = nn.Linear(4, 12), nn.RMSNorm(12), nn.GroupNorm(3, 12)
        self.slope, self.scale = nn.PReLU(12), nn.Parameter(torch.rand(12))

    def forward(self, x):  # (T, 4)
        y = self.group(self.slope(self.rms(self.up(x))) * self.scale)
        y = functional.normalize(y, dim=-1) + functional.softsign(y) + functional.selu(y).clamp(-1, 2)
        a, b, c = y.unflatten(-1, (3, 4)).unbind(1)
        m, s = y.mean(-1, keepdim=True), y.var(-1, unbiased=False, keepdim=True)
        rest = torch.einsum("tc,cd->td", a - b.abs(), torch.ones(4, 2)) + torch.rsqrt(s + 1)
        return torch.cat(
            [functional.glu(y), rest, m, c.flip(-1), torch.maximum(a, b), torch.logsumexp(y, -1, True)], -1
        )


class Choices(nn.Module):
    """What depends on which value is larger."""

    def __init__(self):
        super().__init__()
        self.up, self.gru = nn.Linear(4, 6), nn.GRU(6, 6, batch_first=True)

    def forward(self, x):  # (1, T, 4)
        y = self.up(x)
        y = torch.where(y > 0.1, y, 0.2 * y - 0.08) + torch.sign(y) * (y.abs() >= 0.5)
        z, _ = self.gru(y.masked_fill((y < -1) | ~(y <= 2), -0.25))
        is_loud = (z.amax(-1, keepdim=True) > 0.3) & (y[..., :1] < 0.4)
        return torch.where(is_loud, z, torch.zeros(6))
