"""What an evaluation leaves behind: one JSON file of the same form for every recipe, which the results table reads."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from training.checkpoint import Checkpoint
from training.data import DataSet
from training.report import versions, write_json


@dataclass(frozen=True)
class Headline:
    """One figure that a recipe is judged by, beside the same figure offline and of a baseline.

    Attributes:
        metric: what was measured on which part, with its unit, such as `test bits per character`.
        better: which way is good.
        streaming: measured through sessions of the engine, frame by frame.
        offline: measured in PyTorch over whole recordings, by the same decoding.
        baseline: what needs no training to speak of.
        baseline_name: what that is, such as `persistence`.
        aim: what we set out to reach, None: nothing in particular.
    """

    metric: str
    better: Literal["lower", "higher"]
    streaming: float
    offline: float
    baseline: float | None
    baseline_name: str
    aim: float | None = None

    @classmethod
    def of(
        cls,
        metric: str,
        better: Literal["lower", "higher"],
        values: Iterable[float],
        baseline_name: str,
        aim: float | None = None,
    ) -> Headline:
        """Take streaming, offline and baseline in one, as the columns of a table come."""
        streaming, offline, baseline = (float(value) for value in values)
        return cls(metric, better, streaming, offline, baseline, baseline_name, aim)

    @property
    def is_met(self) -> bool:
        """Whether the streamed figure reaches the aim; True where there is none."""
        if self.aim is None:
            return True
        return self.streaming <= self.aim if self.better == "lower" else self.streaming >= self.aim


@dataclass(frozen=True)
class Evaluation:
    """All that is known of a trained recipe.

    Attributes:
        recipe: the module's name under training.recipes.
        model: one line: the network and its sizes.
        data: what it was trained and judged on.
        split: how many items each part has.
        headlines: the figures that count, the first one first.
        n_parameters: of the model that is served.
        train_s: seconds of training, by the clock.
        frame_us: microseconds a frame takes in a session of its own (see `streamed.frame_us`).
        max_abs_difference: largest difference of any output, streamed and offline.
        figures: everything else that was measured, by name; plain values, lists and maps.
        verdict: one or two sentences in plain words; says so where the model is no better, and why an aim was missed.
        checkpoint: for the seed and the command.
    """

    recipe: str
    model: str
    data: tuple[DataSet, ...]
    split: Mapping[str, int]
    headlines: tuple[Headline, ...]
    n_parameters: int
    train_s: float
    frame_us: float
    max_abs_difference: float
    verdict: str
    checkpoint: Checkpoint
    figures: Mapping[str, Any] = field(default_factory=dict)

    def write(self, path: Path) -> None:
        """Write the evaluation file."""
        write_json(path, self.as_plain())

    def as_plain(self) -> dict[str, Any]:
        """The content of the file."""
        return {
            "recipe": self.recipe,
            "model": self.model,
            "data": [{"name": one.name, "source": one.source, "licence": one.licence} for one in self.data],
            "split": dict(self.split),
            "headlines": [{**vars(one), "is_met": one.is_met} for one in self.headlines],
            "n_parameters": self.n_parameters,
            "train_s": round(self.train_s, 1),
            "frame_us": round(self.frame_us, 2),
            "max_abs_difference": f"{self.max_abs_difference:.2e}",
            "figures": dict(self.figures),
            "verdict": self.verdict,
            "seed": self.checkpoint.seed,
            "command": self.checkpoint.command,
            "versions": versions(),
        }


def read_evaluation(path: Path) -> dict[str, Any]:
    """Read what `Evaluation.write` wrote."""
    return dict(json.loads(path.read_text("ascii")))
