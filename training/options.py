"""Command line of a recipe: the same three verbs and options for all of them."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from training.checkpoint import CheckpointMissing
from training.data import PROJECT_ROOT, VARIABLE, DataMissing

DEFAULT_RUNS = PROJECT_ROOT / "training" / "runs"
DEFAULT_RESULTS = PROJECT_ROOT / "training" / "results"
BUNDLED = PROJECT_ROOT / "streamrnn" / "bundled"


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        recipe: the module's name under training.recipes.
        verb: train, evaluate or export.
        data: folder of data sets, or None to look for it.
        out: folder of checkpoints and learning curves.
        results: folder of the evaluation file.
        file: model file that export writes.
        seed: of training.
        quick: a few seconds of everything, for tests; the figures mean nothing.
    """

    recipe: str
    verb: str
    data: Path | None
    out: Path
    results: Path
    file: Path
    seed: int
    quick: bool

    @property
    def checkpoint(self) -> Path:
        """Where `train` leaves the net."""
        return self.out / f"{self.recipe}.pt"

    @property
    def curve(self) -> Path:
        """Where `train` leaves the learning curve."""
        return self.out / f"{self.recipe}.png"

    @property
    def evaluation(self) -> Path:
        """Where `evaluate` writes its figures."""
        return self.results / f"{self.recipe}.json"

    @property
    def command(self) -> str:
        """The command that repeats this training anywhere: no path of this machine in it."""
        quick = " --quick" if self.quick else ""
        return f"python -m training.recipes.{self.recipe} train --seed {self.seed}{quick}"


def parse(recipe: str, description: str, model_name: str, arguments: Sequence[str] | None = None) -> Options:
    """Read the command line.

    Args:
        recipe: the module's name under training.recipes.
        description: the first lines of --help.
        model_name: name of the bundled model that `export` writes by default.
        arguments: instead of those of the process.

    Raises:
        SystemExit: wrong arguments, or --help.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m training.recipes.{recipe}",
        description=description,
        epilog="train, then evaluate, then export; each reads what the one before left in --out.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "verb",
        choices=("train", "evaluate", "export"),
        help="train: fit the net, leave NAME.pt and the learning curve NAME.png in --out; "
        "evaluate: print model and baseline side by side and write NAME.json; export: write the model file",
    )
    parser.add_argument("--data", type=Path, metavar="DIR", help=f"data sets; else {VARIABLE}, else ../shared/data")
    parser.add_argument("--out", type=Path, metavar="DIR", default=DEFAULT_RUNS, help="default: training/runs")
    parser.add_argument(
        "--results", type=Path, metavar="DIR", help="default: training/results, or --out with --quick or another --out"
    )
    parser.add_argument(
        "--file",
        type=Path,
        metavar="FILE",
        help=f"model file; default: streamrnn/bundled/{model_name}.safetensors, or in --out as for --results",
    )
    parser.add_argument("--seed", type=int, default=0, help="0 .. 2**32 - 1; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything; the figures mean nothing")
    given = parser.parse_args(arguments)
    if not 0 <= given.seed < 2**32:
        parser.error(f"--seed: expected 0 .. 2**32 - 1, got {given.seed}")
    is_trial = given.quick or given.out != DEFAULT_RUNS
    return Options(
        recipe=recipe,
        verb=given.verb,
        data=given.data,
        out=given.out,
        results=given.results or (given.out if is_trial else DEFAULT_RESULTS),
        file=given.file or (given.out if is_trial else BUNDLED) / f"{model_name}.safetensors",
        seed=given.seed,
        quick=given.quick,
    )


def dispatch(options: Options, verbs: dict[str, Callable[[Options], None]]) -> None:
    """Run the verb on one thread; what the user can put right leaves as one line on stderr and exit code 1."""
    torch.set_num_threads(1)  # figures must not depend on the machine's cores
    try:
        verbs[options.verb](options)
    except (DataMissing, CheckpointMissing) as error:
        raise SystemExit(f"error: {error}") from error
