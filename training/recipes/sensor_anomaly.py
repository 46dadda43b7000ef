"""Anomalies of a machine's temperature: a small GRU predicts the next value, a score watches its residuals.

Trained on the NAB series machine_temperature_system_failure before its first labelled window (2013-12-10 06:25), judged
on all that follows, beside persistence (the next value is this value) under the same score and the same rule for its
threshold.

  python -m training.recipes.sensor_anomaly train       one to two minutes on one core
  python -m training.recipes.sensor_anomaly evaluate    the table, training/results/sensor_anomaly.json, a plot
  python -m training.recipes.sensor_anomaly export      streamrnn/bundled/temperature_anomaly.safetensors
  python -m training.recipes.sensor_anomaly demo        the machine through a server, and the alarms as they come
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any, Literal

import msgspec
import numpy as np
import streamrnn_client
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import streamrnn
from streamrnn.decode import AnomalyDecoding, AnomalyScore, AnomalySettings
from training.data import data_folder
from training.evaluation import Evaluation, Headline
from training.export import Description, card_of, export
from training.fit import FitSettings, fit
from training.kept import keep, n_parameters, restore
from training.live import play_frames, serve_and_play
from training.modules import Affine
from training.options import Options, dispatch, parse
from training.plots import drawing
from training.report import as_columns, show
from training.seeding import seed_everything
from training.series import recordings
from training.series.detection import judge, score_series
from training.series.forecast import (
    FRAMES_PER_DAY,
    N_HEALTHY_ALARMS,
    Judged,
    Split,
    judge_predictor,
    lines_of,
    normalised,
    residuals,
    rmse,
    verdict_of,
)
from training.served import served_file
from training.sets.nab import NAB, nab_series
from training.streamed import frame_us, outputs_of
from training.tbptt import State, run

NAME = "sensor_anomaly"
MODEL = "temperature_anomaly"
DATA = (NAB,)
SERIES = "realKnownCause/machine_temperature_system_failure.csv"

DESCRIPTION = Description(
    name=MODEL,
    summary="Predicts a machine's next temperature, five minutes ahead, from the temperatures so far.",
    input_names=("value",),
    output_names=("next_value",),
    units={
        "value": "degrees Fahrenheit",
        "next_value": "standard deviations of the training data from its mean: value * scale + shift, see provenance",
    },
    rate_hz=1 / 300,
)


class TemperatureNet(nn.Module):
    """Normalise, GRU, linear: (n_lanes, n_frames, 1) in the sensor's unit to the next value in normalised units."""

    def __init__(self, mean: float, deviation: float, hidden_size: int) -> None:
        super().__init__()
        self.normalise = Affine.normaliser(mean, deviation)
        self.gru = nn.GRU(1, hidden_size, batch_first=True)
        self.fc = nn.Linear(hidden_size, 1)

    def forward(self, x: Tensor, state: State = None) -> tuple[Tensor, State]:
        """Map x: (n_lanes, n_frames, 1) and the state before it to the outputs and the state after it."""
        h, state = self.gru(self.normalise(x), state)
        return self.fc(h), state


def load_split(options: Options) -> Split:
    """Load the series with the borders of its parts."""
    return Split.of(nab_series(data_folder(NAB, options.data), SERIES))


class Augmented:
    """Epochs of training lanes: pieces of the training period, stretched and moved along the scale.

    The training week stays between 53 and 94 degrees; the machine does not. Moved and stretched pieces teach the net to
    predict at temperatures the week never saw.
    """

    N_LANES = 32

    def __init__(self, z: Tensor, net: TemperatureNet, generator: torch.Generator) -> None:
        """Take z: (n_train,) normalised training values, and the net for the way back to the sensor's unit."""
        self.z, self.generator = z, generator
        self.scale, self.shift = net.normalise.scale, net.normalise.shift

    def __call__(self, epoch: int) -> tuple[Tensor, Tensor]:
        """Draw (x, target), both (32, n_train / 2, 1): x in the sensor's unit, target normalised."""
        n_frames = len(self.z) // 2
        starts = torch.randint(0, len(self.z) - n_frames, (self.N_LANES,), generator=self.generator)
        stretch = torch.exp(self._uniform() * math.log(1.5))
        move = self._uniform() * 2.5 - 1.0
        lanes = torch.stack([self.z[start : start + n_frames + 1] for start in starts]) * stretch + move
        return ((lanes[:, :-1] - self.shift) / self.scale)[..., None], lanes[:, 1:, None]

    def _uniform(self) -> Tensor:
        return torch.rand(self.N_LANES, 1, generator=self.generator) * 2.0 - 1.0


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    began_s, generator = time.monotonic(), seed_everything(options.seed)
    split = load_split(options)
    values = split.series.values
    known = values[: split.n_train]
    arguments: dict[str, Any] = {
        "mean": float(known.mean()),
        "deviation": float(known.std()),
        "hidden_size": 8 if options.quick else 48,
    }
    net = TemperatureNet(**arguments)
    settings = FitSettings(
        max_epochs=2 if options.quick else 300,
        patience_epochs=60,
        window_frames=64,
        learning_rate=5e-3,
        warmup_windows=20,
        final_share=0.01,
        average_decay=0.9 if options.quick else 0.98,
    )

    def validate(candidate: nn.Module) -> float:
        healthy = values[: split.n_healthy]
        return rmse(residuals(healthy, outputs_in_torch(candidate, healthy), split)[split.n_train :])

    z = (torch.tensor(known) - arguments["mean"]) / arguments["deviation"]
    augmented = Augmented(z.to(torch.float32), net, generator)
    history = fit(net, augmented, nn.functional.mse_loss, validate, settings)
    train_s = time.monotonic() - began_s
    figures = {"validation_rmse": history.validation_loss[history.best_epoch]}
    keep(net, arguments, options, history, figures, train_s, "loss (training: MSE, augmented; validation: RMSE)")


def outputs_in_torch(net: nn.Module, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Run values (n,) in the sensor's unit through PyTorch: (n,), each the prediction of the next value, normalised."""
    x = torch.tensor(values, dtype=torch.float32)[None, :, None]
    return run(net, x)[0, :, 0].numpy().astype(np.float64)


Outputs = dict[str, NDArray[np.float64]]
"""Of each predictor: (n,), its prediction of each next value, normalised."""


def predictors_of(split: Split, net: TemperatureNet, model: streamrnn.Model) -> tuple[Outputs, Outputs]:
    """Run the engine, PyTorch and persistence over the series, and over the bundled recording."""

    def predict(values: NDArray[np.float64]) -> Outputs:
        frames = values[:, None].astype(np.float32)
        return {
            "GRU, engine": outputs_of(model, frames)[:, 0].astype(np.float64),
            "GRU, PyTorch": outputs_in_torch(net, values),
            "persistence": normalised(values, split),
        }

    return predict(split.series.values), predict(recorded())


def recorded() -> NDArray[np.float64]:
    """Give the bundled recording's values."""
    return np.array([row.value for row in recordings.record()])


def evaluate(options: Options) -> None:
    """Print the table, draw the plot and write the evaluation file."""
    net, checkpoint = restore(TemperatureNet, options)
    split = load_split(options)
    model = streamrnn.from_torch(net, card=card_of(DESCRIPTION, NAB, checkpoint))
    outputs, of_recording = predictors_of(split, net, model)
    judged = {name: judge_predictor(split, outputs[name], recorded(), of_recording[name]) for name in outputs}
    difference = float(np.abs(outputs["GRU, engine"] - outputs["GRU, PyTorch"]).max())
    columns, lines = tuple(judged), lines_of(list(judged.values()))
    verdict = verdict_of(judged["GRU, engine"], judged["persistence"])
    show(f"{NAME}: {SERIES}", columns, lines, f"{verdict}\nLargest difference, engine to PyTorch: {difference:.2e}")
    draw(options, split, outputs, judged)
    n_train, n_healthy = split.n_train, split.n_healthy
    Evaluation(
        recipe=NAME,
        model=f"GRU {net.gru.hidden_size} predicts the next value; an anomaly score watches the residuals",
        data=DATA,
        split={"train": n_train, "validation": n_healthy - n_train, "test": len(split.series.values) - n_healthy},
        headlines=headlines_of(judged),
        n_parameters=n_parameters(net),
        train_s=checkpoint.train_s,
        frame_us=frame_us(model, split.series.values[:1000, None].astype(np.float32)),
        max_abs_difference=difference,
        verdict=verdict,
        checkpoint=checkpoint,
        figures={
            **as_columns(columns, lines),
            "series": SERIES,
            "threshold rule": f"lowest with at most {N_HEALTHY_ALARMS} alarm before the first labelled window",
            "frames to alarm": {name: list(one.nab.found) for name, one in judged.items()},
        },
    ).write(options.evaluation)


def headlines_of(judged: dict[str, Judged]) -> tuple[Headline, ...]:
    """Set errors, windows found and false alarms beside those of persistence."""
    engine, offline, naive = judged.values()

    def beside(metric: str, better: Literal["lower", "higher"], figure: Callable[[Judged], float]) -> Headline:
        return Headline(metric, better, figure(engine), figure(offline), figure(naive), "persistence")

    return (
        beside("test RMSE of the next value, standard deviations", "lower", lambda one: one.rmse),
        beside("labelled windows found, of 4", "higher", lambda one: float(one.nab.n_found)),
        beside("false alarms in 71 days", "lower", lambda one: float(one.nab.n_false_alarms)),
    )


def draw(options: Options, split: Split, outputs: Outputs, judged: dict[str, Judged]) -> None:
    """Draw the series with its labelled windows, and the alarms of both predictors."""
    series, n_healthy = split.series, split.n_healthy
    with drawing(options.plot, f"{NAME}: a machine's temperature (NAB), streamed") as (axes,):
        axes.plot(series.times[::4], series.values[::4], linewidth=0.6, color="black", label="temperature")
        for i, (first, last) in enumerate(series.windows):
            axes.axvspan(first, last, color="orange", alpha=0.4, label=None if i else "labelled anomaly")
        axes.axvline(series.times[n_healthy], linestyle=":", color="grey", label="the test begins")
        for name, level, marker in (("GRU, engine", 12.0, "^"), ("persistence", 5.0, "x")):
            onsets = score_series(series.values, outputs[name], judged[name].settings).onsets
            times = [series.times[i] for i in onsets if i >= n_healthy]
            axes.scatter(times, [level] * len(times), marker=marker, s=28, label=f"alarms, {name.split(',')[0]}")
        axes.set(ylabel="degrees Fahrenheit")
        axes.legend(ncols=5, fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.08))


def export_model(options: Options) -> None:
    """Write the model file; its provenance holds the settings of the score that goes with it."""
    net, checkpoint = restore(TemperatureNet, options)
    split, recording = load_split(options), recorded()
    outputs = outputs_in_torch(net, split.series.values)
    judged = judge_predictor(split, outputs, recording, outputs_in_torch(net, recording))
    settings = asdict(judged.settings)
    decoder = AnomalyDecoding(score=judged.settings)
    export(net, card_of(DESCRIPTION, NAB, checkpoint, {"anomaly": settings}, decoder), options.file)


def demo(options: Options) -> None:
    """Stream the machine from the training period on, score each forecast on the client's side, and tell the alarms."""
    split = load_split(options)
    n = split.n_healthy + 1500 if options.quick else len(split.series.values)
    times, values = split.series.times[:n], split.series.values[:n]
    windows = [(split.series.index_of(first), split.series.index_of(last)) for first, last in split.series.windows]
    onsets: list[int] = []

    with served_file(options, export_model) as path:
        anomaly = streamrnn.load_model(path).card.provenance["anomaly"]
        settings = msgspec.convert(anomaly, AnomalySettings)
        score = AnomalyScore(settings)

        def hear(seq: int, frame: NDArray[np.float32], output: streamrnn_client.Output) -> None:
            verdict = score.frame(float(values[seq]), float(output.y[0]))
            if verdict.onset:
                onsets.append(seq)
                inside = any(first <= seq <= last for first, last in windows)
                what = "in a labelled window" if inside else "a false alarm" if seq >= split.n_healthy else "training"
                print(f"{times[seq]}  {values[seq]:6.1f} F  score {verdict.score:.2f}  {what}")

        async def play(client: streamrnn_client.Client) -> None:
            await play_frames(client, MODEL, values[:, None].astype(np.float32), hear)

        serve_and_play({MODEL: path}, play)
    found = judge(onsets, windows, split.n_healthy, n, FRAMES_PER_DAY)
    days = f"{found.n_false_alarms} false alarms in {found.n_days:.0f} days"
    print(f"\n{n} frames: {found.n_found} of 4 windows found, {days}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model, "demo": demo})


if __name__ == "__main__":
    main()
