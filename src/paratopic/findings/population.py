"""What shares are of: a corpus of paragraphs or articles, and the sample of it that is labelled.

A project's tables are put together here, and what cannot stand for a corpus is refused. No file is
read.
The estimates are for `shares`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import labelled_in
from paratopic.corpus.table import PARAGRAPHS_SCHEMA, targets_of, texts_in
from paratopic.evaluation.estimates import LEAST_ARTICLES, LEAST_LABELS
from paratopic.findings.predictors import CrossPredictor, GivenPredictor, in_articles
from paratopic.findings.shares import Sample, size_of
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array, Integers
from paratopic.labels.log import ARTICLE
from paratopic.project.errors import UserError, plural
from paratopic.project.topics import Topics

# Columns of the sample that say how much a label counts.
COUNTED = ["weight", "effective_count"]
# What shares are of.
Counted = Literal["paragraphs", "words", "articles"]


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
        return np.array([len(text.split()) for text in self.rows["text"]], dtype=np.float64)


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
