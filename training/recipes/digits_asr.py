"""Connected spoken digits: samples of 8 kHz in, words out while they are spoken.

A log mel front end, two causal convolutions that stride to 20 ms, two GRUs, and the log-probabilities of a blank and
ten words (CTC). Trained on connected digits made of the single ones of FSDD, on synthetic speech of espeak-ng where
that is installed, and on sounds without speech.

  python -m training.recipes.digits_asr train       about 8 minutes on one core
  python -m training.recipes.digits_asr evaluate    the table, training/results/digits_asr.json and the plot
  python -m training.recipes.digits_asr export      streamrnn/bundled/digits.safetensors
  python -m training.recipes.digits_asr demo        the bundled recording through a server, words as they come
"""

import dataclasses
import math
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import streamrnn
from streamrnn.decode import CtcSettings, EndpointSettings, Rule
from training.batches import fit_batches
from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, save
from training.fit import FitSettings
from training.options import Options, dispatch, parse
from training.report import Line, show
from training.seeding import seed_everything
from training.sets.fsdd import FSDD, RATE_HZ, fsdd_clips
from training.speech import digit_voices, digits_demo, synthesis
from training.speech.digits_drill import N_BATCH, Drill, Examination, mixture_of
from training.speech.digits_net import FRAME, LABELS, LOGMEL, Recogniser, measured
from training.speech.digits_plot import plot_digits
from training.speech.digits_trial import Heard, Trial, listen, listen_by_words, percent_by_length, percent_by_speaker
from training.speech.templates import Templates
from training.speech.transcription import delays_ms
from training.streamed import frame_us, outputs_of

NAME = "digits_asr"
MODEL = "digits"
DATA = (FSDD,)
N_STEPS = 50
"""Optimiser steps in an epoch."""
N_TOLD = 500
"""Steps over which the net is told where words end."""
AIM_PERCENT = 3.0

ENDPOINT = EndpointSettings(rule2=Rule(True, 1.0, 0.0))
"""A word is told near its end, so half a second without one is a long word, or a short gap and a word."""

DESCRIPTION = Description(
    name=MODEL,
    summary="Hears English digits in a row: log-probabilities of a blank and ten words, every 20 ms.",
    input_names=(),
    output_names=(),
    labels=LABELS,
    units={"input": "160 samples of 8 kHz, -1 to 1", "output": "natural logarithm of a probability"},
    rate_hz=RATE_HZ / FRAME,
    decoder=CtcSettings(endpoint=ENDPOINT),
    licence=FSDD.licence,  # share-alike recordings
)


def synthetic_speech(options: Options) -> digit_voices.SyntheticSpeech | None:
    """What synthetic voices say, or None where espeak-ng is missing; a little of it with --quick."""
    if not synthesis.is_installed():
        print(f"{synthesis.SynthesiserMissing()}; training goes on without synthetic voices")
        return None
    sizes = {"n_voices": 1, "n_phrases": 2, "n_other": 2} if options.quick else {}
    return digit_voices.training_speech(options.seed, **sizes)


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s, generator = time.perf_counter(), seed_everything(options.seed)
    folder, synthetic = data_folder(FSDD, options.data), synthetic_speech(options)
    mixture = mixture_of(fsdd_clips(folder, "train"), synthetic)
    mean, std = measured(mixture.batch(4 * N_BATCH, np.random.default_rng(options.seed)).samples)
    sizes = ((8, 8), (16, 16)) if options.quick else ((64, 96), (128, 96))
    arguments: dict[str, Any] = {"mean": mean, "std": std, "channels": sizes[0], "hidden": sizes[1]}
    recogniser = Recogniser(**arguments)
    validation = mixture_of(fsdd_clips(folder, "validation"), synthetic)
    settings = FitSettings(
        max_epochs=2 if options.quick else 36,
        patience_epochs=36,
        window_frames=int(mixture.length),
        learning_rate=4e-3,
        warmup_windows=0 if options.quick else 100,
        final_share=0.01,
        weight_decay=0.02,
        clip_norm=2.0,
        average_decay=0.5 if options.quick else 0.99,
    )
    history = fit_batches(
        recogniser.net,
        Drill(mixture, recogniser, generator, n_told=4 if options.quick else N_TOLD),
        Examination(validation, recogniser, 1 if options.quick else 4, seed=1),
        settings,
        n_steps=2 if options.quick else N_STEPS,
    )
    figures = {"validation_loss": history.validation_loss[history.best_epoch]}
    taken_s = time.perf_counter() - began_s
    checkpoint = Checkpoint(
        recogniser.state_dict(), arguments, options.seed, options.command, history, figures, train_s=taken_s
    )
    checkpoint.save(options.checkpoint)
    plot_history(history, options.curve, NAME, "CTC loss (nats a word)")
    print(f"kept epoch {history.best_epoch}: validation loss {figures['validation_loss']:.4f}, {taken_s:.0f} s")


def load(options: Options) -> tuple[Recogniser, Checkpoint]:
    """Give the trained net."""
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    recogniser = Recogniser(**checkpoint.arguments)
    recogniser.load_state_dict(checkpoint.weights)
    return recogniser.eval(), checkpoint


def card(checkpoint: Checkpoint) -> streamrnn.Card:
    """Describe the model."""
    return card_of(DESCRIPTION, FSDD, checkpoint, {"synthetic_speech": "espeak-ng: 29 % of the training"})


def streamed_outputs(model: streamrnn.Model, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """Outputs (n, 11) of a fresh session that gets samples (n * 160,) frame by frame; a rest is left out."""
    return outputs_of(model, samples[: len(samples) // FRAME * FRAME].reshape(-1, FRAME))


@torch.no_grad()
def offline_outputs(recogniser: Recogniser, samples: NDArray[np.float32]) -> NDArray[np.float32]:
    """The same of PyTorch over the whole recording."""
    whole = torch.from_numpy(samples[: len(samples) // FRAME * FRAME])[None]
    return np.asarray(recogniser(whole)[0].numpy(), np.float32)


def headlines_of(
    streamed: Heard, offline: Heard, baseline_percent: float, baseline_false: float
) -> tuple[Headline, ...]:
    """Put the figures that count beside those of the baseline."""
    templates = "energy end-points and 3 nearest templates"
    figures = (
        ("test word error rate (%)", "clean_percent", baseline_percent, AIM_PERCENT),
        ("test word error rate (%), all utterances in one session", "unbroken_percent", None, AIM_PERCENT),
        ("words read a minute of silence, noise, hum, chords, clicks", "false_words_a_minute", baseline_false, 0.0),
    )
    return tuple(
        Headline(metric, "lower", getattr(streamed, name), getattr(offline, name), baseline, templates, aim)
        for metric, name, baseline, aim in figures
    )


def verdict_of(headlines: Sequence[Headline], delays: NDArray[np.float64]) -> str:
    """Say in plain words what was reached."""
    errors = headlines[0]
    met = "which meets" if errors.is_met else "which misses"
    missed = "; ".join(f"{one.metric}: {one.streaming:.2f}, aim {one.aim:g}" for one in headlines[1:] if not one.is_met)
    p50, p95 = np.percentile(delays, (50, 95)) if delays.size else (math.nan, math.nan)
    when = f"half of them by {p50:+.0f} ms from the end of their clip and 95 % by {p95:+.0f} ms"
    return (
        f"{errors.streaming:.2f} of 100 words are wrong, {met} the aim of {errors.aim:g}; the baseline has "
        f"{errors.baseline:.1f}. Words are read while they stream, {when}."
        + (f" Missed besides: {missed}." if missed else "")
    )


def evaluate(options: Options) -> None:
    """Print the table, write the evaluation file and draw the plot."""
    recogniser, checkpoint = load(options)
    folder, model = data_folder(FSDD, options.data), recogniser.as_model(card(checkpoint))
    train_clips, test_clips = fsdd_clips(folder, "train"), fsdd_clips(folder, "test")
    trial = Trial.of(test_clips, *((6, 2.0) if options.quick else (240,)))
    streamed = listen(trial, lambda samples: streamed_outputs(model, samples))
    offline = listen(trial, lambda samples: offline_outputs(recogniser, samples))
    known = train_clips[:: 10 if options.quick else 1]
    templates = Templates([clip.samples for clip in known], [clip.digit for clip in known], LOGMEL)
    baseline_percent, baseline_others, baseline_false = listen_by_words(trial, templates.words)
    whole = np.concatenate([one.samples for one in trial.clean])
    difference = np.abs(streamed_outputs(model, whole) - offline_outputs(recogniser, whole)).max()
    delays = delays_ms(streamed.clean, FRAME, RATE_HZ)
    headlines = headlines_of(streamed, offline, baseline_percent, baseline_false)
    verdict = verdict_of(headlines, delays)
    lines = [Line(one.metric, (one.streaming, one.offline, one.baseline, one.aim)) for one in headlines]
    lines += [
        Line(f"word error rate (%), {name}", (percent, offline.others_percent[name], baseline_others[name], None))
        for name, percent in streamed.others_percent.items()
    ]
    show(f"{NAME}: connected test digits", ("streaming", "offline", "templates", "aim"), lines, verdict)
    conditions = {"clean": (streamed.clean_percent, baseline_percent)}
    conditions |= {name: (value, baseline_others[name]) for name, value in streamed.others_percent.items()}
    shown = next((one for one in streamed.clean if one.is_right and len(one.words) == 5), streamed.clean[0])
    plot_digits(shown, delays, conditions, options.plot)
    Evaluation(
        recipe=NAME,
        model="log mel, 2 causal convolutions (stride 20 ms), 2 GRUs of 128 and 96, CTC over a blank and 10 words",
        data=DATA,
        split={
            "train clips": len(train_clips),
            "validation clips": len(fsdd_clips(folder, "validation")),
            "test clips": len(test_clips),
            "test utterances": len(trial.clean),
            "test words": sum(len(one.words) for one in trial.clean),
        },
        headlines=headlines,
        n_parameters=sum(parameter.numel() for parameter in recogniser.net.parameters()),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, whole[: 100 * FRAME].reshape(-1, FRAME)),
        max_abs_difference=float(difference),
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "delay_ms": {f"p{p}": float(np.percentile(delays, p)) for p in (5, 50, 95, 99)} if delays.size else {},
            "word_error_percent": {name: list(both) for name, both in conditions.items()},
            "word_error_percent_by_words": percent_by_length(streamed.clean),
            "word_error_percent_by_speaker": percent_by_speaker(streamed.clean),
            "words_a_minute_without_speech": streamed.false_words,
        },
    ).write(options.evaluation)


def export_model(options: Options) -> None:
    """Write the model file."""
    recogniser, checkpoint = load(options)
    save(recogniser.as_model(card(checkpoint)), options.file)


def demo(options: Options) -> None:
    """Serve the model file, made first where it is missing, and stream the bundled recording and a test utterance."""
    with tempfile.TemporaryDirectory() as temporary:
        path = options.file
        if not path.is_file():
            path = Path(temporary) / path.name
            export_model(dataclasses.replace(options, file=path))
        utterances = digits_demo.recording() + digits_demo.test_utterance(options.data)
        digits_demo.play(MODEL, path, utterances, hz=float("inf") if options.quick else RATE_HZ / FRAME)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
