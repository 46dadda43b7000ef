"""Who speaks: the speaker among those of the training, after each 10 ms of speech, and an embedding for strangers.

A GRU, a gate that weighs frames, and a running mean, which is what the session remembers. Three trials: six speakers of
FSDD from samples of 8 kHz (this net is served), each of the six as a stranger who enrols with 10 s of speech, and 74
speakers of AN4 from its cepstra, with pairs of 10 speakers that no training saw.

  python -m training.recipes.speaker_id train       3 to 5 minutes on one core
  python -m training.recipes.speaker_id evaluate    the table, training/results/speaker_id.json and the plot
  python -m training.recipes.speaker_id export      training/runs/speaker_id.safetensors
  python -m training.recipes.speaker_id demo        test speakers in turn through the server, each second's answer
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import streamrnn_client
from torch import nn

import streamrnn
from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, save
from training.fit import EpochSource, History
from training.live import play_frames, serve_and_play
from training.options import Options, dispatch, parse
from training.report import Line, show
from training.seeding import seed_everything
from training.sets.an4 import AN4, Part, an4_utterances, by_speaker
from training.sets.fsdd import FSDD
from training.speech.soundtrack import Floats, Word
from training.speech.speaker_figures import Figures, Trial
from training.speech.speaker_fit import FRONTEND, PIECE_FRAMES, digits_by_speaker, fit_speakers
from training.speech.speaker_models import SPOKEN, SpeakerModels
from training.speech.speaker_net import SpeakerNet
from training.speech.speaker_pieces import CutPieces, SpokenPieces
from training.speech.speaker_plot import plot_speakers
from training.speech.speaker_trial import HEADLINE_S, SECONDS, speech_of
from training.streamed import frame_us

NAME = "speaker_id"
MODEL = "speaker_id"
DATA = (FSDD, AN4)
MAX_EPOCHS, MAX_STRANGER_EPOCHS, MAX_AN4_EPOCHS = 25, 10, 45
N_LANES = 48
AIM_ACCURACY = 0.98
BASELINE = "nearest average voice"
COLUMNS = ("GRU, engine", "GRU, PyTorch", BASELINE)


def spoken(words: Mapping[str, Sequence[Word]], options: Options, n_pieces: int, seed: int) -> EpochSource:
    """Pieces of digits."""
    n_lanes, n_pieces = (4, 1) if options.quick else (N_LANES, n_pieces)
    return SpokenPieces(words, FRONTEND, seed, n_lanes, n_pieces, PIECE_FRAMES)


def fit_an4(options: Options) -> tuple[SpeakerNet, dict[str, Any], History]:
    """Train on the 74 speakers of AN4."""
    parts = by_speaker(an4_utterances(data_folder(AN4, options.data), "train"))

    def cut(part: Part, n_pieces: int, seed: int) -> CutPieces:
        utterances: dict[str, list[Floats]] = {}
        for one in parts[part]:
            utterances.setdefault(one.speaker, []).append(one.features)
        return CutPieces(utterances, seed, 4 if options.quick else N_LANES, n_pieces, PIECE_FRAMES)

    pieces, validation = cut("train", 12, options.seed), cut("validation", 4, options.seed + 1)
    return fit_speakers(pieces, validation, len(pieces.speakers), options, MAX_AN4_EPOCHS)


def train(options: Options) -> None:
    """Fit all nets and leave them, with the learning curve of the served one, in the output folder."""
    began_s = time.perf_counter()
    seed_everything(options.seed)
    folder = data_folder(FSDD, options.data)
    words, others = digits_by_speaker(folder, "train"), digits_by_speaker(folder, "validation")
    nets, arguments, histories = nn.ModuleDict(), {}, {}
    for stranger in ("", *sorted(words)):
        known, known_others = ({who: own for who, own in part.items() if who != stranger} for part in (words, others))
        name = f"without_{stranger}" if stranger else "fsdd"
        pieces, validation = spoken(known, options, 8, options.seed), spoken(known_others, options, 4, options.seed + 1)
        epochs = MAX_STRANGER_EPOCHS if stranger else MAX_EPOCHS
        nets[name], arguments[name], histories[name] = fit_speakers(pieces, validation, len(known), options, epochs)
    nets["an4"], arguments["an4"], histories["an4"] = fit_an4(options)
    taken_s = time.perf_counter() - began_s
    figures = {f"{name}_validation_loss": one.validation_loss[one.best_epoch] for name, one in histories.items()}
    checkpoint = Checkpoint(
        nets.state_dict(), arguments, options.seed, options.command, histories["fsdd"], figures, train_s=taken_s
    )
    checkpoint.save(options.checkpoint)
    plot_history(histories["fsdd"], options.curve, NAME, "-log p of the speaker (training: with dropout)")
    print(f"{len(histories)} nets in {taken_s:.0f} s: {figures}")


def lines_of(columns: Sequence[Figures]) -> list[Line]:
    """The table: one column for each way of hearing."""
    rows = {f"right after {seconds:g} s": [one.by_seconds[i] for one in columns] for i, seconds in enumerate(SECONDS)}
    rows["strangers of FSDD: mean equal error rate"] = [np.mean(one.strangers) for one in columns]
    rows["AN4, 74 speakers: right after an utterance"] = [one.an4_accuracy for one in columns]
    rows["AN4, 10 unseen speakers: equal error rate of pairs"] = [one.an4_pairs for one in columns]
    return [Line(name, tuple(float(value) for value in values)) for name, values in rows.items()]


def headlines_of(columns: Sequence[Figures]) -> tuple[Headline, ...]:
    """The figures that count."""
    at = SECONDS.index(HEADLINE_S)
    known = (float(one.by_seconds[at]) for one in columns)
    strangers = (float(np.mean(one.strangers)) for one in columns)
    accuracy, unseen = (one.an4_accuracy for one in columns), (one.an4_pairs for one in columns)
    return (
        Headline.of("FSDD, 6 speakers: right after 1 s of speech", "higher", known, BASELINE, AIM_ACCURACY),
        Headline.of("FSDD, strangers: equal error rate, 10 s to enrol, 1 s to test", "lower", strangers, BASELINE),
        Headline.of("AN4, 74 speakers: right after one utterance", "higher", accuracy, BASELINE),
        Headline.of("AN4, 10 unseen speakers: equal error rate of pairs", "lower", unseen, BASELINE),
    )


def verdict_of(columns: Sequence[Figures]) -> str:
    """Say in plain words what the model is worth."""
    engine, at = columns[0], SECONDS.index(HEADLINE_S)
    right = float(engine.by_seconds[at])
    return (
        f"After 1 s of speech {right:.1%} of the pieces are taken for the right one of six speakers: the aim of "
        f"{AIM_ACCURACY:.0%} is {'met' if right >= AIM_ACCURACY else 'missed'} (each speaker of FSDD has a microphone "
        f"of his own, which helps; the average voice has {columns[2].by_seconds[at]:.1%}). Strangers are told apart "
        f"with an equal error rate of {np.mean(engine.strangers):.1%}, worst {max(engine.strangers):.1%}: five voices "
        f"are few to learn from. Of 74 speakers of AN4, one utterance names the right one in "
        f"{engine.an4_accuracy:.1%}; pairs of unseen speakers have an equal error rate of {engine.an4_pairs:.1%}."
    )


def evaluate(options: Options) -> None:
    """Print the table, draw the plot, and write the evaluation file."""
    trial = Trial(options)
    columns = (trial.streamed(), trial.offline(), trial.baseline())
    lines, verdict = lines_of(columns), verdict_of(columns)
    show(f"{NAME}: FSDD and AN4", COLUMNS, lines, verdict)
    shown = {COLUMNS[0]: columns[0], BASELINE: columns[2]}
    accuracies = {name: one.by_seconds.tolist() for name, one in shown.items()}
    strangers = {name: one.strangers for name, one in shown.items()}
    plot_speakers(options.plot, accuracies, strangers, trial.speakers, len(trial.speech))
    checkpoint, model = trial.models.checkpoint, trial.models.model(SPOKEN)
    Evaluation(
        recipe=NAME,
        model="log mel 40, GRU 96, gated running mean, embedding 48 (cosine softmax)",
        data=DATA,
        split={
            "FSDD train": sum(map(len, trial.words.values())),
            "FSDD test": sum(map(len, trial.test.values())),
            "AN4 train": len(trial.an4_train),
            "AN4 test": len(trial.an4_test),
            "AN4 unseen": len(trial.unseen),
        },
        headlines=headlines_of(columns),
        n_parameters=sum(parameter.numel() for parameter in trial.models.net(SPOKEN).parameters()),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, trial.speech[0].samples.reshape(-1, FRONTEND.hop)),
        max_abs_difference=trial.largest_difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "table": {line.figure: dict(zip(COLUMNS, line.values, strict=True)) for line in lines},
            "strangers, engine": dict(zip(trial.speakers, columns[0].strangers, strict=True)),
            "pieces behind each share": len(trial.speech),
        },
    ).write(options.evaluation)


def card_for(models: SpeakerModels, speakers: Sequence[str]) -> streamrnn.Card:
    """Describe the served net; the names of its outputs are the embedding's numbers and the speakers."""
    n_embedding = models.net(SPOKEN).embed.out_features
    description = Description(
        name=MODEL,
        summary="Tells which of six speakers was heard so far, and gives an embedding to tell strangers apart.",
        input_names=(),
        output_names=(*(f"embedding_{i}" for i in range(n_embedding)), *speakers),
        units={"input": "80 samples of 8 kHz, in [-1, 1]", "output": "embedding of length 1; log-probabilities"},
        licence=FSDD.licence,  # share-alike recordings
    )
    return card_of(description, FSDD, models.checkpoint)


def export_model(options: Options) -> None:
    """Write the model file."""
    models = SpeakerModels.load(options)
    speakers = sorted(digits_by_speaker(data_folder(FSDD, options.data), "test"))
    save(models.model(SPOKEN, card_for(models, speakers)), options.file)


def demo(options: Options) -> None:
    """Serve the model, stream 2 s of each test speaker in real time, and print each half second who it is."""
    test = digits_by_speaker(data_folder(FSDD, options.data), "test")
    speakers, every = sorted(test), round(FRONTEND.rate_hz / 2)
    if not options.file.is_file():
        export_model(options)
    speech = speech_of(test, 0.5 if options.quick else 2.0, 1, options.seed)
    answers: list[str] = []

    def print_answer(seq: int, frame: Floats, output: streamrnn_client.Output) -> None:
        if (seq + 1) % every == 0:
            shares = np.exp(np.array(output.y[-len(speakers) :], dtype=np.float64))
            answers.append(speakers[int(shares.argmax())])
            print(f"  {(seq + 1) / FRONTEND.rate_hz:4.1f} s  {answers[-1]:<10} {shares.max():.2f}")

    async def play(client: streamrnn_client.Client) -> None:
        for one in speech:
            print(f"{one.speaker} speaks")
            hz = float("inf") if options.quick else FRONTEND.rate_hz
            await play_frames(client, MODEL, one.samples.reshape(-1, FRONTEND.hop), print_answer, hz)

    serve_and_play({MODEL: options.file}, play)
    said = [one.speaker for one in speech for _ in range(len(answers) // len(speech))]
    right = sum(answer == who for answer, who in zip(answers, said, strict=True))
    print(f"{right} of {len(answers)} answers right, one each half second")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
