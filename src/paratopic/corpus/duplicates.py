"""Near-duplicates, and articles that are copies of each other.

Texts are compared word by word; paraphrases are not found.

Prefix filtering selects the pairs to compare (Chaudhuri, Ganti & Kaushik 2006): two texts that
share half of their features share one of the rarer half, and few texts have a rare feature. Only
pairs that are not connected yet are compared. The groups are the same as if all pairs were.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

import numpy as np
import numpy.typing as npt
import pandas as pd
from scipy import sparse
from scipy.sparse.csgraph import connected_components

from paratopic.project.scripts import CJK, THAI

Integers = npt.NDArray[np.int64]
Booleans = npt.NDArray[np.bool_]

# Two texts are near-duplicates when the Jaccard index of their sets of three-word sequences is at
# least this. One changed word in twenty leaves 0.71; texts written separately stay below 0.2.
NEAR_DUPLICATE = 0.5

# A paragraph in more distinct articles than this is a recurring text, such as an agency's note, and
# no sign of a copy. Without this limit, all pairs of articles with the paragraph would be compared.
RECURRING = 100

# In scripts without blanks between words, each character is a word.
_WORD = re.compile(rf"[{CJK}{THAI}]|[^\W{CJK}{THAI}]+")

# Number of features of pairs that are counted at a time.
_STEP = 5_000_000

# Whether pairs are close, (m,), by three arrays, (m,): the number of features that both rows share,
# and the numbers of features of the first and of the second row.
_Close = Callable[[Integers, Integers, Integers], Booleans]


def near_duplicates(texts: Sequence[str]) -> Integers:
    """Number n texts, (n,) from 0 in order of appearance; near-duplicates share a number.

    Two texts are near-duplicates when the Jaccard index of their sets of three-word sequences is
    `NEAR_DUPLICATE` or more. They also share a number when a chain of near-duplicates links them.
    Case and punctuation are ignored. Texts of one or two words must have the same words in order.

    >>> near_duplicates(["Tariffs rose today.", "It rained.", "tariffs rose today"]).tolist()
    [0, 1, 0]
    """
    numbers, sequences = _number_words(texts)
    shingles = _shingles(sequences)
    sizes = shingles.getnnz(axis=1)
    groups = _connect(
        shingles, sizes, lambda n, one, other: n >= NEAR_DUPLICATE * (one + other - n)
    )
    return groups[numbers]


def article_groups(articles: Integers, duplicates: Integers) -> Integers:
    """Number n > 0 paragraphs, (n,), so that those of an article and of its copies share a number.

    `articles`, (n,), are the numbers of their articles, and `duplicates`, (n,), are from
    `near_duplicates`. These numbers and the result are from 0 in order of appearance. Two articles
    are copies when more than half of the distinct paragraphs of both are near-duplicates of
    paragraphs of the other, or when a chain of copies connects them. Paragraphs in more than
    `RECURRING` articles do not count as near-duplicates, unless two articles have exactly the same
    paragraphs.

    >>> article_groups(np.array([0, 0, 1, 1, 2, 2]), np.array([0, 1, 1, 0, 1, 2])).tolist()
    [0, 0, 0, 0, 1, 1]
    """
    members = sparse.csr_matrix((np.ones(len(articles), dtype=np.int32), (articles, duplicates)))
    members.data[:] = 1
    paragraphs = [members.indices[start:end].tobytes() for start, end in pairwise(members.indptr)]
    # Articles with exactly the same paragraphs are compared only once with the others.
    numbers = pd.factorize(np.array(paragraphs, dtype=object))[0]
    distinct = members[np.unique(numbers, return_index=True)[1]]
    n_articles = distinct.getnnz(axis=0)
    shared = distinct[:, (n_articles > 1) & (n_articles <= RECURRING)]
    groups = _connect(
        shared, distinct.getnnz(axis=1), lambda n, one, other: 2 * n > np.maximum(one, other)
    )
    return groups[numbers][articles]


def components(row: Integers, column: Integers, n: int) -> Integers:
    """Number n nodes, (n,) from 0 in order of appearance, so that connected ones share a number.

    `row` and `column`, (m,), are the two ends of each edge.

    >>> components(np.array([0]), np.array([2]), 3).tolist()
    [0, 1, 0]
    """
    graph = sparse.coo_matrix((np.ones(len(row), dtype=np.int8), (row, column)), shape=(n, n))
    numbers = connected_components(graph, directed=False)[1]
    return pd.factorize(numbers)[0].astype(np.int64)


def _connect(features: sparse.csr_matrix, sizes: Integers, close: _Close) -> Integers:
    """Number n rows, (n,) from 0 in order of appearance; rows in a chain of close ones share one.

    `features`, (n, m), are zeros and ones. `sizes`, (n,), are the numbers of features of the rows,
    including those without a column. `close` decides which pairs are close; it must be false of
    rows that share less than half of the features of the larger row.
    """
    rare = _rarer_half(features, sizes)
    # Pairs of rows that follow each other among those with a feature connect most copies.
    rows, feature = rare.indices.astype(np.int64), rare.tocoo().col
    next_ = np.flatnonzero(feature[:-1] == feature[1:]) + 1
    adjacent = np.divmod(np.unique(rows[next_ - 1] * len(sizes) + rows[next_]), len(sizes))
    pairs = [_close_pairs(features, sizes, close, *adjacent)]
    numbers = components(*pairs[0], len(sizes))
    for row, column in _unconnected(rare, numbers):
        pairs.append(_close_pairs(features, sizes, close, row, column))
    row, column = np.concatenate(pairs, axis=1)
    return components(row, column, len(sizes))


def _rarer_half(features: sparse.csr_matrix, sizes: Integers) -> sparse.csc_matrix:
    """Drop the ceil(size / 2) - 1 most common features of each row, and features of one row only.

    Two rows that share at least half of the features of the larger row still share one. Parameters
    are those of `_connect`. The result, (n, m), is a copy with zeros for dropped features.
    """
    n_rows = np.bincount(features.indices, minlength=features.shape[1])
    row = np.repeat(np.arange(len(sizes)), np.diff(features.indptr))
    order = np.lexsort((features.indices, n_rows[features.indices], row))
    place = np.arange(len(order)) - features.indptr[row]
    half = np.ceil(sizes / 2).astype(np.int64)  # least number of shared features of a close pair
    kept = place <= (np.diff(features.indptr) - half)[row]
    column = features.indices[order]
    kept &= n_rows[column] > 1
    shape = features.shape
    return sparse.csc_matrix((np.ones(kept.sum(), np.int32), (row[kept], column[kept])), shape)


def _unconnected(rare: sparse.csc_matrix, numbers: Integers) -> Iterator[tuple[Integers, Integers]]:
    """Yield all pairs of rows with a common feature and different numbers, as two arrays.

    `rare` is from `_rarer_half`, and `numbers`, (n,), are those of the rows. Pairs come in parts of
    limited size, and one may come twice. Rows with the number of a feature's first row are not
    paired with each other, because a text with thousands of copies would have millions of pairs.
    """
    column = rare.tocoo().col
    other = numbers[rare.indices] != numbers[rare.indices[rare.indptr[column]]]
    mixed = np.isin(column, column[other])
    firsts = mixed & ~other
    first_matrix = _ones_at(rare.indices[firsts], column[firsts], rare.shape)
    others = _ones_at(rare.indices[other], column[other], rare.shape)
    rows = np.flatnonzero(np.diff(others.indptr))
    other_partners = others.T.tocsr()
    for partners in (other_partners, first_matrix.T.tocsr()):
        n_partners = np.diff(partners.indptr)
        work = np.cumsum(others[rows] @ n_partners)
        for part in np.split(rows, np.searchsorted(work, np.arange(_STEP, work[-1:].sum(), _STEP))):
            common = (others[part] @ partners).tocoo()
            row, partner = part[common.row], common.col
            kept = numbers[row] != numbers[partner]
            if partners is other_partners:  # the product has each pair in both orders
                kept &= row < partner
            yield row[kept], partner[kept].astype(np.int64)


def _ones_at(row: Integers, column: Integers, shape: tuple[int, int]) -> sparse.csr_matrix:
    """A matrix of zeros with ones at the given places."""
    return sparse.csr_matrix((np.ones(len(row), np.int32), (row, column)), shape)


def _close_pairs(
    features: sparse.csr_matrix, sizes: Integers, close: _Close, row: Integers, column: Integers
) -> tuple[Integers, Integers]:
    """Select those of m pairs of rows for which `close` is true, as two arrays in the same order.

    `row` and `column`, (m,), number the two rows of each pair. The others are as for `_connect`.
    """
    # A close pair shares half of the larger row's features, so the smaller row has at least these.
    possible = 2 * np.minimum(sizes[row], sizes[column]) >= np.maximum(sizes[row], sizes[column])
    row, column = row[possible], column[possible]
    work = np.cumsum(sizes[row] + sizes[column])
    cuts = np.searchsorted(work, np.arange(_STEP, work[-1:].sum(), _STEP))
    kept = []
    for one, other in zip(np.split(row, cuts), np.split(column, cuts), strict=True):
        shared = np.asarray(features[one].multiply(features[other]).sum(axis=1)).ravel()
        kept.append(close(shared, sizes[one], sizes[other]))
    is_close = np.concatenate(kept)
    return row[is_close], column[is_close]


def _number_words(texts: Sequence[str]) -> tuple[Integers, list[npt.NDArray[np.int32]]]:
    """Number the words of n texts, and their distinct sequences of words, from 0 by appearance.

    Returns the number of each text's sequence, (n,), and for each distinct sequence an array of the
    numbers of its words. Case and punctuation are ignored; a text without a word is one word.
    """
    vocabulary: dict[str, int] = {}
    sequence_numbers: dict[bytes, int] = {}
    numbers = np.empty(len(texts), dtype=np.int64)
    for place, text in enumerate(texts):
        words = _WORD.findall(text.lower()) or [text]
        word_numbers = [vocabulary.setdefault(word, len(vocabulary)) for word in words]
        sequence = np.array(word_numbers, dtype=np.int32).tobytes()
        numbers[place] = sequence_numbers.setdefault(sequence, len(sequence_numbers))
    return numbers, [np.frombuffer(sequence, dtype=np.int32) for sequence in sequence_numbers]


def _shingles(sequences: Sequence[npt.NDArray[np.int32]]) -> sparse.csr_matrix:
    """Matrix (n, m) of zeros and ones: which of m three-word sequences each of n sequences has.

    `sequences` have the numbers of their words; none is empty. One or two words are padded:
    "tariffs rose" → {"tariffs rose -"}.
    """
    lengths = np.array([len(sequence) for sequence in sequences], dtype=np.int64)
    padding = np.full(2, -1, dtype=np.int32)
    words = np.concatenate([padding[:0], *(part for s in sequences for part in (s, padding))])
    words = words.astype(np.int64) + 1
    n_words = int(words.max(initial=0)) + 1
    pairs = pd.factorize(words[:-1] * n_words + words[1:])[0]
    triples = pd.factorize(pairs[:-1] * n_words + words[2:])[0]
    owner = np.repeat(np.arange(len(lengths)), lengths + 2)[: len(triples)]
    place = np.arange(len(triples)) - (np.cumsum(lengths + 2) - lengths - 2)[owner]
    kept = place < np.maximum(lengths - 2, 1)[owner]
    columns = pd.factorize(triples[kept])[0]
    shape = len(lengths), int(columns.max(initial=-1)) + 1
    shingles = sparse.csr_matrix((np.ones(kept.sum(), np.int32), (owner[kept], columns)), shape)
    shingles.data[:] = 1  # a repeated shingle has been counted more than once
    return shingles
