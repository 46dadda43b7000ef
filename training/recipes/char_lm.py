"""Characters of Shakespeare: an LSTM gives the log-probabilities of the next character.

Trained on the first 90 % of tinyshakespeare, validated on the next 5 %, tested on the last 5 %, in bits per character,
beside an n-gram that looks back five characters (modified Kneser-Ney, trained on the same part). The model is small
enough to be bundled: under 1,000,000 bytes in float32.

  python -m training.recipes.char_lm train       about 20 minutes on one core
  python -m training.recipes.char_lm evaluate    the table, and training/results/char_lm.json
  python -m training.recipes.char_lm export      streamrnn/bundled/char_lm.safetensors
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import streamrnn
from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.data import TINYSHAKESPEARE, data_folder, shakespeare_text, split_contiguous
from training.export import Description, card_of, export
from training.fit import FitSettings, fit
from training.ngram import NGram
from training.options import Options, dispatch, parse
from training.report import Line, as_columns, show, versions, write_json
from training.seeding import seed_everything
from training.streamed import outputs_of
from training.tbptt import State, fold, run

NAME = "char_lm"
CONTEXT_CHARS = 5
N_LANES, WINDOW_FRAMES = 32, 64
QUICK_CHARS = 20_000
"""Length of the text that --quick keeps."""


class CharNet(nn.Module):
    """Embedding, LSTM, linear, log-softmax: token ids (n_lanes, n_frames) to (n_lanes, n_frames, n_symbols)."""

    def __init__(self, n_symbols: int, embedding_size: int, hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.embedding = nn.Embedding(n_symbols, embedding_size)
        self.lstm = nn.LSTM(embedding_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size, n_symbols)
        self.log_softmax = nn.LogSoftmax(dim=-1)
        with torch.no_grad():  # remember by default: Jozefowicz et al. 2015, section 2.2
            self.lstm.get_parameter("bias_ih_l0")[hidden_size : 2 * hidden_size] = 1.0

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map token ids x: (n_lanes, n_frames) int64 and the state before them to outputs and the state after them."""
        h, state = self.lstm(self.embedding(x), state)
        return self.log_softmax(self.fc(self.dropout(h))), state


@dataclass(frozen=True)
class Corpus:
    """The text, its symbols in order of their code points, and its parts."""

    text: str
    symbols: str
    train: slice
    validation: slice
    test: slice

    @classmethod
    def load(cls, options: Options) -> "Corpus":
        """Load the text; with --quick only its beginning, but all the symbols."""
        text = shakespeare_text(data_folder(TINYSHAKESPEARE, options.data))
        symbols = "".join(sorted(set(text)))
        if options.quick:
            text = text[:QUICK_CHARS]
        return cls(text, symbols, *split_contiguous(len(text)))

    def ids(self, part: slice) -> Tensor:
        """Give a part as token ids, (n_chars,) int64."""
        index = {symbol: i for i, symbol in enumerate(self.symbols)}
        return torch.tensor([index[symbol] for symbol in self.text[part]])


class Epochs:
    """Epochs of one text in lanes, each cut a little elsewhere, so that windows do not always end at the same place."""

    def __init__(self, ids: Tensor, generator: torch.Generator) -> None:
        """Take ids: (n_chars,) int64, more than 32 lanes of 2 windows."""
        self.ids, self.generator = ids, generator
        self.n_frames = ((len(ids) - 1 - WINDOW_FRAMES) // N_LANES) // WINDOW_FRAMES * WINDOW_FRAMES

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Give (x, target), both (32, n_frames) int64; the target is the next token."""
        start = int(torch.randint(0, WINDOW_FRAMES, (1,), generator=self.generator))
        stop = start + self.n_frames * N_LANES
        return fold(self.ids[start:stop], N_LANES), fold(self.ids[start + 1 : stop + 1], N_LANES)


def negative_log_likelihood(output: Tensor, target: Tensor) -> Tensor:
    """Give the mean of -log p of the targets in nats; output (..., n_symbols) log-probabilities, target (...) ids."""
    return -output.gather(-1, target[..., None]).mean()


def bits_per_char(net: nn.Module, ids: Tensor, n_lanes: int = 1) -> float:
    """Give the mean of -log2 p over ids (n_chars,) from the second on; lanes are faster, and each starts afresh."""
    output = run(net, fold(ids[:-1], n_lanes))
    return float(negative_log_likelihood(output, fold(ids[1:], n_lanes))) / math.log(2.0)


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    generator = seed_everything(options.seed)
    corpus = Corpus.load(options)
    arguments: dict[str, Any] = {
        "n_symbols": len(corpus.symbols),
        "embedding_size": 8 if options.quick else 32,
        "hidden_size": 16 if options.quick else 216,
        "dropout": 0.1,
    }
    net = CharNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else 28,
        patience_epochs=4,
        window_frames=WINDOW_FRAMES,
        learning_rate=1.6e-2,
        warmup_windows=0 if options.quick else 200,
        weight_decay=0.05,
        average_decay=0.0 if options.quick else 0.995,
    )
    validation = corpus.ids(corpus.validation)
    history = fit(
        net,
        Epochs(corpus.ids(corpus.train), generator),
        negative_log_likelihood,
        lambda candidate: bits_per_char(candidate, validation, n_lanes=8),
        settings,
    )
    history.train_loss = [loss / math.log(2.0) for loss in history.train_loss]
    figures = {"validation_bits_per_char": bits_per_char(net, validation)}
    Checkpoint(net.state_dict(), arguments, options.seed, options.command, history, figures).save(options.checkpoint)
    plot_history(history, options.curve, NAME, "bits per character (training: with dropout)")
    print(f"kept epoch {history.best_epoch}: validation {figures['validation_bits_per_char']:.4f} bits per character")


def load(options: Options) -> tuple[CharNet, Checkpoint]:
    """Give the trained net."""
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    net = CharNet(**checkpoint.arguments)
    net.load_state_dict(checkpoint.weights)
    return net.eval(), checkpoint


def card(corpus: Corpus, checkpoint: Checkpoint) -> streamrnn.Card:
    """Describe the model; its labels are the symbols."""
    description = Description(
        name=NAME,
        summary="Gives the log-probability of each of 65 characters to be the next one of a play by Shakespeare.",
        input_names=("character",),
        output_names=(),
        labels=tuple(corpus.symbols),
        units={"character": "index into labels", "output": "natural logarithm of a probability"},
    )
    return card_of(description, TINYSHAKESPEARE, checkpoint)


def streamed_bits_per_char(model: streamrnn.Model, ids: Tensor) -> float:
    """Give the same as `bits_per_char`, from a session of the engine."""
    outputs = outputs_of(model, ids[:-1, None].numpy().astype(np.float32))
    return float(negative_log_likelihood(torch.tensor(outputs, dtype=torch.float64), ids[1:])) / math.log(2.0)


def sample(model: streamrnn.Model, symbols: str, start: str, n_chars: int, seed: int) -> str:
    """Let the model go on from `start` for `n_chars`, each character drawn from its output and fed back."""
    engine = streamrnn.Engine()
    engine.add_model(NAME, model)
    session, rng, text = engine.open(NAME), np.random.default_rng(seed), start
    frames: NDArray[np.float32] = np.array([[symbols.index(symbol)] for symbol in start], dtype=np.float32)
    y = session.run(frames)[-1]
    for _ in range(n_chars):
        p = np.exp(y.astype(np.float64))
        token = int(rng.choice(len(symbols), p=p / p.sum()))
        text += symbols[token]
        y = session.step(np.array([token], dtype=np.float32))
    return text


def verdict_of(bits: float, baseline_bits: float) -> str:
    """Say in one sentence whether the model is worth having."""
    if bits < baseline_bits:
        return f"The LSTM needs {1.0 - bits / baseline_bits:.1%} fewer bits per character on the test part."
    return f"The LSTM is no better than the n-gram: {bits / baseline_bits - 1.0:.1%} more bits per character."


def evaluate(options: Options) -> None:
    """Print the table and a sample, and write the evaluation file."""
    net, checkpoint = load(options)
    corpus = Corpus.load(options)
    model = streamrnn.from_torch(net, card=card(corpus, checkpoint))
    ngram = NGram(corpus.text[corpus.train], corpus.symbols, CONTEXT_CHARS)
    parts = {"validation": corpus.validation, "test": corpus.test}
    columns = ("LSTM, engine", "LSTM, PyTorch", f"n-gram, context of {CONTEXT_CHARS}")
    lines = [
        Line(
            f"{name} bits per character",
            (
                streamed_bits_per_char(model, corpus.ids(part)),
                bits_per_char(net, corpus.ids(part)),
                ngram.bits_per_char(corpus.text[part]),
            ),
        )
        for name, part in parts.items()
    ]
    n_parameters = sum(parameter.numel() for parameter in net.parameters())
    lines.append(Line("parameters, or n-grams counted", (n_parameters, n_parameters, ngram.n_grams)))
    bits, _, baseline_bits = (float(value or 0.0) for value in lines[1].values)
    verdict = verdict_of(bits, baseline_bits)
    show(f"{NAME}: tinyshakespeare, last 5 % as test", columns, lines, verdict)
    print(f"\nsample (seed {checkpoint.seed}):\n{sample(model, corpus.symbols, 'KING ', 300, checkpoint.seed)}\n")
    write_json(
        options.evaluation,
        {
            "recipe": NAME,
            "data": {
                "name": TINYSHAKESPEARE.name,
                "source": TINYSHAKESPEARE.source,
                "licence": TINYSHAKESPEARE.licence,
            },
            "split": {name: part.stop - part.start for name, part in {"train": corpus.train, **parts}.items()},
            "baseline": f"character n-gram, context of {CONTEXT_CHARS}, interpolated modified Kneser-Ney",
            "figures": as_columns(columns, lines),
            "verdict": verdict,
            "seed": checkpoint.seed,
            "command": checkpoint.command,
            "versions": versions(),
        },
    )


def export_model(options: Options) -> None:
    """Write the model file."""
    net, checkpoint = load(options)
    export(net, card(Corpus.load(options), checkpoint), options.file)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", NAME, arguments)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model})


if __name__ == "__main__":
    main()
