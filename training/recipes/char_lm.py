"""Characters of Shakespeare: an LSTM gives the log-probabilities of the next character.

Trained on the first 90 % of tinyshakespeare, validated on the next 5 %, tested on the last 5 %, in bits per character,
beside an n-gram that looks back five characters (modified Kneser-Ney, trained on the same part). There are three nets:
the small one is bundled, under 1,000,000 bytes in float32; a large one; and the mixture of both.

  python -m training.recipes.char_lm train                 the small net, about 20 minutes on one core
  python -m training.recipes.char_lm train --size large    the large net, under 20 minutes on two cores
  python -m training.recipes.char_lm train --size mixed    weighs the two trained ones against each other, in seconds
  python -m training.recipes.char_lm evaluate              of the nets that are trained: table, plot, evaluation file
  python -m training.recipes.char_lm export                streamrnn/bundled/char_lm.safetensors; --size as for train
  python -m training.recipes.char_lm demo                  reads the test text, then writes on, both live
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
import streamrnn_client

import streamrnn
from streamrnn.decode import SamplerSettings
from training.checkpoint import Checkpoint, CheckpointMissing
from training.curves import plot_history
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, export
from training.fit import History, fit
from training.live import play_frames, serve_and_play
from training.options import Options, dispatch, parse
from training.report import Line, show
from training.seeding import seed_everything
from training.served import served_file
from training.sets.tinyshakespeare import TINYSHAKESPEARE, shakespeare_text
from training.streamed import frame_us
from training.text.bits_plot import plot_contexts
from training.text.char_nets import MIXED, SIZE_NAMES, SIZES, mix, net_of
from training.text.corpus import Corpus, Epochs
from training.text.judged_text import JudgedText
from training.text.likelihood import bits, bits_per_token, negative_log_likelihood
from training.text.ngram import NGram
from training.text.reading import Reading, write_live
from training.text.sampling import write_on
from training.text.token_net import TokenNet

NAME = MODEL = "char_lm"
DATA = (TINYSHAKESPEARE,)
CONTEXT_CHARS = 5
BUNDLED_SIZE = SIZE_NAMES[0]
AIM_BITS = 2.1
"""Of the best net that is not bundled, on the test part."""
QUICK_CHARS = 20_000
"""Length of the text that --quick keeps."""
PROMPT, SAMPLE_CHARS = "KING ", 300
DEMO_LINES, QUICK_DEMO_LINES, QUICK_DEMO_CHARS = 40, 5, 60


def load_corpus(options: Options) -> Corpus:
    """Load the text; with --quick only its beginning, but all the symbols."""
    text = shakespeare_text(data_folder(TINYSHAKESPEARE, options.data))
    return Corpus.of(text, QUICK_CHARS if options.quick else None)


def train(options: Options) -> None:
    """Fit the net, or mix the trained ones, and leave it in the output folder."""
    began_s = time.monotonic()
    generator = seed_everything(options.seed)
    corpus = load_corpus(options)
    if options.size == MIXED:
        train_mixture(options, corpus)
        return
    size = SIZES[options.size].quickly() if options.quick else SIZES[options.size]
    arguments = {"n_symbols": len(corpus.symbols), **size.net}
    net = TokenNet(**arguments)
    validation = corpus.ids(corpus.validation)
    history = fit(
        net,
        Epochs(corpus.ids(corpus.train), size.n_lanes, size.fit.window_frames, generator),
        negative_log_likelihood,
        lambda candidate: bits_per_token(candidate, validation, n_lanes=8),
        size.fit,
    )
    history.train_loss = [bits(loss) for loss in history.train_loss]
    figures = {"validation_bits_per_char": bits_per_token(net, validation)}
    train_s = time.monotonic() - began_s
    checkpoint = Checkpoint(net.state_dict(), arguments, options.seed, options.command, history, figures, train_s)
    checkpoint.save(options.checkpoint)
    plot_history(history, options.curve, f"{NAME}, {options.size}", "bits per character (training: with dropout)")
    print(f"kept epoch {history.best_epoch}: validation {figures['validation_bits_per_char']:.4f} bits per character")


def train_mixture(options: Options, corpus: Corpus) -> None:
    """Weigh the two trained nets against each other; the time is that of both trainings."""
    large, small = (Checkpoint.load(options.of_size(size).checkpoint, NAME) for size in ("large", "small"))
    net, arguments, found = mix(large, small, corpus.ids(corpus.validation))
    figures, train_s = {"validation_bits_per_char": found}, large.train_s + small.train_s
    checkpoint = Checkpoint(net.state_dict(), arguments, options.seed, options.command, History(), figures, train_s)
    checkpoint.save(options.checkpoint)
    print(f"{net.share:.0%} of the small net: validation {found:.4f} bits per character")


def card(options: Options, corpus: Corpus, checkpoint: Checkpoint) -> streamrnn.Card:
    """Describe the model; its labels are the symbols."""
    description = Description(
        name=options.model,
        summary="Gives the log-probability of each of 65 characters to be the next one of a play by Shakespeare.",
        input_names=("character",),
        output_names=(),
        labels=tuple(corpus.symbols),
        units={"character": "index into labels", "output": "natural logarithm of a probability"},
        decoder=SamplerSettings(),
    )
    return card_of(description, TINYSHAKESPEARE, checkpoint)


def judge(options: Options, corpus: Corpus) -> JudgedText:
    """Run validation and test part through the engine and through PyTorch.

    Raises:
        CheckpointMissing: the net is not trained.
    """
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    net = net_of(checkpoint)
    model = streamrnn.from_torch(net, card=card(options, corpus, checkpoint))
    parts = {"validation": corpus.ids(corpus.validation), "test": corpus.ids(corpus.test)}
    return JudgedText.of(net, model, checkpoint, parts)


def judge_all(options: Options, corpus: Corpus) -> dict[str, JudgedText]:
    """Judge the nets that are trained, the largest first.

    Raises:
        CheckpointMissing: none is.
    """
    judged = {}
    for size in reversed(SIZE_NAMES):
        try:
            judged[size] = judge(options.of_size(size), corpus)
        except CheckpointMissing:
            print(f"no {size} net: python -m training.recipes.{NAME} train --size {size}")
    return judged or {options.size: judge(options, corpus)}


def verdict_of(judged: dict[str, JudgedText], baseline: float) -> str:
    """Say in plain words what the nets are worth."""
    size, best = next(iter(judged.items()))
    found = best.streaming["test"]
    if found >= baseline:
        return f"The {size} net is no better than the n-gram: {found / baseline - 1.0:.1%} more bits per character."
    verdict = f"The {size} net needs {1.0 - found / baseline:.1%} fewer bits per character than the n-gram."
    if size != BUNDLED_SIZE and found > AIM_BITS:
        verdict += f" The aim of {AIM_BITS} is missed by {found - AIM_BITS:.3f}."
    return verdict


def evaluate(options: Options) -> None:
    """Print the table and a sample, draw the plot, and write the evaluation file."""
    corpus = load_corpus(options)
    judged = judge_all(options, corpus)
    contexts = range(1, 4) if options.quick else range(1, 9)
    n_grams = {n: NGram(corpus.text[corpus.train], corpus.symbols, n) for n in {*contexts, CONTEXT_CHARS}}
    by_context = {n: one.bits_per_char(corpus.text[corpus.test]) for n, one in n_grams.items()}
    n_gram, baseline = n_grams[CONTEXT_CHARS], by_context[CONTEXT_CHARS]
    verdict = verdict_of(judged, baseline)
    show_table(corpus, judged, n_gram, verdict)
    streamed = {f"{size}, {one.n_parameters:,} weights": one.streaming["test"] for size, one in judged.items()}
    plot_contexts(options.plot, by_context, streamed, "tinyshakespeare, last 5 %")
    best = next(iter(judged.values()))
    text = write_on(best.model, corpus.symbols, PROMPT, SAMPLE_CHARS, best.checkpoint.seed)
    print(f"\nsample (seed {best.checkpoint.seed}):\n{text}\n")
    Evaluation(
        recipe=NAME,
        model="; ".join(f"{size}: LSTM of {one.net['hidden_size']}" for size, one in SIZES.items()) + "; mixed: both",
        data=DATA,
        split={name: len(corpus.text[getattr(corpus, name)]) for name in ("train", "validation", "test")},
        headlines=tuple(
            Headline(
                metric=f"test bits per character, {size}",
                better="lower",
                streaming=one.streaming["test"],
                offline=one.offline["test"],
                baseline=baseline,
                baseline_name=f"n-gram, context of {CONTEXT_CHARS}",
                aim=AIM_BITS if one is best and size != BUNDLED_SIZE else None,
            )
            for size, one in judged.items()
        ),
        n_parameters=best.n_parameters,
        train_s=best.checkpoint.train_s,
        frame_us=frame_us(best.model, corpus.ids(corpus.test)[:400, None].numpy().astype(np.float32)),
        max_abs_difference=max(one.max_abs_difference for one in judged.values()),
        verdict=verdict,
        checkpoint=best.checkpoint,
        figures={
            "sizes": {size: one.facts for size, one in judged.items()},
            "n_gram_test_bits_per_char_by_context": {str(n): by_context[n] for n in sorted(by_context)},
            "n_gram_validation_bits_per_char": n_gram.bits_per_char(corpus.text[corpus.validation]),
            "n_grams_counted": n_gram.n_grams,
            "sample": text,
        },
    ).write(options.evaluation)


def show_table(corpus: Corpus, judged: dict[str, JudgedText], n_gram: NGram, verdict: str) -> None:
    """Print bits per character, streamed and offline, beside those of the n-gram."""
    columns = [f"{size}, {way}" for size in judged for way in ("streamed", "PyTorch")]
    lines = [
        Line(
            f"{name} bits per character",
            (
                *(value for one in judged.values() for value in (one.streaming[name], one.offline[name])),
                n_gram.bits_per_char(corpus.text[getattr(corpus, name)]),
            ),
        )
        for name in ("validation", "test")
    ]
    sizes = (n for one in judged.values() for n in (one.n_parameters, one.n_parameters))
    lines.append(Line("parameters, or n-grams counted", (*sizes, n_gram.n_grams)))
    show(f"{NAME}: tinyshakespeare", [*columns, f"n-gram, context of {CONTEXT_CHARS}"], lines, verdict)


def export_model(options: Options) -> None:
    """Write the model file."""
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    export(net_of(checkpoint), card(options, load_corpus(options), checkpoint), options.file)


def demo(options: Options) -> None:
    """Serve the file, let it read the test text line by line, then write on."""
    corpus = load_corpus(options)
    lines = corpus.text[corpus.test].splitlines(keepends=True)[: QUICK_DEMO_LINES if options.quick else DEMO_LINES]

    async def play(client: streamrnn_client.Client) -> None:
        reading = Reading(corpus.symbols, "".join(lines))
        await play_frames(client, options.model, reading.frames, reading.show)
        async with await client.open(options.model, decoder="model") as session:
            written = await write_live(session, PROMPT, QUICK_DEMO_CHARS if options.quick else 300)
        print(f"\n{written.text}\n")
        print(f"read {reading.n} characters at {reading.bits_per_char:.2f} bits each; {written.summary}")

    with served_file(options, export_model) as path:
        serve_and_play({options.model: path}, play)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, sizes=SIZE_NAMES)
    n_threads = SIZES[options.size].n_threads if options.size in SIZES else 1
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo}, n_threads)


if __name__ == "__main__":
    main()
