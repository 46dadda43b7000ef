"""Classifiers of short texts that have no state: n-grams of characters, counted."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray
from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
from sklearn.linear_model import LogisticRegression
from sklearn.naive_bayes import MultinomialNB
from sklearn.pipeline import Pipeline, make_pipeline

LONGEST = 4
"""Characters of an n-gram, from 1; the borders of a text count as characters."""
CLASSIFIERS = ("majority", "naive Bayes", "logistic regression")


def fit_ngrams(kind: str, texts: Sequence[str], labels: NDArray[np.int64]) -> Pipeline:
    """Fit a classifier of n-grams of 1 to 4 characters.

    Args:
        kind: `naive Bayes` (multinomial, counts), or `logistic regression` (tf-idf, classes weighted alike).
        texts: to learn from.
        labels: (n_texts,).
    """
    options = {"analyzer": "char", "ngram_range": (1, LONGEST)}
    if kind == "naive Bayes":
        pipeline = make_pipeline(CountVectorizer(**options), MultinomialNB(alpha=0.03))
    else:
        regression = LogisticRegression(C=5.0, class_weight="balanced", max_iter=200, tol=1e-3)
        pipeline = make_pipeline(TfidfVectorizer(**options, sublinear_tf=True), regression)
    return pipeline.fit([f"^{text}$" for text in texts], labels)


def predict(kind: str, train: Sequence[str], labels: NDArray[np.int64], texts: Sequence[str]) -> NDArray[np.int64]:
    """Fit one of CLASSIFIERS to texts with labels, and give its labels of other texts, (n_texts,)."""
    if kind == "majority":
        return np.full(len(texts), np.bincount(labels).argmax())
    return np.asarray(fit_ngrams(kind, train, labels).predict([f"^{text}$" for text in texts]))
