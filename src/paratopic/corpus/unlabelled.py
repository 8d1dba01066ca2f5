"""Deal paragraphs without a label to the folds of the labelled ones.

The share of a topic in a corpus is the mean of predictions, corrected by how far predictions are
from labels. Both have to come from the same models (cross-prediction: Zrnic & Candès 2024, PNAS
121, e2322083121, https://arxiv.org/abs/2309.16598): a model that learnt from an article knows its
other paragraphs better than a model of the folds, which did not. So whatever is dealt here is held
out with its article.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from paratopic.corpus.duplicates import Integers, near_duplicates
from paratopic.corpus.folds import ALWAYS_TRAIN, Folds
from paratopic.corpus.labelled import DEALT_COLUMNS
from paratopic.corpus.table import has_hand_label

# Distinct texts that are dealt, at most. With more, those that are dealt show how far the final
# model's predictions are from those of the folds' models.
MOST_TEXTS = 5_000


def deal_unlabelled(
    paragraphs: pd.DataFrame, rows: pd.DataFrame, folds: Folds, seed: int
) -> pd.DataFrame:
    """Say which fold holds each paragraph without a label out, in each repeat.

    It is the fold of its article. An article without labels goes to the fold that holds out a
    near-duplicate of one of its paragraphs, or else to any, in proportion to the labels that folds
    hold out. Nothing depends on how labelled paragraphs were drawn.

    Parameters
    ----------
    paragraphs
        Paragraph table. Boilerplate is left out, and of a text that occurs several times, all but
        the first.
    rows
        Its labelled rows. Those with weak labels in no fold are dealt like those without a label.
    folds
        The folds of these rows.

    Returns
    -------
    Columns id, article, repeat, fold (`ALWAYS_TRAIN` in an article that no fold holds out), and
    copy_of, the id of a labelled near-duplicate or "". At most `MOST_TEXTS` are drawn. There are no
    rows if folds do not hold out whole articles in turn: then no models predict all of the corpus
    without having learnt from it.
    """
    if folds.split_unit != "article" or folds.n_folds < 2:
        return pd.DataFrame(columns=DEALT_COLUMNS)
    held_out = folds.table["id"][folds.table["fold"] != ALWAYS_TRAIN]
    scored = rows["text"][has_hand_label(rows) | rows["id"].isin(held_out)]
    others = paragraphs[~paragraphs["boilerplate"] & ~paragraphs["text"].isin(scored)]
    others = others.drop_duplicates("text")
    rng = np.random.default_rng([seed, len(others)])
    if len(others) > MOST_TEXTS:
        others = others.iloc[np.sort(rng.choice(len(others), MOST_TEXTS, replace=False))]
    duplicates = near_duplicates([*rows["text"], *others["text"]])
    first = rows["id"].groupby(duplicates[: len(rows)]).first()
    others = others.assign(copy_of=first.reindex(duplicates[len(rows) :]).fillna("").tolist())
    dealt = folds.table.merge(rows[["id", "article"]].assign(by_hand=has_hand_label(rows)), on="id")
    article_of = rows.set_index("id")["article"]
    beside = others[others["copy_of"] != ""].drop_duplicates("article").set_index("article")
    like = article_of.loc[beside["copy_of"]].set_axis(beside.index)
    new = np.setdiff1d(others["article"], article_of)
    parts = []
    for repeat, part in dealt.groupby("repeat"):
        fold_of = part.groupby("article")["fold"].max()
        sizes = part["fold"][part["by_hand"] & (part["fold"] != ALWAYS_TRAIN)].value_counts()
        at_random = pd.Series(_in_proportion(sizes.sort_index(), rng.permutation(len(new))), new)
        of_copies = fold_of.loc[like].set_axis(like.index)
        at_random.update(of_copies[of_copies.index.isin(new)])
        fold = others["article"].map(pd.concat([fold_of, at_random.astype(np.int64)]))
        parts.append(others.assign(repeat=repeat, fold=fold)[DEALT_COLUMNS])
    return pd.concat(parts, ignore_index=True)


def _in_proportion(sizes: pd.Series, order: Integers) -> Integers:
    """Fold of each of n articles, which are put in this order, as many to each as its size says."""
    ends = np.cumsum(sizes.to_numpy()) / sizes.sum()
    places = np.searchsorted(ends, (order + 0.5) / max(len(order), 1))
    return np.asarray(sizes.index.to_numpy()[places], dtype=np.int64)
