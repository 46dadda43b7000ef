"""Tomorrow's return of the S&P 500, and how far it may be off: a GRU that hears one trading day a frame.

Trained on 2000 to 2014, validated on 2015 and 2016, tested on 2017 to April 2020. A frame is the day's log-return and
the close of the VIX; the answer is the mean and the deviation of the next day's log-return. Baselines: no change, the
last return again, always up; and for the deviation what the VIX implies, or the last 21 days. Nothing here is advice.

  python -m training.recipes.stocks train       under a minute on one core
  python -m training.recipes.stocks evaluate    the table, and training/results/stocks.json with its plot
  python -m training.recipes.stocks export      training/runs/stocks.safetensors
  python -m training.recipes.stocks demo        the last test days through a server, with the running error
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
from training.data import data_folder
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
from training.sequences import answer, fit_sequences
from training.series.returns import (
    DAYS_PER_YEAR,
    Judged,
    gaussian_loss,
    implied_deviation,
    sureness,
    trailing_deviation,
)
from training.served import served_file
from training.sets.stocks import STOCKS, YEARS, Days, trading_days
from training.streamed import frame_us, outputs_of

NAME = MODEL = "stocks"
DATA = (STOCKS,)

DESCRIPTION = Description(
    name=MODEL,
    summary="Gives after each trading day mean and deviation of the next day's log-return of the S&P 500.",
    input_names=("log_return", "vix"),
    output_names=("mean", "deviation"),
    units={
        "log_return": "percent: 100 log(close / close of the day before)",
        "vix": "percent a year",
        "mean": "percent",
        "deviation": "percent",
    },
)


class StocksNet(nn.Module):
    """Standardise, GRU, linear: a mean, and a deviation that begins at what the VIX implies for a day."""

    def __init__(self, means: list[float], deviations: list[float], hidden_size: int, dropout: float) -> None:
        super().__init__()
        self.standardise = Standardise(means, deviations)
        self.gru = nn.GRU(2, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size, 2)
        with torch.no_grad():
            self.fc.weight.mul_(0.1)
            self.fc.bias.zero_()

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map x: (n, n_days, 2), log-return and VIX, to mean and deviation (n, n_days, 1) of the next log-return."""
        h, _ = self.gru(self.standardise(x))
        mean, correction = self.fc(self.dropout(h)).chunk(2, -1)
        implied = torch.log(x[..., 1:] / math.sqrt(DAYS_PER_YEAR))
        return {"mean": mean, "deviation": torch.exp(implied + correction)}


def load_days(options: Options) -> Days:
    """Load the days."""
    return trading_days(data_folder(STOCKS, options.data))


def frames(days: Days) -> NDArray[np.float32]:
    """Give the frames, (n, 2) float32."""
    return np.stack([days.log_return, days.vix], axis=1).astype(np.float32)


class Years:
    """Epochs of stretches of a trading year, from anywhere in the training years."""

    BATCH_SIZE, N_BATCHES = 16, 4

    def __init__(self, days: Days, generator: torch.Generator) -> None:
        """Take the days; those of the training part are drawn from."""
        part = days.part("train")
        self.x = torch.as_tensor(frames(days)[part])
        self.generator = generator

    def __call__(self, epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield (x, target), (16, 252, 2) and (16, 252): the target is the next day's log-return."""
        for _ in range(self.N_BATCHES):
            starts = torch.randint(len(self.x) - DAYS_PER_YEAR - 1, (self.BATCH_SIZE,), generator=self.generator)
            lanes = torch.stack([self.x[start : start + DAYS_PER_YEAR + 1] for start in starts])
            yield lanes[:, :-1], lanes[:, 1:, 0]


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s, generator = time.monotonic(), seed_everything(options.seed)
    days = load_days(options)
    known = frames(days)[days.part("train")].astype(np.float64)
    arguments: dict[str, Any] = {
        "means": known.mean(0).tolist(),
        "deviations": known.std(0).tolist(),
        "hidden_size": 4 if options.quick else 16,
        "dropout": 0.3,
    }
    net = StocksNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else 100,
        patience_epochs=30,
        window_frames=DAYS_PER_YEAR,
        learning_rate=3e-3,
        warmup_windows=0 if options.quick else 20,
        weight_decay=0.05,
        average_decay=0.0 if options.quick else 0.98,
    )
    x, validation = torch.as_tensor(frames(days)), days.part("validation")
    target = torch.tensor(days.log_return[validation.start + 1 : validation.stop + 1], dtype=torch.float32)

    def validate(candidate: nn.Module) -> float:
        heads = answer(candidate, x[None, : validation.stop])
        return float(gaussian_loss({name: head[0, validation] for name, head in heads.items()}, target))

    history = fit_sequences(net, Years(days, generator), Years.N_BATCHES, gaussian_loss, validate, settings)
    figures = {"validation_nats": history.validation_loss[history.best_epoch]}
    keep(net, arguments, options, history, figures, time.monotonic() - began_s, "-log likelihood, nats a day")


def evaluate(options: Options) -> None:
    """Print the table, draw the plot and write the evaluation file."""
    net, checkpoint = restore(StocksNet, options)
    days = load_days(options)
    model = streamrnn.from_torch(net, example=example(days), card=card_of(DESCRIPTION, STOCKS, checkpoint))
    xs = frames(days)
    outputs = outputs_of(model, xs).astype(np.float64)
    heads = answer(net, torch.as_tensor(xs)[None])
    whole = torch.cat([heads["mean"], heads["deviation"]], -1)[0].numpy().astype(np.float64)
    difference = float(np.abs(outputs - whole).max())
    judged = judge_all(days, outputs, whole)
    lines = [
        Line("test RMSE, percent", tuple(one.rmse for one in judged.values())),
        Line("right directions", tuple(one.direction for one in judged.values())),
        Line("-log likelihood, nats a day", tuple(one.nats for one in judged.values())),
    ]
    headlines = headlines_of(judged)
    part = days.part("test")
    truth, mean = days.log_return[part], outputs[part.start - 1 : part.stop - 1, 0]
    sure = sureness(truth**2 - (truth - mean) ** 2)
    verdict = verdict_of(headlines, sure)
    title = f"{NAME}: S&P 500, {len(truth)} test days"
    show(title, tuple(judged), lines, f"{verdict}\nLargest difference: {difference:.2e}")
    draw(options, days, outputs)
    Evaluation(
        recipe=NAME,
        model=f"GRU {net.gru.hidden_size}, mean and deviation",
        data=DATA,
        split={name: len(days.dates[days.part(name)]) for name in YEARS},
        headlines=headlines,
        n_parameters=n_parameters(net),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, xs[:1000]),
        max_abs_difference=difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            **{name: one.plain() for name, one in judged.items()},
            "gain of the mean over no change, standard errors": sure,
            "validation nats": checkpoint.figures["validation_nats"],
        },
    ).write(options.evaluation)


def judge_all(days: Days, outputs: NDArray[np.float64], whole: NDArray[np.float64]) -> dict[str, Judged]:
    """Judge the test days by outputs (n_days, 2) of the engine and of PyTorch, and by what needs no model."""
    part = days.part("test")
    said = slice(part.start - 1, part.stop - 1)  # each day is told by the one before it
    truth, known = days.log_return[part], days.log_return[days.part("train")]
    still, up = np.zeros(len(truth)), np.full(len(truth), known.mean())
    return {
        "GRU, engine": Judged.of(outputs[said, 0], truth, outputs[said, 1]),
        "GRU, PyTorch": Judged.of(whole[said, 0], truth, whole[said, 1]),
        "no change, VIX": Judged.of(still, truth, implied_deviation(days)[said]),
        "no change, 21 days": Judged.of(still, truth, trailing_deviation(days.log_return)[said]),
        "always up": Judged.of(up, truth, np.full(len(truth), known.std())),
        "last return": Judged.of(days.log_return[said], truth),
    }


def headlines_of(judged: dict[str, Judged]) -> tuple[Headline, ...]:
    """Set the streamed and the offline figures beside those of the naive forecast that is hardest to beat."""
    engine, offline = judged["GRU, engine"], judged["GRU, PyTorch"]
    still, up = judged["no change, VIX"], judged["always up"]
    error = (engine.rmse, offline.rmse, still.rmse)
    right = (engine.direction or 0.0, offline.direction or 0.0, up.direction)
    told = (engine.nats or 0.0, offline.nats or 0.0, still.nats)
    return (
        Headline("test RMSE of the next log-return, percent", "lower", *error, "no change"),
        Headline("test share of right directions", "higher", *right, "always up"),
        Headline("test -log likelihood, nats a day", "lower", *told, "no change, deviation by VIX"),
    )


def verdict_of(headlines: Sequence[Headline], sure: float) -> str:
    """Say plainly what is better than the naive forecasts, and what is not or may be chance (`sure` below 2)."""
    error, direction, likelihood = headlines
    gain = 1.0 - error.streaming / (error.baseline or 1.0)
    more = direction.streaming - (direction.baseline or 0.0)
    nats_gained = (likelihood.baseline or 0.0) - likelihood.streaming
    first = f"{gain:.1%} better than" if gain > 0 and sure >= 2.0 else "no better than"
    chance = f" (RMSE {gain:+.1%}, {sure:.1f} standard errors: chance)" if gain > 0 and sure < 2.0 else ""
    second = f"{more * 100:.1f} points better than" if more > 0.01 else "no better than"
    third = f"{nats_gained:.2f} nats a day better than" if nats_gained > 0 else "no better than"
    return (
        f"The forecast of the next return is {first} no change{chance}, and its direction {second} always up "
        f"({direction.streaming:.1%} right). How far the day may be off it tells {third} the VIX alone."
    )


def draw(options: Options, days: Days, outputs: NDArray[np.float64]) -> None:
    """Draw the last test months with the forecast spread, and how many directions were right so far."""
    part = days.part("test")
    last = slice(len(days.dates) - 130, len(days.dates))
    with drawing(options.plot, f"{NAME}: S&P 500, told one day before, streamed", n_columns=2) as (left, right):
        told = slice(last.start - 1, last.stop - 1)
        low, high = (outputs[told, 0] + sign * 1.645 * outputs[told, 1] for sign in (-1.0, 1.0))
        left.fill_between(days.dates[last], low, high, alpha=0.3, label="90 % as told the day before")
        left.plot(days.dates[last], days.log_return[last], color="black", linewidth=1, label="log-return")
        left.set(ylabel="percent", title="the last 130 days")
        left.tick_params(axis="x", rotation=40)
        left.legend(fontsize=8)
        truth, said = days.log_return[part], outputs[part.start - 1 : part.stop - 1, 0]
        n = np.arange(1, len(truth) + 1)
        for right_ones, label in ((np.sign(said) == np.sign(truth), "GRU"), (truth > 0, "always up")):
            right.plot(days.dates[part][50:], (np.cumsum(right_ones) / n)[50:], label=label)
        right.axhline(0.5, color="grey", linestyle=":", label="a coin")
        right.set(ylabel="share of right directions so far", title="direction, from the 50th test day on")
        right.tick_params(axis="x", rotation=40)
        right.legend(fontsize=8)


def example(days: Days) -> Tensor:
    """Give real frames for the certificate: a VIX is above 0, which random frames are not."""
    return torch.as_tensor(frames(days)[-1000:])[None]


def export_model(options: Options) -> None:
    """Write the model file."""
    net, checkpoint = restore(StocksNet, options)
    export(net, card_of(DESCRIPTION, STOCKS, checkpoint), options.file, example(load_days(options)))


def demo(options: Options) -> None:
    """Stream the last test days, and keep the score."""
    days = load_days(options)
    n = 60 if options.quick else 300
    dates, xs, came = days.dates[-n:], frames(days)[-n:], days.log_return[-n:]
    squares: list[tuple[float, float]] = []
    told = np.zeros(2)

    def hear(seq: int, frame: NDArray[np.float32], output: streamrnn_client.Output) -> None:
        if seq:
            squares.append(((came[seq] - told[0]) ** 2, came[seq] ** 2))
            if seq % 20 == 0:
                running, still = np.sqrt(np.mean(squares, axis=0))
                print(
                    f"{dates[seq]}: told {told[0]:+.2f} +- {told[1]:.2f} %, came {came[seq]:+.2f} %; "
                    f"RMSE so far {running:.3f}, no change {still:.3f}"
                )
        told[:] = output.y

    async def play(client: streamrnn_client.Client) -> None:
        await play_frames(client, MODEL, xs, hear, hz=float("inf") if options.quick else 60.0)

    with served_file(options, export_model) as path:
        serve_and_play({MODEL: path}, play)
    running, still = np.sqrt(np.mean(squares, axis=0))
    print(f"\n{len(squares)} days; RMSE {running:.3f} %, no change {still:.3f} %")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
