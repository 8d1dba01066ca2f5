"""Doubtful hand labels, which a person should check, with reasons.

This module reads labels, texts and out-of-fold scores. It trains no model and changes no label.
`evaluation.outcomes` has the mistakes of models, including those with low probabilities.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd

from paratopic.corpus.duplicates import near_duplicates
from paratopic.corpus.labelled import Labelled
from paratopic.corpus.table import read_parquet, targets_of
from paratopic.evaluation.outcomes import mean_over_repeats
from paratopic.inference.modes import Array, mode_of
from paratopic.project.files import IN_CONTEXT, Paths, outdated_error
from paratopic.project.topics import Topics, topics_in_words

# A topic with a lower probability does not contradict a label.
PROBABLE = 0.5

# Reasons for checking a label.
CONTRADICTED = "the models say otherwise"
DUPLICATE = "near-duplicate of"


def read_scores(
    paths: Paths, data: Labelled, models: Sequence[str]
) -> tuple[pd.DataFrame, list[pd.DataFrame]]:
    """Select the rows with a hand label, and read the calibrated out-of-fold scores of each model.

    The tables of scores are in the order of `models`, and have all labelled rows. A `UserError`
    reports a file that is missing, or was made from other paragraphs or topics.
    """
    topics, ids = data.topics, data.rows["id"]
    files = [paths.scores / model / IN_CONTEXT for model in models]
    scores = [read_parquet(path) for path in files]
    for path, table in zip(files, scores, strict=True):
        columns = {*topics.score_columns, *topics.threshold_columns}
        if not (columns <= {*table.columns} and table["id"].isin(ids).all()):
            raise outdated_error(path)
    return data.hand_labelled.rows.reset_index(drop=True), scores


def rank_doubtful(
    rows: pd.DataFrame, scores: Sequence[pd.DataFrame], topics: Topics
) -> pd.DataFrame:
    """Rank hand labels by doubt, and give reasons for checking some of them.

    The doubt about a label is one minus its self-confidence (Northcutt, Jiang & Chuang 2021,
    https://arxiv.org/abs/1911.00068), the out-of-fold probability of its topic, averaged over
    models and repeats. If the label is none of the topics, the doubt is the highest probability of
    a topic. In mode multi, the presence or absence of each topic is a label of its own, and the
    highest doubt is taken. If near-duplicates have labels without a common topic, the doubt is at
    least the share of them that differ from this label, such as one half for a pair.

    Parameters
    ----------
    rows
        Hand-labelled paragraphs: id, text and label (topics, empty for none of them).
    scores
        One table for each of one or more models, as stage calibrate writes it: id, repeat, and a
        column of scores and one of thresholds for each topic. The doubt about a paragraph without
        scores depends only on its near-duplicates.

    Returns
    -------
    All rows, the most doubtful first, ties by id: paragraph (id), label (a tuple), text,
    suggestion (the most probable topic, "" without scores), confidence (its probability, 0 without
    scores), reason for checking the label, unsure and doubt, 0 to 1. A reason is a near-duplicate
    with another label, or that the models contradict the label (`CONTRADICTED`); "" for none. A
    label is unsure if it has scores and a topic, no near-duplicate contradicts it, and no topic is
    probable (`PROBABLE`): the models are weak there, and do not contradict the label.
    """
    rows = rows.sort_values("id", ignore_index=True)
    mean = mean_over_repeats(pd.concat(scores), topics).set_index("id")
    scored = rows["id"].isin(mean.index).to_numpy()
    mean = mean.reindex(rows["id"], fill_value=0.0)
    probabilities = mean[topics.score_columns].to_numpy(dtype=np.float64)
    thresholds = mean[topics.threshold_columns].to_numpy(dtype=np.float64)
    targets = targets_of(rows["label"], topics.names)
    doubt, contradicted = mode_of(topics.mode).label_doubt(probabilities, targets, thresholds)
    confidence = probabilities.max(axis=1)
    best = np.array(topics.names, dtype=object)[probabilities.argmax(axis=1)]
    share, conflict = _conflicts(rows)
    is_contradicted = contradicted & scored & (confidence >= PROBABLE)
    ranked = pd.DataFrame(
        {
            "paragraph": rows["id"],
            "label": list(map(tuple, rows["label"])),
            "text": rows["text"],
            "suggestion": np.where(scored, best, ""),
            "confidence": confidence,
            "reason": np.select([share > 0, is_contradicted], [conflict, CONTRADICTED], default=""),
            "unsure": scored & targets.any(axis=1) & (share == 0) & (confidence < PROBABLE),
            "doubt": np.maximum(doubt * scored, share),
        }
    )
    return ranked.sort_values("doubt", ascending=False, kind="stable", ignore_index=True)


def _conflicts(rows: pd.DataFrame) -> tuple[Array, npt.NDArray[np.object_]]:
    """Find near-duplicates whose labels have no topic in common.

    The first result, (n,), is the share of each row's near-duplicates, with itself, whose labels
    conflict with its own. The second, (n,), is a reason that names the first and its label, or "".
    """
    share = np.zeros(len(rows))
    reasons = np.full(len(rows), "", dtype=object)
    labels = [frozenset(names) for names in rows["label"]]
    groups = pd.Series(near_duplicates(list(rows["text"])))
    for group in groups.groupby(groups).groups.values():
        rows_of_label = defaultdict(list)
        for row in group:
            rows_of_label[labels[row]].append(row)
        for label, agreeing in rows_of_label.items():
            # An empty label, for none of the topics, conflicts with all others.
            conflicting = [
                others
                for other, others in rows_of_label.items()
                if label != other and not label & other
            ]
            if conflicting:
                first = min(conflicting)[0]
                names = topics_in_words(rows["label"][first])
                share[agreeing] = sum(map(len, conflicting)) / len(group)
                reasons[agreeing] = f"{DUPLICATE} {rows['id'][first]} ({names})"
    return share, reasons
