"""Labelled examples to show a language model: the paragraphs with a hand label that are most alike.

They are from other articles, so that an answer can be measured by a label on its own paragraph. How
they are shown is for `prompt`; what models may learn from such answers is for `corpus.weak`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from paratopic.corpus.duplicates import article_groups, near_duplicates
from paratopic.corpus.table import has_hand_label
from paratopic.inference.tfidf import TfIdf, clean
from paratopic.project.topics import Topics

# Texts are compared by these parts of words, which texts without blanks have too.
PARTS = {"analyzer": "char_wb", "ngram_range": (3, 5)}


@dataclass(frozen=True)
class Example:
    """A paragraph with a hand label.

    Parameters
    ----------
    id, text
        As in the paragraph table.
    topics
        The topics that count (`Topics.counted`); empty for none of the topics.
    """

    id: str
    text: str
    topics: tuple[str, ...]


def choose_examples(
    frame: pd.DataFrame, topics: Topics, ids: Sequence[str], k: int
) -> dict[str, tuple[Example, ...]]:
    """Choose the k labelled paragraphs that are most like each of some paragraphs, by TF-IDF.

    Those of the same article, or of a copy of it, are left out, and near-duplicates. Of labelled
    paragraphs that are near-duplicates of each other, one is an example.

    Parameters
    ----------
    frame
        Paragraph table.
    topics
        The codebook.
    ids
        Ids of the paragraphs to choose examples for.
    k
        Number of examples, at least 1.

    Returns
    -------
    Id → at most k examples, the most similar first. Paragraphs without any are left out.
    """
    labelled = np.flatnonzero(has_hand_label(frame))
    if not len(labelled):
        return {}
    duplicates = near_duplicates(list(frame["text"]))
    articles = article_groups(pd.factorize(frame["article"])[0], duplicates)
    texts, names = list(frame["text"]), list(frame["id"])
    asked = pd.Index(names).get_indexer(pd.Index(ids))
    tfidf, of_labelled = TfIdf.fit([clean(texts[row]) for row in labelled], PARTS)
    of_asked = tfidf.transform([clean(texts[row]) for row in asked])
    by_part = of_labelled.T.tocsr()
    labels = [topics.counted(label) for label in frame["topics"].iloc[labelled]]
    chosen = {}
    for place, row in enumerate(asked.tolist()):
        similarity = (of_asked[[place]] @ by_part).toarray()[0]
        apart = (articles[labelled] != articles[row]) & (duplicates[labelled] != duplicates[row])
        nearest = np.argsort(-similarity, kind="stable")
        nearest = nearest[apart[nearest]]
        first = np.sort(np.unique(duplicates[labelled[nearest]], return_index=True)[1])[:k]
        if len(first):
            chosen[names[row]] = tuple(
                Example(names[labelled[n]], texts[labelled[n]], labels[n]) for n in nearest[first]
            )
    return chosen
