"""N-grams of surnames: what a generator has to beat, of each language by itself and of all together."""

from __future__ import annotations

from training.sets.names import Surnames
from training.text.line_ngram import LineNGram, bits_per_char

CONTEXTS = (2, 3, 4)
"""Characters that are looked back at; which of them is taken, the validation part says."""


def n_grams_of(surnames: Surnames) -> dict[str, dict[str, LineNGram]]:
    """Count n-grams, of each language by itself and of all; by kind, the n-gram that foretells each language's names.

    How far they look back, the validation part says.
    """
    by_language = {
        language: [name.text for name in surnames.train if name.language == language] for language in surnames.languages
    }
    every = [name.text for name in surnames.train]
    validation = [name.text for name in surnames.validation]
    best = {}
    for kind in ("n-gram of each language", "n-gram of all languages"):
        tried = []
        for context in CONTEXTS:
            if kind == "n-gram of all languages":
                n_grams = dict.fromkeys(surnames.languages, LineNGram(every, surnames.symbols, context))
            else:
                n_grams = {one: LineNGram(by_language[one], surnames.symbols, context) for one in surnames.languages}
            chosen = [n_grams[name.language] for name in surnames.validation]
            tried.append((bits_per_char(chosen, validation), context, n_grams))
        _, context, best[f"{kind}, context of {context}"] = min(tried, key=lambda one: one[0])
    return best
