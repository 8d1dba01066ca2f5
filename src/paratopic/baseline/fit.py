"""The baseline: TF-IDF of words and characters, and logistic regression.

It fits and saves. Prediction from the saved folder is `classifier.BaselineClassifier`, which
needs none of this.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.numpy import save_file
from scipy import sparse
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.pipeline import FeatureUnion
from threadpoolctl import threadpool_limits

from paratopic.corpus.folds import deal
from paratopic.inference.baseline import BaselineClassifier
from paratopic.inference.folder import Calibration, write_manifest
from paratopic.inference.scores import (
    Array,
    Integers,
    Scores,
    binary_log_losses,
    conditional,
    log_losses,
    topic_probabilities,
    topical,
)
from paratopic.project.files import aside
from paratopic.project.params import Baseline
from paratopic.project.topics import Topics
from paratopic.training.examples import Advance, Examples, evidence
from paratopic.training.head import PRIOR_SCALE, head


class FittedBaseline:
    """A trained baseline; what `fit` returns.

    Attributes
    ----------
    classes_
        Topic names in codebook order, also those without a training example (probability 0).
    history
        One row a candidate strength: C and its mean log_loss on the inner folds.
    """

    def __init__(
        self,
        topics: Topics,
        features: dict[str, dict[str, Any]],
        union: FeatureUnion,
        coef: npt.NDArray[np.float64],
        intercept: npt.NDArray[np.float64],
        history: pd.DataFrame,
    ) -> None:
        self.classes_ = topics.names
        self.history = history
        self._topics = topics
        self._features = features
        self._union = union
        self._coef, self._intercept = coef, intercept

    def predict_proba(self, texts: Sequence[str]) -> Scores:
        """Probabilities, (n texts, k topics); see `classifier.Model.predict_proba`."""
        logits = self._union.transform(texts) @ self._coef.T + self._intercept
        return topic_probabilities(logits, self._topics.mode)

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write the model's folder: terms, weights and manifest, the same bytes every time."""
        terms = {}
        scale = np.array(calibration.scale)
        intercept = self._intercept * scale + calibration.shift
        weights = {"coef": self._coef * scale[:, None], "intercept": intercept}
        for name, vectoriser in self._union.transformer_list:
            terms[name] = sorted(vectoriser.vocabulary_, key=vectoriser.vocabulary_.__getitem__)
            weights[f"idf.{name}"] = vectoriser.idf_
        vocabulary, tensors = BaselineClassifier.FILES
        with aside(folder) as draft:
            draft.mkdir()
            (draft / vocabulary).write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")
            save_file(weights, draft / tensors)
            settings = {"features": self._features}
            files = BaselineClassifier.FILES
            write_manifest(draft, "baseline", self._topics, calibration, settings, files)
        return {}


def fit(
    examples: Examples, topics: Topics, params: Baseline, seed: int, advance: Advance
) -> FittedBaseline:
    """Fit the baseline, its strength chosen on inner folds of these examples only.

    Parameters
    ----------
    examples
        Texts, class numbers and groups.
    topics
        The codebook.
    params
        Section baseline of params.yaml.
    seed
        Of the inner folds.
    advance
        Told the share of the work done, 0 to 1.
    """
    common: dict[str, Any] = {"sublinear_tf": True, "strip_accents": "unicode"}
    features = {
        "words": common | {"analyzer": "word", "ngram_range": list(params.word_ngrams)},
        "characters": common | {"analyzer": "char_wb", "ngram_range": list(params.char_ngrams)},
    }
    union = FeatureUnion(
        [
            (name, TfidfVectorizer(**keywords | {"ngram_range": tuple(keywords["ngram_range"])}))
            for name, keywords in features.items()
        ]
    )
    described = topics.descriptions
    every = union.fit_transform([*described, *examples.texts]).tocsr()
    prior = np.zeros((len(topics.names), every.shape[1]))
    if described:
        prior = PRIOR_SCALE * every[: len(described)].toarray()
    every = every[len(described) :]
    # One thread: the work is sparse, and idle threads that wait for each other cost tenfold.
    with threadpool_limits(1):
        fit_head = partial(_head, every, examples, evidence(examples, topics), topics, prior)
        strength, history = _choose(every, examples, topics, fit_head, params, seed, advance)
        coef, intercept = fit_head(np.arange(len(examples.texts)), strength)
    advance(1.0)
    return FittedBaseline(topics, features, union, coef, intercept, history)


def _head(
    matrix: sparse.csr_matrix,
    examples: Examples,
    counts: Array,
    topics: Topics,
    prior: Array,
    rows: Integers,
    strength: float,
) -> tuple[Array, Array]:
    """Coefficients and intercepts that some of the examples give."""
    whole = np.ones(len(rows))
    some = matrix[rows], examples.targets[rows], counts[rows], whole
    return head(*some, topics.mode, strength, prior)


def _choose(
    matrix: sparse.csr_matrix,
    examples: Examples,
    topics: Topics,
    fit_head: Callable[[Integers, float], tuple[Array, Array]],
    params: Baseline,
    seed: int,
    advance: Advance,
) -> tuple[float, pd.DataFrame]:
    """The strength with the lowest mean log loss on inner folds, and the losses of all.

    Where a topic is in one unit only there is nothing to choose by: the middle strength stands.
    """
    rows = np.arange(len(examples.texts))
    if topics.mode == "single":
        rows = np.flatnonzero(topical(examples.targets))
    targets, groups = examples.targets[rows], examples.groups[rows]
    units = min((len(set(groups[has])) for has in targets.T if has.any()), default=0)
    n_folds = min(params.inner_folds, units)
    history = pd.DataFrame({"C": params.strengths, "log_loss": np.nan})
    if n_folds < 2:
        return sorted(params.strengths)[len(params.strengths) // 2], history
    fold = deal(targets, groups, n_folds, seed)
    for number, strength in enumerate(params.strengths):
        losses = []
        for held_out in range(n_folds):
            coef, intercept = fit_head(rows[fold != held_out], strength)
            test = rows[fold == held_out]
            scores = topic_probabilities(matrix[test] @ coef.T + intercept, topics.mode)
            if topics.mode == "single":
                losses.append(log_losses(examples.labels[test], conditional(scores)))
            else:
                losses.append(binary_log_losses(examples.targets[test], scores))
        history.loc[number, "log_loss"] = np.concatenate(losses).mean()
        advance((number + 1) / (len(params.strengths) + 1))
    return params.strengths[int(history["log_loss"].argmin())], history
