"""Anomalies of a machine's temperature: a small GRU predicts the next value, a score watches its residuals.

Trained on the NAB series machine_temperature_system_failure before its first labelled window (2013-12-10 06:25), judged
on all that follows, beside persistence (the next value is this value) under the same score and the same rule for its
threshold.

  python -m training.recipes.sensor_anomaly train       one to two minutes on one core
  python -m training.recipes.sensor_anomaly evaluate    the table, and training/results/sensor_anomaly.json
  python -m training.recipes.sensor_anomaly export      streamrnn/bundled/temperature_anomaly.safetensors
"""

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

import streamrnn
from training import recordings
from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.data import NAB, data_folder, nab_series
from training.export import Description, card_of, export
from training.fit import FitSettings, fit
from training.forecast import (
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
from training.modules import Affine
from training.options import Options, dispatch, parse
from training.report import as_columns, show, versions, write_json
from training.seeding import seed_everything
from training.streamed import outputs_of
from training.tbptt import State, run

NAME = "sensor_anomaly"
SERIES = "realKnownCause/machine_temperature_system_failure.csv"

DESCRIPTION = Description(
    name="temperature_anomaly",
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
    generator = seed_everything(options.seed)
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
    figures = {"validation_rmse": history.validation_loss[history.best_epoch]}
    Checkpoint(net.state_dict(), arguments, options.seed, options.command, history, figures).save(options.checkpoint)
    plot_history(history, options.curve, "temperature_anomaly", "loss (training: MSE, augmented; validation: RMSE)")
    print(f"kept epoch {history.best_epoch}: validation RMSE {figures['validation_rmse']:.4f} standard deviations")


def load(options: Options) -> tuple[TemperatureNet, Checkpoint]:
    """Give the trained net."""
    checkpoint = Checkpoint.load(options.checkpoint, NAME)
    net = TemperatureNet(**checkpoint.arguments)
    net.load_state_dict(checkpoint.weights)
    return net.eval(), checkpoint


def outputs_in_torch(net: nn.Module, values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Run values (n,) in the sensor's unit through PyTorch: (n,), each the prediction of the next value, normalised."""
    x = torch.tensor(values, dtype=torch.float32)[None, :, None]
    return run(net, x)[0, :, 0].numpy().astype(np.float64)


def judge_all(split: Split, net: TemperatureNet, card: streamrnn.Card) -> tuple[dict[str, Judged], float]:
    """Judge PyTorch, the engine and persistence, and give the largest difference of the first two's outputs."""
    values = split.series.values
    recording = np.array([row.value for row in recordings.record()])
    model = streamrnn.from_torch(net, card=card)

    def streamed(frames: NDArray[np.float64]) -> NDArray[np.float64]:
        return outputs_of(model, frames[:, None].astype(np.float32))[:, 0].astype(np.float64)

    torch_outputs, engine_outputs = outputs_in_torch(net, values), streamed(values)
    judged = {
        "GRU, engine": judge_predictor(split, engine_outputs, recording, streamed(recording)),
        "GRU, PyTorch": judge_predictor(split, torch_outputs, recording, outputs_in_torch(net, recording)),
        "persistence": judge_predictor(split, normalised(values, split), recording, normalised(recording, split)),
    }
    return judged, float(np.abs(torch_outputs - engine_outputs).max())


def evaluate(options: Options) -> None:
    """Print the table and write the evaluation file."""
    net, checkpoint = load(options)
    split = load_split(options)
    judged, difference = judge_all(split, net, card_of(DESCRIPTION, NAB, checkpoint))
    columns, lines = tuple(judged), lines_of(list(judged.values()))
    verdict = verdict_of(judged["GRU, engine"], judged["persistence"])
    show(f"{NAME}: {SERIES}", columns, lines, f"{verdict}\nLargest difference, engine to PyTorch: {difference:.2e}")
    write_json(
        options.evaluation,
        {
            "recipe": NAME,
            "data": {"name": NAB.name, "series": SERIES, "source": NAB.source, "licence": NAB.licence},
            "split": {
                "train": split.n_train,
                "validation": split.n_healthy - split.n_train,
                "test_from": split.n_healthy,
            },
            "threshold_rule": f"lowest with at most {N_HEALTHY_ALARMS} alarm before the first labelled window",
            "figures": as_columns(columns, lines),
            "frames_to_alarm": {name: list(one.nab.found) for name, one in judged.items()},
            "engine_to_torch_max_abs": f"{difference:.2e}",
            "verdict": verdict,
            "seed": checkpoint.seed,
            "command": checkpoint.command,
            "versions": versions(),
        },
    )


def export_model(options: Options) -> None:
    """Write the model file; its provenance holds the settings of the score that goes with it."""
    net, checkpoint = load(options)
    split = load_split(options)
    healthy = split.series.values
    recording = np.array([row.value for row in recordings.record()])
    judged = judge_predictor(split, outputs_in_torch(net, healthy), recording, outputs_in_torch(net, recording))
    settings = asdict(judged.settings)
    export(net, card_of(DESCRIPTION, NAB, checkpoint, {"anomaly": settings}), options.file)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", DESCRIPTION.name, arguments)
    dispatch(options, {"train": train, "evaluate": evaluate, "export": export_model})


if __name__ == "__main__":
    main()
