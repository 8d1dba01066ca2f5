"""TF-IDF features equal scikit-learn's bit by bit."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sklearn.feature_extraction.text import TfidfVectorizer

from paratopic.inference.tfidf_model import Keywords, TfIdf, TfIdfUnion, clean
from tests.samples import FILLER, WORDS

KNOWN = [
    " ".join(
        [*words, *FILLER[:5], "Ünïcödé words", "a b c", "e-mail's x_1 ﬁne 漢字かな", "\u0130I"]
    )
    for words in WORDS.values()
]
WORD = st.sampled_from([*KNOWN[0].split(), "Tariffs", "ab", "Café", "x", "ǅ", "\u0301", "١٢"])
TEXTS = st.lists(
    st.one_of(st.text(max_size=40), st.lists(WORD, max_size=30).map(" ".join)), max_size=5
)


WORD_NGRAMS: Keywords = {"analyzer": "word", "ngram_range": (1, 2)}
CHARACTERS: Keywords = {"analyzer": "char_wb", "ngram_range": (3, 5)}
OTHER_SIZES = WORD_NGRAMS | {"ngram_range": (2, 3)}, CHARACTERS | {"ngram_range": (1, 2)}


@pytest.mark.parametrize("keywords", [WORD_NGRAMS, CHARACTERS, *OTHER_SIZES])
@given(texts=TEXTS)
@example(texts=["a\u00a0b\u2003c\x1cd  e\n\nf", "", "aa aa aa tariff"])
def test_features_equal_scikit_learns(keywords: Keywords, texts: list[str]) -> None:
    known = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", **keywords).fit(KNOWN)
    terms = sorted(known.vocabulary_, key=known.vocabulary_.__getitem__)
    features = TfIdf(terms, known.idf_, keywords).transform([clean(text) for text in texts])
    assert features.shape == (len(texts), len(terms))
    if texts:  # scikit-learn raises an error for no texts
        expected = known.transform(texts)
        np.testing.assert_array_equal(features.indptr, expected.indptr)
        np.testing.assert_array_equal(features.indices, expected.indices)
        np.testing.assert_array_equal(features.data, expected.data)


@pytest.mark.parametrize("keywords", [WORD_NGRAMS, CHARACTERS | {"min_df": 2}])
def test_fitted_terms_and_frequencies_equal_scikit_learns(keywords: Keywords) -> None:
    expected = TfidfVectorizer(sublinear_tf=True, strip_accents="unicode", **keywords)
    matrix = expected.fit(KNOWN).transform(KNOWN)
    fitted, features = TfIdf.fit([clean(text) for text in KNOWN], keywords)
    assert list(fitted.terms) == expected.get_feature_names_out().tolist()
    np.testing.assert_array_equal(fitted.idf, expected.idf_)
    np.testing.assert_array_equal(features.indices, matrix.indices)
    np.testing.assert_array_equal(features.data, matrix.data)


def test_a_union_has_the_columns_of_all_features() -> None:
    keywords = {"words": WORD_NGRAMS, "characters": CHARACTERS}
    union, matrix = TfIdfUnion.fit(KNOWN, keywords)
    assert list(union.features) == list(keywords)
    cleaned = [clean(text) for text in KNOWN]
    parts = [TfIdf.fit(cleaned, words)[1].toarray() for words in keywords.values()]
    np.testing.assert_array_equal(matrix.toarray(), np.hstack(parts))
    np.testing.assert_array_equal(union.transform(KNOWN).toarray(), matrix.toarray())
