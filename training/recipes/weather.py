"""The temperature of the next 1, 6 and 24 hours: a GRU that hears an airport's observations, one frame an hour.

Trained on the three airports of New York from January to September 2013, validated on October, tested on November and
December; each airport is a session of the one model. For each horizon it gives three quantiles (10, 50 and 90 %) of
the temperature. Baselines: persistence (as it is at this hour) and the same hour of the day before; their quantiles
are those of their errors in training.

  python -m training.recipes.weather train       under a minute on one core
  python -m training.recipes.weather evaluate    the table, and training/results/weather.json with its plot
  python -m training.recipes.weather export      training/runs/weather.safetensors
  python -m training.recipes.weather demo        three airports through a server, each forecast beside what came
"""

import asyncio
import time
from collections.abc import Sequence
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
from training.live import paced, serve_and_play
from training.modules import Standardise
from training.options import Options, dispatch, parse
from training.plots import drawing
from training.report import Line, show
from training.seeding import seed_everything
from training.sequences import answer, fit_sequences
from training.series.fortnights import Fortnights
from training.series.gapped import offline, streamed, times_us
from training.series.horizons import HORIZONS_H, Naive, cut_to_known, on_the_clock, truths
from training.series.observations import INPUTS, UNITS, frames
from training.series.quantiles import LEVELS, coverage, mean_absolute, mean_pinball, pinball
from training.served import served_file
from training.sets.weather import MONTHS, WEATHER, Station, stations
from training.streamed import frame_us

NAME = MODEL = "weather"
DATA = (WEATHER,)
N_OUTPUTS = len(HORIZONS_H) * len(LEVELS)
DESCRIPTION = Description(
    name=MODEL,
    summary="Gives after each hour's observation quantiles of the temperature 1, 6 and 24 hours later.",
    input_names=INPUTS,
    output_names=tuple(f"h{horizon}_{level:.0%}" for horizon in HORIZONS_H for level in LEVELS),
    units={**UNITS, "output": "degrees Fahrenheit"},
    rate_hz=1 / 3600,
)


class WeatherNet(nn.Module):
    """Standardise, causal convolution, GRU, and for each horizon a change of temperature with its spread both ways.

    Quantiles cannot cross: the outer ones are the middle one less or plus a softplus.
    """

    KERNEL = 4

    def __init__(
        self, means: list[float], deviations: list[float], changes: list[float], hidden_size: int, dropout: float
    ) -> None:
        """Take the inputs' means and deviations, and the deviation of the change of temperature over each horizon."""
        super().__init__()
        self.changes = changes
        self.standardise = Standardise(means, deviations)
        self.conv = nn.Conv1d(len(means), hidden_size, self.KERNEL)
        self.gru = nn.GRU(hidden_size, hidden_size, batch_first=True)
        self.dropout = nn.Dropout(dropout)
        self.fc = nn.Linear(hidden_size, N_OUTPUTS)

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        """Map x: (n, n_hours, 13) to heads h1, h6, h24: (n, n_hours, 3) quantiles in degrees Fahrenheit."""
        y = self.dropout(self.standardise(x)).transpose(1, 2)
        y = torch.tanh(self.conv(nn.functional.pad(y, (self.KERNEL - 1, 0)))).transpose(1, 2)
        h, _ = self.gru(y)
        middle, below, above = self.fc(self.dropout(h)).chunk(3, -1)
        below, above = nn.functional.softplus(below), nn.functional.softplus(above)
        temp, heads = x[..., :1], {}
        for i, (horizon, change) in enumerate(zip(HORIZONS_H, self.changes, strict=True)):
            this = slice(i, i + 1)
            low, high = middle[..., this] - below[..., this], middle[..., this] + above[..., this]
            heads[f"h{horizon}"] = temp + change * torch.cat([low, middle[..., this], high], -1)
        return heads


def load_stations(options: Options) -> list[Station]:
    """Load the airports."""
    return stations(data_folder(WEATHER, options.data))


def loss_of(changes: Sequence[float], output: dict[str, Tensor], target: Tensor) -> Tensor:
    """Give the mean over horizons of the pinball loss in units of each horizon's usual change."""
    each = [pinball(head, target[..., i]) / changes[i] for i, head in enumerate(output.values())]
    return torch.stack(each).mean()


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s, generator = time.monotonic(), seed_everything(options.seed)
    airports = load_stations(options)
    known = np.concatenate([frames(station)[station.part("train")] for station in airports]).astype(np.float64)
    moved = np.concatenate([truths(one, "train") - one.column("temp")[:, None] for one in airports])
    arguments: dict[str, Any] = {
        "means": known.mean(0).tolist(),
        "deviations": np.maximum(known.std(0), 0.1).tolist(),
        "changes": np.nanstd(moved, axis=0).tolist(),
        "hidden_size": 8 if options.quick else 32,
        "dropout": 0.2,
    }
    net = WeatherNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else 150,
        patience_epochs=60,
        window_frames=Fortnights.N_HOURS,
        learning_rate=5e-3,
        warmup_windows=0 if options.quick else 30,
        weight_decay=0.05,
        average_decay=0.0 if options.quick else 0.98,
    )
    clocks = [on_the_clock(station, truths(station, "validation")) for station in airports]

    def validate(candidate: nn.Module) -> float:
        losses = [loss_of(net.changes, answer(candidate, x[None]), target[None]) for x, target in validation]
        return float(torch.stack(losses).mean())

    validation = [cut_to_known(x, target) for x, target in clocks]
    history = fit_sequences(
        net,
        Fortnights(airports, generator),
        Fortnights.N_BATCHES,
        lambda output, target: loss_of(net.changes, output, target),
        validate,
        settings,
    )
    figures = {"validation_pinball": history.validation_loss[history.best_epoch]}
    keep(net, arguments, options, history, figures, time.monotonic() - began_s, "pinball loss, in usual changes")


def evaluate(options: Options) -> None:
    """Print the table, draw the plot and write the evaluation file."""
    net, checkpoint = restore(WeatherNet, options)
    airports = load_stations(options)
    model = streamrnn.from_torch(net, card=card_of(DESCRIPTION, WEATHER, checkpoint))
    outputs, whole = streamed(model, airports), [offline(net, station) for station in airports]
    difference = max(float(np.abs(a - b).max()) for a, b in zip(outputs, whole, strict=True))
    naive = {"persistence": Naive(airports, (0, 0, 0)), "24 hours ago": Naive(airports, (23, 18, 0))}
    parts = [station.part("test") for station in airports]
    said = {
        "GRU, engine": np.concatenate([quantiles_of(y)[part] for y, part in zip(outputs, parts, strict=True)]),
        "GRU, PyTorch": np.concatenate([quantiles_of(y)[part] for y, part in zip(whole, parts, strict=True)]),
        **{
            name: np.concatenate([one.quantiles(station)[part] for station, part in zip(airports, parts, strict=True)])
            for name, one in naive.items()
        },
    }
    points = {name: said[name][..., 1] for name in said}
    points |= {
        name: np.concatenate([one.points(station)[part] for station, part in zip(airports, parts, strict=True)])
        for name, one in naive.items()
    }
    truth = np.concatenate([truths(station)[part] for station, part in zip(airports, parts, strict=True)])
    truth = np.where(np.isnan(np.stack(list(points.values()))).any(0), np.nan, truth)
    figures = {name: judge(said[name], points[name], truth) for name in said}
    headlines = tuple(
        Headline(
            f"test MAE of the temperature in {horizon} h, degrees F",
            "lower",
            streaming=figures["GRU, engine"][f"MAE, +{horizon} h"],
            offline=figures["GRU, PyTorch"][f"MAE, +{horizon} h"],
            baseline=figures["persistence"][f"MAE, +{horizon} h"],
            baseline_name="persistence",
            aim=figures["persistence"][f"MAE, +{horizon} h"],
        )
        for horizon in HORIZONS_H
    )
    lines = [Line(name, tuple(one[name] for one in figures.values())) for name in figures["GRU, engine"]]
    verdict = verdict_of(headlines)
    title = f"{NAME}: three airports, November and December 2013"
    show(title, tuple(figures), lines, f"{verdict}\nLargest difference: {difference:.2e}")
    draw(options, airports[-1], quantiles_of(outputs[-1]), figures)
    Evaluation(
        recipe=NAME,
        model=f"causal convolution over {net.KERNEL} hours, GRU {net.gru.hidden_size}, quantiles of 3 horizons",
        data=DATA,
        split={part: sum(len(one.hours[one.part(part)]) for one in airports) for part in MONTHS},
        headlines=headlines,
        n_parameters=n_parameters(net),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, frames(airports[0])[:1000]),
        max_abs_difference=difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={**figures, "validation pinball": checkpoint.figures["validation_pinball"]},
    ).write(options.evaluation)


def quantiles_of(outputs: NDArray[np.float32]) -> NDArray[np.float64]:
    """Give outputs (n, 9) as (n, 3 horizons, 3 quantiles)."""
    return outputs.reshape(len(outputs), len(HORIZONS_H), len(LEVELS)).astype(np.float64)


def judge(said: NDArray[np.float64], points: NDArray[np.float64], truth: NDArray[np.float64]) -> dict[str, float]:
    """Measure quantiles (n, 3, 3) and points (n, 3) against what came, (n, 3), for each horizon."""
    figures = {}
    for i, horizon in enumerate(HORIZONS_H):
        figures[f"MAE, +{horizon} h"] = mean_absolute(points[:, i], truth[:, i])
        figures[f"pinball, +{horizon} h"] = mean_pinball(said[:, i], truth[:, i])
        figures[f"within 10 .. 90 %, +{horizon} h"] = coverage(said[:, i], truth[:, i])
    return figures


def verdict_of(headlines: Sequence[Headline]) -> str:
    """Say for each horizon how it compares with persistence."""
    parts = []
    for horizon, one in zip(HORIZONS_H, headlines, strict=True):
        gain = 1.0 - one.streaming / (one.baseline or 1.0)
        parts.append(
            f"{gain:.0%} better at +{horizon} h" if gain > 0 else f"no better at +{horizon} h ({-gain:.0%} worse)"
        )
    return f"Beside persistence (mean absolute error) the GRU is {', '.join(parts)}."


def draw(options: Options, station: Station, said: NDArray[np.float64], figures: dict[str, dict[str, float]]) -> None:
    """Draw eight days of the forecast for six hours ahead, and the errors by horizon."""
    first = station.part("test").start + 24 * 14
    rows = slice(first, first + 24 * 8)
    with drawing(options.plot, f"{NAME}: November and December 2013, streamed", n_columns=2) as (left, right):
        due = station.hours[rows] + np.timedelta64(6, "h")
        left.fill_between(due, said[rows, 1, 0], said[rows, 1, 2], alpha=0.3, label="10 .. 90 %, said 6 h before")
        left.plot(due, said[rows, 1, 1], label="median, said 6 h before")
        left.plot(station.hours[rows], station.column("temp")[rows], color="black", linewidth=1, label="what came")
        left.set(ylabel="degrees Fahrenheit", title=f"{station.airport}, eight days")
        left.tick_params(axis="x", rotation=40)
        left.legend(fontsize=8)
        names = ("GRU, engine", "persistence", "24 hours ago")
        for i, name in enumerate(names):
            errors = [figures[name][f"MAE, +{horizon} h"] for horizon in HORIZONS_H]
            right.bar(np.arange(len(HORIZONS_H)) + 0.27 * (i - 1), errors, width=0.25, label=name)
        right.set_xticks(range(len(HORIZONS_H)), [f"+{horizon} h" for horizon in HORIZONS_H])
        right.set(ylabel="mean absolute error, degrees F", title="error by horizon, three airports")
        right.margins(y=0.35)
        right.legend(loc="upper left")


def export_model(options: Options) -> None:
    """Write the model file."""
    net, checkpoint = restore(WeatherNet, options)
    export(net, card_of(DESCRIPTION, WEATHER, checkpoint), options.file)


def demo(options: Options) -> None:
    """Stream the test weeks of three airports side by side; print forecasts beside what came an hour later."""
    airports = load_stations(options)
    errors: dict[str, list[float]] = {station.airport: [] for station in airports}
    n_frames = 48 if options.quick else 24 * 14

    async def play_one(client: streamrnn_client.Client, station: Station) -> None:
        rows = slice(station.part("test").start, station.part("test").start + n_frames)
        xs, us, came = frames(station)[rows], times_us(station)[rows], truths(station)[rows, 0]
        session = await client.open(MODEL, gap="hold", period_s=3600.0)
        source = (streamrnn_client.Timed(int(t), x) for t, x in zip(us, xs, strict=True))
        async for output in session.stream(paced(source, float("inf") if options.quick else 100.0)):
            seq, y, filled = output.seq, output.y, output.filled
            errors[station.airport].append(abs(float(y[1]) - float(came[seq])))
            if seq % 24 == 0 or filled:
                held_hours = f", {filled} missing hours held" if filled else ""
                said = f"in 1 h {y[1]:4.1f} F ({y[0]:.1f} .. {y[2]:.1f}), came {came[seq]:4.1f}; in 24 h {y[7]:4.1f} F"
                print(f"{station.hours[rows][seq]}h {station.airport} {xs[seq, 0]:4.1f} F: {said}{held_hours}")
        await session.close()

    async def play(client: streamrnn_client.Client) -> None:
        await asyncio.gather(*(play_one(client, station) for station in airports))

    with served_file(options, export_model) as path:
        serve_and_play({MODEL: path}, play)
    means = ", ".join(f"{airport} {np.nanmean(one):.2f}" for airport, one in errors.items())
    print(f"\n{n_frames} hours of each airport; off after one hour by (degrees F, mean): {means}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
