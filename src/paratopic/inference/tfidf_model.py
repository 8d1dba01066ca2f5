"""Prediction with a saved baseline: TF-IDF and a linear head, without scikit-learn.

The features equal scikit-learn's to the last bit, but are faster: each distinct word is split into
n-grams of characters once, however often it occurs. Saving a baseline is for `baseline.fit`.
"""

from __future__ import annotations

import functools
import json
import re
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, TypedDict

import numpy as np

from paratopic.inference.linear_head import ContextWeights, Reading, Windows, in_context, read_head
from paratopic.inference.modes import Array, Mode
from paratopic.project.texts import Texts

if TYPE_CHECKING:
    from scipy import sparse

# Number of words whose n-grams of characters are cached, which takes about 20 MB.
CACHED_WORDS = 50_000

# scikit-learn's token_pattern.
_WORD = re.compile(r"\b\w\w+\b")
# Longest n-gram: the work on a text grows with it.
MOST_NGRAM = 20


class BaselineClassifier:
    """TF-IDF and logistic regression, rebuilt from a vocabulary and weights.

    Parameters
    ----------
    settings
        ``features`` maps each feature's name to the keyword arguments of its TfidfVectorizer;
        ``context`` has the `ContextWeights`.
    """

    VOCABULARY, IDF, HEAD = "vocabulary.json", "idf.safetensors", "head.safetensors"
    FILES: ClassVar[tuple[str, ...]] = (VOCABULARY, IDF, HEAD)

    def __init__(self, folder: Path, mode: Mode, settings: Mapping[str, Any]) -> None:
        from safetensors.numpy import load_file

        self.context = ContextWeights.read(settings["context"])
        terms = json.loads((folder / self.VOCABULARY).read_text(encoding="utf-8"))
        idf = load_file(folder / self.IDF)
        features: dict[str, TfIdf] = {}
        for name, keywords in settings["features"].items():
            low, high = keywords["ngram_range"]
            if not 1 <= low <= high <= MOST_NGRAM:
                raise ValueError(f"settings: {name} has n-grams of {low} to {high}")
            if len(idf[name]) != len(terms[name]):
                raise ValueError(f"{len(idf[name])} weights of {name} do not fit its terms")
            features[name] = TfIdf(terms[name], idf[name], keywords)
        self._union, self._mode = TfIdfUnion(features), mode
        self._head = read_head(folder / self.HEAD)
        d = sum(map(len, idf.values()))
        if self._head.coef.shape[1] != d:
            raise ValueError(f"weights of {self._head.coef.shape} do not fit {d} terms")

    def read(self, texts: Texts) -> Reading:
        """Read n texts, each in one window."""
        features, n = transform_in_context(self._union.transform, texts, self.context), len(texts)
        return self._head.read(Windows(features, np.arange(n), [1] * n), self._mode, n)

    def embed(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """TF-IDF features of n texts, (n, d); a row of zeros for a text without a known term."""
        from scipy import sparse

        features = self._union.transform(texts)
        return sparse.csr_matrix(features.multiply(1 / np.maximum(_lengths(features), 1e-9)))


def transform_in_context(
    transform: Callable[[Sequence[str]], sparse.csr_matrix], texts: Texts, context: ContextWeights
) -> sparse.csr_matrix:
    """Features of n texts, (n, d): sums of their own and of those around them.

    A sum is as long as the features of the text itself, unless these are all 0. `transform`
    computes those of texts alone, (m, d).
    """
    from scipy import sparse

    read = in_context(texts, context)
    each = transform(read.texts)
    own = each[read.own]
    if not len(read.row):
        return own
    total = own + read.around @ each
    return sparse.csr_matrix(total.multiply(_scale(own, total)))


def _scale(own: sparse.csr_matrix, total: sparse.csr_matrix) -> Array:
    """Factors (n, 1) that make rows of `total` as long as those of `own` that are not all 0."""
    wanted, lengths = _lengths(own), _lengths(total)
    known = (wanted > 0) & (lengths > 0)
    return np.where(known, wanted / np.where(known, lengths, 1.0), 1.0)


def _lengths(features: sparse.csr_matrix) -> Array:
    """Length of each row, (n, 1)."""
    squares = np.asarray(features.multiply(features).sum(axis=1))
    return np.asarray(np.sqrt(squares).reshape(-1, 1))


class Keywords(TypedDict, total=False):
    """Keyword arguments of a TfidfVectorizer."""

    sublinear_tf: bool
    strip_accents: str
    min_df: int
    analyzer: str
    ngram_range: Sequence[int]


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

    def __init__(self, terms: Sequence[str], idf: Array, keywords: Keywords) -> None:
        self.terms, self.idf, self._keywords = terms, idf, keywords
        self._column = {term: number for number, term in enumerate(terms)}
        self._sizes = range(keywords["ngram_range"][0], keywords["ngram_range"][1] + 1)
        self._of_words = {"word": True, "char_wb": False}[keywords["analyzer"]]
        # A language has few words: most of a text's words were split before.
        self._columns_of_word = functools.lru_cache(CACHED_WORDS)(self._find_columns)

    def __reduce__(self) -> tuple[type[TfIdf], tuple[object, ...]]:
        # What words were split before cannot be copied to another process.
        return TfIdf, (self.terms, self.idf, self._keywords)

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Compute the features of n texts, (n, n terms)."""
        return self._weigh(self.count(texts))

    def count(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Count the terms of n texts, (n, n terms)."""
        if self._of_words:
            return _table(map(self._find_columns, texts), len(self.terms))
        number: dict[str, int] = {}
        words = [[number.setdefault(word, len(number)) for word in text.split()] for text in texts]
        terms = _table(map(self._columns_of_word, number), len(self.terms))
        counts: sparse.csr_matrix = _table(words, len(number)) @ terms
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
    def fit(cls, texts: Sequence[str], keywords: Keywords) -> tuple[TfIdf, sparse.csr_matrix]:
        """Learn terms and their inverse document frequencies, as TfidfVectorizer does.

        Of its keyword arguments, min_df (1 by default) is read, too.

        Returns
        -------
        The fitted transform, and the features of the texts, (n, n terms).
        """
        empty = cls((), np.zeros(0), keywords)
        # N-grams of characters are each in one word.
        pieces = set(texts if empty._of_words else chain.from_iterable(map(str.split, texts)))
        ngrams = set(chain.from_iterable(map(empty._ngrams, pieces)))
        terms = np.array(sorted(ngrams), dtype=object)
        counts = cls(terms.tolist(), np.ones(len(terms)), keywords).count(texts)
        frequency = np.bincount(counts.indices, minlength=len(terms))
        kept = np.flatnonzero(frequency >= keywords.get("min_df", 1))
        idf = np.log((1 + len(texts)) / (1 + frequency[kept])) + 1
        fitted = cls(terms[kept].tolist(), idf, keywords)
        return fitted, fitted._weigh(counts[:, kept])

    def _ngrams(self, text: str) -> Iterable[str]:
        """N-grams of each size of a text, or of a word where they are of characters.

        Those of words in "a b c" in sizes 1 and 2: a, b, c, a b, b c.
        """
        if not self._of_words:
            return _char_ngrams(f" {text} ", self._sizes)
        words = _WORD.findall(text)
        ngrams = (zip(*(words[at:] for at in range(n)), strict=False) for n in self._sizes)
        return map(" ".join, chain.from_iterable(ngrams))

    def _find_columns(self, text: str) -> list[int]:
        """Columns of those of the `_ngrams` that are terms."""
        columns = map(self._column.get, self._ngrams(text))
        return [column for column in columns if column is not None]


class TfIdfUnion:
    """Several TF-IDF features side by side."""

    def __init__(self, features: Mapping[str, TfIdf]) -> None:
        self.features = features

    @classmethod
    def fit(
        cls, texts: Sequence[str], keywords: Mapping[str, Keywords]
    ) -> tuple[TfIdfUnion, sparse.csr_matrix]:
        """Learn the terms of each feature from n texts; see `TfIdf.fit`."""
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


def _table(rows: Iterable[Sequence[int]], width: int) -> sparse.csr_matrix:
    """Count how often each number occurs in each row, (n rows, width)."""
    from scipy import sparse

    columns: list[int] = []
    ends = [0]
    for row in rows:
        columns += row
        ends.append(len(columns))
    shape = len(ends) - 1, width
    table = sparse.csr_matrix((np.ones(len(columns)), columns, ends), shape)
    table.sum_duplicates()
    return table
