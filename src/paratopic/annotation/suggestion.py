"""Which unlabelled paragraphs are worth labelling next: uncertain ones, unlike each other.

Nothing here writes a file or asks a person. Loads an encoder (torch) only where the model is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from paratopic.annotation.context import Suggestion, in_context
from paratopic.inference.model import Model
from paratopic.inference.scores import Array, Scores
from paratopic.project.topics import Mode

# Candidates among which clusters are sought, for each paragraph that is wanted.
CANDIDATES = 10


def unlabelled(frame: pd.DataFrame, judged: Collection[str]) -> pd.DataFrame:
    """The paragraphs that nobody has labelled, headings apart; `judged` are ids of labels.csv."""
    return frame[(frame["label_source"] != "hand") & ~frame["id"].isin(judged)]


Features = Array | sparse.csr_matrix


def choose(
    scores: Scores,
    embed: Callable[[npt.NDArray[np.int64]], Features],
    n: int,
    seed: int,
    mode: Mode,
) -> npt.NDArray[np.int64]:
    """Pick the n rows that are most worth labelling, the most uncertain first.

    Of the 10 n rows with the smallest margin between the two most probable topics, clustered into n
    by k-means that weighs rows by 1 - margin, the one nearest to each centre (Zhdanov 2019,
    https://arxiv.org/abs/1901.05954).

    Parameters
    ----------
    scores
        (m, k) probabilities. What a row lacks to 1 is the probability of none of the topics, and
        counts as one topic more: a row that surely has none is not uncertain.
    embed
        Features of the rows with these numbers, one of unit length each: near ones mean the same.
    n
        How many are wanted.
    seed
        Of the first centres.
    mode
        In mode multi the margin is that of the topic that is nearest to as probable as not.

    Returns
    -------
    (min(n, m),) row numbers.
    """
    if mode == "single":
        highest = np.sort(np.column_stack([scores, 1 - scores.sum(axis=1)]), axis=1)
        doubt = 1 - (highest[:, -1] - highest[:, -2])
    else:
        doubt = 1 - np.abs(2 * scores - 1).min(axis=1)
    order = np.argsort(-doubt, kind="stable")
    if n >= len(order):
        return order
    among = order[: CANDIDATES * n]
    rows = embed(among)
    # Rows without any doubt would weigh nothing at all.
    weights = np.maximum(doubt[among], 1e-6)
    with threadpool_limits(1):  # sums in one order, whatever the machine
        means = KMeans(n, n_init=3, random_state=seed).fit(rows, sample_weight=weights)
        distance = means.transform(rows)
    nearest = {
        int(own[distance[own, cluster].argmin()])
        for cluster in range(n)
        if len(own := np.flatnonzero(means.labels_ == cluster))
    }
    # Fewer clusters than were asked for where rows are the same: the most uncertain of the others.
    spare = (row for row in range(len(among)) if row not in nearest)
    chosen = sorted([*nearest, *(next(spare) for _ in range(n - len(nearest)))])
    return among[chosen]


def embed_texts(model: Model, texts: list[str], device: str) -> Features:
    """Unit vectors of texts: of the model's own encoder, or TF-IDF where it has none."""
    if model.kind != "transformer":
        words = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode")
        return sparse.csr_matrix(words.fit_transform(texts))
    from paratopic.transformer.encoder import load_encoder, pick_device

    encoder = load_encoder(str(model.folder), pick_device(device))
    vectors: Array = encoder.encode(texts, normalize_embeddings=True, show_progress_bar=False)
    return vectors.astype(np.float64)


def suggest(
    frame: pd.DataFrame,
    judged: Collection[str],
    model: Model,
    embed: Callable[[list[str]], Features],
    n: int,
    seed: int,
) -> list[Suggestion]:
    """The n unlabelled paragraphs that are most worth labelling; of equal texts one.

    Parameters
    ----------
    frame
        Paragraph table.
    judged
        Ids of paragraphs that have been labelled since it was written.
    model
        Says what it is unsure of.
    embed
        Unit vectors of texts.
    n, seed
        As for `choose`.
    """
    rows = unlabelled(frame, judged).drop_duplicates("text").sort_values("id")
    if rows.empty:
        return []
    texts = list(rows["text"])
    scores = model.predict_proba(texts)
    chosen = choose(scores, lambda among: embed([texts[row] for row in among]), n, seed, model.mode)
    said = [dict(zip(model.classes_, scores[row].tolist(), strict=True)) for row in chosen]
    return in_context(frame, list(rows["id"].iloc[chosen]), said)
