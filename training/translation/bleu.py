"""How good translations are: BLEU and chrF of a whole part, each sentence beside all its references.

Source: Papineni et al., "BLEU", ACL 2002; Popovic, "chrF", WMT 2015; computed by sacreBLEU (Post, 2018); how sure a
gain is, Koehn, "Statistical significance tests for machine translation evaluation", EMNLP 2004 (paired bootstrap).
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

import numpy as np
import sacrebleu


class Scores(NamedTuple):
    """Both 0 .. 100, higher is better."""

    bleu: float
    chrf: float


def scores_of(translations: Sequence[str], references: Sequence[Sequence[str]]) -> Scores:
    """Score translations, each beside one or more references; texts are lower case already."""
    streams: list[Any] = [list(stream) for stream in zip_longest(*references)]  # None where a sentence has fewer
    bleu, chrf = sacrebleu.corpus_bleu(translations, streams), sacrebleu.corpus_chrf(translations, streams)
    return Scores(float(bleu.score), float(chrf.score))


def gain_error(
    ours: Sequence[str], theirs: Sequence[str], references: Sequence[Sequence[str]], seed: int, n_draws: int = 100
) -> Scores:
    """Standard error of what `ours` gains on `theirs`: its deviation over draws of as many sentences, with repeats.

    Args:
        ours, theirs: translations of the same sentences.
        references: of each.
        seed: of the draws.
        n_draws: how many, at least 2.
    """
    rng = np.random.default_rng(seed)
    gains = []
    for _ in range(n_draws):
        drawn = rng.integers(0, len(references), len(references))
        chosen = [references[i] for i in drawn]
        better, base = (scores_of([texts[i] for i in drawn], chosen) for texts in (ours, theirs))
        gains.append([better.bleu - base.bleu, better.chrf - base.chrf])
    bleu, chrf = np.std(gains, axis=0, ddof=1)
    return Scores(float(bleu), float(chrf))
