"""Prediction with a saved baseline: TF-IDF and a linear head, without scikit-learn.

The features equal scikit-learn's bit by bit, and are computed faster: each distinct word is split
into character n-grams only once.
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

from paratopic.inference.linear_head import ContextWeights, Reading, Windows, read_head, weigh_texts
from paratopic.inference.modes import Array, Mode
from paratopic.project.texts import Texts

if TYPE_CHECKING:
    from scipy import sparse

# The character n-grams of this number of words are cached, which takes about 20 MB.
CACHED_WORDS = 50_000

# scikit-learn's token_pattern.
_WORD = re.compile(r"\b\w\w+\b")
# The time that a text needs grows with the length of n-grams, so this is their maximum.
MOST_NGRAM = 20


class BaselineClassifier:
    """TF-IDF and logistic regression, rebuilt from a vocabulary and weights.

    Parameters
    ----------
    settings
        ``features`` maps the name of each feature to the keyword arguments of its TfidfVectorizer;
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
        """Compute the logits of n texts, which have one window each."""
        features, n = transform_in_context(self._union.transform, texts, self.context), len(texts)
        return self._head.read(Windows(features, np.arange(n), [1] * n), self._mode, n)

    def embed(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Compute TF-IDF of n texts, (n, d); a text without a known term has a row of zeros."""
        from scipy import sparse

        features = self._union.transform(texts)
        return sparse.csr_matrix(features.multiply(1 / np.maximum(_norms(features), 1e-9)))


def transform_in_context(
    transform: Callable[[Sequence[str]], sparse.csr_matrix], texts: Texts, context: ContextWeights
) -> sparse.csr_matrix:
    """Compute features of n texts with their context, (n, d).

    They are the text's features plus the weighted features of its context, scaled to the norm of
    the text's own unless these are all 0. `transform` computes (m, d) features of m texts alone.
    """
    from scipy import sparse

    matrix = weigh_texts(texts, context)
    features = transform(matrix.texts)
    own = features[matrix.own]
    if not len(matrix.row):
        return own
    total = own + matrix.around @ features
    return sparse.csr_matrix(total.multiply(_scale(own, total)))


def _scale(own: sparse.csr_matrix, total: sparse.csr_matrix) -> Array:
    """Factors (n, 1) that scale rows of `total` to the norms of `own`; 1 where one of them is 0."""
    norms, total_norms = _norms(own), _norms(total)
    is_nonzero = (norms > 0) & (total_norms > 0)
    return np.where(is_nonzero, norms / np.where(is_nonzero, total_norms, 1.0), 1.0)


def _norms(features: sparse.csr_matrix) -> Array:
    """Euclidean norm of each row, (n, 1)."""
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

    Term frequencies are sublinear, 1 + log(count), and rows have unit length.

    Parameters
    ----------
    terms
        Terms in the order of their columns.
    idf
        (n terms,) inverse document frequencies.
    keywords
        Keyword arguments of the TfidfVectorizer. Only analyzer (``"word"`` or ``"char_wb"``) and
        ngram_range have an effect.
    """

    def __init__(self, terms: Sequence[str], idf: Array, keywords: Keywords) -> None:
        self.terms, self.idf, self._keywords = terms, idf, keywords
        self._column = {term: number for number, term in enumerate(terms)}
        self._sizes = range(keywords["ngram_range"][0], keywords["ngram_range"][1] + 1)
        self._by_word = {"word": True, "char_wb": False}[keywords["analyzer"]]
        # A language has few words, so most words of a text have been split before.
        self._columns_of_word = functools.lru_cache(CACHED_WORDS)(self._find_columns)

    def __reduce__(self) -> tuple[type[TfIdf], tuple[object, ...]]:
        # The cache of words cannot be copied to another process.
        return TfIdf, (self.terms, self.idf, self._keywords)

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Compute the features of n texts, (n, n terms)."""
        return self._weigh(self.count(texts))

    def count(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Count the terms of n texts that `clean` has prepared: floats, (n, n terms)."""
        if self._by_word:
            return _count_table(map(self._find_columns, texts), len(self.terms))
        numbers: dict[str, int] = {}
        rows = []
        for text in texts:
            rows.append([numbers.setdefault(word, len(numbers)) for word in text.split()])
        terms = _count_table(map(self._columns_of_word, numbers), len(self.terms))
        counts: sparse.csr_matrix = _count_table(rows, len(numbers)) @ terms
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
        """Fit TF-IDF to n texts that `clean` has prepared; also return features, (n, n terms).

        As with TfidfVectorizer, terms are the sorted n-grams that at least min_df texts have (1 by
        default), and a term in f texts has the idf log((1 + n) / (1 + f)) + 1.
        """
        empty = cls((), np.zeros(0), keywords)
        # A character n-gram lies within one word.
        pieces = set(texts if empty._by_word else chain.from_iterable(map(str.split, texts)))
        ngrams = set(chain.from_iterable(map(empty._ngrams, pieces)))
        terms = np.array(sorted(ngrams), dtype=object)
        counts = cls(terms.tolist(), np.ones(len(terms)), keywords).count(texts)
        frequency = np.bincount(counts.indices, minlength=len(terms))
        kept = np.flatnonzero(frequency >= keywords.get("min_df", 1))
        idf = np.log((1 + len(texts)) / (1 + frequency[kept])) + 1
        fitted = cls(terms[kept].tolist(), idf, keywords)
        return fitted, fitted._weigh(counts[:, kept])

    def _ngrams(self, text: str) -> Iterable[str]:
        """N-grams of each size, with repetitions: of a text's words, or of one word's characters.

        The word n-grams of "aa bb cc" with sizes 1 and 2 are aa, bb, cc, aa bb, bb cc; words of one
        character do not count. A word whose characters are read gets a blank on each side.
        """
        if not self._by_word:
            return _char_ngrams(f" {text} ", self._sizes)
        words, ngrams = _WORD.findall(text), list[str]()
        for n in self._sizes:
            ngrams += map(" ".join, zip(*(words[start:] for start in range(n)), strict=False))
        return ngrams

    def _find_columns(self, text: str) -> list[int]:
        """Columns of the `_ngrams` of a text or word that are terms."""
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
        """Clean n texts and fit a `TfIdf` for each name; return all features side by side, too."""
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        fits = {name: TfIdf.fit(cleaned, words) for name, words in keywords.items()}
        matrix = sparse.hstack([part for _, part in fits.values()], format="csr")
        return cls({name: feature for name, (feature, _) in fits.items()}), matrix

    def transform(self, texts: Sequence[str]) -> sparse.csr_matrix:
        """Compute the features of n texts, (n, total number of terms)."""
        from scipy import sparse

        cleaned = [clean(text) for text in texts]
        parts = [feature.transform(cleaned) for feature in self.features.values()]
        return sparse.csr_matrix(sparse.hstack(parts, format="csr"))


def clean(text: str) -> str:
    """Convert a text to lower case without accents, as scikit-learn's strip_accents="unicode" does.

    >>> clean("Café")
    'cafe'
    """
    text = text.lower()
    if text.isascii():
        return text
    parts = unicodedata.normalize("NFKD", text)
    return "".join(part for part in parts if not unicodedata.combining(part))


def _char_ngrams(word: str, sizes: range) -> list[str]:
    """Character n-grams of a padded word, by size; sizes of its length or more give it once, last.

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


def _count_table(rows: Iterable[Sequence[int]], width: int) -> sparse.csr_matrix:
    """Count each number from 0 to `width` - 1 in each row of numbers: floats, (n rows, width)."""
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
