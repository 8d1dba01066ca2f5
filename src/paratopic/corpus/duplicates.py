"""Near-duplicates: texts that share most of their three-word sequences.

Texts are compared word by word; paraphrases are not found.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer

# Two texts are near-duplicates when the Jaccard index of their sets of three-word sequences is at
# least this. One changed word in twenty leaves 0.71; texts written separately stay below 0.2.
NEAR_DUPLICATE = 0.5

# Texts compared with all others at a time: keeps the product of ten thousand texts under 100 MB.
_STEP = 500


def near_duplicates(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number texts so that near-duplicates share a number.

    Two texts also share a number when a chain of near-duplicates connects them.

    >>> near_duplicates(["Tariffs rose today.", "It rained.", "tariffs rose today"]).tolist()
    [0, 1, 0]

    Parameters
    ----------
    texts
        n texts, at least one. Case and punctuation are ignored.

    Returns
    -------
    (n,) numbers, from 0 in order of appearance.
    """
    vectoriser = CountVectorizer(analyzer=_shingles, binary=True, dtype=np.int32)
    shingles = vectoriser.fit_transform(texts).tocsr()
    sizes = np.asarray(shingles.sum(axis=1)).ravel()
    transposed = shingles.T.tocsr()
    pairs = []
    for start in range(0, len(texts), _STEP):
        shared = (shingles[start : start + _STEP] @ transposed).tocoo()
        row, column = shared.row + start, shared.col
        union = sizes[row] + sizes[column] - shared.data
        close = shared.data >= NEAR_DUPLICATE * union
        pairs.append((row[close], column[close]))
    row = np.concatenate([pair[0] for pair in pairs])
    column = np.concatenate([pair[1] for pair in pairs])
    return components(row, column, len(texts))


def components(
    row: npt.NDArray[np.int64], column: npt.NDArray[np.int64], n: int
) -> npt.NDArray[np.int64]:
    """Number n nodes so that connected ones share a number, from 0 in order of appearance.

    >>> components(np.array([0]), np.array([2]), 3).tolist()
    [0, 1, 0]

    Parameters
    ----------
    row, column
        (m,) the two ends of each edge.
    n
        Number of nodes.
    """
    graph = sparse.coo_matrix((np.ones(len(row), dtype=np.int8), (row, column)), shape=(n, n))
    numbers = connected_components(graph, directed=False)[1]
    return pd.factorize(numbers)[0].astype(np.int64)


def _shingles(text: str) -> list[str]:
    """Sequences of three words: "Yes, tariffs rose today" → ["yes tariffs rose", "tariffs …"]."""
    words = re.findall(r"\w+", text.lower())
    if len(words) < 3:
        return [" ".join(words) or text]
    return [" ".join(words[i : i + 3]) for i in range(len(words) - 2)]
