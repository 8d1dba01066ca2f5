"""Which unlabelled paragraphs are worth labelling next: uncertain ones, unlike each other.

Nothing here writes a file or asks a person. Loads an encoder (torch) only where the model is one.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from sklearn.cluster import KMeans
from sklearn.feature_extraction.text import TfidfVectorizer
from threadpoolctl import threadpool_limits

from paratopic.classifier import Model, Scores
from paratopic.metrics import Array
from paratopic.topics import Mode

# Candidates among which clusters are sought, for each paragraph that is wanted.
CANDIDATES = 10
# Neighbours in the article that are shown on each side.
CONTEXT = 2


@dataclass(frozen=True)
class Suggestion:
    """A paragraph to label, in its context, with what the model says.

    Parameters
    ----------
    id, article, heading, text
        As in the paragraph table.
    before, after
        The neighbouring paragraphs of the article, at most two each.
    scores
        Probability of each topic, in codebook order; empty where no model has judged it.
    reason
        Why it is asked for, where that is not the model's doubt.
    """

    id: str
    article: str
    heading: str
    text: str
    before: tuple[str, ...]
    after: tuple[str, ...]
    scores: dict[str, float]
    reason: str = ""

    @property
    def topic(self) -> str:
        """The model's most probable topic, however sure it is; '' without scores."""
        return max(self.scores, key=self.scores.__getitem__, default="")

    @property
    def confidence(self) -> float:
        """Its probability; 0 without scores."""
        return self.scores.get(self.topic, 0.0)


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


def embed(model: Model, texts: list[str], device: str) -> Features:
    """Unit vectors of texts: of the model's own encoder, or TF-IDF where it has none."""
    if model.kind != "transformer":
        words = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode")
        return sparse.csr_matrix(words.fit_transform(texts))
    from paratopic import transformer

    encoder = transformer.load_encoder(str(model.folder), transformer.pick_device(device))
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


def in_context(
    frame: pd.DataFrame,
    ids: Sequence[str],
    scores: Sequence[dict[str, float]],
    reasons: Sequence[str] | None = None,
) -> list[Suggestion]:
    """Paragraphs by their ids, with their neighbours, their scores and the reasons to ask."""
    ordered = frame.sort_values(["article", "position"], ignore_index=True)
    place = {identity: row for row, identity in enumerate(ordered["id"])}
    texts, articles = list(ordered["text"]), list(ordered["article"])
    found = []
    for identity, row, why in zip(ids, scores, reasons or [""] * len(ids), strict=True):
        here = place[identity]
        near = range(max(0, here - CONTEXT), min(len(texts), here + CONTEXT + 1))
        same = [n for n in near if articles[n] == articles[here]]
        found.append(
            Suggestion(
                identity,
                articles[here],
                ordered["heading"][here],
                texts[here],
                tuple(texts[n] for n in same if n < here),
                tuple(texts[n] for n in same if n > here),
                row,
                why,
            )
        )
    return found
