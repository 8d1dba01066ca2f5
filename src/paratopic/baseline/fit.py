"""Fit the baseline: TF-IDF of words and characters, and logistic regression.

Prediction from the saved folder is for `inference.tfidf_model`, which needs nothing of this module.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pandas as pd
from joblib import Parallel, delayed
from safetensors.numpy import save_file
from scipy import sparse
from sklearn.metrics import f1_score
from threadpoolctl import threadpool_info, threadpool_limits

from paratopic.baseline.settings import Baseline
from paratopic.corpus.folds import ALWAYS_TRAIN, deal
from paratopic.inference.linear_head import ContextWeights, LinearHead, in_context
from paratopic.inference.modes import Array, Features, Integers, Scores, Targets
from paratopic.inference.tfidf_model import (
    BaselineClassifier,
    Keywords,
    TfIdfUnion,
    transform_in_context,
)
from paratopic.project.scripts import is_unspaced
from paratopic.project.texts import Texts
from paratopic.project.topics import Topics
from paratopic.training.calibration import measure
from paratopic.training.examples import (
    Advance,
    Examples,
    Fitted,
    Parity,
    at_most,
    choose_context,
    evidence,
    silent,
)
from paratopic.training.head import Described, fit_heads, regression_of, training_data
from paratopic.training.logistic import Linear
from paratopic.training.subjects import SUBJECTS, are_others

# From this number of texts on, terms that are in one of them only are dropped. They are more than
# half of the terms, and tell next to nothing.
MANY_TEXTS = 2000
# No more texts than this are learnt from. A fit takes 65 MB for each 1,000 texts of 60 words.
MOST_TEXTS = 50_000
# Number of texts whose features are in memory at once while they are predicted.
AT_ONCE = 10_000
# The strength is chosen on no more examples than this. The best one hardly depends on their number:
# on 1,000 and on 8,000 bills it was the same.
MOST_TO_CHOOSE = 2000


@dataclass
class FittedBaseline(Fitted):
    """A trained baseline, as `fit` returns it.

    Its history has one row for each candidate strength: C and its mean log_loss on inner folds. A
    note says so if only some of the texts were learnt from.
    """

    KIND = "baseline"

    _keywords: dict[str, Keywords]
    _union: TfIdfUnion
    _head: LinearHead

    def predict_proba(self, texts: Texts) -> Scores:
        starts = range(0, max(1, len(texts)), AT_ONCE)
        transform = partial(transform_in_context, self._union.transform, context=self.context)
        parts = (transform(texts=texts.of(slice(start, start + AT_ONCE))) for start in starts)
        logits = np.vstack([self._head.logits(features) for features in parts])
        return regression_of(self.topics).scores(logits)

    def write(self, folder: Path) -> tuple[dict[str, object], Parity]:
        """Write terms and weights; answers stay the same."""
        features = self._union.features
        terms = {name: feature.terms for name, feature in features.items()}
        vocabulary, idf, head = BaselineClassifier.FILES
        (folder / vocabulary).write_text(json.dumps(terms, ensure_ascii=False), encoding="utf-8")
        save_file({name: feature.idf for name, feature in features.items()}, folder / idf)
        self._head.save(folder / head)
        return {"features": self._keywords}, {}


def fit(
    examples: Examples, topics: Topics, params: Baseline, seed: int, advance: Advance = silent
) -> FittedBaseline:
    """Fit the baseline, with the strength that is best on inner folds of the examples.

    Of more than `MOST_TEXTS` examples, as many are drawn at random.

    Parameters
    ----------
    advance
        Called with the share of the work done, 0 to 1; reports to nobody by default.
    """
    regression = regression_of(topics)
    n, notes = len(examples.texts), tuple[str, ...]()
    if n > MOST_TEXTS:
        examples = examples.of(at_most(MOST_TEXTS, n, seed))
        notes = (f"learnt from {MOST_TEXTS:,} of {n:,} texts, drawn at random",)
    own, keywords = examples.texts.plain, _keywords(params, examples.texts.plain, topics)
    defining = [*topics.descriptions, *(SUBJECTS if topics.descriptions else ())]
    union, every = TfIdfUnion.fit([*defining, *own], keywords)
    described = _described(every[: len(defining)].toarray(), len(topics.descriptions))
    transform = _known(union, every[len(defining) :], examples.texts)
    prior = described.prior(len(topics.names), regression)
    of_rows = evidence(examples, bool(topics.descriptions))
    usual = sorted(params.strengths)[len(params.strengths) // 2]

    @cache
    def features(read: ContextWeights) -> Features:
        return described.widen(transform_in_context(transform, examples.texts, read))

    def heads(read: ContextWeights, rows: Integers, strengths: Iterable[float]) -> Iterator[Linear]:
        part, matrix = examples.of(rows), features(read)[rows]
        data = training_data(matrix, part, of_rows[rows], regression, usual, prior)
        return fit_heads(data, regression, strengths, prior)

    def scores_of(
        read: ContextWeights, train: Integers, test: Integers, strengths: Iterable[float]
    ) -> Iterator[Scores]:
        for coef, intercept in heads(read, train, strengths):
            yield regression.scores(features(read)[test] @ coef.T + intercept)

    def score(read: ContextWeights, train: Integers, test: Integers) -> Scores:
        return next(scores_of(read, train, test, [usual]))

    with threadpool_limits(1):
        context = choose_context(examples, topics, seed, score, transform)
    scores = partial(scores_of, context)
    strength, history = _choose_strength(examples, topics, scores, params, seed, advance)
    with threadpool_limits(1):
        linear = next(heads(context, np.arange(len(examples.texts)), [strength]))
    advance(1.0)
    return FittedBaseline(history, context, notes, topics, keywords, union, described.head(linear))


def _described(features: Array, n_topics: int) -> Described:
    """What descriptions tell, from the features of those of the topics and of all subjects."""
    of_topics, subjects = np.split(features, [n_topics])
    return Described(of_topics, subjects[are_others(subjects, of_topics)])


def _known(
    union: TfIdfUnion, features: sparse.csr_matrix, texts: Texts
) -> Callable[[Sequence[str]], sparse.csr_matrix]:
    """What looks up features of texts and of those around them, which are computed once.

    Those of the n texts themselves are known.
    """
    own = texts.plain
    every = in_context(texts, ContextWeights(neighbours=1.0, heading=1.0, title=1.0)).texts
    row_of = {text: row for row, text in enumerate(own)}
    others = [text for text in every if text not in row_of]
    row_of |= {text: row for row, text in enumerate(others, start=len(own))}
    if others:
        features = sparse.vstack([features, union.transform(others)], format="csr")
    return lambda texts: features[[row_of[text] for text in texts]]


def _keywords(params: Baseline, texts: Sequence[str], topics: Topics) -> dict[str, Keywords]:
    """Keyword arguments of the TfidfVectorizer of each feature of the texts, for the manifest.

    If most texts have no blanks between words, there are features of characters alone, also of one
    character, which may be a word. Without texts, the topics' descriptions are looked at.
    """
    common: Keywords = {"sublinear_tf": True, "strip_accents": "unicode"}
    if len(texts) >= MANY_TEXTS:
        common["min_df"] = 2
    written = texts or topics.descriptions
    if 2 * sum(map(is_unspaced, written)) > len(written):
        sizes = [1, params.char_ngrams[1]]
        return {"characters": common | {"analyzer": "char_wb", "ngram_range": sizes}}
    return {
        "words": common | {"analyzer": "word", "ngram_range": list(params.word_ngrams)},
        "characters": common | {"analyzer": "char_wb", "ngram_range": list(params.char_ngrams)},
    }


def _choose_strength(
    examples: Examples,
    topics: Topics,
    scores_of: Callable[[Integers, Integers, Iterable[float]], Iterable[Scores]],
    params: Baseline,
    seed: int,
    advance: Advance,
) -> tuple[float, pd.DataFrame]:
    """Find the strength that is best on inner folds; returns the figures of all of them too.

    `scores_of` gives the scores of rows for each strength, by heads that are fitted to other rows.
    Log losses are those after calibration, as later in the pipeline. Of the strengths whose log
    loss is within one standard error of the lowest, the one with the highest macro-F1 is taken: log
    loss alone prefers heads that hardly ever predict a rare topic. A topic in one group only is
    learnt from and not held out. Without others there are no inner folds, and the middle strength
    is taken.
    """
    n_groups = np.array([len(set(examples.groups[has])) for has in examples.targets.T])
    measurable = n_groups > 1
    strengths = sorted(params.strengths)
    history = pd.DataFrame({"C": params.strengths, "log_loss": np.nan})
    if not measurable.any():
        return strengths[len(strengths) // 2], history
    n_folds = min(params.inner_folds, *n_groups[measurable])
    rows = _draw(examples.groups, seed)
    targets, groups = examples.targets[rows], examples.groups[rows]
    dealt = targets[:, measurable].any(axis=1) | ~targets.any(axis=1)
    fold = np.full(len(rows), ALWAYS_TRAIN)
    fold[dealt] = deal(targets[dealt], groups[dealt], n_folds, seed)
    scores = np.zeros((len(strengths), *targets.shape))

    def score(test: npt.NDArray[np.bool_]) -> None:
        of_strengths = scores_of(rows[~test], rows[test], strengths)
        for each, of_test in zip(scores, of_strengths, strict=True):
            each[test] = of_test

    tests = [fold == held_out for held_out in range(n_folds)]
    # Each thread holds copies of the rows.
    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    threads = threads if len(rows) <= MOST_TO_CHOOSE else 1
    parallel = Parallel(threads, prefer="threads", return_as="generator")
    # One thread a fit: it is sparse, and threads that wait for each other make it ten times slower.
    with threadpool_limits(1):
        for done, _ in enumerate(parallel(map(delayed(score), tests)), 1):
            advance(done / (n_folds + 1))
    measures = (_measure(targets[dealt], each[dealt], topics) for each in scores)
    losses, macro_f1 = zip(*measures, strict=True)
    mean = np.mean(losses, axis=1)
    history["log_loss"] = history["C"].map(dict(zip(strengths, mean, strict=True)))
    worse = np.array(losses) - losses[int(mean.argmin())]
    alike = worse.mean(axis=1) <= worse.std(axis=1) / np.sqrt(dealt.sum())
    return strengths[np.lexsort((-mean, macro_f1, alike))[-1]], history


def _measure(targets: Targets, scores: Scores, topics: Topics) -> tuple[Array, float]:
    """Log loss of each row, (n,), after calibration, and macro-F1 of the answers."""
    losses, truth, answers = measure(targets, scores, topics)
    return losses, float(f1_score(truth, answers, average="macro", zero_division=0.0))


def _draw(groups: Integers, seed: int) -> Integers:
    """Draw rows at random, whole groups (n,) of them, `MOST_TO_CHOOSE` rows at most.

    All rows are taken where groups are so big that a draw could miss topics.
    """
    numbers, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes.max() > MOST_TO_CHOOSE / 10:
        return np.arange(len(groups))
    place = np.random.default_rng(seed).permutation(len(numbers))[group]
    return np.flatnonzero((np.cumsum(np.bincount(place)) <= MOST_TO_CHOOSE)[place])
