"""Who speaks: the speaker among those of the training, after each 10 ms of speech, and an embedding for strangers.

A GRU, a gate that weighs frames, and a running mean, which is what the session remembers. Three trials: six speakers of
FSDD from samples of 8 kHz (this net is served), each of the six as a stranger who enrols with 10 s of speech, and 74
speakers of AN4 from its cepstra, with pairs of 10 speakers that no training saw.

  python -m training.recipes.speaker_id train       about 5 minutes on one core
  python -m training.recipes.speaker_id evaluate    the table, training/results/speaker_id.json, docs/recipes/speaker_id.png
  python -m training.recipes.speaker_id export      training/runs/speaker_id.safetensors
  python -m training.recipes.speaker_id demo        test speakers in turn through the server, each second's answer
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from typing import Any

from torch import nn

from training.checkpoint import Checkpoint
from training.curves import plot_history
from training.data import data_folder
from training.fit import EpochSource, History
from training.options import Options, dispatch, parse
from training.seeding import seed_everything
from training.sets.an4 import AN4, an4_utterances, by_speaker
from training.sets.fsdd import FSDD
from training.soundtrack import Word
from training.speaker_fit import FRONTEND, PIECE_FRAMES, digits_by_speaker, fit_speakers
from training.speaker_net import SpeakerNet
from training.speaker_pieces import CutPieces, SpokenPieces

NAME = "speaker_id"
MODEL = "speaker_id"
DATA = (FSDD, AN4)
MAX_EPOCHS, MAX_STRANGER_EPOCHS, MAX_AN4_EPOCHS = 40, 15, 60
N_LANES = 48


def spoken(words: Mapping[str, Sequence[Word]], options: Options, n_pieces: int, seed: int) -> EpochSource:
    """Pieces of digits."""
    n_lanes, n_pieces = (4, 1) if options.quick else (N_LANES, n_pieces)
    return SpokenPieces(words, FRONTEND, seed, n_lanes, n_pieces, PIECE_FRAMES)


def fit_an4(options: Options) -> tuple[SpeakerNet, dict[str, Any], History]:
    """Train on the 74 speakers of AN4."""
    parts = by_speaker(an4_utterances(data_folder(AN4, options.data), "train"))
    pieces = []
    for part, n_pieces in (("train", 12), ("validation", 4)):
        utterances: dict[str, list[Any]] = {}
        for one in parts[part]:
            utterances.setdefault(one.speaker, []).append(one.features)
        n_lanes = 4 if options.quick else N_LANES
        pieces.append(CutPieces(utterances, options.seed + len(pieces), n_lanes, n_pieces, PIECE_FRAMES))
    return fit_speakers(*pieces, len(pieces[0].speakers), options, MAX_AN4_EPOCHS)


def train(options: Options) -> None:
    """Fit all nets and leave them, with the learning curve of the served one, in the output folder."""
    began_s = time.perf_counter()
    seed_everything(options.seed)
    folder = data_folder(FSDD, options.data)
    words, others = digits_by_speaker(folder, "train"), digits_by_speaker(folder, "validation")
    nets, arguments, histories = nn.ModuleDict(), {}, {}
    for stranger in ("", *sorted(words)):
        known, known_others = ({who: own for who, own in part.items() if who != stranger} for part in (words, others))
        name = f"without_{stranger}" if stranger else "fsdd"
        pieces = spoken(known, options, 8, options.seed), spoken(known_others, options, 4, options.seed + 1)
        epochs = MAX_STRANGER_EPOCHS if stranger else MAX_EPOCHS
        nets[name], arguments[name], histories[name] = fit_speakers(*pieces, len(known), options, epochs)
    nets["an4"], arguments["an4"], histories["an4"] = fit_an4(options)
    taken_s = time.perf_counter() - began_s
    figures = {f"{name}_validation_loss": one.validation_loss[one.best_epoch] for name, one in histories.items()}
    checkpoint = Checkpoint(
        nets.state_dict(), arguments, options.seed, options.command, histories["fsdd"], figures, train_s=taken_s
    )
    checkpoint.save(options.checkpoint)
    plot_history(histories["fsdd"], options.curve, NAME, "-log p of the speaker (training: with dropout)")
    print(f"{len(histories)} nets in {taken_s:.0f} s: {figures}")


def main(arguments: Sequence[str] | None = None) -> None:
    """Run the verb given on the command line."""
    options = parse(NAME, __doc__ or "", MODEL, arguments, is_bundled=False)
    dispatch(options, {"train": train})


if __name__ == "__main__":
    main()
