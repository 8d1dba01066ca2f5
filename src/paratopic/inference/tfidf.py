"""TF-IDF features, equal to scikit-learn's to the last bit, but faster and without importing it.

Each distinct word is split into n-grams of characters once, however often it occurs.
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

from paratopic.inference.scores import Array, Integers

if TYPE_CHECKING:
    from scipy import sparse

# Number of words whose n-grams of characters are cached, which takes about 20 MB.
CACHED_WORDS = 50_000

# scikit-learn's token_pattern.
_WORD = re.compile(r"\b\w\w+\b")


class TfIdf:
    """Transform of a fitted TfidfVectorizer, for texts that `clean` has prepared.

    Counts are taken as 1 + log(count), and rows have unit length.

    Parameters
    ----------
    terms
        Terms in the order of their columns.
    idf
        (n terms,) inverse document frequencies.
    keywords
        Keyword arguments of the TfidfVectorizer, of which analyzer (``"word"`` or ``"char_wb"``)
        and ngram_range are read.
    """

    def __init__(
        self, terms: Sequence[str], idf: npt.NDArray[np.float64], keywords: Mapping[str, Any]
    ) -> None:
        self.terms, self.idf, self._keywords = terms, idf, keywords
        self._column = {term: number for number, term in enumerate(terms)}
        self._range = range(keywords["ngram_range"][0], keywords["ngram_range"][1] + 1)
        # A language has few words: most of a text's words were split before.
        self._columns_of_word = functools.lru_cache(CACHED_WORDS)(self._split_word)
        self._count = {"word": self._words, "char_wb": self._characters}[keywords["analyzer"]]

    def __reduce__(self) -> tuple[type[TfIdf], tuple[Any, ...]]:
        # What words were split before cannot be copied to another process.
        return TfIdf, (self.terms, self.idf, self._keywords)

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Compute the features of n texts, (n, n terms)."""
        return self._weigh(self.count(texts))

    def occurrences(self, words: Sequence[str]) -> tuple[Integers, Integers, Array]:
        """Find each occurrence of a term in a text, word by word.

        Parameters
        ----------
        words
            The m words of the text as white space parts them, which `clean` has prepared.

        Returns
        -------
        word, column, part
            Number of a word, column of a term that it is part of, and how much of one occurrence of
            the term it is. For each term the parts add up to its count.
        """
        rows: list[tuple[int, str, float]] = []
        if self._count == self._words:
            pieces = [(at, piece) for at, word in enumerate(words) for piece in _WORD.findall(word)]
            for n in self._range:
                for piece in zip(*(pieces[start:] for start in range(n)), strict=False):
                    term = " ".join(name for _, name in piece)
                    rows += ((at, term, 1 / n) for at, _ in piece)
        else:
            for at, word in enumerate(words):
                rows += ((at, term, 1.0) for term in _char_ngrams(f" {word} ", self._range))
        known = [(at, self._column[term], part) for at, term, part in rows if term in self._column]
        table = np.array(known, dtype=np.float64).reshape(-1, 3)
        return table[:, 0].astype(np.int64), table[:, 1].astype(np.int64), table[:, 2]

    def count(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Count the terms of n texts, (n, n terms)."""
        counts = self._count(texts)
        counts.sort_indices()
        return counts

    def _weigh(self, counts: sparse.csr_matrix) -> sparse.csr_matrix:
        """Turn counts into features, in place."""
        counts.data = (np.log(counts.data) + 1) * self.idf[counts.indices]
        row = np.repeat(np.arange(counts.shape[0]), np.diff(counts.indptr))
        norm = np.sqrt(np.bincount(row, counts.data**2, minlength=counts.shape[0]))
        counts.data /= norm[row]
        return counts

    @classmethod
    def fit(
        cls, texts: Sequence[str], keywords: Mapping[str, Any]
    ) -> tuple[TfIdf, sparse.csr_matrix]:
        """Learn terms and their inverse document frequencies, as TfidfVectorizer does.

        Parameters
        ----------
        texts
            n texts that `clean` has prepared.
        keywords
            Keyword arguments of the TfidfVectorizer, of which min_df (1 by default) is read too.

        Returns
        -------
        The fitted transform, and the features of the texts, (n, n terms).
        """
        sizes = range(keywords["ngram_range"][0], keywords["ngram_range"][1] + 1)
        found: set[str] = set()
        if keywords["analyzer"] == "word":
            found.update(*(_word_ngrams(_WORD.findall(text), sizes) for text in texts))
        else:
            words = set(chain.from_iterable(text.split() for text in texts))
            found.update(*(_char_ngrams(f" {word} ", sizes) for word in words))
        terms = np.array(sorted(found), dtype=object)
        counts = cls(terms.tolist(), np.ones(len(terms)), keywords).count(texts)
        frequency = np.bincount(counts.indices, minlength=len(terms))
        kept = np.flatnonzero(frequency >= keywords.get("min_df", 1))
        idf = np.log((1 + len(texts)) / (1 + frequency[kept])) + 1
        fitted = cls(terms[kept].tolist(), idf, keywords)
        return fitted, fitted._weigh(counts[:, kept])

    def _words(self, texts: Sequence[str]) -> sparse.csr_matrix:
        return _table(
            (self._columns(_word_ngrams(_WORD.findall(text), self._range)) for text in texts),
            len(self._column),
        )

    def _characters(self, texts: Sequence[str]) -> sparse.csr_matrix:
        number: dict[str, int] = {}
        words_of_texts = _table(
            [[number.setdefault(word, len(number)) for word in text.split()] for text in texts],
            None,
        )
        terms_of_words = _table(map(self._columns_of_word, number), len(self._column))
        counts: sparse.csr_matrix = words_of_texts @ terms_of_words
        return counts

    def _split_word(self, word: str) -> list[int]:
        return self._columns(_char_ngrams(f" {word} ", self._range))

    def _columns(self, ngrams: Iterable[str]) -> list[int]:
        """Columns of the n-grams that are terms."""
        return [column for column in map(self._column.get, ngrams) if column is not None]


class TfIdfUnion:
    """Several TF-IDF features side by side."""

    def __init__(self, features: Mapping[str, TfIdf]) -> None:
        self.features = features

    @classmethod
    def fit(
        cls, texts: Sequence[str], keywords: Mapping[str, Mapping[str, Any]]
    ) -> tuple[TfIdfUnion, sparse.csr_matrix]:
        """Learn the terms of each feature from n texts; see `TfIdf.fit`.

        Returns
        -------
        The fitted transform, and the features of the texts, (n, n terms of all).
        """
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        fits = {name: TfIdf.fit(cleaned, words) for name, words in keywords.items()}
        matrix = sparse.hstack([part for _, part in fits.values()], format="csr")
        return cls({name: feature for name, (feature, _) in fits.items()}), matrix

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Compute the features of n texts, (n, n terms of all)."""
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        parts = [feature.transform(cleaned) for feature in self.features.values()]
        features: sparse.csr_matrix = sparse.hstack(parts, format="csr")
        return features


def clean(text: str) -> str:
    """Lower a text's case and strip its accents, as scikit-learn's strip_accents="unicode" does.

    >>> clean("Café")
    'cafe'
    """
    text = text.lower()
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _word_ngrams(words: list[str], sizes: range) -> Iterator[str]:
    """N-grams of words of each size: "a b c" in sizes 1 and 2 → a, b, c, a b, b c."""
    ngrams = (zip(*(words[start:] for start in range(n)), strict=False) for n in sizes)
    return map(" ".join, chain.from_iterable(ngrams))


def _char_ngrams(word: str, sizes: range) -> list[str]:
    """N-grams of characters of a padded word; a word no longer than n gives itself, once.

    >>> _char_ngrams(" ab ", range(3, 6))
    [' ab', 'ab ', ' ab ']
    """
    ngrams = []
    for n in sizes:
        if n >= len(word):
            ngrams.append(word)
            break
        ngrams += [word[start : start + n] for start in range(len(word) - n + 1)]
    return ngrams


def _table(rows: Iterable[Sequence[int]], width: int | None) -> sparse.csr_matrix:
    """Count how often each number occurs in each row: (n rows, width), or as wide as needed."""
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
