"""What shares are of: a corpus of paragraphs or articles, and the sample of it that is labelled.

A project's tables are put together here, and what cannot stand for a corpus is refused. No file is
read.
The estimates are for `shares`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import pandas as pd

from paratopic.corpus.labelled import Labelled, labelled_in
from paratopic.corpus.table import SCHEMA, targets_of, texts_of
from paratopic.evaluation.estimates import LEAST_ARTICLES, LEAST_LABELS
from paratopic.findings.shares import Sample, size_of
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array, Integers, Scores
from paratopic.project.errors import UserError, plural
from paratopic.project.topics import Topics

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
    """

    rows: pd.DataFrame
    place: Integers
    outcomes: tuple[str, ...]
    counted: Counted
    n_boilerplate: int = 0

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
    predict: Callable[..., Scores],
    scores: pd.DataFrame,
    topics: Topics,
    counted: Counted = "paragraphs",
    apart: pd.DataFrame | None = None,
) -> Corpus:
    """Put a project's tables together. Boilerplate is no part of the corpus.

    Parameters
    ----------
    everything
        All paragraphs, with columns of what each is from.
    predict
        Gives the calibrated probabilities (N, k) of the topics of a list of N `Passage`, by the
        model that ships. It is not asked if the labels are no sample.
    scores
        Calibrated out-of-fold scores: columns id and one for each topic, in one or more repeats.
    apart
        The same of labelled paragraphs that are in no fold (`training.crossval.score_apart`). What
        models say of their topics tells nothing, and is not counted on. None, the default, for
        none of them.

    Raises
    ------
    UserError
        Nothing tells how the labelled paragraphs were chosen, so that they are no sample; or they
        are too few for any interval.
    """
    whole, frame = frame, frame[~frame["boilerplate"]]
    hand, k = labelled_in(frame, topics).hand, len(topics.names)
    apart = scores[:0] if apart is None else apart
    scores, apart = (each[each["id"].isin(frame["id"])] for each in (scores, apart))
    of_articles = counted == "articles"
    rows = _labelled_rows(frame, hand.rows, {*scores["id"], *apart["id"]}, of_articles)
    place = pd.factorize(frame["text"])[0].astype(np.int64)
    number_of, everything = pd.Series(place, frame["id"]), everything[~everything["boilerplate"]]
    first = frame["id"].iloc[np.unique(place, return_index=True)[1]]
    predicted = predict(texts_of(whole, first))
    probabilities = with_out_of_fold(predicted, hand, scores, apart, number_of)
    outcomes = topics.choices[: probabilities.shape[1]]
    truth = mode_of(topics.mode).outcomes(targets_of(rows["topic"], topics.names)).astype(float)
    labelled = number_of.loc[rows["id"]].to_numpy()
    weights, worth = (rows[name].to_numpy(np.float64) for name in ("weight", "worth"))
    articles = pd.factorize(rows["article"])[0].astype(np.int64)
    if of_articles:
        number, order = pd.factorize(frame["article"])
        probabilities = in_articles(probabilities[place], number, k)
        truth = in_articles(truth, articles, k)
        labelled = pd.Index(order).get_indexer(rows["article"].unique()).astype(np.int64)
        weights = worth = np.ones(len(labelled))
        place = np.arange(len(order))
        everything = _article_rows(everything)
    return Corpus(
        probabilities=probabilities,
        labelled=labelled,
        truth=truth,
        weights=weights,
        worth=worth,
        articles=None if of_articles or not _by_article(rows) else articles,
        rows=everything,
        place=place,
        outcomes=outcomes,
        counted=counted,
        n_boilerplate=len(whole) - len(frame),
    )


def with_out_of_fold(
    predicted: Scores, hand: Labelled, scores: pd.DataFrame, apart: pd.DataFrame, place: pd.Series
) -> Array:
    """Probabilities of the outcomes of N texts, out-of-fold where they are labelled, (N, K).

    Topics that only labels in no fold have get none: their probability counts as that of no topic.
    So a topic's share rests on its labels alone, and shares of outcomes that exclude each other sum
    to 1 as before.

    Parameters
    ----------
    predicted
        (N, k) probabilities of the topics by the model that ships.
    hand, scores, apart
        The paragraphs with a label by hand, and their scores as of `corpus_of`.
    place
        Id of each paragraph → number of its text.
    """
    topics, probabilities, k = hand.topics, predicted.copy(), predicted.shape[1]
    known = pd.concat([each[["id", *topics.scores]] for each in (scores, apart)])
    of_texts = known.groupby(place.loc[known["id"]].to_numpy())[topics.scores].mean()
    probabilities[of_texts.index] = of_texts.to_numpy(dtype=np.float64)
    measured, there = (
        hand.targets[hand.rows["id"].isin(each["id"])].any(axis=0) for each in (scores, known)
    )
    hidden, complete = there & ~measured, mode_of(topics.mode).complete(probabilities)
    complete[:, k:] += complete[:, :k][:, hidden].sum(axis=1, keepdims=True)
    complete[:, :k][:, hidden] = 0.0
    return complete


def _labelled_rows(
    frame: pd.DataFrame, labels: pd.DataFrame, scored: set[str], of_articles: bool
) -> pd.DataFrame:
    """The labelled rows that stand for a corpus of articles, or of paragraphs, each text once."""
    is_whole = len(frame) > 0 and {*frame["text"]} == {*labels["text"]}
    if of_articles:
        return _whole_articles(frame, labels, is_whole)
    if is_whole:  # however they were chosen, they are counted
        return labels.assign(weight=1.0, worth=1.0).drop_duplicates("text", ignore_index=True)
    return _labelled_texts(labels, scored)


def _labelled_texts(labels: pd.DataFrame, scored: set[str]) -> pd.DataFrame:
    """Each labelled text that stands for the corpus once, with its weight and worth."""
    rows = labels[labels["weight"].notna()]
    _check_sample(rows)
    rows = rows[rows["id"].isin(scored)]  # of a share that was held out
    of_copies = rows.groupby("text")[["weight", "worth"]].transform("sum")
    rows = rows.assign(weight=of_copies["weight"], worth=of_copies["worth"])
    rows = rows.drop_duplicates("text", ignore_index=True)
    _check_sample(rows)
    return rows


def _whole_articles(frame: pd.DataFrame, labels: pd.DataFrame, are_all: bool) -> pd.DataFrame:
    """The paragraphs of the drawn articles whose texts all have a label, with their topics.

    Where all articles are labelled, however they were chosen, they are counted.
    """
    topic_of = labels.drop_duplicates("text").set_index("text")["topic"]
    if are_all:
        return frame.assign(topic=frame["text"].map(topic_of))
    is_drawn = (frame["draw"] == "article").groupby(frame["article"]).transform("any")
    is_whole = frame["text"].isin(topic_of.index).groupby(frame["article"]).transform("all")
    rows = frame[is_drawn & is_whole]
    n = rows["article"].nunique()
    have = f"all {'its' if n == 1 else 'their'} paragraphs labelled; shares of articles"
    _check_size(n, "article", have, LEAST_LABELS, frame["article"].nunique())
    return rows.assign(topic=rows["text"].map(topic_of))


def _check_sample(rows: pd.DataFrame) -> None:
    """Refuse labels that are no sample, or too few to say anything."""
    if not (rows["draw"] != "").any():
        raise UserError(
            "shares need labels of paragraphs that were drawn at random, and nothing says how "
            "these paragraphs were chosen. Label a random sample (`paratopic label --random --n "
            f"{3 * LEAST_LABELS}`); or, if the labelled rows of your table are one, write `random: "
            "true` below its path in params.yaml. Then run `dvc repro`"
        )
    if _by_article(rows):
        _check_size(rows["article"].nunique(), "article", "labels; shares", LEAST_ARTICLES)
    _check_size(size_of(rows["worth"].to_numpy()), "paragraph", "labels; shares", LEAST_LABELS)


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


def _by_article(rows: pd.DataFrame) -> bool:
    """Whether whole articles were drawn."""
    return bool((rows["draw"] == "article").any())


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


def _article_rows(rows: pd.DataFrame) -> pd.DataFrame:
    """A row for each article: its whole text, and the values that all its paragraphs have."""
    own = {*SCHEMA.names} - {"title", "heading"}
    columns = [name for name in rows if name not in own]
    of_article = rows.groupby("article", sort=False)
    alike = of_article[columns].nunique(dropna=False) == 1
    first = rows.drop_duplicates("article").set_index("article")[columns]
    return first.where(alike).assign(text=of_article["text"].agg("\n\n".join)).reset_index()
