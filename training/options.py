"""Command line of a recipe: the same four verbs and options for all of them."""

import argparse
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch

from training.checkpoint import CheckpointMissing
from training.data import PROJECT_ROOT, VARIABLE, DataMissing

DEFAULT_RUNS = PROJECT_ROOT / "training" / "runs"
DEFAULT_RESULTS = PROJECT_ROOT / "training" / "results"
DEFAULT_PLOTS = PROJECT_ROOT / "docs" / "recipes"
BUNDLED = PROJECT_ROOT / "streamrnn" / "bundled"


@dataclass(frozen=True)
class Options:
    """What the user asked for.

    Attributes:
        recipe: the module's name under training.recipes.
        verb: train, evaluate, export or demo.
        data: folder of data sets, or None to look for it.
        out: folder of checkpoints and learning curves.
        results: folder of the evaluation file.
        plots: folder of the plot that evaluate draws.
        file: model file that export writes.
        seed: of training.
        quick: a few seconds of everything, for tests; the figures mean nothing.
        model: name of the served model: that of the recipe, with the size where it is not the first.
        size: which of the recipe's nets, or "" where it has one.
        sizes: all of the recipe's nets; the files of the first one have no size in their names.
    """

    recipe: str
    verb: str
    data: Path | None
    out: Path
    results: Path
    plots: Path
    file: Path
    seed: int
    quick: bool
    model: str = ""
    size: str = ""
    sizes: tuple[str, ...] = ()

    @property
    def checkpoint(self) -> Path:
        """Where `train` leaves the net."""
        return self.out / f"{self.recipe}{self._suffix}.pt"

    @property
    def curve(self) -> Path:
        """Where `train` leaves the learning curve."""
        return self.out / f"{self.recipe}{self._suffix}_curve.png"

    @property
    def _suffix(self) -> str:
        first = (*self.sizes, "")[0]
        return "" if self.size == first else f"_{self.size}"

    @property
    def evaluation(self) -> Path:
        """Where `evaluate` writes its figures."""
        return self.results / f"{self.recipe}.json"

    @property
    def plot(self) -> Path:
        """Where `evaluate` draws what it found."""
        return self.plots / f"{self.recipe}.png"

    @property
    def command(self) -> str:
        """The command that repeats this training anywhere: no path of this machine in it."""
        size = f" --size {self.size}" if self._suffix else ""
        quick = " --quick" if self.quick else ""
        return f"python -m training.recipes.{self.recipe} train --seed {self.seed}{size}{quick}"

    def of_size(self, size: str) -> "Options":
        """The same for another of the recipe's nets; `file` stays as it is."""
        return replace(self, size=size)


def parse(
    recipe: str,
    description: str,
    model_name: str,
    arguments: Sequence[str] | None = None,
    *,
    is_bundled: bool = True,
    sizes: Sequence[str] = (),
) -> Options:
    """Read the command line.

    Args:
        recipe: the module's name under training.recipes.
        description: the first lines of --help.
        model_name: name of the model that `export` writes.
        arguments: instead of those of the process.
        is_bundled: `export` writes it by default among the bundled models, else to --out.
        sizes: names of nets to choose from with --size; the first one is taken where nothing is said, and is the one
            that may be bundled: the others' files have the size in their names, and go to --out.

    Raises:
        SystemExit: wrong arguments, or --help.
    """
    parser = argparse.ArgumentParser(
        prog=f"python -m training.recipes.{recipe}",
        description=description,
        epilog="train, then evaluate, export and demo; each reads what training left in --out.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument(
        "verb",
        choices=("train", "evaluate", "export", "demo"),
        help="train: fit the net, leave NAME.pt and the learning curve NAME_curve.png in --out; "
        "evaluate: print model and baseline side by side, write NAME.json and draw a plot; export: write the model "
        "file; demo: serve that file, stream test data through a websocket client and show what comes back",
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
        help=f"model file; default: {'streamrnn/bundled/' if is_bundled else 'in --out, '}{model_name}.safetensors"
        + (", or in --out as for --results" if is_bundled else ""),
    )
    parser.add_argument("--seed", type=int, default=0, help="0 .. 2**32 - 1; default: %(default)s")
    parser.add_argument("--quick", action="store_true", help="a few seconds of everything; the figures mean nothing")
    if sizes:
        parser.add_argument("--size", choices=sizes, default=sizes[0], help="which net; default: %(default)s")
    given = parser.parse_args(arguments)
    if not 0 <= given.seed < 2**32:
        parser.error(f"--seed: expected 0 .. 2**32 - 1, got {given.seed}")
    is_trial = given.quick or given.out != DEFAULT_RUNS
    size = given.size if sizes else ""
    is_first = not sizes or size == sizes[0]
    folder = BUNDLED if is_bundled and is_first and not is_trial else given.out
    model = model_name if is_first else f"{model_name}_{size}"
    return Options(
        recipe=recipe,
        verb=given.verb,
        data=given.data,
        out=given.out,
        results=given.results or (given.out if is_trial else DEFAULT_RESULTS),
        plots=given.out if is_trial else DEFAULT_PLOTS,
        file=given.file or folder / f"{model}.safetensors",
        seed=given.seed,
        quick=given.quick,
        model=model,
        size=size,
        sizes=tuple(sizes),
    )


def dispatch(options: Options, verbs: dict[str, Callable[[Options], None]], n_threads: int = 1) -> None:
    """Run the verb; what the user can put right leaves as one line on stderr and exit code 1.

    Args:
        options: with the verb.
        verbs: what each does.
        n_threads: of PyTorch, 1 or 2; fixed, since figures must not depend on the machine's cores.
    """
    torch.set_num_threads(n_threads)
    try:
        verbs[options.verb](options)
    except (DataMissing, CheckpointMissing) as error:
        raise SystemExit(f"error: {error}") from error
