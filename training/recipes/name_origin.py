"""Languages of surnames: a recurrent net reads a name character by character and says which of 18 languages it is from.

Three cells side by side: the vanilla RNN as tutorials write it by hand, an LSTM and a GRU; and four GRUs that were
trained apart and answer together. The one that validates best is served. Beside them what has no state: n-grams of
characters under naive Bayes and under a logistic regression, and the most frequent language. The figure that counts is
the macro-averaged F1: every language counts alike, though half the names are Russian.

  python -m training.recipes.name_origin train       about 7 minutes on one core, all the nets
  python -m training.recipes.name_origin evaluate    the table, the confusion, and training/results/name_origin.json
  python -m training.recipes.name_origin export      name_origin.safetensors in --out
  python -m training.recipes.name_origin demo        types surnames, the three likeliest languages after each character
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any, cast

import numpy as np
import streamrnn_client
import torch
from torch import nn

import streamrnn
from training.checkpoint import Checkpoint
from training.confusion import confusion
from training.confusion_plot import plot_confusion
from training.curves import plot_history
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, export
from training.fit import FitSettings, History, fit
from training.live import Floats, play_frames, serve_and_play
from training.options import Options, dispatch, parse
from training.report import Line, show
from training.seeding import seed_everything
from training.served import served_file
from training.sets.names import NAMES, Surname, Surnames, load_surnames
from training.tbptt import run
from training.text.f1 import f1_by_class, macro_f1
from training.text.judged_surnames import JudgedSurnames
from training.text.ngram_classifiers import CLASSIFIERS, predict
from training.text.surname_nets import KINDS, CellNet, Committee, Foreteller, Kind, Reader, make_all
from training.text.surnames_read import Alphabet, Drawn, at_ends, foretelling_loss, labels_of, reading_loss

NAME = MODEL = "name_origin"
DATA = (NAMES,)
AIM_F1 = 0.60
N_LANES = 64
BALANCE = 0.5
"""Rare languages are drawn more often, but not as often as frequent ones; see `Drawn`."""
UNSEEN, UNSEEN_BY_GATED = 0.1, 0.15
"""Share of the characters that the vanilla RNN does not see while it trains, and that LSTM and GRU do not."""
HIDDEN_SIZES = {"RNN": 192, "LSTM": 160, "GRU": 192}
N_MEMBERS = 4
"""GRUs that answer together."""
FEW_NAMES = 150
"""Of a language: with fewer, a net hardly learns it, and 15 test names or fewer hardly tell."""
N_LIKELIEST = 3
DEMO_HZ = 6.0


def load_data(options: Options) -> tuple[Surnames, Alphabet]:
    """Load the names in their parts, and their characters."""
    surnames = load_surnames(data_folder(NAMES, options.data))
    return surnames, Alphabet(surnames)


def settings_of(options: Options, n_frames: int) -> FitSettings:
    """How each net is trained; a window is a name of at most `n_frames`."""
    return FitSettings(
        max_epochs=1 if options.quick else 16,
        patience_epochs=8,
        window_frames=n_frames,
        learning_rate=5e-3,
        warmup_windows=0 if options.quick else 100,
        weight_decay=0.05,
        average_decay=0.0 if options.quick else 0.997,
    )


def validated_f1(reader: nn.Module, surnames: Surnames, alphabet: Alphabet) -> float:
    """Give the macro-F1 of the validation part."""
    names = surnames.validation
    answers = at_ends(run(reader, alphabet.padded(names)), names).argmax(dim=-1).numpy()
    return macro_f1(labels_of(names, surnames.languages), answers, len(surnames.languages))


def fit_net(
    net: nn.Module, surnames: Surnames, alphabet: Alphabet, generator: torch.Generator, settings: FitSettings
) -> History:
    """Train one net in place: the vanilla RNN as tutorials do, LSTM and GRU with the next character foretold."""
    drawn = Drawn(surnames, alphabet, N_LANES, BALANCE, generator)
    reader, loss = Reader(net, len(alphabet.symbols), UNSEEN), reading_loss
    if isinstance(net, CellNet):
        reader, loss = Foreteller(net, len(alphabet.symbols), UNSEEN_BY_GATED), foretelling_loss
    return fit(reader, drawn, loss, lambda one: 1.0 - validated_f1(one, surnames, alphabet), settings)


def train(options: Options) -> None:
    """Fit all and leave them, with the learning curve of the best one, in the output folder."""
    began_s = time.monotonic()
    generator = seed_everything(options.seed)
    surnames, alphabet = load_data(options)
    arguments: dict[str, Any] = {
        "n_symbols": len(alphabet.symbols),
        "hidden_sizes": dict.fromkeys(HIDDEN_SIZES, 16) if options.quick else HIDDEN_SIZES,
        "n_languages": len(surnames.languages),
        "n_members": 2 if options.quick else N_MEMBERS,
    }
    nets = make_all(**arguments)
    settings = settings_of(options, alphabet.n_frames)
    committee = cast(Committee, nets["GRUs"])
    histories = {}
    for name, net in {**{kind: nets[kind] for kind in HIDDEN_SIZES}, **committee.further}.items():
        histories[name] = fit_net(net, surnames, alphabet, generator, settings)
        print(f"{name}: kept epoch {histories[name].best_epoch}")
    figures: dict[str, float] = {
        kind: validated_f1(Reader(nets[kind], len(alphabet.symbols)), surnames, alphabet) for kind in KINDS
    }
    for kind, figure in figures.items():
        print(f"{kind}: validation macro-F1 {figure:.4f}")
    best = max(figures, key=lambda kind: figures[kind])
    shown = "GRU" if best == "GRUs" else best
    history, train_s = histories[shown], time.monotonic() - began_s
    checkpoint = Checkpoint(nets.state_dict(), arguments, options.seed, options.command, history, figures, train_s)
    checkpoint.save(options.checkpoint)
    plot_history(history, options.curve, f"{NAME}, {shown}", "training: loss in nats; validation: 1 - macro-F1")


def load(options: Options) -> tuple[nn.ModuleDict, Kind, Checkpoint]:
    """Give the trained nets, and the kind that validated best."""
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    nets = make_all(**checkpoint.arguments)
    nets.load_state_dict(checkpoint.weights)
    best = max(KINDS, key=lambda kind: checkpoint.figures[kind])
    return nets.eval(), best, checkpoint


def card(kind: Kind, surnames: Surnames, alphabet: Alphabet, checkpoint: Checkpoint) -> streamrnn.Card:
    """Describe the model of one kind; its labels are the languages."""
    description = Description(
        name=MODEL,
        summary="Reads a surname in lower case, character by character, and gives the log-probability of 18 languages.",
        input_names=alphabet.symbols,
        output_names=(),
        labels=surnames.languages,
        units={"output": "natural logarithm of a probability"},
    )
    return card_of(description, NAMES, checkpoint, {"cell": kind})


def evaluate(options: Options) -> None:
    """Print the table, draw the confusion of the best net, and write the evaluation file."""
    nets, best, checkpoint = load(options)
    surnames, alphabet = load_data(options)
    judged = {}
    for kind in KINDS:
        model = streamrnn.from_torch(nets[kind], card=card(kind, surnames, alphabet, checkpoint))
        judged[kind] = JudgedSurnames.of(nets[kind], model, surnames.test, surnames.languages, alphabet)
    train_labels, n_languages = labels_of(surnames.train, surnames.languages), len(surnames.languages)
    truth, texts = labels_of(surnames.test, surnames.languages), [name.text for name in surnames.test]
    answers = {kind: predict(kind, [name.text for name in surnames.train], train_labels, texts) for kind in CLASSIFIERS}
    answers |= {f"{kind}, streamed": one.streaming for kind, one in judged.items()}
    answers |= {f"{kind}, PyTorch": one.offline for kind, one in judged.items()}
    f1 = {name: macro_f1(truth, given, n_languages) for name, given in answers.items()}
    accuracy = {name: float((truth == given).mean()) for name, given in answers.items()}
    baseline_name = max(CLASSIFIERS, key=lambda name: f1[name])
    by_language = f1_by_class(truth, judged[best].streaming, surnames.languages)
    verdict = verdict_of(best, by_language, surnames.languages_of(FEW_NAMES), baseline_name, f1[baseline_name])
    lines = [Line("test macro-F1", tuple(f1.values())), Line("test accuracy", tuple(accuracy.values()))]
    show(f"{NAME}: {len(texts)} surnames of {n_languages} languages", tuple(answers), lines, verdict)
    counts = confusion(truth, judged[best].streaming, n_languages)
    plot_confusion(options.plot, counts, surnames.languages, f"Languages of surnames: {best}, streamed")
    Evaluation(
        recipe=NAME,
        model=", ".join(f"{kind} of {size}" for kind, size in checkpoint.arguments["hidden_sizes"].items())
        + f", {checkpoint.arguments['n_members']} GRUs that answer together; served: {best}",
        data=DATA,
        split={name: len(getattr(surnames, name)) for name in ("train", "validation", "test")},
        headlines=tuple(
            Headline(
                metric=f"test macro-F1, {kind}",
                better="higher",
                streaming=f1[f"{kind}, streamed"],
                offline=f1[f"{kind}, PyTorch"],
                baseline=f1[baseline_name],
                baseline_name=f"{baseline_name} of n-grams",
                aim=AIM_F1 if kind == best else None,
            )
            for kind in (best, *(kind for kind in KINDS if kind != best))
        ),
        n_parameters=judged[best].n_parameters,
        train_s=checkpoint.train_s,
        frame_us=judged[best].frame_us,
        max_abs_difference=max(one.max_abs_difference for one in judged.values()),
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "macro_f1": f1,
            "accuracy": accuracy,
            "validation_macro_f1": dict(checkpoint.figures),
            "accuracy_after_characters": dict(judged[best].by_length),
            "f1_by_language": by_language,
            "surnames_of_more_than_one_language": surnames.ambiguous,
            "confusion_rows_are_the_truth": counts.tolist(),
        },
    ).write(options.evaluation)


def verdict_of(best: Kind, by_language: dict[str, float], few: set[str], baseline_name: str, baseline: float) -> str:
    """Say in plain words what the best net is worth; `few` are the languages of few names."""
    f1 = float(np.mean([*by_language.values()]))
    beside = f"{abs(f1 - baseline):.3f} {'above' if f1 > baseline else 'below'} the {baseline_name} of n-grams"
    verdict = f"{best}: a macro-F1 of {f1:.3f}, {beside}."
    if f1 < AIM_F1:
        rare, frequent = (
            float(np.mean([value for language, value in by_language.items() if (language in few) == is_rare]))
            for is_rare in (True, False)
        )
        verdict += f" The aim of {AIM_F1:.2f} is missed: the {len(few)} languages of at most {FEW_NAMES} names reach"
        verdict += f" {rare:.2f} on average, the others {frequent:.2f}."
    return verdict


def export_model(options: Options) -> None:
    """Write the model file of the kind that validated best."""
    nets, best, checkpoint = load(options)
    export(nets[best], card(best, *load_data(options), checkpoint), options.file)


def demo(options: Options) -> None:
    """Serve the file, type test names into it, and show the likeliest languages after each character."""
    surnames, alphabet = load_data(options)
    shown = [next(name for name in surnames.test if name.language == language) for language in surnames.languages]
    right: list[bool] = []

    async def play(client: streamrnn_client.Client) -> None:
        for name in shown[:3] if options.quick else shown:
            print(f"\n{name.text} ({name.language})")
            typing = Typing(name, surnames.languages)
            hz = float("inf") if options.quick else DEMO_HZ
            await play_frames(client, MODEL, alphabet.frames(name.text), typing.show, hz)
            right.append(typing.answer == name.language)

    with served_file(options, export_model) as path:
        serve_and_play({MODEL: path}, play)
    print(f"\n{sum(right)} of {len(right)} surnames told right at their end")


class Typing:
    """A name that is typed, and the likeliest languages after each character; `answer` is the first of them."""

    def __init__(self, name: Surname, languages: Sequence[str]) -> None:
        self.name, self.languages, self.answer = name, languages, ""

    def show(self, seq: int, frame: Floats, output: streamrnn_client.Output) -> None:
        """Print what was typed so far, a point behind a whole name, and the likeliest languages."""
        likeliest = np.argsort(-output.y)[:N_LIKELIEST]
        self.answer = self.languages[likeliest[0]]
        typed = self.name.text[: seq + 1] + ("." if seq == len(self.name.text) else "")
        print(f"  {typed:22s}" + "".join(f"{self.languages[i]:>11s} {np.exp(output.y[i]):4.0%}" for i in likeliest))


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
