"""Spelled names, numbers and commands: cepstra in, 100 a second; words out while they are spoken, of unknown speakers.

A normaliser, two causal convolutions that stride to 30 ms, two GRUs, and the log-probabilities of a blank and the words
of CMU AN4's dictionary (CTC), a letter of the alphabet being a word. Trained on 40 minutes of 68 people, in ever other
forms, with the phones of the words told besides.

  python -m training.recipes.an4_asr train       about 10 minutes on one core
  python -m training.recipes.an4_asr evaluate    the table, training/results/an4_asr.json and the plot
  python -m training.recipes.an4_asr export      training/runs/an4_asr.safetensors
  python -m training.recipes.an4_asr demo        unknown speakers through a server, words as they come
"""

from __future__ import annotations

import dataclasses
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import streamrnn_client

import streamrnn
from streamrnn.decode import CtcSettings, EndpointSettings, Rule
from training.batches import fit_batches
from training.checkpoint import Checkpoint
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, save
from training.fit import FitSettings
from training.kept import keep, n_parameters, restore
from training.live import play_frames, serve_and_play
from training.options import Options, dispatch, parse
from training.report import Line, show
from training.seeding import seed_everything
from training.sets.an4 import AN4, RATE_HZ
from training.sets.an4_text import Said, an4_said, pronunciations, without_held_out
from training.speech.census_captions import Captions
from training.speech.census_drill import Drill, Examination, Vocabulary, moments
from training.speech.census_net import BLANK_NAME, STRIDE, CensusNet
from training.speech.census_plot import plot_census
from training.speech.census_trial import (
    Mistakes,
    Read,
    by_speaker_unbroken,
    error_percent,
    frames_of,
    most_frequent,
    percent_by_speaker,
    read_offline,
    read_streamed,
    right_percent,
)
from training.speech.transcription import word_error_percent
from training.streamed import frame_us

NAME = "an4_asr"
MODEL = "an4_asr"
DATA = (AN4,)
N_STEPS = 38
"""Optimiser steps in an epoch: about once through all utterances."""
MAX_EPOCHS = 100
PATIENT = EndpointSettings(rule2=Rule(True, 1.0, 0.0))
"""Half a second is too short: words such as `SEVENTEENTH` last longer, and a word counts where it begins to sound."""
GREEDY, BEAM = CtcSettings(endpoint=PATIENT), CtcSettings(endpoint=PATIENT, beam=8, n_best_symbols=12)
BASELINE = "the most frequent word, once an utterance"
METRICS = (
    "test word error rate (%)",
    f"test word error rate (%), prefix beam of {BEAM.beam}",
    "test word error rate (%), all of a speaker in one session",
)
COLUMNS = ("streaming", "offline", "most frequent word")
TAIL_FRAMES = 120
"""Of the last 10 ms again, in the demo: a microphone goes on after the last word, and so the utterance ends."""
SHOWN_WORDS = 8
"""Of the recording in the plot, if one so long is read without an error."""


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s, generator = time.perf_counter(), seed_everything(options.seed)
    folder = data_folder(AN4, options.data)
    vocabulary = Vocabulary.of(pronunciations(folder))
    utterances, held_out = without_held_out(an4_said(folder, "train"))
    if options.quick:
        utterances, held_out = utterances[:24], held_out[:8]
    means, deviations = moments(utterances)
    arguments: dict[str, Any] = {
        "means": means,
        "deviations": deviations,
        "n_words": len(vocabulary.words),
        "n_phones": len(vocabulary.phones),
        "channels": (8, 8) if options.quick else (96, 128),
        "hidden": (16, 16) if options.quick else (160, 160),
        "dropout": 0.25,
    }
    net = CensusNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else MAX_EPOCHS,
        patience_epochs=MAX_EPOCHS,
        window_frames=1,
        learning_rate=3e-3,
        warmup_windows=0 if options.quick else 100,
        final_share=0.01,
        weight_decay=0.03,
        clip_norm=2.0,
        average_decay=0.5 if options.quick else 0.99,
    )
    history = fit_batches(
        net,
        Drill(utterances, vocabulary, deviations, generator),
        Examination(held_out, vocabulary),
        settings,
        n_steps=2 if options.quick else N_STEPS,
    )
    figures = {"validation_errors_a_word": history.validation_loss[history.best_epoch]}
    taken_s = time.perf_counter() - began_s
    keep(net, arguments, options, history, figures, taken_s, "CTC loss (nats a label); validation: errors a word")


def model_of(net: CensusNet, checkpoint: Checkpoint, words: Sequence[str]) -> streamrnn.Model:
    """The model, proved equal to PyTorch; its card names the words and the decoder, so that a server tells words."""
    description = Description(
        name=MODEL,
        summary="Hears spelled names, numbers and commands: log-probabilities of a blank and 101 words, every 30 ms.",
        input_names=(),
        output_names=(),
        labels=(BLANK_NAME, *words),
        units={
            "input": "3 times 13 Sphinx mel cepstra, 100 a second (40 filters, 130 to 6800 Hz)",
            "output": "natural logarithm of a probability",
        },
        rate_hz=RATE_HZ / STRIDE,
    )
    card = card_of(description, AN4, checkpoint, decoder=GREEDY)
    return streamrnn.from_torch(net, card=card)


def load(options: Options) -> tuple[CensusNet, Checkpoint, streamrnn.Model]:
    """The trained net, what it came from, and the model that is served."""
    net, checkpoint = restore(CensusNet, options)
    vocabulary = Vocabulary.of(pronunciations(data_folder(AN4, options.data)))
    return net, checkpoint, model_of(net, checkpoint, vocabulary.words)


def test_utterances(options: Options) -> list[Said]:
    """The official test; a little of it with --quick."""
    utterances = an4_said(data_folder(AN4, options.data), "test")
    return utterances[:: len(utterances) // 6] if options.quick else utterances


def read(net: CensusNet, model: streamrnn.Model, utterances: Sequence[Said]) -> tuple[list[list[Read]], ...]:
    """What sessions and PyTorch read in each of three ways: greedily, with a beam, and all of a speaker in a row."""
    ways = ((utterances, GREEDY), (utterances, BEAM), (by_speaker_unbroken(utterances), GREEDY))
    streamed = [[read_streamed(model, one, settings) for one in some] for some, settings in ways]
    offline = [[read_offline(net, model, one, settings) for one in some] for some, settings in ways]
    return streamed, offline


def verdict_of(headlines: Sequence[Headline], reads: Sequence[Read], mistakes: Mistakes) -> str:
    """Say in plain words what was reached."""
    errors, beam, unbroken = (one.streaming for one in headlines)
    kinds = ", ".join(f"{percent:.1f} % of the {kind}" for kind, percent in mistakes.lost_percent.items())
    return (
        f"Of speakers that no training heard, {errors:.1f} of 100 words are wrong (baseline "
        f"{headlines[0].baseline:.1f}; no aim was set), and {right_percent(reads):.0f} % of the recordings have no "
        f"error. Missed or taken for others are {kinds}. A prefix beam of {BEAM.beam} without a model of the language "
        f"gives {beam:.1f}; all of a speaker in one session gives {unbroken:.1f}."
    )


def figures_of(reads: Sequence[Read], mistakes: Mistakes, checkpoint: Checkpoint) -> dict[str, Any]:
    """What else was measured, for the evaluation file."""
    return {
        "validation errors a word": checkpoint.figures["validation_errors_a_word"],
        "recordings without an error (%)": right_percent(reads),
        "word error rate of an empty transcript (%)": word_error_percent([(one.said, ()) for one in reads]),
        "lost_percent": mistakes.lost_percent,
        "words said": dict(mistakes.said),
        "inserted": mistakes.inserted,
        "taken for": {f"{said} for {taken}": n for (said, taken), n in mistakes.taken_for.most_common(12)},
        "word_error_percent_by_speaker": percent_by_speaker(reads),
    }


def evaluate(options: Options) -> None:
    """Print the table, write the evaluation file and draw the plot."""
    net, checkpoint, model = load(options)
    utterances = test_utterances(options)
    known, held_out = without_held_out(an4_said(data_folder(AN4, options.data), "train"))
    streamed, offline = read(net, model, utterances)
    usual = (most_frequent(known),)
    baseline = word_error_percent([(one.words, usual) for one in utterances])
    headlines = tuple(
        Headline(metric, "lower", error_percent(ours), error_percent(theirs), baseline, BASELINE)
        for metric, ours, theirs in zip(METRICS, streamed, offline, strict=True)
    )
    reads = streamed[0]
    mistakes = Mistakes.of([(one.said, one.words) for one in reads])
    figures, verdict = figures_of(reads, mistakes, checkpoint), verdict_of(headlines, reads, mistakes)
    lines = [Line(one.metric, (one.streaming, one.offline, one.baseline)) for one in headlines]
    lines.append(Line("recordings without an error (%)", (right_percent(reads), right_percent(offline[0]), None)))
    lines += [Line(f"lost (%): {kind}", (percent, None, None)) for kind, percent in mistakes.lost_percent.items()]
    show(f"{NAME}: official test, speakers unseen", COLUMNS, lines, verdict)
    shown = max(range(len(reads)), key=lambda i: (reads[i].said == reads[i].words, len(reads[i].said) == SHOWN_WORDS))
    plot_census(reads[shown], utterances[shown].features, figures, headlines[0].streaming, options.plot)
    differences = [np.abs(a.outputs - b.outputs).max() for a, b in zip(streamed[2], offline[2], strict=True)]
    Evaluation(
        recipe=NAME,
        model="13 cepstra, 2 causal convolutions (stride 30 ms), 2 GRUs of 160, CTC over a blank and 101 words",
        data=DATA,
        split={
            "train utterances": len(known),
            "validation utterances (6 speakers)": len(held_out),
            "test utterances": len(utterances),
            "test speakers": len(streamed[2]),
            "test words": sum(len(one.words) for one in utterances),
        },
        headlines=headlines,
        n_parameters=n_parameters(net) - n_parameters(net.phones),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, frames_of(utterances[0].features)),
        max_abs_difference=float(max(differences)),
        verdict=verdict,
        checkpoint=checkpoint,
        figures=figures,
    ).write(options.evaluation)


def export_model(options: Options) -> None:
    """Write the model file."""
    save(load(options)[2], options.file)


def demo(options: Options) -> None:
    """Serve the model file, made first where it is missing, and let unknown speakers speak, one after another."""
    utterances, pairs = [one for one in test_utterances(options) if len(one.words) > 3], []
    shown = list({one.speaker: one for one in reversed(utterances)}.values())[: 2 if options.quick else 5]

    async def stream(client: streamrnn_client.Client) -> None:
        for one in shown:
            print(f"{one.speaker}, {len(one.features) / RATE_HZ:.1f} s:")
            captions, hz = Captions(), float("inf") if options.quick else RATE_HZ / STRIDE
            heard = np.pad(one.features, ((0, TAIL_FRAMES), (0, 0)), mode="edge")
            await play_frames(client, MODEL, frames_of(heard), captions.show, hz, decoder="model")
            print(f"  said:            {' '.join(one.words)}")
            pairs.append((one.words, captions.heard))

    with tempfile.TemporaryDirectory() as temporary:
        path = options.file
        if not path.is_file():
            path = Path(temporary) / path.name
            export_model(dataclasses.replace(options, file=path))
        serve_and_play({MODEL: path}, stream)
    n_words = sum(len(said) for said, _ in pairs)
    print(f"{n_words} words said, word error rate {word_error_percent(pairs):.1f} %")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
