"""Nets that name the language of a surname: the vanilla RNN as tutorials write it, an LSTM, a GRU, and several GRUs.

A frame is one character, as a vector with a one; the last frame of a name is the end mark. Each output is the
log-probability of every language, so a name can be watched while it is typed.
"""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from training.tbptt import State

Kind = Literal["RNN", "LSTM", "GRU", "GRUs"]
KINDS: tuple[Kind, ...] = ("RNN", "LSTM", "GRU", "GRUs")


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
        self.dropout = nn.Dropout(0.5)
        self.fc = nn.Linear(hidden_size, output_size)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map frames and the state before them to outputs and the state after them."""
        h, state = self.cell(x, state)
        return self.log_softmax(self.fc(self.dropout(h))), state


class Committee(nn.Module):
    """Several nets side by side, each with its own state: their log-probabilities are averaged, and normalised.

    Nets that were trained apart err apart, and where one is at a loss the others outvote it. Source: Hansen and
    Salamon, "Neural network ensembles", IEEE PAMI 12(10), 1990; the average is the geometric one.
    """

    def __init__(self, members: Sequence[CellNet]) -> None:
        """Take the nets themselves, not copies."""
        super().__init__()
        self.members = nn.ModuleList(members)
        self.log_softmax = nn.LogSoftmax(dim=-1)

    @property
    def further(self) -> dict[str, nn.Module]:
        """The members after the first one, by name."""
        return {f"GRU {i + 1}": member for i, member in enumerate(self.members) if i}

    def forward(self, x: Tensor) -> Tensor:
        """Map frames (n_lanes, n_frames, n_symbols), from their start, to outputs (n_lanes, n_frames, n_languages)."""
        total = sum((member(x)[0] for member in self.members), torch.zeros(()))
        mean: Tensor = self.log_softmax(total / len(self.members))
        return mean


def make_all(n_symbols: int, hidden_sizes: dict[str, int], n_languages: int, n_members: int) -> nn.ModuleDict:
    """Build the nets of all KINDS; `GRUs` is a committee of `n_members`, and `GRU` is the first of them."""
    rnn = VanillaRNN(n_symbols, hidden_sizes["RNN"], n_languages)
    lstm = CellNet("LSTM", n_symbols, hidden_sizes["LSTM"], n_languages)
    members = [CellNet("GRU", n_symbols, hidden_sizes["GRU"], n_languages) for _ in range(n_members)]
    return nn.ModuleDict({"RNN": rnn, "LSTM": lstm, "GRU": members[0], "GRUs": Committee(members)})


class Reader(nn.Module):
    """Reads token ids into one of the nets: what `fit` trains, one name a lane and window.

    While it trains, some characters are not seen: the net must not hang on a single one.
    """

    def __init__(self, net: nn.Module, n_symbols: int, unseen: float = 0.0) -> None:
        """Wrap `net`; its parameters stay its own; `unseen` is the share of characters blotted out, 0 .. 1."""
        super().__init__()
        self.net, self.n_symbols, self.unseen = net, n_symbols, unseen

    def frames(self, ids: Tensor) -> Tensor:
        """Map ids (n_names, n_frames) int64 to (n_names, n_frames, n_symbols), a one in each row, or none if unseen."""
        x = nn.functional.one_hot(ids, self.n_symbols).to(torch.float32)
        if self.training and self.unseen:
            x = x * (torch.rand(*ids.shape, 1) >= self.unseen)
        return x

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map ids (n_names, n_frames) int64 to outputs (n_names, n_frames, n_languages), each name from its start."""
        x = self.frames(ids)
        if isinstance(self.net, CellNet):
            return self.net(x)[0], None
        if not isinstance(self.net, VanillaRNN):
            return self.net(x), None
        hidden, outputs = x.new_zeros(len(x), self.net.hidden_size), []
        for frame in x.unbind(1):
            output, hidden = self.net(frame, hidden)
            outputs.append(output)
        return torch.stack(outputs, 1), None


class Foreteller(Reader):
    """A reader of an LSTM or GRU that, while it trains, foretells the next character as well.

    What a state must hold for that, how names of this kind are spelt, it learns from every character of every name,
    not from one label a name; rare languages need it most. The layer that foretells is not served. Source: Rei,
    "Semi-supervised multitask learning for sequence labeling", ACL 2017.
    """

    def __init__(self, net: CellNet, n_symbols: int, unseen: float = 0.0) -> None:
        """Wrap `net`, and draw the layer that foretells."""
        super().__init__(net, n_symbols, unseen)
        self.cell_net = net
        self.foretell = nn.Linear(net.fc.in_features, n_symbols)

    def forward(self, ids: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map ids (n_names, n_frames) int64 to outputs (n_names, n_frames, n_languages), each name from its start.

        While it trains there is one column more: the log-probability of the next character, 0 in the last frame.
        """
        if not self.training:
            return super().forward(ids)
        h = self.cell_net.dropout(self.cell_net.cell(self.frames(ids))[0])
        foretold = self.foretell(h[:, :-1]).log_softmax(dim=-1).gather(-1, ids[:, 1:, None])
        foretold = nn.functional.pad(foretold, (0, 0, 0, 1))
        return torch.cat((self.cell_net.log_softmax(self.cell_net.fc(h)), foretold), dim=-1), None
