"""The corpus that shares are estimated for: all paragraphs or articles, and a labelled sample.

This module joins a project's tables with predictions, by models of the folds or from a table. It
refuses labels that are no sample of the corpus. It reads no files and loads no models.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import labelled_in
from paratopic.corpus.table import (
    PARAGRAPHS_SCHEMA,
    UNKNOWN,
    column_values,
    targets_of,
    texts_by_frame,
)
from paratopic.evaluation.intervals import LEAST_ARTICLES, LEAST_LABELS
from paratopic.findings.shares import Sample, n_effective_labels
from paratopic.inference.modes import Array, Integers, Scores, mode_of
from paratopic.labels.log import ARTICLE
from paratopic.project.errors import UserError, plural, shortened_list
from paratopic.project.scripts import n_words
from paratopic.project.topics import NONE_CELL, Topics, split_cell

# Number of paragraphs that a message names.
MOST_NAMED = 3
# Probabilities of a text may sum to a little more or less, because files have rounded ones.
ROUNDING = 1e-3
# Columns of the sample with the weights of labels.
WEIGHTS = ["weight", "effective_count"]
# Units that shares count.
Counted = Literal["paragraphs", "words", "articles"]


class Predictions(NamedTuple):
    """Predictions for N texts or articles; the fields are those of `Sample`."""

    probabilities: Array
    rate: float = 1.0
    noise: Array | None = None


@dataclass(frozen=True)
class TablePredictor:
    """A table's own predictions, by a model that was not trained on the project's labels.

    Parameters
    ----------
    scores
        Columns id and one for each topic, with probabilities of all paragraphs.
    """

    scores: pd.DataFrame
    name: str

    def predict(self, frame: pd.DataFrame, topics: Topics, by_article: bool) -> Predictions:
        """Predict distinct texts (means over copies) or articles, in order of first appearance."""
        mode, k = mode_of(topics.mode), len(topics.names)
        table = self.scores.set_index("id").loc[frame["id"], topics.score_columns]
        scores = table.to_numpy(np.float64)
        if by_article:
            article = pd.factorize(frame["article"])[0].astype(np.int64)
            return Predictions(article_outcomes(mode.complete(scores), article, k))
        means = pd.DataFrame(scores).groupby(pd.factorize(frame["text"])[0]).mean()
        return Predictions(mode.complete(means.to_numpy()))


@dataclass(frozen=True)
class CrossPredictor:
    """The models of the folds, each of which predicts the texts that its fold holds out.

    Parameters
    ----------
    scores
        Calibrated scores of labelled paragraphs: columns id, repeat and one for each topic.
    unlabelled
        Scores of paragraphs without a label (`corpus.folds`). Without any, nothing is predicted.
    unfolded
        Scores, without a repeat, of paragraphs that are in no fold. Predictions of their topics
        carry no information, and are not used (`training.crossval.score_unfolded`).
    final
        Function of N ids that returns calibrated probabilities (N, k) of the topics by the final
        model. It is called only if models of the folds have not predicted all texts.
    """

    scores: pd.DataFrame
    unlabelled: pd.DataFrame
    unfolded: pd.DataFrame
    final: Callable[[pd.Series], Scores]
    name: ClassVar[str] = ""

    def predict(self, frame: pd.DataFrame, topics: Topics, by_article: bool) -> Predictions:
        """Predict the distinct texts of a paragraph table with labels, or its articles.

        They are in order of first appearance. Probabilities are means over repeats of the folds'
        models. If these have not predicted all texts, they correct those of the final model
        (`corrected_predictions`), and only then does the result have a rate and noise. All are 0,
        so that shares rest on labels only, if no text without a label has scores, if a labelled
        text has none, or if articles would need the final model.
        """
        mode, k = mode_of(topics.mode), len(topics.names)
        text_numbers = pd.factorize(frame["text"])[0]
        article, order = pd.factorize(frame["article"])
        n_texts, n_outcomes = text_numbers.max() + 1, mode.n_logits(k)
        no_predictions = Predictions(np.zeros((len(order) if by_article else n_texts, n_outcomes)))
        is_labelled = np.zeros(n_texts, dtype=bool)
        is_labelled[text_numbers[frame["label_source"] != "none"]] = True
        repeats = self._by_repeat(frame, topics, text_numbers)
        is_predicted = np.asarray(np.isfinite(repeats).all(axis=(0, 2)))
        if self.unlabelled.empty or not is_predicted[is_labelled].all():
            return no_predictions
        if is_predicted.all():
            if by_article:
                outcomes = [article_outcomes(texts[text_numbers], article, k) for texts in repeats]
                return Predictions(np.mean(outcomes, axis=0))
            return Predictions(repeats.mean(axis=0))
        if by_article:  # Too few articles have predictions for all of their texts.
            return no_predictions
        first = frame["id"].iloc[np.unique(text_numbers, return_index=True)[1]]
        rough, numbers = mode.complete(self.final(first)), np.flatnonzero(is_predicted)
        rate = float(is_predicted[~is_labelled].mean())
        rates = np.where(is_labelled[numbers], 1.0, rate)
        means = repeats[:, numbers].mean(axis=0)
        values, noise = corrected_predictions(rough, means, numbers, rates)
        return Predictions(values, rate, noise)

    def _by_repeat(self, frame: pd.DataFrame, topics: Topics, text_numbers: Integers) -> Array:
        """Probabilities of the outcomes of N texts in R repeats, (R, N, K); NaN if not predicted.

        `text_numbers` has the text of each row of `frame`; copies of a text get their mean. Without
        repeats, R is 1. The probability of a topic that has labels in no fold is moved to that of
        no topic, or set to 0 in mode multi. So the topic's share rests on its labels only, and
        shares of exclusive outcomes still sum to 1.
        """
        mode, k = mode_of(topics.mode), len(topics.names)
        number = pd.Series(text_numbers, frame["id"])
        hand = labelled_in(frame, topics).hand_labelled
        in_fold = hand.rows["id"].isin(self.scores["id"])
        is_scored = in_fold | hand.rows["id"].isin(self.unfolded["id"])
        hidden = hand.targets[is_scored].any(axis=0) & ~hand.targets[in_fold].any(axis=0)
        repeats = sorted({*self.scores["repeat"]})
        values = np.full((max(len(repeats), 1), text_numbers.max() + 1, mode.n_logits(k)), np.nan)
        for complete, repeat in zip(values, repeats, strict=False):
            scores = self.scores[self.scores["repeat"] == repeat]
            unlabelled = self.unlabelled[self.unlabelled["repeat"] == repeat]
            table = pd.concat([scores, unlabelled, self.unfolded])[["id", *topics.score_columns]]
            table = table[table["id"].isin(frame["id"])]
            means = table.groupby(number.loc[table["id"]].to_numpy())[topics.score_columns].mean()
            complete[means.index] = mode.complete(means.to_numpy(dtype=np.float64))
            complete[:, k:] += complete[:, :k][:, hidden].sum(axis=1, keepdims=True)
            complete[:, :k][:, hidden] *= 0.0
        return values


def corrected_predictions(
    rough: Array, predicted: Array, numbers: Integers, rates: Array
) -> tuple[Array, Array]:
    """Correct one model's predictions for all texts by another model's for a random sample.

    In any part, the mean is that of the rough predictions plus the mean gap between the two in the
    sample (difference estimator: Särndal, Swensson & Wretman 1992, Model Assisted Survey Sampling,
    chapter 6).

    Parameters
    ----------
    rough
        (N, K) predictions for all texts.
    predicted, numbers, rates
        (m, K) predictions for the sample, (m,) numbers of its texts, and (m,) chances with which
        they were sampled.

    Returns
    -------
    (N, K) predictions, some of them below 0 or above 1, and (N, K) their variances.
    """
    gaps, rates = predicted - rough[numbers], rates[:, None]
    values, noise = rough.copy(), np.zeros_like(rough)
    values[numbers] += gaps / rates
    noise[numbers] = (1 - rates) * (gaps / rates) ** 2
    return values, noise


def predictor_from_columns(
    rows: pd.DataFrame, columns: Sequence[str], topics: Topics, no_topic: Collection[str]
) -> TablePredictor:
    """Take predictions of all paragraphs from columns of metadata.

    Parameters
    ----------
    rows
        All paragraphs, with columns of metadata.
    columns
        One column with topics as in a table of labels, which get the probability 1; or a column of
        probabilities for each topic, in the order of the codebook, whose sum is at most 1 in mode
        single. A `UserError` reports another number of columns, a column that does not exist, and a
        cell that is empty or invalid.
    no_topic
        Cells of the one column that mean none of the topics, besides `NONE_CELL`.
    """
    if len(columns) not in (1, len(topics.names)):
        raise UserError(
            f"--predictor: name one column with topics, or {len(topics.names)} columns with the "
            f"probabilities of {shortened_list(list(topics.names), len(topics.names))}"
        )
    option = f"--predictor {' --predictor '.join(columns)}"
    cells = np.array([column_values(rows, name, "--predictor") for name in columns], dtype=object).T
    empty = (cells == UNKNOWN).any(axis=1)
    if empty.any():
        ids = shortened_list(list(rows["id"][empty]), MOST_NAMED)
        raise UserError(
            f"{option}: {ids}: no prediction. Write none where none of the topics is predicted, "
            "and run `dvc repro prepare`"
        )
    if len(columns) == 1:
        none_cells = {NONE_CELL, *no_topic}
        names = [
            () if cell in none_cells else topics.check(split_cell(cell), f"{option}, {id_}")
            for cell, id_ in zip(cells[:, 0], rows["id"], strict=True)
        ]
        values = targets_of(map(topics.counted, names), topics.names).astype(np.float64)
    else:
        values = pd.DataFrame(cells).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        check_probabilities(values, topics.max_topics, 0, f"{option},", rows["id"].to_numpy())
    scores = pd.DataFrame(values, columns=topics.score_columns).assign(id=rows["id"].to_numpy())
    words = shortened_list(list(columns), len(columns))
    return TablePredictor(scores, f"the predictions in {words}")


def check_probabilities(
    values: Array, questions: int, least: float, where: str, rows: np.ndarray
) -> None:
    """Raise a `UserError` if values, (n, k), are no probabilities of topics, or NaN.

    They must be 0 or more and, in each of `questions` equal blocks of columns (1 in mode single, k
    in mode multi), have a sum from `least` (0 or 1) to 1. The message begins with `where`, and
    names the first wrong rows by `rows`, (n,).
    """
    sums = np.stack([part.sum(axis=1) for part in np.split(values, questions, axis=1)], axis=1)
    is_in_range = (sums >= least - ROUNDING) & (sums <= 1 + ROUNDING)
    is_valid = (values >= 0).all(axis=1) & is_in_range.all(axis=1)
    if not is_valid.all():
        names = shortened_list([str(row) for row in rows[~is_valid]], MOST_NAMED)
        total = "" if questions > 1 else f" that sum to 1{'' if least else ' at most'}"
        raise UserError(f"{where} {names}: probabilities are numbers from 0 to 1{total}")


def article_outcomes(outcomes: Array, articles: Integers, k: int) -> Array:
    """Compute outcomes of A articles, or probabilities of them, (A, K), from those of paragraphs.

    An article has a topic if any of its paragraphs has it. The probability of a topic is the
    highest of any paragraph, and that of no topic the lowest. A product, as for independent
    paragraphs, would be far too high, because a model's errors are correlated within an article.

    `outcomes`, (n, K), are booleans or probabilities of n paragraphs: the `k` topics and, in mode
    single, no topic as the last. `articles`, (n,), are the numbers of their articles, 0 to A - 1.

    >>> article_outcomes(np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]), np.array([0, 0, 1]), 1)
    array([[0.75, 0.25],
           [0.  , 1.  ]])
    """
    grouped = pd.DataFrame(outcomes).groupby(articles)
    highest, lowest = grouped.max().to_numpy(), grouped.min().to_numpy()
    return np.hstack([highest[:, :k], lowest[:, k:]])


@dataclass(frozen=True, kw_only=True)
class Corpus(Sample):
    """The paragraphs or articles of a project, with labels and predictions.

    The texts of this sample are the distinct paragraphs, or all articles.

    Parameters
    ----------
    rows
        A row for each paragraph or article, with its text and columns of metadata.
    text_numbers
        (number of rows,) number of each row's text.
    outcomes
        Names of the outcomes: the topics, and none of them in mode single.
    n_boilerplate
        Number of paragraphs of boilerplate, which are no part of the corpus.
    frames
        Groups and tables that the corpus consists of; empty, the default, for the whole project.
    predictor
        Name of the predictor in messages; "", the default, for the project's own models.
    """

    rows: pd.DataFrame
    text_numbers: Integers
    outcomes: tuple[str, ...]
    counted: Counted
    n_boilerplate: int = 0
    frames: tuple[str, ...] = ()
    predictor: str = ""

    def masses(self, rows: Array, copies: bool) -> Array:
        """Masses, (N,), of the distinct texts in a part: their numbers of rows, or of words.

        `rows` has 1 for each row of the corpus in the part, else 0. Words count if `counted` says
        so. Without `copies`, all rows of a text in the part count as one. Other texts have mass 0.
        """
        n_copies = np.ones(len(rows)) if copies else np.bincount(self._text, rows)[self._text]
        counts = self._lengths * rows / np.maximum(n_copies, 1)
        masses = np.bincount(self.text_numbers, counts, minlength=len(self.probabilities))
        return np.asarray(masses, dtype=np.float64)

    @property
    def row_name(self) -> str:
        """Name of the rows in messages, in the plural."""
        return "articles" if self.counted == "articles" else "paragraphs"

    @property
    def n_articles(self) -> int:
        """Number of articles that the rows are from."""
        return int(self.rows["article"].nunique())

    def for_new_articles(self) -> Corpus:
        """Return a copy with intervals for further articles; UserError below `LEAST_ARTICLES`."""
        if self.n_articles < LEAST_ARTICLES:
            raise UserError(
                f"--new-articles: intervals for further articles take {LEAST_ARTICLES} articles, "
                f"and the project has {self.n_articles}"
            )
        first = np.unique(self.text_numbers, return_index=True)[1]
        article = pd.factorize(self.rows["article"])[0].astype(np.int64)
        return replace(self, clusters=article[first])

    @cached_property
    def _text(self) -> Integers:
        return pd.factorize(self.rows["text"])[0].astype(np.int64)

    @cached_property
    def _lengths(self) -> Array:
        if self.counted != "words":
            return np.ones(len(self.rows))
        return np.array([n_words(text) for text in self.rows["text"]], dtype=np.float64)


def corpus_of(
    frame: pd.DataFrame,
    everything: pd.DataFrame,
    predictor: CrossPredictor | TablePredictor,
    topics: Topics,
    counted: Counted = "paragraphs",
) -> Corpus:
    """Join a project's tables to a corpus without boilerplate.

    If labels are from groups or tables (column frame), the corpus is only these. Labels that are no
    random sample, or too few for intervals, are a `UserError` unless all texts are labelled.

    Parameters
    ----------
    frame
        Paragraph table with its labels and sample.
    everything
        The same rows in the same order, with columns of metadata.
    predictor
        Predictor of all texts. It is not called if the labels are no sample.
    """
    n_boilerplate, frame = int(frame["boilerplate"].sum()), frame[~frame["boilerplate"]]
    everything = everything[~everything["boilerplate"]]
    frames = sorted({*frame["frame"]} - {""})
    if frames:
        texts_of_frame = texts_by_frame(everything, frames)
        texts = set[str]().union(*(texts_of_frame[name] for name in frames))
        frame = frame[frame["text"].isin(texts)]
        everything = everything[everything["text"].isin(texts)]
    mode, k, by_article = mode_of(topics.mode), len(topics.names), counted == "articles"
    rows = _labelled_rows(frame, labelled_in(frame, topics).hand_labelled.rows, by_article)
    predictions = predictor.predict(frame, topics, by_article)
    text_numbers = pd.factorize(frame["text"])[0].astype(np.int64)
    truth = mode.outcomes(targets_of(rows["topic"], topics.names)).astype(float)
    labelled = pd.Series(text_numbers, frame["id"]).loc[rows["id"]].to_numpy()
    weights = rows["weight"].to_numpy(np.float64)
    effective_counts = rows["effective_count"].to_numpy(np.float64)
    articles = pd.factorize(rows["article"])[0].astype(np.int64)
    if by_article:
        order = frame["article"].unique()
        truth = article_outcomes(truth, articles, k)
        labelled = pd.Index(order).get_indexer(rows["article"].unique()).astype(np.int64)
        weights = effective_counts = np.ones(len(labelled))
        text_numbers = np.arange(len(order))
    return Corpus(
        **predictions._asdict(),
        labelled=labelled,
        truth=truth,
        weights=weights,
        effective_counts=effective_counts,
        articles=None if by_article or not _is_drawn_by_article(rows).any() else articles,
        exclusive=mode.exclusive and not by_article,
        rows=_article_rows(everything) if by_article else everything,
        text_numbers=text_numbers,
        outcomes=topics.choices[: truth.shape[1]],
        counted=counted,
        n_boilerplate=n_boilerplate,
        frames=tuple(frames),
        predictor=predictor.name,
    )


def _labelled_rows(frame: pd.DataFrame, labels: pd.DataFrame, by_article: bool) -> pd.DataFrame:
    """Select the sample among hand labels: a row for each text with a weight, drawn or not.

    `weigh_sample` gives the weights; a row has the sums of `WEIGHTS` over the text's labelled
    copies. If all texts are labelled, each is in the sample once, with `WEIGHTS` of 1. With
    `by_article`, the rows are all those of `frame` in drawn articles whose texts all have a label
    (`_labelled_articles`). A `UserError` reports labels that are no sample or too few.
    """
    complete = len(frame) > 0 and {*frame["text"]} == {*labels["text"]}
    if by_article:
        return _labelled_articles(frame, labels, complete)
    rows = (labels if complete else labels[labels["weight"].notna()]).copy()
    rows[WEIGHTS] = 1.0 if complete else rows.groupby("text")[WEIGHTS].transform("sum")
    rows = rows.drop_duplicates("text", ignore_index=True)
    if not complete:
        _check_sample(rows)
    return rows


def _labelled_articles(frame: pd.DataFrame, labels: pd.DataFrame, complete: bool) -> pd.DataFrame:
    """Rows of drawn articles whose texts all have a hand label, with its topics as `topic`.

    If all texts are labelled (`complete`), these are all rows of `frame`. Else a `UserError`
    reports fewer than `LEAST_LABELS` such articles.
    """
    topic_of = labels.drop_duplicates("text").set_index("text")["topic"]
    if complete:
        return frame.assign(topic=frame["text"].map(topic_of))
    is_drawn = _is_drawn_by_article(frame).groupby(frame["article"]).transform("any")
    is_complete = frame["text"].isin(topic_of.index).groupby(frame["article"]).transform("all")
    rows = frame[is_drawn & is_complete]
    n = rows["article"].nunique()
    need = f"all {'its' if n == 1 else 'their'} paragraphs labelled; shares of articles"
    _check_size(n, "article", need, LEAST_LABELS, frame["article"].nunique())
    return rows.assign(topic=rows["text"].map(topic_of))


def _check_sample(rows: pd.DataFrame) -> None:
    """Raise a `UserError` for no rows, too few effective labels, or too few drawn articles."""
    if rows.empty:
        raise UserError(
            "shares need labels of paragraphs that were drawn at random, and nothing says how "
            "these paragraphs were chosen. Label a random sample (`paratopic label --random --n "
            f"{3 * LEAST_LABELS}`); or, if the labelled rows of your table are one, write `random: "
            "true` below its path in params.yaml. Then run `dvc repro`"
        )
    if _is_drawn_by_article(rows).any():
        _check_size(rows["article"].nunique(), "article", "labels; shares", LEAST_ARTICLES)
    n = n_effective_labels(rows["effective_count"].to_numpy())
    _check_size(n, "paragraph", "labels; shares", LEAST_LABELS)


def _check_size(n: int, unit: str, need: str, least: int, available: float = np.inf) -> None:
    """Raise a `UserError` if n < `least`: "N UNITs drawn at random have NEED need LEAST: ..."."""
    if n < least:
        articles = " --articles" if unit == "article" else ""
        more = f"label {least - n} more (`paratopic label --random{articles}`)"
        if available < least:
            more = f"the project has only {available}: add some, label them"
        drawn = plural(n, f"{unit} drawn at random has", f"{unit}s drawn at random have")
        raise UserError(f"{drawn} {need} need {least}: {more}, and run `dvc repro`")


def _is_drawn_by_article(rows: pd.DataFrame) -> pd.Series:
    """Whether the article of each row was drawn, from the corpus or from a part of it."""
    return rows["draw"] == ARTICLE


def _article_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """Make a row for each article: its text, and the values that its paragraphs share, else NaN."""
    paragraph_columns = {*PARAGRAPHS_SCHEMA.names} - {"title", "heading"}
    columns = [name for name in rows if name not in paragraph_columns]
    grouped = rows.groupby("article", sort=False)
    is_shared = grouped[columns].nunique(dropna=False) == 1
    first = rows.drop_duplicates("article").set_index("article")[columns]
    return first.where(is_shared).assign(text=grouped["text"].agg("\n\n".join)).reset_index()
