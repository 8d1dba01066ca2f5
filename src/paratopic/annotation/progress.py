"""How far the labels are: what there is of each topic, and what more labels would allow."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pandas as pd

from paratopic.corpus.duplicates import article_groups, near_duplicates
from paratopic.corpus.folds import LEAST_FOLDS
from paratopic.corpus.labelled import Labelled
from paratopic.inference.promise import why_none_is_sure
from paratopic.project.topics import NO_TOPIC


def count_labels(data: Labelled) -> pd.DataFrame:
    """Count the labels of each topic.

    Returns
    -------
    One row for each topic, and a last one for none of the topics. Columns are numbers of
    paragraphs: "by hand" and "from weak sources"; and "articles", of those with a hand label.
    """
    has, by_hand = data.outcomes, data.by_hand
    counts = {
        "by hand": has[by_hand].sum(),
        "from weak sources": has[~by_hand].sum(),
        "articles": has[by_hand].groupby(data.rows["article"]).any().sum(),
    }
    return pd.DataFrame(counts).astype(int)


def missing(data: Labelled, measured: Mapping[str, Any] | None) -> list[str]:
    """Say what more labels would allow, the nearest first.

    Parameters
    ----------
    measured
        metrics.json of the champion; None where nothing was measured.
    """
    topics, hand = data.topics, data.hand
    counts, notes = hand.counts, []
    if few := [name for name in topics.names if counts[name] < 2]:
        lacking = "measured" if topics.descriptions else "learnt and measured"
        notes.append(f"{', '.join(few)}: fewer than 2 hand labels, too few to be {lacking}")
    if not counts[NO_TOPIC]:
        notes.append(
            f"{NO_TOPIC}: no label yet; a few such paragraphs teach the models when to predict none"
        )
    topical = hand.rows[~hand.outcomes[NO_TOPIC]]
    n_articles = topical["article"].nunique()
    if n_articles < LEAST_FOLDS:
        notes.append(
            f"figures for new articles: they need topics in {LEAST_FOLDS} articles, and there "
            f"{'is' if n_articles == 1 else 'are'} {n_articles}. Until then, a split puts "
            "paragraphs of one article on both sides"
        )
    sure = (measured or {}).get("abstention", {}).get("sure")
    if measured and sure and sure["threshold"] is None:
        n_groups = _n_groups(topical, measured["split_unit"])
        notes.append(f"sure predictions: {why_none_is_sure(measured, n_groups)}")
    return notes


def _n_groups(rows: pd.DataFrame, unit: str) -> int:
    """Number of groups in which the rows are.

    The unit is what groups consist of: articles with their copies, or paragraphs with their
    near-duplicates.
    """
    groups = near_duplicates(list(rows["text"]))
    if unit == "article":
        groups = article_groups(pd.factorize(rows["article"])[0], groups)
    return len(set(groups))
