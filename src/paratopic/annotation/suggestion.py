"""Suggest unlabelled paragraphs to label next: uncertain ones that differ from each other.

Copies come last. This module does not read labels.csv, write files or ask people.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt
import pandas as pd
from sklearn.cluster import KMeans
from threadpoolctl import threadpool_limits

from paratopic.annotation.context import Suggestion, in_context, with_predictions
from paratopic.annotation.sampling import unlabelled
from paratopic.corpus.duplicates import near_duplicates
from paratopic.corpus.table import passages
from paratopic.inference.model import Model
from paratopic.inference.modes import mode_of
from paratopic.inference.scores import Array, Features, Integers

# Number of candidates for each paragraph that is to be chosen.
CANDIDATES = 10
# Smallest weight of a row in the clustering: k-means needs weights above zero.
SMALLEST_WEIGHT = 1e-6


def suggest(
    frame: pd.DataFrame,
    judged: Collection[str],
    model: Model,
    n: int,
    seed: int,
    gains: Array | float = 0.0,
) -> list[Suggestion]:
    """Suggest the n unlabelled paragraphs that are most worth labelling.

    Parameters
    ----------
    model
        Model whose scores tell which paragraphs are uncertain, and whose embeddings tell which are
        alike.
    gains
        How much else a label of each row of `frame` would tell, 0 to 1, which is added to the
        model's doubt; nothing by default.

    Returns
    -------
    At most n suggestions, the most uncertain first. Paragraphs that are like one with a label, or
    like one before them, come after all others.
    """
    rows = unlabelled(frame, judged)
    if rows.empty:
        return []
    places_of = frame.index.get_indexer(rows.index)
    texts, beside = passages(frame, places_of), np.broadcast_to(gains, len(frame))[places_of]
    predictions = model.predict(texts)
    scores = np.array([list(answer.scores.values()) for answer in predictions])

    chosen: list[int] = []
    is_new = _is_new(frame, rows)
    for part in (np.flatnonzero(is_new), np.flatnonzero(~is_new)):
        if len(chosen) == n:
            break

        def embed_part(numbers: Integers, part: Integers = part) -> Features:
            return model.embed([texts[number] for number in part[numbers]])

        doubt = mode_of(model.mode).doubt(scores[part]) + beside[part]
        places = choose(doubt, embed_part, n - len(chosen), seed)
        chosen += part[places].tolist()
    suggestions = in_context(frame, dict.fromkeys(rows["id"].iloc[chosen], ""))
    return with_predictions(suggestions, [predictions[number] for number in chosen])


def choose(doubt: Array, embed: Callable[[Integers], Features], n: int, seed: int) -> Integers:
    """Choose the n rows that are most worth labelling.

    The 10 n rows with the highest doubt are clustered into n by k-means, each row weighted by its
    doubt. The row nearest to each centre is chosen (Zhdanov 2019,
    https://arxiv.org/abs/1901.05954).

    Parameters
    ----------
    doubt
        (m,) doubt about each row, from 0 on.
    embed
        Function from row numbers (r,) to the features of these rows, (r, d).

    Returns
    -------
    (min(n, m),) row numbers, the most uncertain row first.
    """
    order = np.argsort(-doubt, kind="stable")
    if n >= len(order):
        return order
    candidates = order[: CANDIDATES * n]
    return candidates[_central(embed(candidates), doubt[candidates], n, seed)]


def _central(features: Features, doubt: Array, n: int, seed: int) -> list[int]:
    """Numbers of n of the rows, in ascending order: the one nearest to the centre of each cluster.

    Equal rows can leave fewer than n clusters; the first of the remaining rows then fill up.
    """
    weights = np.maximum(doubt, SMALLEST_WEIGHT)
    with threadpool_limits(1):  # one order of summation, so that all machines choose the same
        means = KMeans(n, n_init=3, random_state=seed).fit(features, sample_weight=weights)
        distances = means.transform(features)
    nearest = set()
    for cluster in range(n):
        members = np.flatnonzero(means.labels_ == cluster)
        if len(members):
            nearest.add(int(members[distances[members, cluster].argmin()]))
    remaining = (row for row in range(len(doubt)) if row not in nearest)
    return sorted([*nearest, *(next(remaining) for _ in range(n - len(nearest)))])


def _is_new(frame: pd.DataFrame, left: pd.DataFrame) -> npt.NDArray[np.bool_]:
    """Whether each of the rows that are left to label, (m,), is unlike those that come before it.

    Of texts that differ in few words or in numbers alone, the first is, unless one has a label.
    """
    kinds = pd.Series(near_duplicates(frame["text"].str.replace(r"\d", "0", regex=True).tolist()))
    kind = kinds.set_axis(frame.index)[left.index]
    labelled = kinds[~frame["text"].isin(left["text"]).to_numpy()]
    return ~(kind.isin(labelled) | kind.duplicated()).to_numpy(dtype=np.bool_)
