"""Fit the baseline: TF-IDF of words and characters, and logistic regression.

Prediction from the saved folder is for `inference.baseline`, which needs nothing of this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from safetensors.numpy import save_file
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from threadpoolctl import threadpool_limits

from paratopic.corpus.folds import deal
from paratopic.inference.baseline import BaselineClassifier, LinearHead
from paratopic.inference.folder import Calibration, write_manifest
from paratopic.inference.modes import Mode, mode_of
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.project.files import aside
from paratopic.project.params import Baseline
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Evidence, Examples, evidence, silent
from paratopic.training.head import (
    Features,
    Nearest,
    fit_head,
    prior_of,
    with_nearest,
    without_nearest,
)

# For TF-IDF features, whose rows have length √2: between the lines that fit bills and speeches of
# others, if three of four texts have a topic.
NEAREST = Nearest(slope=7.0, even=0.02)

# Fits coefficients and intercepts to some of the examples with a strength.
_FitRows = Callable[[Integers, float], tuple[Array, Array]]


class FittedBaseline:
    """A trained baseline, as `fit` returns it.

    Attributes
    ----------
    classes_
        Topic names in codebook order, including topics without an example (probability 0).
    history
        One row for each candidate strength: C and its mean log_loss on the inner folds.
    """

    def __init__(
        self,
        topics: Topics,
        features: dict[str, dict[str, Any]],
        union: FeatureUnion,
        head: LinearHead,
        history: pd.DataFrame,
    ) -> None:
        self.classes_ = topics.names
        self.history = history
        self._topics = topics
        self._features = features
        self._union = union
        self._head = head

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Compute probabilities (n, k) of n texts; see `inference.model.Model.predict_proba`."""
        logits = self._head.logits(self._union.transform(texts))
        return mode_of(self._topics.mode).scores(logits)

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write the model's folder: terms, weights and manifest, the same bytes every time.

        Returns
        -------
        An empty dict: the saved model's answers are this one's.
        """
        terms = {}
        scale = np.array(calibration.scale)
        intercept = self._head.intercept * scale + calibration.shift
        weights = {
            "coef": self._head.coef * scale[:, None],
            "slope": self._head.slope * scale,
            "intercept": intercept,
            "descriptions": self._head.descriptions,
        }
        for name, vectoriser in self._union.transformer_list:
            terms[name] = sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)
            weights[f"idf.{name}"] = vectoriser.idf_
        files = vocabulary, tensors = BaselineClassifier.FILES
        with aside(folder) as draft:
            draft.mkdir()
            (draft / vocabulary).write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")
            save_file(weights, draft / tensors)
            settings = {"features": self._features}
            write_manifest(draft, "baseline", self._topics, calibration, settings, files)
        return {}


def fit(
    examples: Examples, topics: Topics, params: Baseline, seed: int, advance: Advance = silent
) -> FittedBaseline:
    """Fit the baseline, with the strength that is best on inner folds of the examples.

    Parameters
    ----------
    examples
        Training examples.
    topics
        The codebook.
    params
        Section baseline of params.yaml.
    seed
        Seed of the inner folds.
    advance
        Called with the share of the work done, 0 to 1; reports to nobody by default.
    """
    features = _features(params)
    union = _union(features)
    descriptions, mode = topics.descriptions, mode_of(topics.mode)
    every = union.fit_transform([*descriptions, *examples.texts]).tocsr()
    described = every[: len(descriptions)].toarray()
    matrix = with_nearest(every[len(descriptions) :], described, NEAREST)
    prior = prior_of(described, len(topics.names))
    # One thread: the work is sparse, and threads that wait for each other make it ten times slower.
    with threadpool_limits(1):
        weights = evidence(examples, topics)
        fit_rows = partial(_fit_rows, matrix, examples, weights, mode, prior)
        strength, history = _choose_strength(
            matrix, examples, mode, fit_rows, params, seed, advance
        )
        coef, intercept = fit_rows(np.arange(len(examples.texts)), strength)
    advance(1.0)
    head = LinearHead(*without_nearest(coef, intercept, NEAREST), described)
    return FittedBaseline(topics, features, union, head, history)


def _features(params: Baseline) -> dict[str, dict[str, Any]]:
    """Keyword arguments of the TfidfVectorizer of each feature, as the manifest stores them."""
    common: dict[str, Any] = {"sublinear_tf": True, "strip_accents": "unicode"}
    return {
        "words": common | {"analyzer": "word", "ngram_range": list(params.word_ngrams)},
        "characters": common | {"analyzer": "char_wb", "ngram_range": list(params.char_ngrams)},
    }


def _union(features: dict[str, dict[str, Any]]) -> FeatureUnion:
    """Unfitted TfidfVectorizers, whose features stand side by side."""
    return FeatureUnion(
        [
            (name, TfidfVectorizer(**keywords | {"ngram_range": tuple(keywords["ngram_range"])}))
            for name, keywords in features.items()
        ]
    )


def _fit_rows(
    matrix: Features,
    examples: Examples,
    weights: Evidence,
    mode: Mode,
    prior: Array,
    rows: Integers,
    strength: float,
) -> tuple[Array, Array]:
    """Coefficients and intercepts of a head that is fitted to some of the examples."""
    chosen = Evidence(weights.which[rows], weights.any[rows])
    return fit_head(matrix[rows], examples.targets[rows], chosen, mode, strength, prior)


def _choose_strength(
    matrix: Features,
    examples: Examples,
    mode: Mode,
    fit_rows: _FitRows,
    params: Baseline,
    seed: int,
    advance: Advance,
) -> tuple[float, pd.DataFrame]:
    """Find the strength with the lowest mean log loss on inner folds; returns the losses too.

    If a topic occurs in one group only, there are no inner folds and the middle strength is taken.
    """
    rows = np.flatnonzero(mode.informative(examples.targets))
    targets, groups = examples.targets[rows], examples.groups[rows]
    fewest = min((len(set(groups[has])) for has in targets.T if has.any()), default=0)
    n_folds = min(params.inner_folds, fewest)
    history = pd.DataFrame({"C": params.strengths, "log_loss": np.nan})
    if n_folds < 2:
        return sorted(params.strengths)[len(params.strengths) // 2], history
    fold = deal(targets, groups, n_folds, seed)
    for number, strength in enumerate(params.strengths):
        losses = []
        for held_out in range(n_folds):
            coef, intercept = fit_rows(rows[fold != held_out], strength)
            test = rows[fold == held_out]
            scores = mode.comparable(mode.scores(matrix[test] @ coef.T + intercept))
            losses.append(mode.losses(examples.targets[test], scores))
        history.loc[number, "log_loss"] = np.concatenate(losses).mean()
        advance((number + 1) / (len(params.strengths) + 1))
    return params.strengths[int(history["log_loss"].argmin())], history
