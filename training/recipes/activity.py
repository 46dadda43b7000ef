"""What a person does, from the motion sensors of a phone: two causal convolutions, a GRU, and its mean so far.

Trained on 2,000 windows of 2.56 s (UCI HAR, a subset), validated on the next 400, tested on 950 of other people. A
frame is one sample of nine channels, 50 a second; each window is a session of its own, and the answer that counts is
the one at its last frame. Baselines: the commonest activity, and a logistic regression over each window's means and
deviations. The data may not be shipped, and so neither may the model.

  python -m training.recipes.activity train       under two minutes on one core
  python -m training.recipes.activity evaluate    the table, and training/results/activity.json with its plot
  python -m training.recipes.activity export      training/runs/activity.safetensors
  python -m training.recipes.activity demo        one window of each activity through a server
"""

import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import streamrnn_client
import torch
from numpy.typing import NDArray
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from torch import Tensor, nn

import streamrnn
from training.confusion import confusion, draw_confusion, worst_mistake
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, export
from training.fit import FitSettings
from training.kept import keep, n_parameters, restore
from training.live import play_frames, serve_and_play
from training.modules import Affine
from training.options import Options, dispatch, parse
from training.plots import drawing
from training.report import Line, show
from training.seeding import seed_everything
from training.sequences import answer, fit_sequences, shuffled
from training.series.rotation import rotated
from training.served import served_file
from training.sets.uci_har import ACTIVITIES, CHANNELS, N_FRAMES, RATE_HZ, UCI_HAR, Part, Windows, har_windows
from training.streamed import frame_us, session_of

NAME = MODEL = "activity"
DATA = (UCI_HAR,)
AIM = 0.90
BATCH_SIZE = 64
KERNEL = 5
LENGTHS = (8, 16, 32, 48, 64, 96, N_FRAMES)
"""Frames heard at which PyTorch and the engine are compared; the last one is the whole window."""
QUICK_WINDOWS = 96

DESCRIPTION = Description(
    name=MODEL,
    summary="Gives after each motion sample the log-probability of six activities, given all samples so far.",
    input_names=CHANNELS,
    output_names=(),
    labels=ACTIVITIES,
    units={
        **{name: "rad/s" if "gyro" in name else "g" for name in CHANNELS},
        "output": "natural logarithm of a probability",
    },
    rate_hz=float(RATE_HZ),
    licence=UCI_HAR.licence,
)


class ActivityNet(nn.Module):
    """Normalise, two causal convolutions, GRU; its last and its mean output, linear, log-softmax: (n, T, 9) to (n, 6).

    It answers a whole sequence once; streamed, it answers each frame as if the sequence ended there.
    """

    def __init__(self, means: list[float], deviations: list[float], n_filters: int, hidden_size: int) -> None:
        super().__init__()
        scale = 1.0 / torch.tensor(deviations)
        self.normalise = Affine(scale, -torch.tensor(means) * scale)
        self.near = nn.Conv1d(len(means), n_filters, KERNEL)
        self.far = nn.Conv1d(n_filters, n_filters, KERNEL)
        self.dropout = nn.Dropout(0.3)
        self.gru = nn.GRU(n_filters, hidden_size, batch_first=True)
        self.fc = nn.Linear(2 * hidden_size, len(ACTIVITIES))

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (n, n_frames, 9) to log-probabilities (n, 6)."""
        y = self.normalise(x).transpose(1, 2)
        for conv in (self.near, self.far):
            y = torch.relu(conv(nn.functional.pad(y, (KERNEL - 1, 0))))
        h, _ = self.gru(self.dropout(y.transpose(1, 2)))
        so_far = torch.cat([h[:, -1], h.mean(1)], -1)
        return nn.functional.log_softmax(self.fc(self.dropout(so_far)), -1)


def load_part(options: Options, part: Part) -> Windows:
    """Load a part; with --quick the first windows of it."""
    windows = har_windows(data_folder(UCI_HAR, options.data), part)
    n = QUICK_WINDOWS if options.quick else len(windows.x)
    return Windows(windows.x[:n], windows.activity[:n])


class Augmented:
    """Epochs of training windows: as if the phone sat a little askew, steps were stronger, or less had been heard."""

    def __init__(self, windows: Windows, generator: torch.Generator) -> None:
        """Take the windows of the training part."""
        self.x, self.activity = torch.as_tensor(windows.x), torch.as_tensor(windows.activity)
        self.generator = generator
        self.n_batches = -(-len(self.x) // BATCH_SIZE)

    def __call__(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, activity), (n, 32 .. 128, 9) and (n,): every other batch is cut short at its end."""
        for i, chosen in enumerate(shuffled(len(self.x), BATCH_SIZE, self.generator)):
            x = rotated(self.x[chosen], 15.0, self.generator)
            x = x * (0.9 + 0.2 * torch.rand(len(x), 1, 1, generator=self.generator))
            cut = int(torch.randint(N_FRAMES // 4, N_FRAMES, (1,), generator=self.generator))
            yield x[:, : N_FRAMES if i % 2 else cut], self.activity[chosen]


def smoothed_loss(output: Tensor, activity: Tensor) -> Tensor:
    """Give the cross-entropy of log-probabilities (n, 6) against activities (n,), smoothed by a twentieth."""
    return nn.functional.cross_entropy(output, activity, label_smoothing=0.05)


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s, generator = time.monotonic(), seed_everything(options.seed)
    known, validation = load_part(options, "train"), load_part(options, "validation")
    arguments: dict[str, Any] = {
        "means": known.x.mean((0, 1)).tolist(),
        "deviations": known.x.std((0, 1)).tolist(),
        "n_filters": 8 if options.quick else 32,
        "hidden_size": 8 if options.quick else 64,
    }
    net = ActivityNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else 60,
        patience_epochs=25,
        window_frames=N_FRAMES,
        learning_rate=3e-3,
        warmup_windows=0 if options.quick else 100,
        weight_decay=0.02,
        average_decay=0.0 if options.quick else 0.99,
    )
    heard, truth = torch.as_tensor(validation.x), torch.as_tensor(validation.activity)
    source = Augmented(known, generator)
    history = fit_sequences(
        net,
        source,
        source.n_batches,
        smoothed_loss,
        lambda candidate: float(nn.functional.nll_loss(answer(candidate, heard), truth)),
        settings,
    )
    figures = {"validation_accuracy": accuracy(answer(net, heard).numpy(), validation.activity)}
    train_s = time.monotonic() - began_s
    keep(net, arguments, options, history, figures, train_s, "nats a window (training: augmented, smoothed)")


def accuracy(output: NDArray[np.float32], activity: NDArray[np.int64]) -> float:
    """Give the share of windows whose most probable activity is the right one; (n, 6) and (n,)."""
    return float((output.argmax(-1) == activity).mean())


def streamed(model: streamrnn.Model, windows: Windows) -> NDArray[np.float32]:
    """Stream each window through a session that is reset before it: (n, 128, 6)."""
    session, outputs = session_of(model), []
    for x in windows.x:
        session.reset()
        outputs.append(session.run(x))
    return np.stack(outputs)


def baselines(known: Windows, test: Windows) -> tuple[float, float]:
    """Give the test accuracy of the commonest training activity, and of a logistic regressio of windows."""
    commonest = np.bincount(known.activity).argmax()
    features = [np.concatenate([part.x.mean(1), part.x.std(1)], 1) for part in (known, test)]
    regression = make_pipeline(StandardScaler(), LogisticRegression(max_iter=2000))
    regression.fit(features[0], known.activity)
    return float((test.activity == commonest).mean()), float(regression.score(features[1], test.activity))


def draw(options: Options, by_frame: NDArray[np.float64], regression: float, counts: NDArray[np.int64]) -> None:
    """Draw accuracy over time heard, and the confusion at the last frame."""
    title = f"activity: {int(counts.sum())} test windows of UCI HAR, streamed"
    with drawing(options.plot, title, n_columns=2) as (left, right):
        left.plot(np.arange(1, N_FRAMES + 1) / RATE_HZ, by_frame, label="network, after each frame")
        left.axhline(regression, color="grey", linestyle="--", label="logistic regression, whole window")
        left.set(xlabel="seconds heard", ylabel="accuracy", ylim=(0.3, 1.0), title="how soon it knows")
        left.legend(loc="lower right")
        draw_confusion(right, counts, ACTIVITIES)
        right.set(title="windows at the last frame")


def evaluate(options: Options) -> None:
    """Print the table, draw the plot and write the evaluation file."""
    net, checkpoint = restore(ActivityNet, options)
    known, test = load_part(options, "train"), load_part(options, "test")
    model = streamrnn.from_torch(net, card=card_of(DESCRIPTION, UCI_HAR, checkpoint))
    outputs = streamed(model, test)
    offline = [answer(net, torch.as_tensor(test.x[:, :n])).numpy() for n in LENGTHS]
    difference = max(float(np.abs(outputs[:, n - 1] - one).max()) for n, one in zip(LENGTHS, offline, strict=True))
    majority, regression = baselines(known, test)
    by_frame = (outputs.argmax(-1) == test.activity[:, None]).mean(0)
    counts = confusion(test.activity, outputs[:, -1].argmax(-1), len(ACTIVITIES))
    headline = Headline(
        "test accuracy at the last frame of a window",
        "higher",
        streaming=accuracy(outputs[:, -1], test.activity),
        offline=accuracy(offline[-1], test.activity),
        baseline=regression,
        baseline_name="logistic regression over means and deviations",
        aim=AIM,
    )
    verdict = verdict_of(headline, counts)
    lines = [
        Line(headline.metric, (headline.streaming, headline.offline, regression, majority)),
        *(
            Line(f"accuracy after {n} frames", (float(by_frame[n - 1]), accuracy(one, test.activity), None, None))
            for n, one in zip(LENGTHS[:-1], offline[:-1], strict=True)
        ),
    ]
    columns = ("network, engine", "network, PyTorch", "logistic regression", "commonest activity")
    show(f"{NAME}: UCI HAR, subset", columns, lines, f"{verdict}\nLargest difference: {difference:.2e}")
    draw(options, by_frame, regression, counts)
    Evaluation(
        recipe=NAME,
        model=f"2 causal convolutions of {net.near.out_channels}, GRU {net.gru.hidden_size}, its last and mean output",
        data=DATA,
        split={"train": len(known.x), "validation": len(load_part(options, "validation").x), "test": len(test.x)},
        headlines=(headline,),
        n_parameters=n_parameters(net),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, test.x[0]),
        max_abs_difference=difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "accuracy of the commonest activity": majority,
            "accuracy by frames heard": {str(n): float(by_frame[n - 1]) for n in LENGTHS},
            "validation accuracy": checkpoint.figures["validation_accuracy"],
            "confusion, rows are the truth": counts.tolist(),
        },
    ).write(options.evaluation)


def verdict_of(headline: Headline, counts: NDArray[np.int64]) -> str:
    """Say in two or three sentences how good it is, and what it mistakes most."""
    gain = headline.streaming - (headline.baseline or 0.0)
    beside = f"{abs(gain) * 100:.1f} points {'above' if gain > 0 else 'below'} the logistic regression"
    missed = "" if headline.is_met else f" The aim of {AIM:.2f} is missed."
    return (
        f"{headline.streaming:.1%} of the test windows are told at their last frame, {beside}.{missed} "
        f"Most mistakes: {worst_mistake(counts, ACTIVITIES)}."
    )


def export_model(options: Options) -> None:
    """Write the model file, which is for your own use: the data's terms do not let it be shipped."""
    net, checkpoint = restore(ActivityNet, options)
    export(net, card_of(DESCRIPTION, UCI_HAR, checkpoint), options.file)


def demo(options: Options) -> None:
    """Stream a test window of each activity, and say what the network thinks as it hears more."""
    test = load_part(options, "test")
    first = [int(np.flatnonzero(test.activity == a)[0]) for a in np.unique(test.activity)]
    right: list[bool] = []

    async def play(client: streamrnn_client.Client) -> None:
        for i in first:
            print(f"\n{ACTIVITIES[test.activity[i]]}:")
            thought = -1

            def hear(seq: int, frame: NDArray[np.float32], output: streamrnn_client.Output) -> None:
                nonlocal thought
                best = int(np.argmax(output.y))
                if best != thought or seq == N_FRAMES - 1:
                    thought = best
                    print(f"  {(seq + 1) / RATE_HZ:5.2f} s  {ACTIVITIES[best]:18s} {np.exp(output.y[best]):.0%}")

            await play_frames(client, MODEL, test.x[i], hear, hz=float("inf") if options.quick else 2 * RATE_HZ)
            right.append(thought == test.activity[i])

    with served_file(options, export_model) as path:
        serve_and_play({MODEL: path}, play)
    print(f"\n{sum(right)} of {len(right)} activities told right at their last frame")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
