"""Sentences of words that training has seen, and the others: the difference between remembering and spelling."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")  # a file, never a window: training runs on machines without a screen

import numpy as np
from matplotlib import pyplot

from training.sets.tatoeba import Sentence
from training.translation.bleu import Scores, scores_of
from training.translation.pieces import words_of

SEEN, UNSEEN = "every word seen in training", "with an unseen word"


def scores_by_words(
    said: Mapping[str, Sequence[str]], sentences: Sequence[Sentence], trained_on: Iterable[str]
) -> dict[str, dict[str, Any]]:
    """Scores of each system on sentences whose words were all seen, and on the others; a part without any is left out.

    Args:
        said: translations of all sentences, by system.
        sentences: with their references.
        trained_on: source sides of the training part.
    """
    known = {word for text in trained_on for word in words_of(text)}
    parts: dict[str, list[int]] = {SEEN: [], UNSEEN: []}
    for i, sentence in enumerate(sentences):
        parts[SEEN if known.issuperset(words_of(sentence.english)) else UNSEEN].append(i)
    found: dict[str, dict[str, Any]] = {}
    for name, places in parts.items():
        if places:
            references = [sentences[i].french for i in places]
            systems = {who: scores_of([texts[i] for i in places], references)._asdict() for who, texts in said.items()}
            found[name] = {"n_sentences": len(places), **systems}
    return found


def draw(by_words: Mapping[str, Mapping[str, Any]], path: Path, title: str) -> None:
    """Draw what `scores_by_words` found as bars into a PNG file at `path`."""
    figure, both = pyplot.subplots(1, 2, figsize=(9, 3.8), layout="constrained", sharey=True)
    groups = [f"{name}\n({found['n_sentences']} sentences)" for name, found in by_words.items()]
    systems = [system for system in next(iter(by_words.values())) if system != "n_sentences"]
    for axes, field, metric in zip(both, Scores._fields, ("BLEU", "chrF"), strict=True):
        for i, system in enumerate(systems):
            places = np.arange(len(groups)) + 0.27 * (i - (len(systems) - 1) / 2)
            bars = axes.bar(places, [found[system][field] for found in by_words.values()], 0.25, label=system)
            axes.bar_label(bars, fmt="%.1f", fontsize=8)
        axes.margins(y=0.1)
        axes.set_xticks(range(len(groups)), groups)
        axes.set(title=metric, ylabel=f"{metric} (0 to 100, higher is better)")
    both[0].legend()
    figure.suptitle(title)
    figure.savefig(path, dpi=110)
    pyplot.close(figure)
