"""Near-duplicates, and articles that are copies of each other.

Texts are near-duplicates when they share most of their three-word sequences, articles are copies
when they share most of their paragraphs. Texts are compared word by word; paraphrases are not
found.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components
from sklearn.feature_extraction.text import CountVectorizer

# Two texts are near-duplicates when the Jaccard index of their sets of three-word sequences is at
# least this. One changed word in twenty leaves 0.71; texts written separately stay below 0.2.
NEAR_DUPLICATE = 0.5

# A paragraph in more distinct articles than this is a recurring text, such as an agency's note, and
# no sign of a copy. Without a bound, every two articles that have it would be compared.
RECURRING = 100

# Texts compared with all others at a time: keeps the product of ten thousand texts under 100 MB.
_STEP = 500

# Says which pairs belong together, (m,), from the number of features that the two share, and the
# numbers that the one and the other have, (m,) each.
_Close = Callable[
    [npt.NDArray[np.int64], npt.NDArray[np.int64], npt.NDArray[np.int64]], npt.NDArray[np.bool_]
]


def near_duplicates(texts: Sequence[str]) -> npt.NDArray[np.int64]:
    """Number texts so that near-duplicates share a number.

    Two texts also share a number when a chain of near-duplicates connects them.

    >>> near_duplicates(["Tariffs rose today.", "It rained.", "tariffs rose today"]).tolist()
    [0, 1, 0]

    Parameters
    ----------
    texts
        n texts. Case and punctuation are ignored.

    Returns
    -------
    (n,) numbers, from 0 in order of appearance.
    """
    if not len(texts):  # no vocabulary to compare them by
        return np.zeros(0, dtype=np.int64)
    words = [" ".join(_words(text)) or text for text in texts]
    # A text that recurs a thousand times is compared with the others once, not a million times.
    numbers, distinct = pd.factorize(np.array(words, dtype=object))
    vectoriser = CountVectorizer(analyzer=_shingles, binary=True, dtype=np.int32)
    shingles = vectoriser.fit_transform(distinct).tocsr()
    return _connect(shingles, shingles.getnnz(axis=1), _overlap)[numbers]


def article_groups(
    articles: npt.NDArray[np.int64], duplicates: npt.NDArray[np.int64]
) -> npt.NDArray[np.int64]:
    """Number paragraphs so that those of an article, and of its copies, share a number.

    Two articles are copies when more than half of the distinct paragraphs of both are
    near-duplicates of paragraphs of the other. Two articles also share a number when a chain of
    copies connects them. Paragraphs that recur in more than `RECURRING` articles make no copies,
    unless the articles have the same paragraphs altogether.

    >>> article_groups(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 0, 1, 2])).tolist()
    [0, 0, 0, 0, 1, 1]

    Parameters
    ----------
    articles
        (n,) number of each paragraph's article, from 0 in order of appearance.
    duplicates
        (n,) numbers of the paragraphs from `near_duplicates`.

    Returns
    -------
    (n,) numbers, from 0 in order of appearance.
    """
    members = sparse.csr_matrix((np.ones(len(articles), dtype=np.int32), (articles, duplicates)))
    members.data[:] = 1
    paragraphs = [members.indices[start:end].tobytes() for start, end in pairwise(members.indptr)]
    # Articles with the same paragraphs are compared with the others once.
    numbers = pd.factorize(np.array(paragraphs, dtype=object))[0]
    distinct = members[np.unique(numbers, return_index=True)[1]]
    n_articles = distinct.getnnz(axis=0)
    shared = distinct[:, (n_articles > 1) & (n_articles <= RECURRING)]
    return _connect(shared, distinct.getnnz(axis=1), _mostly_shared)[numbers][articles]


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


def _connect(
    features: sparse.csr_matrix, sizes: npt.NDArray[np.int64], close: _Close
) -> npt.NDArray[np.int64]:
    """Number n rows so that chains of close ones share a number.

    Parameters
    ----------
    features
        (n, m) features that each row has, as zeros and ones.
    sizes
        (n,) number of features of each row, including any that `features` leaves out.
    close
        Says which rows belong together.
    """
    transposed = features.T.tocsr()
    pairs = []
    for start in range(0, len(sizes), _STEP):
        shared = (features[start : start + _STEP] @ transposed).tocoo()
        row, column = shared.row + start, shared.col
        kept = close(shared.data, sizes[row], sizes[column])
        pairs.append((row[kept], column[kept]))
    row = np.concatenate([pair[0] for pair in pairs])
    column = np.concatenate([pair[1] for pair in pairs])
    return components(row, column, len(sizes))


def _overlap(
    shared: npt.NDArray[np.int64], one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether the Jaccard index is at least `NEAR_DUPLICATE`."""
    return shared >= NEAR_DUPLICATE * (one + other - shared)


def _mostly_shared(
    shared: npt.NDArray[np.int64], one: npt.NDArray[np.int64], other: npt.NDArray[np.int64]
) -> npt.NDArray[np.bool_]:
    """Whether more than half of both is shared."""
    return 2 * shared > np.maximum(one, other)


def _words(text: str) -> list[str]:
    """Words without case and punctuation: "Yes, tariffs rose" → ["yes", "tariffs", "rose"]."""
    return re.findall(r"\w+", text.lower())


def _shingles(text: str) -> list[str]:
    """Sequences of three words: "Yes, tariffs rose today" → ["yes tariffs rose", "tariffs …"]."""
    words = _words(text)
    if len(words) < 3:
        return [" ".join(words) or text]
    return [" ".join(words[i : i + 3]) for i in range(len(words) - 2)]
