"""How good translations are: BLEU and chrF of a whole part, each sentence beside all its references.

Source: Papineni et al., "BLEU", ACL 2002; Popovic, "chrF", WMT 2015; computed by sacreBLEU (Post, 2018).
"""

from collections.abc import Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

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
