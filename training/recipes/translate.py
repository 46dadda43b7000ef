"""English to French, a session a conversation: a GRU reads a sentence into its state, another says it in French.

Trained on short sentences of Tatoeba, those of a tenth of all English sides held out as validation and another as test;
judged by BLEU and chrF beside all of a sentence's translations, and beside a word-by-word translation (IBM model 1) of
the same training pairs. What the decoder looks at is kept in the session's state: a snapshot in the middle of a
sentence goes on where it was, and beam search forks the session.

  python -m training.recipes.translate train       about four minutes on one core
  python -m training.recipes.translate evaluate    the table, training/results/translate.json and the plot
  python -m training.recipes.translate export      translate_en_fr.safetensors, in --out
  python -m training.recipes.translate demo        serves that file and translates test sentences
"""

import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

import streamrnn_client
from torch import nn

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
from training.sets.tatoeba import TATOEBA, Part, Sentence, tatoeba_sentences
from training.streamed import frame_us
from training.translation.agreement import agreement, largest_difference
from training.translation.bleu import Scores, gain_error, scores_of
from training.translation.conversation import converse
from training.translation.interpreter import Interpreter, frames_of
from training.translation.lexicon import Lexicon
from training.translation.offline_interpreter import OfflineInterpreter
from training.translation.remote_interpreter import RemoteInterpreter
from training.translation.seen_words import UNSEEN, draw, scores_by_words
from training.translation.sentence_pairs import SentencePairs
from training.translation.translator import GO, Sizes, Translator, TranslatorStep, smoothed_loss
from training.translation.vocabulary import Vocabulary

NAME, MODEL = "translate", "translate_en_fr"
DATA = (TATOEBA,)
N_SLOTS, MAX_TOKENS = 12, 20
"""Tokens looked at and said at most; the longest English sentence has 11, one French one of 4,950 has more."""
N_MERGES, BATCH_SIZE, SMOOTHING = 600, 64, 0.1
WIDTH = 4
PENALTIES = (0.0, 0.5, 1.0)
"""Length penalties of the beam that training tries on the validation part."""
AIM_ABOVE = 5.0
"""Points of BLEU and of chrF above word by word: with so few test sentences, some two standard errors of it."""
N_DRAWS = 100
"""Draws of the test sentences that give that error."""
QUICK_SENTENCES = 40
N_SHOWN = 12


@dataclass(frozen=True)
class Corpus:
    """The three parts."""

    train: list[Sentence]
    validation: list[Sentence]
    test: list[Sentence]

    @classmethod
    def load(cls, options: Options) -> "Corpus":
        """Load the parts; with --quick only the beginning of each."""
        folder = data_folder(TATOEBA, options.data)
        parts: tuple[Part, ...] = ("train", "validation", "test")
        n = QUICK_SENTENCES if options.quick else None
        return cls(*(tatoeba_sentences(folder, part)[:n] for part in parts))

    @property
    def pairs(self) -> list[tuple[str, str]]:
        """The training part, each translation beside its source."""
        return [(sentence.english, french) for sentence in self.train for french in sentence.french]


def english_of(sentences: Sequence[Sentence]) -> list[str]:
    """Their English sides."""
    return [sentence.english for sentence in sentences]


def scores(said: Sequence[str], sentences: Sequence[Sentence]) -> Scores:
    """Score translations of sentences."""
    return scores_of(said, [sentence.french for sentence in sentences])


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s = time.perf_counter()
    generator = seed_everything(options.seed)
    corpus = Corpus.load(options)
    english, french = zip(*corpus.pairs, strict=True)
    vocabulary = Vocabulary.learn(english, french, 50 if options.quick else N_MERGES)
    n_embedding, n_hidden = (16, 16) if options.quick else (128, 160)
    sizes = Sizes(vocabulary.n_targets, vocabulary.n_tokens, N_SLOTS, n_embedding, n_hidden)
    net = Translator(sizes, dropout=0.35, token_dropout=0.15)
    pairs = SentencePairs(corpus.train, vocabulary, N_SLOTS, MAX_TOKENS)
    settings = FitSettings(
        max_epochs=2 if options.quick else 60,
        patience_epochs=60,
        window_frames=pairs.n_frames,
        learning_rate=3e-3,
        warmup_windows=0 if options.quick else 100,
        weight_decay=0.01,
        average_decay=0.0 if options.quick else 0.99,
    )

    def validate(candidate: nn.Module) -> float:
        assert isinstance(candidate, Translator)
        said = OfflineInterpreter(candidate.eval(), vocabulary, MAX_TOKENS).greedy(english_of(corpus.validation))
        return 100.0 - scores(said, corpus.validation).chrf

    history = fit(
        net,
        lambda _: pairs.epoch(16 if options.quick else BATCH_SIZE, generator),
        partial(smoothed_loss, smoothing=SMOOTHING),
        validate,
        settings,
    )
    offline = OfflineInterpreter(net.eval(), vocabulary, MAX_TOKENS)
    found = {
        penalty: scores(
            [offline.beam(text, WIDTH, penalty) for text in english_of(corpus.validation)], corpus.validation
        )
        for penalty in PENALTIES
    }
    best = max(found, key=lambda penalty: found[penalty].bleu)
    figures = {"length_penalty": best, "validation_bleu": found[best].bleu, "validation_chrf": found[best].chrf}
    arguments = {"sizes": asdict(sizes), "vocabulary": vocabulary.as_plain()}
    train_s = time.perf_counter() - began_s
    checkpoint = Checkpoint(net.state_dict(), arguments, options.seed, options.command, history, figures, train_s)
    checkpoint.save(options.checkpoint)
    plot_history(history, options.curve, NAME, "training: cross-entropy in nats; validation: 100 - chrF")
    print(f"kept epoch {history.best_epoch}: " + ", ".join(f"{name} {value:.2f}" for name, value in figures.items()))


def load(options: Options) -> tuple[Translator, Vocabulary, Checkpoint]:
    """Give the trained net and its vocabulary."""
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    net = Translator(Sizes(**checkpoint.arguments["sizes"]))
    net.load_state_dict(checkpoint.weights)
    return net.eval(), Vocabulary.of_plain(checkpoint.arguments["vocabulary"]), checkpoint


def card(vocabulary: Vocabulary, checkpoint: Checkpoint) -> streamrnn.Card:
    """Describe the model; its labels are what may be said, and its provenance holds all that cuts text into tokens."""
    description = Description(
        name=MODEL,
        summary="Reads an English sentence token by token, then gives log-probabilities of the next French token.",
        input_names=("token",),
        output_names=(),
        labels=vocabulary.labels,
        units={
            "token": "said: index into labels; read: start_token, then one above it for each source piece",
            "output": "natural logarithm of a probability",
        },
        decoder=SamplerSettings(),
    )
    penalty = checkpoint.figures["length_penalty"]
    extra = {"max_tokens": MAX_TOKENS, "width": WIDTH, "length_penalty": penalty, **vocabulary.as_plain()}
    return card_of(description, TATOEBA, checkpoint, extra)


def headlines_of(found: Mapping[str, Scores]) -> tuple[Headline, ...]:
    """The figures that count, of the scores of each system; the aim is the beam's, as that is what one would use."""
    base = found["word by word"]
    return tuple(
        Headline(
            f"test {name}, {how}",
            "higher",
            getattr(found[f"{kind}, engine"], field),
            getattr(found[f"{kind}, PyTorch"], field),
            getattr(base, field),
            "word by word",
            getattr(base, field) + AIM_ABOVE if kind == "beam" else None,
        )
        for kind, how in (("beam", f"beam of {WIDTH}"), ("greedy", "greedy"))
        for name, field in (("BLEU", "bleu"), ("chrF", "chrf"))
    )


def verdict_of(headlines: Sequence[Headline], by_words: Mapping[str, Mapping[str, Any]]) -> str:
    """Say in plain words whether the model is worth having, and where it is not."""
    gains = []
    for one in headlines:
        if one.aim is not None and one.baseline is not None:
            fate = "met" if one.is_met else "missed"
            gains.append(f"{one.streaming - one.baseline:+.1f} {one.metric.split()[1].rstrip(',')} (aim {fate})")
    text = f"Against word by word the beam has {' and '.join(gains)}; the aim is {AIM_ABOVE:.0f} points each."
    if UNSEEN in by_words:
        beam, base = (by_words[UNSEEN][who]["bleu"] for who in ("beam, engine", "word by word"))
        text += f" The {by_words[UNSEEN]['n_sentences']} test sentences with a word that training never saw "
        text += f"get a BLEU of {beam:.1f}, {base:.1f} word by word: pieces let it spell such words, mostly wrong."
    return text


def evaluate(options: Options) -> None:
    """Print the table, write the evaluation file and draw the plot."""
    net, vocabulary, checkpoint = load(options)
    corpus, penalty = Corpus.load(options), checkpoint.figures["length_penalty"]
    model = streamrnn.from_torch(TranslatorStep(net).eval(), card=card(vocabulary, checkpoint))
    interpreter = Interpreter(model, vocabulary, MAX_TOKENS)
    offline = OfflineInterpreter(net, vocabulary, MAX_TOKENS)
    english, lexicon = english_of(corpus.test), Lexicon(corpus.pairs)
    beamed, greedily = interpreter.translations(english, WIDTH, penalty)
    said = {
        "beam, engine": beamed,
        "beam, PyTorch": [offline.beam(text, WIDTH, penalty) for text in english],
        "greedy, engine": greedily,
        "greedy, PyTorch": offline.greedy(english),
        "word by word": [lexicon.translate(text) for text in english],
        "source copied": english,
    }
    found = {name: scores(translations, corpus.test) for name, translations in said.items()}
    same = {kind: agreement(said[f"{kind}, engine"], said[f"{kind}, PyTorch"]) for kind in ("beam", "greedy")}
    difference = largest_difference(interpreter, offline, [(one.english, one.french[0]) for one in corpus.test])
    drawn = {name: said[name] for name in ("word by word", "greedy, engine", "beam, engine")}
    by_words = scores_by_words(drawn, corpus.test, english_of(corpus.train))
    references, n_draws = [one.french for one in corpus.test], 3 if options.quick else N_DRAWS
    error = gain_error(beamed, said["word by word"], references, checkpoint.seed, n_draws)
    headlines = headlines_of(found)
    verdict = verdict_of(headlines, by_words)
    lines = [Line("test BLEU", tuple(one.bleu for one in found.values()))]
    lines.append(Line("test chrF", tuple(one.chrf for one in found.values())))
    note = f"{verdict}\nLargest difference of outputs, engine to PyTorch: {difference:.2e}; the same sentences: {same}"
    show(f"{NAME}: {len(corpus.test)} test sentences of Tatoeba, English to French", tuple(found), lines, note)
    frames = frames_of([*vocabulary.source_tokens(english[0]), GO])
    Evaluation(
        recipe=NAME,
        model=f"GRU encoder and decoder of {net.sizes.hidden_size}, attention over {N_SLOTS} slots of the state",
        data=DATA,
        split={name: len(part) for name, part in vars(corpus).items()},
        headlines=headlines,
        n_parameters=sum(parameter.numel() for parameter in net.parameters()),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, frames),
        max_abs_difference=difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "scores": {name: one._asdict() for name, one in found.items()},
            "standard_error_of_gain_on_word_by_word": error._asdict(),
            "scores_by_words": by_words,
            "same_sentences_engine_and_torch": same,
            "n_pairs": {name: sum(len(one.french) for one in part) for name, part in vars(corpus).items()},
            "n_tokens": model.n_tokens,
            "state_bytes": model.state_bytes,
            "validation": dict(checkpoint.figures),
            "examples": [
                {"english": one.english, "beam": best, "greedy": plain, "references": list(one.french)}
                for one, best, plain in list(zip(corpus.test, beamed, greedily, strict=True))[::20]
            ],
        },
    ).write(options.evaluation)
    draw(by_words, options.plot, "English to French on the test part of Tatoeba: words, seen and unseen")


def export_model(options: Options) -> None:
    """Write the model file."""
    net, vocabulary, checkpoint = load(options)
    export(TranslatorStep(net), card(vocabulary, checkpoint), options.file)


def demo(options: Options) -> None:
    """Serve the file and translate test sentences through a websocket, token by token; some by a beam of forks too."""
    if not options.file.is_file():
        export_model(options)
    facts = streamrnn.load_model(options.file).card.provenance
    vocabulary = Vocabulary.of_plain(facts)  # all that it takes stands in the file
    test = Corpus.load(options).test
    chosen = test[:: max(1, len(test) // N_SHOWN)][:N_SHOWN]
    penalty = facts["length_penalty"]
    assert isinstance(penalty, float)

    async def play(client: streamrnn_client.Client) -> None:
        async with await client.open(MODEL) as session:
            await converse(RemoteInterpreter(session, vocabulary, MAX_TOKENS), chosen, WIDTH, penalty)

    serve_and_play({MODEL: options.file}, play)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
