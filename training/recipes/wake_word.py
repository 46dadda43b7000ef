"""A wake word: the probability that "alexa" has just been said, 50 times a second.

Samples of 16 kHz in; log mel energies, a causal convolution and two layers of GRU, all in the model. Trained on the
recordings of many people over noise, beside other wake words, commands and digits, mixed anew each epoch. Judged by
misses against false alarms an hour, at a threshold that validation chose.

  python -m training.recipes.wake_word train       about 6 minutes on one core
  python -m training.recipes.wake_word evaluate    the table, training/results/wake_word.json, docs/recipes/wake_word.png
  python -m training.recipes.wake_word export      training/runs/wake_word.safetensors
  python -m training.recipes.wake_word demo        test recordings through the server, event by event
"""

from __future__ import annotations

from collections.abc import Sequence

from training.options import Options, dispatch, parse
from training.seeding import seed_everything
from training.sets.fsdd import FSDD
from training.sets.speech_commands import SPEECH_COMMANDS
from training.sets.wakeword import WAKEWORD
from training.spotter_fit import fit_spotter
from training.wake_words import material_of

NAME = "wake_word"
MODEL = "wake_word"
DATA = (WAKEWORD, SPEECH_COMMANDS, FSDD)
MAX_EPOCHS = 130


def train(options: Options) -> None:
    """Fit the net and leave it, with its learning curve, in the output folder."""
    seed_everything(options.seed)
    fit_spotter(material_of(options, "train", True), material_of(options, "validation"), options, MAX_EPOCHS)


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train})


if __name__ == "__main__":
    main()
