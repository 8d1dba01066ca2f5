"""Near-duplicates: texts that share most of their three-word sequences."""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer

# Two paragraphs are near-duplicates when they share this much of their three-word sequences
# (Jaccard). One word changed in twenty leaves 0.71; paragraphs written apart stay below 0.2.
NEAR_DUPLICATE = 0.5


def near_duplicates(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number texts so that near-duplicates, also by way of a third text, share a number.

    Parameters
    ----------
    texts
        n texts. Case and punctuation do not count.

    Returns
    -------
    (n,) array, numbered from 0 in order of appearance.
    """
    vectoriser = CountVectorizer(analyzer=_shingles, binary=True, dtype=np.int32)
    shingles = vectoriser.fit_transform(texts).tocsr()
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    others = shingles.T.tocsr()
    pairs = []
    step = 500  # rows at a time keep the product of ten thousand texts under 100 MB
    for start in range(0, len(texts), step):
        shared = (shingles[start : start + step] @ others).tocoo()
        row, column = shared.row + start, shared.col
        union = sizes[row] + sizes[column] - shared.data
        close = shared.data >= NEAR_DUPLICATE * union
        pairs.append((row[close], column[close]))
    row = np.concatenate([pair[0] for pair in pairs])
    column = np.concatenate([pair[1] for pair in pairs])
    return components(row, column, len(texts))


def _shingles(text: str) -> list[str]:
    words = re.findall(r"\w+", text.lower())
    if len(words) < 3:
        return [" ".join(words) or text]
    return [" ".join(words[i : i + 3]) for i in range(len(words) - 2)]


def components(
    row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    graph = sparse.coo_matrix((np.ones(len(row), dtype=np.int8), (row, column)), shape=(n, n))
    numbers = connected_components(graph, directed=False)[1]
    return pd.factorize(numbers)[0].astype(np.int64)
