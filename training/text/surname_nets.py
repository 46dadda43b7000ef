"""Three nets that name the language of a surname: the vanilla RNN as tutorials write it, an LSTM, a GRU.

A frame is one character, as a vector with a one; the last frame of a name is the end mark. Each output is the
log-probability of every language, so a name can be watched while it is typed.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from training.tbptt import State

Kind = Literal["RNN", "LSTM", "GRU"]
KINDS: tuple[Kind, ...] = ("RNN", "LSTM", "GRU")


class VanillaRNN(nn.Module):
    """One step of the classic: hidden and output are both linear in concat(input, hidden), the hidden through tanh.

    The importer knows this form by its `i2h` and `i2o` (see docs/reference/importing.md). Source: S. Robertson,
    "Classifying names with a character-level RNN", PyTorch tutorials.
    """

    def __init__(self, input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.hidden_size = hidden_size
        self.i2h = nn.Linear(input_size + hidden_size, hidden_size)
        self.i2o = nn.Linear(input_size + hidden_size, output_size)
        self.softmax = nn.LogSoftmax(dim=1)

    def forward(self, input: Tensor, hidden: Tensor) -> tuple[Tensor, Tensor]:
        """Map a frame (n, input_size) and the hidden state before it to an output and the hidden state after it."""
        combined = torch.cat((input, hidden), 1)
        return self.softmax(self.i2o(combined)), torch.tanh(self.i2h(combined))

    def initHidden(self) -> Tensor:
        """The hidden state before the first frame, by the name that the importer asks for."""
        return torch.zeros(1, self.hidden_size)


class CellNet(nn.Module):
    """Cell, linear, log-softmax: frames (n_lanes, n_frames, n_symbols) to outputs (n_lanes, n_frames, n_languages)."""

    def __init__(self, kind: Literal["LSTM", "GRU"], input_size: int, hidden_size: int, output_size: int) -> None:
        super().__init__()
        self.cell = {"LSTM": nn.LSTM, "GRU": nn.GRU}[kind](input_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(0.3)
        self.fc = nn.Linear(hidden_size, output_size)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map frames and the state before them to outputs and the state after them."""
        h, state = self.cell(x, state)
        return self.log_softmax(self.fc(self.dropout(h))), state


def make(kind: Kind, input_size: int, hidden_size: int, output_size: int) -> nn.Module:
    """Build one of the three."""
    if kind == "RNN":
        return VanillaRNN(input_size, hidden_size, output_size)
    return CellNet(kind, input_size, hidden_size, output_size)


class Reader(nn.Module):
    """Reads token ids into one of the three: what `fit` trains, one name a lane and window.

    While it trains, some characters are not seen: the net must not hang on a single one.
    """

    def __init__(self, net: nn.Module, n_symbols: int, unseen: float = 0.0) -> None:
        """Wrap `net`; its parameters stay its own; `unseen` is the share of characters blotted out, 0 .. 1."""
        super().__init__()
        self.net, self.n_symbols, self.unseen = net, n_symbols, unseen

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map ids (n_names, n_frames) int64 to outputs (n_names, n_frames, n_languages), each name from its start."""
        x = nn.functional.one_hot(ids, self.n_symbols).to(torch.float32)
        if self.training and self.unseen:
            x = x * (torch.rand(*ids.shape, 1) >= self.unseen)
        if not isinstance(self.net, VanillaRNN):
            return self.net(x, None)[0], None
        hidden, outputs = x.new_zeros(len(x), self.net.hidden_size), []
        for frame in x.unbind(1):
            output, hidden = self.net(frame, hidden)
            outputs.append(output)
        return torch.stack(outputs, 1), None
