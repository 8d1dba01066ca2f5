"""Doubtful labels: which hand labels a person should look at again, and why.

It reads labels, texts and out-of-fold scores. Nothing is trained here, and no label is changed.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from paratopic.corpus.duplicates import near_duplicates
from paratopic.corpus.table import labelled_rows, read_paragraphs
from paratopic.inference.scores import Array, Integers
from paratopic.project.errors import UserError
from paratopic.project.paths import PARAGRAPHS, SCORES
from paratopic.project.topics import SEPARATOR, Topics

# A topic that is less probable than not does not contradict a label, nor place a paragraph.
PLACED = 0.5

CONTRADICTED = "the models say otherwise"

DUPLICATE = "near-duplicate of"

UNPLACED = "no model can place it"


def read_scores(models: Sequence[str], topics: Topics) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """The hand-labelled paragraphs, and each model's calibrated out-of-fold scores.

    Raises
    ------
    UserError
        The pipeline has not made them yet, or made them from other paragraphs or topics.
    """
    paths = [SCORES / model / "scores.parquet" for model in models]
    for path in (PARAGRAPHS, *paths):
        if not path.exists():
            raise UserError(f"{path} not found: run `make repro` in the project's root first")
    rows = labelled_rows(read_paragraphs(PARAGRAPHS), topics.mode)
    scores = [pd.read_parquet(path) for path in paths]
    for path, table in zip(paths, scores, strict=True):
        if not set(topics.names) <= set(table.columns) or not table["id"].isin(rows["id"]).all():
            raise UserError(f"{path} is of other topics or paragraphs: run `make repro` anew")
    return rows[rows["label_source"] == "hand"].reset_index(drop=True), scores


def rank_doubtful(
    rows: pd.DataFrame, scores: Sequence[pd.DataFrame], topics: Topics
) -> pd.DataFrame:
    """Rank hand labels by how probably they are wrong, and give reasons for looking at them.

    A label's doubt is what the out-of-fold scores, averaged over models and repeats, leave to
    other topics than the label's: one minus its self-confidence (Northcutt, Jiang & Chuang 2021,
    https://arxiv.org/abs/1911.00068). Of a label that says none of the topics it is the highest
    score; in mode multi, where each topic is a label of its own, that of the most doubtful one.
    Where near-duplicates have labels with no topic in common, it is at least the share of
    them that speak against this one: a half for each of two.

    Parameters
    ----------
    rows
        Hand-labelled paragraphs: id, text and topics (a list, empty for none of the topics).
    scores
        One table a model, as the score stage writes them: id, repeat, a score and (read in mode
        multi) a threshold a topic. A paragraph without scores is judged by its near-duplicates
        alone.
    topics
        The codebook.

    Returns
    -------
    All rows, the most doubtful first, equal ones by id: paragraph (id), topics (as in labels.csv),
    text, suggestion (the topic with the highest score, '' without scores), confidence (that score),
    reason ('' for none) and doubt, 0 to 1.
    """
    rows = rows.sort_values("id", ignore_index=True)
    names = topics.names
    limits = topics.thresholds if topics.mode == "multi" else []
    mean = pd.concat(scores).groupby("id")[[*names, *limits]].mean()
    scored = rows["id"].isin(mean.index).to_numpy()
    mean = mean.reindex(rows["id"], fill_value=0.0)
    found = mean[list(names)].to_numpy(dtype=np.float64)
    has = np.array([[name in topics for name in names] for topics in rows["topics"]])
    topical = has.any(axis=1)
    best, top = found.argmax(axis=1), found.max(axis=1)
    if topics.mode == "single":
        doubt = np.where(topical, 1 - (found * has).sum(axis=1), top)
        otherwise = ~has[np.arange(len(rows)), best]
    else:
        doubt = np.where(has, 1 - found, found).max(axis=1)
        at = mean[limits].to_numpy(dtype=np.float64)
        lacking = has & (found < np.minimum(at, PLACED))
        otherwise = (lacking | (~has & (found >= np.maximum(at, PLACED)))).any(axis=1)
    doubt = doubt * scored

    against, other = _conflicts(rows)
    reason = np.full(len(rows), "", dtype=object)
    reason[scored & topical & (top < PLACED)] = UNPLACED
    reason[scored & otherwise & (top >= PLACED)] = CONTRADICTED
    cells = [SEPARATOR.join(topics) for topics in rows["topics"]]
    for row in np.flatnonzero(against):
        said = cells[other[row]] or "none of the topics"
        reason[row] = f"{DUPLICATE} {rows['id'][other[row]]} ({said})"
    table = pd.DataFrame(
        {
            "paragraph": rows["id"],
            "topics": cells,
            "text": rows["text"],
            "suggestion": np.where(scored, np.array(names, dtype=object)[best], ""),
            "confidence": top,
            "reason": reason,
            "doubt": np.maximum(doubt, against),
        }
    )
    return table.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)


def _conflicts(rows: pd.DataFrame) -> tuple[Array, Integers]:
    """For each row the share of its near-duplicates whose labels have no topic in common with its.

    Returns
    -------
    (n,) shares, of the group with the row itself, and (n,) the first such near-duplicate, as a row.
    """
    against = np.zeros(len(rows))
    other = np.zeros(len(rows), dtype=np.int64)
    topics = [frozenset(names) for names in rows["topics"]]
    numbers = pd.Series(near_duplicates(list(rows["text"])))
    for alike in numbers.groupby(numbers).groups.values():
        for row in alike:
            differing = [
                n for n in alike if topics[n] != topics[row] and not topics[n] & topics[row]
            ]
            if differing:
                against[row], other[row] = len(differing) / len(alike), differing[0]
    return against, other
