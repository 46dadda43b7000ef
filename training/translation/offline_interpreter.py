"""The interpreter without the engine: greedy and beam search in PyTorch, each prefix run anew from the start.

Slow, and written without sessions, so that what sessions say can be compared with it.
"""

from collections.abc import Sequence

import torch
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from training.translation.translator import END, GO, Translator
from training.translation.vocabulary import Vocabulary


class OfflineInterpreter:
    """Translations by the batched net.

    Attributes:
        net: in evaluation mode.
        vocabulary: that it was trained with.
        max_tokens: most tokens said, END among them.
    """

    def __init__(self, net: Translator, vocabulary: Vocabulary, max_tokens: int) -> None:
        self.net, self.vocabulary, self.max_tokens = net, vocabulary, max_tokens

    @torch.no_grad()
    def outputs(self, source: str, target: str) -> Tensor:
        """Log-probabilities (1 + n, n_targets) of each next token while `target` (n tokens) is said, whatever is."""
        said = torch.tensor([[GO, *self.vocabulary.target_tokens(target)]])
        return self.net.decode(self._encoded([source]), said)[0]

    @torch.no_grad()
    def greedy(self, sources: Sequence[str]) -> list[str]:
        """The likeliest token after each prefix, for many sentences at once."""
        encoded = self._encoded(sources)
        said = torch.full((len(sources), 1), GO)
        while said.shape[1] <= self.max_tokens and not (said == END).any(1).all():
            following = self.net.decode(encoded, said)[:, -1].argmax(-1)
            said = torch.cat([said, following[:, None]], 1)
        return [self.vocabulary.text(until_end(row[1:].tolist())) for row in said]

    @torch.no_grad()
    def beam(self, source: str, width: int, length_penalty: float) -> str:
        """The best translation of one sentence by the rule of `streamrnn.beam_search`."""
        encoded = self._encoded([source])
        live: list[tuple[float, list[int]]] = [(0.0, [])]
        ended: list[tuple[float, list[int]]] = []
        for n in range(1, self.max_tokens + 1):
            memory, hidden, first = (part.expand(len(live), *part.shape[1:]).contiguous() for part in encoded)
            prefixes = torch.tensor([[GO, *said] for _, said in live])
            outputs = self.net.decode((memory, hidden, first), prefixes)[:, -1]
            totals = outputs.double() + torch.tensor([[total] for total, _ in live], dtype=torch.float64)
            best = totals.flatten().topk(min(width - len(ended), totals.numel()))
            following = []
            for total, place in zip(best.values.tolist(), best.indices.tolist(), strict=True):
                said = [*live[place // outputs.shape[1]][1], place % outputs.shape[1]]
                if said[-1] == END:
                    ended.append((total / n**length_penalty, said[:-1]))
                else:
                    following.append((total, said))
            live = following
            if not live:
                break
        ended += [(total / self.max_tokens**length_penalty, said) for total, said in live]
        return self.vocabulary.text(max(ended, key=lambda one: one[0])[1])

    def _encoded(self, sources: Sequence[str]) -> tuple[Tensor, Tensor, Tensor]:
        tokens = [torch.tensor(self.vocabulary.source_tokens(source)) for source in sources]
        return self.net.encode(pad_sequence(tokens, batch_first=True, padding_value=END))


def until_end(tokens: Sequence[int]) -> list[int]:
    """Tokens before the first END, or all."""
    return list(tokens[: tokens.index(END)] if END in tokens else tokens)
