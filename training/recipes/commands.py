"""Spoken commands: the probability of yes, no, stop, another word or none to have just ended, 50 times a second.

Samples of 16 kHz in; log mel energies, a causal convolution and two layers of GRU, all in the model. Trained on words
of Speech Commands over noise, mixed anew each epoch, and on words of espeak-ng where that is installed; judged on
speakers that were in neither training nor validation, clip by clip and by the events of one long recording.

  python -m training.recipes.commands train       about 5 minutes on one core
  python -m training.recipes.commands evaluate    the table, training/results/commands.json, docs/recipes/commands.png
  python -m training.recipes.commands export      streamrnn/bundled/commands.safetensors
  python -m training.recipes.commands demo        a synthetic recording through the server, word by word
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import streamrnn_client

import streamrnn
from streamrnn.decode import plain_of
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, save
from training.live import play_frames, serve_and_play
from training.options import Options, dispatch, parse
from training.proportion import interval
from training.report import Line, show
from training.seeding import seed_everything
from training.sets.speech_commands import LABELS, RATE_HZ, SPEECH_COMMANDS, CommandClip
from training.speech.command_words import KEYWORDS, QUICK_CLIPS, clips_of, material_of, synthetic_of
from training.speech.commands_plot import plot_commands
from training.speech.commands_recording import DEFAULT_PATH as RECORDING
from training.speech.commands_recording import read_text
from training.speech.commands_trial import Hearing, Rules, Tried, chosen, tried
from training.speech.keywords import Heard, hear
from training.speech.soundfiles import read_sound
from training.speech.soundtrack import Floats, Soundtrack
from training.speech.spotter import FRAMES_PER_S, frames_of
from training.speech.spotter_fit import FittedSpotter, fit_spotter
from training.speech.window_regression import WindowRegression
from training.streamed import frame_us, outputs_of

NAME = "commands"
MODEL = "commands"
DATA = (SPEECH_COMMANDS,)
MAX_EPOCHS = 150
AIM_ACCURACY = 0.93
COLUMNS = ("GRU, engine", "GRU, PyTorch", "regression")

DESCRIPTION = Description(
    name=MODEL,
    summary="Gives the probability of yes, no, stop, another word or none to have just been said, 50 times a second.",
    input_names=(),
    output_names=(),
    labels=LABELS,
    units={"input": "320 samples of 16 kHz, in [-1, 1]", "output": "probability of each label, 0 .. 1"},
)


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    seed_everything(options.seed)
    material = material_of(clips_of(options, "train"), synthetic_of(options))
    fit_spotter(material, material_of(clips_of(options, "validation")), options, MAX_EPOCHS)


@dataclass(frozen=True, eq=False)
class Bench:
    """A fitted net and the ways to hear with it."""

    fitted: FittedSpotter
    model: streamrnn.Model
    rules: Rules

    @classmethod
    def of(cls, options: Options) -> Bench:
        """Load the net, and let validation choose the rules."""
        fitted = FittedSpotter.load(options)
        rules = chosen(clips_of(options, "validation"), fitted.offline, options.seed)
        extra = {"synthetic_speech": "espeak-ng, where it was installed"}
        card = card_of(DESCRIPTION, DATA, fitted.checkpoint, extra, rules.spotting)
        return cls(fitted, fitted.model(card), rules)

    def streamed(self, samples: Floats) -> Floats:
        """Hear by a session of the engine, frame by frame."""
        return outputs_of(self.model, frames_of(samples))


def bundled_recording() -> Soundtrack:
    """The synthetic recording that is bundled, with the times of its words."""
    return Soundtrack(read_sound(RECORDING, RATE_HZ), read_text(RECORDING.with_suffix(".txt").read_text("ascii")))


def lines_of(outcomes: Sequence[Tried], validated: Sequence[Tried], bundled: Sequence[Heard]) -> list[Line]:
    """The table: one column for each way of hearing."""
    n, right = int(outcomes[0].counts.sum()), [int(one.counts.trace()) for one in outcomes]

    def of(name: str, values: Sequence[float | int | str]) -> Line:
        return Line(name, tuple(values))

    return [
        of("test clips right", [f"{k} of {n}" for k in right]),
        of("test accuracy", [one.accuracy for one in outcomes]),
        of("its 95 % interval", ["{:.3f} - {:.3f}".format(*interval(k, n)) for k in right]),
        of("validation accuracy (it chose the threshold)", [one.accuracy for one in validated]),
        of("test recording: keywords found", [f"{one.heard.n_found} of {one.heard.n_words}" for one in outcomes]),
        of("test recording: false alarms", [one.heard.n_false for one in outcomes]),
        of("test recording: minutes", [one.heard.hours * 60.0 for one in outcomes]),
        of("median delay after a word's end (s)", [float(np.median(one.heard.delays_s or 0)) for one in outcomes]),
        of("95 % of delays below (s)", [float(np.quantile(one.heard.delays_s or 0, 0.95)) for one in outcomes]),
        of("bundled recording: keywords found", [f"{one.n_found} of {one.n_words}" for one in bundled]),
        of("bundled recording: false alarms", [one.n_false for one in bundled]),
    ]


def verdict_of(engine: Tried, baseline: Tried) -> str:
    """Say in plain words what the model is worth."""
    n, right = int(engine.counts.sum()), int(engine.counts.trace())
    low, high = interval(right, n)
    met = "met" if engine.accuracy >= AIM_ACCURACY else "missed"
    return (
        f"{right} of {n} clips of unheard speakers are right: the aim of {AIM_ACCURACY:.0%} is {met}. "
        f"So few clips leave the rate anywhere between {low:.1%} and {high:.1%}; the regression has "
        f"{baseline.accuracy:.1%}. As events {engine.heard.n_found} of {engine.heard.n_words} keywords are found, with "
        f"{engine.heard.n_false} false alarms in {engine.heard.hours * 60:.1f} minutes that are full of words."
    )


def headlines_of(outcomes: Sequence[Tried]) -> tuple[Headline, ...]:
    """The figures that count."""
    accuracy = (one.accuracy for one in outcomes)
    found = (one.heard.share_found for one in outcomes)
    false = (one.heard.false_per_hour for one in outcomes)
    return (
        Headline.of("test accuracy of clips", "higher", accuracy, "logistic regression, last second", AIM_ACCURACY),
        Headline.of("keywords found in the test recording", "higher", found, "logistic regression, last second"),
        Headline.of("false alarms an hour in it", "lower", false, "logistic regression, last second"),
    )


def largest_difference(bench: Bench, clips: Sequence[CommandClip], track: Soundtrack) -> float:
    """Of any posterior, streamed and offline, over some clips and the bundled recording."""
    sounds = [track.samples, *(clip.samples for clip in clips[::5])]
    return max(float(np.abs(bench.streamed(one) - bench.fitted.offline(one)).max()) for one in sounds)


def evaluate(options: Options) -> None:
    """Print the table, draw the plot, and write the evaluation file."""
    bench = Bench.of(options)
    parts = {name: clips_of(options, name) for name in ("train", "validation", "test")}
    baseline = WindowRegression.beside(bench.fitted, material_of(clips_of(options, "train")), options)
    track = bundled_recording()
    hearings: tuple[Hearing, ...] = (bench.streamed, bench.fitted.offline, baseline)
    rules = (bench.rules, bench.rules, chosen(parts["validation"], baseline, options.seed))
    outcomes, validated, bundled = [], [], []
    for hearing, own in zip(hearings, rules, strict=True):
        outcomes.append(tried(parts["test"], hearing, own, options.seed + 1))
        validated.append(tried(parts["validation"], hearing, own, options.seed))
        bundled.append(hear(hearing(track.samples), track.spoken, LABELS, KEYWORDS, own.spotting))
    lines, verdict = lines_of(outcomes, validated, bundled), verdict_of(outcomes[0], outcomes[2])
    show(f"{NAME}: Speech Commands, speakers apart", COLUMNS, lines, verdict)
    plot_commands(
        options.plot, outcomes[0].counts, LABELS, track, bench.streamed(track.samples), bench.rules.spotting.threshold
    )
    checkpoint = bench.fitted.checkpoint
    Evaluation(
        recipe=NAME,
        model="log mel 32, causal convolution 64 over 2 hops, 2 GRU layers of 96",
        data=DATA,
        split={name: len(clips) for name, clips in parts.items()},
        headlines=headlines_of(outcomes),
        n_parameters=sum(parameter.numel() for parameter in bench.fitted.net.parameters()),
        train_s=checkpoint.train_s,
        frame_us=frame_us(bench.model, frames_of(track.samples)),
        max_abs_difference=largest_difference(bench, parts["test"], track),
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "labels": list(LABELS),
            "confusion, engine": outcomes[0].counts.tolist(),
            "rules": {"clip_threshold": bench.rules.clip_threshold, "events": plain_of(bench.rules.spotting)},
            "table": {line.figure: list(line.values) for line in lines},
        },
    ).write(options.evaluation)


def export_model(options: Options) -> None:
    """Write the model file; its card holds the settings of the events that go with it."""
    save(Bench.of(options).model, options.file)


def demo(options: Options) -> None:
    """Serve the model, stream the bundled recording in real time, and print each event."""
    bench = Bench.of(options)
    if not options.file.is_file():
        save(bench.model, options.file)
    track = bundled_recording()
    frames = frames_of(track.samples)[: 100 * QUICK_CLIPS if options.quick else None]
    heard: list[str] = []

    def print_event(seq: int, frame: Floats, output: streamrnn_client.Output) -> None:
        for event in output.events:
            heard.append(event.text)
            print(f"{(seq + 1) / FRAMES_PER_S:6.2f} s  {event.text:<5} {event.score:.2f}")

    async def play(client: streamrnn_client.Client) -> None:
        hz = float("inf") if options.quick else FRAMES_PER_S
        await play_frames(client, MODEL, frames, print_event, hz, decoder="model")

    serve_and_play({MODEL: options.file}, play)
    said = " ".join(one.label for one in track.spoken)
    print(f"heard: {' '.join(heard)}; said: {said} ({len(frames) / FRAMES_PER_S:.1f} s of sound)")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
