"""How many cycles a turbofan engine has left: a GRU that hears one row of sensors a flight.

Trained on 80 engines of C-MAPSS FD001 that ran to failure, validated on 20 whole others, tested on the 100 engines of
the published test part at the last cycle that is known of each. As usual with this data, remaining cycles above 125
count as 125, in the truth as well. Baselines: the mean of that truth in training, and a linear regression over the
last window of 30 cycles.

  python -m training.recipes.engine_life train       about a minute on one core
  python -m training.recipes.engine_life evaluate    the table, and training/results/engine_life.json with its plot
  python -m training.recipes.engine_life export      training/runs/engine_life.safetensors
  python -m training.recipes.engine_life demo        engines that wear out, through a server
"""

import math
import time
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import streamrnn_client
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import streamrnn
from training.checkpoint import Checkpoint
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, export
from training.fit import FitSettings
from training.kept import keep, n_parameters, restore
from training.live import play_frames, serve_and_play
from training.modules import Standardise
from training.options import Options, dispatch, parse
from training.plots import drawing
from training.report import Line, show
from training.seeding import seed_everything
from training.sequences import answer, fit_sequences, pad, shuffled
from training.series.fleet import MOST_CYCLES, Fleet, by_regression, wear
from training.series.forecast import rmse
from training.series.remaining import clipped, life_loss, nasa_score
from training.served import served_file
from training.sets.cmapss import CMAPSS, Run
from training.streamed import frame_us, outputs_of

NAME = MODEL = "engine_life"
DATA = (CMAPSS,)
AIM_CYCLES = 16.0
BATCH_SIZE = 20


class LifeNet(nn.Module):
    """Normalise, GRU, linear, clamp: sensors (n, n_cycles, n_channels) to what is left of 125 cycles, 0 .. 1."""

    def __init__(self, means: list[float], deviations: list[float], hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.normalise = Standardise(means, deviations)
        self.enter = nn.Linear(len(means), hidden_size)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor) -> Tensor:
        """Map x: (n, n_cycles, n_channels) in the sensors' units to (n, n_cycles, 1); beyond 0 .. 1 while it trains."""
        h, _ = self.gru(torch.tanh(self.enter(self.dropout(self.normalise(x)))))
        left: Tensor = 0.5 + 0.5 * self.fc(self.dropout(h))
        return left if self.training else torch.clamp(left, 0.0, 1.0)


def padded(fleet: Fleet, runs: Sequence[Run]) -> tuple[Tensor, Tensor]:
    """Give sensors (n, longest, n_channels), and what is left (n, longest, 1) with NaN behind each one's end."""
    x = pad([fleet.frames(run) for run in runs], 0.0)
    return x, pad([(wear(run) / MOST_CYCLES)[:, None].astype(np.float32) for run in runs], float("nan"))


class Epochs:
    """Epochs of whole training engines, each begun at a cycle of its own: sessions are opened on worn engines, too."""

    def __init__(self, fleet: Fleet, generator: torch.Generator) -> None:
        """Take the fleet's training part."""
        self.fleet, self.generator = fleet, generator
        self.n_batches = -(-len(fleet.train) // BATCH_SIZE)

    def __call__(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, target) of `padded`."""
        for chosen in shuffled(len(self.fleet.train), BATCH_SIZE, self.generator):
            yield padded(self.fleet, [self._begun(self.fleet.train[int(i)]) for i in chosen])

    def _begun(self, run: Run) -> Run:
        share = float(torch.rand(1, generator=self.generator))
        first = int(max(0.0, share - 0.5) * 1.2 * len(run.remaining))
        return Run(run.unit, run.channels[first:], run.remaining[first:])


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s, generator = time.monotonic(), seed_everything(options.seed)
    fleet = Fleet.load(options)
    rows = np.concatenate([fleet.frames(run) for run in fleet.train]).astype(np.float64)
    arguments: dict[str, Any] = {
        "means": rows.mean(0).tolist(),
        "deviations": rows.std(0).tolist(),
        "hidden_size": 8 if options.quick else 32,
        "dropout": 0.2,
    }
    net = LifeNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else 150,
        patience_epochs=60,
        window_frames=0,
        learning_rate=8e-3,
        warmup_windows=0 if options.quick else 20,
        weight_decay=0.02,
        average_decay=0.0 if options.quick else 0.97,
    )
    x, target = padded(fleet, fleet.validation)
    source = Epochs(fleet, generator)
    history = fit_sequences(
        net, source, source.n_batches, life_loss, lambda candidate: rmse_of(answer(candidate, x), target), settings
    )
    figures = {"validation_rmse_cycles": rmse_of(answer(net, x), target)}
    train_s = time.monotonic() - began_s
    history.train_loss = [MOST_CYCLES * loss**0.5 for loss in history.train_loss]
    keep(net, arguments, options, history, figures, train_s, "RMSE over all cycles (training: with dropout)")


def rmse_of(output: Tensor, target: Tensor) -> float:
    """Give the RMSE over the known targets, in cycles."""
    return MOST_CYCLES * math.sqrt(float(life_loss(output, target)))


def card(fleet: Fleet, checkpoint: Checkpoint) -> streamrnn.Card:
    """Describe the model."""
    description = Description(
        name=MODEL,
        summary="Gives after each flight cycle what is left of the last 125 cycles of a turbofan engine, as a share.",
        input_names=fleet.names(),
        output_names=("remaining",),
        units={"remaining": "125 cycles: 1 as good as new, 0 failed", **dict.fromkeys(fleet.names(), "as in C-MAPSS")},
    )
    return card_of(description, CMAPSS, checkpoint, {"most_cycles": MOST_CYCLES})


def evaluate(options: Options) -> None:
    """Print the table, draw the plot and write the evaluation file."""
    net, checkpoint = restore(LifeNet, options)
    fleet = Fleet.load(options)
    model = streamrnn.from_torch(net, card=card(fleet, checkpoint))
    shares = [outputs_of(model, fleet.frames(run))[:, 0] for run in fleet.test]
    whole = [answer(net, torch.as_tensor(fleet.frames(run))[None])[0, :, 0].numpy() for run in fleet.test]
    difference = max(float(np.abs(a - b).max()) for a, b in zip(shares, whole, strict=True))
    runs = [MOST_CYCLES * share.astype(np.float64) for share in shares]
    left = np.array([run.remaining[-1] for run in fleet.test])
    truth = clipped(left, MOST_CYCLES)
    mean = float(np.mean(np.concatenate([wear(run) for run in fleet.train])))
    said = {
        "GRU, engine": np.array([run[-1] for run in runs]),
        "GRU, PyTorch": MOST_CYCLES * np.array([run[-1] for run in whole], np.float64),
        "linear regression": by_regression(fleet),
        "constant": np.full(len(truth), mean),
    }
    errors = {name: rmse(one - truth) for name, one in said.items()}
    scores = {name: nasa_score(one, truth) for name, one in said.items()}
    headlines = (
        Headline(
            "test RMSE at the last cycle, cycles (truth at most 125)",
            "lower",
            streaming=errors["GRU, engine"],
            offline=errors["GRU, PyTorch"],
            baseline=errors["linear regression"],
            baseline_name="linear regression over 30 cycles",
            aim=AIM_CYCLES,
        ),
        Headline(
            "test NASA score (truth at most 125)",
            "lower",
            streaming=scores["GRU, engine"],
            offline=scores["GRU, PyTorch"],
            baseline=scores["linear regression"],
            baseline_name="linear regression over 30 cycles",
        ),
    )
    unclipped = {name: rmse(one - left) for name, one in said.items()}
    lines = [
        Line("RMSE, cycles", tuple(errors.values())),
        Line("NASA score", tuple(scores.values())),
        Line("RMSE, truth not clipped", tuple(unclipped.values())),
        Line("NASA score, truth not clipped", tuple(nasa_score(one, left) for one in said.values())),
    ]
    verdict = verdict_of(headlines[0])
    show(f"{NAME}: C-MAPSS FD001, 100 test engines", tuple(said), lines, f"{verdict}\nDifference: {difference:.2e}")
    draw(options, fleet, runs, said["GRU, engine"], truth)
    Evaluation(
        recipe=NAME,
        model=f"linear and tanh, GRU {net.gru.hidden_size}, linear",
        data=DATA,
        split={part: len(getattr(fleet, part)) for part in ("train", "validation", "test")},
        headlines=headlines,
        n_parameters=n_parameters(net),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, fleet.frames(fleet.test[0])),
        max_abs_difference=difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            "validation RMSE over all cycles": checkpoint.figures["validation_rmse_cycles"],
            "channels": list(fleet.names()),
            "RMSE, truth not clipped": unclipped,
            "RMSE, truth at most 125": errors,
            "NASA score, truth at most 125": scores,
        },
    ).write(options.evaluation)


def verdict_of(headline: Headline) -> str:
    """Say in one or two sentences how far off it is."""
    gain = 1.0 - headline.streaming / (headline.baseline or 1.0)
    beside = f"{gain:.0%} better than" if gain > 0 else "no better than"
    missed = "" if headline.is_met else f" The aim of {AIM_CYCLES:.0f} is missed."
    return (
        f"At the last cycle of a test engine the GRU is off by {headline.streaming:.1f} cycles (RMSE), {beside} a "
        f"linear regression.{missed}"
    )


def draw(
    options: Options,
    fleet: Fleet,
    runs: list[NDArray[np.float64]],
    said: NDArray[np.float64],
    truth: NDArray[np.float64],
) -> None:
    """Draw forecast against truth at the last cycle, and a few engines on their way."""
    with drawing(options.plot, "engine_life: C-MAPSS FD001, streamed", n_columns=2) as (left, right):
        left.plot([0, MOST_CYCLES], [0, MOST_CYCLES], color="grey", linestyle="--", label="right")
        left.scatter(truth, said, s=14, label=f"{len(truth)} test engines, last cycle")
        left.set(xlabel="cycles left, at most 125", ylabel="cycles forecast", title="forecast and truth")
        left.legend()
        worn = sorted(range(len(runs)), key=lambda i: truth[i])[:4]
        for colour, i in enumerate(worn):
            cycles = np.arange(1, len(runs[i]) + 1)
            right.plot(cycles, runs[i], color=f"C{colour}", label=f"engine {fleet.test[i].unit}")
            right.plot(cycles, wear(fleet.test[i]), color=f"C{colour}", linestyle=":")
        right.set(xlabel="cycle", ylabel="cycles left", title="the four most worn (dotted: truth)")
        right.legend()


def export_model(options: Options) -> None:
    """Write the model file."""
    net, checkpoint = restore(LifeNet, options)
    export(net, card(Fleet.load(options), checkpoint), options.file)


def demo(options: Options) -> None:
    """Stream three test engines that are nearly worn out, and say what is left of them."""
    fleet = Fleet.load(options)
    worn = sorted(fleet.test, key=lambda run: run.remaining[-1])[:3]
    errors: list[float] = []

    async def play(client: streamrnn_client.Client) -> None:
        for run in worn:
            print(f"\nengine {run.unit}:")
            last = len(run.remaining) - 1

            def hear(
                seq: int,
                frame: NDArray[np.float32],
                output: streamrnn_client.Output,
                remaining: NDArray[np.float64] = run.remaining,
                last: int = last,
            ) -> None:
                left = MOST_CYCLES * float(output.y[0])
                if seq % 25 == 0 or seq == last:
                    print(f"  cycle {seq + 1:3d}: {left:5.1f} cycles left, truth {remaining[seq]:.0f}")
                if seq == last:
                    errors.append(abs(left - float(remaining[seq])))

            hz = float("inf") if options.quick else 100.0
            await play_frames(client, MODEL, fleet.frames(run), hear, hz=hz)

    with served_file(options, export_model) as path:
        serve_and_play({MODEL: path}, play)
    print(f"\n{len(errors)} engines; at the last cycle off by {np.mean(errors):.1f} cycles on average")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
