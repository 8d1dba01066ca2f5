"""The baseline: TF-IDF of words and characters, and logistic regression.

It fits and saves. Prediction from the saved folder is `classifier.BaselineClassifier`, which
needs none of this.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd
from safetensors.numpy import save_file
from scipy import sparse
from scipy.special import softmax
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.model_selection import StratifiedGroupKFold
from sklearn.pipeline import FeatureUnion
from threadpoolctl import threadpool_limits

from paratopic.classifier import (
    BaselineClassifier,
    Calibration,
    Scores,
    probabilities,
    write_manifest,
)
from paratopic.files import aside
from paratopic.metrics import Array, log_losses
from paratopic.params import Baseline
from paratopic.topics import Topics
from paratopic.training import (
    PRIOR_SCALE,
    Advance,
    Examples,
    balanced,
    evidence,
    logistic,
    topical,
)


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
        """Probabilities, (n texts, k topics); a row sums to that of having a topic at all."""
        logits = self._union.transform(texts) @ self._coef.T + self._intercept
        return probabilities(logits)[:, :-1]

    def save(self, folder: Path, calibration: Calibration) -> dict[str, float]:
        """Write the model's folder: terms, weights and manifest, the same bytes every time."""
        terms = {}
        by = np.full(len(self._coef), calibration.temperature)
        by[-1] = calibration.topical_temperature
        weights = {"coef": self._coef / by[:, None], "intercept": self._intercept / by}
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
    labels, matrix, examples = examples.labels, every[examples.labels >= 0], examples.topical()
    # One thread: the work is sparse, and idle threads that wait for each other cost tenfold.
    with threadpool_limits(1):
        counts = evidence(examples, topics)
        strength, history = _choose(matrix, examples, counts, prior, params, seed, advance)
        weights = balanced(examples.labels, counts)
        coef, intercept = logistic(matrix, examples.labels, weights, strength, prior)
        some, level = topical(every, labels, np.ones(len(labels)), strength)
    advance(1.0)
    coef, intercept = np.vstack([coef, some]), np.append(intercept, level)
    return FittedBaseline(topics, features, union, coef, intercept, history)


def _choose(
    matrix: sparse.csr_matrix,
    examples: Examples,
    counts: Array,
    prior: Array,
    params: Baseline,
    seed: int,
    advance: Advance,
) -> tuple[float, pd.DataFrame]:
    """The strength with the lowest mean log loss on inner folds, and the losses of all.

    Where a topic is in one unit only there is nothing to choose by: the middle strength stands.
    """
    labels, groups = examples.labels, examples.groups
    units = min((len(set(groups[labels == label])) for label in set(labels)), default=0)
    n_folds = min(params.inner_folds, units)
    history = pd.DataFrame({"C": params.strengths, "log_loss": np.nan})
    if n_folds < 2:
        return sorted(params.strengths)[len(params.strengths) // 2], history
    splitter = StratifiedGroupKFold(n_folds, shuffle=True, random_state=seed)
    inner = list(splitter.split(labels, labels, groups))
    for number, strength in enumerate(params.strengths):
        losses = []
        for train, test in inner:
            weights = balanced(labels[train], counts[train])
            model = logistic(matrix[train], labels[train], weights, strength, prior)
            scores = softmax(matrix[test] @ model[0].T + model[1], axis=1)
            losses.append(log_losses(labels[test], scores))
        history.loc[number, "log_loss"] = np.concatenate(losses).mean()
        advance((number + 1) / (len(params.strengths) + 1))
    return params.strengths[int(history["log_loss"].argmin())], history
