"""Language model of tokens: embedding, LSTM, linear, log-softmax."""

import torch
from torch import Tensor, nn

from training.tbptt import State


class TokenNet(nn.Module):
    """Token ids (n_lanes, n_frames) to log-probabilities of the next token (n_lanes, n_frames, n_tokens).

    While it trains, outputs of the LSTM are dropped, and recurrent weights too, one mask a window. Source of it:
    Merity et al., "Regularizing and optimizing LSTM language models", 2018, section 2 (DropConnect).
    """

    def __init__(
        self, n_symbols: int, embedding_size: int, hidden_size: int, dropout: float, weight_dropout: float = 0.0
    ) -> None:
        """Draw weights as PyTorch does, but let the LSTM remember by default.

        Args:
            n_symbols: different tokens, in and out.
            embedding_size: of a token.
            hidden_size: of the LSTM.
            dropout: share of the LSTM's outputs that are dropped in training, 0 .. 1.
            weight_dropout: share of its recurrent weights that are dropped in training, 0 .. 1.
        """
        super().__init__()
        self.embedding = nn.Embedding(n_symbols, embedding_size)
        self.lstm = nn.LSTM(embedding_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size, n_symbols)
        self.log_softmax = nn.LogSoftmax(dim=-1)
        self.weight_dropout = weight_dropout
        with torch.no_grad():  # remember by default: Jozefowicz et al. 2015, section 2.2
            self.lstm.get_parameter("bias_ih_l0")[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map token ids x: (n_lanes, n_frames) int64 and the state before them to outputs and the state after them."""
        if self.training and self.weight_dropout:
            h, state = self._with_dropped_weights(self.embedding(x), state)
        else:
            h, state = self.lstm(self.embedding(x), state)
        return self.log_softmax(self.fc(self.dropout(h))), state

    def _with_dropped_weights(self, x: Tensor, state: State) -> tuple[Tensor, State]:
        before = (x.new_zeros(1, x.shape[0], self.lstm.hidden_size),) * 2 if state is None else tuple(state)
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights: list[Tensor] = [self.lstm.get_parameter(name) for name in names]
        weights[1] = nn.functional.dropout(weights[1], self.weight_dropout)
        h, *after = torch.lstm(x, before, weights, True, 1, 0.0, True, False, True)
        return h, tuple(after)
