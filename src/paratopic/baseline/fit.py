"""Fit the baseline: TF-IDF of words and characters, and logistic regression.

`inference.tfidf_model` predicts from the saved folder, without this module.
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

from paratopic.baseline.settings import FITTING, Baseline
from paratopic.corpus.folds import ALWAYS_TRAIN, deal
from paratopic.inference.linear_head import ContextWeights, LinearHead, weigh_texts
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
    choose_context,
    draw_at_most,
    evidence,
    silent,
)
from paratopic.training.head import SUBJECTS, Described, fit_heads, regression_of, training_data
from paratopic.training.logistic import Linear

# A fit to more texts uses as many at random. It takes 65 MB for each 1,000 texts of 60 words.
MOST_TEXTS = 50_000
# Number of texts whose features are in memory at the same time while they are predicted.
TEXTS_AT_A_TIME = 10_000


@dataclass
class FittedBaseline(Fitted):
    """A trained baseline, as `fit` returns it.

    Its history has one row for each candidate strength: C and its mean log_loss on inner folds. It
    has a note if it was fitted to a part of the texts.
    """

    KIND = "baseline"

    _keywords: dict[str, Keywords]
    _union: TfIdfUnion
    _head: LinearHead

    def predict_proba(self, texts: Texts) -> Scores:
        starts = range(0, max(1, len(texts)), TEXTS_AT_A_TIME)
        parts = (texts.select(slice(start, start + TEXTS_AT_A_TIME)) for start in starts)
        transform = partial(transform_in_context, self._union.transform, context=self.context)
        logits = np.vstack([self._head.logits(transform(part)) for part in parts])
        return regression_of(self.topics).scores(logits)

    def write(self, folder: Path) -> tuple[dict[str, object], Parity]:
        """Write terms, IDF and head; return settings, {"features": keywords}, and no parity, {}."""
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
    """Fit TF-IDF, context weights, a strength (`_choose_strength`), and a head to the examples.

    The prior of the head is the topics' descriptions, which alone decide if there are no examples.
    The pool has no effect. A fit to more than `MOST_TEXTS` uses that many at random, with a note.
    `advance` is called with the share of the work done, 0 to 1; by default, it does nothing.
    """
    regression = regression_of(topics)
    n, notes = len(examples.texts), tuple[str, ...]()
    if n > MOST_TEXTS:
        examples = examples.select(draw_at_most(MOST_TEXTS, n, seed))
        notes = (f"learnt from {MOST_TEXTS:,} of {n:,} texts, drawn at random",)
    texts, keywords = examples.texts.plain, _keywords(params, examples.texts.plain, topics)
    descriptions = [*topics.descriptions, *(SUBJECTS if topics.descriptions else ())]
    union, matrix = TfIdfUnion.fit([*descriptions, *texts], keywords)
    described = Described.make(matrix[: len(descriptions)].toarray(), len(topics.descriptions))
    transform = _cached_transform(union, matrix[len(descriptions) :], examples.texts)
    prior = described.prior(len(topics.names), regression)
    weights = evidence(examples, bool(topics.descriptions))
    middle = sorted(params.strengths)[len(params.strengths) // 2]

    @cache
    def features(context: ContextWeights) -> Features:
        return described.widen(transform_in_context(transform, examples.texts, context))

    def heads(context: ContextWeights, rows: Integers, path: Iterable[float]) -> Iterator[Linear]:
        part, selected = examples.select(rows), features(context)[rows]
        data = training_data(selected, part, weights[rows], regression, middle, prior)
        return fit_heads(data, regression, path, prior)

    def path_scores(
        context: ContextWeights, train: Integers, test: Integers, strengths: Iterable[float]
    ) -> Iterator[Scores]:
        for coef, intercept in heads(context, train, strengths):
            yield regression.scores(features(context)[test] @ coef.T + intercept)

    def middle_scores(context: ContextWeights, train: Integers, test: Integers) -> Scores:
        return next(path_scores(context, train, test, [middle]))

    with threadpool_limits(1):
        context = choose_context(examples, topics, seed, middle_scores, transform)
    scores = partial(path_scores, context)
    strength, history = _choose_strength(examples, topics, scores, params, seed, advance)
    with threadpool_limits(1):
        linear = next(heads(context, np.arange(len(examples.texts)), [strength]))
    advance(1.0)
    return FittedBaseline(history, context, notes, topics, keywords, union, described.head(linear))


def _cached_transform(
    union: TfIdfUnion, features: sparse.csr_matrix, texts: Texts
) -> Callable[[Sequence[str]], sparse.csr_matrix]:
    """Make a function from m texts to their features, (m, d), which it looks up.

    It knows `texts`, whose `features` are given, (n, d), and their context; others are a KeyError.
    """
    rows = {text: row for row, text in enumerate(texts.plain)}
    context = weigh_texts(texts, ContextWeights(neighbours=1.0, heading=1.0, title=1.0)).texts
    others = [text for text in context if text not in rows]
    rows |= {text: row for row, text in enumerate(others, start=len(texts))}
    if others:
        features = sparse.vstack([features, union.transform(others)], format="csr")
    return lambda texts: features[[rows[text] for text in texts]]


def _keywords(params: Baseline, texts: Sequence[str], topics: Topics) -> dict[str, Keywords]:
    """Name of a feature, words or characters → keyword arguments of its TfidfVectorizer.

    Only characters is there, from single ones on, if most texts have no blanks between words;
    without texts, descriptions decide. From `FITTING.least_texts_to_drop_terms` on, min_df is 2.
    """
    common: Keywords = {"sublinear_tf": True, "strip_accents": "unicode"}
    if len(texts) >= FITTING.least_texts_to_drop_terms:
        common["min_df"] = 2
    deciding = texts or topics.descriptions
    if 2 * sum(map(is_unspaced, deciding)) > len(deciding):
        sizes = [1, params.char_ngrams[1]]
        return {"characters": common | {"analyzer": "char_wb", "ngram_range": sizes}}
    return {
        "words": common | {"analyzer": "word", "ngram_range": list(params.word_ngrams)},
        "characters": common | {"analyzer": "char_wb", "ngram_range": list(params.char_ngrams)},
    }


def _choose_strength(
    examples: Examples,
    topics: Topics,
    path_scores: Callable[[Integers, Integers, Iterable[float]], Iterable[Scores]],
    params: Baseline,
    seed: int,
    advance: Advance,
) -> tuple[float, pd.DataFrame]:
    """Find the best strength on inner folds, and a table of `params.strengths`: C and log_loss.

    `path_scores(train, test, strengths)` yields the scores of examples `test` for each strength, by
    a head fitted to `train`, both row numbers. `_draw` chooses the examples that are used. Log
    losses are means after calibration. Among the strengths whose loss is within one standard error
    of the lowest, the one with the highest macro-F1 is best, the lower loss among equals: the
    lowest loss often belongs to a head that hardly ever predicts a rare topic. A topic in one group
    only is not held out. Without other topics, the middle strength is best, with losses of NaN.

    In mode multi it is always the middle one. There, thresholds and shifts are fitted to scores of
    other folds, and suit the final model only if its logits have the same level. This depends
    on the strength, and with few labels folds often choose another one than the final model.
    """
    n_groups = np.array([len(set(examples.groups[rows])) for rows in examples.targets.T])
    measurable = n_groups > 1
    strengths = sorted(params.strengths)
    history = pd.DataFrame({"C": params.strengths, "log_loss": np.nan})
    if not (measurable.any() and regression_of(topics).exclusive):
        return strengths[len(strengths) // 2], history
    n_folds = min(params.inner_folds, *n_groups[measurable])
    rows = _draw(examples.groups, seed)
    targets, groups = examples.targets[rows], examples.groups[rows]
    dealt = targets[:, measurable].any(axis=1) | ~targets.any(axis=1)
    fold = np.full(len(rows), ALWAYS_TRAIN)
    fold[dealt] = deal(targets[dealt], groups[dealt], n_folds, seed)
    scores = np.zeros((len(strengths), *targets.shape))

    def score_fold(test: npt.NDArray[np.bool_]) -> None:
        fold_scores = path_scores(rows[~test], rows[test], strengths)
        for strength_scores, test_scores in zip(scores, fold_scores, strict=True):
            strength_scores[test] = test_scores

    tests = [fold == held_out for held_out in range(n_folds)]
    # Many rows are scored in one thread, because each thread holds copies of the rows.
    threads = max((pool["num_threads"] for pool in threadpool_info()), default=1)
    threads = threads if len(rows) <= FITTING.most_to_choose else 1
    parallel = Parallel(threads, prefer="threads", return_as="generator")
    # A sparse fit takes ten times longer with threads that wait for each other.
    with threadpool_limits(1):
        for done, _ in enumerate(parallel(map(delayed(score_fold), tests)), 1):
            advance(done / (n_folds + 1))
    measures = [_losses_and_macro_f1(targets[dealt], part[dealt], topics) for part in scores]
    losses = np.array([log_losses for log_losses, _ in measures])
    macro_f1 = [f1 for _, f1 in measures]
    mean = np.mean(losses, axis=1)
    history["log_loss"] = history["C"].map(dict(zip(strengths, mean, strict=True)))
    excess = losses - losses[int(mean.argmin())]
    is_near_best = excess.mean(axis=1) <= excess.std(axis=1) / np.sqrt(dealt.sum())
    return strengths[np.lexsort((-mean, macro_f1, is_near_best))[-1]], history


def _losses_and_macro_f1(targets: Targets, scores: Scores, topics: Topics) -> tuple[Array, float]:
    """Log loss of each row, (n,), after calibration, and macro-F1 of the predictions."""
    losses, truth, predicted = measure(targets, scores, topics)
    return losses, float(f1_score(truth, predicted, average="macro", zero_division=0.0))


def _draw(groups: Integers, seed: int) -> Integers:
    """Numbers of the rows of random whole groups, at most `FITTING.most_to_choose`, in their order.

    The result is all rows if a group has more than a tenth of this, as a draw could miss topics.
    """
    numbers, group, sizes = np.unique(groups, return_inverse=True, return_counts=True)
    if sizes.max() > FITTING.most_to_choose / 10:
        return np.arange(len(groups))
    order = np.random.default_rng(seed).permutation(len(numbers))[group]
    return np.flatnonzero((np.cumsum(np.bincount(order)) <= FITTING.most_to_choose)[order])
