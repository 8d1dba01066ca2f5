"""Evaluation and shares of any classifier from arrays, by the functions that the pipeline calls.

Arrays become the tables that stages read. No file is read or written.
"""

from __future__ import annotations

from collections.abc import Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Self

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.folds import ALWAYS_TRAIN
from paratopic.corpus.labelled import Labelled, labelled_rows, with_labels, with_sample
from paratopic.evaluation import comparison as models
from paratopic.findings.groups import Findings, find
from paratopic.findings.population import GivenPredictor, corpus_of, refuse_improbable
from paratopic.project.params import Compare, Evaluate
from paratopic.project.topics import Topics


def evaluate(
    truth: npt.ArrayLike,
    probabilities: npt.ArrayLike | Mapping[str, npt.ArrayLike],
    groups: npt.ArrayLike | None = None,
    weights: npt.ArrayLike | None = None,
    *,
    classes: Sequence[Hashable] | None = None,
    none: Hashable = None,
    folds: npt.ArrayLike | None = None,
    thresholds: Mapping[str, npt.ArrayLike] | None = None,
    confidence: float = 0.95,
    random_state: int = 0,
) -> models.Comparison:
    """Measure classifiers on n labelled texts, with intervals, and compare them in pairs.

    Parameters
    ----------
    truth
        (n,) labels, or (n, k) zeros and ones if texts have several topics.
    probabilities
        (n, k) array or DataFrame, 0 to 1, by a model that did not learn from the text's group; of
        r repeats of cross-validation, (r, n, k). Rows sum to 1 unless topics are several. A dict
        has those of several models by their names, the simplest first.
    groups
        (n,) articles, which intervals and tests draw. By default each text is its own.
    weights
        (n,) how much of the corpus each text stands for, 0 if it was not drawn at random; used if
        20 were. By default all count the same.
    classes
        Labels in the order of the columns. By default the columns of the DataFrame.
    none
        Label of texts with none of the topics; without a column, it has what rows lack to 1. None,
        the default, if there are no such texts.
    folds
        (n,) or (r, n) number of the fold that held the text out, so that intervals are for a model
        that learns from all. None, the default, for models that learnt from none of the texts.
    thresholds
        Name of a model → (k,) or an array like its probabilities, without `none`, as in
        `Model.calibration`. By default the most probable class is predicted; of several topics,
        those from one half on.
    confidence, random_state
        Confidence of the intervals, and seed of the draws.

    Returns
    -------
    `models`, with a dummy that always gives the most frequent answer, `topics` and `differences`.

    Raises
    ------
    ValueError, UserError
        Lengths differ, values are no probabilities, a label is unknown or missing, no text has a
        topic, or all are of one group.
    """
    named = probabilities if isinstance(probabilities, Mapping) else {"model": probabilities}
    if models.DUMMY in named:
        raise ValueError(f"probabilities: {models.DUMMY} is the most frequent answer; rename yours")
    names = _Classes.of(truth, next(iter(named.values())), classes, none)
    labels = names.labels(truth)
    n, topics, every = len(labels), names.topics, np.arange(len(labels))
    articles = every if groups is None else _values("groups", groups, n)
    group = pd.factorize(articles)[0]
    if not any(labels) or not group.any():
        what = "groups: all texts are of one group" if any(labels) else "truth: no text has a topic"
        raise ValueError(f"{what}, so nothing can be measured")
    fold = np.atleast_2d(np.full(n, ALWAYS_TRAIN) if folds is None else np.asarray(folds))
    if fold.shape[1:] != (n,) or (folds is not None and fold.min() < 0):
        raise ValueError(f"folds: give each of {n} texts the number of its fold, from 0")
    frame = _table(articles, every, labels, 0 * every if weights is None else weights)
    rows = frame[["id"]].assign(group=group, duplicates=group)
    dealt = pd.concat([rows.assign(repeat=r, fold=fold[r]) for r in range(len(fold))])
    tables = {
        name: names.table(dealt, values, f"probabilities, {name}", (thresholds or {}).get(name))
        for name, values in named.items()
    }
    data = Labelled(labelled_rows(frame, topics), topics, dealt)
    return models.compare(data, tables, {}, Evaluate(confidence), Compare(), random_state)


def shares(
    probabilities: npt.ArrayLike,
    labelled: Iterable[int],
    truth: npt.ArrayLike,
    weights: npt.ArrayLike | None = None,
    articles: npt.ArrayLike | None = None,
    by: pd.DataFrame | pd.Series | Sequence[object] | None = None,
    *,
    compare: tuple[str, str] | None = None,
    classes: Sequence[Hashable] | None = None,
    none: Hashable = None,
    confidence: float = 0.95,
    random_state: int = 0,
) -> Findings:
    """Estimate how much of N texts is about each topic, with intervals, as `Project.shares` does.

    Parameters
    ----------
    probabilities
        (N, k) of all texts, by a model that did not learn from their articles, as in `evaluate`.
    labelled
        (n,) numbers from 0 of the texts that were drawn at random and labelled, or (N,) booleans.
    truth, weights
        Of these n texts, as in `evaluate`.
    articles
        (N,) article of each text, if whole articles were drawn; None, the default, if texts were.
    by
        (N,) values to divide the texts by, such as months ("2025-09"), or a DataFrame of one or two
        such columns.
    compare
        Two of the values: the first minus the second. By default the last period minus the first.
    classes, none, confidence, random_state
        As in `evaluate`.

    Returns
    -------
    Tables of shares, 0 to 1, and of changes, in shares too: -0.1 is ten percentage points less.

    Raises
    ------
    ValueError, IndexError, UserError
        As of `evaluate`; or `labelled` has no text, one twice or one that is not there, too few
        were drawn, or `compare` has an unknown value.
    """
    names, size = _Classes.of(truth, probabilities, classes, none), np.shape(probabilities)[0]
    numbers = np.arange(size)[[*labelled]]
    if not len(numbers) or len({*numbers.tolist()}) < len(numbers):
        raise ValueError("labelled: there is no text, or one is there twice")
    draw, of = ("paragraph", range(size)) if articles is None else ("article", articles)
    weights = np.ones(len(numbers)) if weights is None else weights
    articles = _values("articles", of, size)
    frame = _table(articles, numbers, names.labels(truth), weights, draw)
    scores = names.table(frame[["id"]].assign(repeat=0), probabilities, "probabilities", None)
    by = pd.DataFrame(by).rename(columns={0: "group"})
    columns = {str(name): _values(f"by, {name}", by[name], size) for name in by}
    predictor = GivenPredictor(scores, "the given probabilities")
    corpus = corpus_of(frame, frame.assign(**columns), predictor, names.topics)
    return find(corpus, list(columns), confidence, compare=compare, seed=random_state)


@dataclass(frozen=True)
class _Classes:
    """What the columns of probabilities stand for."""

    columns: list[Hashable]
    none: Hashable
    several: bool

    @classmethod
    def of(
        cls,
        truth: npt.ArrayLike,
        values: npt.ArrayLike,
        classes: Sequence[Hashable] | None,
        none: Hashable,
    ) -> Self:
        """Read the classes from the columns where they are not given."""
        if classes is None:
            if not isinstance(values, pd.DataFrame):
                raise ValueError("classes: name the columns of the array, or give a DataFrame")
            classes = [*values]
        return cls([*classes], none, np.ndim(truth) == 2)

    @property
    def are_topics(self) -> list[bool]:
        """Which columns are of topics, (k,)."""
        return [self.several or each != self.none for each in self.columns]

    @property
    def topics(self) -> Topics:
        """The codebook, in which any label is a name."""
        names = tuple(map(str, compress(self.columns, self.are_topics)))
        return Topics("multi" if self.several else "single", names)

    def labels(self, truth: npt.ArrayLike) -> list[list[str]]:
        """Names of the topics of each text."""
        n = np.shape(truth)[0]
        if self.several:
            has = self._read(truth, "truth", (n,)) > 0
            return [list(compress(self.topics.names, row)) for row in has]
        labels = _values("truth", truth, n).tolist()
        for row, label in enumerate(labels):
            if label not in [*self.columns, self.none]:
                raise ValueError(f"truth, row {row}: {label!r} is not in classes, {self.columns}")
        return [[] if label == self.none else [str(label)] for label in labels]

    def table(
        self, rows: pd.DataFrame, values: npt.ArrayLike, what: str, least: npt.ArrayLike | None
    ) -> pd.DataFrame:
        """Add columns of scores, and of thresholds (`least`), to rows of repeats of n texts."""
        n, repeats = rows["id"].nunique(), rows["repeat"].nunique()
        shape = (repeats, n) if np.ndim(values) == 3 or repeats > 1 else (n,)
        scores = self._read(values, what, shape)[..., self.are_topics]
        usual = 0.5 if self.several else 1.0
        limits = np.broadcast_to(usual if least is None else least, scores.shape)
        both = np.concatenate([scores, limits], axis=-1).reshape(len(rows), -1)
        columns = [*self.topics.scores, *self.topics.thresholds]
        return rows.reset_index(drop=True).join(pd.DataFrame(both, columns=columns))

    def _read(self, values: npt.ArrayLike, what: str, shape: tuple[int, ...]) -> np.ndarray:
        """Probabilities (*shape, k) in the order of the columns."""
        if isinstance(values, pd.DataFrame):
            if {*values} != {*self.columns}:
                raise ValueError(f"{what}: the columns are {[*values]}, not {self.columns}")
            values = values[self.columns]
        read, shape = np.asarray(values, dtype=np.float64), (*shape, len(self.columns))
        if read.shape != shape:
            raise ValueError(f"{what}: the shape is {read.shape}, not {shape} with these classes")
        least = 0 if self.several or self.none not in [None, *self.columns] else 1
        flat, questions = read.reshape(-1, shape[-1]), shape[-1] if self.several else 1
        refuse_improbable(flat, questions, least, f"{what}, row", np.arange(len(flat)) % shape[-2])
        return read


def _values(what: str, values: npt.ArrayLike, n: int) -> np.ndarray:
    """Values of n texts, of which none may be missing."""
    if len(read := pd.Series(values).to_numpy()) != n:
        raise ValueError(f"{what}: there are {len(read)} values for {n} texts")
    if (missing := pd.isna(read)).any():
        raise ValueError(f"{what}, row {missing.argmax()}: there is no value")
    return read


def _table(
    articles: np.ndarray,
    numbers: np.ndarray,
    labels: Sequence[Sequence[str]],
    weights: npt.ArrayLike,
    draw: str = "paragraph",
) -> pd.DataFrame:
    """The paragraph table, with labels by hand of the texts with these numbers.

    Those with a weight were drawn at random.
    """
    ids = np.array([f"{number:09}" for number in range(len(articles))])
    table = pd.DataFrame({"id": ids, "article": articles, "text": ids, "boilerplate": False})
    if len(labels) != len(numbers):
        raise ValueError(f"truth: there are {len(labels)} labels for {len(numbers)} texts")
    weight = _values("weights", weights, len(numbers)).astype(float)
    own = pd.DataFrame({"paragraph": ids[numbers], "label": labels, "by": "hand", "frame": ""})
    own = own.assign(draw=np.where(weight > 0, draw, ""), effective_count=1.0)
    own = own.assign(weight=np.where(weight > 0, weight, np.nan))
    return with_sample(with_labels(table, own), own)
