"""Surnames made up on demand: the first token asks for a language, an LSTM then gives the next character until the end.

Trained on the surnames of 18 languages; measured in bits per character of test names, each read after its language,
beside n-grams of each language and of all of them; and by what it makes up: whole, valid, new names, and of the
language that was asked for. The model is a language model like any other: a session answers each token with the
log-probabilities of the next one, and whoever draws from them and feeds back what was drawn lets it write.

  python -m training.recipes.text_generation train       about 3 minutes on one core
  python -m training.recipes.text_generation evaluate    the table, the plot, training/results/text_generation.json
  python -m training.recipes.text_generation export      text_generation.safetensors in --out
  python -m training.recipes.text_generation demo        makes up names of each language, token by token, live
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

import numpy as np
import streamrnn_client
import torch

import streamrnn
from streamrnn.decode import SamplerSettings
from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, export
from training.fit import FitSettings, fit
from training.live import serve_and_play
from training.options import Options, dispatch, parse
from training.report import Line, show
from training.seeding import seed_everything
from training.served import served_file
from training.sets.names import NAMES, Surname, Surnames, load_surnames
from training.streamed import frame_us, session_of
from training.tbptt import run
from training.text.bits_plot import plot_groups
from training.text.generated import Judge, Shares
from training.text.likelihood import bits, negative_log_likelihood
from training.text.line_ngram import LineNGram
from training.text.padded import Afresh
from training.text.sampling import SAMPLER
from training.text.surname_ngrams import n_grams_of
from training.text.surname_tokens import MAX_CHARS, Shuffled, Tokens
from training.text.token_net import TokenNet

NAME = MODEL = "text_generation"
DATA = (NAMES,)
N_LANES = 32
NET: dict[str, Any] = {"embedding_size": 32, "hidden_size": 256, "dropout": 0.3, "weight_dropout": 0.3}
FIT = FitSettings(
    max_epochs=25,
    patience_epochs=6,
    window_frames=MAX_CHARS + 1,
    learning_rate=5e-3,
    warmup_windows=100,
    weight_decay=0.05,
    average_decay=0.995,
)
N_EACH = 50
"""Names made up of each language."""
TEMPERATURE = 0.7
"""Of the demo: likelier names than those learnt from."""


def load_data(options: Options) -> tuple[Surnames, Tokens]:
    """Load the names in their parts, and their tokens."""
    surnames = load_surnames(data_folder(NAMES, options.data))
    return surnames, Tokens(surnames)


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s = time.monotonic()
    generator = seed_everything(options.seed)
    surnames, tokens = load_data(options)
    arguments = {"n_symbols": len(tokens.labels), **NET}
    settings = FIT
    if options.quick:
        arguments |= {"embedding_size": 8, "hidden_size": 16}
        settings = replace(FIT, max_epochs=1, warmup_windows=0, average_decay=0.0)
    net = TokenNet(**arguments)
    validation, targets = tokens.padded(surnames.validation)
    history = fit(
        Afresh(net),
        Shuffled(tokens.padded(surnames.train), N_LANES, generator),
        negative_log_likelihood,
        lambda candidate: bits(float(negative_log_likelihood(run(candidate, validation), targets))),
        settings,
    )
    history.train_loss = [bits(loss) for loss in history.train_loss]
    figures = {"validation_bits_per_char": history.validation_loss[history.best_epoch]}
    train_s = time.monotonic() - began_s
    checkpoint = Checkpoint(net.state_dict(), arguments, options.seed, options.command, history, figures, train_s)
    checkpoint.save(options.checkpoint)
    plot_history(history, options.curve, NAME, "bits per character (training: with dropout)")
    print(f"kept epoch {history.best_epoch}: validation {figures['validation_bits_per_char']:.4f} bits per character")


def load(options: Options) -> tuple[TokenNet, Checkpoint]:
    """Give the trained net."""
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    net = TokenNet(**checkpoint.arguments)
    net.load_state_dict(checkpoint.weights)
    return net.eval(), checkpoint


def card(tokens: Tokens, checkpoint: Checkpoint) -> streamrnn.Card:
    """Describe the model; its labels are the tokens."""
    description = Description(
        name=MODEL,
        summary="Makes up surnames: after the token of one of 18 languages, the log-probability of each next token.",
        input_names=("token",),
        output_names=(),
        labels=tokens.labels,
        units={"token": "index into labels", "output": "natural logarithm of a probability"},
        decoder=SamplerSettings(),
    )
    return card_of(description, NAMES, checkpoint)


@dataclass(frozen=True)
class Judged:
    """Bits of the test names, each name's own, and how far engine and PyTorch are apart."""

    streaming: list[float]
    offline: list[float]
    max_abs_difference: float


def judge(net: TokenNet, model: streamrnn.Model, names: Sequence[Surname], tokens: Tokens) -> Judged:
    """Let a session read each name from its start, and PyTorch all of them at once."""
    ids, targets = tokens.padded(names)
    whole = run(Afresh(net), ids)
    session, streaming, offline, largest = session_of(model), [], [], 0.0
    for name, expected, target in zip(names, whole, targets, strict=True):
        session.reset()
        outputs = torch.tensor(session.run(tokens.frames(name)))
        expected, target = expected[: len(outputs)], target[: len(outputs)]
        largest = max(largest, float((outputs - expected).abs().max()))
        streaming.append(bits(float(negative_log_likelihood(outputs.double(), target))) * len(target))
        offline.append(bits(float(negative_log_likelihood(expected.double(), target))) * len(target))
    return Judged(streaming, offline, largest)


@dataclass(frozen=True)
class Written:
    """Names made up, None where one has no end, and the languages that were asked for."""

    asked: list[str]
    texts: list[str | None]
    tokens_per_s: float

    def of(self, language: str) -> list[str | None]:
        """Those of one language."""
        return [text for asked, text in zip(self.asked, self.texts, strict=True) if asked == language]


def write_names(model: streamrnn.Model, surnames: Surnames, tokens: Tokens, n_each: int, seed: int) -> Written:
    """Let a session make up `n_each` names of every language, and say how many tokens it wrote in a second."""
    session, rng = session_of(model, SAMPLER), np.random.default_rng(seed)
    asked, texts, n_tokens, began_s = [], [], 0, time.perf_counter()
    for language in surnames.languages:
        for _ in range(n_each):
            session.reset()
            session.step(np.array([tokens.language(language)], dtype=np.float32))
            written = session.generate(MAX_CHARS + 1, seed=int(rng.integers(2**63)), stop=tokens.end)
            asked.append(language)
            texts.append(tokens.text(written))
            n_tokens += len(written)
    return Written(asked, texts, n_tokens / (time.perf_counter() - began_s))


def evaluate(options: Options) -> None:
    """Print the tables, draw bits by language, and write the evaluation file."""
    net, checkpoint = load(options)
    surnames, tokens = load_data(options)
    model = streamrnn.from_torch(net, card=card(tokens, checkpoint))
    names, texts = surnames.test, [name.text for name in surnames.test]
    judged, n_grams = judge(net, model, names, tokens), n_grams_of(surnames)
    found = {"LSTM, streamed": judged.streaming, "LSTM, PyTorch": judged.offline}
    found |= {kind: [one[name.language].bits(name.text) for name in names] for kind, one in n_grams.items()}
    n_chars = sum(len(text) + 1 for text in texts)
    per_char = {way: sum(values) / n_chars for way, values in found.items()}
    by_language = {way: mean_by_language(values, names, surnames.languages) for way, values in found.items()}
    baseline_name = min(n_grams, key=lambda kind: per_char[kind])
    written = write_names(model, surnames, tokens, 2 if options.quick else N_EACH, checkpoint.seed)
    merits = merits_of(written, surnames, n_grams[baseline_name], checkpoint.seed)
    verdict = verdict_of(per_char["LSTM, streamed"], baseline_name, per_char[baseline_name], merits)
    show(f"{NAME}: {len(texts)} test names", tuple(found), [Line("bits per character", tuple(per_char.values()))])
    lines = [Line(merit, tuple(asdict(one)[merit] for one in merits.values())) for merit in asdict(merits["LSTM"])]
    show(f"{len(written.texts)} names made up, and test names", tuple(merits), lines, verdict)
    drawn = {way: list(values.values()) for way, values in by_language.items() if way != "LSTM, PyTorch"}
    plot_groups(options.plot, surnames.languages, drawn, "Test surnames: one net for all of them, beside n-grams")
    Evaluation(
        recipe=NAME,
        model=f"LSTM of {net.lstm.hidden_size}",
        data=DATA,
        split={name: len(getattr(surnames, name)) for name in ("train", "validation", "test")},
        headlines=(
            Headline(
                metric="test bits per character",
                better="lower",
                streaming=per_char["LSTM, streamed"],
                offline=per_char["LSTM, PyTorch"],
                baseline=per_char[baseline_name],
                baseline_name=baseline_name,
                aim=per_char[baseline_name],
            ),
        ),
        n_parameters=sum(parameter.numel() for parameter in net.parameters()),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, tokens.frames(names[0])),
        max_abs_difference=judged.max_abs_difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "bits_per_char": per_char,
            "bits_per_char_by_language": by_language,
            "made_up": {who: asdict(one) for who, one in merits.items()},
            "tokens_per_s": round(written.tokens_per_s),
            "examples": {language: written.of(language)[:4] for language in surnames.languages},
        },
    ).write(options.evaluation)


def mean_by_language(values: Sequence[float], names: Sequence[Surname], languages: Sequence[str]) -> dict[str, float]:
    """Give bits per character of each language from the bits of each name."""
    sums = {language: [0.0, 0] for language in languages}
    for value, name in zip(values, names, strict=True):
        sums[name.language][0] += value
        sums[name.language][1] += len(name.text) + 1
    return {language: total / max(1, n) for language, (total, n) in sums.items()}


def merits_of(written: Written, surnames: Surnames, n_grams: dict[str, LineNGram], seed: int) -> dict[str, Shares]:
    """Judge what the net made up beside as many names of an n-gram, and beside real ones."""
    judge, rng = Judge(surnames), np.random.default_rng(seed)
    drawn = [n_grams[language].draw(rng, MAX_CHARS) for language in written.asked]
    real = surnames.test
    return {
        "LSTM": judge.shares(written.asked, written.texts),
        "n-gram": judge.shares(written.asked, drawn),
        "test names": judge.shares([name.language for name in real], [name.text for name in real]),
    }


def verdict_of(found: float, baseline_name: str, baseline: float, merits: dict[str, Shares]) -> str:
    """Say in plain words what the net is worth."""
    beside = (
        f"{abs(1.0 - found / baseline):.1%} {'fewer' if found < baseline else 'more'} bits than the {baseline_name}"
    )
    own, real = merits["LSTM"], merits["test names"]
    made_up = f"Of what it makes up {own.valid:.0%} is valid (of real names {real.valid:.0%}), {own.novel:.0%} new"
    return f"The LSTM needs {beside}. {made_up}, {own.told:.0%} told as the language asked for (real: {real.told:.0%})."


def export_model(options: Options) -> None:
    """Write the model file."""
    net, checkpoint = load(options)
    export(net, card(load_data(options)[1], checkpoint), options.file)


def demo(options: Options) -> None:
    """Serve the file, ask for names of each language, and print them as they are written."""
    surnames, tokens = load_data(options)
    languages = surnames.languages[:2] if options.quick else surnames.languages
    n_each, n_tokens, began_s = 5, 0, 0.0

    async def write(session: streamrnn_client.Session, language: str, seed: int) -> str:
        nonlocal n_tokens
        asked = [tokens.language(language)]
        drawn = session.generate(MAX_CHARS + 1, asked, temperature=TEMPERATURE, seed=seed, stop=tokens.end)
        written = [one.token async for one in drawn]
        n_tokens += len(written)
        await session.reset()
        return tokens.text(written) or "..."

    async def play(client: streamrnn_client.Client) -> None:
        nonlocal began_s
        began_s = time.perf_counter()
        async with await client.open(MODEL, decoder="model") as session:
            for language in languages:
                print(f"{language:>11s}:", *[(await write(session, language, seed)).title() for seed in range(n_each)])

    with served_file(options, export_model) as path:
        serve_and_play({MODEL: path}, play)
    print(f"{n_tokens} tokens made up, {n_tokens / (time.perf_counter() - began_s):,.0f} a second")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
