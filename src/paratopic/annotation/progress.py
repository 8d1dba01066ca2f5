"""How far the labels are: what there is of each topic, and what more labels would allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from paratopic.corpus.duplicates import article_groups, near_duplicates
from paratopic.corpus.folds import LEAST_FOLDS
from paratopic.corpus.table import has_hand_label, labelled_rows, outcomes_of
from paratopic.inference.promise import why_none_is_sure
from paratopic.project.topics import NO_TOPIC, Topics


def count_labels(frame: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """Count the labels of each topic.

    Parameters
    ----------
    topics
        The codebook, whose mode says which of a paragraph's topics count.

    Returns
    -------
    One row for each topic, and a last one for none of the topics; columns hand and weak (numbers
    of paragraphs with such a label) and articles (number of those with a hand label).
    """
    rows = labelled_rows(frame, topics)
    has, by_hand = outcomes_of(rows, topics.names), has_hand_label(rows)
    counts = {
        "hand": has[by_hand].sum(),
        "weak": has[~by_hand].sum(),
        "articles": has[by_hand].groupby(rows["article"]).any().sum(),
    }
    return pd.DataFrame(counts).astype(int)


def missing(
    frame: pd.DataFrame,
    topics: Topics,
    measured: Mapping[str, Any] | None,
) -> list[str]:
    """Say what more labels would allow, the nearest first.

    Parameters
    ----------
    measured
        metrics.json of the champion; None where nothing was measured.
    """
    counts = count_labels(frame, topics)
    by_hand = counts.loc[list(topics.names), "hand"]
    notes = []
    if few := [name for name, n in by_hand.items() if n < 2]:
        lacking = "measured" if topics.descriptions else "learnt and measured"
        notes.append(
            f"{', '.join(map(str, few))}: fewer than 2 hand labels, too few to be {lacking}"
        )
    if not counts.loc[NO_TOPIC, "hand"]:
        notes.append(
            f"{NO_TOPIC}: no label yet; a few such paragraphs teach the models when to predict none"
        )
    n_articles = _n_articles(frame, topics)
    if n_articles < LEAST_FOLDS:
        notes.append(
            f"figures for new articles: they need topics in {LEAST_FOLDS} articles, and there "
            f"{'is' if n_articles == 1 else 'are'} {n_articles}. Until then, a split puts "
            "paragraphs of one article on both sides"
        )
    sure = (measured or {}).get("abstention", {}).get("sure")
    if measured and sure and sure["threshold"] is None:
        n_groups = _n_groups(frame, topics, measured["split_unit"])
        notes.append(f"sure predictions: {why_none_is_sure(measured, n_groups)}")
    return notes


def _n_articles(frame: pd.DataFrame, topics: Topics) -> int:
    """Number of articles in which a paragraph has a topic by hand."""
    return int(_with_topic(frame[has_hand_label(frame)], topics)["article"].nunique())


def _n_groups(frame: pd.DataFrame, topics: Topics, unit: str) -> int:
    """Number of groups in which a paragraph that would be evaluated has a topic.

    The unit is what groups consist of: articles with their copies, or paragraphs with their
    near-duplicates.
    """
    rows = _with_topic(frame, topics)
    rows = rows[has_hand_label(rows)]
    groups = near_duplicates(list(rows["text"]))
    if unit == "article":
        groups = article_groups(pd.factorize(rows["article"])[0], groups)
    return len(set(groups))


def _with_topic(frame: pd.DataFrame, topics: Topics) -> pd.DataFrame:
    """The labelled rows that have a topic."""
    rows = labelled_rows(frame, topics)
    return rows[rows["topic"].str.len() > 0]
