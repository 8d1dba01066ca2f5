"""Evaluation and shares of any classifier from arrays, by the functions that the pipeline calls.

This module converts arrays to the tables of the stages. It reads and writes no files.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from paratopic.corpus.folds import ALWAYS_TRAIN
from paratopic.corpus.labelled import Labelled, labelled_rows, with_labels, with_sample
from paratopic.evaluation import comparison as models
from paratopic.findings.groups import Findings, find_shares
from paratopic.findings.population import TablePredictor, check_probabilities, corpus_of
from paratopic.project.params import Compare, Evaluate
from paratopic.project.topics import Topics


def evaluate(
    truth: ArrayLike,
    probabilities: ArrayLike | Mapping[str, ArrayLike],
    groups: ArrayLike | None = None,
    weights: ArrayLike | None = None,
    *,
    classes: Sequence[Hashable] | None = None,
    none: Hashable = None,
    folds: ArrayLike | None = None,
    thresholds: Mapping[str, ArrayLike] | None = None,
    confidence: float = 0.95,
    random_state: int = 0,
) -> models.Comparison:
    """Measure classifiers on n labelled texts, with intervals, and compare them in pairs.

    Parameters
    ----------
    truth
        (n,) labels, or (n, k) zeros and ones if a text can have several topics.
    probabilities
        (n, k) array or DataFrame, 0 to 1, or (r, n, k) for r repeats of cross-validation. The model
        must not have been trained on texts of the same group. Rows sum to 1, unless a text can have
        several topics. A dict has the probabilities of several models by name, the simplest first.
    groups
        (n,) article of each text; whole articles are resampled. By default, each text is its own.
    weights
        (n,) relative number of texts of the corpus that each text stands for, 0 if it was not drawn
        at random. Weights are used if 20 or more are above 0. By default, all texts have the same.
    classes
        Labels in the order of the columns, (k,). By default, the columns of the DataFrame.
    none
        Label of texts with none of the topics. Without a column of its own, its probability is 1
        minus the others. None, the default, if there are no such texts.
    folds
        (n,) or (r, n) number of the fold that held out each text. Intervals are then for a model
        that is trained on all texts. None, the default, for models trained on none of the texts.
    thresholds
        Name of a model ("model" for one array) → thresholds of the topics, (k,) or an array like
        its probabilities, without `none`, as in `Model.calibration`. By default, the most probable
        class is predicted or, if a text can have several, each topic with at least 0.5.
    confidence, random_state
        Confidence of the intervals, 0.95 by default, and seed of resampling, 0 by default.

    Returns
    -------
    A comparison with figures, 0 to 1, in `models` (model → metric → estimate), `topics` (model →
    topic → metric → estimate) and `differences` ("A - B" → macro-F1 of A minus that of B), and the
    name of the best model in `champion`. A single array is called "model". The model "dummy" always
    predicts the most frequent class, or all topics if a text can have several.

    Raises
    ------
    ValueError, UserError
        Lengths differ, values are no probabilities, a label is unknown or missing, no text has a
        topic, or all texts are of one group.

    Examples
    --------
    >>> truth = ["trade", "trade", "security"] * 10
    >>> probabilities = [[0.8, 0.2], [0.4, 0.6], [0.3, 0.7]] * 10
    >>> comparison = evaluate(truth, probabilities, classes=["trade", "security"])
    >>> round(comparison.models["model"]["answer_accuracy"].value, 3)
    0.667
    """
    arrays = probabilities if isinstance(probabilities, Mapping) else {"model": probabilities}
    if models.DUMMY in arrays:
        raise ValueError(f"probabilities: {models.DUMMY} is the most frequent answer; rename yours")
    columns = _Columns.from_arrays(truth, next(iter(arrays.values())), classes, none)
    labels = columns.labels(truth)
    n, topics, numbers = len(labels), columns.topics, np.arange(len(labels))
    articles = numbers if groups is None else _values("groups", groups, n)
    group = pd.factorize(articles)[0]
    if not any(labels):
        raise ValueError("truth: no text has a topic, so nothing can be measured")
    if not group.any():
        raise ValueError("groups: all texts are of one group, so nothing can be measured")
    fold = np.atleast_2d(np.full(n, ALWAYS_TRAIN) if folds is None else np.asarray(folds))
    if fold.shape[1:] != (n,) or (folds is not None and fold.min() < 0):
        raise ValueError(f"folds: give each of {n} texts the number of its fold, from 0")
    weights = 0 * numbers if weights is None else weights
    frame = _paragraph_table(articles, numbers, labels, weights, "paragraph")
    rows = frame[["id"]].assign(group=group, duplicates=group)
    fold_table = pd.concat([rows.assign(repeat=r, fold=fold[r]) for r in range(len(fold))])
    if unknown := sorted({*(thresholds or ())} - {*arrays}):
        raise ValueError(f"thresholds: there is no model {unknown[0]!r}, only {', '.join(arrays)}")
    tables = {}
    for name, values in arrays.items():
        limits = (thresholds or {}).get(name)
        tables[name] = columns.score_table(fold_table, values, f"probabilities, {name}", limits)
    data = Labelled(labelled_rows(frame, topics), topics, fold_table)
    return models.compare(data, tables, {}, Evaluate(confidence), Compare(), random_state)


def shares(
    probabilities: ArrayLike,
    labelled: Iterable[int],
    truth: ArrayLike,
    weights: ArrayLike | None = None,
    articles: ArrayLike | None = None,
    by: pd.DataFrame | pd.Series | Sequence[object] | None = None,
    *,
    compare: tuple[str, str] | None = None,
    classes: Sequence[Hashable] | None = None,
    none: Hashable = None,
    confidence: float = 0.95,
    random_state: int = 0,
) -> Findings:
    """Estimate shares of topics among N texts, with intervals, as `Project.shares` does.

    Parameters
    ----------
    probabilities
        (N, k) probabilities for all texts, as for `evaluate`, by a model that was not trained on
        their articles.
    labelled
        (n,) numbers, from 0, of the texts that were drawn at random and labelled; or (N,) booleans.
    truth, weights
        (n,) or (n, k) labels and (n,) weights of these texts, as for `evaluate`.
    articles
        (N,) article of each text, if whole articles were drawn; None, the default, if texts were.
    by
        (N,) values that divide the texts, such as months ("2025-09"); or a DataFrame with one or
        two columns of values. No value may be missing. By default, shares are of all texts only.
    compare
        Two of the values, for the first minus the second. By default, last period minus first, or
        the second minus the first if there are only two values.
    classes, none, confidence, random_state
        As for `evaluate`.

    Returns
    -------
    Findings with shares, 0 to 1, in the DataFrame `table`: first of all texts, then of each value;
    a row for each topic and, unless a text can have several, for none. Ends of intervals, low and
    high, are NaN if labels are too few for one. The DataFrame `changes` has differences and trends
    of shares, in which -0.1 means ten percentage points less.

    Raises
    ------
    ValueError, IndexError, UserError
        As for `evaluate`; or `labelled` is empty, repeats a text or has an unknown one, too few
        texts were drawn, or `compare` has an unknown value.

    Examples
    --------
    >>> truth = ["trade", "trade", "security"] * 10
    >>> probabilities = [[0.8, 0.2], [0.8, 0.2], [0.3, 0.7]] * 20
    >>> findings = shares(probabilities, range(30), truth, classes=["trade", "security"])
    >>> findings.table["share"].round(2).tolist()
    [0.67, 0.33, 0.0]
    """
    columns = _Columns.from_arrays(truth, probabilities, classes, none)
    size = np.shape(probabilities)[0]
    chosen = [*labelled]
    numbers = np.arange(size)[chosen]
    if not len(numbers) or min(chosen) < 0 or len({*numbers.tolist()}) < len(numbers):
        raise ValueError("labelled: there is no text, one is there twice, or a number is negative")
    draw = "paragraph" if articles is None else "article"
    articles = _values("articles", range(size) if articles is None else articles, size)
    weights = np.ones(len(numbers)) if weights is None else weights
    frame = _paragraph_table(articles, numbers, columns.labels(truth), weights, draw)
    rows = frame[["id"]].assign(repeat=0)
    scores = columns.score_table(rows, probabilities, "probabilities", None)
    by = pd.DataFrame(by).rename(columns={0: "group"})
    metadata = {str(name): _values(f"by, {name}", by[name], size) for name in by}
    predictor = TablePredictor(scores, "the given probabilities")
    corpus = corpus_of(frame, frame.assign(**metadata), predictor, columns.topics)
    return find_shares(corpus, list(metadata), confidence, compare=compare, seed=random_state)


@dataclass(frozen=True)
class _Columns:
    """Classes in the order of the columns; with `multi`, a text can have several of them."""

    classes: list[Hashable]
    none: Hashable
    multi: bool

    @classmethod
    def from_arrays(
        cls, truth: ArrayLike, values: ArrayLike, classes: Sequence[Hashable] | None, none: Hashable
    ) -> Self:
        """Note the classes, and whether texts may have several of them (`truth` is 2-D).

        By default, the classes are the columns of `values`; ValueError if it is no DataFrame then.
        """
        if classes is None:
            if not isinstance(values, pd.DataFrame):
                raise ValueError("classes: name the columns of the array, or give a DataFrame")
            classes = [*values]
        return cls([*classes], none, np.ndim(truth) == 2)

    @property
    def is_topic(self) -> list[bool]:
        """Whether each class is a topic, (k,)."""
        return [self.multi or label != self.none for label in self.classes]

    @property
    def topics(self) -> Topics:
        names = tuple(map(str, compress(self.classes, self.is_topic)))
        return Topics("multi" if self.multi else "single", names)

    def labels(self, truth: ArrayLike) -> list[list[str]]:
        """Names of the topics of each text, [] for `none`; ValueError if unknown or missing."""
        n = np.shape(truth)[0]
        if self.multi:
            targets = self._checked(truth, "truth", (n,)) > 0
            return [list(compress(self.topics.names, row)) for row in targets]
        labels = _values("truth", truth, n).tolist()
        for row, label in enumerate(labels):
            if label not in [*self.classes, self.none]:
                raise ValueError(f"truth, row {row}: {label!r} is not in classes, {self.classes}")
        return [[] if label == self.none else [str(label)] for label in labels]

    def score_table(
        self, rows: pd.DataFrame, values: ArrayLike, name: str, thresholds: ArrayLike | None
    ) -> pd.DataFrame:
        """Add columns of scores and thresholds of the topics to rows: n texts, repeat by repeat.

        `values` are probabilities, (r, n, k), or (n, k) for one repeat; errors call them `name`.
        `thresholds` have one for each topic, or the shape of the scores; None means 0.5 if `multi`,
        else 1.
        """
        n, repeats = rows["id"].nunique(), rows["repeat"].nunique()
        shape = (repeats, n) if np.ndim(values) == 3 or repeats > 1 else (n,)
        scores = self._checked(values, name, shape)[..., self.is_topic]
        if thresholds is None:
            thresholds = 0.5 if self.multi else 1.0
        limits = np.broadcast_to(thresholds, scores.shape)
        cells = np.concatenate([scores, limits], axis=-1).reshape(len(rows), -1)
        columns = [*self.topics.score_columns, *self.topics.threshold_columns]
        return rows.reset_index(drop=True).join(pd.DataFrame(cells, columns=columns))

    def _checked(self, values: ArrayLike, name: str, shape: tuple[int, ...]) -> np.ndarray:
        """Convert values to an array (*shape, k) in the order of the classes; errors name `name`.

        Another shape or column raises a ValueError, and numbers that are no probabilities a
        UserError. Unless `multi`, rows sum to 1, or to at most 1 if the classes lack `none`.
        """
        if isinstance(values, pd.DataFrame):
            if {*values} != {*self.classes}:
                raise ValueError(f"{name}: the columns are {[*values]}, not {self.classes}")
            values = values[self.classes]
        array, shape = np.asarray(values, dtype=np.float64), (*shape, len(self.classes))
        if array.shape != shape:
            raise ValueError(f"{name}: the shape is {array.shape}, not {shape} with these classes")
        least = 0 if self.multi or self.none not in [None, *self.classes] else 1
        rows, questions = array.reshape(-1, shape[-1]), shape[-1] if self.multi else 1
        numbers = np.arange(len(rows)) % shape[-2]
        check_probabilities(rows, questions, least, f"{name}, row", numbers)
        return array


def _values(name: str, values: ArrayLike, n: int) -> np.ndarray:
    """Convert n values to an array; ValueError for another number of them, or for a missing one."""
    array = pd.Series(values).to_numpy()
    if len(array) != n:
        raise ValueError(f"{name}: there are {len(array)} values for {n} texts")
    is_missing = pd.isna(array)
    if is_missing.any():
        raise ValueError(f"{name}, row {is_missing.argmax()}: there is no value")
    return array


def _paragraph_table(
    article: np.ndarray, numbers: np.ndarray, labels: list[list[str]], weights: ArrayLike, draw: str
) -> pd.DataFrame:
    """Make a paragraph table of N texts, with hand labels for the n texts with these `numbers`.

    Ids and texts are numbers in nine digits. Texts with a weight above 0 count as drawn at random,
    in the unit `draw`. The table has the columns of `with_labels` and `with_sample`.
    """
    ids = np.array([f"{number:09}" for number in range(len(article))])
    table = pd.DataFrame({"id": ids, "article": article, "text": ids, "boilerplate": False})
    if len(labels) != len(numbers):
        raise ValueError(f"truth: there are {len(labels)} labels for {len(numbers)} texts")
    weight = _values("weights", weights, len(numbers)).astype(float)
    rows = pd.DataFrame({"paragraph": ids[numbers], "label": labels, "by": "hand", "frame": ""})
    rows = rows.assign(draw=np.where(weight > 0, draw, ""), effective_count=1.0)
    rows = rows.assign(weight=np.where(weight > 0, weight, np.nan))
    return with_sample(with_labels(table, rows), rows)
