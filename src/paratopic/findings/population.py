"""What shares are of: a corpus of paragraphs or articles, and the sample of it that is labelled.

A project's tables are put together here, and what cannot stand for a corpus is refused; and what
predicts its texts: models of the folds, or a table. No file is read, and no model is loaded.
The estimates are for `shares`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import ClassVar, Literal, NamedTuple

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import labelled_in
from paratopic.corpus.table import PARAGRAPHS_SCHEMA, UNKNOWN, targets_of, texts_in, values_of
from paratopic.evaluation.intervals import LEAST_ARTICLES, LEAST_LABELS
from paratopic.findings.shares import Sample, size_of
from paratopic.inference.modes import Array, Integers, Scores, mode_of
from paratopic.labels.log import ARTICLE
from paratopic.project.errors import UserError, in_short, plural
from paratopic.project.scripts import n_words
from paratopic.project.topics import NONE_CELL, Topics, split_cell

# Paragraphs that a message names.
MOST_NAMED = 3
# Probabilities of a text may sum to a little more or less, as they are written.
ROUNDING = 1e-3
# Columns of the sample that say how much a label counts.
COUNTED = ["weight", "effective_count"]
# What shares are of.
Counted = Literal["paragraphs", "words", "articles"]


class Predictions(NamedTuple):
    """What is predicted for N texts or articles; the fields are those of `Sample`."""

    probabilities: Array
    rate: float = 1.0
    noise: Array | None = None


@dataclass(frozen=True)
class GivenPredictor:
    """A table's own predictions, such as those of a language model, which learnt from no label.

    Parameters
    ----------
    scores
        Columns id and one for each topic, with probabilities of all paragraphs.
    name
        What predicted, for people; "" of the project's own models.
    """

    scores: pd.DataFrame
    name: str

    def predict(self, frame: pd.DataFrame, topics: Topics, whole: bool) -> Predictions:
        """As `CrossPredictor.predict`; predictions of copies of a text are averaged."""
        mode, k = mode_of(topics.mode), len(topics.names)
        scores = self.scores.set_index("id").loc[frame["id"], topics.scores].to_numpy(np.float64)
        if whole:
            article = pd.factorize(frame["article"])[0].astype(np.int64)
            return Predictions(in_articles(mode.complete(scores), article, k))
        means = pd.DataFrame(scores).groupby(pd.factorize(frame["text"])[0]).mean()
        return Predictions(mode.complete(means.to_numpy()))


@dataclass(frozen=True)
class CrossPredictor:
    """The models of the folds, each of which predicts what its fold holds out.

    Parameters
    ----------
    scores
        Calibrated scores of labelled paragraphs: columns id, repeat and one for each topic.
    unlabelled
        The same of paragraphs without a label (`corpus.folds`). Without any, nothing is
        predicted.
    unfolded
        The same, without a repeat, of paragraphs that are in no fold, labelled or not
        (`training.crossval.score_unfolded`). Predictions of their topics carry no information, and
        are not used.
    final
        Gives the calibrated probabilities (N, k) of the topics of N paragraphs with these ids, by
        the model that ships. It is asked only if models of the folds have predicted too few.
    """

    scores: pd.DataFrame
    unlabelled: pd.DataFrame
    unfolded: pd.DataFrame
    final: Callable[[pd.Series], Scores]
    name: ClassVar[str] = ""

    def predict(self, frame: pd.DataFrame, topics: Topics, whole: bool) -> Predictions:
        """Predict the distinct texts of a paragraph table with its labels, or its articles.

        They are numbered in order of appearance. Whole articles are predicted if `whole`. All
        probabilities are 0 if these models cannot.
        """
        mode, k = mode_of(topics.mode), len(topics.names)
        place = pd.factorize(frame["text"])[0]
        article, order = pd.factorize(frame["article"])
        n_texts, n_outcomes = place.max() + 1, mode.n_logits(k)
        nothing = Predictions(np.zeros((len(order) if whole else n_texts, n_outcomes)))
        is_labelled = np.zeros(n_texts, dtype=bool)
        is_labelled[place[frame["label_source"] != "none"]] = True
        repeats = self._by_repeat(frame, topics, place)
        is_predicted = np.asarray(np.isfinite(repeats).all(axis=(0, 2)))
        if self.unlabelled.empty or not is_predicted[is_labelled].all():
            return nothing
        if is_predicted.all():
            if whole:
                each = [in_articles(texts[place], article, k) for texts in repeats]
                return Predictions(np.mean(each, axis=0))
            return Predictions(repeats.mean(axis=0))
        if whole:  # too few of which all texts are predicted
            return nothing
        first = frame["id"].iloc[np.unique(place, return_index=True)[1]]
        rough, numbers = mode.complete(self.final(first)), np.flatnonzero(is_predicted)
        rate = float(is_predicted[~is_labelled].mean())
        rates = np.where(is_labelled[numbers], 1.0, rate)
        means = repeats[:, numbers].mean(axis=0)
        values, noise = nested(rough, means, numbers, rates)
        return Predictions(values, rate, noise)

    def _by_repeat(self, frame: pd.DataFrame, topics: Topics, place: Integers) -> Array:
        """Probabilities of the outcomes of N texts in R repeats, (R, N, K); NaN if not predicted.

        Topics that only labels in no fold have get none: their probability counts as that of no
        topic. So a topic's share rests on its labels alone, and shares of outcomes that exclude
        each other sum to 1 as before.
        """
        mode, k, number = mode_of(topics.mode), len(topics.names), pd.Series(place, frame["id"])
        hand = labelled_in(frame, topics).hand
        measured, there = (
            hand.targets[hand.rows["id"].isin(ids)].any(axis=0)
            for ids in (self.scores["id"], [*self.scores["id"], *self.unfolded["id"]])
        )
        hidden, repeats = there & ~measured, sorted({*self.scores["repeat"]})
        values = np.full((max(len(repeats), 1), place.max() + 1, mode.n_logits(k)), np.nan)
        for complete, repeat in zip(values, repeats, strict=False):
            tables = (each[each["repeat"] == repeat] for each in (self.scores, self.unlabelled))
            table = pd.concat([*tables, self.unfolded])[["id", *topics.scores]]
            table = table[table["id"].isin(frame["id"])]
            means = table.groupby(number.loc[table["id"]].to_numpy())[topics.scores].mean()
            complete[means.index] = mode.complete(means.to_numpy(dtype=np.float64))
            complete[:, k:] += complete[:, :k][:, hidden].sum(axis=1, keepdims=True)
            complete[:, :k][:, hidden] *= 0.0
        return values


def nested(rough: Array, predicted: Array, numbers: Integers, rates: Array) -> tuple[Array, Array]:
    """Predictions for all texts, if those that count are known of a random sample alone.

    Their mean in any part is that of the rough ones, corrected by how far the two are apart in the
    sample (difference estimator: Särndal, Swensson & Wretman 1992, Model Assisted Survey Sampling,
    chapter 6).

    Parameters
    ----------
    rough
        (N, K) predictions for all texts.
    predicted, numbers, rates
        (m, K) predictions that count, (m,) numbers of the texts that have them, and (m,) chances
        that these texts got them.

    Returns
    -------
    (N, K) predictions, some of them below 0 or above 1, and the variance that each one has.
    """
    gaps, rates = predicted - rough[numbers], rates[:, None]
    values, noise = rough.copy(), np.zeros_like(rough)
    values[numbers] += gaps / rates
    noise[numbers] = (1 - rates) * (gaps / rates) ** 2
    return values, noise


def given_predictor(
    rows: pd.DataFrame, columns: Sequence[str], topics: Topics, no_topic: Collection[str]
) -> GivenPredictor:
    """Read predictions from columns of the paragraphs' own tables.

    Parameters
    ----------
    rows
        All paragraphs, with columns of what each is from.
    columns
        One column with topics as labels are written, and `NONE_CELL` for none of them; or a column
        of probabilities for each topic, in the order of the codebook.
    no_topic
        What else means none of the topics.

    Raises
    ------
    UserError
        There is no such column, or a paragraph has no prediction or one that cannot be read.
    """
    if len(columns) not in (1, len(topics.names)):
        raise UserError(
            f"--predictor: name one column with topics, or {len(topics.names)} columns with the "
            f"probabilities of {in_short(list(topics.names), len(topics.names))}"
        )
    option = f"--predictor {' --predictor '.join(columns)}"
    cells = np.array([values_of(rows, name, "--predictor") for name in columns], dtype=object).T
    if (empty := (cells == UNKNOWN).any(axis=1)).any():
        raise UserError(
            f"{option}: {in_short(list(rows['id'][empty]), MOST_NAMED)}: no prediction. Write none "
            "where none of the topics is predicted, and run `dvc repro prepare`"
        )
    if len(columns) == 1:
        names = [
            ()
            if cell in {NONE_CELL, *no_topic}
            else topics.check(split_cell(cell), f"{option}, {id_}")
            for cell, id_ in zip(cells[:, 0], rows["id"], strict=True)
        ]
        values = targets_of(map(topics.counted, names), topics.names).astype(np.float64)
    else:
        values = pd.DataFrame(cells).apply(pd.to_numeric, errors="coerce").to_numpy(np.float64)
        refuse_improbable(values, topics.most, 0, f"{option},", rows["id"].to_numpy())
    scores = pd.DataFrame(values, columns=topics.scores).assign(id=rows["id"].to_numpy())
    words = in_short(list(columns), len(columns))
    return GivenPredictor(scores, f"the predictions in {words}")


def refuse_improbable(
    values: Array, questions: int, least: float, where: str, rows: np.ndarray
) -> None:
    """Refuse probabilities (n, k) of so many questions, of whose topics one is true at most.

    Those of a question have this sum at least. `where` is said before the names of rows, (n,).
    """
    sums = np.stack([part.sum(axis=1) for part in np.split(values, questions, axis=1)], axis=1)
    possible = (sums >= least - ROUNDING) & (sums <= 1 + ROUNDING)
    right = (values >= 0).all(axis=1) & possible.all(axis=1)
    if not right.all():
        names = in_short([str(row) for row in rows[~right]], MOST_NAMED)
        total = "" if questions > 1 else f" that sum to 1{'' if least else ' at most'}"
        raise UserError(f"{where} {names}: probabilities are numbers from 0 to 1{total}")


def in_articles(outcomes: Array, articles: Integers, k: int) -> Array:
    """Outcomes of articles, or their probabilities, from those of their paragraphs.

    An article has a topic if any of its paragraphs has it, and none of the topics if all of them
    have none. Its probability of a topic is that of its likeliest paragraph. Products, as of
    independent paragraphs, are far too high, because a model errs alike in all of an article.

    >>> in_articles(np.array([[0.5, 0.5], [0.75, 0.25], [0.0, 1.0]]), np.array([0, 0, 1]), 1)
    array([[0.75, 0.25],
           [0.  , 1.  ]])

    Parameters
    ----------
    outcomes
        (n, K) whether each paragraph has each outcome, or its probability of that.
    articles
        (n,) number of each paragraph's article, from 0 to A - 1.
    k
        Number of topics, which come first among the outcomes; then none of them, in mode single.

    Returns
    -------
    (A, K) the same for each article.
    """
    of_article = pd.DataFrame(outcomes).groupby(articles)
    highest, lowest = of_article.max().to_numpy(), of_article.min().to_numpy()
    return np.hstack([highest[:, :k], lowest[:, k:]])


@dataclass(frozen=True, kw_only=True)
class Corpus(Sample):
    """The paragraphs or articles of a project, and what is known of their topics.

    Its texts are the distinct paragraphs, or all articles.

    Parameters
    ----------
    rows
        A row for each paragraph or article, with its text and columns of what it is from.
    place
        (number of rows,) number of each row's text.
    outcomes
        Names of the outcomes that shares are of: the topics, and none of them in mode single.
    n_boilerplate
        Number of further paragraphs, which say nothing to judge and are no part of the corpus.
    frames
        Groups and tables that the corpus consists of, if labels stand for no more; none, the
        default, for all of the project.
    predictor
        What predicted the texts, if no model of the project did; "" by default.
    """

    rows: pd.DataFrame
    place: Integers
    outcomes: tuple[str, ...]
    counted: Counted
    n_boilerplate: int = 0
    frames: tuple[str, ...] = ()
    predictor: str = ""

    def masses(self, rows: Array, copies: bool) -> Array:
        """How much each text counts in a part of the corpus, (N,).

        Parameters
        ----------
        rows
            (number of rows,) whether each row is in the part, 1 or 0.
        copies
            Whether a text counts as often as it is there.
        """
        often = np.ones(len(rows)) if copies else np.bincount(self._text, rows)[self._text]
        counts = self._lengths * rows / np.maximum(often, 1)
        masses = np.bincount(self.place, counts, minlength=len(self.probabilities))
        return np.asarray(masses, dtype=np.float64)

    @property
    def row_name(self) -> str:
        """What a row is, in the plural."""
        return "articles" if self.counted == "articles" else "paragraphs"

    @property
    def n_articles(self) -> int:
        """Number of articles that the rows are from."""
        return int(self.rows["article"].nunique())

    def for_new_articles(self) -> Corpus:
        """The corpus as a sample of articles: intervals are for further articles like these."""
        if self.n_articles < LEAST_ARTICLES:
            raise UserError(
                f"--new-articles: intervals for further articles take {LEAST_ARTICLES} articles, "
                f"and the project has {self.n_articles}"
            )
        first = np.unique(self.place, return_index=True)[1]
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
    predictor: CrossPredictor | GivenPredictor,
    topics: Topics,
    counted: Counted = "paragraphs",
) -> Corpus:
    """Put a project's tables together. Boilerplate is no part of the corpus.

    Parameters
    ----------
    frame
        Paragraph table with its labels.
    everything
        All paragraphs, with columns of what each is from.
    predictor
        What predicts all texts. It is not asked if the labels are no sample.

    Raises
    ------
    UserError
        Nothing tells how the labelled paragraphs were chosen, so that they are no sample; or they
        are too few for any interval.
    """
    n_boilerplate, frame = int(frame["boilerplate"].sum()), frame[~frame["boilerplate"]]
    everything = everything[~everything["boilerplate"]]
    if frames := sorted({*frame["frame"]} - {""}):
        known = texts_in(everything, frames)
        texts = set[str]().union(*(known[name] for name in frames))
        frame, everything = (each[each["text"].isin(texts)] for each in (frame, everything))
    mode, k, of_articles = mode_of(topics.mode), len(topics.names), counted == "articles"
    rows = _labelled_rows(frame, labelled_in(frame, topics).hand.rows, of_articles)
    predicted = predictor.predict(frame, topics, of_articles)
    place = pd.factorize(frame["text"])[0].astype(np.int64)
    truth = mode.outcomes(targets_of(rows["topic"], topics.names)).astype(float)
    labelled = pd.Series(place, frame["id"]).loc[rows["id"]].to_numpy()
    weights, counts = (rows[name].to_numpy(np.float64) for name in COUNTED)
    articles = pd.factorize(rows["article"])[0].astype(np.int64)
    if of_articles:
        order = frame["article"].unique()
        truth = in_articles(truth, articles, k)
        labelled = pd.Index(order).get_indexer(rows["article"].unique()).astype(np.int64)
        weights = counts = np.ones(len(labelled))
        place = np.arange(len(order))
        everything = _article_rows(everything)
    return Corpus(
        **predicted._asdict(),
        labelled=labelled,
        truth=truth,
        weights=weights,
        effective_counts=counts,
        articles=None if of_articles or not _is_drawn_whole(rows).any() else articles,
        exclusive=mode.exclusive and not of_articles,
        rows=everything,
        place=place,
        outcomes=topics.choices[: truth.shape[1]],
        counted=counted,
        n_boilerplate=n_boilerplate,
        frames=tuple(frames),
        predictor=predictor.name,
    )


def _labelled_rows(frame: pd.DataFrame, labels: pd.DataFrame, of_articles: bool) -> pd.DataFrame:
    """The labelled rows that stand for a corpus of articles, or of paragraphs, each text once."""
    are_all = len(frame) > 0 and {*frame["text"]} == {*labels["text"]}
    if of_articles:
        return _whole_articles(frame, labels, are_all)
    rows = (labels if are_all else labels[labels["weight"].notna()]).copy()
    # Where all are labelled, however they were chosen, they are counted.
    rows[COUNTED] = 1.0 if are_all else rows.groupby("text")[COUNTED].transform("sum")
    rows = rows.drop_duplicates("text", ignore_index=True)
    if not are_all:
        _check_sample(rows)
    return rows


def _whole_articles(frame: pd.DataFrame, labels: pd.DataFrame, are_all: bool) -> pd.DataFrame:
    """The paragraphs of the drawn articles whose texts all have a label, with their topics.

    Where all articles are labelled, however they were chosen, they are counted.
    """
    topic_of = labels.drop_duplicates("text").set_index("text")["topic"]
    if are_all:
        return frame.assign(topic=frame["text"].map(topic_of))
    is_drawn = _is_drawn_whole(frame).groupby(frame["article"]).transform("any")
    is_whole = frame["text"].isin(topic_of.index).groupby(frame["article"]).transform("all")
    rows = frame[is_drawn & is_whole]
    n = rows["article"].nunique()
    have = f"all {'its' if n == 1 else 'their'} paragraphs labelled; shares of articles"
    _check_size(n, "article", have, LEAST_LABELS, frame["article"].nunique())
    return rows.assign(topic=rows["text"].map(topic_of))


def _check_sample(rows: pd.DataFrame) -> None:
    """Refuse labels that are no sample, or too few to say anything."""
    if rows.empty:
        raise UserError(
            "shares need labels of paragraphs that were drawn at random, and nothing says how "
            "these paragraphs were chosen. Label a random sample (`paratopic label --random --n "
            f"{3 * LEAST_LABELS}`); or, if the labelled rows of your table are one, write `random: "
            "true` below its path in params.yaml. Then run `dvc repro`"
        )
    if _is_drawn_whole(rows).any():
        _check_size(rows["article"].nunique(), "article", "labels; shares", LEAST_ARTICLES)
    _check_size(
        size_of(rows["effective_count"].to_numpy()), "paragraph", "labels; shares", LEAST_LABELS
    )


def _check_size(n: int, unit: str, have: str, least: int, there: float = np.inf) -> None:
    """Refuse fewer than so many articles or paragraphs that were drawn, of those that are there."""
    if n < least:
        articles = " --articles" if unit == "article" else ""
        more = f"label {least - n} more (`paratopic label --random{articles}`)"
        if there < least:
            more = f"the project has only {there}: add some, label them"
        raise UserError(
            plural(n, f"{unit} drawn at random has", f"{unit}s drawn at random have")
            + f" {have} need {least}: {more}, and run `dvc repro`"
        )


def _is_drawn_whole(rows: pd.DataFrame) -> pd.Series:
    """Whether the article of each row was drawn, from all of the corpus or from a part of it."""
    return rows["draw"] == ARTICLE


def _article_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each article: its whole text, and the values that all its paragraphs have."""
    own = {*PARAGRAPHS_SCHEMA.names} - {"title", "heading"}
    columns = [name for name in rows if name not in own]
    of_article = rows.groupby("article", sort=False)
    alike = of_article[columns].nunique(dropna=False) == 1
    first = rows.drop_duplicates("article").set_index("article")[columns]
    return first.where(alike).assign(text=of_article["text"].agg("\n\n".join)).reset_index()
