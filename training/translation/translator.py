"""An encoder and a decoder with attention, and the same net as one step that keeps what it attends to in its state.

There is one vocabulary: what the decoder may say stands first, then what the encoder reads, so a token says by itself
whose turn it is, and what an output's place means is what the token fed back means.

Source: Luong, Pham and Manning, "Effective approaches to attention-based neural machine translation", EMNLP 2015
(global attention, score "general"). Differs: the encoder reads forwards only, as a stream comes.
"""

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn import functional

END, GO, N_MARKS = 0, 1, 2
"""The decoder's own tokens: its last output, and the token that asks for its first one. Its pieces follow."""
HIDDEN_SCORE = -1e4
"""Added to the score of a slot that holds nothing: its share of the softmax is 0 in float32."""
IGNORED = -100
"""A target that does not count."""

State = tuple[Tensor, ...]


@dataclass(frozen=True)
class Sizes:
    """Sizes of a translator.

    Attributes:
        n_targets: tokens that the decoder may say; the token of that number begins a sentence.
        n_tokens: those, the token that begins a sentence, and the pieces that the encoder reads.
        n_slots: tokens of a sentence that the decoder can look at, the one that begins it among them.
        embedding_size: of a token, and of what the decoder's outputs are made from.
        hidden_size: of encoder and decoder.
    """

    n_targets: int
    n_tokens: int
    n_slots: int
    embedding_size: int
    hidden_size: int

    @property
    def start(self) -> int:
        """The token that begins a sentence and forgets the last one."""
        return self.n_targets


class Translator(nn.Module):
    """The net over whole sentences, many at once: for training, and to compare with."""

    def __init__(self, sizes: Sizes, dropout: float = 0.0, token_dropout: float = 0.0) -> None:
        """Make the net; `dropout` of values and `token_dropout` of whole tokens, 0 .. 1, are for training."""
        super().__init__()
        self.sizes, self.token_dropout = sizes, token_dropout
        n_e, n_h = sizes.embedding_size, sizes.hidden_size
        self.embedding = nn.Embedding(sizes.n_tokens, n_e)
        nn.init.normal_(self.embedding.weight, std=n_e**-0.5)  # outputs are made from it too
        self.encoder = nn.GRU(n_e, n_h, batch_first=True)
        self.bridge = nn.Linear(n_h, n_h)
        self.decoder = nn.GRU(n_e, n_h, batch_first=True)
        self.query = nn.Linear(n_h, n_h, bias=False)
        self.attended = nn.Linear(2 * n_h, n_e)
        self.bias = nn.Parameter(torch.zeros(sizes.n_targets))
        self.dropout = nn.Dropout(dropout)

    def encode(self, source: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Read source: (n, n_source) int64, each begun by `sizes.start`, END behind its end.

        Returns:
            memory (n, n_source, hidden_size), hidden (n, n_source): `HIDDEN_SCORE` where there is nothing to look at,
            and the decoder's first state (n, hidden_size).
        """
        is_there = source != END
        memory, _ = self.encoder(self._embedded(source))
        last = memory[torch.arange(len(source)), is_there.sum(1) - 1]
        slots = torch.arange(source.shape[1]) < self.sizes.n_slots
        hidden = torch.where(is_there & slots, 0.0, HIDDEN_SCORE)
        return self.dropout(memory), hidden, torch.tanh(self.bridge(last))

    def decode(self, encoded: tuple[Tensor, Tensor, Tensor], target: Tensor) -> Tensor:
        """Log-probabilities of each next token: (n, n_target, n_targets), after target: (n, n_target), begun by GO."""
        memory, hidden, first = encoded
        h, _ = self.decoder(self._embedded(target), first[None])
        scores = self.query(h) @ memory.transpose(1, 2) + hidden[:, None]
        context = torch.softmax(scores, -1) @ memory
        said = self.dropout(torch.tanh(self.attended(torch.cat([self.dropout(h), context], -1))))
        return functional.log_softmax(self.project(said), -1)

    def _embedded(self, tokens: Tensor) -> Tensor:
        x: Tensor = self.dropout(self.embedding(tokens))
        if self.training and self.token_dropout:
            x = x * (torch.rand(tokens.shape) >= self.token_dropout)[..., None]
        return x

    def project(self, said: Tensor) -> Tensor:
        """Scores of the decoder's tokens, by the table that they are read from."""
        return functional.linear(said, self.embedding.weight[: self.sizes.n_targets], self.bias)

    def forward(self, x: Tensor, state: None = None) -> tuple[Tensor, None]:
        """Map x: (n, n_slots + n_target), source and target side by side, to the decoder's outputs; there is no state.

        The form of `training.fit`: a window holds whole sentences.
        """
        return self.decode(self.encode(x[:, : self.sizes.n_slots]), x[:, self.sizes.n_slots :]), state


def smoothed_loss(output: Tensor, target: Tensor, smoothing: float) -> Tensor:
    """Mean cross-entropy of the tokens that count, with label smoothing.

    Args:
        output: (n, n_target, n_targets) log-probabilities.
        target: (n, n_slots + n_target); only its end is looked at, and there only what is not IGNORED.
        smoothing: share of the wanted probability that is spread evenly, 0 .. 1.

    Source: Szegedy et al., "Rethinking the Inception architecture for computer vision", 2016, section 7.
    """
    wanted = target[:, -output.shape[1] :]
    counts = wanted != IGNORED
    picked = -output.gather(-1, wanted.clamp(min=0)[..., None])[..., 0]
    loss = (1.0 - smoothing) * picked - smoothing * output.mean(-1)
    return (loss * counts).sum() / counts.sum()


class TranslatorStep(nn.Module):
    """The same net, a token a call: source tokens are read into slots, target tokens are answered by looking at them.

    Which it is stands in the token. The other half of the net holds still: its new state is multiplied by 0, its old
    one by 1, so there is no branch, and a session is whole at any frame.
    """

    def __init__(self, net: Translator) -> None:
        """Share the weights of `net`."""
        super().__init__()
        self.sizes, self.net = net.sizes, net
        self.encoder, self.decoder = _cell_of(net.encoder), _cell_of(net.decoder)
        tokens = torch.arange(self.sizes.n_tokens)
        marks = torch.stack([tokens >= self.sizes.start, tokens == self.sizes.start], dim=1)
        self.marks = nn.Embedding(self.sizes.n_tokens, 2, _weight=marks.to(torch.float32), _freeze=True)

    def initial_state(self) -> State:
        """Of a session that has seen no token: nothing filled (1, n_slots), no memory, both hidden states zero."""
        n_h, n_slots = self.sizes.hidden_size, self.sizes.n_slots
        return torch.zeros(1, n_slots), torch.zeros(1, n_slots, n_h), torch.zeros(1, n_h), torch.zeros(1, n_h)

    def forward(self, token: Tensor, filled: Tensor, memory: Tensor, read: Tensor, said: Tensor) -> State:
        """Step by one token (1,) int64.

        Args:
            token: what is read or said.
            filled: (1, n_slots), 1 for slots that hold something, from the first on.
            memory: (1, n_slots, hidden_size).
            read: (1, hidden_size), the encoder's hidden state.
            said: (1, hidden_size), the decoder's.

        Returns:
            Log-probabilities (1, n_targets), which mean something after a target token, and the new states.
        """
        x, marks = self.net.embedding(token), self.marks(token)
        is_source, is_start = marks[:, :1], marks[:, 1:]
        is_target, keep = 1.0 - is_source, 1.0 - is_start
        filled, read = filled * keep, read * keep
        encoded = self.encoder(x, read)
        widened = torch.cat([torch.ones(1, 1), filled[:, :-1]], 1)
        slot = ((widened - filled) * is_source)[..., None]  # nowhere, once all are filled
        memory = memory * (1.0 - slot) + slot * encoded[:, None]
        filled = filled * is_target + widened * is_source
        read = read * is_target + encoded * is_source
        said = self.decoder(x, said) * is_target + torch.tanh(self.net.bridge(read)) * is_source
        scores = (memory * self.net.query(said)[:, None]).sum(-1) + (filled - 1.0) * -HIDDEN_SCORE
        context = (memory * torch.softmax(scores, -1)[..., None]).sum(1)
        output = self.net.project(torch.tanh(self.net.attended(torch.cat([said, context], -1))))
        return functional.log_softmax(output, -1), filled, memory, read, said


def _cell_of(gru: nn.GRU) -> nn.GRUCell:
    """A cell with the weights of a layer."""
    cell = nn.GRUCell(gru.input_size, gru.hidden_size)
    for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh"):
        setattr(cell, name, getattr(gru, f"{name}_l0"))
    return cell
