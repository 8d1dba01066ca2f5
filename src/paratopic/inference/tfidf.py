"""TF-IDF features as scikit-learn computes them, to the last bit, but faster and without it.

A word is taken apart into n-grams of characters once, however often it occurs. Only prediction uses
this: in training, scikit-learn chooses the terms.
"""

from __future__ import annotations

import functools
import re
import unicodedata
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from scipy import sparse

# Words whose n-grams of characters are remembered: some 20 MB.
CACHED_WORDS = 50_000

# scikit-learn's token_pattern.
_WORD = re.compile(r"\b\w\w+\b")


class TfIdf:
    """What a fitted TfidfVectorizer does with texts that `clean` has prepared.

    Parameters
    ----------
    terms
        In the order of their columns.
    idf
        (n terms,) inverse document frequencies.
    keywords
        Of the TfidfVectorizer: analyzer (``"word"`` or ``"char_wb"``) and ngram_range; counts are
        taken as 1 + log(count), rows have unit length.
    """

    def __init__(
        self, terms: Sequence[str], idf: npt.NDArray[np.float64], keywords: Mapping[str, Any]
    ) -> None:
        self._column = {term: number for number, term in enumerate(terms)}
        self._idf = idf
        self._range = range(keywords["ngram_range"][0], keywords["ngram_range"][1] + 1)
        # A language's words are few: most of a text's were taken apart before.
        self._of_word = functools.lru_cache(CACHED_WORDS)(self._known_in_word)
        self._count = {"word": self._words, "char_wb": self._characters}[keywords["analyzer"]]

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Features of n texts, (n, n terms)."""
        counts = self._count(texts)
        counts.sort_indices()
        counts.data = (np.log(counts.data) + 1) * self._idf[counts.indices]
        row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        norm = np.sqrt(np.bincount(row, counts.data**2, minlength=counts.shape[0]))
        counts.data /= norm[row]
        return counts

    def _words(self, texts: Sequence[str]) -> sparse.csr_matrix:
        return _table(
            (self._known(_word_ngrams(_WORD.findall(text), self._range)) for text in texts),
            len(self._column),
        )

    def _characters(self, texts: Sequence[str]) -> sparse.csr_matrix:
        number: dict[str, int] = {}
        of_text = _table(
            [[number.setdefault(word, len(number)) for word in text.split()] for text in texts],
            None,
        )
        of_word = _table(map(self._of_word, number), len(self._column))
        counts: sparse.csr_matrix = of_text @ of_word
        return counts

    def _known_in_word(self, word: str) -> list[int]:
        return self._known(_char_ngrams(f" {word} ", self._range))

    def _known(self, ngrams: Iterable[str]) -> list[int]:
        return [number for number in map(self._column.get, ngrams) if number is not None]


def clean(text: str) -> str:
    """Lower case, without accents; scikit-learn's strip_accents="unicode"."""
    text = text.lower()
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _word_ngrams(words: list[str], sizes: range) -> Iterator[str]:
    runs = (zip(*(words[start:] for start in range(n)), strict=False) for n in sizes)
    return map(" ".join, chain.from_iterable(runs))


def _char_ngrams(word: str, sizes: range) -> list[str]:
    """A padded word's n-grams; one that is shorter than n stands for itself, once."""
    ngrams = []
    for n in sizes:
        if n >= len(word):
            ngrams.append(word)
            break
        ngrams += [word[start : start + n] for start in range(len(word) - n + 1)]
    return ngrams


def _table(rows: Iterable[Sequence[int]], width: int | None) -> sparse.csr_matrix:
    """How often each number occurs in each row, (n rows, width)."""
    from scipy import sparse

    columns: list[int] = []
    ends = [0]
    for row in rows:
        columns += row
        ends.append(len(columns))
    if width is None:
        width = max(columns, default=-1) + 1
    ones = np.ones(len(columns))
    table = sparse.csr_matrix((ones, columns, ends), shape=(len(ends) - 1, width))
    table.sum_duplicates()
    return table
